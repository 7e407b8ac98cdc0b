package fhir

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/people"
)

type communication struct {
	Language  concept `json:"language"`
	Preferred bool    `json:"preferred"`
}

type link struct {
	Other reference `json:"other"`
	Type  string    `json:"type"`
}

// patient maps a Patient. Patient.contact is next of kin, no leave to write to them: it is not read.
func patient(r *resource, m *intake.Message, c *intake.Context) []people.Change {
	change := people.Change{Source: c.Source, Subject: m.Key, Active: true}
	change.Updated, _ = r.updated()
	core := &people.Core{Kind: people.KindPatient}
	if active := get[*bool](r, "active"); active != nil {
		change.Active = *active
	}
	core.Names = r.names(c.Received)
	core.Birth = r.date("birthDate", get[string](r, "birthDate"))
	core.Sex = r.sex()
	core.Languages = r.languages()
	core.Zone = r.zone()
	core.Deceased, core.DeceasedOn = r.deceased()
	core.Addresses = r.addresses(c.Received)
	core.Contacts = r.contacts(c)
	core.Identifiers, change.Match = r.identifiers(c)
	change.Profile = core
	changes := []people.Change{change}
	for _, l := range list[link](r, "link") {
		other, ok := l.Other.resolve("Patient")
		if !ok || other.key == "" {
			if l.Type == "replaced-by" || l.Type == "replaces" {
				r.warn("link", reasonReference)
			}
			continue
		}
		switch l.Type {
		case "replaced-by":
			changes[0].ReplacedBy, changes[0].Active = other.key, false
		case "replaces": // the same said from the other side
			changes = append(changes, people.Change{Source: c.Source, Subject: other.key, ReplacedBy: m.Key})
		}
	}
	changes[0].Warnings = r.warnings
	return changes
}

// names gives the names, the current official one first; a name whose period has ended is an old one.
func (r *resource) names(received time.Time) []people.Name {
	var all []people.Name
	for _, n := range list[humanName](r, "name") {
		name := people.Name{
			Use: n.Use, Family: n.Family, Given: n.Given, Prefix: strings.Join(n.Prefix, " "), Suffix: strings.Join(n.Suffix, " "),
		}
		if n.Period.over(received) {
			name.Use = "old"
		}
		if n.Family == "" && len(n.Given) == 0 && n.Text != "" {
			name.Family, name.Given = splitName(n.Text)
		}
		clean, changed := name.Clean()
		if changed {
			r.warn("name", reasonCut)
		}
		if clean.Family != "" || len(clean.Given) > 0 {
			all = append(all, clean)
		}
	}
	slices.SortStableFunc(all, func(a, b people.Name) int { return cmp.Compare(nameOrder(a.Use), nameOrder(b.Use)) })
	return all
}

func nameOrder(use string) int {
	if at := slices.Index([]string{"official", "usual", "", "nickname", "temp", "anonymous", "maiden", "old"}, use); at >= 0 {
		return at
	}
	return 2
}

// splitName takes "FAMILY, GIVEN" or "Given Family" apart when a source sends text only.
func splitName(text string) (family string, given []string) {
	if f, g, ok := strings.Cut(text, ","); ok {
		return strings.TrimSpace(f), strings.Fields(g)
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return "", nil
	}
	return words[len(words)-1], words[:len(words)-1]
}

func (r *resource) sex() people.Sex {
	switch get[string](r, "gender") {
	case "female":
		return people.SexFemale
	case "male":
		return people.SexMale
	case "other":
		return people.SexOther
	case "", "unknown":
	default:
		r.warn("gender", reasonCode)
	}
	return people.SexUnknown
}

// languages gives BCP 47 tags, the preferred one first.
func (r *resource) languages() []string {
	var all []string
	for _, c := range list[communication](r, "communication") {
		for _, x := range c.Language.Coding {
			tag, err := language.Parse(strings.TrimSpace(x.Code))
			if err != nil {
				r.warn("communication.language", reasonCode)
				continue
			}
			if text := tag.String(); slices.Contains(all, text) {
				continue
			} else if c.Preferred {
				all = slices.Insert(all, 0, text)
			} else {
				all = append(all, text)
			}
		}
	}
	return all
}

