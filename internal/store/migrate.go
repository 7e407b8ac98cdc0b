package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migration is one numbered file, NNNN_owner_what.sql. Files go forward only; a released file never changes.
type migration struct {
	number int
	name   string
	sql    string
	sum    string // SHA-256 of the file, before its placeholders are filled
}

const (
	// One number for all migrations of all installations in a PostgreSQL cluster: advisory locks are per database.
	sqlMigrationLock   = `select pg_advisory_lock(4702394921427289928)`
	sqlMigrationUnlock = `select pg_advisory_unlock(4702394921427289928)`
	sqlHasMigrations   = `select count(*) from sqlite_schema where type = 'table' and name = 'migration'`
	sqlHasMigrationsPG = `select count(*) from pg_catalog.pg_tables where schemaname = current_schema() and tablename = 'migration'`
	sqlMigrations      = `select number, name, sum from migration where organisation_id = 0 order by number`
	sqlAddMigration    = `insert into migration (organisation_id, number, name, sum, applied_at) values (0, ?, ?, ?, ?)`
)

// migrations reads the embedded files in the order of their numbers.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	var all []migration
	for _, name := range names { // Glob sorts
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read a migration: %w", err)
		}
		base := strings.TrimSuffix(path.Base(name), ".sql")
		digits, _, _ := strings.Cut(base, "_")
		number, err := strconv.Atoi(digits)
		if err != nil || len(digits) != 4 || len(all) > 0 && all[len(all)-1].number == number {
			return nil, fault.New(fault.Internal, "migration %s has no number of its own", base)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{number, base, string(text), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// migrate brings the schema forward, file by file, each in its own transaction.
func (s *Store) migrate(ctx context.Context) error {
	all, err := migrations(embedded)
	if err != nil {
		return err
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", s.fault(err))
	}
	defer conn.Close() //nolint:errcheck // gives the connection back to the pool
	return s.migrateOn(ctx, conn, all)
}

func (s *Store) migrateOn(ctx context.Context, conn *sql.Conn, all []migration) (err error) {
	if s.engine == PostgreSQL {
		// Of several nodes that start at once one migrates; the others wait and find it done.
		if _, err := conn.ExecContext(ctx, sqlMigrationLock); err != nil {
			return fmt.Errorf("lock the schema: %w", s.fault(err))
		}
		defer func() {
			if _, uerr := conn.ExecContext(context.WithoutCancel(ctx), sqlMigrationUnlock); uerr != nil && err == nil {
				err = fmt.Errorf("unlock the schema: %w", s.fault(uerr))
			}
		}()
	}
	applied, err := s.applied(ctx, conn)
	if err != nil {
		return err
	}
	pending, err := compare(all, applied)
	if err != nil {
		return err
	}
	for _, m := range pending {
		if err := s.apply(ctx, conn, m); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, s.fault(err))
		}
	}
	return nil
}

// applied reads what the database has had.
func (s *Store) applied(ctx context.Context, conn *sql.Conn) (list []migration, err error) {
	has := sqlHasMigrations
	if s.engine == PostgreSQL {
		has = sqlHasMigrationsPG
	}
	var n int
	if err := conn.QueryRowContext(ctx, has).Scan(&n); err != nil || n == 0 {
		return nil, s.fault(err)
	}
	rows, err := conn.QueryContext(ctx, sqlMigrations)
	if err != nil {
		return nil, fmt.Errorf("read the schema's state: %w", s.fault(err))
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.number, &m.name, &m.sum); err != nil {
			return nil, fmt.Errorf("read the schema's state: %w", err)
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// compare gives the files still to be applied. It refuses a database that a newer carepost has changed, and a file that is no longer
// what was applied.
func compare(all, applied []migration) ([]migration, error) {
	known := map[int]migration{}
	for _, m := range all {
		known[m.number] = m
	}
	done := map[int]bool{}
	for _, a := range applied {
		m, ok := known[a.number]
		switch {
		case !ok:
			return nil, fault.New(fault.Conflict, "the database was changed by a newer carepost (migration %s)", a.name).
				Hint("run that version or a later one; an older one would damage it")
		case m.sum != a.sum:
			return nil, fault.New(fault.Conflict, "migration %s is not the one this database was made with", a.name).
				Hint("run an official release; nothing was changed")
		}
		done[a.number] = true
	}
	var pending []migration
	for _, m := range all {
		if !done[m.number] {
			pending = append(pending, m)
		}
	}
	return pending, nil
}

func (s *Store) apply(ctx context.Context, conn *sql.Conn, m migration) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	if _, err := tx.ExecContext(ctx, expand(s.engine, m.sql)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, s.sql.rewrite(sqlAddMigration), m.number, m.name, m.sum, Millis(s.now().UTC().Truncate(time.Millisecond))); err != nil {
		return err
	}
	return tx.Commit()
}

// SchemaSum names the schema that this program brings a database to; two programs with the same sum agree about every table.
func SchemaSum() (string, error) {
	all, err := migrations(embedded)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, m := range all {
		text.WriteString(m.name + " " + m.sum + "\n")
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:]), nil
}
