package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/carepost/carepost/internal/fault"
)

// Restore makes a database from a verified backup file, of either engine into either engine. The place must be fresh: a data folder
// without a database, or a PostgreSQL database in which carepost has no row. An older backup is brought forward by the next Open.
// That the restored database is a fork of the one that was backed up is for the ledger to say.
func Restore(ctx context.Context, path string, o Options) error {
	info, err := Inspect(ctx, path)
	if err != nil {
		return err
	}
	if o.DSN == "" && info.Format == FormatSQLite {
		return restoreFile(path, o.Dir)
	}
	if o.DSN == "" {
		if err := freshFolder(o.Dir); err != nil {
			return err
		}
	}
	s, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if info.Format == FormatSQLite {
		err = s.importFile(ctx, path)
	} else {
		err = s.importExport(ctx, path)
	}
	return errors.Join(err, s.Close())
}

func freshFolder(dir string) error {
	if dir == "" {
		return fault.New(fault.Invalid, "no place to restore to is named").Hint("set a data folder, or the DSN of a PostgreSQL database")
	}
	// A journal without its database counts too: SQLite would play it into the restored one.
	for _, of := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(filepath.Join(dir, databaseFile+of)); err == nil {
			return fault.New(fault.Conflict, "there is a database in the folder, or what one left").At("%s", filepath.Join(dir, databaseFile+of)).
				Hint("restore to a fresh folder, or move the old database away with its -wal and -shm files")
		}
	}
	return nil
}

// restoreFile copies a SQLite backup into the folder, under its name only when it is whole.
func restoreFile(path, dir string) (err error) {
	if err := freshFolder(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // ends the lock
	if err := freshFolder(dir); err != nil {
		return err // somebody was here between the first look and the lock
	}
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer in.Close() //nolint:errcheck // it was only read
	name := filepath.Join(dir, databaseFile)
	out, err := os.OpenFile(name+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the database file: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("copy the backup: %w", err), removeIfThere(name+partial))
	}
	if err := os.Rename(name+partial, name); err != nil {
		return fmt.Errorf("name the database file: %w", err)
	}
	return syncFolder(dir)
}

// importFile reads a SQLite backup into PostgreSQL, by way of an export of it.
func (s *Store) importFile(ctx context.Context, path string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "restore-")
	if err != nil {
		return fmt.Errorf("make a folder for the restore: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what stays is sealed
	if err := restoreFile(path, dir); err != nil {
		return err
	}
	old, err := Open(ctx, Options{Dir: dir}) // brings an older backup forward
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(old.Export(ctx, w)) }() // ends with the reader below, at the latest when r is closed
	err = s.Import(ctx, r)
	return errors.Join(err, r.Close(), old.Close())
}

func (s *Store) importExport(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return s.Import(ctx, f)
}

// Import fills a fresh database from an export of the same schema, in one transaction: all of it or nothing.
func (s *Store) Import(ctx context.Context, r io.Reader) (err error) {
	all, err := migrations(embedded)
	if err != nil {
		return err
	}
	in, err := newExportReader(r)
	if err != nil {
		return err
	}
	db := s.write
	if s.engine == SQLite { // the writer holds the pool's one connection
		if db, err = openSQLite(s.path, false); err != nil {
			return err
		}
		defer db.Close() //nolint:errcheck // committed before
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to import: %w", s.fault(err))
	}
	defer conn.Close() //nolint:errcheck // gives the connection back
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin to import: %w", s.fault(err))
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	im := &importer{store: s, conn: conn, tx: tx, known: tables(all), all: all}
	if err := im.fresh(ctx); err != nil {
		return err
	}
	if err := in.walk(visitor{
		migration: im.migration,
		table:     func(name string, columns []string) error { return im.table(ctx, name, columns) },
		row:       func(values []any) error { return im.row(ctx, values) },
	}); err != nil {
		return err
	}
	if err := im.flush(ctx); err != nil {
		return err
	}
	if len(im.seen) != len(all) {
		return fault.New(fault.Conflict, "the export is of an older carepost").Hint("restore it with the version that made it, then upgrade")
	}
	return s.fault(tx.Commit())
}

