package send_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

// A send writes to a person once, however often and under however many of the person's records it is handed in.
func TestSubmitWritesToAPersonOnce(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		a, b, twin := c.patient("a", "a@trusted.example"), c.patient("b", "b@trusted.example"), c.patient("twin", "a2@trusted.example")
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.people.Merge(ctx, tx, twin.ID, a.ID) })
		sid := id.New[id.Send]()
		submit := func(to ...send.Recipient) (taken []id.Message) {
			c.write(func(ctx context.Context, tx *store.Tx) (err error) {
				if err := c.Open(ctx, tx, sid, c.careRequest()); err != nil {
					return err
				}
				taken, err = c.Submit(ctx, tx, sid, to)
				return err
			})
			return taken
		}
		mine := func(p people.Person, words string) send.Recipient {
			return send.Recipient{Person: p.ID, Values: map[string]any{"account": words}}
		}
		first := submit(mine(b, "of b"), mine(b, "of b again"), mine(a, "of a"), mine(twin, "of twin"))
		if len(first) != 2 {
			t.Fatalf("%d messages for two people", len(first))
		}
		if again := submit(mine(b, "x"), mine(a, "x"), mine(twin, "x")); len(again) != 0 {
			t.Errorf("handed in again: %d messages", len(again))
		}
		// Each gets the values that were given for that person, whatever the order of the rows.
		for i, want := range []struct {
			who   people.Person
			words string
		}{{b, "of b"}, {a, "of a"}} {
			if msg := c.message(first[i]); msg.Person != want.who.ID || msg.State != send.Waiting {
				t.Errorf("message %d: %+v", i, msg)
			}
			p := c.prepare(item(first[i], want.who))
			if got := string(p.Data); !strings.Contains(got, "bring "+want.words+" please") || !strings.HasPrefix(p.To, want.who.Core.Contacts[0].Normal) {
				t.Errorf("to %s with %q missing", p.To, want.words)
			}
		}
		c.read(func(ctx context.Context, tx *store.Tx) error {
			s, err := c.Get(ctx, tx, sid)
			if s.Total != 2 || s.States[send.Waiting] != 2 || s.Means[gate.MeansTLS] != 2 || s.Request.Version != 1 {
				t.Errorf("%+v", s)
			}
			return err
		})
	})
}

// What could never be sent is refused before anything is stored.
func TestWhatIsRefusedAtOnce(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		closed := c.careFrom
		c.write(func(ctx context.Context, tx *store.Tx) (err error) {
			closed.Address = "old@riverside.example"
			if closed, err = c.orgs.AddSender(ctx, tx, closed); err == nil {
				err = c.orgs.CloseSender(ctx, tx, closed.ID)
			}
			return err
		})
		for name, x := range map[string]struct {
			change func(r *send.Request)
			code   fault.Code
			where  string
		}{
			"no name":                  {func(r *send.Request) { r.Name = " " }, fault.Invalid, "name"},
			"no purpose":               {func(r *send.Request) { r.Purpose = ledger.PurposeNone }, fault.Invalid, "purpose"},
			"an unknown purpose":       {func(r *send.Request) { r.Purpose = 99 }, fault.Invalid, "purpose"},
			"no class":                 {func(r *send.Request) { r.Class = 0 }, fault.Invalid, "class"},
			"no payer":                 {func(r *send.Request) { r.Payer = gate.Payer{} }, fault.Invalid, "payer"},
			"a sender of other class":  {func(r *send.Request) { r.Sender = c.offerFrom.ID }, fault.Invalid, "sender"},
			"a closed sender":          {func(r *send.Request) { r.Sender = closed.ID }, fault.Conflict, "sender"},
			"no such sender":           {func(r *send.Request) { r.Sender = id.New[id.SenderIdentity]() }, fault.NotFound, ""},
			"a template of other kind": {func(r *send.Request) { r.Template = c.offer.Template }, fault.Invalid, "template"},
			"another purpose":          {func(r *send.Request) { r.Purpose = ledger.PurposePayment }, fault.Invalid, "template"},
			"no such template":         {func(r *send.Request) { r.Template = id.New[id.Template]() }, fault.NotFound, ""},
			"no such version":          {func(r *send.Request) { r.Version = 7 }, fault.NotFound, ""},
			"an end in the past":       {func(r *send.Request) { r.Expires = time.Unix(1, 0) }, fault.Invalid, "expires"},
		} {
			r, sid := c.careRequest(), id.New[id.Send]()
			x.change(&r)
			err := c.st.Write(t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error { return c.Open(ctx, tx, sid, r) })
			if !fault.Is(err, x.code) || !strings.HasPrefix(fault.Text(err), x.where) {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.read(func(ctx context.Context, tx *store.Tx) error {
			all, err := c.List(ctx, tx, id.Send{}, 0)
			if len(all) != 0 {
				t.Errorf("%d sends were stored", len(all))
			}
			return err
		})
	})
}

