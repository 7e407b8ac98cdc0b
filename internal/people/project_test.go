package people

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestProjectFacts(t *testing.T) {
	icd := func(code string) []Code { return []Code{{System: "icd10cm", Code: code}} }
	loinc := []Code{{System: "loinc", Code: "4548-4"}}
	core := amara("Patient/p1", "1").Profile
	p := Project(core, []Fact{
		{Kind: FactCondition, State: StateActive, Resource: "1", Source: "ehr", Codes: icd("E1165"), Start: day("2019-03")},
		{Kind: FactCondition, State: StateInactive, Resource: "2", Source: "ehr", Codes: icd("E1165"), Start: day("2015"), End: day("2016")},
		{Kind: FactCondition, State: StateRefuted, Resource: "3", Source: "ehr", Codes: icd("E119")},
		{Kind: FactCondition, State: StateError, Resource: "4", Source: "ehr", Codes: icd("I10")},
		{Kind: FactCondition, State: StateProposed, Resource: "5", Source: "ehr", Codes: icd("C50")},
		{Kind: FactCondition, State: StateUnknown, Resource: "6", Source: "ehr", Codes: icd("J45")},
		{Kind: FactObservation, State: StateCompleted, Resource: "o1", Source: "lab", Codes: loinc, Start: day("2026-09-01T08:00:00Z"), Value: Quantity{Value: "8.4", Unit: "%"}},
		{Kind: FactObservation, State: StateCompleted, Resource: "o2", Source: "lab", Codes: loinc, Start: day("2026-10-01"), Value: Quantity{Comparator: ">", Value: "14", Unit: "%"}},
		{Kind: FactObservation, State: StateCompleted, Resource: "o3", Source: "lab", Codes: loinc, Start: day("2026-11-01"), Text: map[string]string{TextValue: "8,1 %"}},
		{Kind: FactObservation, State: StateProposed, Resource: "o4", Source: "lab", Codes: loinc, Start: day("2026-11-02"), Value: Quantity{Value: "9"}},
		{Kind: FactObservation, State: StateCompleted, Resource: "o5", Source: "lab", Codes: []Code{{System: "loinc", Code: "85354-9"}}, Start: day("2026-11-02"), Text: map[string]string{"component.loinc:8480-6": "140 mm[Hg]", "component.loinc:8462-4": "<90 mm[Hg]"}},
		{Kind: FactEncounter, State: StateActive, Resource: "e1", Source: "ehr", Start: day("2026-11-23"), Text: map[string]string{TextClass: "IMP"}},
		{Kind: FactAppointment, State: StateBooked, Resource: "a1", Source: "ehr", Start: day("2026-12-01T09:00:00-06:00"), Text: map[string]string{TextType: "checkup"}},
		{Kind: FactAppointment, State: StateBooked, Resource: "a2", Source: "ehr", Start: day("2026-11-01T09:00:00-06:00")},
		{Kind: FactAppointment, State: StateCancelled, Resource: "a3", Source: "ehr", Start: day("2026-12-02T09:00:00-06:00")},
		{Kind: FactCoverage, State: StateActive, Resource: "v1", Source: "ehr", Start: day("2026-01-01"), End: day("2026-12-31"), Text: map[string]string{TextInsurance: "commercial"}},
		{Kind: FactCoverage, State: StateActive, Resource: "v2", Source: "ehr", Start: day("2027-01-01"), Text: map[string]string{TextInsurance: "medicare"}},
		{Kind: FactProcedure, State: StateNotDone, Resource: "p1", Source: "ehr", Codes: []Code{{System: "cpt", Code: "1"}}},
	}, nil, []ProjectedConsent{{Name: "topic:recalls", State: "given"}, {Name: "channel:email", State: "given"}}, now)
	if got := fmt.Sprint(p.Conditions); got != "[{icd10cm E1165 true 16436 0} {icd10cm J45 false 0 0}]" {
		t.Errorf("conditions %s", got)
	}
	if got := fmt.Sprint(p.Labs); got != "[{loinc 4548-4 > % 14 1790812800} {loinc 8462-4 < mm[Hg] 90 1793577600} {loinc 8480-6  mm[Hg] 140 1793577600}]" {
		t.Errorf("labs %s", got)
	}
	if len(p.Appointments) != 1 || p.Appointments[0].Type != "checkup" || !p.InPatient || p.Insurance != "commercial" || len(p.Procedures) != 0 {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(p.Sources, []string{"ehr", "lab"}) || p.Consents[0].Name != "channel:email" || p.Postal != "62701-1234" || p.Language != "es-US" {
		t.Errorf("%+v", p)
	}
	r := packProjection(&p)
	b, err := encode(r)
	if err != nil || len(b) > 400 {
		t.Errorf("the projection takes %d bytes, %v", len(b), err)
	}
	if lean, err := newLeanReader().projection(b, now); err != nil || fmt.Sprint(lean) != fmt.Sprint(p) {
		t.Errorf("read lean it is %+v, %v", lean, err)
	}
	if next := unpackProjection(r, now.AddDate(0, 3, 0)); next.Insurance != "medicare" {
		t.Errorf("read three months later the coverage is %s", next.Insurance)
	}
}

func TestProjectLeavesOut(t *testing.T) {
	core := amara("Patient/p1", "1").Profile
	core.Placeholder = []string{PlaceholderBirthField}
	core.Contacts[0].State = ContactUnproven
	core.Contacts[1].Normal = ""
	if p := Project(core, nil, nil, nil, now); !p.Birth.IsZero() || p.HasEmail || p.HasPhone || p.Kind != KindPatient {
		t.Errorf("%+v", p)
	}
	core.Inactive = true
	if p := Project(core, nil, nil, nil, now); p.Kind != 0 {
		t.Error("a record that nobody has in use is in audiences")
	}
}

// TestAddedEventsAreTheSameAsAll: a projection kept event by event is byte for byte the one built anew.
func TestAddedEventsAreTheSameAsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Custom(func(t *rapid.T) time.Time {
			return now.Add(-time.Duration(rapid.Int64Range(0, 800*24*3600).Draw(t, "ago")) * time.Second)
		})
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
			return Event{Kind: rapid.SampledFrom([]string{"email.opened", "email.clicked", EventMissed}).Draw(t, "kind"), At: at.Draw(t, "at"), Machine: rapid.Bool().Draw(t, "machine")}
		}), 0, 40).Draw(t, "events")
		facts := []Fact{
			{Kind: FactAppointment, State: StateBooked, Source: "ehr", Resource: "a", Start: Moment{Time: now.Add(time.Hour)}},
			{Kind: FactCondition, State: StateActive, Source: "ehr", Resource: "c", Codes: []Code{{System: "icd10cm", Code: "E1165"}}},
		}
		core := &Core{Kind: KindPatient, Custom: map[string]string{"b": "1", "a": "2"}}
		later := now.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour)
		all := slices.Clone(events)
		kept := Project(core, facts, nil, nil, now)
		for len(events) > 0 {
			n := rapid.IntRange(1, len(events)).Draw(t, "n")
			kept.addEvents(events[:n], now)
			events = events[n:]
		}
		kept.addEvents(nil, later)
		anew := Project(core, facts, all, nil, later)
		a, _ := encode(packProjection(&kept))
		b, _ := encode(packProjection(&anew))
		if !bytes.Equal(a, b) {
			t.Fatalf("kept %+v\nanew %+v", kept, anew)
		}
		r := packProjection(&kept)
		if back := unpackProjection(r, later); fmt.Sprint(back) != fmt.Sprint(kept) {
			t.Fatalf("%+v is read as %+v", kept, back)
		}
		if back, err := newLeanReader().projection(a, later); err != nil || fmt.Sprint(back) != fmt.Sprint(kept) {
			t.Fatalf("%+v is read as %+v, %v", kept, back, err)
		}
	})
}

