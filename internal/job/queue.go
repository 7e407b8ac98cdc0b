package job

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Job is a piece of odd work as its handler gets it.
type Job struct {
	ID        id.Job
	Attempt   int // from 1
	Arguments []byte
}

// Kind is a sort of odd work. app registers all kinds: one row each in its jobs table.
type Kind struct {
	Name string
	// Handle does the work in the scope of its organisation. It may run again after a crash or an error, so twice must be harmless.
	// fault.Invalid, NotFound, Forbidden and Sealed are final: the job is given up at once. Its context ends when its lease is lost.
	Handle func(ctx context.Context, scope id.Scope, j Job) error

	Lease       time.Duration // renewed while Handle runs: how soon another process takes over after a crash; 30 s
	Attempts    int           // before the job is given up; 8
	Concurrency int           // in this process; 1
	Backoff     Backoff       // between attempts; 10 s to an hour
	Idle        time.Duration // between two looks for work that other nodes added or that is due again; 2 s
	Every       time.Duration // periodic work of the installation: due again so long after it was done; 0: not periodic
}

// Queue is the table of odd work and the loops that work it off, one for each kind.
type Queue struct {
	st    *store.Store
	keys  *seal.Keys
	kinds map[string]*Kind
	loops map[string]*Loop[row, struct{}]
}

type row struct {
	key     Key
	attempt int
	sealed  []byte
}

const (
	defaultAttempts = 8
	maxArguments    = 64 << 10
	idleOddWork     = 2 * time.Second
)

var defaultBackoff = Backoff{First: 10 * time.Second, Max: time.Hour, Jitter: 0.2}

// states of a row
const (
	stateReady   = 1
	stateGivenUp = 3
)

// New makes the queue of these kinds.
func New(st *store.Store, keys *seal.Keys, kinds ...Kind) (*Queue, error) {
	q := &Queue{st: st, keys: keys, kinds: map[string]*Kind{}, loops: map[string]*Loop[row, struct{}]{}}
	for _, k := range kinds {
		if k.Name == "" || k.Handle == nil || q.kinds[k.Name] != nil {
			return nil, fault.New(fault.Internal, "the kind of job %q has no name of its own, or no handler", k.Name)
		}
		if k.Attempts <= 0 {
			k.Attempts = defaultAttempts
		}
		if k.Backoff == (Backoff{}) {
			k.Backoff = defaultBackoff
		}
		width := max(k.Concurrency, 1)
		q.kinds[k.Name] = &k
		q.loops[k.Name] = &Loop[row, struct{}]{
			Name: "job " + k.Name, Lease: k.Lease, Batch: width, Concurrency: width, Idle: orDefault(k.Idle, idleOddWork),
			Key:   func(r row) Key { return r.key },
			Claim: func(ctx context.Context, tx *store.Tx, c Claim) ([]row, error) { return claim(ctx, tx, c, k.Name) },
			Do:    func(ctx context.Context, w Held[row]) (struct{}, error) { return struct{}{}, q.do(ctx, &k, w.Work) },
			Settle: func(ctx context.Context, tx *store.Tx, done []Outcome[row, struct{}]) (int, error) {
				return settle(ctx, tx, &k, done)
			},
			Renew: renew,
		}
	}
	return q, nil
}

// Add puts work into the queue, in the transaction of the act that wants it; it is done only if that commits. Arguments are sealed.
func (q *Queue) Add(ctx context.Context, tx *store.Tx, kind string, arguments []byte, due time.Time) (id.Job, error) {
	j := id.New[id.Job]()
	return j, q.add(ctx, tx, j, kind, arguments, due)
}

func (q *Queue) add(ctx context.Context, tx *store.Tx, j id.Job, kind string, arguments []byte, due time.Time) error {
	loop := q.loops[kind]
	if loop == nil {
		return fault.New(fault.Internal, "there is no kind of job %q", kind)
	}
	if len(arguments) > maxArguments {
		return fault.New(fault.TooLarge, "the arguments of a job have more than 64 KiB").Hint("put them into a file and name it")
	}
	var sealed []byte
	if len(arguments) > 0 {
		var err error
		if sealed, err = q.keys.Seal(ctx, tx, seal.PurposeJob, cell(j.UUID()), arguments); err != nil {
			return fmt.Errorf("seal a job's arguments: %w", err)
		}
	}
	if due.IsZero() {
		due = tx.Now
	}
	if _, err := tx.Exec(ctx, sqlAdd, tx.Organisation(), j, kind, sealed, store.Millis(due), store.Millis(tx.Now)); err != nil {
		return fmt.Errorf("add a job: %w", err)
	}
	if !due.After(tx.Now) {
		tx.OnCommit(loop.Wake)
	}
	return nil
}

func cell(j id.UUID) seal.Cell { return seal.Cell{Table: "job", Column: "arguments", Row: j[:]} }

