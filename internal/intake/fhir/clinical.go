package fhir

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// one makes the fact of a resource and leaves out empty texts.
func one(f people.Fact) []people.Fact {
	for k, v := range f.Text {
		if v == "" {
			delete(f.Text, k)
		}
	}
	return []people.Fact{f}
}

// state reads a status by its value set; a value outside of it is unknown, and said so.
func (r *resource) state(name string, of map[string]people.FactState) people.FactState {
	status := strings.ToLower(get[string](r, name))
	s, ok := of[status]
	if !ok && status != "" && status != "unknown" {
		r.warn(name, reasonCode)
	}
	return s
}

// clinicalStates reads clinicalStatus and verificationStatus of a condition or an allergy. What is refuted or entered in error was
// never so; what is provisional, differential or unconfirmed is a guess that no message may be built on.
func (r *resource) clinicalState(over bool) people.FactState {
	switch get[concept](r, "verificationStatus").code() {
	case "refuted":
		return people.StateRefuted
	case "entered-in-error":
		return people.StateError
	case "provisional", "differential", "unconfirmed":
		return people.StateProposed
	case "confirmed", "":
	default:
		r.warn("verificationStatus", reasonCode)
	}
	switch get[concept](r, "clinicalStatus").code() {
	case "active", "recurrence", "relapse":
		return people.StateActive
	case "inactive", "remission", "resolved":
		return people.StateInactive
	case "":
		if over {
			return people.StateInactive
		}
	default:
		r.warn("clinicalStatus", reasonCode)
	}
	return people.StateUnknown
}

func condition(r *resource, _ *mapping) []people.Fact {
	code := get[concept](r, "code")
	f := people.Fact{Kind: people.FactCondition, Codes: r.codes("code", code), Text: map[string]string{people.TextLabel: r.text("code", code.label())}}
	f.Start, f.End = r.onset()
	f.State = r.clinicalState(!f.End.IsZero() || r.raw("abatementAge") != nil || r.raw("abatementString") != nil)
	for _, c := range list[concept](r, "category") {
		f.Text[people.TextCategory] = c.code()
	}
	return one(f)
}

func (r *resource) onset() (start, end people.Moment) {
	start = r.moment("onsetDateTime", get[string](r, "onsetDateTime"))
	if p := get[period](r, "onsetPeriod"); p != (period{}) {
		start = r.moment("onsetPeriod", p.Start)
	}
	if start.IsZero() {
		start = r.moment("recordedDate", get[string](r, "recordedDate"))
	}
	end = r.moment("abatementDateTime", get[string](r, "abatementDateTime"))
	if p := get[period](r, "abatementPeriod"); p != (period{}) {
		if p.End == "" {
			p.End = p.Start
		}
		end = r.moment("abatementPeriod", p.End)
	}
	return start, end
}

func allergy(r *resource, _ *mapping) []people.Fact {
	code := get[concept](r, "code")
	f := people.Fact{Kind: people.FactAllergy, Codes: r.codes("code", code), Text: map[string]string{people.TextLabel: r.text("code", code.label())}}
	f.Start, _ = r.onset()
	f.State = r.clinicalState(false)
	return one(f)
}

var observationStates = map[string]people.FactState{
	"final": people.StateCompleted, "amended": people.StateCompleted, "corrected": people.StateCompleted, "preliminary": people.StateProposed,
	"registered": people.StateProposed, "cancelled": people.StateCancelled, "entered-in-error": people.StateError,
}

type component struct {
	Code          concept   `json:"code"`
	ValueQuantity *quantity `json:"valueQuantity"`
}

