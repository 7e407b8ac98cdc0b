package fhir

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/people"
)

var requestStates = map[string]people.FactState{
	"active": people.StateActive, "on-hold": people.StateInactive, "ended": people.StateCompleted, "completed": people.StateCompleted,
	"stopped": people.StateInactive, "cancelled": people.StateCancelled, "entered-in-error": people.StateError, "draft": people.StateProposed,
}

// medicationRequest maps an order. A plan, a proposal and what the patient reports are no prescription.
func medicationRequest(r *resource, m *mapping) []people.Fact {
	f := people.Fact{
		Kind: people.FactMedication, State: r.state("status", requestStates), Start: r.moment("authoredOn", get[string](r, "authoredOn")), Text: map[string]string{},
	}
	f.Codes = m.medication(r, &f)
	switch intent := get[string](r, "intent"); {
	case f.State == people.StateError:
	case intent == "plan" || intent == "proposal" || intent == "option" || get[bool](r, "reportedBoolean"):
		f.State = people.StateProposed
	case get[bool](r, "doNotPerform"):
		f.State = people.StateNotDone
	}
	supply := get[struct {
		Expected quantity `json:"expectedSupplyDuration"`
	}](r, "dispenseRequest")
	f.Text[people.TextDaysSupply] = days(supply.Expected)
	return one(f)
}

var dispenseStates = map[string]people.FactState{
	"preparation": people.StateActive, "in-progress": people.StateActive, "on-hold": people.StateActive, "cancelled": people.StateCancelled,
	"completed": people.StateCompleted, "stopped": people.StateCancelled, "declined": people.StateNotDone, "entered-in-error": people.StateError,
}

// medicationDispense maps a dispense. Prepared is not picked up: without whenHandedOver nobody knows that the patient has it.
func medicationDispense(r *resource, m *mapping) []people.Fact {
	f := people.Fact{
		Kind: people.FactDispense, State: r.state("status", dispenseStates), Start: r.moment("whenHandedOver", get[string](r, "whenHandedOver")),
		Text: map[string]string{people.TextReason: r.text("statusReason", get[concept](r, "statusReasonCodeableConcept").label())},
	}
	f.Codes = m.medication(r, &f)
	if f.State == people.StateCompleted && f.Start.IsZero() {
		f.State = people.StateUnknown
	}
	for _, ref := range list[reference](r, "authorizingPrescription") {
		if t, ok := ref.resolve("MedicationRequest"); ok && t.key != "" {
			f.Text[people.TextRequest] = t.key
			break
		}
	}
	f.Text[people.TextDaysSupply] = days(get[quantity](r, "daysSupply"))
	return one(f)
}

// days gives a duration in whole days.
func days(q quantity) string {
	n, err := q.Value.Float64()
	if err != nil || n <= 0 || n > 10000 {
		return ""
	}
	switch unit := strings.ToLower(q.Code + q.Unit); {
	case q.Code == "wk", q.Code == "" && strings.HasPrefix(unit, "week"):
		n *= 7
	case q.Code == "mo", q.Code == "" && strings.HasPrefix(unit, "month"):
		n *= 30
	}
	return strconv.Itoa(int(n))
}

// medication gives the codes of medication[x]: in place, contained, or in another message of the source.
func (m *mapping) medication(r *resource, f *people.Fact) []people.Code {
	what := get[concept](r, "medicationCodeableConcept")
	if ref := get[reference](r, "medicationReference"); ref.Reference != "" {
		if body, ok := m.referred(r, ref); ok {
			if med, err := parse(body); err == nil {
				what = get[concept](med, "code")
				for _, w := range med.warnings {
					r.warn("medicationReference."+w.Field, w.Reason)
				}
			}
		} else if what.label() == "" && len(what.Coding) == 0 {
			what.Text = ref.Display
			r.warn("medicationReference", intake.ReasonWaits)
		}
	}
	f.Text[people.TextLabel] = r.text("medication", what.label())
	return r.codes("medication", what)
}

func (m *mapping) referred(r *resource, ref reference) ([]byte, bool) {
	if name, inside := strings.CutPrefix(ref.Reference, "#"); inside {
		for _, raw := range list[json.RawMessage](r, "contained") {
			var head struct {
				ID string `json:"id"`
			}
			if json.Unmarshal(raw, &head) == nil && head.ID == name {
				return raw, true
			}
		}
		return nil, false
	}
	t, ok := ref.resolve("Medication")
	if !ok || t.key == "" || m.Look == nil {
		return nil, false
	}
	return m.Look(t.key)
}