// What is on its way to PostgreSQL at once.
const (
	importRows  = 2000
	importBytes = 16 << 20
)

type importer struct {
	store   *Store
	conn    *sql.Conn
	tx      *sql.Tx
	all     []migration
	known   []string // the tables of this schema
	seen    []migration
	name    string
	columns []string
	insert  string
	rows    [][]any
	bytes   int // in rows
}

// fresh refuses a database that holds a row of ours.
func (im *importer) fresh(ctx context.Context) error {
	if im.store.engine == SQLite {
		// Rows come table by table; what a row refers to within its own table may come later.
		if _, err := im.tx.ExecContext(ctx, `PRAGMA defer_foreign_keys = on`); err != nil {
			return im.store.fault(err)
		}
	}
	for _, name := range im.known {
		var n int
		err := im.tx.QueryRowContext(ctx, "select count(*) from (select 1 from "+name+" limit 1) as one").Scan(&n)
		if err != nil {
			return fmt.Errorf("look at table %s: %w", name, im.store.fault(err))
		}
		if n > 0 {
			return fault.New(fault.Conflict, "the database is not empty").Hint("restore to a fresh database")
		}
	}
	return nil
}

func (im *importer) migration(m migration) error {
	im.seen = append(im.seen, m)
	_, err := compare(im.all, im.seen)
	return err
}

// table prepares for the rows of a table. Its name and columns come from the file and are used only when the schema has them.
func (im *importer) table(ctx context.Context, name string, columns []string) error {
	if err := im.flush(ctx); err != nil {
		return err
	}
	if !slices.Contains(im.known, name) {
		return fault.New(fault.Invalid, "the export has a table that this version does not know")
	}
	have, err := im.columnsOf(ctx, name)
	if err != nil {
		return im.store.fault(err)
	}
	for _, c := range columns {
		if !slices.Contains(have, c) {
			return fault.New(fault.Invalid, "the export has a column that this version does not know").At("table %s", name)
		}
	}
	im.name, im.columns = name, columns
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	im.insert = "insert into " + name + " (" + strings.Join(columns, ", ") + ") values (" + marks + ")"
	return nil
}

// columnsOf gives the columns of a table of this schema.
func (im *importer) columnsOf(ctx context.Context, table string) ([]string, error) {
	rows, err := im.tx.QueryContext(ctx, "select * from "+table+" limit 0") //nolint:gosec // G202: one of im.known
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	columns, err := rows.Columns()
	return columns, errors.Join(err, rows.Err())
}

func (im *importer) row(ctx context.Context, values []any) error {
	if im.store.engine == SQLite {
		if _, err := im.tx.ExecContext(ctx, im.insert, values...); err != nil {
			return fmt.Errorf("import into %s: %w", im.name, im.store.fault(err))
		}
		return nil
	}
	im.rows = append(im.rows, values)
	for _, v := range values {
		switch v := v.(type) {
		case []byte:
			im.bytes += len(v)
		case string:
			im.bytes += len(v)
		}
	}
	if len(im.rows) < importRows && im.bytes < importBytes {
		return nil
	}
	return im.flush(ctx)
}

// flush sends rows to PostgreSQL by COPY.
func (im *importer) flush(ctx context.Context) error {
	if len(im.rows) == 0 {
		return nil
	}
	err := im.conn.Raw(func(c any) error {
		direct, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the connection is not pgx's")
		}
		_, err := direct.Conn().CopyFrom(ctx, pgx.Identifier{im.name}, im.columns, pgx.CopyFromRows(im.rows))
		return err
	})
	clear(im.rows)
	im.rows, im.bytes = im.rows[:0], 0
	if err != nil {
		return fmt.Errorf("import into %s: %w", im.name, im.store.fault(err))
	}
	return nil
}
