package csv

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/carepost/carepost/internal/people"
)

var factKinds = map[string]people.FactKind{
	"condition": people.FactCondition, "medication": people.FactMedication, "dispense": people.FactDispense, "observation": people.FactObservation,
	"procedure": people.FactProcedure, "immunization": people.FactImmunization, "encounter": people.FactEncounter, "appointment": people.FactAppointment,
	"coverage": people.FactCoverage, "allergy": people.FactAllergy,
}

// states are the words of a mapping, and the usual ones of files.
var states = map[string]people.FactState{
	"unknown": people.StateUnknown, "active": people.StateActive, "inactive": people.StateInactive, "resolved": people.StateInactive,
	"completed": people.StateCompleted, "final": people.StateCompleted, "finished": people.StateCompleted, "given": people.StateCompleted,
	"stopped": people.StateInactive, "ended": people.StateInactive, "cancelled": people.StateCancelled, "canceled": people.StateCancelled,
	"refuted": people.StateRefuted, "error": people.StateError, "entered in error": people.StateError,
	"booked": people.StateBooked, "scheduled": people.StateBooked, "confirmed": people.StateBooked,
	"missed": people.StateMissed, "no show": people.StateMissed, "no-show": people.StateMissed, "noshow": people.StateMissed,
	"kept": people.StateKept, "arrived": people.StateKept, "checked in": people.StateKept, "checked out": people.StateKept,
	"not done": people.StateNotDone, "refused": people.StateNotDone, "proposed": people.StateProposed, "planned": people.StateProposed,
}

// facts adds the facts of a record: one for each code of a cell that holds several.
func (r *row) facts(change *people.Change) {
	for i := range r.m.Facts {
		r.fact(&r.m.Facts[i], change)
	}
}

func (r *row) fact(spec *Fact, change *people.Change) {
	f := people.Fact{Kind: factKinds[spec.Kind], State: states[spec.State], Source: r.c.Source, Updated: change.Updated, Text: map[string]string{}}
	if spec.Class != "" {
		f.Text[people.TextClass] = spec.Class
	}
	var (
		codes []string
		of    *Column
		key   string
		says  bool
	)
	system := spec.System
	for i := range r.m.Columns {
		c := &r.m.Columns[i]
		if c.In != spec.Name {
			continue
		}
		switch c.Field {
		case fieldCode:
			codes, of = r.several(c), c
			if c.System != "" {
				system = c.System
			}
			says = says || len(codes) > 0
		case fieldSystem:
			if text := r.value(c); text != "" {
				system = alias(text)
			}
		case fieldID:
			key = r.value(c)
		default:
			says = r.partOf(c, spec, &f) || says
		}
	}
	if !says {
		return
	}
	if spec.Code != "" {
		codes = []string{spec.Code}
	}
	if f.Kind == people.FactAppointment || f.Kind == people.FactEncounter {
		if f.Start.IsZero() {
			return // a visit without a day is none
		}
	}
	if len(codes) == 0 {
		if f.Kind != people.FactAppointment && f.Kind != people.FactEncounter && f.Kind != people.FactCoverage {
			return
		}
		f.Resource = r.resource(spec, key, f.Start, "")
		change.Facts = append(change.Facts, f)
		return
	}
	for _, text := range codes {
		code, ok := readCode(text, system)
		if !ok {
			if of != nil {
				r.warn(of, reasonCode)
			}
			continue
		}
		one := f
		if code.Display == "" {
			code.Display = f.Text[people.TextLabel]
		}
		one.Codes = []people.Code{code}
		one.Resource = r.resource(spec, key, f.Start, code.System+":"+code.Code)
		change.Facts = append(change.Facts, one)
	}
}

