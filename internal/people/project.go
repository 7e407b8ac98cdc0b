package people

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keepEvents is how far back a projection holds single event times; rules ask no further back than the first and the last ever.
const keepEvents = 400 * 24 * time.Hour

// Project gives a person's projection: a function of the core, the current facts, the standing events and the consents. Adding
// events one by one gives the same as building anew.
func Project(core *Core, facts []Fact, events []Event, consents []ProjectedConsent, now time.Time) Projection {
	p := Projection{
		Kind: core.Kind, Sex: core.Sex, Zone: core.Zone, Deceased: core.Deceased, Custom: maps.Clone(core.Custom),
		HasEmail: reachable(core, ChannelEmail), HasPhone: reachable(core, ChannelPhone),
	}
	if core.Inactive {
		p.Kind = 0
	}
	if !slices.Contains(core.Placeholder, PlaceholderBirthField) {
		p.Birth = core.Birth
	}
	if len(core.Languages) > 0 {
		p.Language = core.Languages[0]
	}
	for _, a := range core.Addresses {
		if a.Use != useOld {
			p.State, p.Country = strings.ToUpper(a.State), country(a.Country)
			p.Postal = strings.ToUpper(strings.ReplaceAll(a.PostalCode, " ", ""))
			break
		}
	}
	p.projectFacts(facts)
	p.Consents = slices.Clone(consents)
	slices.SortFunc(p.Consents, byText(func(c ProjectedConsent) string { return c.Name }))
	p.addEvents(events, now)
	return p
}

func reachable(core *Core, ch Channel) bool {
	return slices.ContainsFunc(core.Contacts, func(c ContactPoint) bool {
		return c.Channel == ch && c.State == ContactUsable && c.Normal != ""
	})
}

func country(text string) string {
	switch t := strings.ToUpper(strings.ReplaceAll(text, ".", "")); t {
	case "USA", "UNITED STATES", "UNITED STATES OF AMERICA":
		return "US"
	default:
		return t
	}
}

func (p *Projection) projectFacts(facts []Fact) {
	sources := map[string]bool{}
	lists := map[FactKind]map[Code]*ProjectedCode{}
	labs := map[Code]lab{}
	for i := range facts {
		f := &facts[i]
		sources[f.Source] = true
		switch f.Kind {
		case FactObservation:
			projectLabs(labs, f)
		case FactEncounter:
			p.InPatient = p.InPatient || f.State == StateActive && f.Text[TextClass] == "IMP" && f.End.IsZero()
		case FactAppointment:
			if f.State == StateBooked && !f.Start.IsZero() {
				p.Appointments = append(p.Appointments, ProjectedAppointment{Start: f.Start.Unix(), Type: f.Text[TextType]})
			}
		case FactCoverage:
			if f.State == StateActive && f.Text[TextInsurance] != "" {
				p.Coverages = append(p.Coverages, ProjectedCoverage{Kind: f.Text[TextInsurance], Start: f.Start.Days(), End: f.End.Date.Last().Days()})
			}
		case FactCondition, FactMedication, FactProcedure, FactImmunization, FactAllergy:
			if said(f) {
				if lists[f.Kind] == nil {
					lists[f.Kind] = map[Code]*ProjectedCode{}
				}
				projectCodes(lists[f.Kind], f)
			}
		case FactDispense, FactConsent, FactProxy, FactProfile:
		}
	}
	p.Sources = slices.Sorted(maps.Keys(sources))
	p.Conditions, p.Medications = sorted(lists[FactCondition]), sorted(lists[FactMedication])
	p.Procedures, p.Immunizations = sorted(lists[FactProcedure]), sorted(lists[FactImmunization])
	p.Allergies = sorted(lists[FactAllergy])
	for c, l := range labs {
		p.Labs = append(p.Labs, ProjectedLab{
			System: c.System, Code: c.Code, Comparator: l.q.Comparator, Unit: l.q.Unit, Value: l.value, At: l.at,
		})
	}
	slices.SortFunc(p.Labs, func(a, b ProjectedLab) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Code, b.Code))
	})
	slices.SortFunc(p.Appointments, func(a, b ProjectedAppointment) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Type, b.Type))
	})
	slices.SortFunc(p.Coverages, func(a, b ProjectedCoverage) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.End, b.End))
	})
}

// said tells whether a fact says of the person that the coded thing is or was so.
func said(f *Fact) bool {
	switch f.State {
	case StateActive, StateInactive, StateCompleted:
		return true
	case StateUnknown:
		return f.Kind != FactProcedure && f.Kind != FactImmunization
	case StateCancelled, StateRefuted, StateError, StateBooked, StateMissed, StateKept, StateNotDone, StateProposed:
	}
	return false
}

// projectCodes adds a fact's codings: one entry per code. A code is active when any of its facts is; then it has no end.
func projectCodes(list map[Code]*ProjectedCode, f *Fact) {
	start, end := f.Start.Days(), f.End.Date.Last().Days()
	for _, c := range f.Codes {
		key := Code{System: c.System, Code: c.Code}
		e := list[key]
		if e == nil {
			e = &ProjectedCode{System: c.System, Code: c.Code, Start: start, End: end}
			list[key] = e
		}
		e.Active = e.Active || f.State == StateActive
		switch {
		case start == 0:
		case e.Start == 0, f.Kind == FactCondition && start < e.Start, f.Kind != FactCondition && start > e.Start:
			e.Start = start // a condition since its onset; anything else as of its last time
		}
		e.End = max(e.End, end)
	}
}

