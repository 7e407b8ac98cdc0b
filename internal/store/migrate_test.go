package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/store"
)

// shipped is the program's own migrations as files that a test may change.
func shipped(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(store.Embedded, "migrations/*.sql")
	must(t, err)
	for _, name := range names {
		b, err := store.Embedded.ReadFile(name)
		must(t, err)
		files[name] = &fstest.MapFile{Data: b}
	}
	return files
}

func TestMigrations(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(files fstest.MapFS)
		want   fault.Code // "" for none
		says   string
		tables []string // there afterwards, of one, two, three
	}{
		{"nothing new", func(fstest.MapFS) {}, "", "", nil},
		{"one new", func(f fstest.MapFS) {
			f["migrations/9000_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{int}}){{strict}}; create index one_a on one (a); -- ?`)}
		}, "", "", []string{"one"}},
		{"a number between", func(f fstest.MapFS) {
			f["migrations/0999_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{blob}}){{strict}}`)}
		}, "", "", []string{"one"}},
		{"the second of three fails: the first stays, all of the second goes", func(f fstest.MapFS) {
			f["migrations/9000_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{int}})`)}
			f["migrations/9001_x_two.sql"] = &fstest.MapFile{Data: []byte(`create table two (a {{int}}); create table two (a {{int}})`)}
			f["migrations/9002_x_three.sql"] = &fstest.MapFile{Data: []byte(`create table three (a {{int}})`)}
		}, fault.Internal, "9001_x_two", []string{"one"}},
		{"a file was changed", func(f fstest.MapFS) {
			f["migrations/0001_store_migration.sql"] = &fstest.MapFile{Data: []byte(`create table migration (a {{int}})`)}
			f["migrations/9000_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{int}})`)}
		}, fault.Conflict, "0001_store_migration", nil},
		{"the database is newer", func(f fstest.MapFS) {
			delete(f, slices.Max(slices.Collect(maps.Keys(f))))
			f["migrations/9000_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{int}})`)}
		}, fault.Conflict, "newer", nil},
		{"two with one number", func(f fstest.MapFS) {
			f["migrations/0001_x_one.sql"] = &fstest.MapFile{Data: []byte(`create table one (a {{int}})`)}
		}, fault.Internal, "0001", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			caretest.Databases(t, func(t *testing.T, st *store.Store) {
				files := shipped(t)
				c.change(files)
				err := store.Migrate(t.Context(), st, files)
				if fault.CodeOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
				for _, table := range []string{"one", "two", "three"} {
					err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
						return tx.QueryRow(ctx, `select count(*) from `+table).Scan(new(int))
					})
					if there := err == nil; there != slices.Contains(c.tables, table) {
						t.Errorf("table %s: %v", table, err)
					}
				}
				if c.want == "" { // a second start finds nothing to do
					must(t, store.Migrate(t.Context(), st, files))
				}
			})
		})
	}
}

// Nodes that start together on a fresh PostgreSQL database take turns.
func TestNodesMigrateOnce(t *testing.T) {
	dsn := caretest.DSN(t)
	first := caretest.OpenWith(t, store.Options{DSN: dsn})
	must(t, first.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `drop schema public cascade; create schema public`)
		return err
	}))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			st, err := store.Open(context.Background(), store.Options{DSN: dsn})
			if err != nil {
				t.Error(err)
				return
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	must(t, first.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, `select count(*) from migration`).Scan(&n)
	}))
	if want := len(shipped(t)); n != want {
		t.Error(fmt.Sprint(n, " migrations, want ", want))
	}
}
