package demo

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/world"
)

// TestASyntheaExport sends a real Bulk Data export of synthetic people the same way: testdata/SOURCES.md says where it is from.
func TestASyntheaExport(t *testing.T) {
	var errs bytes.Buffer
	ctx := t.Context()
	s, err := begin(ctx, Options{Out: &errs, Err: &errs, Dir: filepath.Join(t.TempDir(), "d"), Self: carepost(t)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	}()
	dir, err := filepath.Abs("testdata/synthea")
	if err != nil {
		t.Fatal(err)
	}
	system, resources := s.synthea(t, dir)
	s.canaries = newCanaries(world.Canaries(s.people))
	if err := s.start(ctx); err != nil {
		t.Fatal(s.explain(err), errs.String())
	}
	known, err := s.checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.load(ctx, dir, resources)
	if err != nil {
		t.Fatal(err)
	}
	if got.Result.People.Created != 9 || got.Result.Facts == 0 || got.Result.Quarantined != 0 {
		t.Errorf("imported %+v", got.Result)
	}
	c := theCare()
	c.rule = "condition in (snomed:73595000, snomed:10509002, snomed:195662009, snomed:423315002) any status"
	s.campaigns = []*campaign{c}
	if err := s.know(ctx, system); err != nil {
		t.Fatal(err)
	}
	if err := s.choose(ctx, c); err != nil {
		t.Fatal(err)
	}
	s.result.Audience = int(c.matched)
	if err := s.send(ctx, c); err != nil {
		t.Fatal(s.explain(err), errs.String())
	}
	if c.matched != 8 {
		t.Errorf("the rule matches %d people, want 8", c.matched)
	}
	s.judge(c, nil, func(m *message) string { return expectCare(m.made, s.now) })
	if err := s.tally(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.arrivals(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.audit(ctx, known); err != nil {
		t.Fatal(err)
	}
	if err := s.scanRunning(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.child.stop(); err != nil {
		t.Error(err)
	}
	if err := s.scanResting(); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.broken {
		t.Error("did not hold:", b)
	}
	if want := (Decided{TLS: 4, Pickup: 2, Held: 1, Refused: 1}); s.result.Decided != want {
		t.Errorf("decided %+v, want %+v", s.result.Decided, want)
	}
	if s.result.Delivered != 5 || s.result.Bounced != 1 || s.result.Deferred != 1 {
		t.Errorf("delivered %d, bounced %d, deferred %d", s.result.Delivered, s.result.Bounced, s.result.Deferred)
	}
}

// synthea reads the people of an export, as the story knows those that it made up.
func (s *story) synthea(t *testing.T, dir string) (system string, resources int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		resources += bytes.Count(raw, []byte("\n"))
	}
	raw, err := os.ReadFile(filepath.Join(dir, "Patient.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var p struct {
			Name []struct {
				Family string   `json:"family"`
				Given  []string `json:"given"`
			} `json:"name"`
			BirthDate        string                           `json:"birthDate"`
			DeceasedDateTime string                           `json:"deceasedDateTime"`
			Telecom          []struct{ System, Value string } `json:"telecom"`
			Identifier       []struct {
				System string `json:"system"`
				Value  string `json:"value"`
				Type   struct {
					Coding []struct {
						Code string `json:"code"`
					} `json:"coding"`
				} `json:"type"`
			} `json:"identifier"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		one := world.Person{Number: len(s.people) + 1, Family: p.Name[0].Family, Given: p.Name[0].Given[0], Deceased: p.DeceasedDateTime != ""}
		if one.Birth, err = time.Parse(time.DateOnly, p.BirthDate); err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Telecom {
			if c.System == "email" {
				one.Emails = append(one.Emails, c.Value)
			}
		}
		for _, x := range p.Identifier {
			if len(x.Type.Coding) > 0 && x.Type.Coding[0].Code == "MR" {
				system, one.MRN = x.System, x.Value
			}
		}
		s.people = append(s.people, one)
	}
	return system, resources
}
