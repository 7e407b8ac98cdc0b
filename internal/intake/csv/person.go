package csv

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

var kinds = map[string]people.Kind{"patient": people.KindPatient, "prospect": people.KindProspect, "correspondent": people.KindCorrespondent}

const (
	maxCell   = 1000 // bytes of a custom field or of a line of an address
	maxCustom = 100
)

// profile fills a change with what the record says of the person as such.
func (r *row) profile(change *people.Change) {
	p := &people.Core{Kind: people.KindPatient}
	if k := kinds[r.m.Kind]; k != 0 {
		p.Kind = k
	}
	var (
		name    people.Name
		address people.Address
		wish    wishes
	)
	for i := range r.m.Columns {
		c := &r.m.Columns[i]
		if c.In != "" {
			continue
		}
		switch c.Field {
		case fieldName, fieldFamily, fieldGiven, fieldMiddle, fieldPrefix, fieldSuffix:
			r.nameOf(c, &name)
		case fieldLine, fieldCity, fieldState, fieldPostal, fieldCountry:
			r.addressOf(c, &address)
		case fieldEmail, fieldPhone:
			r.contactOf(c, p)
		case fieldIdentifier:
			r.identifierOf(c, p, change)
		case fieldConsent, fieldConsentAt, fieldOptOutAt, fieldEvidence:
			wish.take(r, c)
		case fieldStop:
			r.stopOf(c)
		case fieldKey:
		default:
			r.detailOf(c, p, change)
		}
	}
	if clean, changed := name.Clean(); clean.Family != "" || len(clean.Given) > 0 {
		if changed {
			r.warnings = append(r.warnings, people.Warning{Resource: ofRecord, Field: "name", Reason: reasonCut})
		}
		p.Names = []people.Name{clean}
	}
	if len(address.Lines) > 0 || address.City != "" || address.State != "" || address.PostalCode != "" {
		p.Addresses = []people.Address{address}
	}
	change.Profile, change.Part = p, r.m.Name
	wish.facts(r, change)
}

func (r *row) nameOf(c *Column, n *people.Name) {
	text := r.value(c)
	if text == "" {
		return
	}
	switch c.Field {
	case fieldName:
		if n.Family == "" && len(n.Given) == 0 {
			*n = fullName(text)
		}
	case fieldFamily:
		n.Family = text
	case fieldGiven:
		n.Given = slices.Insert(n.Given, 0, text)
	case fieldMiddle:
		n.Given = append(n.Given, text)
	case fieldPrefix:
		n.Prefix = text
	case fieldSuffix:
		n.Suffix = text
	}
}

func (r *row) addressOf(c *Column, a *people.Address) {
	text := r.value(c)
	if text == "" {
		return
	}
	if c.Field != fieldPostal {
		clean, changed := people.CleanText(text, maxCell)
		if changed {
			r.warn(c, reasonCut)
		}
		text = clean
	}
	switch c.Field {
	case fieldLine:
		a.Lines = append(a.Lines, text)
	case fieldCity:
		a.City = text
	case fieldState:
		a.State = state(text)
	case fieldCountry:
		a.Country = text
	case fieldPostal:
		code, ok := readPostal(text, r.home())
		if !ok {
			r.warn(c, reasonPostal)
			return
		}
		a.PostalCode = code
	}
}

// home is the country that a code or number without one belongs to: the record's own, else the import's.
func (r *row) home() string {
	for i := range r.m.Columns {
		c := &r.m.Columns[i]
		if c.Field == fieldCountry && c.In == "" && c.At <= len(r.cells) {
			switch text := strings.ToUpper(strings.TrimSpace(r.cells[c.At-1])); text {
			case "":
			case "US", "USA", "UNITED STATES", "UNITED STATES OF AMERICA":
				return "US"
			default:
				if len(text) == 2 {
					return text
				}
				return "other"
			}
		}
	}
	return r.c.Country
}

// contactOf adds the addresses or numbers of a cell. What cannot be written to is kept as such, so that somebody may mend it.
func (r *row) contactOf(c *Column, p *people.Core) {
	for _, text := range r.several(c) {
		k := people.ContactPoint{Channel: people.ChannelEmail, Use: c.Use}
		var err error
		if c.Field == fieldEmail {
			k.Normal, err = people.NormalEmail(text)
		} else {
			k.Channel = people.ChannelPhone
			if mangled(text) {
				r.warn(c, reasonMangled)
				continue
			}
			country := r.home()
			if len(country) != 2 {
				country = r.c.Country
			}
			k.Normal, err = people.NormalPhone(text, country)
		}
		var changed bool
		if k.Value, changed = people.CleanText(text, 320); changed {
			r.warn(c, reasonCut)
		}
		if err != nil {
			k.State = people.ContactInvalid
			if c.Field == fieldEmail {
				r.warn(c, reasonEmail)
			} else {
				r.warn(c, reasonPhone)
			}
		}
		if k.Value != "" {
			p.Contacts = append(p.Contacts, k)
		}
	}
}

