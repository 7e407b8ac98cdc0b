package agreement_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

var scope = id.System(1)

func terms() agreement.Terms {
	sum := sha256.Sum256([]byte("the signed document"))
	return agreement.Terms{
		Counterparty: "Relay Inc", Services: []string{"smtp.relay.example"}, From: law.On(2026, time.March, 1), Until: law.On(2027, time.February, 28),
		Agent: agreement.AgencyUnknown, IncidentHours: 48, Document: sum[:], Delegated: []agreement.Duty{agreement.DutyTellPersons},
		Clauses: agreement.Clauses,
	}
}

// TestCovers: 45 CFR 164.502(e), 164.308(b): the service is asked, on the day, not the vendor.
func TestCovers(t *testing.T) {
	for _, c := range []struct {
		rule    string
		change  func(t *agreement.Terms)
		service string
		on      law.Date
		want    bool
	}{
		{"a service on the list is covered", nil, "smtp.relay.example", law.On(2026, time.November, 24), true},
		{"however it is written", nil, " SMTP.Relay.Example ", law.On(2026, time.November, 24), true},
		{"another service of the vendor is not", nil, "sms.relay.example", law.On(2026, time.November, 24), false},
		{"nor any service without a name", nil, "", law.On(2026, time.November, 24), false},
		{"it covers its first day", nil, "smtp.relay.example", law.On(2026, time.March, 1), true},
		{"and not the day before", nil, "smtp.relay.example", law.On(2026, time.February, 28), false},
		{"it covers its last day", nil, "smtp.relay.example", law.On(2027, time.February, 28), true},
		{"and not the day after", nil, "smtp.relay.example", law.On(2027, time.March, 1), false},
		{"without a last day it goes on", func(t *agreement.Terms) { t.Until = 0 }, "smtp.relay.example", law.On(2040, time.January, 1), true},
		{"45 CFR 164.504(e)(2): a missing clause is a missing agreement", func(t *agreement.Terms) {
			t.Clauses = slices.DeleteFunc(slices.Clone(t.Clauses), func(c agreement.Clause) bool { return c == agreement.ClauseReport })
		}, "smtp.relay.example", law.On(2026, time.November, 24), false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			x := terms()
			if c.change != nil {
				c.change(&x)
			}
			if got := (agreement.Agreement{Terms: x}).Covers(c.service, c.on); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestTermsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *agreement.Terms)
	}{
		{"nobody", func(t *agreement.Terms) { t.Counterparty = " " }},
		{"no service", func(t *agreement.Terms) { t.Services = nil }},
		{"a service in capitals", func(t *agreement.Terms) { t.Services = []string{"SMTP"} }},
		{"no first day", func(t *agreement.Terms) { t.From = 0 }},
		{"an end before the beginning", func(t *agreement.Terms) { t.Until = t.From - 1 }},
		{"no answer on agency", func(t *agreement.Terms) { t.Agent = "" }},
		{"more hours than the law allows", func(t *agreement.Terms) { t.IncidentHours = 60*24 + 1 }},
		{"no document", func(t *agreement.Terms) { t.Document = nil }},
		{"an unknown clause", func(t *agreement.Terms) { t.Clauses = []agreement.Clause{"all"} }},
		{"an unknown duty", func(t *agreement.Terms) { t.Delegated = []agreement.Duty{"all"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := terms()
			c.change(&x)
			if err := x.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		r := agreement.New(keys, led)
		var a id.Agreement
		write(t, st, func(ctx context.Context, tx *store.Tx) (err error) {
			a, err = r.Sign(ctx, tx, terms())
			return err
		})
		at := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
		if got, ok := covers(t, st, r, at); !ok || got.ID != a || got.Counterparty != "Relay Inc" || got.IncidentHours != 48 {
			t.Fatalf("%v %+v", ok, got)
		}
		if _, ok := covers(t, st, r, at.AddDate(2, 0, 0)); ok {
			t.Error("covered after the last day")
		}
		// A copy of the program that read it before sees the change at once.
		other := agreement.New(keys, led)
		covers(t, st, other, at)
		write(t, st, func(ctx context.Context, tx *store.Tx) error {
			x, err := r.Get(ctx, tx, a)
			if err != nil {
				return err
			}
			changed := x.Terms
			changed.Services = []string{"sms.relay.example"}
			if err := r.Amend(ctx, tx, x, changed); err != nil {
				return err
			}
			if err := r.Amend(ctx, tx, x, changed); !fault.Is(err, fault.Conflict) {
				t.Errorf("an old version was changed: %v", err)
			}
			return nil
		})
		if _, ok := covers(t, st, other, at); ok {
			t.Error("covered by a list that was changed")
		}
		write(t, st, func(ctx context.Context, tx *store.Tx) error {
			x, err := r.Get(ctx, tx, a)
			if err != nil {
				return err
			}
			if err := r.End(ctx, tx, x, law.On(2020, time.January, 1)); !fault.Is(err, fault.Invalid) {
				t.Errorf("ended before it began: %v", err)
			}
			return r.End(ctx, tx, x, law.On(2026, time.November, 1))
		})
		if err := led.Numbered(t.Context(), scope.Organisation); err != nil {
			t.Fatal(err)
		}
		read(t, st, func(ctx context.Context, tx *store.Tx) error {
			x, err := r.Get(ctx, tx, a)
			if err != nil || x.State != agreement.Ended || x.Until != law.On(2026, time.November, 1) || x.Version != 3 {
				t.Errorf("%+v %v", x, err)
			}
			if _, err := r.Get(ctx, tx, id.New[id.Agreement]()); !fault.Is(err, fault.NotFound) {
				t.Errorf("%v", err)
			}
			page, err := led.Of(ctx, tx, a.UUID(), ledger.Query{})
			if err != nil || len(page.Records) != 3 {
				t.Errorf("%d ledger entries, want 3: %v", len(page.Records), err)
			}
			return nil
		})
		// Another organisation has agreements of its own.
		err := st.Read(t.Context(), id.System(2), func(ctx context.Context, tx *store.Tx) error {
			list, err := r.List(ctx, tx)
			if len(list) != 0 {
				t.Errorf("%d agreements of somebody else", len(list))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func covers(t *testing.T, st *store.Store, r *agreement.Agreements, at time.Time) (a agreement.Agreement, ok bool) {
	t.Helper()
	read(t, st, func(ctx context.Context, tx *store.Tx) (err error) {
		a, ok, err = r.Covers(ctx, tx, "smtp.relay.example", at)
		return err
	})
	return a, ok
}

func write(t *testing.T, st *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := st.Write(t.Context(), scope, fn); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, st *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := st.Read(t.Context(), scope, fn); err != nil {
		t.Fatal(err)
	}
}
