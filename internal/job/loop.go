package job

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// ErrReleased is the outcome of claimed work that was not begun, since the loop was told to stop. The owner gives the row free
// without counting an attempt.
var ErrReleased = fault.New(fault.Unavailable, "the work was not begun: the program stops")

// ErrLeaseEnds is the cause of the end of a worker's context when its lease is about to end and cannot be renewed.
var ErrLeaseEnds = errors.New("job: the lease ends")

// Key names a piece of work: its row's organisation and id.
type Key struct {
	Organisation id.Organisation
	ID           id.UUID
}

// Claim is what the loop asks an owner to claim. The owner picks at most Limit rows that are due at Now or whose lease has ended,
// writes Lease and Until into them, and returns them.
type Claim struct {
	Lease id.UUID
	Now   time.Time
	Until time.Time
	Limit int
}

// Held is a piece of work that this loop holds under a lease.
type Held[W any] struct {
	Work  W
	Lease id.UUID
}

// Outcome is what became of a piece of work.
type Outcome[W, R any] struct {
	Held[W]
	Result R
	Err    error // of Do; a panic, ErrReleased among them
}

// Loop works off an owner's due rows. Claim, Do, Settle and Key are needed; the zero value of every other field is a default.
type Loop[W, R any] struct {
	Name string

	// Claim marks due rows and returns them; it runs in the installation's scope, over all organisations.
	Claim func(ctx context.Context, tx *store.Tx, c Claim) ([]W, error)
	// Key says which row a piece of work is.
	Key func(W) Key
	// Do does the work, outside of any transaction. Its context ends shortly before the lease does.
	Do func(ctx context.Context, work Held[W]) (R, error)
	// Settle writes the outcomes of one organisation, each only where the row still has the lease, and gives how many had it.
	Settle func(ctx context.Context, tx *store.Tx, done []Outcome[W, R]) (int, error)
	// Renew writes a later end into rows of one organisation that still have their lease, and gives the keys of those that have
	// lost it. Without it Do must be done within one lease.
	Renew func(ctx context.Context, tx *store.Tx, held []Held[W], until time.Time) (lost []Key, err error)

	Lease       time.Duration // how long a claim holds; default and least 30 s but in tests
	Batch       int           // rows in one claim and in one settlement; 128
	Concurrency int           // pieces of work at the same time; 8
	Idle        time.Duration // wait before the next look when nothing was due; 1 s
	Grace       time.Duration // how long work under way may go on after a stop; 10 s

	wakeOnce sync.Once
	wake     chan struct{}
}

const (
	defaultLease = 30 * time.Second
	defaultBatch = 128
	defaultWork  = 8
	defaultIdle  = time.Second
	defaultGrace = 10 * time.Second
	settleRetry  = 50 * time.Millisecond // then twice as long each time, at most a second
	maxScopes    = 8                     // organisations that are settled at the same time
)

// Wake makes the loop look at once: an owner calls it by tx.OnCommit after it added a row that is due.
func (l *Loop[W, R]) Wake() {
	select {
	case l.waker() <- struct{}{}:
	default:
	}
}

func (l *Loop[W, R]) waker() chan struct{} {
	l.wakeOnce.Do(func() { l.wake = make(chan struct{}, 1) })
	return l.wake
}

// Run claims, does and settles until ctx is done; then it lets work under way finish for Grace, gives free what was not begun, and
// returns after the last outcome is settled. It returns an error only for a loop that is not whole.
func (l *Loop[W, R]) Run(ctx context.Context, st *store.Store) error {
	if l.Claim == nil || l.Key == nil || l.Do == nil || l.Settle == nil {
		return fault.New(fault.Internal, "the loop %s lacks one of Claim, Key, Do and Settle", l.Name)
	}
	r := &run[W, R]{
		name: l.Name, loop: l, st: st, lease: orDefault(l.Lease, defaultLease), idle: orDefault(l.Idle, defaultIdle), grace: orDefault(l.Grace, defaultGrace),
		batch: orDefault(l.Batch, defaultBatch), width: orDefault(l.Concurrency, defaultWork), held: map[Key]*held[W]{},
		freed: make(chan struct{}, 1),
	}
	r.todo = make(chan *held[W], r.batch+r.width)
	r.done = make(chan Outcome[W, R], r.batch+r.width)
	r.run(ctx)
	return nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
