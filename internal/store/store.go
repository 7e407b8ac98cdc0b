package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Engine says which database stands behind a Store.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Options say where the database is. Dir or DSN is needed; every other zero value is the default.
type Options struct {
	Dir      string           // SQLite: the data folder, made and locked
	DSN      string           // PostgreSQL: postgres://...; when empty, SQLite in Dir
	Now      func() time.Time // the clock of Tx.Now; nil: the machine's, which never goes back, or the server's
	MaxBatch int              // SQLite: closures in one group commit; 0: 512
	MaxHold  time.Duration    // SQLite: a group that has run so long takes no more closures, so that the first is answered soon; 0: 25 ms
	Life     time.Duration    // PostgreSQL: how long a node counts as live without a sign of life; 0: 15 s
}

const (
	defaultMaxBatch = 512
	defaultMaxHold  = 25 * time.Millisecond
)

// Store is an open database. All its methods may be called at the same time.
type Store struct {
	engine Engine
	now    func() time.Time
	sql    *rewriter
	write  *sql.DB       // SQLite: holds the writer's one connection; PostgreSQL: the pool
	read   *sql.DB       // SQLite: the read-only pool; PostgreSQL: the same pool
	writer *writer       // SQLite only
	path   string        // SQLite only
	pool   *pgxpool.Pool // PostgreSQL only
	beats  *pgxpool.Pool // PostgreSQL only: of the node's own beats, which must not wait for work to give a connection back
	lines  lines         // PostgreSQL only: all open connections
	clock  serverClock   // PostgreSQL only
	self   id.UUID       // this process among the nodes
	life   time.Duration // of a node without a beat
	lock   *os.File

	mu   sync.Mutex
	node *Node
	// SQLite: who leads in this process, and the fences.
	leading map[string]bool
	fences  map[string]int64
	hooks   []hook
	closed  bool
	active  sync.WaitGroup // transactions at work; none is added once closed is set

	fail   sync.Once
	failed chan struct{}
	cause  error // set before failed is closed
}

type hook func(ctx context.Context, tx *Tx) error

// Open opens the database, brings its schema forward and, on SQLite, takes the data folder for this process alone.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{engine: SQLite, now: o.Now, failed: make(chan struct{}), self: id.New[id.UUID]()}
	switch {
	case s.now != nil:
	case o.DSN != "":
		s.now = s.clock.now
	default:
		s.now = (&steadyClock{read: machineClock}).now
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = defaultMaxBatch
	}
	if s.life = o.Life; s.life <= 0 {
		s.life = nodeLife
	}
	if o.DSN != "" {
		s.engine = PostgreSQL
	}
	s.sql = &rewriter{engine: s.engine, known: map[string]string{}}
	var err error
	switch {
	case o.DSN != "":
		err = s.openPostgreSQL(ctx, o.DSN)
	case o.Dir != "":
		err = s.openFolder(ctx, o)
	default:
		err = fault.New(fault.Invalid, "no database is named").Hint("set a data folder, or the DSN of a PostgreSQL database")
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openFolder(ctx context.Context, o Options) error {
	path, err := createFile(o.Dir)
	if err != nil {
		return err
	}
	s.path = path
	if s.lock, err = lockFolder(o.Dir); err != nil {
		return err
	}
	if s.write, err = openSQLite(path, false); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.read, err = openSQLite(path, true); err != nil {
		return err
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	s.writer, err = startWriter(ctx, s, o)
	return err
}

// Close waits for the transactions at work, answers what still waits with fault.Unavailable, and gives the folder free.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.stop())
	}
	s.active.Wait()
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	for _, pool := range []*pgxpool.Pool{s.pool, s.beats} {
		if pool != nil {
			pool.Close()
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Now is the clock of Tx.Now. On PostgreSQL it follows the server's, so that the leases of several nodes are of one clock.
func (s *Store) Now() time.Time { return s.now() }

// Engine says which database this is.
func (s *Store) Engine() Engine { return s.engine }

// Failed is closed when the disk refused a write or a sync in a way that makes the file untrustworthy. From then on every Write
// is refused; the process should end, and the next start recovers what was committed.
func (s *Store) Failed() <-chan struct{} { return s.failed }

func (s *Store) breakDown(err error) {
	s.fail.Do(func() {
		s.cause = err
		close(s.failed)
		slog.Error("the database failed; no write is taken until a restart", "error", err)
	})
}

// Write runs fn in a transaction and returns after its durable commit. An error of fn, also a panic, rolls back this closure and no
// other. A done ctx ends the wait as long as fn has not begun; after that Write waits for the outcome, so that its answer is true.
func (s *Store) Write(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	if err := s.enter(ctx, "write"); err != nil {
		return err
	}
	defer s.active.Done()
	if s.engine == PostgreSQL {
		return s.writePostgreSQL(ctx, scope, fn)
	}
	return s.writer.submit(ctx, scope, fn)
}

// Read runs fn in a read-only transaction over one snapshot.
func (s *Store) Read(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	if err := s.enter(ctx, "read"); err != nil {
		return err
	}
	defer s.active.Done()
	// On SQLite a deferred transaction takes its snapshot at the first statement.
	opts := &sql.TxOptions{ReadOnly: true}
	if s.engine == PostgreSQL {
		opts.Isolation = sql.LevelRepeatableRead
	}
	inner, err := s.read.BeginTx(ctx, opts)
	if err != nil && s.engine == PostgreSQL && ctx.Err() == nil {
		s.pool.Reset() // as in beginPostgreSQL
		inner, err = s.read.BeginTx(ctx, opts)
	}
	if err != nil {
		return fmt.Errorf("begin to read: %w", s.fault(err))
	}
	tx := s.newTx(scope, inner)
	tx.readOnly = true
	err = cancelled(ctx, tx.run(ctx, fn))
	if rerr := inner.Rollback(); err == nil && rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
		err = fmt.Errorf("end of reading: %w", s.fault(rerr))
	}
	if err == nil {
		tx.committed()
	}
	return err
}

// BeforeCommit adds a hook that runs last in each group commit of SQLite, in the installation's scope; when it fails the whole
// group fails. On PostgreSQL it is not called. Hooks are added before the first Write.
func (s *Store) BeforeCommit(h func(ctx context.Context, tx *Tx) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, h)
}

type inside struct{}

// enter refuses a transaction inside a transaction: it would wait for itself, on SQLite at once and on PostgreSQL when the pool is dry.
func (s *Store) enter(ctx context.Context, what string) error {
	if ctx.Value(inside{}) == s {
		return fault.New(fault.Internal, "a %s was begun inside a transaction; use the transaction at hand", what)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.active.Add(1)
	return nil
}

// Duplicate tells whether err is the refusal of a second row with the same unique key.
func Duplicate(err error) bool {
	return sqliteDuplicate(sqliteCode(err)) || postgresCode(err) == "23505"
}

// panicked turns the panic of a closure into its error. The stack goes to the log: it names code, never values.
func panicked(v any) error {
	slog.Error("a closure of store panicked", "stack", string(debug.Stack()))
	if err, ok := v.(error); ok {
		return fmt.Errorf("panic in a closure: %w", err)
	}
	return fmt.Errorf("panic in a closure: %v", v)
}
