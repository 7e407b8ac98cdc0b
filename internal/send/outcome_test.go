package send_test

import (
	"context"
	"testing"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

func (c *clinic) suppressed(address string) (n int) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) error {
		at := consent.At{Channel: people.ChannelEmail, Address: address}
		all, err := c.consents.Suppressed(ctx, tx, []consent.At{at})
		n = len(all[at])
		return err
	})
	return n
}

// What the receiver says of the recipient stops mail to the address that was written to, and to no other; what it says of us, its policy
// or the mailbox's size does not.
func TestBounces(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		for key, x := range map[string]struct {
			class      bounce.Class
			suppress   bool
			suppressed int
		}{
			"hard": {bounce.HardBounce, true, 1}, "policy": {bounce.Policy, false, 0}, "full": {bounce.MailboxFull, false, 0}, "a policy by mistake": {bounce.Policy, true, 0},
		} {
			address := "z" + key[:1] + key[len(key)-1:] + "@trusted.example"
			p := c.patient(key, address)
			_, taken := c.hand(c.careRequest(), p)
			c.prepare(item(taken[0], p))
			if key == "hard" { // the record names another address by the time the bounce comes
				p = c.patient(key, "new@trusted.example")
			}
			c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Bounced, Attempt: 1, Class: x.class, Rule: "status.1.1", Suppress: x.suppress})
			msg := c.message(taken[0])
			if n := c.suppressed(address); msg.State != send.Bounced || msg.Means != gate.MeansTLS || msg.Attempts != 1 || msg.DoneAt.IsZero() || n != x.suppressed {
				t.Errorf("%s: %d suppressions, %+v", key, n, msg)
			}
		}
		// A domain that takes no mail, before anything was prepared: the address there, and none that the record names since.
		for domain, n := range map[string]int{"nomail.example": 1, "other.example": 0} {
			address := "d." + domain + "@nomail.example"
			p := c.patient("domain"+domain, address)
			_, taken := c.hand(c.careRequest(), p)
			c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Bounced, Class: bounce.HardBounce, Suppress: true, Domain: domain})
			if got := c.suppressed(address); got != n {
				t.Errorf("%s: %d suppressions", domain, got)
			}
		}
		if c.suppressed("new@trusted.example") != 0 {
			t.Error("an address that nobody wrote to is suppressed")
		}
	})
}

func TestOutcomes(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		sid, taken := c.hand(c.careRequest(), p)
		c.prepare(item(taken[0], p))
		c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Deferred, Attempt: 1})
		if msg := c.message(taken[0]); msg.State != send.Waiting || !msg.Deferred || msg.Attempts != 1 {
			t.Errorf("%+v", msg)
		}
		c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Accepted, Attempt: 2})
		c.read(func(ctx context.Context, tx *store.Tx) error {
			s, err := c.Get(ctx, tx, sid)
			if s.States[send.Accepted] != 1 || s.Deferred != 1 || s.Means[gate.MeansTLS] != 1 {
				t.Errorf("%+v", s)
			}
			return err
		})
		for end, state := range map[delivery.End]send.State{delivery.Expired: send.Expired, delivery.InDoubt: send.InDoubt, delivery.Cancelled: send.Cancelled} {
			_, taken := c.hand(c.careRequest(), p)
			c.prepare(item(taken[0], p))
			c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: end})
			if msg := c.message(taken[0]); msg.State != state || len(msg.Decisions) != 1 {
				t.Errorf("%s: %+v", end, msg)
			}
		}
	})
}

// A domain that breaks the policy it enforces gets neither message nor notice: held, with a decision that says why, each time anew.
func TestABrokenPolicyHolds(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		held := delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Held, Reason: "policy", Attempt: 3}
		for round := 1; round <= 2; round++ {
			c.tell(held)
			msg := c.message(taken[0])
			if msg.State != send.Held || msg.Means != gate.MeansHeld || len(msg.Decisions) != round || !has(msg, gate.TLSPolicyBroken) || has(msg, gate.LintHold) {
				t.Fatalf("round %d: %+v", round, msg)
			}
			if round == 1 {
				c.done(taken[0])
				c.write(func(ctx context.Context, tx *store.Tx) error { return c.Release(ctx, tx, taken[0]) })
			}
		}
		if n := c.acts(p); n[ledger.ActHold] != 2 || n[ledger.ActRelease] != 1 {
			t.Errorf("entries: %v", n)
		}
	})
}