func (r *resource) zone() string {
	for _, e := range list[extension](r, "extension") {
		if e.URL != "http://hl7.org/fhir/StructureDefinition/timezone" {
			continue
		}
		if _, err := time.LoadLocation(e.ValueCode); err != nil || e.ValueCode == "" || e.ValueCode == "Local" {
			r.warn("extension.timezone", reasonCode)
			continue
		}
		return e.ValueCode
	}
	return ""
}

// deceased reads deceased[x]. That a field is there and says false is not a death (hl7.org/fhir/R4/patient).
func (r *resource) deceased() (bool, people.Date) {
	if at := get[string](r, "deceasedDateTime"); at != "" {
		return true, r.date("deceasedDateTime", at) // a death whose day cannot be read is a death
	}
	return get[bool](r, "deceasedBoolean"), people.Date{}
}

func (r *resource) addresses(received time.Time) []people.Address {
	var all []people.Address
	for _, a := range list[address](r, "address") {
		x := people.Address{Use: a.Use}
		if a.Period.over(received) {
			x.Use = "old"
		}
		for _, l := range a.Line {
			if clean := r.text("address", l); clean != "" {
				x.Lines = append(x.Lines, clean)
			}
		}
		x.City, x.State = r.text("address", a.City), r.text("address", a.State)
		x.PostalCode, x.Country = r.text("address", a.PostalCode), r.text("address", a.Country)
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b people.Address) int { return cmp.Compare(addressOrder(a.Use), addressOrder(b.Use)) })
	return all
}

func addressOrder(use string) int {
	if at := slices.Index([]string{"home", "", "temp", "work", "billing", "old"}, use); at >= 0 {
		return at
	}
	return 1
}

// contacts gives email addresses and telephone numbers. What cannot be written to is kept as invalid, so that somebody may mend it.
func (r *resource) contacts(c *intake.Context) []people.ContactPoint {
	var all []people.ContactPoint
	for _, t := range list[contactPoint](r, "telecom") {
		p := people.ContactPoint{Use: t.Use, Rank: max(t.Rank, 0)}
		switch strings.ToLower(t.System) {
		case "email":
			p.Channel = people.ChannelEmail
		case "phone", "sms":
			p.Channel = people.ChannelPhone
		case "fax", "pager", "url", "other", "":
			continue
		default:
			r.warn("telecom.system", reasonCode)
			continue
		}
		if p.Value = r.text("telecom", t.Value); p.Value == "" {
			continue // masked, or an extension in its place
		}
		var err error
		if p.Channel == people.ChannelEmail {
			p.Normal, err = people.NormalEmail(t.Value)
		} else {
			p.Normal, err = people.NormalPhone(t.Value, c.Country)
		}
		switch {
		case err != nil:
			p.State = people.ContactInvalid
			r.warn("telecom", "cannot be written to")
		case t.Use == "old" || t.Period.over(c.Received):
			p.State = people.ContactOld
		}
		all = append(all, p)
	}
	return all
}

// identifiers gives those on the whitelist, and of them those that a person may be matched by.
func (r *resource) identifiers(c *intake.Context) (kept, strong []people.Identifier) {
	for _, x := range list[identifier](r, "identifier") {
		id := people.Identifier{System: strings.TrimSpace(x.System), Value: strings.TrimSpace(x.Value)}
		for _, t := range x.Type.Coding {
			if id.Type == "" || t.Code == "MR" || forbiddenType(t.Code) {
				id.Type = t.Code
			}
		}
		if clean, changed := people.CleanText(id.Value, 128); changed || clean != id.Value {
			r.warn("identifier", reasonCut)
			continue
		}
		switch c.Whitelist.Judge(id) {
		case people.IdentifierStrong:
			kept = append(kept, id)
			if x.Use != "old" && !x.Period.over(c.Received) {
				strong = append(strong, id)
			}
		case people.IdentifierKept:
			kept = append(kept, id)
		case people.IdentifierDropped:
			if id.System == "" && id.Value != "" {
				r.warn("identifier", "has no system")
			}
		case people.IdentifierRefused: // every US export has them: no news
		}
	}
	return kept, strong
}

func forbiddenType(code string) bool {
	return slices.Contains([]string{"SS", "SB", "DL", "PPN", "TAX"}, code)
}