// SourceSystem is the system of an identifier that the source itself gives.
const SourceSystem = "source"

func (r *row) identifierOf(c *Column, p *people.Core, change *people.Change) {
	text := r.number(c)
	if text == "" {
		return
	}
	x := people.Identifier{System: c.System, Value: text, Type: c.Type}
	if x.System == SourceSystem {
		x.System = "urn:carepost:source:" + r.c.Source
	}
	switch r.c.Whitelist.Judge(x) {
	case people.IdentifierStrong:
		p.Identifiers = append(p.Identifiers, x)
		change.Match = append(change.Match, x)
	case people.IdentifierKept:
		p.Identifiers = append(p.Identifiers, x)
	case people.IdentifierRefused:
		r.warn(c, reasonGovern)
	case people.IdentifierDropped:
	}
}

// detailOf takes the fields that stand alone.
func (r *row) detailOf(c *Column, p *people.Core, change *people.Change) {
	if slices.Contains(dated, c.Field) {
		r.dateOf(c, p, change)
		return
	}
	text := r.value(c)
	if text == "" {
		return
	}
	switch c.Field {
	case fieldSex:
		sex, ok := sexWords[strings.ToLower(text)]
		if !ok {
			r.warn(c, reasonWord)
		}
		p.Sex = sex
	case fieldLanguage:
		tag, ok := readLanguage(text)
		if !ok {
			r.warn(c, reasonWord)
		}
		if tag != "" && !slices.Contains(p.Languages, tag) {
			p.Languages = append(p.Languages, tag)
		}
	case fieldZone:
		if _, err := time.LoadLocation(text); err != nil || !strings.Contains(text, "/") || len(text) > 60 {
			r.warn(c, reasonWord)
			return
		}
		p.Zone = text
	case fieldDeceased, fieldActive:
		value, ok := readYes(text)
		switch {
		case !ok:
			r.warn(c, reasonWord)
		case c.Field == fieldDeceased:
			p.Deceased = p.Deceased || value
		default:
			change.Active = value
		}
	case fieldCustom:
		if looksLikeSSN(text) {
			r.warn(c, reasonGovern)
			return
		}
		clean, changed := people.CleanText(text, maxCell)
		if changed {
			r.warn(c, reasonCut)
		}
		if p.Custom == nil {
			p.Custom = map[string]string{}
		}
		if len(p.Custom) < maxCustom {
			p.Custom[c.Name] = clean
		}
	}
}

func (r *row) dateOf(c *Column, p *people.Core, change *people.Change) {
	m, ok := r.moment(c)
	if c.Field == fieldDied && !ok && r.value(c) != "" {
		p.Deceased = true // a death whose day cannot be read is a death
	}
	if !ok {
		return
	}
	switch c.Field {
	case fieldBirth:
		p.Birth = m.Date
	case fieldDied:
		p.Deceased, p.DeceasedOn = true, m.Date
	case fieldUpdated:
		change.Updated = m.At()
	}
}

// state gives the two letters of a state that is written out.
func state(text string) string {
	if short, known := stateNames[strings.ToLower(text)]; known {
		return short
	}
	return text
}

var stateNames = func() map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(`Alabama=AL Alaska=AK Arizona=AZ Arkansas=AR California=CA Colorado=CO Connecticut=CT Delaware=DE Florida=FL Georgia=GA Hawaii=HI Idaho=ID Illinois=IL Indiana=IN Iowa=IA Kansas=KS Kentucky=KY Louisiana=LA Maine=ME Maryland=MD Massachusetts=MA Michigan=MI Minnesota=MN Mississippi=MS Missouri=MO Montana=MT Nebraska=NE Nevada=NV New_Hampshire=NH New_Jersey=NJ New_Mexico=NM New_York=NY North_Carolina=NC North_Dakota=ND Ohio=OH Oklahoma=OK Oregon=OR Pennsylvania=PA Rhode_Island=RI South_Carolina=SC South_Dakota=SD Tennessee=TN Texas=TX Utah=UT Vermont=VT Virginia=VA Washington=WA West_Virginia=WV Wisconsin=WI Wyoming=WY District_of_Columbia=DC Puerto_Rico=PR Guam=GU American_Samoa=AS Virgin_Islands=VI`, " ") {
		name, short, _ := strings.Cut(pair, "=")
		all[strings.ToLower(strings.ReplaceAll(name, "_", " "))] = short
	}
	return all
}()