// Every end that the queue comes to by itself has a decision that says just that: not a broken policy, and no means by which nothing went.
func TestTheQueuesEndsAreDecidedAsWhatTheyAre(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		for _, x := range []struct {
			end      delivery.End
			reason   string
			prepared bool
			code     gate.Code
			state    send.State
			act      ledger.Act
		}{
			{delivery.Held, delivery.ReasonPolicy, true, gate.TLSPolicyBroken, send.Held, ledger.ActHold},
			{delivery.Held, delivery.ReasonOurs, true, gate.CarriedRefused, send.Held, ledger.ActHold},
			{delivery.Held, delivery.ReasonProof, true, gate.CarriedUnproven, send.Held, ledger.ActHold},
			{delivery.Held, delivery.ReasonPrepare, false, gate.CarriedUnready, send.Held, ledger.ActHold},
			{delivery.Held, "of a later version", true, gate.CarriedUnready, send.Held, ledger.ActHold},
			{delivery.Expired, delivery.ReasonTime, false, gate.CarriedLate, send.Expired, ledger.ActDecision},
			{delivery.Bounced, "nxdomain", false, gate.CarriedNowhere, send.Bounced, ledger.ActDecision},
			{delivery.InDoubt, "", false, gate.CarriedDoubtful, send.InDoubt, ledger.ActDecision},
		} {
			p := c.patient("z"+x.end.String()+x.reason, "a@trusted.example")
			_, taken := c.hand(c.careRequest(), p)
			if x.prepared {
				c.prepare(item(taken[0], p))
			}
			before := c.acts(p)
			c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: x.end, Reason: x.reason, Attempt: 2})
			msg := c.message(taken[0])
			if msg.State != x.state || msg.Means != gate.MeansHeld || !has(msg, x.code) || x.code != gate.TLSPolicyBroken && (has(msg, gate.TLSPolicyBroken) || has(msg, gate.UsesPickup)) {
				t.Errorf("%s %s: %+v", x.end, x.reason, msg)
			}
			if after := c.acts(p); after[x.act] != before[x.act]+1 {
				t.Errorf("%s %s: entries %v, then %v", x.end, x.reason, before, after)
			}
		}
	})
}

// done ends the queue's row as held, as the engine would have.
func (c *clinic) done(m id.Message) {
	c.t.Helper()
	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE delivery SET state = 3, ending = 4 WHERE organisation_id = ? AND message_id = ?`, tx.Organisation(), m)
		return err
	})
}

func TestCancel(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p, nowhere := c.patient("a", "a@trusted.example"), c.patient("b")
		_, taken := c.hand(c.careRequest(), p, nowhere)
		cancel := func(m id.Message) error {
			return c.st.Write(t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error { return c.Cancel(ctx, tx, m) })
		}
		for _, m := range taken { // one waits, one is held
			if err := cancel(m); err != nil || c.message(m).State != send.Cancelled {
				t.Errorf("%v %+v", err, c.message(m))
			}
			if err := cancel(m); !fault.Is(err, fault.Conflict) {
				t.Errorf("cancelled twice: %v", err)
			}
		}
		c.read(func(ctx context.Context, tx *store.Tx) error {
			st, ok, err := c.Delivery(ctx, tx, taken[0])
			if !ok || st.End != delivery.Cancelled {
				t.Errorf("%+v", st)
			}
			if _, ok, err := c.Delivery(ctx, tx, taken[1]); ok || err != nil {
				t.Errorf("%v: what was never queued is known to the queue", err)
			}
			return err
		})
		if n := c.acts(p); n[ledger.ActRelease] != 1 {
			t.Errorf("entries: %v", n)
		}
	})
}
