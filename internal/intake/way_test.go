package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// stopping is the FHIR mapper with an end of the process in it: at its n-th call, of whatever kind, the work stops.
type stopping struct {
	fhir.Mapper
	calls *int
	stop  func()
}

func (s stopping) Split(line []byte) ([]intake.Message, error) {
	s.count()
	return s.Mapper.Split(line)
}

func (s stopping) Map(m *intake.Message, c *intake.Context) ([]people.Change, error) {
	s.count()
	return s.Mapper.Map(m, c)
}

func (s stopping) count() {
	if *s.calls--; *s.calls == 0 {
		s.stop()
	}
}

// lines gives the made-up export as lines.
func exportLines(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, name := range madeFiles {
		body, err := os.ReadFile(filepath.Join("fhir", "testdata", name+".ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Split(strings.TrimSpace(string(body)), "\n")...)
	}
	return all
}

// TestOrderAndStopsMakeNoDifference: the export in any order, over any number of files, imported twice, and stopped between any two
// chunks, gives the same people, facts and projections.
func TestOrderAndStopsMakeNoDifference(t *testing.T) {
	st := caretest.Open(t)
	c := open(t, st)
	c.run(intake.Options{Files: made(slices.Clone(madeFiles)...)})
	want := c.everyone()
	if len(want) != 5 {
		t.Fatalf("%d people", len(want))
	}
	all := exportLines(t)
	for round := range 6 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(round), 7))
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			c := open(t, caretest.Open(t))
			c.needs.Chunk = 1 + r.IntN(7)
			var some []intake.File
			for _, part := range [][]string{all[:20], all[20:]} {
				some = append(some, intake.File{Path: c.write(strings.Join(part, "\n"))})
			}
			dry := c.run(intake.Options{Files: some, DryRun: true})
			stops := c.importWithStops(some, func() int { return 1 + r.IntN(30) })
			if stops == 0 {
				t.Error("the import was never stopped")
			}
			got := c.everyone()
			for key := range want {
				if got[key] != want[key] {
					a, b := differ(got[key], want[key])
					t.Errorf("%d stops, chunks of %d: of %s\n%s\nwant\n%s", stops, c.needs.Chunk, key, a, b)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d people, want %d", len(got), len(want))
			}
			c.read(func(ctx context.Context, tx *store.Tx) error {
				imports, err := c.in.Imports(ctx, tx, 1)
				if err != nil {
					return err
				}
				r := imports[0].Result
				dry.DryRun, dry.Import = false, r.Import
				if text(dry) != text(r) {
					a, b := differ(text(dry), text(r))
					t.Errorf("the dry run said\n%s\nthe import, stopped %d times,\n%s", a, stops, b)
				}
				return nil
			})
			again := c.run(intake.Options{Files: some})
			if again.Facts+again.Events+again.Retracted+again.People.Created+again.People.Updated != 0 {
				t.Errorf("the same import again: %s", text(again))
			}
		})
	}
}

// differ gives the first place at which two texts differ.
func differ(a, b string) (string, string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(s string) string { return s[max(0, min(at-80, len(s))):min(len(s), at+80)] }
	return cut(a), cut(b)
}

// importWithStops imports with an end of the process after every so many steps, and gives how often it ended.
func (c *clinic) importWithStops(some []intake.File, steps func() int) (stops int) {
	c.t.Helper()
	var imp id.Import
	for {
		n := steps() + 10*stops // it must come to an end
		ctx, cancel := context.WithCancel(context.Background())
		c.needs.Mappers = []intake.Mapper{stopping{calls: &n, stop: cancel}}
		c.start()
		var err error
		if imp.IsZero() {
			_, err = c.in.Import(ctx, scope, intake.Options{Source: "ehr", Format: "fhir", Files: some})
		} else {
			_, err = c.in.Resume(ctx, scope, imp, nil)
		}
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			c.t.Fatal(err)
		}
		stops++
		c.read(func(ctx context.Context, tx *store.Tx) error {
			all, err := c.in.Unfinished(ctx, tx)
			if err == nil && len(all) == 1 {
				imp = all[0]
			}
			return err
		})
	}
	c.needs.Mappers = []intake.Mapper{fhir.Mapper{}}
	c.start()
	return stops
}