func sorted(list map[Code]*ProjectedCode) []ProjectedCode {
	if len(list) == 0 {
		return nil
	}
	all := make([]ProjectedCode, 0, len(list))
	for _, e := range list {
		if e.Active {
			e.End = 0
		}
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b ProjectedCode) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Code, b.Code))
	})
	return all
}

type lab struct {
	q        Quantity
	value    float64
	at       int64
	updated  int64
	resource string
}

// projectLabs adds a result and its components; the latest by the time of the specimen counts, not the latest to arrive.
func projectLabs(labs map[Code]lab, f *Fact) {
	if f.State != StateCompleted || f.Start.IsZero() {
		return
	}
	for _, c := range f.Codes {
		addLab(labs, Code{System: c.System, Code: c.Code}, f.Value, f)
	}
	for k, text := range f.Text {
		rest, ok := strings.CutPrefix(k, TextComponent)
		if !ok {
			continue
		}
		system, code, _ := strings.Cut(rest, ":")
		if at := strings.LastIndex(rest, ":"); at > 0 { // a system that is a URI has colons of its own
			system, code = rest[:at], rest[at+1:]
		}
		value, unit, _ := strings.Cut(text, " ")
		comparator := value[:len(value)-len(strings.TrimLeft(value, "<>="))]
		addLab(labs, Code{System: system, Code: code}, Quantity{Comparator: comparator, Value: value[len(comparator):], Unit: unit}, f)
	}
}

func addLab(labs map[Code]lab, c Code, q Quantity, f *Fact) {
	v, err := strconv.ParseFloat(q.Value, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return
	}
	next := lab{q, v, f.Start.Unix(), 0, f.Source + " " + f.Resource}
	if !f.Updated.IsZero() {
		next.updated = f.Updated.UnixMilli()
	}
	old, known := labs[c]
	if !known || cmp.Or(cmp.Compare(next.at, old.at), cmp.Compare(next.updated, old.updated), cmp.Compare(next.resource, old.resource)) > 0 {
		labs[c] = next
	}
}

// addEvents adds standing events and forgets what is out of reach at now.
func (p *Projection) addEvents(events []Event, now time.Time) {
	kinds := make(map[string]*ProjectedEvents, len(p.Events))
	for i := range p.Events {
		kinds[p.Events[i].Kind] = &p.Events[i]
	}
	for i := range events {
		e := &events[i]
		if e.Retracts {
			continue
		}
		k := kinds[e.Kind]
		if k == nil {
			k = &ProjectedEvents{Kind: e.Kind}
			kinds[e.Kind] = k
		}
		at := e.At.Unix()
		if e.Machine {
			k.Machine = append(k.Machine, at)
			continue
		}
		if k.First == 0 || at < k.First {
			k.First = at
		}
		if k.Last == 0 || at > k.Last {
			k.Last = at
		}
		k.Times = append(k.Times, at)
	}
	oldest := now.Add(-keepEvents).Unix()
	all := make([]ProjectedEvents, 0, len(kinds))
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		k := *kinds[name]
		k.Times, k.Machine = recent(k.Times, oldest), recent(k.Machine, oldest)
		if k.First != 0 || len(k.Machine) > 0 {
			all = append(all, k)
		}
	}
	p.Events = all
	p.Appointments = slices.DeleteFunc(p.Appointments, func(a ProjectedAppointment) bool { return a.Start <= now.Unix() })
	if len(p.Appointments) == 0 {
		p.Appointments = nil
	}
	p.Insurance = insurance(p.Coverages, now)
}

func recent(times []int64, oldest int64) []int64 {
	times = slices.DeleteFunc(slices.Clone(times), func(t int64) bool { return t <= oldest })
	if len(times) == 0 {
		return nil
	}
	slices.Sort(times)
	return times
}

// insurance gives the kind of the coverage that holds at now: of several the one that began last.
func insurance(all []ProjectedCoverage, now time.Time) string {
	return insuranceOn(all, DateOf(now.UTC()).Days())
}

func insuranceOn(all []ProjectedCoverage, today int32) (kind string) {
	for _, c := range all { // sorted by start
		if c.Start <= today && (c.End == 0 || today <= c.End) {
			kind = c.Kind
		}
	}
	return kind
}

// strictest gives, for each name, the consent that allows least: for a person with merged records.
func strictest(lists ...[]ProjectedConsent) []ProjectedConsent {
	byName := map[string]ProjectedConsent{}
	for _, list := range lists {
		for _, c := range list {
			old, known := byName[c.Name]
			if !known || strictness(c) > strictness(old) || strictness(c) == strictness(old) && sooner(c.Until, old.Until) {
				byName[c.Name] = c
			}
		}
	}
	var all []ProjectedConsent
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

func strictness(c ProjectedConsent) int {
	switch c.State {
	case "refused", "revoked":
		return 3
	case "expired":
		return 2
	case "given":
		return 1
	}
	return 4 // a state we do not know allows nothing
}

func sooner(a, b int32) bool { return a != 0 && (b == 0 || a < b) }

// projectFamily gives the projection of a survivor: its own profile, and the facts and events of everyone merged into it. That one
// record says the person has died, or refuses, is enough.
func projectFamily(root *member, family []*member, facts []Fact, events []Event, now time.Time) Projection {
	core := unpackCore(root.core)
	consents := make([][]ProjectedConsent, 0, len(family))
	for _, m := range family {
		core.Deceased = core.Deceased || m.core.GetProfile().GetDeceased()
		consents = append(consents, unpackConsents(m.core.GetConsents()))
	}
	return Project(&core, facts, events, strictest(consents...), now)
}
