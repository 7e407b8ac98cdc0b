package fhir

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/people"
)

var received = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)

func context() *intake.Context {
	return &intake.Context{Source: "ehr", Received: received, Country: "US"}
}

// mapped maps every line of a file, by the key of the resource.
func mapped(t testing.TB, file string) map[string][]people.Change {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]people.Change{}
	for line := range bytes.Lines(body) {
		line = bytes.TrimPrefix(bytes.TrimSpace(line), []byte("\ufeff"))
		if len(line) == 0 {
			continue
		}
		messages, err := Mapper{}.Split(line)
		if err != nil {
			continue
		}
		for i := range messages {
			changes, err := Mapper{}.Map(&messages[i], context())
			if err != nil {
				t.Errorf("%s: %v", messages[i].Key, err)
			}
			all[messages[i].Key] = changes
		}
	}
	return all
}

func TestPatients(t *testing.T) {
	all := mapped(t, "people.ndjson")
	p1 := all["Patient/p1"][0]
	core := p1.Profile
	if !p1.Active || p1.Subject != "Patient/p1" || len(p1.Match) != 1 || p1.Match[0].Value != "0012345" || len(p1.Warnings) != 0 {
		t.Errorf("p1: %+v", p1)
	}
	if core.Birth != (people.Date{Year: 1968, Month: 2, Day: 29}) || core.Sex != people.SexFemale || core.Languages[0] != "es-US" || core.Deceased {
		t.Errorf("p1: %+v", core)
	}
	if c := core.Contacts; len(c) != 3 || c[0].Value != "Amara.Okafor@Example.com" || c[0].Normal != "amara.okafor@example.com" ||
		c[1].Normal != "+12125550143" || c[2].Normal != "+12125550199" {
		t.Errorf("p1: %+v", c)
	}
	if dup := all["Patient/p1-dup"][0]; dup.Active || dup.ReplacedBy != "Patient/p1" || dup.Match[0].Value != "12345" {
		t.Errorf("p1-dup: %+v", dup)
	}
	p2 := all["Patient/p2"][0].Profile
	if p2.Birth != (people.Date{Year: 1990}) || p2.Names[0].Family != "Smith" || p2.Names[0].Suffix != "Jr." || p2.Names[1].Use != "old" {
		t.Errorf("p2: %+v", p2)
	}
	if p3 := all["Patient/p3"][0].Profile; !p3.Deceased || p3.DeceasedOn != (people.Date{Year: 2026, Month: 10, Day: 30}) {
		t.Errorf("p3: %+v", p3)
	}
	if p4 := all["Patient/p4"][0].Profile; len(p4.Contacts) != 0 || p4.Names[0].Family != "Nguyễn" {
		t.Errorf("p4 has next of kin as contact points: %+v", p4)
	}
	p5 := all["Patient/p5"][0].Profile
	if p5.Deceased || p5.Sex != people.SexUnknown || p5.Birth != (people.Date{Year: 1979, Month: 11}) || len(p5.Contacts) != 2 ||
		p5.Contacts[0].State != people.ContactOld || p5.Contacts[1].Rank != 1 {
		t.Errorf("p5: %+v", p5)
	}
}

