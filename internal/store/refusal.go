package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/carepost/carepost/internal/fault"
)

// refusal is an error of the database whose text holds no values: PostgreSQL likes to quote the offending value, and a value may be
// about a person.
type refusal struct {
	text  string
	cause error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.cause }

// fault gives the error of a statement in a form that is safe to log, and notes when the disk can no longer be trusted.
func (s *Store) fault(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if s.engine == PostgreSQL {
		return postgresFault(err)
	}
	code := sqliteCode(err)
	switch {
	case sqliteBusy(code):
		return fault.Wrap(fault.Unavailable, err, "another program holds the database locked").
			Hint("end what works on the file beside carepost; carepost backup copies it while it runs")
	case sqliteFull(code):
		// Nothing of the group was kept. Unlike a failed sync this may be tried again once there is room.
		return fault.Wrap(fault.Unavailable, err, "the disk of the data folder is full").Hint("make room; nothing that was acknowledged is lost")
	case sqliteBroken(code):
		s.breakDown(err)
		return fault.Wrap(fault.Unavailable, err, "the disk of the data folder failed").Hint("check the disk, then start carepost again")
	}
	return err // SQLite's texts name columns, never values
}

func postgresFault(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if _, network := errors.AsType[*net.OpError](err); network || errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) || pgconn.Timeout(err) {
			return fault.Wrap(fault.Unavailable, err, "PostgreSQL does not answer").Hint("check that it runs and that the DSN names it")
		}
		if _, connect := errors.AsType[*pgconn.ConnectError](err); connect {
			return fault.Wrap(fault.Unavailable, err, "no connection to PostgreSQL").Hint("check that it runs and that the DSN names it")
		}
		if strings.Contains(err.Error(), "encode") {
			return &refusal{"an argument does not fit its column", err}
		}
		return &refusal{"PostgreSQL or its connection refused the statement", err}
	}
	switch e.Code[:2] {
	case "08", "53", "57": // connection, resources, operator intervention
		return fault.Wrap(fault.Unavailable, err, "PostgreSQL cannot serve now (SQLSTATE %s)", e.Code)
	case "23", "40", "42", "25", "55": // these texts name tables, columns and constraints only
		return &refusal{fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code), err}
	}
	return &refusal{fmt.Sprintf("PostgreSQL refused a value (SQLSTATE %s)", e.Code), err}
}

// cancelled gives the caller's own reason for a statement that PostgreSQL ended because the caller left.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil && postgresCode(err) == "57014" {
		return context.Cause(ctx)
	}
	return err
}

func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
