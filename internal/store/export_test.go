package store

import (
	"bytes"
	"context"
	"io/fs"
	"time"
)

// Migrate brings a store forward with other files than the embedded ones.
func Migrate(ctx context.Context, s *Store, files fs.FS) error {
	all, err := migrations(files)
	if err != nil {
		return err
	}
	db := s.write
	if s.engine == SQLite { // the writer holds the pool's connection
		if db, err = openSQLite(s.path, false); err != nil {
			return err
		}
		defer db.Close()
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.migrateOn(ctx, conn, all)
}

// Embedded is the program's own migrations.
var Embedded = embedded

// Number is the rewriting of '?' for PostgreSQL.
var Number = number

// Expand fills the placeholders of an engine.
var Expand = expand

// Queued is how many closures wait for the writer.
func Queued(s *Store) int { return len(s.writer.queue) }

// InspectBytes verifies an export in memory.
func InspectBytes(b []byte) error { return inspectExport(bytes.NewReader(b), &Info{}) }

// Skewed compares the clocks of this machine and of PostgreSQL's.
var Skewed = skewed

// SteadyClock is the clock of SQLite over another reading.
func SteadyClock(read func() (time.Time, time.Duration)) func() time.Time {
	return (&steadyClock{read: read}).now
}

// Beat has a node beat now.
func Beat(ctx context.Context, n *Node) error { return n.refresh(ctx) }

// VacuumInto copies to a path without the care of Backup.
func VacuumInto(ctx context.Context, s *Store, path string) error { return s.vacuumInto(ctx, path) }
