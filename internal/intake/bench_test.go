package intake_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/store"
)

// export writes an export of people with facts of six kinds, about 0.7 KB a resource, and gives the files and the number of resources.
func export(t testing.TB, people, facts int) ([]intake.File, int) {
	t.Helper()
	bodies := map[string]*bytes.Buffer{}
	line := func(kind, format string, args ...any) {
		if bodies[kind] == nil {
			bodies[kind] = &bytes.Buffer{}
		}
		fmt.Fprintf(bodies[kind], `{"resourceType":"`+kind+`","meta":{"versionId":"1","lastUpdated":"2026-11-01T10:00:00Z"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Generated for a benchmark, with a narrative of the usual length that nobody reads</div>"},`+format+"}\n", args...)
	}
	n := 0
	for p := range people {
		line("Patient", `"id":"p%d","identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"urn:oid:2.999.1","value":"%07d"},{"type":{"coding":[{"code":"SS"}]},"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-55-%04d"}],"name":[{"use":"official","family":"Family%d","given":["Given%d"]}],"telecom":[{"system":"email","value":"person%d@example.org"},{"system":"phone","value":"(212) 555-%04d","use":"mobile"}],"gender":"female","birthDate":"19%02d-03-04","address":[{"line":["12 Larch St"],"city":"Springfield","state":"IL","postalCode":"62701"}],"communication":[{"language":{"coding":[{"code":"en-US"}]}}]`,
			p, p, p%10000, p%997, p%89, p, p%10000, 40+p%60)
		n++
		for f := range facts {
			day := fmt.Sprintf("20%02d-%02d-%02d", 10+f%15, 1+p%12, 1+f%28)
			switch f % 6 {
			case 0:
				line("Condition", `"id":"c%d-%d","clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.%d"},{"system":"http://snomed.info/sct","code":"44054006"}],"text":"a condition"},"subject":{"reference":"Patient/p%d"},"onsetDateTime":"%s"`, p, f, f%10, p, day)
			case 1:
				line("Observation", `"id":"o%d-%d","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"%sT08:00:00-05:00","valueQuantity":{"value":%d.%d,"unit":"%%","system":"http://unitsofmeasure.org","code":"%%"}`, p, f, p, day, 5+f%5, p%10)
			case 2:
				line("Encounter", `"id":"e%d-%d","status":"finished","class":{"code":"AMB"},"type":[{"coding":[{"system":"http://snomed.info/sct","code":"185349003"}]}],"subject":{"reference":"Patient/p%d"},"period":{"start":"%sT08:00:00-05:00","end":"%sT09:00:00-05:00"}`, p, f, p, day, day)
			case 3:
				line("MedicationRequest", `"id":"m%d-%d","status":"active","intent":"order","medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"860975"}],"text":"metformin"},"subject":{"reference":"Patient/p%d"},"authoredOn":"%s"`, p, f, p, day)
			case 4:
				line("Immunization", `"id":"i%d-%d","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"150"}]},"patient":{"reference":"Patient/p%d"},"occurrenceDateTime":"%s"`, p, f, p, day)
			case 5:
				line("Procedure", `"id":"r%d-%d","status":"completed","code":{"coding":[{"system":"http://snomed.info/sct","code":"430193006"}]},"subject":{"reference":"Patient/p%d"},"performedDateTime":"%s"`, p, f, p, day)
			}
			n++
		}
	}
	dir := t.TempDir()
	var all []intake.File
	for kind, body := range bodies {
		path := filepath.Join(dir, kind+".ndjson")
		if err := os.WriteFile(path, body.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, intake.File{Path: path})
	}
	return all, n
}

// BenchmarkImport says how many resources a second are read, sealed, mapped, applied and durable.
func BenchmarkImport(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(testing.TB) *store.Store
	}{{"sqlite", caretest.Open}, {"postgres", caretest.OpenPostgreSQL}} {
		b.Run(engine.name, func(b *testing.B) {
			total := 0
			for b.Loop() {
				b.StopTimer()
				c := open(b, engine.open(b))
				files, n := export(b, 1000, 20)
				total += n
				b.StartTimer()
				c.run(intake.Options{Files: files})
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "resources/s")
		})
	}
}

// BenchmarkImportAgain says how fast an export is that says nothing new.
func BenchmarkImportAgain(b *testing.B) {
	total := 0
	c := open(b, caretest.Open(b))
	files, n := export(b, 1000, 20)
	c.run(intake.Options{Files: files})
	for b.Loop() {
		total += n
		c.run(intake.Options{Files: files})
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkDryRun says how fast an export is counted.
func BenchmarkDryRun(b *testing.B) {
	total := 0
	c := open(b, caretest.Open(b))
	files, n := export(b, 1000, 20)
	for b.Loop() {
		total += n
		c.run(intake.Options{Files: files, DryRun: true})
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "resources/s")
}