func observation(r *resource, _ *mapping) []people.Fact {
	code := get[concept](r, "code")
	f := people.Fact{
		Kind: people.FactObservation, State: r.state("status", observationStates), Codes: r.codes("code", code),
		Text: map[string]string{people.TextLabel: r.text("code", code.label())},
	}
	for _, c := range list[concept](r, "category") {
		if f.Text[people.TextCategory] == "" || c.code() == "laboratory" {
			f.Text[people.TextCategory] = c.code()
		}
	}
	f.Start = r.moment("effectiveDateTime", get[string](r, "effectiveDateTime"))
	switch p := get[period](r, "effectivePeriod"); {
	case p.Start != "":
		f.Start, f.End = r.moment("effectivePeriod", p.Start), r.moment("effectivePeriod", p.End)
	case p.End != "":
		f.Start = r.moment("effectivePeriod", p.End)
	}
	if f.Start.IsZero() {
		f.Start = r.moment("effectiveInstant", get[string](r, "effectiveInstant"))
	}
	if issued := r.moment("issued", get[string](r, "issued")); !issued.IsZero() {
		f.Text[people.TextMade] = issued.At().Format(time.RFC3339)
		if f.Start.IsZero() {
			f.Start = issued
		}
	}
	r.value(&f)
	for _, c := range list[concept](r, "interpretation") {
		if len(c.Coding) > 0 {
			f.Text[people.TextInterpreted] = r.text("interpretation", c.Coding[0].Code)
		}
	}
	for _, c := range list[component](r, "component") {
		q, ok := r.quantity("component", c.ValueQuantity)
		if !ok {
			continue
		}
		for _, x := range r.codes("component", c.Code) {
			f.Text[people.TextComponent+x.System+":"+x.Code] = strings.TrimSpace(q.Comparator + q.Value + " " + q.Unit)
		}
	}
	return one(f)
}

// value reads value[x]. A text is no number, also when it looks like one: "8,1 %" is kept as text.
func (r *resource) value(f *people.Fact) {
	if q := get[*quantity](r, "valueQuantity"); q != nil {
		f.Value, _ = r.quantity("valueQuantity", q)
		return
	}
	if n := r.raw("valueInteger"); n != nil {
		if q, ok := r.quantity("valueInteger", &quantity{Value: json.Number(n)}); ok {
			f.Value = q
		}
		return
	}
	switch {
	case r.raw("valueString") != nil:
		f.Text[people.TextValue] = r.text("valueString", get[string](r, "valueString"))
	case r.raw("valueCodeableConcept") != nil:
		f.Text[people.TextValue] = r.text("valueCodeableConcept", get[concept](r, "valueCodeableConcept").label())
	case r.raw("valueBoolean") != nil:
		f.Text[people.TextValue] = string(r.raw("valueBoolean"))
	}
}

// quantity reads a quantity with its comparator (">14" is not 14) and its unit, in UCUM when the source says it.
func (r *resource) quantity(name string, q *quantity) (people.Quantity, bool) {
	if q == nil || q.Value == "" {
		return people.Quantity{}, false
	}
	switch q.Comparator {
	case "", "<", "<=", ">", ">=":
	default:
		r.warn(name+".comparator", reasonCode)
		return people.Quantity{}, false
	}
	value := q.Value.String()
	if len(value) > 32 {
		r.warn(name, reasonCut)
		return people.Quantity{}, false
	}
	unit := q.Unit
	if strings.TrimSuffix(q.System, "/") == "http://unitsofmeasure.org" && q.Code != "" {
		unit = q.Code
	}
	return people.Quantity{Comparator: q.Comparator, Value: value, Unit: r.text(name, unit)}, true
}

var procedureStates = map[string]people.FactState{
	"preparation": people.StateProposed, "in-progress": people.StateActive, "not-done": people.StateNotDone, "on-hold": people.StateProposed,
	"stopped": people.StateCancelled, "completed": people.StateCompleted, "entered-in-error": people.StateError,
}

func procedure(r *resource, _ *mapping) []people.Fact {
	code := get[concept](r, "code")
	f := people.Fact{
		Kind: people.FactProcedure, State: r.state("status", procedureStates), Codes: r.codes("code", code),
		Text: map[string]string{people.TextLabel: r.text("code", code.label()), people.TextReason: r.text("statusReason", get[concept](r, "statusReason").code())},
	}
	f.Start = r.moment("performedDateTime", get[string](r, "performedDateTime"))
	if p := get[period](r, "performedPeriod"); p != (period{}) {
		f.Start, f.End = r.moment("performedPeriod", p.Start), r.moment("performedPeriod", p.End)
	}
	return one(f)
}

var immunizationStates = map[string]people.FactState{
	"completed": people.StateCompleted, "not-done": people.StateNotDone, "entered-in-error": people.StateError,
}

func immunization(r *resource, _ *mapping) []people.Fact {
	code := get[concept](r, "vaccineCode")
	f := people.Fact{
		Kind: people.FactImmunization, State: r.state("status", immunizationStates), Codes: r.codes("vaccineCode", code),
		Start: r.moment("occurrenceDateTime", get[string](r, "occurrenceDateTime")),
		Text: map[string]string{
			people.TextLabel: r.text("vaccineCode", code.label()), people.TextReason: r.text("statusReason", get[concept](r, "statusReason").code()),
		},
	}
	return one(f)
}