// FuzzLean: the lean reader and the generated code agree on whatever the generated code takes.
func FuzzLean(f *testing.F) {
	p := Project(amara("Patient/p1", "1").Profile, []Fact{
		{Kind: FactCondition, State: StateActive, Source: "ehr", Codes: []Code{{System: "icd10cm", Code: "E1165"}, {System: "urn:x", Code: "1"}}},
		{Kind: FactObservation, State: StateCompleted, Source: "lab", Codes: []Code{{System: "loinc", Code: "4548-4"}}, Start: day("2026-09-01"), Value: Quantity{Value: "8.4"}},
	}, []Event{{Kind: "email.opened", At: now}}, []ProjectedConsent{{Name: "channel:email", State: "given", Until: 5}}, now)
	b, err := encode(packProjection(&p))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		lean, leanErr := newLeanReader().projection(b, now)
		r, err := decode(b, &ProjectionRecord{})
		if err != nil || leanErr != nil {
			return // the generated code also looks into texts and into fields that nobody reads
		}
		full := unpackProjection(r, now)
		again, err := encode(packProjection(&full))
		if err == nil && bytes.Equal(again, b) && fmt.Sprint(full) != fmt.Sprint(lean) { // only what we would write is ours to read
			t.Errorf("%+v is read lean as %+v", full, lean)
		}
	})
}
