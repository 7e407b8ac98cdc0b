package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/csv"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// IntakeResult says how many FHIR resources and how many records of a contact list are taken in a second: read, sealed as they came,
// mapped, applied, in the ledger, and durable.
type IntakeResult struct {
	ResourcesPerS float64      `json:"resources_per_s"`
	CSVRowsPerS   float64      `json:"csv_rows_per_s"`
	Resources     int          `json:"resources"`
	CSVRows       int          `json:"csv_rows"`
	Engine        store.Engine `json:"engine"`
}

// factsPerPerson is how many resources of a made-up export are about each person, besides the Patient.
const factsPerPerson = 20

// Intake imports an export of about so many resources, and a list of so many rows, each into a place of its own.
func Intake(ctx context.Context, dsn string, resources, rows int) (out IntakeResult, err error) {
	dir, err := os.MkdirTemp("", "carepost-bench-")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	persons := max(resources/(1+factsPerPerson), 1)
	out.Resources, out.CSVRows = persons*(1+factsPerPerson), rows
	export, list := filepath.Join(dir, "export.ndjson"), filepath.Join(dir, "list.csv")
	if err := errors.Join(writeFile(export, persons, writePerson), writeFile(list, rows, writeContact)); err != nil {
		return out, err
	}
	m, err := csv.Propose(list, csv.Asked{})
	if err != nil {
		return out, err
	}
	settings, err := m.Settings()
	if err != nil {
		return out, err
	}
	took, engine, err := takeIn(ctx, dsn, intake.Options{Source: "ehr", Format: fhir.Mapper{}.Format(), Files: []intake.File{{Path: export}}})
	if err != nil {
		return out, err
	}
	out.Engine, out.ResourcesPerS = engine, float64(out.Resources)/took.Seconds()
	took, _, err = takeIn(ctx, dsn, intake.Options{Source: "list", Format: csv.Mapper{}.Format(), Files: []intake.File{{Path: list}}, Settings: settings})
	out.CSVRowsPerS = float64(rows) / took.Seconds()
	return out, err
}

// takeIn imports into a fresh place and gives how long it took until all was durable and numbered in the ledger.
func takeIn(ctx context.Context, dsn string, o intake.Options) (took time.Duration, engine store.Engine, err error) {
	p, err := newPlace(ctx, dsn)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ppl := people.New(p.store, p.keys, p.ledger)
	papers := consent.New(p.keys, p.ledger, ppl)
	in := intake.New(intake.Needs{
		Store: p.store, Keys: p.keys, Ledger: p.ledger, People: ppl, Mappers: []intake.Mapper{fhir.Mapper{}, csv.Mapper{}}, Propose: papers.ProposeFacts,
		Suppress: papers.SuppressAll,
	})
	start := time.Now()
	r, err := in.Import(ctx, scope, o)
	if err != nil {
		return 0, "", err
	}
	if err := p.ledger.Numbered(ctx, organisation); err != nil {
		return 0, "", err
	}
	took = time.Since(start)
	if r.Quarantined > 0 {
		return 0, "", fmt.Errorf("of the made-up file %d messages were refused", r.Quarantined)
	}
	return took, p.store.Engine(), nil
}

func writeFile(path string, n int, write func(w *bufio.Writer, i int)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for i := range n {
		write(w, i)
	}
	return w.Flush()
}

// writeContact writes a row of a contact list, before the first one the header.
func writeContact(w *bufio.Writer, i int) {
	if i == 0 {
		fmt.Fprintln(w, "Contact ID,First Name,Last Name,Email,Mobile Phone,ZIP,Language") //nolint:errcheck // Flush says it
	}
	fmt.Fprintf(w, "c%07d,Given%d,Family%d,person%d@example.org,(2%02d) 555-%04d,%05d,%s\n", //nolint:errcheck // Flush says it
		i, i%997, i%4999, i, 10+i%90, i%10000, 10001+i%80000, []string{"English", "Spanish", "Vietnamese"}[i%3])
}

// resourceHead is what every resource begins with: version, time, and a narrative of the usual length that nobody reads.
const resourceHead = `{"resourceType":"%s","meta":{"versionId":"1","lastUpdated":"2026-11-01T10:00:00Z"},"text":{"status":"generated",` +
	`"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Generated for a measurement, with a narrative of the usual length that nobody reads</div>"},`

// writePerson writes a Patient and the facts about it, about 0.6 KB each.
func writePerson(w *bufio.Writer, p int) {
	line := func(kind, format string, args ...any) {
		fmt.Fprintf(w, resourceHead+format+"}\n", append([]any{kind}, args...)...) //nolint:errcheck // Flush says it
	}
	line("Patient", `"id":"p%d","identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"urn:oid:2.999.1","value":"%07d"},{"type":{"coding":[{"code":"SS"}]},"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-55-%04d"}],"name":[{"use":"official","family":"Family%d","given":["Given%d"]}],"telecom":[{"system":"email","value":"person%d@example.org"},{"system":"phone","value":"(212) 555-%04d","use":"mobile"}],"gender":"female","birthDate":"19%02d-03-04","address":[{"line":["12 Larch St"],"city":"Springfield","state":"IL","postalCode":"62701"}],"communication":[{"language":{"coding":[{"code":"en-US"}]}}]`,
		p, p, p%10000, p%997, p%89, p, p%10000, 40+p%60)
	for f := range factsPerPerson {
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
		default:
			line("Procedure", `"id":"r%d-%d","status":"completed","code":{"coding":[{"system":"http://snomed.info/sct","code":"430193006"}]},"subject":{"reference":"Patient/p%d"},"performedDateTime":"%s"`, p, f, p, day)
		}
	}
}