func TestFacts(t *testing.T) {
	files := map[string]map[string][]people.Change{}
	for _, c := range []struct {
		file, key string
		subject   string
		kind      people.FactKind
		state     people.FactState
		code      string // alias:code of the first coding
		start     string
		more      func(f people.Fact) bool
	}{
		{"appointments", "Appointment/a1", "p1", people.FactAppointment, people.StateBooked, "snomed:185349003", "2026-12-01", func(f people.Fact) bool { return f.Start.Time.Hour() == 15 && f.Text["minutes"] == "30" }},
		{"appointments", "Appointment/a2", "p1", people.FactAppointment, people.StateMissed, "snomed:185349003", "2026-11-10", nil},
		{"appointments", "Appointment/a3", "p2", people.FactAppointment, people.StateCancelled, "snomed:185349003", "2026-11-12", func(f people.Fact) bool { return f.Text["reason"] == "pat" }},
		{"appointments", "Appointment/a4", "p1", people.FactAppointment, people.StateKept, "snomed:185349003", "2025-09-01", nil},
		{"appointments", "Appointment/a6", "p4", people.FactAppointment, people.StateError, "snomed:185349003", "2026-11-20", nil},
		{"appointments", "Appointment/a7", "p4", people.FactAppointment, people.StateProposed, "", "", nil},
		{"conditions", "Condition/c1", "p1", people.FactCondition, people.StateActive, "icd10cm:E1165", "2019-03", func(f people.Fact) bool { return len(f.Codes) == 2 && f.Codes[1].System == "snomed" }},
		{"conditions", "Condition/c2", "p2", people.FactCondition, people.StateRefuted, "icd10cm:E119", "", nil},
		{"conditions", "Condition/c3", "p3", people.FactCondition, people.StateError, "icd10cm:E119", "", nil},
		{"conditions", "Condition/c4", "", people.FactCondition, people.StateInactive, "", "", func(f people.Fact) bool { return f.Text["label"] == "diabetes" }},
		{"conditions", "Condition/c5", "p1", people.FactCondition, people.StateUnknown, "icd9cm:25000", "", nil},
		{"medications", "MedicationRequest/m1", "p1", people.FactMedication, people.StateActive, "rxnorm:860975", "2026-11-01", func(f people.Fact) bool { return f.Text["daysSupply"] == "30" && f.Text["label"] == "metformin 500 mg" }},
		{"medications", "MedicationRequest/m2", "p2", people.FactMedication, people.StateActive, "rxnorm:314076", "2026-11-01", nil},
		{"medications", "MedicationRequest/m3", "p2", people.FactMedication, people.StateProposed, "", "", nil},
		{"medications", "MedicationDispense/md1", "p1", people.FactDispense, people.StateCompleted, "ndc:00093104801", "2026-11-03", func(f people.Fact) bool {
			return f.Text["request"] == "MedicationRequest/m1" && f.Text["daysSupply"] == "30"
		}},
		{"medications", "MedicationDispense/md2", "p2", people.FactDispense, people.StateUnknown, "rxnorm:314076", "", nil},
		{"medications", "MedicationDispense/md3", "p2", people.FactDispense, people.StateCancelled, "rxnorm:314076", "", func(f people.Fact) bool { return f.Text["reason"] == "returned to stock" }},
		{"observations", "Observation/o1", "p1", people.FactObservation, people.StateCompleted, "loinc:4548-4", "2026-09-01", func(f people.Fact) bool {
			return f.Value == people.Quantity{Value: "8.4", Unit: "%"} && f.Text["category"] == "laboratory"
		}},
		{"observations", "Observation/o2", "p1", people.FactObservation, people.StateCompleted, "loinc:4548-4", "2026-09-01", func(f people.Fact) bool { return f.Value.Value == "7.9" }},
		{"observations", "Observation/o3", "p2", people.FactObservation, people.StateCompleted, "loinc:4548-4", "2026-10", func(f people.Fact) bool { return f.Value.Comparator == ">" && f.Value.Value == "14" }},
		{"observations", "Observation/o4", "p2", people.FactObservation, people.StateCompleted, "loinc:59261-8", "2026-10-01", func(f people.Fact) bool { return f.Value.Unit == "mmol/mol" }},
		{"observations", "Observation/o5", "p1", people.FactObservation, people.StateCancelled, "loinc:4548-4", "", nil},
		{"observations", "Observation/o6", "p1", people.FactObservation, people.StateCompleted, "loinc:4548-4", "2026-11-01", func(f people.Fact) bool { return f.Value.Value == "" && f.Text["value"] == "8,1 %" }},
		{"other", "Immunization/i1", "p4", people.FactImmunization, people.StateCompleted, "cvx:150", "2025-10-03", nil},
		{"other", "Immunization/i2", "p1", people.FactImmunization, people.StateNotDone, "cvx:150", "", nil},
		{"other", "Coverage/v1", "p1", people.FactCoverage, people.StateActive, "http://terminology.hl7.org/CodeSystem/v3-ActCode:HIP", "2026-01-01", func(f people.Fact) bool {
			return f.Text["insurance"] == "commercial" && f.Text["payor"] == "Example Mutual"
		}},
		{"other", "Consent/k1", "p1", people.FactConsent, people.StateActive, "loinc:59284-0", "2026-01-05", func(f people.Fact) bool {
			return f.Text["provision"] == "permit" && f.Text["purpose"] == "HMARKT" && f.End.Date.String() == "2026-12-31"
		}},
		{"other", "Consent/k2", "p2", people.FactConsent, people.StateInactive, "", "", func(f people.Fact) bool { return f.Text["provision"] == "deny" && f.Text["label"] == "texting" }},
		{"other", "RelatedPerson/r1", "p4", people.FactProxy, people.StateActive, "http://terminology.hl7.org/CodeSystem/v3-RoleCode:FTH", "", func(f people.Fact) bool {
			return f.Text["name"] == "Văn An Nguyễn" && f.Text["email"] == "an.nguyen@example.net" && f.Text["label"] == "FTH" && f.End.Date.String() == "2032-05-20"
		}},
		{"other", "Encounter/e1", "p2", people.FactEncounter, people.StateActive, "", "2026-11-23", func(f people.Fact) bool { return f.Text["class"] == "IMP" }},
		{"other", "Encounter/e2", "p1", people.FactEncounter, people.StateCompleted, "", "2025-09-01", func(f people.Fact) bool { return f.Text["class"] == "VR" && !f.End.IsZero() }},
	} {
		t.Run(c.key, func(t *testing.T) {
			if files[c.file] == nil {
				files[c.file] = mapped(t, c.file+".ndjson")
			}
			changes := files[c.file][c.key]
			if len(changes) != 1 || len(changes[0].Facts) != 1 {
				t.Fatalf("%+v", changes)
			}
			f := changes[0].Facts[0]
			if c.subject != "" && changes[0].Subject != "Patient/"+c.subject {
				t.Errorf("subject %s", changes[0].Subject)
			}
			if c.subject == "" && (changes[0].Subject != "" || len(changes[0].Match) != 1) {
				t.Errorf("a logical reference gives %+v", changes[0])
			}
			code := ""
			if len(f.Codes) > 0 {
				code = f.Codes[0].System + ":" + f.Codes[0].Code
			}
			if f.Kind != c.kind || f.State != c.state || code != c.code || f.Start.Date.String() != c.start || f.Resource != c.key {
				t.Errorf("%+v", f)
			}
			if c.more != nil && !c.more(f) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestHostileLines(t *testing.T) {
	body, err := os.ReadFile("testdata/hostile.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(body, []byte("\n"))
	for _, c := range []struct {
		line    int // from 1
		refused string
		warned  string // field: reason
		check   func(core *people.Core) bool
	}{
		{line: 3, refused: "JSON that is cut short"},
		{line: 4, refused: "the field id occurs twice"},
		{line: 5, refused: "resourceType is written in another case than Patient"},
		{line: 7, check: func(core *people.Core) bool { return core.Names[0].Family == "Type last" }},
		{line: 8, warned: "name: is one object where a list belongs: read as one", check: func(core *people.Core) bool { return core.Names[0].Family == "not an array" }},
		{line: 9, warned: "name: is not UTF-8", check: func(core *people.Core) bool { return len(core.Names) == 0 }},
		{line: 10, check: func(core *people.Core) bool { return len(core.Names) == 0 }},
		{line: 11, warned: "identifier: has no system", check: func(core *people.Core) bool {
			return core.Birth == people.Date{Year: 1, Month: 1, Day: 1} && len(core.Identifiers) == 0
		}},
		{line: 12, check: func(core *people.Core) bool { return core.Names[0].Family == "last line without newline" }},
	} {
		messages, err := Mapper{}.Split(lines[c.line-1])
		if c.refused != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.refused) {
				t.Errorf("line %d: %v, want %q", c.line, err, c.refused)
			}
			continue
		}
		if err != nil || len(messages) != 1 {
			t.Errorf("line %d: %v", c.line, err)
			continue
		}
		changes, err := Mapper{}.Map(&messages[0], context())
		if err != nil || len(changes) != 1 || !c.check(changes[0].Profile) {
			t.Errorf("line %d: %+v %v", c.line, changes, err)
			continue
		}
		var warned []string
		for _, w := range changes[0].Warnings {
			warned = append(warned, w.Field+": "+w.Reason)
		}
		if got := strings.Join(warned, "; "); got != c.warned {
			t.Errorf("line %d: warned %q, want %q", c.line, got, c.warned)
		}
	}
	if messages, err := (Mapper{}).Split(lines[5]); err != nil || messages[0].Turn != intake.TurnNone || messages[0].Kind != "OperationOutcome" {
		t.Errorf("an OperationOutcome: %+v %v", messages, err)
	}
}

// TestNoGovernmentNumbers: an export from Synthea holds a social security number in every patient, and most have a driver licence and a passport.
func TestNoGovernmentNumbers(t *testing.T) {
	all := mapped(t, "bulk/Patient.000.ndjson")
	if len(all) != 13 {
		t.Fatalf("%d patients", len(all))
	}
	for key, changes := range all {
		core := changes[0].Profile
		if len(core.Identifiers) != 1 || core.Identifiers[0].Type != "MR" {
			t.Errorf("%s keeps %d identifiers", key, len(core.Identifiers))
		}
		if len(core.Names) == 0 || core.Birth.IsZero() || core.Languages[0] != "en-US" || len(changes[0].Warnings) != 0 {
			t.Errorf("%s: %+v", key, changes[0].Warnings)
		}
	}
}

func TestBulkExport(t *testing.T) {
	for file, want := range map[string]people.FactKind{
		"Condition": people.FactCondition, "MedicationRequest": people.FactMedication, "Encounter": people.FactEncounter,
		"Immunization": people.FactImmunization, "Procedure": people.FactProcedure,
	} {
		all := mapped(t, "bulk/"+file+".000.ndjson")
		if len(all) != 40 {
			t.Errorf("%s: %d resources", file, len(all))
		}
		for key, changes := range all {
			f := changes[0].Facts[0]
			if f.Kind != want || f.State == people.StateUnknown || len(f.Codes) == 0 || f.Start.IsZero() || len(changes[0].Warnings) != 0 {
				t.Errorf("%s: %+v %+v", key, f, changes[0].Warnings)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []intake.Message
	}{
		{"by subject", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p1"}}`, []intake.Message{{Kind: "Condition", Key: "Condition/c", Subject: "Patient/p1", Turn: intake.TurnPerson}}},
		{"by an absolute URL with a version", `{"resourceType":"Condition","id":"c","subject":{"reference":"https://x.example/fhir/Patient/p1/_history/3"}}`, []intake.Message{{Kind: "Condition", Key: "Condition/c", Subject: "Patient/p1", Turn: intake.TurnPerson}}},
		{"by an urn", `{"resourceType":"Condition","id":"c","subject":{"reference":"urn:uuid:0f"}}`, []intake.Message{{Kind: "Condition", Key: "Condition/c", Subject: "Patient/0f", Turn: intake.TurnPerson}}},
		{"by a condition", `{"resourceType":"Coverage","id":"c","beneficiary":{"reference":"Patient?identifier=urn:x|7a"}}`, []intake.Message{{Kind: "Coverage", Key: "Coverage/c", Subject: "urn:x\x007A", Turn: intake.TurnIdentifier}}},
		{"by an identifier", `{"resourceType":"Consent","id":"c","patient":{"identifier":{"system":"urn:x","value":"7"}}}`, []intake.Message{{Kind: "Consent", Key: "Consent/c", Subject: "urn:x\x007", Turn: intake.TurnIdentifier}}},
		{"nobody's", `{"resourceType":"Location","id":"l"}`, []intake.Message{{Kind: "Location", Key: "Location/l"}}},
		{"referred to", `{"resourceType":"Medication","id":"m"}`, []intake.Message{{Kind: "Medication", Key: "Medication/m", Subject: "Medication/m", Turn: intake.TurnReferred}}},
		{"a type that FHIR does not know", `{"resourceType":"Amara Okafor","id":"m"}`, []intake.Message{{Kind: "unknown type"}}},
		{"deletions", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p1-dup"}},{"request":{"method":"DELETE","url":"https://x.example/fhir/Appointment/a6"}}]}`, []intake.Message{
			{Kind: "deletion", Key: "Patient/p1-dup", Subject: "Patient/p1-dup", Turn: intake.TurnDelete}, {Kind: "deletion", Key: "Appointment/a6", Subject: "Appointment/a6", Turn: intake.TurnDelete},
		}},
		{"a bundle", `{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:0f","resource":{"resourceType":"Patient","id":"0f"}},{"resource":{"resourceType":"Immunization","id":"i","patient":{"reference":"urn:uuid:0f"}}}]}`, []intake.Message{
			{Kind: "Patient", Key: "Patient/0f", Subject: "Patient/0f", Turn: intake.TurnPerson}, {Kind: "Immunization", Key: "Immunization/i", Subject: "Patient/0f", Turn: intake.TurnPerson},
		}},
		{"of two patients, the first by name", `{"resourceType":"Appointment","id":"a","participant":[{"actor":{"reference":"Patient/z"}},{"actor":{"reference":"Location/1"}},{"actor":{"reference":"Patient/b"}}]}`, []intake.Message{
			{Kind: "Appointment", Key: "Appointment/a", Subject: "Patient/b", Turn: intake.TurnPerson},
		}},
	} {
		got, err := Mapper{}.Split([]byte(c.line))
		for i := range got {
			got[i].Body = nil
		}
		if err != nil || !slices.EqualFunc(got, c.want, func(a, b intake.Message) bool {
			return a.Kind == b.Kind && a.Key == b.Key && a.Subject == b.Subject && a.Turn == b.Turn
		}) {
			t.Errorf("%s: %+v %v", c.name, got, err)
		}
	}
	for name, line := range map[string]string{
		"no object": `[1]`, "no type": `{"id":"x"}`, "a type that is no text": `{"resourceType":["Patient"],"id":"x"}`, "no id": `{"resourceType":"Patient"}`,
		"an id that is a path": `{"resourceType":"Patient","id":"../../etc"}`, "a group": `{"resourceType":"Condition","id":"c","subject":{"reference":"Group/g"}}`,
		"subject twice":                  `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/a"},"subject":{"reference":"Patient/b"}}`,
		"subject twice, once in escapes": `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/a"},"s\u0075bject":{"reference":"Patient/b"}}`,
		"nobody":                         `{"resourceType":"Appointment","id":"a","participant":[{"actor":{"reference":"Location/1"}}]}`,
		"a bundle in a bundle":           `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle"}}]}`, "deep": strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000),
	} {
		if got, err := (Mapper{}).Split([]byte(line)); err == nil {
			t.Errorf("%s was taken: %+v", name, got)
		}
	}
}

func TestMedicationOfAnotherMessage(t *testing.T) {
	m := intake.Message{Kind: "MedicationRequest", Key: "MedicationRequest/m", Turn: intake.TurnPerson, Body: []byte(`{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order",
		"subject":{"reference":"Patient/p"},"medicationReference":{"reference":"Medication/7","display":"a drug"}}`)}
	c := context()
	changes, err := Mapper{}.Map(&m, c)
	if err != nil || len(changes[0].Facts) != 1 || len(changes[0].Facts[0].Codes) != 0 || changes[0].Facts[0].Text["label"] != "a drug" || len(changes[0].Warnings) != 1 {
		t.Errorf("unresolved, it must not block: %+v %v", changes, err)
	}
	c.Look = func(key string) ([]byte, bool) {
		return []byte(`{"resourceType":"Medication","id":"7","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"860975"}]}}`), key == "Medication/7"
	}
	changes, err = Mapper{}.Map(&m, c)
	if err != nil || changes[0].Facts[0].Codes[0].Code != "860975" || len(changes[0].Warnings) != 0 {
		t.Errorf("resolved: %+v %v", changes, err)
	}
}

func TestNDC(t *testing.T) {
	for in, want := range map[string]string{
		"00093-1048-01": "00093104801", "0093-1048-01": "00093104801", "12345-678-90": "12345067890", "12345-6789-1": "12345678901", "1234567890": "1234567890",
		"1-2-3": "1-2-3", "00093-1048-0x": "00093-1048-0x",
	} {
		if got := ndc(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// FuzzSplit: whatever a line is, it is refused or becomes messages that can be mapped; nothing panics, and no mapped text is unfit for a record.
func FuzzSplit(f *testing.F) {
	for _, file := range []string{"people", "appointments", "conditions", "medications", "observations", "other", "deleted", "hostile"} {
		body, err := os.ReadFile("testdata/" + file + ".ndjson")
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(body) {
			if len(line) < 10_000 {
				f.Add(bytes.TrimSpace(line))
			}
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		messages, err := Mapper{}.Split(line)
		if err != nil {
			return
		}
		for i := range messages {
			m := &messages[i]
			if !known(m.Kind) && m.Kind != "unknown type" && m.Kind != kindDelete {
				t.Errorf("kind %q", m.Kind)
			}
			changes, err := Mapper{}.Map(m, context())
			if err != nil {
				continue
			}
			for _, c := range changes {
				if c.Source == "" || c.Subject == "" && len(c.Match) == 0 && len(c.Delete) == 0 {
					t.Errorf("a change about nobody")
				}
				for _, f := range c.Facts {
					if f.Resource == "" || f.Kind == 0 {
						t.Errorf("a fact without a resource or kind: %+v", f)
					}
				}
			}
		}
	})
}
