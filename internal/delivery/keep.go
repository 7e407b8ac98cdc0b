package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
)

// orphanRounds: rows that no worker knows are looked for once in so many rounds.
const orphanRounds = 10

// keep takes over leases that ran out, and ends rows whose time is over.
func (e *Engine) keep(ctx context.Context) {
	round := 0
	every(ctx, max(e.s.Poll, 10*time.Millisecond), func() {
		if round++; round%orphanRounds == 0 {
			warn(ctx, "rows without a worker cannot be put back", e.orphans(ctx))
		}
		warn(ctx, "leases cannot be taken over", e.takeOver(ctx))
		warn(ctx, "overdue rows cannot be ended", e.expire(ctx))
	})
}

// live says now and then that this engine lives, in a loop of its own so that nothing slow stands before it.
func (e *Engine) live(ctx context.Context) {
	every(ctx, e.s.Lease/5, func() { warn(ctx, "leases cannot be renewed", e.hold(ctx)) })
}

// restored puts what was open at a restore in doubt, to be treated by kind: each such message may have been sent between the backup and the
// restore. The newest entry about a restore says whether there was one since the queue last looked.
func (e *Engine) restored(ctx context.Context) error {
	since := map[id.Organisation]time.Time{}
	err := e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, sqlOpenSince)
		if err != nil {
			return fmt.Errorf("read since when messages are open: %w", err)
		}
		defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
		for rows.Next() {
			var org id.Organisation
			var at int64
			if err := rows.Scan(&org, &at); err != nil {
				return fmt.Errorf("read since when messages are open: %w", err)
			}
			since[org] = store.Time(at)
		}
		return rows.Err()
	})
	for org, at := range since {
		if err == nil {
			err = e.doubtRestored(ctx, org, at)
		}
	}
	return err
}

// doubtRestored does it for one organisation, whose oldest open message is of since.
func (e *Engine) doubtRestored(ctx context.Context, org id.Organisation, since time.Time) error {
	return e.o.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		q := ledger.Query{Acts: []ledger.Act{ledger.ActRestore}, From: since, Limit: 1}
		page, err := e.o.Ledger.Entries(ctx, tx, q)
		for err == nil && len(page.Records) == 0 && page.Next != 0 {
			q.Before = page.Next
			page, err = e.o.Ledger.Entries(ctx, tx, q)
		}
		if err != nil || len(page.Records) == 0 {
			return err
		}
		newest := page.Records[0]
		var known int64
		if err := tx.QueryRow(ctx, sqlRestore, tx.Organisation()).Scan(&known); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the restore that is known: %w", err)
		}
		if newest.Seq < known {
			return nil
		}
		n, err := tx.Exec(ctx, sqlDoubtAll, tx.Organisation(), store.Millis(newest.Time))
		if err != nil {
			return fmt.Errorf("put open messages in doubt: %w", err)
		}
		tx.OnCommit(func() {
			slog.Warn("delivery: after a restore, open messages are in doubt", "organisation", org.String(), "messages", n)
		})
		_, err = tx.Exec(ctx, sqlSetRestore, tx.Organisation(), newest.Seq+1)
		return err
	})
}

// hold makes or prolongs the engine's own row: all its leases at once.
func (e *Engine) hold(ctx context.Context) error {
	return e.o.Store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, sqlHold, tx.Organisation(), e.holder, store.Millis(tx.Now.Add(e.s.Lease))); err != nil {
			return fmt.Errorf("hold leases: %w", err)
		}
		return nil
	})
}

// letGo ends the engine's own row: what it left may be taken over at once.
func (e *Engine) letGo(ctx context.Context) error {
	return e.o.Store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlLetGo, tx.Organisation(), e.holder)
		return err
	})
}

// forget removes rows of engines that died before a moment.
func (e *Engine) forget(ctx context.Context, before time.Time) error {
	return e.o.Store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlForgetHolders, tx.Organisation(), store.Millis(before))
		return err
	})
}

func every(ctx context.Context, d time.Duration, fn func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// keepRows bounds what is taken over or ended in one transaction.
const keepRows = 256

// takeOver deals with rows of engines that live no more: those without an intent were not sent, those with one may have been.
func (e *Engine) takeOver(ctx context.Context) error {
	for {
		rows, err := e.waiting(ctx, sqlStale, e.holder, int64(id.Installation), store.Millis(e.o.Now()), keepRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		if n, err := e.endAll(ctx, rows, e.left); n == 0 {
			return err
		}
	}
}

// left gives the outcome of a row that was left behind while it was sent.
func (e *Engine) left(r *row, now time.Time) record {
	if !r.intent {
		return record{row: r, next: next{due: now, attempt: r.attempt, doubt: r.doubt, reason: r.reason, failure: r.failure}, quiet: true}
	}
	n := e.s.inDoubt(r, now)
	n.due = now // the pause was the lease's
	return record{row: r, next: n, reply: smtpclient.Reply{Stage: smtpclient.StageDot}}
}

// expire ends rows whose time is over.
func (e *Engine) expire(ctx context.Context) error {
	for {
		rows, err := e.waiting(ctx, sqlOverdue, store.Millis(e.o.Now()), keepRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		lease := newLease()
		if n, err := e.endAll(ctx, rows, func(r *row, _ time.Time) record {
			r.lease = lease
			return record{row: r, next: overdue(r), take: true}
		}); n == 0 {
			return err
		}
	}
}

// endAll writes an outcome for each row, each organisation's in a transaction, and tells how many it could. One that cannot be written
// is left for the next round, and keeps nobody else's from being written.
func (e *Engine) endAll(ctx context.Context, rows []*row, outcome func(r *row, now time.Time) record) (written int, err error) {
	by := map[id.Organisation][]record{}
	now := e.o.Now()
	for _, r := range rows {
		by[r.org] = append(by[r.org], outcome(r, now))
	}
	for org, records := range by {
		err = errors.Join(err, e.alone(ctx, org, records, func(r record, failed error) {
			if failed == nil {
				written++
				e.after(r)
			}
		}))
	}
	return written, err
}

// waiting reads rows of all organisations that a moment has passed by.
func (e *Engine) waiting(ctx context.Context, query string, args ...any) ([]*row, error) {
	var rows []*row
	err := e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Query(ctx, query, args...)
		if err != nil {
			return fmt.Errorf("read rows left behind: %w", err)
		}
		defer got.Close() //nolint:errcheck // read to the end, whose error is checked
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
