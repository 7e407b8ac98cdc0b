package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Bounds of the route step.
const (
	routeRows    = 1024             // rows read at once, besides those under way
	routeAtOnce  = 64               // domains asked for at once
	routePending = 8192             // rows under way
	routeTimeout = 30 * time.Second // for one domain
)

// domainKey is what a way is asked for.
type domainKey struct {
	org    id.Organisation
	domain string
	source uint8
}

// router finds lanes for rows that have none.
type router struct {
	e          *Engine
	priorities []Priority

	mu      sync.Mutex
	busy    map[domainKey]bool
	pending map[id.Message]bool
	tries   map[domainKey]int // in a row without an answer
	slots   chan struct{}
	asking  sync.WaitGroup
}

// routeAll routes rows of some priorities. Codes have a router of their own: no campaign to domains that do not answer stands before them.
func (e *Engine) routeAll(ctx context.Context, wake <-chan struct{}, priorities ...Priority) {
	r := &router{e: e, priorities: priorities, busy: map[domainKey]bool{}, pending: map[id.Message]bool{}, tries: map[domainKey]int{}, slots: make(chan struct{}, routeAtOnce)}
	for {
		more, err := r.round(ctx)
		warn(ctx, "rows cannot be routed", err)
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			r.asking.Wait()
			return
		case <-wake:
		case <-time.After(e.s.Poll):
		}
	}
}

// round reads due rows, groups them by domain and starts asking for each domain that is not asked for already. It tells whether
// there may be more to read at once.
func (r *router) round(ctx context.Context) (bool, error) {
	r.mu.Lock()
	under := len(r.pending)
	r.mu.Unlock()
	if under >= routePending {
		return false, nil
	}
	rows, err := r.read(ctx, routeRows+under)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	by := map[domainKey][]*row{}
	r.mu.Lock()
	for _, w := range rows {
		k := domainKey{w.org, w.domain, w.source}
		if !r.pending[w.message] && !r.busy[k] {
			by[k] = append(by[k], w)
		}
	}
	for k, rows := range by {
		r.busy[k] = true
		for _, w := range rows {
			r.pending[w.message] = true
		}
	}
	r.mu.Unlock()
	for k, rows := range by {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return false, nil
		}
		r.asking.Go(func() {
			defer func() { <-r.slots }()
			r.ask(ctx, k, rows)
		})
	}
	return len(by) > 0, nil
}

