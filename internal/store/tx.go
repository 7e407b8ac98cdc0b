package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/id"
)

var errEnded = errors.New("store: the transaction has ended")

// Tx is a transaction: the moment it began, who acts where, and the statements. It is valid until its closure returns.
type Tx struct {
	Now   time.Time // fixed at begin, UTC, whole milliseconds
	Scope id.Scope

	store    *Store
	on       statements
	conn     *sql.Conn // PostgreSQL: the connection below on
	refused  error     // the first error of a statement: nothing after it counts
	rows     *sql.Rows
	row      *sql.Row
	local    map[any]any
	onCommit []func()
	readOnly bool
}

// statements is what *sql.Conn and *sql.Tx share.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) newTx(scope id.Scope, on statements) *Tx {
	return &Tx{Now: s.now().UTC().Truncate(time.Millisecond), Scope: scope, store: s, on: on}
}

// Organisation is the first argument of every statement: SQL always says organisation_id = ?.
func (tx *Tx) Organisation() id.Organisation { return tx.Scope.Organisation }

// Engine says which database this is, for the few statements that differ.
func (tx *Tx) Engine() Engine { return tx.store.engine }

// Exec runs a statement and gives the number of rows it touched. Placeholders are '?' on both engines.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, args, err := tx.prepare(ctx, args)
	if err != nil {
		return 0, err
	}
	res, err := tx.on.ExecContext(ctx, tx.store.sql.rewrite(query), args...)
	if err != nil {
		return 0, tx.refuse(tx.store.fault(err))
	}
	return res.RowsAffected()
}

// Query runs a query. Its rows must be read to the end or closed before the next statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, args, err := tx.prepare(ctx, args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.on.QueryContext(ctx, tx.store.sql.rewrite(query), args...)
	if err != nil {
		return nil, tx.refuse(tx.store.fault(err))
	}
	tx.rows = rows
	return rows, rows.Err()
}

// QueryRow runs a query for one row, which the caller must Scan.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	ctx, args, err := tx.prepare(ctx, args)
	if err != nil {
		ctx = failedContext{ctx, err} // a *sql.Row cannot be made with an error in it by any other way
	}
	row := tx.on.QueryRowContext(ctx, tx.store.sql.rewrite(query), args...)
	if err := row.Err(); err != nil {
		_ = tx.refuse(tx.store.fault(err)) // remembered; the caller meets the error in Scan
	}
	tx.row = row
	return row
}

// ReadOnly tells whether the transaction was begun by Read: what must exist first cannot be made here.
func (tx *Tx) ReadOnly() bool { return tx.readOnly }

// OnCommit has fn run after the durable commit, in the order of the calls, never when this closure fails. fn must be quick and must
// not use the store.
func (tx *Tx) OnCommit(fn func()) { tx.onCommit = append(tx.onCommit, fn) }

// Local gives the value kept under key for the life of this transaction, made on the first call.
func (tx *Tx) Local(key any, make func() any) any {
	if v, ok := tx.local[key]; ok {
		return v
	}
	if tx.local == nil {
		tx.local = map[any]any{}
	}
	v := make()
	tx.local[key] = v
	return v
}

// run calls the closure and closes what it left open. Its error is the closure's, or the first refused statement's.
func (tx *Tx) run(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
		left := tx.closeQuery()
		switch {
		case err != nil:
		case tx.refused != nil:
			err = tx.refused
		case left:
			err = errOpenQuery
		}
		if err != nil {
			tx.onCommit = nil
		}
		if tx.refused == nil {
			tx.refused = errEnded
		}
	}()
	return fn(context.WithValue(ctx, inside{}, tx.store), tx)
}

// committed runs what waits for the durable commit.
func (tx *Tx) committed() {
	for _, fn := range tx.onCommit {
		func() {
			defer func() {
				if v := recover(); v != nil {
					slog.Error("a function after a commit panicked; the commit stands", "error", panicked(v))
				}
			}()
			fn()
		}()
	}
}

// refuse remembers the first error of a statement.
func (tx *Tx) refuse(err error) error {
	if tx.refused == nil {
		tx.refused = err
	}
	return err
}

// prepare checks the context and turns arguments into what both engines take: booleans into 0 and 1, lists into the engine's own.
func (tx *Tx) prepare(ctx context.Context, args []any) (context.Context, []any, error) {
	if tx.refused != nil {
		return ctx, args, fmt.Errorf("an earlier statement of the transaction was refused: %w", tx.refused)
	}
	if ctx.Err() != nil {
		return ctx, args, tx.refuse(context.Cause(ctx))
	}
	if _, own := tx.on.(*sql.Conn); own {
		// The writer's connection is shared by a group: interrupting one statement would roll back all of it.
		ctx = context.WithoutCancel(ctx)
	}
	copied := false
	for i, a := range args {
		v, changed, err := tx.store.engine.argument(a)
		if err != nil {
			return ctx, args, tx.refuse(err)
		}
		if !changed {
			continue
		}
		if !copied {
			args, copied = append([]any(nil), args...), true
		}
		args[i] = v
	}
	return ctx, args, nil
}

func (e Engine) argument(a any) (v any, changed bool, err error) {
	switch a := a.(type) {
	case bool:
		if a {
			return int64(1), true, nil
		}
		return int64(0), true, nil
	case time.Time:
		return nil, false, fmt.Errorf("a time was given to a statement: use Millis")
	case blobList:
		if e == SQLite {
			return a.json(), true, nil
		}
		return [][]byte(a), true, nil
	case intList:
		if e == SQLite {
			return a.json(), true, nil
		}
		return []int64(a), true, nil
	}
	return a, false, nil
}

// failedContext makes database/sql answer a query with the error.
type failedContext struct {
	context.Context
	err error
}

var ended = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (f failedContext) Done() <-chan struct{} { return ended }
func (f failedContext) Err() error            { return f.err }

// closeQuery closes what the closure left open and tells whether it did so.
func (tx *Tx) closeQuery() bool {
	left := false
	if tx.rows != nil {
		// Columns fails on closed rows and on nothing else.
		_, err := tx.rows.Columns()
		left = err == nil
		_ = tx.rows.Close()
	}
	if tx.row != nil {
		var none sql.RawBytes
		_ = tx.row.Scan(&none) // closes it; RawBytes are refused, so that nothing is read
	}
	return left
}
