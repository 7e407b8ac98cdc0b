package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
)

// keep renews leases, takes over those that ran out, and ends rows whose time is over.
func (e *Engine) keep(ctx context.Context) {
	tick := time.NewTicker(min(e.s.Lease/5, max(e.s.Poll, 10*time.Millisecond)))
	defer tick.Stop()
	renewed := e.o.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := e.o.Now(); now.Sub(renewed) >= e.s.Lease/5 {
			warn(ctx, "leases cannot be renewed", e.renew(ctx))
			renewed = now
		}
		warn(ctx, "leases cannot be taken over", e.takeOver(ctx, e.o.Now()))
		warn(ctx, "overdue rows cannot be ended", e.expire(ctx))
	}
}

// renew keeps this process's leases alive.
func (e *Engine) renew(ctx context.Context) error {
	e.mu.Lock()
	by := map[id.Organisation][]int64{}
	for lease, c := range e.claims {
		by[c.org] = append(by[c.org], lease)
	}
	e.mu.Unlock()
	var errs []error
	for org, leases := range by {
		errs = append(errs, e.o.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			until := store.Millis(tx.Now.Add(e.s.Lease))
			for _, lease := range leases {
				if _, err := tx.Exec(ctx, sqlRenew, until, tx.Organisation(), lease); err != nil {
					return fmt.Errorf("renew a lease: %w", err)
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// batch bounds what is taken over or ended in one transaction.
const keepRows = 256

// takeOver deals with rows whose lease ran out before a moment: those without an intent were not sent, those with one may have been.
func (e *Engine) takeOver(ctx context.Context, before time.Time) error {
	for {
		rows, err := e.waiting(ctx, sqlStale, before)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := e.endAll(ctx, rows, func(r *row, now time.Time) record {
			if !r.intent {
				return record{row: r, next: next{due: now, attempt: r.attempt, doubt: r.doubt, reason: r.reason, failure: r.failure}, quiet: true}
			}
			n := e.s.inDoubt(r, now)
			n.due = now // the pause was the lease's
			return record{row: r, next: n, reply: smtpclient.Reply{Stage: smtpclient.StageDot}}
		}); err != nil {
			return err
		}
	}
}

// expire ends rows whose time is over.
func (e *Engine) expire(ctx context.Context) error {
	for {
		rows, err := e.waiting(ctx, sqlOverdue, e.o.Now())
		if err != nil || len(rows) == 0 {
			return err
		}
		lease := newLease()
		if err := e.endAll(ctx, rows, func(r *row, _ time.Time) record {
			r.lease = lease
			return record{row: r, next: overdue(r), take: true}
		}); err != nil {
			return err
		}
	}
}

// endAll writes an outcome for each row, each organisation's in a transaction.
func (e *Engine) endAll(ctx context.Context, rows []*row, outcome func(r *row, now time.Time) record) error {
	by := map[id.Organisation][]record{}
	now := e.o.Now()
	for _, r := range rows {
		by[r.org] = append(by[r.org], outcome(r, now))
	}
	for org, records := range by {
		if err := e.write(ctx, org, records); err != nil {
			return err
		}
		for _, r := range records {
			e.after(r)
		}
	}
	return nil
}

// waiting reads rows of all organisations that a moment has passed by.
func (e *Engine) waiting(ctx context.Context, query string, moment time.Time) ([]*row, error) {
	var rows []*row
	err := e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Query(ctx, query, store.Millis(moment), keepRows)
		if err != nil {
			return fmt.Errorf("read rows left behind: %w", err)
		}
		rows = rows[:0]
		for got.Next() {
			r := &row{}
			var expires, intent int64
			err := got.Scan(&r.org, &r.message, &r.person, &r.purpose, &r.kind, &r.priority, &r.lane, &expires, &r.attempt, &r.doubt, &r.lease, &intent, &r.failure, &r.reason)
			if err != nil {
				return fmt.Errorf("read rows left behind: %w", err)
			}
			r.expires, r.intent = store.Time(expires), intent != 0
			rows = append(rows, r)
		}
		return got.Err()
	})
	return rows, err
}
