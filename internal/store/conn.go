package store

import (
	"context"
	"database/sql/driver"
	"errors"
)

// sqliteConn is what the SQLite driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// maxPrepared bounds the prepared statements of one connection.
const maxPrepared = 512

var errOpenQuery = errors.New("store: an earlier query of this transaction is still open; read its rows to the end or close them before the next statement")

// conn is a connection that prepares each statement once. database/sql calls it from one goroutine at a time.
type conn struct {
	sqliteConn
	known map[string]*statement
	open  *openRows // the query whose rows are being read, nil when none
}

type statement struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

// Unwrap lets the driver's own functions find its connection.
func (c *conn) Unwrap() driver.Conn { return c.sqliteConn }

// prepared finds or makes the statement. A full cache is emptied: that is rare, and no statement is in use here.
func (c *conn) prepared(ctx context.Context, query string) (*statement, error) {
	if s, ok := c.known[query]; ok {
		return s, nil
	}
	if len(c.known) >= maxPrepared {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	inner, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s := &statement{Stmt: inner}
	var both bool
	if s.exec, both = inner.(driver.StmtExecContext); both {
		s.query, both = inner.(driver.StmtQueryContext)
	}
	if !both {
		return nil, errors.Join(errors.New("the SQLite driver lacks an interface that store needs"), inner.Close())
	}
	c.known[query] = s
	return s, nil
}

func (c *conn) forget() error {
	var errs []error
	for q, s := range c.known {
		errs = append(errs, s.Close())
		delete(c.known, q)
	}
	return errors.Join(errs...)
}

// ExecContext runs a cached statement.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.open != nil {
		return nil, errOpenQuery
	}
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.exec.ExecContext(ctx, args)
}

// QueryContext runs a cached query; its rows must be closed before the next statement.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.open != nil {
		return nil, errOpenQuery
	}
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.query.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	c.open = &openRows{Rows: rows, conn: c}
	return c.open, nil
}

// Close forgets the statements and closes the connection.
func (c *conn) Close() error {
	if c.open != nil {
		_ = c.open.Close()
	}
	return errors.Join(c.forget(), c.sqliteConn.Close())
}

type openRows struct {
	driver.Rows
	conn *conn
	done bool
}

// Next gives an empty blob as an empty slice; the driver gives a nil one, which a reader would take for NULL.
func (r *openRows) Next(dest []driver.Value) error {
	if err := r.Rows.Next(dest); err != nil {
		return err
	}
	for i, v := range dest {
		if b, ok := v.([]byte); ok && b == nil {
			dest[i] = []byte{}
		}
	}
	return nil
}

// Close ends the query; database/sql calls it after the last row too.
func (r *openRows) Close() error {
	if r.done {
		return nil
	}
	r.done = true
	r.conn.open = nil
	return r.Rows.Close()
}
