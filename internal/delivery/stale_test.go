package delivery_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// TestADecisionIsMadeAnewWhenItHasWaited: what is prepared while a receiver takes its time over the one before is decided again before it
// leaves, and what is over its time does not leave at all.
func TestADecisionIsMadeAnewWhenItHasWaited(t *testing.T) {
	var later atomic.Int64
	var optedOut atomic.Bool
	at, goOn := make(chan struct{}), make(chan struct{})
	var first sync.Once
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
		o.Connections = 1
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	plain := k.o.Prepare
	k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		all, err := plain(ctx, org, items)
		for i := range all {
			if optedOut.Load() {
				all[i] = delivery.Prepared{Message: all[i].Message, Verdict: delivery.Refuse, Reason: "opt_out"}
			}
		}
		return all, err
	})
	s := k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "dot" {
			first.Do(func() { close(at); <-goOn })
		}
		return ""
	}})
	k.enqueue(many(5, "x.example", delivery.Care)...)
	k.run()
	<-at
	k.until("all are prepared", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return len(k.prepared) == 5 })
	optedOut.Store(true)
	later.Store(int64(2 * time.Minute))
	close(goOn)
	if c := k.ended(); c.Ended[delivery.Accepted] != 1 || c.Ended[delivery.Refused] != 4 || len(s.mails()) != 1 {
		t.Errorf("%+v, %d mails", c, len(s.mails()))
	}
}

// TestNothingSlowStandsBeforeTheDot: the next messages are made ready while a dot is on its way, never between a body and its dot.
func TestNothingSlowStandsBeforeTheDot(t *testing.T) {
	var calls, dots atomic.Int64
	dot := make(chan struct{}, 1000)
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Connections = 1 })
	plain := k.o.Prepare
	k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		if calls.Add(1) == 2 {
			want := dots.Load() + 1
			for deadline := time.After(20 * time.Second); dots.Load() < want; {
				select {
				case <-dot:
				case <-deadline:
					t.Error("a dot waits for the next messages")
					return plain(ctx, org, items)
				}
			}
		}
		return plain(ctx, org, items)
	})
	k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "dot" {
			dots.Add(1)
			dot <- struct{}{}
		}
		return ""
	}})
	k.enqueue(many(40, "x.example", delivery.Care)...)
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 40 {
		t.Errorf("%+v", c)
	}
}

// TestAnAbsentPartBurnsNoAttempt: Prepare that cannot serve now, and an intent that cannot be committed, are no fault of a message or of its
// receiver.
func TestAnAbsentPartBurnsNoAttempt(t *testing.T) {
	for _, where := range []string{"prepare", "record"} {
		t.Run(where, func(t *testing.T) {
			var n atomic.Int64
			away := func(at string) error {
				if at == where && n.Add(1) <= 6 {
					return fault.New(fault.Unavailable, "not now")
				}
				return nil
			}
			k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
				o.Schedule.Connect = []time.Duration{time.Hour} // a receiver parked for nothing fails the test
				o.Record = func(context.Context, *store.Tx, []delivery.Prepared) error { return away("record") }
			})
			plain := k.o.Prepare
			k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
				if err := away("prepare"); err != nil {
					return nil, err
				}
				all, err := plain(ctx, org, items)
				for i := range all {
					all[i].Decision = true
				}
				return all, err
			})
			s := k.serve("x.example", &sink{})
			ids := k.enqueue(many(5, "x.example", delivery.Care)...)
			k.run()
			if c := k.ended(); c.Ended[delivery.Accepted] != 5 || c.Doubts != 0 || s.duplicates() != 0 {
				t.Errorf("%+v, %d duplicates", c, s.duplicates())
			}
			for _, m := range ids {
				if got := k.status(m); got.Attempts != 1 {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// TestARecordThatFailsIsItsMessagesOwn: the intents of several messages are one transaction; the one whose decision cannot be recorded
// pays for it, and the others go.
func TestARecordThatFailsIsItsMessagesOwn(t *testing.T) {
	var bad atomic.Value
	recorded := map[id.Message]int{}
	var mu sync.Mutex
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
		o.Schedule.Connect = []time.Duration{time.Hour}
		o.Schedule.Life = map[delivery.Kind]time.Duration{delivery.Care: 5 * time.Second}
		o.Record = func(_ context.Context, tx *store.Tx, all []delivery.Prepared) error {
			for _, p := range all {
				if p.Message == bad.Load() {
					return errDead
				}
			}
			tx.OnCommit(func() {
				mu.Lock()
				defer mu.Unlock()
				for _, p := range all {
					recorded[p.Message]++
				}
			})
			return nil
		}
	})
	plain := k.o.Prepare
	k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		all, err := plain(ctx, org, items)
		for i := range all {
			all[i].Decision = true
		}
		return all, err
	})
	k.serve("x.example", &sink{})
	rows := many(12, "x.example", delivery.Care)
	for i := range rows {
		if i != 6 {
			rows[i].Expires = time.Now().Add(time.Hour)
		}
	}
	ids := make([]id.Message, len(rows))
	for i := range rows {
		ids[i] = id.New[id.Message]()
		rows[i].Message = ids[i]
	}
	bad.Store(ids[6])
	k.enqueue(rows...)
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 11 || c.Ended[delivery.Held] != 1 {
		t.Errorf("%+v", c)
	}
	if s := k.status(ids[6]); s.Reason != delivery.ReasonPrepare || s.Attempts == 0 {
		t.Errorf("%+v", s)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, m := range ids {
		if want := 1; i != 6 && recorded[m] != want {
			t.Errorf("%d recorded %d times", i, recorded[m])
		}
	}
}
