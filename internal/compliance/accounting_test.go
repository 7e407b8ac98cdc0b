package compliance_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compliance"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

var scope = id.Scope{Organisation: 1, Actor: id.Operator(7)}

// file is a person with a key, and the ledger that speaks of both.
type file struct {
	st     *store.Store
	led    *ledger.Ledger
	person id.Person
	key    seal.Key
}

func newFile(t testing.TB, st *store.Store) *file {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	f := &file{st: st, led: led, person: id.New[id.Person]()}
	f.do(t, func(ctx context.Context, tx *store.Tx) (err error) {
		f.key, _, err = keys.NewSubject(ctx, tx, f.person.UUID())
		return err
	})
	return f
}

func (f *file) do(t testing.TB, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := f.st.Write(t.Context(), scope, fn); err != nil {
		t.Fatal(err)
	}
	if err := f.led.Numbered(t.Context(), scope.Organisation); err != nil {
		t.Fatal(err)
	}
}

func (f *file) record(t testing.TB, d compliance.Disclosure) error {
	t.Helper()
	err := f.st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		return compliance.Record(ctx, tx, f.led, f.person, f.key, d)
	})
	if err == nil {
		err = f.led.Numbered(t.Context(), scope.Organisation)
	}
	return err
}

func (f *file) account(t testing.TB, since law.Date) (a compliance.Accounting) {
	t.Helper()
	f.do(t, func(ctx context.Context, tx *store.Tx) (err error) {
		a, err = compliance.Account(ctx, tx, f.led, law.Embedded(), f.person, f.key, since)
		return err
	})
	return a
}

func disclosure(basis compliance.Basis, on law.Date) compliance.Disclosure {
	return compliance.Disclosure{On: on, Receiver: "County Health Department", Address: "1 Main Street", Description: "a positive test", Basis: basis}
}

// TestTheAccountOfDisclosures: 45 CFR 164.528: six years, what the rule leaves out left out, each with day, receiver, address, description
// and purpose.
func TestTheAccountOfDisclosures(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		f := newFile(t, st)
		today := law.Day(time.Now())
		for _, b := range compliance.Bases() {
			if err := f.record(t, disclosure(b, today-3)); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		}
		old, other := disclosure("public-health", today-6*366-1), disclosure("impermissible", today-400)
		other.Purpose = "sent to another patient by mistake"
		secret, over := disclosure("law-enforcement", today-2), disclosure("oversight", today-2)
		secret.Suspended, over.Suspended = today+30, today-1
		for _, d := range []compliance.Disclosure{old, other, secret, over} {
			if err := f.record(t, d); err != nil {
				t.Fatal(err)
			}
		}
		// One of another package, which names no basis: its purpose leaves it out, or nothing does.
		for _, p := range []ledger.Purpose{ledger.PurposeTreatment, ledger.PurposeMarketing} {
			f.do(t, func(ctx context.Context, tx *store.Tx) error {
				return f.led.Append(ctx, tx, ledger.Entry{Act: ledger.ActDisclosure, Purpose: p, Subject: f.person, Detail: ledger.Detail{"receiver": "a feed"}}, f.key)
			})
		}
		a := f.account(t, 0)
		if len(a.Disclosures) != 14+2+1 || a.LeftOut != 10+1 || a.Suspended != 1 || a.Closed != 0 || a.Until != today {
			t.Errorf("%d disclosures, %d left out, %d suspended, %d closed", len(a.Disclosures), a.LeftOut, a.Suspended, a.Closed)
		}
		for _, left := range []compliance.Basis{"treatment", "payment", "operations", "individual", "incidental", "authorization", "directory", "national-security", "custody", "limited-data-set"} {
			if slices.ContainsFunc(a.Disclosures, func(x compliance.Accounted) bool { return x.Basis == left }) {
				t.Errorf("%s stands in the account", left)
			}
		}
		if a.Disclosures[0].Receiver != "a feed" || a.Disclosures[0].On != today {
			t.Errorf("%+v", a.Disclosures[0])
		}
		for _, x := range a.Disclosures[1:] {
			if x.On == 0 || x.Receiver == "" || x.Address == "" || x.Description == "" || x.Purpose == "" || !strings.HasPrefix(x.Rule, "45 CFR 164.") {
				t.Errorf("%+v", x)
			}
		}
		if a := f.account(t, today-2); len(a.Disclosures) != 2 || a.Since != today-2 {
			t.Errorf("since two days: %+v", a.Disclosures)
		}
		// Each asking is itself an entry.
		var looks []compliance.Look
		f.do(t, func(ctx context.Context, tx *store.Tx) (err error) {
			looks, _, err = compliance.Looks(ctx, tx, f.led, f.person, f.key, ledger.Query{})
			return err
		})
		if len(looks) != 2+len(compliance.Bases())+6 || looks[0].What != "accounting of disclosures" || looks[0].Actor != scope.Actor.String() || looks[0].Act != "view" {
			t.Errorf("%d looks, %+v", len(looks), looks[0])
		}
		f.do(t, func(ctx context.Context, tx *store.Tx) (err error) {
			looks, _, err = compliance.Looks(ctx, tx, f.led, f.person, f.key, ledger.Query{Limit: 1})
			return err
		})
		if len(looks) != 1 || looks[0].What != "who looked" {
			t.Errorf("%+v", looks)
		}
	})
}