// partOf takes a column into a fact, and tells whether it says that there is one.
func (r *row) partOf(c *Column, spec *Fact, f *people.Fact) bool {
	switch c.Field {
	case fieldStart, fieldEnd:
		m, ok := r.moment(c)
		if c.Field == fieldStart {
			f.Start = m
		} else if f.End = m; ok && f.Kind == people.FactCondition {
			f.State = people.StateInactive
		}
		return ok && c.Field == fieldStart
	}
	text := r.value(c)
	if text == "" {
		return false
	}
	switch c.Field {
	case fieldStatus:
		state, known := states[strings.ToLower(text)]
		if !known {
			r.warn(c, reasonWord) // unmapped is unknown, never guessed
			f.State = people.StateUnknown
			return false
		}
		f.State = state
	case fieldDisplay:
		f.Text[people.TextLabel], _ = people.CleanText(text, maxCell)
	case fieldClass:
		f.Text[people.TextClass] = strings.ToUpper(text)
	case fieldKindOf:
		f.Text[people.TextType], _ = people.CleanText(text, maxCell)
	case fieldPayor:
		f.Text[people.TextPayor], _ = people.CleanText(text, maxCell)
		f.Text[people.TextInsurance] = insurance(text)
		return true
	case fieldUnit:
		f.Value.Unit = text
	case fieldValue:
		q, ok := readQuantity(text, spec.Unit)
		if !ok {
			r.warn(c, reasonNumber)
			return false
		}
		if f.Value.Unit != "" {
			q.Unit = f.Value.Unit
		}
		f.Value = q
	}
	return false
}

// resource gives the key of a fact: the source's own, or one that the same record makes again. Of the appointment ahead there is one.
func (r *row) resource(spec *Fact, key string, start people.Moment, code string) string {
	if key != "" {
		return spec.Kind + "/" + r.m.Name + "/" + key + "/" + code
	}
	parts := []string{r.m.Name, r.subject, spec.Name, code}
	if spec.Kind != "appointment" {
		parts = append(parts, start.Date.String())
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return spec.Kind + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// events adds the events of a record.
func (r *row) events(change *people.Change) {
	for i := range r.m.Events {
		spec := &r.m.Events[i]
		e := people.Event{Kind: spec.Kind, Source: r.c.Source}
		for j := range r.m.Columns {
			c := &r.m.Columns[j]
			if c.In != spec.Name {
				continue
			}
			if c.Field == fieldID {
				e.Key = r.value(c)
			} else if m, ok := r.moment(c); ok {
				e.At = m.At()
			}
		}
		if e.At.IsZero() || e.At.After(r.c.Received) {
			continue
		}
		if e.Key == "" {
			sum := sha256.Sum256([]byte(r.m.Name + "\x00" + r.subject + "\x00" + spec.Kind + "\x00" + e.At.String()))
			e.Key = base64.RawURLEncoding.EncodeToString(sum[:16])
		}
		e.Key = "event/" + spec.Kind + "/" + e.Key
		change.Events = append(change.Events, e)
	}
}

// alias gives our name of a code system.
func alias(text string) string {
	switch lower := strings.ToLower(text); lower {
	case "http://snomed.info/sct", "snomed", "snomed-ct", "snomedct":
		return "snomed"
	case "http://hl7.org/fhir/sid/icd-10-cm", "icd-10-cm", "icd10", "icd-10", "icd10cm":
		return "icd10cm"
	case "http://www.nlm.nih.gov/research/umls/rxnorm", "rxnorm":
		return "rxnorm"
	case "http://loinc.org", "loinc":
		return "loinc"
	case "http://hl7.org/fhir/sid/cvx", "cvx":
		return "cvx"
	case "http://hl7.org/fhir/sid/ndc", "ndc":
		return "ndc"
	default:
		return lower
	}
}

// insurance gives the kind of a coverage by its payor's name; empty when the name does not say it.
func insurance(payor string) string {
	lower := strings.ToLower(payor)
	for _, x := range [][2]string{
		{"medicare", "medicare"},
		{"medicaid", "medicaid"},
		{"self pay", "self-pay"},
		{"self-pay", "self-pay"},
		{"selfpay", "self-pay"},
		{"commercial", "commercial"},
		{"blue cross", "commercial"},
		{"aetna", "commercial"},
		{"cigna", "commercial"},
		{"united health", "commercial"},
		{"humana", "commercial"},
	} {
		if strings.Contains(lower, x[0]) {
			return x[1]
		}
	}
	return ""
}