func (c *clinic) read(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Read(context.Background(), scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

func TestHostileFile(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		dry := c.run(intake.Options{Files: made("hostile"), DryRun: true})
		r := c.run(intake.Options{Files: made("hostile")})
		dry.DryRun, dry.Import = false, r.Import
		if text(dry) != text(r) {
			t.Errorf("the dry run said %s\nthe import %s", text(dry), text(r))
		}
		if r.Lines != 11 || r.Blank != 1 || r.Quarantined != 3 || r.People.Created != 7 {
			t.Errorf("%s", text(r))
		}
		if len(r.Complete) != 0 {
			t.Errorf("a file with lines that cannot be read delivers %v completely", r.Complete)
		}
		c.read(func(ctx context.Context, tx *store.Tx) error {
			all, err := c.in.Quarantine(ctx, tx, r.Import, 0, 10)
			if err != nil {
				return err
			}
			var got []string
			for _, q := range all {
				got = append(got, fmt.Sprintf("%d %s: %s", q.Line, q.Kind, q.Reason))
			}
			want := []string{
				"3 unreadable: JSON that is cut short", "4 unreadable: the field id occurs twice",
				"5 patient: resourceType is written in another case than Patient",
			}
			for i := range want {
				if i >= len(got) || !strings.HasPrefix(got[i], want[i][:2]) || !strings.Contains(got[i], want[i][strings.Index(want[i], ":"):]) {
					t.Errorf("%q", got)
					break
				}
			}
			m, err := c.in.Raw(ctx, tx, r.Import, 2)
			if err != nil || !strings.HasPrefix(string(m.Body), `{"resourceType":"Patient","id":"p1"`) || strings.HasSuffix(string(m.Body), "}") {
				t.Errorf("the line as it came: %v", err)
			}
			return nil
		})
	})
}

