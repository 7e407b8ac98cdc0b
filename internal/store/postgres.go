package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

const (
	minPostgres   = 150000          // PostgreSQL 15
	maxSkew       = 5 * time.Second // leases of several nodes compare their clocks
	maxRetries    = 3               // after a serialization failure or a deadlock
	retryWait     = 5 * time.Millisecond
	defaultPool   = 16
	cancelWait    = 3 * time.Second
	sessionName   = "carepost " // and the node's id: so others can end the sessions of a node that fell silent
	idleInTx      = "300000"    // ms: a node that hangs inside a transaction must not hold its locks for ever
	sqlServerInfo = `select current_setting('server_version_num')::bigint, (extract(epoch from clock_timestamp()) * 1000)::bigint`
)

func (s *Store) openPostgreSQL(ctx context.Context, dsn string) error {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The error of pgx may repeat the DSN; a DSN may hold a password.
		return fault.New(fault.Invalid, "the DSN of PostgreSQL cannot be read").Hint("write postgres://user@host:5432/database?sslmode=verify-full")
	}
	if cfg.MaxConns < defaultPool && !strings.Contains(dsn, "pool_max_conns") {
		cfg.MaxConns = defaultPool
	}
	params := cfg.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"synchronous_commit":                  "on", // an act is acknowledged when it is on the disk, and on the standby where one is required
		"idle_in_transaction_session_timeout": idleInTx,
		"application_name":                    sessionName + hex.EncodeToString(s.self[:]),
		"timezone":                            "UTC",
	} {
		if _, set := params[name]; !set || name == "synchronous_commit" || name == "application_name" {
			params[name] = value
		}
	}
	cfg.ConnConfig.DialFunc = s.lines.dialer(cfg.ConnConfig.DialFunc)
	// A caller that goes away ends its statement, not the connection; only a server that does not answer loses that too.
	cfg.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelWait}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open PostgreSQL: %w", s.fault(err))
	}
	s.pool = pool
	beats := cfg.Copy()
	beats.MaxConns, beats.MinConns = 2, 0
	if s.beats, err = pgxpool.NewWithConfig(ctx, beats); err != nil {
		return fmt.Errorf("open PostgreSQL: %w", s.fault(err))
	}
	s.write = stdlib.OpenDBFromPool(pool)
	s.read = s.write
	if err := s.checkServer(ctx); err != nil {
		return err
	}
	return s.migrate(ctx)
}

func (s *Store) checkServer(ctx context.Context) error {
	var version, clock int64
	asked := time.Now()
	if err := s.write.QueryRowContext(ctx, sqlServerInfo).Scan(&version, &clock); err != nil {
		return fmt.Errorf("ask PostgreSQL for its version: %w", s.fault(err))
	}
	answered := time.Now()
	s.clock.set(asked, time.UnixMilli(clock), answered)
	if version < minPostgres {
		return fault.New(fault.Invalid, "PostgreSQL %d is too old", version/10000).Hint("use PostgreSQL 15 or later")
	}
	if skewed(asked, time.UnixMilli(clock), answered) {
		return fault.New(fault.Unavailable, "the clocks of this machine and of PostgreSQL's differ by more than %s", maxSkew).
			Hint("let NTP set both; leases of several nodes depend on it")
	}
	return nil
}

// skewed tells whether a server's clock, read between two moments of ours, differs too much from ours.
func skewed(asked, server, answered time.Time) bool {
	return server.Before(asked.Add(-maxSkew)) || server.After(answered.Add(maxSkew))
}

// writePostgreSQL runs a closure in a transaction of its own, again after a serialization failure or a deadlock.
func (s *Store) writePostgreSQL(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := s.oncePostgreSQL(ctx, scope, fn)
		code := postgresCode(err)
		if code != "40001" && code != "40P01" || attempt == maxRetries {
			return err
		}
		select {
		case <-time.After(retryWait << (2 * attempt)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Store) oncePostgreSQL(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	conn, inner, err := s.beginPostgreSQL(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // gives the connection back to the pool
	finished := false
	defer func() {
		if !finished { // the closure ended its goroutine
			_ = inner.Rollback()
		}
	}()
	tx := s.newTx(scope, inner)
	tx.conn = conn
	err = cancelled(ctx, tx.run(ctx, fn))
	finished = true
	if err != nil {
		_ = inner.Rollback() // the closure's error is the answer; a connection that cannot roll back is dropped
		return err
	}
	if err := inner.Commit(); err != nil {
		return commitFault(err)
	}
	tx.committed()
	return nil
}

// beginPostgreSQL begins a transaction. A connection that stood idle may be dead without anyone having noticed: PostgreSQL was
// restarted, or ended the sessions of a node that was silent. Nothing was done on it, so another one is tried, and all that stand idle
// are dropped with it.
func (s *Store) beginPostgreSQL(ctx context.Context) (*sql.Conn, *sql.Tx, error) {
	for attempt := 0; ; attempt++ {
		conn, err := s.write.Conn(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("connect to write: %w", s.fault(err))
		}
		// COMMIT is not to be cut off by the caller's context: its answer would be lost.
		inner, err := conn.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err == nil {
			return conn, inner, nil
		}
		_ = conn.Close() // the pool drops what is broken
		if attempt == 1 || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("begin to write: %w", s.fault(err))
		}
		s.pool.Reset()
	}
}

// commitFault tells a refused commit from one whose answer was lost.
func commitFault(err error) error {
	if _, answered := errors.AsType[*pgconn.PgError](err); answered || errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("commit: %w", postgresFault(err))
	}
	return fault.Wrap(fault.Unavailable, err, "PostgreSQL's answer to COMMIT was lost: the act may stand or not").Hint("look before trying again")
}
