package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// exec changes the database behind the engine's back.
func (k *kit) exec(statement string, args ...any) {
	k.t.Helper()
	err := k.st.Write(k.t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// TestOutcomesWaitForTheDatabase: an acceptance that cannot be written, however often it is tried, is kept until it can; the message goes once.
func TestOutcomesWaitForTheDatabase(t *testing.T) {
	for name, away := range map[string]error{"unavailable": fault.New(fault.Unavailable, "not now"), "for another reason": errDead} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
				o.Outcome = func(context.Context, *store.Tx, []delivery.Outcome) error {
					if n.Add(1) <= 7 {
						return away
					}
					return nil
				}
			})
			s := k.serve("x.example", &sink{})
			k.enqueue(many(3, "x.example", delivery.Marketing)...)
			k.run()
			if c := k.ended(); c.Ended[delivery.Accepted] != 3 || c.Doubts != 0 || s.duplicates() != 0 {
				t.Errorf("%+v, %d duplicates", c, s.duplicates())
			}
		})
	}
}

// TestOneBadOutcomeStandsAlone: one that can never be written does not keep others from being written, and is in doubt after a restart.
func TestOneBadOutcomeStandsAlone(t *testing.T) {
	var bad atomic.Value
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
		o.Schedule.Grace = 1
		o.Outcome = func(_ context.Context, _ *store.Tx, all []delivery.Outcome) error {
			for _, o := range all {
				if o.Message == bad.Load() {
					return errDead
				}
			}
			return nil
		}
	})
	k.serve("x.example", &sink{})
	ids := k.enqueue(many(50, "x.example", delivery.Marketing)...)
	bad.Store(ids[20])
	stop := k.run()
	k.until("all others are written", func() bool { return k.counts().Ended[delivery.Accepted] == 49 })
	if s := k.status(ids[20]); s.State != "sending" {
		t.Errorf("%+v", s)
	}
	stop()
	bad.Store(id.Message{})
	k.run()
	if c := k.ended(); c.Ended[delivery.InDoubt] != 1 {
		t.Errorf("%+v", c)
	}
}

// TestRowsAreGivenBackLater: rows whose return cannot be written are given back when it can.
func TestRowsAreGivenBackLater(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	k.exec(`CREATE TRIGGER no_return BEFORE UPDATE ON delivery WHEN OLD.state = 2 AND NEW.state = 1 BEGIN SELECT RAISE(ABORT, 'not now'); END`)
	var turned atomic.Int64
	k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "greeting" && turned.Add(1) <= 2 {
			return "drop"
		}
		return ""
	}})
	k.enqueue(many(5, "x.example", delivery.Care)...)
	k.run()
	k.until("the receiver is found unreachable", func() bool { return turned.Load() > 0 && k.counts().Sending == 5 })
	k.exec(`DROP TRIGGER no_return`)
	if c := k.ended(); c.Ended[delivery.Accepted] != 5 || c.Doubts != 0 {
		t.Errorf("%+v", c)
	}
}

// TestRowsOfNoWorker: rows under a lease of this engine that no worker knows, as when the answer to a claim's commit is lost. Without an
// intent they go as if nothing had been, with one they are in doubt.
func TestRowsOfNoWorker(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		k := newKit(t, st, nil)
		s := k.serve("x.example", &sink{})
		k.run()
		first := k.enqueue(delivery.Row{Domain: "x.example"})[0]
		k.until("it runs", func() bool { return k.last(first).End == delivery.Accepted })
		k.names.dead.Store(true)
		ids := k.enqueue(many(2, "y.example", delivery.Care)...)
		for i, m := range ids {
			k.exec(`UPDATE delivery SET state = 2, lease = 7, holder = (SELECT max(holder) FROM delivery_holder), intent_at = ? WHERE organisation_id = 1 AND message_id = ?`, i, m)
		}
		k.names.add("y.example", s)
		k.names.dead.Store(false)
		k.ended()
		for i, doubts := range []int{0, 1} {
			if got := k.status(ids[i]); got.End != delivery.Accepted || got.Doubts != doubts {
				t.Errorf("%d: %+v", i, got)
			}
		}
	})
}

// TestOneBadRowStopsNobody: a row whose domain cannot be opened is held, one whose end cannot be written waits, whatever step meets them;
// the others go.
func TestOneBadRowStopsNobody(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		var bad atomic.Value
		bad.Store(map[id.Message]bool{})
		k := newKit(t, st, func(o *delivery.Options) {
			o.Outcome = func(_ context.Context, _ *store.Tx, all []delivery.Outcome) error {
				for _, o := range all {
					if bad.Load().(map[id.Message]bool)[o.Message] {
						return errDead
					}
				}
				return nil
			}
		})
		k.serve("x.example", &sink{})
		ids := k.enqueue(many(40, "x.example", delivery.Care)...)
		// Left behind by a process that died: one that is well, one whose end cannot be written, both in doubt.
		k.exec(`UPDATE delivery SET state = 2, lease = 7, holder = 7, intent_at = 1 WHERE organisation_id = 1 AND message_id IN (?, ?)`, ids[0], ids[1])
		// Overdue: the same.
		k.exec(`UPDATE delivery SET expires_at = 1 WHERE organisation_id = 1 AND message_id IN (?, ?)`, ids[2], ids[3])
		// Cannot be opened: one to be routed.
		k.exec(`UPDATE delivery SET domain = ? WHERE organisation_id = 1 AND message_id = ?`, []byte("no envelope"), ids[4])
		bad.Store(map[id.Message]bool{ids[1]: true, ids[3]: true})
		k.run()
		k.until("the others go", func() bool {
			c := k.counts()
			return c.Ended[delivery.Accepted] == 36 && c.Ended[delivery.Expired] == 1 && c.Ended[delivery.Held] == 1 && c.Routing+c.Ready+c.Sending == 2
		})
		// Cannot be opened: one that is claimed among others.
		later := many(10, "x.example", delivery.Care)
		for i := range later {
			later[i].Due, later[i].Expires = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}
		ids = k.enqueue(later...)
		k.exec(`UPDATE delivery SET domain = ? WHERE organisation_id = 1 AND message_id = ?`, []byte("no envelope"), ids[5])
		k.exec(`UPDATE delivery SET due_at = 1 WHERE organisation_id = 1 AND state < 2`)
		bad.Store(map[id.Message]bool{})
		k.until("all end", func() bool {
			c := k.counts()
			return c.Ended[delivery.Accepted] == 37+9 && c.Ended[delivery.Expired] == 2 && c.Ended[delivery.Held] == 2
		})
	})
}