func TestADisclosureThatCannotBeAccountedForIsRefused(t *testing.T) {
	f := newFile(t, caretest.Open(t))
	today := law.Day(time.Now())
	for name, change := range map[string]func(d *compliance.Disclosure){
		"no receiver":              func(d *compliance.Disclosure) { d.Receiver = " " },
		"no description":           func(d *compliance.Disclosure) { d.Description = "" },
		"no day":                   func(d *compliance.Disclosure) { d.On = 0 },
		"a day to come":            func(d *compliance.Disclosure) { d.On = today + 1 },
		"no basis":                 func(d *compliance.Disclosure) { d.Basis = "" },
		"another basis":            func(d *compliance.Disclosure) { d.Basis = "because" },
		"suspended for nobody":     func(d *compliance.Disclosure) { d.Suspended = today + 9 },
		"a description as a novel": func(d *compliance.Disclosure) { d.Description = strings.Repeat("x", 2001) },
	} {
		d := disclosure("public-health", today)
		change(&d)
		if err := f.record(t, d); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAMillionEntries measures both questions over a ledger of a million entries, 10,000 of them about the person.
func TestAMillionEntries(t *testing.T) {
	if os.Getenv("CAREPOST_SOAK") == "" {
		t.Skip("set CAREPOST_SOAK=1: it writes a million entries")
	}
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		f := newFile(t, st)
		const all, each = 1_000_000, 1000
		for n := 0; n < all; n += each {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				batch := make([]ledger.Keyed, each)
				for i := range batch {
					batch[i] = ledger.Keyed{Key: f.key, Entry: ledger.Entry{Act: ledger.ActDecision, Purpose: ledger.PurposeTreatment, Subject: f.person}}
					if i%100 != 0 {
						batch[i].Subject = id.New[id.Person]()
					} else if n%100_000 == 0 && i%200 == 0 {
						batch[i].Act = ledger.ActView
					}
				}
				return f.led.AppendAll(ctx, tx, batch)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := f.led.Numbered(t.Context(), scope.Organisation); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := f.record(t, disclosure("public-health", law.Day(time.Now())-law.Date(i))); err != nil {
				t.Fatal(err)
			}
		}
		var account, looks []time.Duration
		for range 51 {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				start := time.Now()
				a, err := compliance.Account(ctx, tx, f.led, law.Embedded(), f.person, f.key, 0)
				account = append(account, time.Since(start))
				if len(a.Disclosures) != 200 {
					t.Errorf("%d disclosures", len(a.Disclosures))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			err = st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				start := time.Now()
				_, _, err := compliance.Looks(ctx, tx, f.led, f.person, f.key, ledger.Query{Limit: 100})
				looks = append(looks, time.Since(start))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(account)
		slices.Sort(looks)
		t.Logf("%s: account p50 %s p98 %s; looks p50 %s p98 %s", st.Engine(), account[25], account[50], looks[25], looks[50])
	})
}