func TestHandInIsBounded(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		a := c.patient("a", "a@trusted.example")
		sid, _ := c.hand(c.careRequest())
		for name, x := range map[string]struct {
			to   []send.Recipient
			code fault.Code
		}{
			"too many":           {make([]send.Recipient, send.MaxRecipients+1), fault.TooLarge},
			"nobody we know":     {[]send.Recipient{{Person: a.ID}, {Person: id.New[id.Person]()}}, fault.NotFound},
			"values too large":   {[]send.Recipient{{Person: a.ID, Values: map[string]any{"account": strings.Repeat("x", 1<<20)}}}, fault.TooLarge},
			"values not plain":   {[]send.Recipient{{Person: a.ID, Values: map[string]any{"account": func() {}}}}, fault.Invalid},
			"the zero person id": {[]send.Recipient{{}}, fault.NotFound},
		} {
			err := c.st.Write(t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error { _, err := c.Submit(ctx, tx, sid, x.to); return err })
			if !fault.Is(err, x.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// The id of a send stands for one request; the same one may be repeated, also when its template got a newer version.
		c.write(func(ctx context.Context, tx *store.Tx) error {
			if _, err := c.templates.Add(ctx, tx, c.care.Template, content("New", "Hello {{ person.first }} {{ account }}"), ledger.PurposeTreatment, organisation.ClassTransactional); err != nil {
				return err
			}
			return c.Open(ctx, tx, sid, c.careRequest())
		})
		other := c.careRequest()
		other.Bulk = true
		err := c.st.Write(t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error { return c.Open(ctx, tx, sid, other) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("another request under the same id: %v", err)
		}
	})
}

// Nothing can be queued for somebody without an address: it is held at once, with the reasons, and released when there is one.
func TestWithoutAnAddress(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a")
		_, taken := c.hand(c.careRequest(), p)
		msg := c.message(taken[0])
		if msg.State != send.Held || msg.Means != gate.MeansHeld || !has(msg, gate.AddressMissing) {
			t.Fatalf("%+v", msg)
		}
		if n := c.acts(p); n[ledger.ActHold] != 1 {
			t.Errorf("entries: %v", n)
		}
		release := func() error {
			return c.st.Write(t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error { return c.Release(ctx, tx, taken[0]) })
		}
		if err := release(); !fault.Is(err, fault.Conflict) || c.message(taken[0]).State != send.Held {
			t.Errorf("released without an address: %v", err)
		}
		p = c.patient("a", "a@trusted.example")
		if err := release(); err != nil {
			t.Fatal(err)
		}
		if msg := c.message(taken[0]); msg.State != send.Waiting || msg.Means != "" {
			t.Errorf("after the release: %+v", msg)
		}
		if p := c.prepare(item(taken[0], p)); p.To != "a@trusted.example" {
			t.Errorf("%+v", p.Verdict)
		}
		if err := release(); !fault.Is(err, fault.Conflict) {
			t.Errorf("released twice: %v", err)
		}
		if n := c.acts(p); n[ledger.ActRelease] != 1 || n[ledger.ActDecision] != 1 {
			t.Errorf("entries: %v", n)
		}
	})
}
