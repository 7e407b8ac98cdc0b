package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// chunk cuts rows off the batch, as many as may be rendered at once.
func (w *worker) chunk() []*row {
	n, bytes, most := 0, 0, w.most()
	for n < len(w.batch) && n < most && (n == 0 || bytes+w.batch[n].size <= chunkBytes) {
		bytes += w.batch[n].size
		n++
	}
	chunk := w.batch[:n]
	w.batch = w.batch[n:]
	return chunk
}

// most is how many messages may be prepared ahead: what this connection sends within half of the time for which a decision is good.
func (w *worker) most() int {
	if w.each <= 0 {
		return chunkRows
	}
	return int(min(max(staleAfter/2/w.each, 1), chunkRows))
}

// claim leases due rows of the lane.
func (w *worker) claim(ctx context.Context, only Priority) []*row {
	k, told, ok := w.d.pick(w.lane, w.e.o.Now(), only)
	if !ok {
		return nil
	}
	lease := newLease()
	var rows []*row
	var due int64
	w.e.open.begin(lease)
	err := w.e.o.Store.Write(ctx, id.System(k.org), func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = w.e.claim(ctx, tx, w.lane.number, k, lease)
		if err != nil || len(rows) == claimRows {
			return err
		}
		// The stream ends here for now: when is its next row due?
		err = tx.QueryRow(ctx, sqlNextDue, w.lane.number, int64(k.priority), tx.Organisation(), store.Millis(tx.Now)).Scan(&due)
		return err
	})
	if err != nil {
		w.e.open.done(lease, 1)
		w.d.troubled(w.lane, k)
		warn(ctx, "rows cannot be claimed", err)
		return nil
	}
	w.e.open.claimed(lease, len(rows))
	w.d.claimed(w.lane, k, told, len(rows) == claimRows, store.Time(due))
	if len(rows) == 0 {
		return nil
	}
	if len(rows) == claimRows {
		w.d.more(ctx, w.hard, w.lane)
	}
	return rows
}

func (e *Engine) claim(ctx context.Context, tx *store.Tx, lane int64, k streamKey, lease int64) ([]*row, error) {
	now := store.Millis(tx.Now)
	got, err := tx.Query(ctx, sqlClaim, lane, int64(k.priority), tx.Organisation(), now, now, claimRows, lease, e.holder, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("claim rows: %w", err)
	}
	defer got.Close() //nolint:errcheck // read to the end, whose error is checked
	var rows []*row
	for got.Next() {
		r := &row{org: k.org, priority: k.priority, lane: lane, lease: lease}
		var submitted, due, expires int64
		err := got.Scan(&r.message, &r.person, &r.purpose, &r.kind, &r.source, &r.size, &submitted, &due, &expires, &r.attempt, &r.doubt, &r.doubtsBefore, &r.failure, &r.reason, &r.sealed, &r.frozen)
		if err != nil {
			return nil, fmt.Errorf("claim rows: %w", err)
		}
		r.submitted, r.due, r.expires = store.Time(submitted), store.Time(due), store.Time(expires)
		rows = append(rows, r)
	}
	if err := got.Err(); err != nil {
		return nil, fmt.Errorf("claim rows: %w", err)
	}
	slices.SortFunc(rows, func(a, b *row) int { return a.due.Compare(b.due) })
	return rows, e.openDomains(ctx, tx, rows)
}

// prepare finds the ways of rows and has Prepare make messages of them. Rows that do not go are dealt with.
func (w *worker) prepare(ctx context.Context, rows []*row) []*job {
	org := rows[0].org
	ways := w.e.resolve(ctx, org, rows)
	var items []Item
	by := map[id.Message]*job{}
	for _, r := range rows {
		if r.domain == "" {
			w.e.finish(record{row: r, next: unopened(r)})
			continue
		}
		way := ways[r.domain]
		if !w.onWay(ctx, r, way) {
			continue
		}
		by[r.message] = &job{row: r, way: way}
		items = append(items, Item{
			Message: r.message, Person: r.person, Kind: r.kind, Attempt: r.attempt, Submitted: r.submitted, Expires: r.expires,
			Way: way, Failure: r.failure, Doubted: r.doubt+r.doubtsBefore > 0, Frozen: r.frozen,
		})
	}
	if len(items) == 0 {
		return nil
	}
	return w.settle(ctx, items, by, w.ask(ctx, org, items, by))
}

