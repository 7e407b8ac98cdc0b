package intake_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

var scope = id.System(1)

// clinic is a store with people and an intake, for one test.
type clinic struct {
	t  testing.TB
	st *store.Store
	p  *people.People
	in *intake.Intake

	needs intake.Needs
}

func open(t testing.TB, st *store.Store) *clinic {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	c := &clinic{t: t, st: st, needs: intake.Needs{Store: st, Keys: keys, Ledger: led, Mappers: []intake.Mapper{fhir.Mapper{}}}}
	c.start()
	return c
}

// start begins as a process does: nothing is known but what the store holds.
func (c *clinic) start() {
	c.p = people.New(c.st, c.needs.Keys, c.needs.Ledger)
	c.needs.People = c.p
	c.in = intake.New(c.needs)
}

func files(names ...string) []intake.File {
	var all []intake.File
	for _, n := range names {
		all = append(all, intake.File{Path: n})
	}
	return all
}

func made(names ...string) []intake.File {
	for i, n := range names {
		names[i] = filepath.Join("fhir", "testdata", n+".ndjson")
	}
	return files(names...)
}

func (c *clinic) run(o intake.Options) *intake.Result {
	c.t.Helper()
	o.Source, o.Format = "ehr", "fhir"
	r, err := c.in.Import(context.Background(), scope, o)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *clinic) write(text string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "lines.ndjson")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// everyone gives what is known of everyone, by the source's key, without ids and times of our own.
func (c *clinic) everyone() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	err := c.st.Read(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		list, err := c.p.List(ctx, tx, 0, 10_000)
		if err != nil {
			return err
		}
		for _, person := range list {
			facts, err := c.p.Facts(ctx, tx, person)
			if err != nil {
				return err
			}
			profiles, err := c.p.Facts(ctx, tx, person, people.FactProfile)
			if err != nil {
				return err
			}
			p, err := c.p.Get(ctx, tx, person)
			if err != nil {
				return err
			}
			var keys []string
			for _, f := range profiles {
				keys = append(keys, f.Resource)
			}
			slices.Sort(keys)
			key := strings.Join(keys, " ")
			for i := range facts {
				facts[i].ID, facts[i].Import = id.Fact{}, id.Import{}
			}
			for i := range p.Core.Contacts {
				p.Core.Contacts[i].ID = id.ContactPoint{}
			}
			slices.SortFunc(facts, func(a, b people.Fact) int { return compare(a.Resource, b.Resource) })
			var projection people.Projection
			err = c.p.Projections(ctx, tx, []id.Person{person}, func(_ id.Person, _ uint32, p people.Projection) error {
				projection = p
				return nil
			})
			if err != nil {
				return err
			}
			text, err := json.Marshal([]any{p.Core, facts, projection})
			all[key] = string(text)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func text(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var madeFiles = []string{"people", "appointments", "conditions", "medications", "observations", "other", "deleted"}

func TestImport(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		dry := c.run(intake.Options{Files: made(slices.Clone(madeFiles)...), DryRun: true})
		if got := c.everyone(); len(got) != 0 {
			t.Fatalf("a dry run made %d people", len(got))
		}
		r := c.run(intake.Options{Files: made(slices.Clone(madeFiles)...)})
		dry.DryRun, dry.Import = false, r.Import
		if text(dry) != text(r) {
			t.Errorf("a dry run said %s", text(dry))
		}
		again := c.run(intake.Options{Files: made(slices.Clone(madeFiles)...)})
		if again.Facts+again.Events+again.Retracted+again.People.Created+again.People.Updated+again.People.Merged != 0 {
			t.Errorf("the same import again: %s", text(again))
		}
	})
}
