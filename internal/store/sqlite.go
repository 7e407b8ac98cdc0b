package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/carepost/carepost/internal/fault"
)

// This file and conn.go alone name the SQLite driver.

// databaseFile is the name of the database in the data folder.
const databaseFile = "carepost.db"

// pragmas hold for every connection. trusted_schema and cell_size_check guard against a crafted file; secure_delete overwrites what
// is deleted, so that a destroyed key is gone from the pages (security of the shredding depends on it).
var pragmas = []string{
	"journal_mode(wal)", "synchronous(full)", "busy_timeout(10000)", "foreign_keys(on)", "trusted_schema(off)", "cell_size_check(on)",
	"secure_delete(on)", "temp_store(memory)", "journal_size_limit(67108864)",
}

// openSQLite opens a pool on the file. A reader cannot change anything.
func openSQLite(path string, reader bool) (*sql.DB, error) {
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}, "_dqs": {"0"}}
	if reader {
		q["_pragma"] = append(q["_pragma"][:len(pragmas):len(pragmas)], "query_only(on)")
	} else {
		q["_pragma"] = append(q["_pragma"][:len(pragmas):len(pragmas)], "cache_size(-65536)")
	}
	return sqliteDB(path, q)
}

func sqliteDB(path string, q url.Values) (*sql.DB, error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	return sql.OpenDB(cached{c}), nil
}

// createFile makes the database file before SQLite would, so that it is never readable by others; -wal and -shm take over its mode.
func createFile(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the data folder cannot be made").At("%s", dir).Hint("name another one by --set data=FOLDER, or in the settings file")
	}
	path, err := filepath.Abs(filepath.Join(dir, databaseFile))
	if err != nil {
		return "", fmt.Errorf("find the data folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the database cannot be opened").At("%s", path).Hint("run carepost as the user who owns the data folder")
	}
	return path, f.Close()
}

// sqliteCode gives the result code of an error of SQLite, 0 for any other error.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

func sqliteDuplicate(code int) bool {
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// sqliteBroken: after these the file or the disk cannot be trusted, and a failed fsync must not be tried again.
func sqliteBroken(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

func sqliteBusy(code int) bool { return code&0xff == sqlite3.SQLITE_BUSY }

func sqliteFull(code int) bool { return code&0xff == sqlite3.SQLITE_FULL }

// cached wraps the driver's connector so that every connection keeps its prepared statements.
type cached struct{ driver.Connector }

func (c cached) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks an interface that store needs"), inner.Close())
	}
	return &conn{sqliteConn: full, known: map[string]*statement{}}, nil
}
