package people

import (
	"context"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// clinic is a store with people in it, for one test.
type clinic struct {
	t  testing.TB
	st *store.Store
	p  *People
}

func open(t testing.TB, st *store.Store) *clinic {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	return &clinic{t, st, New(st, keys, led)}
}

var scope = id.System(1)

func (c *clinic) write(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Write(context.Background(), scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clinic) read(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Read(context.Background(), scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clinic) apply(changes ...Change) (a Applied) {
	c.t.Helper()
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		a, err = c.p.Apply(ctx, tx, changes, id.New[id.Import]())
		return err
	})
	return a
}

func (c *clinic) subject(source, key string) (person Person) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) error {
		found, err := c.p.BySubject(ctx, tx, source, key)
		if err != nil || len(found) != 1 {
			c.t.Fatalf("%s: %d people, %v", key, len(found), err)
		}
		person, err = c.p.Get(ctx, tx, found[0])
		return err
	})
	return person
}

func (c *clinic) projection(person id.Person) (out Projection) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) error {
		return c.p.Projections(ctx, tx, []id.Person{person}, func(_ id.Person, _ uint32, p Projection) error {
			out = p
			return nil
		})
	})
	return out
}

func (c *clinic) events(person id.Person) map[string]int {
	c.t.Helper()
	n := map[string]int{}
	c.read(func(ctx context.Context, tx *store.Tx) error {
		all, err := c.p.Events(ctx, tx, person, time.Time{})
		for _, e := range all {
			n[e.Kind]++
		}
		return err
	})
	return n
}

// touches gives how often people were touched, numbered or not yet.
func (c *clinic) touches() int {
	return c.rows(`SELECT count(*) FROM change WHERE organisation_id = ?`) + c.rows(`SELECT count(*) FROM change_pending WHERE organisation_id = ?`)
}

func day(text string) Moment {
	m, err := ParseMoment(text)
	if err != nil {
		panic(err)
	}
	return m
}

// amara is a patient with a record number, an address and a phone.
func amara(subject, mrn string) Change {
	x := Identifier{System: "urn:oid:2.999.1.1", Value: mrn, Type: "MR"}
	return Change{
		Source: "ehr", Subject: subject, Match: []Identifier{x}, Active: true, Updated: day("2026-11-01T10:00:00Z").Time,
		Profile: &Core{
			Kind: KindPatient, Names: []Name{{Use: "official", Family: "Okafor-Reyes", Given: []string{"Amara", "Lucía"}}},
			Birth: Date{1968, 2, 29}, Sex: SexFemale, Languages: []string{"es-US"}, Identifiers: []Identifier{x},
			Addresses: []Address{{Use: "home", City: "Springfield", State: "IL", PostalCode: "62701-1234"}},
			Contacts: []ContactPoint{
				{Channel: ChannelEmail, Value: "Amara.Okafor@Example.com", Normal: "amara.okafor@example.com", Use: "home"},
				{Channel: ChannelPhone, Value: "(212) 555-0143", Normal: "+12125550143", Use: "mobile"},
			},
		},
	}
}

func fact(subject string, f Fact) Change {
	f.Source = "ehr"
	return Change{Source: "ehr", Subject: subject, Updated: f.Updated, Facts: []Fact{f}}
}

func TestApplyMakesFindsAndChangesNothingTwice(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		changes := []Change{
			amara("Patient/p1", "0012345"),
			fact("Patient/p1", Fact{
				Kind: FactCondition, State: StateActive, Resource: "Condition/c1", Start: day("2019-03"),
				Codes: []Code{{System: "icd10cm", Code: "E1165"}, {System: "snomed", Code: "44054006"}},
			}),
			fact("Patient/p1", Fact{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/a2", Start: day("2024-11-10T14:30:00-06:00")}),
		}
		a := c.apply(changes...)
		if a.Created != 1 || a.Facts != 3 || a.Events != 1 || len(a.Warnings) != 0 {
			t.Fatalf("%+v", a)
		}
		person := c.subject("ehr", "Patient/p1")
		if person.Ordinal != 1 || person.Core.Names[0].Family != "Okafor-Reyes" || person.Core.Contacts[0].ID.IsZero() {
			t.Errorf("%+v", person)
		}
		p := c.projection(person.ID)
		if len(p.Conditions) != 2 || !p.HasEmail || p.Birth != (Date{1968, 2, 29}) || p.State != "IL" || len(p.Sources) != 1 {
			t.Errorf("%+v", p)
		}
		if got := c.events(person.ID); got[EventMissed] != 1 || len(got) != 1 {
			t.Errorf("%v", got)
		}
		again := c.apply(changes...)
		if again.Facts+again.Events+again.Retracted+again.Created+again.Updated != 0 || again.Same != 3 || again.Unchanged != 1 || len(again.People) != 0 {
			t.Errorf("the same changes again: %+v", again)
		}
		if after := c.subject("ehr", "Patient/p1"); after.Version != person.Version {
			t.Errorf("version %d became %d", person.Version, after.Version)
		}
		if n, touches := c.rows(`SELECT count(*) FROM ledger_entry WHERE organisation_id = ?`)+c.rows(`SELECT count(*) FROM ledger_pending WHERE organisation_id = ?`), c.touches(); n != 1 || touches != 1 {
			t.Errorf("one person, one chunk, and another that changed nothing: %d ledger entries, %d touches", n, touches)
		}
		c.read(func(ctx context.Context, tx *store.Tx) error {
			for what, find := range map[string]func() ([]id.Person, error){
				"record number": func() ([]id.Person, error) {
					return c.p.ByIdentifier(ctx, tx, Identifier{System: "urn:oid:2.999.1.1", Value: " 0012345 "})
				},
				"email": func() ([]id.Person, error) { return c.p.ByContact(ctx, tx, ChannelEmail, "amara.okafor@example.com") },
				"phone": func() ([]id.Person, error) { return c.p.ByContact(ctx, tx, ChannelPhone, "+12125550143") },
			} {
				if found, err := find(); err != nil || len(found) != 1 || found[0] != person.ID {
					t.Errorf("by %s: %v %v", what, found, err)
				}
			}
			return nil
		})
	})
}