func TestWhatMissesAnotherMessageWaits(t *testing.T) {
	c := open(t, caretest.Open(t))
	order := `{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","subject":{"reference":"Patient/p"},"medicationReference":{"reference":"Medication/7"},"authoredOn":"2026-11-01"}`
	by := `{"resourceType":"Condition","id":"c","subject":{"identifier":{"system":"urn:oid:2.999.1","value":"77"}},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"}]}}`
	person := `{"resourceType":"Patient","id":"p","identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:oid:2.999.1","value":"77"}],"name":[{"family":"Okafor"}]}`
	drug := `{"resourceType":"Medication","id":"7","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"860975"}]}}`
	r := c.run(intake.Options{Files: files(c.write(order + "\n" + by))})
	if r.Waiting != 1 || r.Quarantined != 1 || r.Facts != 1 || slices.Contains(r.Complete, "condition") {
		t.Errorf("%s", text(r))
	}
	r = c.run(intake.Options{Files: files(c.write(drug + "\n" + person))})
	if r.Quarantined != 0 || r.People.Updated != 1 {
		t.Errorf("%s", text(r))
	}
	got := fmt.Sprint(c.everyone())
	for _, want := range []string{"860975", "E119", "Okafor"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	c.read(func(ctx context.Context, tx *store.Tx) error {
		imports, err := c.in.Imports(ctx, tx, 10)
		if err != nil {
			return err
		}
		for _, i := range imports {
			if all, err := c.in.Quarantine(ctx, tx, i.ID, 0, 10); err != nil || len(all) != 0 {
				t.Errorf("still set aside: %+v %v", all, err)
			}
		}
		return nil
	})
}

// mended is a mapper that learned to read a type in the wrong case, and another word for a state.
type mended struct{ fhir.Mapper }

func (m mended) Split(line []byte) ([]intake.Message, error) {
	return m.Mapper.Split(bytes.Replace(line, []byte(`"patient"`), []byte(`"Patient"`), 1))
}

func (m mended) Map(x *intake.Message, c *intake.Context) ([]people.Change, error) {
	y := *x
	y.Body = bytes.ReplaceAll(x.Body, []byte(`"NO SHOW"`), []byte(`"noshow"`))
	return m.Mapper.Map(&y, c)
}

func TestRemap(t *testing.T) {
	c := open(t, caretest.Open(t))
	r := c.run(intake.Options{Files: files(c.write(strings.Join([]string{
		`{"resourceType":"patient","id":"q","name":[{"family":"Nguyen"}]}`,
		`{"resourceType":"Patient","id":"p","name":[{"family":"Okafor"}]}`,
		`{"resourceType":"Appointment","id":"a","status":"NO SHOW","start":"2025-11-10T14:30:00-06:00","participant":[{"actor":{"reference":"Patient/p"}}]}`,
	}, "\n")))})
	if r.Events != 0 || r.Quarantined != 1 || r.People.Created != 1 || len(r.Warnings) != 1 {
		t.Errorf("%s", text(r))
	}
	c.needs.Mappers = []intake.Mapper{mended{}}
	c.start()
	again, err := c.in.Remap(context.Background(), scope, r.Import, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Events != 1 || again.Facts != 2 || again.Quarantined != 0 || again.People.Created != 1 || again.People.Updated != 1 || len(again.Warnings) != 0 || again.Same != 1 {
		t.Errorf("%s", text(again))
	}
	once, err := c.in.Remap(context.Background(), scope, r.Import, nil)
	if err != nil || once.Events+once.Facts+once.People.Updated != 0 || once.Same != 3 {
		t.Errorf("%s %v", text(once), err)
	}
}

func TestConsentsAreProposed(t *testing.T) {
	var heard []string
	c := open(t, caretest.Open(t))
	c.needs.Propose = func(_ context.Context, _ *store.Tx, all []people.Proposal) error {
		for _, p := range all {
			heard = append(heard, p.Fact.Resource+" "+p.Fact.Text[people.TextProvision])
		}
		return nil
	}
	c.start()
	c.run(intake.Options{Files: made("people", "other")})
	c.run(intake.Options{Files: made("people", "other")})
	slices.Sort(heard)
	if got := strings.Join(heard, ", "); got != "Consent/k1 permit, Consent/k2 deny" {
		t.Errorf("%s", got)
	}
}

func TestRefusedFiles(t *testing.T) {
	c := open(t, caretest.Open(t))
	pack := func(name string, body []byte) string {
		path := filepath.Join(t.TempDir(), name)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	person := `{"resourceType":"Patient","id":"p","name":[{"family":"Okafor"}]}`
	bomb := pack("bomb.ndjson.gz", bytes.Repeat([]byte(" \n"), 40<<20))
	cut := filepath.Join(t.TempDir(), "cut.ndjson.gz")
	whole, err := os.ReadFile(pack("whole.ndjson.gz", []byte(strings.Repeat(person+"\n", 100))))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		o    intake.Options
		code fault.Code
	}{
		{"no file", intake.Options{Files: files("nowhere.ndjson")}, fault.NotFound},
		{"a folder", intake.Options{Files: files(t.TempDir())}, fault.Invalid},
		{"no files", intake.Options{}, fault.Invalid},
		{"an empty file", intake.Options{Files: files(c.write("\n \n"))}, fault.Invalid},
		{"a bomb", intake.Options{Files: files(bomb)}, fault.TooLarge},
		{"a bomb, dry", intake.Options{Files: files(bomb), DryRun: true}, fault.TooLarge},
		{"a gzip file that is cut short", intake.Options{Files: files(cut)}, fault.Invalid},
		{"no format", intake.Options{Files: files(c.write(person)), Format: "xml"}, fault.Invalid},
		{"no source", intake.Options{Files: files(c.write(person)), Source: " "}, fault.Invalid},
		{"our own name", intake.Options{Files: files(c.write(person)), Source: people.SourceStaff}, fault.Invalid},
	} {
		if x.o.Source == "" {
			x.o.Source = "ehr"
		}
		if x.o.Format == "" {
			x.o.Format = "fhir"
		}
		if _, err := c.in.Import(context.Background(), scope, x.o); fault.CodeOf(err) != x.code || strings.Contains(fmt.Sprint(err), "Okafor") {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	r := c.run(intake.Options{Files: files(pack("good.ndjson.gz", []byte(person+"\n")), c.write("[]")), DryRun: true})
	if r.People.Created != 1 || r.Quarantined != 1 {
		t.Errorf("%s", text(r))
	}
	// One document over many lines.
	doc := filepath.Join(t.TempDir(), "bundle.json")
	if err := os.WriteFile(doc, []byte("{\n \"resourceType\": \"Bundle\",\r\n \"entry\": [{\"resource\": "+strings.Replace(person, `"p"`, `"doc"`, 1)+"}\n]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.run(intake.Options{Files: files(doc)}); r.Kinds["Patient"].Applied != 1 || r.Quarantined != 0 {
		t.Errorf("%s", text(r))
	}
}

func TestResumeWantsTheSameFile(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.needs.Chunk = 1
	path := c.write(strings.Join(exportLines(t), "\n"))
	n := 5
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.needs.Mappers = []intake.Mapper{stopping{calls: &n, stop: cancel}}
	c.start()
	if _, err := c.in.Import(ctx, scope, intake.Options{Source: "ehr", Format: "fhir", Files: files(path)}); err == nil {
		t.Fatal("not stopped")
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var imp id.Import
	c.read(func(ctx context.Context, tx *store.Tx) error {
		all, err := c.in.Imports(ctx, tx, 1)
		imp = all[0].ID
		return err
	})
	if _, err := c.in.Resume(context.Background(), scope, imp, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("another file in its place: %v", err)
	}
}

// poisoned is a mapper one of whose messages says what no record takes.
type poisoned struct{ fhir.Mapper }

func (p poisoned) Map(m *intake.Message, c *intake.Context) ([]people.Change, error) {
	all, err := p.Mapper.Map(m, c)
	if m.Key == "Condition/c2" {
		all[0].Source = strings.Repeat("x", 200)
	}
	return all, err
}

func TestOneMessageStopsNothing(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.needs.Mappers = []intake.Mapper{poisoned{}}
	c.start()
	r := c.run(intake.Options{Files: made("people", "conditions")})
	if r.Quarantined != 1 || r.Kinds["Condition"].Applied != 4 || r.Kinds["Patient"].Applied != 6 || slices.Contains(r.Complete, "condition") || !slices.Contains(r.Complete, "person") {
		t.Errorf("%s", text(r))
	}
}
