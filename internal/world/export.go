package world

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The diagnoses by name, as the export displays them.
const (
	diabetes     = "Type 2 diabetes mellitus with hyperglycemia"
	hypertension = "Essential hypertension"
)

type object = map[string]any

// Export writes the people as a FHIR R4 Bulk Data export: one NDJSON file a resource type and a manifest. It returns the number of resources.
func Export(dir string, people []Person, now time.Time) (int, error) {
	x := &exporter{now: now, lines: map[string][]object{}}
	for _, p := range people {
		x.person(p)
	}
	total := 0
	var output []object
	for kind, lines := range x.lines {
		name := kind + ".000.ndjson"
		if err := writeLines(filepath.Join(dir, name), lines); err != nil {
			return 0, err
		}
		output = append(output, object{"type": kind, "url": name, "count": len(lines)})
		total += len(lines)
	}
	manifest, err := json.Marshal(object{"transactionTime": now.UTC().Format(time.RFC3339), "requiresAccessToken": false, "output": output, "error": []object{}})
	if err != nil {
		return 0, fmt.Errorf("write the manifest: %w", err)
	}
	return total, os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o600)
}

func writeLines(path string, lines []object) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
	}
	return w.Flush()
}

type exporter struct {
	now   time.Time
	lines map[string][]object
}

func (x *exporter) put(kind, id string, fields object) {
	fields["resourceType"], fields["id"] = kind, id
	fields["meta"] = object{"versionId": "1", "lastUpdated": x.now.Add(-time.Hour).UTC().Format(time.RFC3339)}
	x.lines[kind] = append(x.lines[kind], fields)
}

func (x *exporter) ago(days int) string { return x.now.AddDate(0, 0, -days).UTC().Format(time.RFC3339) }
func (x *exporter) day(days int) string { return x.now.AddDate(0, 0, -days).Format(time.DateOnly) }

func coded(system, code, display string) object {
	return object{"coding": []object{{"system": system, "code": code, "display": display}}}
}

func (x *exporter) person(p Person) {
	id := "p" + strconv.Itoa(p.Number)
	subject := object{"reference": "Patient/" + id}
	x.patient(id, p)
	if p.Diabetic {
		x.diabetic(id, subject, p)
	}
	x.consent(id, subject, p)
	if p.Number%3 == 0 {
		x.put("Condition", id+"-htn", object{"subject": subject, "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", ""), "code": coded("http://hl7.org/fhir/sid/icd-10-cm", "I10", hypertension), "onsetDateTime": x.day(900)})
	}
	x.put("Immunization", id+"-flu", object{"patient": subject, "status": "completed", "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "158", "influenza, injectable, quadrivalent"), "occurrenceDateTime": x.day(40 + p.Number%300)})
	x.put("Encounter", id+"-visit", object{"subject": subject, "status": "finished", "class": object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "period": object{"start": x.ago(30 + p.Number%700), "end": x.ago(30 + p.Number%700)}})
	status, days := [...]string{"booked", "noshow", "fulfilled", "cancelled"}[p.Number%4], p.Number%90+1
	start := x.ago(days)
	if status == "booked" {
		start = x.ago(-days)
	}
	x.put("Appointment", id+"-appt", object{"status": status, "start": start, "participant": []object{{"actor": subject, "status": "accepted"}}})
	payor := [...]string{"Commercial plan", "Medicare", "Medicaid"}[p.Number%3]
	kind := [...]string{"EHCPOL", "MCPOL", "SUBSIDIZ"}[p.Number%3]
	x.put("Coverage", id+"-cov", object{"beneficiary": subject, "status": "active", "type": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", kind, payor), "payor": []object{{"display": payor}}, "period": object{"start": x.day(400)}})
}

func (x *exporter) patient(id string, p Person) {
	telecom := []object{{"system": "phone", "value": p.Phone, "use": "mobile"}}
	for i, e := range p.Emails {
		telecom = append(telecom, object{"system": "email", "value": e, "use": "home", "rank": i + 1})
	}
	gender := "male"
	if p.Female {
		gender = "female"
	}
	fields := object{
		"active":     true,
		"identifier": []object{{"use": "usual", "type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", ""), "system": MRNSystem, "value": p.MRN}},
		"name":       []object{{"use": "official", "family": p.Family, "given": []string{p.Given}}},
		"gender":     gender, "birthDate": p.Birth.Format(time.DateOnly), "telecom": telecom,
		"communication": []object{{"language": coded("urn:ietf:bcp:47", p.Language, ""), "preferred": true}},
		"address":       []object{{"use": "home", "line": []string{strconv.Itoa(p.Number) + " " + streets[p.Number%len(streets)] + " Street"}, "city": "Springfield", "state": "IL", "postalCode": zips[p.Number%len(zips)], "country": "US"}},
		"extension":     []object{{"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "America/Chicago"}},
	}
	if p.Deceased {
		fields["deceasedDateTime"] = x.day(20)
	}
	x.put("Patient", id, fields)
}

var drugs = map[string]string{"metformin": "860975", "sitagliptin": "665044", "glipizide": "310488"}

func (x *exporter) diabetic(id string, subject object, p Person) {
	active := coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "")
	x.put("Condition", id+"-dm2", object{"subject": subject, "clinicalStatus": active, "code": coded("http://hl7.org/fhir/sid/icd-10-cm", "E11.65", diabetes), "onsetDateTime": x.day(1200)})
	x.put("MedicationRequest", id+"-rx", object{"subject": subject, "status": "active", "intent": "order", "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", drugs[p.Drug], p.Drug), "authoredOn": x.day(100)})
	if p.Number%2 == 0 {
		x.put("MedicationDispense", id+"-disp", object{
			"subject": subject, "status": "completed", "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", drugs[p.Drug], p.Drug),
			"authorizingPrescription": []object{{"reference": "MedicationRequest/" + id + "-rx"}}, "whenHandedOver": x.ago(90), "daysSupply": object{"value": 90},
		})
	}
	x.a1c(id+"-a1c", subject, p.A1c, p.A1cDays)
	x.a1c(id+"-a1c-before", subject, 9.4, p.A1cDays+95) // so that it matters which one is the latest
}

func (x *exporter) a1c(id string, subject object, value float64, days int) {
	x.put("Observation", id, object{
		"subject": subject, "status": "final", "code": coded("http://loinc.org", "4548-4", "Hemoglobin A1c"), "effectiveDateTime": x.ago(days),
		"valueQuantity": object{"value": value, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
	})
}

// consent writes what the source has on marketing: a refusal, or now and then a permission, which proves nothing by itself.
func (x *exporter) consent(id string, subject object, p Person) {
	var kind string
	switch {
	case p.Paperwork.OptOut:
		kind = "deny"
	case p.Number%12 == 0:
		kind = "permit"
	default:
		return
	}
	x.put("Consent", id+"-consent", object{
		"patient": subject, "status": "active", "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy", ""),
		"category": []object{coded("http://loinc.org", "59284-0", "Patient consent")}, "dateTime": x.day(60),
		"provision": object{"type": kind, "purpose": []object{{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HMARKT"}}},
	})
}