// read reads due rows and opens their domains, each organisation's in its own scope.
func (r *router) read(ctx context.Context, limit int) ([]*row, error) {
	var rows []*row
	err := r.e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		rows = rows[:0]
		for _, p := range r.priorities {
			some, err := unrouted(ctx, tx, p, store.Millis(r.e.o.Now()), limit-len(rows))
			if err != nil {
				return err
			}
			rows = append(rows, some...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	by := map[id.Organisation][]*row{}
	for _, w := range rows {
		by[w.org] = append(by[w.org], w)
	}
	for org, rows := range by {
		err := r.e.o.Store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error { return r.e.openDomains(ctx, tx, rows) })
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// unrouted reads rows of one priority that have no lane and are due.
func unrouted(ctx context.Context, tx *store.Tx, p Priority, now int64, limit int) (rows []*row, err error) {
	got, err := tx.Query(ctx, sqlRouting, int64(p), now, limit)
	if err != nil {
		return nil, fmt.Errorf("read rows to route: %w", err)
	}
	defer got.Close() //nolint:errcheck // read to the end, whose error is checked
	for got.Next() {
		w := &row{}
		var due, expires int64
		if err := got.Scan(&w.org, &w.message, &w.person, &w.purpose, &w.kind, &w.priority, &w.source, &due, &expires, &w.attempt, &w.doubt, &w.sealed); err != nil {
			return nil, fmt.Errorf("read rows to route: %w", err)
		}
		w.due, w.expires = store.Time(due), store.Time(expires)
		rows = append(rows, w)
	}
	return rows, got.Err()
}

// openDomains opens the domains of rows of the transaction's organisation. One whose key is destroyed stays empty: its row is held, and
// stands in the way of no other.
func (e *Engine) openDomains(ctx context.Context, tx *store.Tx, rows []*row) error {
	for _, w := range rows {
		plain, err := e.o.Keys.Open(ctx, tx, domainCell(w.message), w.sealed)
		if fault.Is(err, fault.Sealed) {
			slog.Error("delivery: the domain of a message cannot be opened; it is held", "organisation", w.org.String(), "message", w.message.String())
			err = nil
		}
		if err != nil {
			return fmt.Errorf("open the domain of message %s: %w", w.message, err)
		}
		w.domain, w.sealed = string(plain), nil
	}
	return nil
}

// ask finds the way to one domain and gives its rows their lane.
func (r *router) ask(ctx context.Context, k domainKey, rows []*row) {
	defer func() {
		r.mu.Lock()
		delete(r.busy, k)
		for _, w := range rows {
			delete(r.pending, w.message)
		}
		r.mu.Unlock()
		r.e.wakeRouter()
	}()
	if k.domain == "" {
		r.end(ctx, rows, func(w *row) next { return unopened(w) })
		return
	}
	actx, cancel := context.WithTimeout(ctx, routeTimeout)
	way := r.e.o.Ways.Resolve(actx, k.org, k.domain)
	cancel()
	if ctx.Err() != nil {
		return
	}
	switch way.Status {
	case tlspolicy.Ready, tlspolicy.Broken: // a policy that is not met is the worker's to defer, with its attempts
		warn(ctx, "rows cannot be routed", r.toLane(ctx, k, way.Group, rows))
	case tlspolicy.Nowhere:
		r.end(ctx, rows, func(w *row) next { return nowhere(w, way.Reason) })
	case tlspolicy.Later:
		warn(ctx, "rows cannot be routed later", r.later(ctx, k, rows))
	}
}

// end ends rows that have no lane.
func (r *router) end(ctx context.Context, rows []*row, how func(w *row) next) {
	lease := newLease()
	for _, w := range rows {
		w.lease = lease
		r.e.finish(record{row: w, next: how(w), take: true})
	}
	r.drained(ctx, rows)
}

// drained waits until the rows' outcomes are written, so that they are not read again before.
func (r *router) drained(ctx context.Context, rows []*row) {
	done := make(chan struct{})
	last := rows[len(rows)-1]
	r.e.finish(record{row: last, barrier: done})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (r *router) toLane(ctx context.Context, k domainKey, group string, rows []*row) error {
	lane, err := r.e.laneOf(ctx, k.source, group)
	if err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.tries, k)
	r.mu.Unlock()
	return r.e.o.Store.Write(ctx, id.System(k.org), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlRoute, lane, tx.Organisation(), store.Blobs(messages(rows)))
		if err != nil {
			return fmt.Errorf("give rows a lane: %w", err)
		}
		tx.OnCommit(func() { r.e.tell(hint{stream{lane, 0, k.org}, time.Time{}}) })
		return nil
	})
}

func (r *router) later(ctx context.Context, k domainKey, rows []*row) error {
	r.mu.Lock()
	if len(r.tries) > routePending {
		clear(r.tries)
	}
	r.tries[k]++
	n := r.tries[k]
	r.mu.Unlock()
	due := r.e.o.Now().Add(jitter(step(r.e.s.Route, n), []byte(k.domain), n))
	return r.e.o.Store.Write(ctx, id.System(k.org), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlRouteLater, store.Millis(due), tx.Organisation(), store.Blobs(messages(rows)))
		return err
	})
}

func messages(rows []*row) []id.Message {
	ids := make([]id.Message, len(rows))
	for i, w := range rows {
		ids[i] = w.message
	}
	return ids
}