// resolve finds the ways to the domains of rows, all at once and within one time: most are known, and one that hangs costs no other.
func (e *Engine) resolve(ctx context.Context, org id.Organisation, rows []*row) map[string]tlspolicy.Resolution {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	ways := map[string]tlspolicy.Resolution{}
	for _, r := range rows {
		ways[r.domain] = tlspolicy.Resolution{}
	}
	var asking sync.WaitGroup
	var mu sync.Mutex
	for domain := range maps.Keys(maps.Clone(ways)) {
		asking.Go(func() {
			way := e.o.Ways.Resolve(ctx, org, domain)
			mu.Lock()
			defer mu.Unlock()
			ways[domain] = way
		})
	}
	asking.Wait()
	return ways
}

// onWay tells whether a row can leave by this lane now, and deals with it when not.
func (w *worker) onWay(ctx context.Context, r *row, way tlspolicy.Resolution) bool {
	now := w.e.o.Now()
	switch way.Status {
	case tlspolicy.Ready:
		lane, err := w.e.laneOf(ctx, r.source, way.Group)
		if err != nil {
			warn(ctx, "a lane has no number", err)
			w.e.release(r, sqlRelease, now)
			return false
		}
		if lane != w.lane.number { // the domain has moved to another receiver
			w.e.release(r, sqlBackToRouting, now)
			w.e.wakeRouter()
			return false
		}
		w.d.meet(w.lane, way.Group)
		return true
	case tlspolicy.Later:
		w.e.release(r, sqlBackToRouting, now.Add(w.e.s.Route[0]))
	case tlspolicy.Nowhere:
		w.e.finish(record{row: r, next: nowhere(r, way.Reason)})
	case tlspolicy.Broken:
		w.e.finish(record{row: r, next: w.e.s.unmet(r, tlspolicy.Failure(way.Reason), now), group: way.Group})
	}
	return false
}

// ask calls Prepare; when it fails for many, each is asked for alone, so that one does not stand in the way of the others. What Prepare
// could not do because a part that it needs is away is no fault of the messages: they go back as they were.
func (w *worker) ask(ctx context.Context, org id.Organisation, items []Item, by map[id.Message]*job) []Prepared {
	all, err := w.e.o.Prepare(ctx, org, items)
	switch {
	case err == nil:
		return all
	case fault.Is(err, fault.Unavailable) || ctx.Err() != nil:
		warn(ctx, "messages cannot be prepared now", err)
		var rows []*row
		for _, i := range items {
			rows = append(rows, by[i.Message].row)
			delete(by, i.Message)
		}
		w.e.releaseAll(rows, sqlRelease, w.e.o.Now().Add(w.e.s.away()))
		return nil
	case len(items) == 1:
		warn(ctx, "a message cannot be prepared", fmt.Errorf("message %s: %w", items[0].Message, err))
		return nil
	}
	all = nil
	for i := range items {
		all = append(all, w.ask(ctx, org, items[i:i+1], by)...)
	}
	return all
}

// settle makes jobs of what Prepare gave, and deals with the rest.
func (w *worker) settle(ctx context.Context, items []Item, by map[id.Message]*job, prepared []Prepared) []*job {
	now := w.e.o.Now()
	for _, p := range prepared {
		if j := by[p.Message]; j != nil {
			j.prepared = p
		}
	}
	var jobs []*job
	for i := range items {
		j := by[items[i].Message]
		if j == nil {
			continue // given back
		}
		p := &j.prepared
		n := next{attempt: j.attempt, doubt: j.doubt, reason: p.Reason}
		switch p.Verdict {
		case Go:
			if d, ok := tlspolicy.Normal(p.To[strings.LastIndexByte(p.To, '@')+1:]); ok && d == j.way.Domain {
				j.at = now
				jobs = append(jobs, j)
				continue
			}
			slog.Error("delivery: a message was prepared for another domain than it was queued for", "message", j.message.String())
			n = w.e.s.again(j.row, now, 0, ReasonPrepare)
			w.e.finish(record{row: j.row, next: n})
		case Hold:
			n.end = Held
			w.e.finish(record{row: j.row, next: n, note: p})
		case Refuse:
			n.end = Refused
			w.e.finish(record{row: j.row, next: n, note: p})
		case Later:
			if n.due = p.Due; !n.due.After(now) {
				n.due = now.Add(w.e.s.Retry[0])
			}
			w.e.finish(record{row: j.row, next: n, note: p, quiet: true})
		default:
			if ctx.Err() != nil {
				w.e.release(j.row, sqlRelease, now)
				continue
			}
			n = w.e.s.again(j.row, now, 0, ReasonPrepare)
			n.verdict = bounce.Verdict{Class: bounce.Other, Rule: ReasonPrepare}
			w.e.finish(record{row: j.row, next: n})
		}
	}
	return jobs
}
