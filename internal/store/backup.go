package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/carepost/carepost/internal/fault"
)

// A backup is one file, 0600. SQLite gives a database file, compact and without a WAL; PostgreSQL gives an export (export.go), and
// sites that need less loss than from backup to backup use its own archive of the WAL. Either file restores into either engine.
const (
	FormatSQLite = "sqlite"
	FormatExport = "export"
)

const (
	sqlVacuumInto     = `VACUUM INTO ?`
	sqlIntegrity      = `PRAGMA integrity_check`
	sqlForeignKeys    = `SELECT count(*) FROM pragma_foreign_key_check`
	sqlCheckpoint     = `PRAGMA wal_checkpoint(TRUNCATE)`
	sqliteMagic       = "SQLite format 3\x00"
	partial           = ".partial"
	maxIntegrityLines = 100
)

// Info says what a backup file holds.
type Info struct {
	Format    string
	Bytes     int64
	Migration string // the newest one
	Tables    int
	Rows      int64 // of an export only
}

// Backup writes a consistent copy of the running database to a new file and verifies it. The file appears under its name only when
// it is whole and on the disk.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fault.New(fault.Conflict, "the file exists").At("%s", path).Hint("name a new file: a backup is never overwritten")
	}
	tmp := path + partial
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("remove an unfinished backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(tmp))
		}
	}()
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the backup cannot be made here").At("%s", path).Hint("name a file in a folder that is there and that carepost may write to")
	}
	defer f.Close() //nolint:errcheck // synced before
	if s.engine == SQLite {
		err = s.vacuumInto(ctx, tmp)
	} else {
		err = s.Export(ctx, f)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if _, err := Inspect(ctx, tmp); err != nil {
		return fmt.Errorf("verify the backup: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("name the backup: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// vacuumInto copies on a connection of its own: the readers' may not write anywhere, and the writer goes on meanwhile. The WAL
// grows until it is done.
func (s *Store) vacuumInto(ctx context.Context, path string) error {
	db, err := openSQLite(s.path, false)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only read
	_, err = db.ExecContext(ctx, sqlVacuumInto, path)
	return s.copyFault(err)
}

// copyFault is fault for a copy to another disk: its trouble says nothing of the disk that the database is on.
func (s *Store) copyFault(err error) error {
	switch code := sqliteCode(err); {
	case err == nil:
		return nil
	case sqliteFull(code):
		return fault.Wrap(fault.Unavailable, err, "there is no room for the backup").Hint("make room where it is written, or name another place")
	case sqliteBroken(code):
		return fault.Wrap(fault.Unavailable, err, "the backup could not be written").Hint("check the disk where it is written; `carepost doctor` looks at the database's own")
	}
	return s.fault(err)
}

// Inspect verifies a backup file without changing it: every page and index of a database, or the digest of an export, and that this
// program knows its migrations.
func Inspect(ctx context.Context, path string) (Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	st, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("open the backup: %w", err)
	}
	head := make([]byte, len(sqliteMagic))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return Info{}, fmt.Errorf("read the backup: %w", err)
	}
	info := Info{Bytes: st.Size()}
	switch head = head[:n]; {
	case bytes.Equal(head, []byte(sqliteMagic)):
		info.Format = FormatSQLite
		err = inspectSQLite(ctx, path, &info)
	case bytes.HasPrefix([]byte(exportMagic), head) && n > 0:
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return Info{}, fmt.Errorf("read the backup: %w", err)
		}
		info.Format = FormatExport
		err = inspectExport(f, &info)
	default:
		err = fault.New(fault.Invalid, "not a backup of carepost").At("%s", path)
	}
	return info, err
}

func inspectSQLite(ctx context.Context, path string, info *Info) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find the backup: %w", err)
	}
	// immutable: no lock, no journal, nothing beside the file.
	db, err := sqliteDB(abs, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_pragma": {"query_only(on)", "trusted_schema(off)", "cell_size_check(on)"}})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only read
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer conn.Close() //nolint:errcheck // it was only read
	if err := integrity(ctx, conn); err != nil {
		return err
	}
	all, err := migrations(embedded)
	if err != nil {
		return err
	}
	s := &Store{engine: SQLite, failed: make(chan struct{})}
	applied, err := s.applied(ctx, conn)
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		return fault.New(fault.Invalid, "the file is a SQLite database, but not carepost's")
	}
	info.Migration = applied[len(applied)-1].name
	info.Tables = len(tables(all))
	_, err = compare(all, applied)
	return err
}

func integrity(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, sqlIntegrity)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the database file cannot be read")
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	faults := 0
	for rows.Next() && faults < maxIntegrityLines {
		var line string
		if err := rows.Scan(&line); err != nil {
			return fmt.Errorf("check the database file: %w", err)
		}
		if line != "ok" {
			faults++
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fault.Wrap(fault.Invalid, err, "the database file cannot be read")
	}
	var orphans int
	if err := conn.QueryRowContext(ctx, sqlForeignKeys).Scan(&orphans); err != nil {
		return fault.Wrap(fault.Invalid, err, "the database file cannot be read")
	}
	if faults+orphans > 0 {
		return fault.New(fault.Invalid, "the database file is damaged: %d faults, %d rows without their owner", faults, orphans).
			Hint("use an earlier backup")
	}
	return nil
}

// Check verifies the running database: on SQLite every page, index and reference. On PostgreSQL amcheck does that: pg_amcheck.
func (s *Store) Check(ctx context.Context) error {
	if s.engine == PostgreSQL {
		return nil
	}
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("check: %w", s.fault(err))
	}
	defer conn.Close() //nolint:errcheck // gives the connection back
	return integrity(ctx, conn)
}

// Scrub takes bytes that were deleted or overwritten off the disk: with secure_delete the pages are clean already, and this empties
// the WAL, which still has the old ones. It is for the destruction of keys. A reader at work makes it fail with Unavailable: try
// again. PostgreSQL gives no such promise; there a destroyed epoch key is what counts, and Scrub does nothing.
func (s *Store) Scrub(ctx context.Context) error {
	if s.engine == PostgreSQL {
		return nil
	}
	db, err := openSQLite(s.path, false)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the answer is in hand
	var busy, frames, moved int
	if err := db.QueryRowContext(ctx, sqlCheckpoint).Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("empty the write-ahead log: %w", s.fault(err))
	}
	if busy != 0 {
		return fault.New(fault.Unavailable, "the write-ahead log is still being read").Hint("try again in a moment")
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync a folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