// Run makes sure that periodic work has its row, and works off all kinds until ctx is done.
func (q *Queue) Run(ctx context.Context) error {
	err := q.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		for name, k := range q.kinds {
			if k.Every <= 0 {
				continue
			}
			if err := q.add(ctx, tx, periodic(name), name, nil, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // stopped before it began
	}
	if err != nil {
		return fmt.Errorf("add the periodic jobs: %w", err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(q.loops))
	for _, l := range q.loops {
		wg.Go(func() { errs <- l.Run(ctx, q.st) })
	}
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

// periodic is the id of a kind's one periodic row: the same on every node.
func periodic(kind string) id.Job {
	sum := sha256.Sum256([]byte("periodic job " + kind))
	return id.Job(sum[:16])
}

func claim(ctx context.Context, tx *store.Tx, c Claim, kind string) (list []row, err error) {
	rows, err := tx.Query(ctx, sqlClaim, kind, store.Millis(c.Now), c.Limit, c.Lease, store.Millis(c.Until))
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.key.Organisation, &r.key.ID, &r.attempt, &r.sealed); err != nil {
			return nil, fmt.Errorf("claim jobs: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func renew(ctx context.Context, tx *store.Tx, held []Held[row], until time.Time) (lost []Key, err error) {
	for _, h := range held {
		n, err := tx.Exec(ctx, sqlRenew, store.Millis(until), tx.Organisation(), h.Work.key.ID, h.Lease)
		if err != nil {
			return nil, fmt.Errorf("renew the lease of a job: %w", err)
		}
		if n == 0 {
			lost = append(lost, h.Work.key)
		}
	}
	return lost, nil
}

func (q *Queue) do(ctx context.Context, k *Kind, r row) error {
	scope := id.System(r.key.Organisation)
	j := Job{ID: id.Job(r.key.ID), Attempt: r.attempt}
	if r.attempt > k.Attempts && k.Every == 0 {
		// It never came to an outcome: each time the process died under it.
		return fault.New(fault.Invalid, "the job was cut off in each of its %d attempts", k.Attempts)
	}
	if r.sealed != nil {
		err := q.st.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
			j.Arguments, err = q.keys.Open(ctx, tx, cell(r.key.ID), r.sealed)
			return err
		})
		if err != nil {
			return fmt.Errorf("open a job's arguments: %w", err)
		}
	}
	return k.Handle(ctx, scope, j)
}

// settle removes what is done, and plans or gives up what is not.
func settle(ctx context.Context, tx *store.Tx, k *Kind, done []Outcome[row, struct{}]) (int, error) {
	held := 0
	for _, o := range done {
		n, err := settleOne(ctx, tx, k, o)
		if err != nil {
			return 0, fmt.Errorf("settle job %s: %w", id.Job(o.Work.key.ID), err)
		}
		held += int(n)
	}
	return held, nil
}

func settleOne(ctx context.Context, tx *store.Tx, k *Kind, o Outcome[row, struct{}]) (int64, error) {
	again := func(state int, due time.Time, attempt int) (int64, error) {
		code, problem := "", ""
		if o.Err != nil && !errors.Is(o.Err, ErrReleased) {
			code, problem = string(fault.CodeOf(o.Err)), fault.Text(o.Err)
		}
		return tx.Exec(ctx, sqlAgain, state, store.Millis(due), attempt, code, problem, tx.Organisation(), o.Work.key.ID, o.Lease)
	}
	periodic := k.Every > 0 && id.Job(o.Work.key.ID) == periodic(k.Name)
	switch {
	case o.Err == nil && periodic:
		return again(stateReady, tx.Now.Add(k.Every), 0)
	case o.Err == nil:
		return tx.Exec(ctx, sqlDone, tx.Organisation(), o.Work.key.ID, o.Lease)
	case errors.Is(o.Err, ErrReleased):
		return again(stateReady, tx.Now, o.Work.attempt-1)
	case !periodic && (o.Work.attempt >= k.Attempts || final(o.Err)):
		return again(stateGivenUp, tx.Now, o.Work.attempt)
	}
	return again(stateReady, tx.Now.Add(k.Backoff.After(o.Work.attempt, chance())), o.Work.attempt)
}

// final tells whether another attempt would end the same way.
func final(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.NotFound, fault.Forbidden, fault.Sealed, fault.TooLarge:
		return true
	case fault.Conflict, fault.Unauthenticated, fault.Exhausted, fault.Unavailable, fault.Internal:
	}
	return false
}

// chance is a number from 0 to 1.
func chance() float64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // does not fail
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// Status is a row of the queue without its arguments.
type Status struct {
	ID      id.Job
	Kind    string
	State   string // ready, running, given_up
	Due     time.Time
	Attempt int
	Made    time.Time
	Code    fault.Code
	Problem string
}

var stateNames = map[int]string{1: "ready", 2: "running", 3: "given_up"}

// List gives the jobs of tx's organisation after the given one, in the order of their making.
func (q *Queue) List(ctx context.Context, tx *store.Tx, after id.Job, limit int) (list []Status, err error) {
	rows, err := tx.Query(ctx, sqlList, tx.Organisation(), after[:], limit)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	for rows.Next() {
		var s Status
		var state int
		var due, made int64
		if err := rows.Scan(&s.ID, &s.Kind, &state, &due, &s.Attempt, &made, &s.Code, &s.Problem); err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		s.State, s.Due, s.Made = stateNames[state], store.Time(due), store.Time(made)
		list = append(list, s)
	}
	return list, rows.Err()
}

// Retry makes a job that was given up due again, with all its attempts.
func (q *Queue) Retry(ctx context.Context, tx *store.Tx, j id.Job) error {
	return one(tx.Exec(ctx, sqlRetry, store.Millis(tx.Now), tx.Organisation(), j))
}

// Remove drops a job that was given up.
func (q *Queue) Remove(ctx context.Context, tx *store.Tx, j id.Job) error {
	return one(tx.Exec(ctx, sqlRemove, tx.Organisation(), j))
}

func one(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no job that was given up has this id")
	}
	return err
}
