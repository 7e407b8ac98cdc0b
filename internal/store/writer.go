package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

const (
	maxQueued = 4 * defaultMaxBatch   // callers beyond it wait to be queued
	sqlBegin  = "BEGIN IMMEDIATE"     //
	sqlCommit = "COMMIT"              //
	sqlCancel = "ROLLBACK"            //
	sqlSave   = "SAVEPOINT closure"   // each closure stands in one of its own
	sqlKeep   = "RELEASE closure"     //
	sqlUndo   = "ROLLBACK TO closure" // does not end the savepoint: RELEASE does
	waiting   = int32(0)              // states of a request
	taken     = int32(1)              //
	abandoned = int32(2)              //
)

var errClosed = fault.New(fault.Unavailable, "the database is closed")

// request is one closure that waits for its group.
type request struct {
	ctx   context.Context
	scope id.Scope
	fn    func(ctx context.Context, tx *Tx) error
	state atomic.Int32 // waiting, then taken by the writer or abandoned by its caller
	tx    *Tx
	err   error
	done  chan struct{}
}

// writer is the one goroutine that changes a SQLite database.
type writer struct {
	store    *Store
	conn     *sql.Conn
	maxBatch int
	maxHold  time.Duration
	queue    chan *request
	closing  chan struct{}
	ended    chan struct{}
}

func startWriter(ctx context.Context, s *Store, o Options) (*writer, error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the writer's connection: %w", err)
	}
	w := &writer{
		store: s, conn: conn, maxBatch: o.MaxBatch, maxHold: cmp.Or(o.MaxHold, defaultMaxHold),
		queue: make(chan *request, maxQueued), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// stop ends the writer after the group under way.
func (w *writer) stop() error {
	close(w.closing)
	<-w.ended
	return w.conn.Close()
}

func (w *writer) submit(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	r := &request{ctx: ctx, scope: scope, fn: fn, done: make(chan struct{})}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.ended:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return context.Cause(ctx)
		}
	case <-w.ended:
		if r.state.CompareAndSwap(waiting, abandoned) {
			return errClosed
		}
	}
	<-r.done // it has begun: only the outcome is a true answer
	return r.err
}

// loop works group after group. A closure that ends its goroutine (t.Fatal in a test does) ends a loop with it; the next takes over.
func (w *writer) loop() {
	clean := false
	defer func() {
		if clean {
			close(w.ended)
		} else {
			go w.loop()
		}
	}()
	for {
		select {
		case <-w.closing:
			clean = true
			return
		case first := <-w.queue:
			w.group(first)
		}
	}
}

// group is one transaction and the closures in it.
type group struct {
	writer *writer
	all    []*request
	hooks  []*Tx
	began  time.Time // zero before BEGIN
	err    error     // the group's, which every caller gets
}

// group runs closures in one transaction, commits them, and answers all.
func (w *writer) group(first *request) {
	g := &group{writer: w, err: errors.New("store: a closure of the group ended its goroutine")}
	defer g.end()
	for r := first; r != nil; r = g.next() {
		if !r.state.CompareAndSwap(waiting, taken) {
			continue
		}
		g.all = append(g.all, r)
		if err := g.run(r); err != nil {
			g.err = err
			return
		}
	}
	g.err = g.commit()
}

// next takes one more closure if one waits and the group may grow.
func (g *group) next() *request {
	if len(g.all) >= g.writer.maxBatch || !g.began.IsZero() && time.Since(g.began) > g.writer.maxHold {
		return nil
	}
	select {
	case r := <-g.writer.queue:
		return r
	default:
		return nil
	}
}

// run runs one closure in its savepoint. The error it returns is the group's; the closure's own stays with the request.
func (g *group) run(r *request) error {
	w := g.writer
	if g.began.IsZero() {
		select {
		case <-w.store.failed:
			return fault.Wrap(fault.Unavailable, w.store.cause, "the disk of the data folder failed").Hint("check the disk, then start carepost again")
		default:
		}
		if err := w.exec(sqlBegin); err != nil {
			return fmt.Errorf("begin to write: %w", err)
		}
		g.began = time.Now()
	}
	if r.ctx.Err() != nil {
		r.err = context.Cause(r.ctx)
		return nil //nolint:nilerr // the closure's error, not the group's
	}
	if err := w.exec(sqlSave); err != nil {
		return fmt.Errorf("begin a closure: %w", err)
	}
	tx := w.store.newTx(r.scope, w.conn)
	if r.err = tx.run(r.ctx, r.fn); r.err != nil {
		// SQLite rolls a whole transaction back by itself after some errors; then the savepoint is gone too.
		if err := w.exec(sqlUndo); err != nil {
			return fmt.Errorf("the transaction was lost: %w", r.err)
		}
	} else {
		r.tx = tx
	}
	if err := w.exec(sqlKeep); err != nil {
		return fmt.Errorf("end a closure: %w", err)
	}
	return nil
}

// commit runs the hooks and commits. A group in which every closure failed has nothing to commit.
func (g *group) commit() error {
	w := g.writer
	if g.began.IsZero() {
		return nil
	}
	kept := false
	for _, r := range g.all {
		kept = kept || r.tx != nil
	}
	if !kept {
		w.rollback()
		return nil
	}
	w.store.mu.Lock()
	hooks := w.store.hooks
	w.store.mu.Unlock()
	for _, h := range hooks {
		tx := w.store.newTx(id.System(id.Installation), w.conn)
		if err := tx.run(context.Background(), h); err != nil {
			return fmt.Errorf("before the commit: %w", err)
		}
		g.hooks = append(g.hooks, tx)
	}
	if err := w.exec(sqlCommit); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// end rolls back what failed, runs what waited for the commit, and answers.
func (g *group) end() {
	if g.err != nil && !g.began.IsZero() {
		g.writer.rollback()
	}
	if g.err == nil {
		for _, r := range g.all {
			if r.tx != nil {
				r.tx.committed()
			}
		}
		for _, tx := range g.hooks {
			tx.committed()
		}
	}
	for _, r := range g.all {
		if g.err != nil {
			r.err = g.err
		}
		close(r.done)
	}
}

// exec runs one of the statements above, which no caller's context may end.
func (w *writer) exec(query string) error {
	_, err := w.conn.ExecContext(context.Background(), query)
	return w.store.fault(err)
}

// rollback ends the transaction. SQLite has already done so after some errors; any other failure leaves a connection that cannot be used.
func (w *writer) rollback() {
	if err := w.exec(sqlCancel); err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		w.store.breakDown(err)
	}
}
