package people

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestDerive(t *testing.T) {
	text := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for _, c := range []struct {
		name  string
		facts []Fact
		want  string // kinds with their days
	}{
		{"a no-show in the past", []Fact{{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1", Start: day("2026-11-10T14:30:00-06:00")}}, "appointment.missed 2026-11-10"},
		{"a no-show to come is no no-show", []Fact{{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1", Start: day("2026-12-10T14:30:00-06:00")}}, ""},
		{"a no-show without a start", []Fact{{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1"}}, ""},
		{"a no-show of a day with a visit", []Fact{
			{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1", Start: day("2026-11-10T23:30:00-06:00")},
			{Kind: FactEncounter, State: StateCompleted, Resource: "Encounter/1", Start: day("2026-11-10T08:00:00-06:00"), Text: text(TextClass, "AMB")},
		}, "visit.finished 2026-11-10"},
		{"a no-show of a day with another appointment kept", []Fact{
			{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1", Start: day("2026-11-10T09:00:00-06:00")},
			{Kind: FactAppointment, State: StateKept, Resource: "Appointment/2", Start: day("2026-11-10T08:00:00-06:00")},
		}, "appointment.kept 2026-11-10"},
		{"booked and past says nothing", []Fact{{Kind: FactAppointment, State: StateBooked, Resource: "Appointment/1", Start: day("2026-11-10T14:30:00-06:00")}}, ""},
		{"booked, with the time of booking", []Fact{{Kind: FactAppointment, State: StateBooked, Resource: "Appointment/1", Start: day("2026-12-10T14:30:00-06:00"), Text: text(TextMade, "2026-11-01")}}, "appointment.booked 2026-11-01"},
		{"booked, as of the source's last change", []Fact{{Kind: FactAppointment, State: StateBooked, Resource: "Appointment/1", Start: day("2026-12-10"), Updated: day("2026-11-02T00:00:00Z").Time}}, "appointment.booked 2026-11-02"},
		{"proposed is not booked", []Fact{{Kind: FactAppointment, State: StateProposed, Resource: "Appointment/1", Text: text(TextMade, "2026-11-01")}}, ""},
		{"cancelled", []Fact{{Kind: FactAppointment, State: StateCancelled, Resource: "Appointment/1", Start: day("2026-11-12"), Updated: day("2026-11-05T00:00:00Z").Time}}, "appointment.cancelled 2026-11-05"},
		{"entered in error", []Fact{{Kind: FactAppointment, State: StateError, Resource: "Appointment/1", Start: day("2026-11-12"), Text: text(TextMade, "2026-11-01")}}, ""},
		{"a virtual visit", []Fact{{Kind: FactEncounter, State: StateCompleted, Resource: "Encounter/1", Start: day("2025-09-01"), Text: text(TextClass, "VR")}}, "visit.finished 2025-09-01"},
		{"a general examination", []Fact{{Kind: FactEncounter, State: StateCompleted, Resource: "Encounter/1", Start: day("2025-09-01"), Text: text(TextClass, "AMB"), Codes: []Code{{System: "icd10cm", Code: "Z0000"}}}}, "visit.finished 2025-09-01, visit.wellness 2025-09-01"},
		{"an emergency is no visit", []Fact{{Kind: FactEncounter, State: StateCompleted, Resource: "Encounter/1", Start: day("2025-09-01"), Text: text(TextClass, "EMER")}}, "visit.emergency 2025-09-01"},
		{"a stay that goes on", []Fact{{Kind: FactEncounter, State: StateActive, Resource: "Encounter/1", Start: day("2026-11-23"), Text: text(TextClass, "IMP")}}, ""},
		{"handed over", []Fact{{Kind: FactDispense, State: StateCompleted, Resource: "MedicationDispense/1", Start: day("2026-11-03")}}, "rx.dispensed 2026-11-03"},
		{"prepared only", []Fact{{Kind: FactDispense, State: StateUnknown, Resource: "MedicationDispense/1"}}, ""},
		{"returned to stock", []Fact{{Kind: FactDispense, State: StateCancelled, Resource: "MedicationDispense/1", Start: day("2026-11-03")}}, ""},
		{"an order", []Fact{{Kind: FactMedication, State: StateActive, Resource: "MedicationRequest/1", Start: day("2026-11-01")}}, "rx.prescribed 2026-11-01"},
		{"a plan", []Fact{{Kind: FactMedication, State: StateProposed, Resource: "MedicationRequest/1", Start: day("2026-11-01")}}, ""},
		{"a lab", []Fact{{Kind: FactObservation, State: StateCompleted, Resource: "Observation/1", Start: day("2026-09-01"), Text: text(TextCategory, "laboratory")}}, "lab.new 2026-09-01"},
		{"a vital sign", []Fact{{Kind: FactObservation, State: StateCompleted, Resource: "Observation/1", Start: day("2026-09-01"), Text: text(TextCategory, "vital-signs")}}, ""},
		{"a preliminary lab", []Fact{{Kind: FactObservation, State: StateProposed, Resource: "Observation/1", Start: day("2026-09-01")}}, ""},
		{"a shot", []Fact{{Kind: FactImmunization, State: StateCompleted, Resource: "Immunization/1", Start: day("2025-10-03")}}, "immunization.given 2025-10-03"},
		{"a shot refused", []Fact{{Kind: FactImmunization, State: StateNotDone, Resource: "Immunization/1", Start: day("2025-10-03")}}, "immunization.refused 2025-10-03"},
		{"a shot refused nobody knows when", []Fact{{Kind: FactImmunization, State: StateNotDone, Resource: "Immunization/1"}}, ""},
		{"a mammogram", []Fact{{Kind: FactProcedure, State: StateCompleted, Resource: "Procedure/1", Start: day("2025-10-03"), Codes: []Code{{System: "hcpcs", Code: "G0202"}}}}, "procedure.done 2025-10-03, procedure.mammogram 2025-10-03"},
		{"a condition is no event", []Fact{{Kind: FactCondition, State: StateActive, Resource: "Condition/1", Start: day("2019-03")}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, e := range Derive(c.facts, DefaultVocabulary(), now) {
				got = append(got, e.Kind+" "+DateOf(e.At).String())
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%q, want %q", strings.Join(got, ", "), c.want)
			}
			slices.Reverse(c.facts)
			if again := Derive(c.facts, DefaultVocabulary(), now); len(again) != len(got) {
				t.Error("the order of facts makes a difference")
			}
		})
	}
}
