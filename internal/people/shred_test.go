package people_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// office is an installation with a ring in hand, its clock wherever the test wants it.
type office struct {
	testing.TB
	st   *store.Store
	keys *seal.Keys
	led  *ledger.Ledger
	p    *people.People
}

func openOffice(t testing.TB, st *store.Store, ring string) *office {
	t.Helper()
	r, err := seal.OpenRing(ring, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Open(t.Context(), st, r)
	if err != nil {
		t.Fatal(err)
	}
	led := caretest.Ledger(t, st, keys)
	return &office{t, st, keys, led, people.New(st, keys, led)}
}

func (o *office) do(fn func(ctx context.Context, tx *store.Tx) error) {
	o.Helper()
	if err := o.st.Write(o.Context(), id.System(1), fn); err != nil {
		o.Fatal(err)
	}
}

func (o *office) patient(key, email string, match ...people.Identifier) id.Person {
	o.Helper()
	var who id.Person
	o.do(func(ctx context.Context, tx *store.Tx) error {
		core := people.Core{
			Kind: people.KindPatient, Birth: people.Date{Year: 1970, Month: 5, Day: 6}, Names: []people.Name{{Family: "Quillfeather", Given: []string{key}}},
			Identifiers: match,
			Contacts:    []people.ContactPoint{{Channel: people.ChannelEmail, Value: email, Normal: email}},
		}
		_, err := o.p.Apply(ctx, tx, []people.Change{
			{Source: "ehr", Subject: key, Active: true, Profile: &core, Match: match},
			{Source: "ehr", Subject: key, Active: true, Facts: []people.Fact{{
				Kind: people.FactCondition, State: people.StateActive, Resource: "Condition/" + key, Codes: []people.Code{{System: "icd10cm", Code: "I10"}},
			}}},
		}, id.New[id.Import]())
		if err != nil {
			return err
		}
		found, err := o.p.BySubject(ctx, tx, "ehr", key)
		if err == nil {
			who = found[0]
		}
		return err
	})
	return who
}

func nothingInTheWay(context.Context, *store.Tx, []id.Person) error { return nil }

func (o *office) shred(p id.Person) []byte {
	o.Helper()
	signed, err := o.p.Shred(o.Context(), id.System(1), p, "test-data", nothingInTheWay)
	if err != nil {
		o.Fatal(err)
	}
	return signed
}

func (o *office) count(query string, args ...any) (n int) {
	o.Helper()
	err := o.st.Read(o.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, query, args...).Scan(&n)
	})
	if err != nil {
		o.Fatal(err)
	}
	return n
}

func (o *office) wrapped(p id.Person) (b []byte) {
	o.Helper()
	err := o.st.Read(o.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, "select wrapped_key from person where organisation_id = 1 and id = ?", p).Scan(&b)
	})
	if err != nil {
		o.Fatal(err)
	}
	return b
}

func (o *office) reads(p id.Person) error {
	return o.st.Read(o.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := o.p.Get(ctx, tx, p)
		return err
	})
}

func newRing(t testing.TB, now time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	if err := seal.CreateRing(path, now); err != nil {
		t.Fatal(err)
	}
	return path
}

// A person that is shredded is gone with every record merged into it: nothing finds it, nothing opens, the others are untouched, the
// ledger knows, and the certificate verifies offline.
func TestShred(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := openOffice(t, st, newRing(t, time.Now()))
		gone := o.patient("ada", "ada@example.org")
		stays := make([]id.Person, 40)
		for i := range stays {
			stays[i] = o.patient(fmt.Sprint("p", i), "ada@example.org")
		}
		keys := o.count("select count(*) from seal_key where organisation_id = 1 and purpose = 'bucket' and state = 'destroyed'")
		signed := o.shred(gone)

		text, origin, err := ledger.VerifyStatement(signed, o.led.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		c, err := seal.ParseCertificate(text)
		if err != nil || c.Origin != origin || c.What != seal.ShredPerson || len(c.Of) != 1 || c.Of[0] != gone.String() || c.Keys != 2 || c.Complete.Sub(c.At) != 36*24*time.Hour {
			t.Errorf("%+v %v", c, err)
		}
		if n := o.count("select count(*) from seal_key where organisation_id = 1 and purpose = 'bucket' and state = 'destroyed'"); n != keys+1 {
			t.Errorf("%d bucket keys are destroyed, want one more than %d", n, keys)
		}
		for what, query := range map[string]string{
			"facts": "select count(*) from fact where person_id = ?", "events": "select count(*) from event where person_id = ?",
			"identifiers": "select count(*) from person_identifier where person_id = ?",
		} {
			if n := o.count(query, gone); n != 0 {
				t.Errorf("%d %s are left", n, what)
			}
		}
		if len(o.wrapped(gone)) != 0 {
			t.Error("the wrapped key is left")
		}
		if err := o.reads(gone); !fault.Is(err, fault.Sealed) {
			t.Error("the record reads:", err)
		}
		for _, p := range stays {
			if err := o.reads(p); err != nil {
				t.Error("another record does not read:", err)
			}
		}
		// Another process, with nothing in memory.
		again := o.elsewhere(st, o.keys.RingPath())
		seen := 0
		err = st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			if err := again.p.Projections(ctx, tx, []id.Person{gone}, func(id.Person, uint32, people.Projection) error { seen = -1000; return nil }); err != nil {
				return err
			}
			return again.p.Scan(ctx, tx, func(id.Person, uint32, *people.Projection) error { seen++; return nil })
		})
		if err != nil || seen != len(stays) {
			t.Errorf("an index finds %d people: %v", seen, err)
		}
		for what, err := range map[string]error{"again": o.tryShred(gone), "nobody": o.tryShred(id.New[id.Person]())} {
			if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
				t.Errorf("shredded %s: %v", what, err)
			}
		}
	})
}

// elsewhere gives people as a process that only reads them has them: nothing in memory, and the same ledger.
func (o *office) elsewhere(st *store.Store, ring string) *office {
	o.Helper()
	r, err := seal.OpenRing(ring, "")
	if err != nil {
		o.Fatal(err)
	}
	keys, err := seal.Open(o.Context(), st, r)
	if err != nil {
		o.Fatal(err)
	}
	return &office{o.TB, st, keys, o.led, people.New(st, keys, o.led)}
}

func (o *office) tryShred(p id.Person) error {
	_, err := o.p.Shred(o.Context(), id.System(1), p, "test-data", nothingInTheWay)
	return err
}

// What stands in the way stops all of it: nothing is destroyed, and the person reads on.
func TestShredThatIsNotAllowed(t *testing.T) {
	st := caretest.Open(t)
	o := openOffice(t, st, newRing(t, time.Now()))
	who := o.patient("ada", "ada@example.org")
	_, err := o.p.Shred(t.Context(), id.System(1), who, "test-data", func(context.Context, *store.Tx, []id.Person) error {
		return fault.New(fault.Conflict, "a legal hold")
	})
	if !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	if err := o.reads(who); err != nil {
		t.Error(err)
	}
	if n := o.count("select count(*) from seal_certificate"); n != 0 {
		t.Errorf("%d certificates", n)
	}
	o.shred(who) // and the renewal that was begun is in nobody's way
}

// A 36-day-old copy of the database opens with today's ring no more, a 34-day-old one does; and what today's keys still hold opens nothing
// of the shredded person in the older one.
func TestAShreddedPersonIsGoneFromOldCopies(t *testing.T) {
	birth := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	now := birth
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	ring := newRing(t, now)
	o := openOffice(t, st, ring)
	who, neighbour := o.patient("ada", "ada@example.org"), o.patient("bo", "bo@example.org")
	const shredded = 4
	old := map[int]string{}
	var wrapped []byte
	for day := range 40 {
		now = birth.AddDate(0, 0, day)
		if _, err := o.keys.Tend(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		switch day {
		case 3:
			wrapped = o.wrapped(who)
			old[day] = copyOf(t, o, dir)
		case shredded:
			o.shred(who)
		}
		if day == 37 { // the copy of day 3 is 34 days old
			young := openCopy(t, old[3], now)
			if err := o.elsewhere(young, ring).reads(who); err != nil {
				t.Errorf("a copy of %d days opens no more: %v", day-3, err)
			}
			if err := young.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := o.reads(who); !fault.Is(err, fault.Sealed) {
		t.Error("the live database opens what was shredded:", err)
	}
	if err := o.reads(neighbour); err != nil {
		t.Error(err)
	}
	r, err := seal.OpenRing(ring, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(t.Context(), openCopy(t, old[3], now), r); !fault.Is(err, fault.Sealed) || !strings.Contains(err.Error(), "opened by nobody") {
		t.Errorf("a copy of 36 days: %v", err)
	}
	// Whoever has the old copy, the live database and today's ring, and does not ask us whether it may.
	err = st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := o.keys.Subject(ctx, tx, who.UUID(), wrapped)
		return err
	})
	if !fault.Is(err, fault.Sealed) || !strings.Contains(err.Error(), "destroyed on 2026-11-28") {
		t.Errorf("the live bucket keys open the old copy's key: %v", err)
	}
}

func copyOf(t testing.TB, o *office, dir string) string {
	t.Helper()
	o.do(func(context.Context, *store.Tx) error { return nil })
	to := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"carepost.db", "carepost.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func openCopy(t testing.TB, dir string, now time.Time) *store.Store {
	t.Helper()
	return caretest.OpenWith(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
}
