package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// jobs fills a table that the schema has, with every type of value, and gives what is in it.
func jobs(t testing.TB, st *store.Store, from, n int) {
	t.Helper()
	must(t, st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		rows := make([][]any, n)
		for i := range rows {
			rows[i] = []any{1, id.New[id.Job](), "kind ü?", []any{nil, []byte{}, []byte("sealed\x00")}[i%3], from + i, -1 * int64(from+i)}
		}
		_, err := tx.ExecEach(ctx, `insert into job (organisation_id, id, kind, arguments, state, due_at, attempt, made_at, code, problem)
			values (?, ?, ?, ?, 1, ?, ?, 1, '', '')`, rows)
		return err
	}))
}

type jobRow struct {
	id        id.Job
	kind      string
	arguments string
	due       int64
	attempt   int64
}

func jobRows(t testing.TB, st *store.Store) (list []jobRow) {
	t.Helper()
	must(t, st.Read(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select id, kind, arguments, due_at, attempt from job order by due_at`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r jobRow
			var b []byte
			if err := rows.Scan(&r.id, &r.kind, &b, &r.due, &r.attempt); err != nil {
				return err
			}
			if r.arguments = string(b); b == nil {
				r.arguments = "null"
			}
			list = append(list, r)
		}
		return rows.Err()
	}))
	return list
}

func TestBackupWhileItIsWrittenTo(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		jobs(t, st, 0, 3000)
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 3000; !stop.Load(); n += 3 {
				jobs(t, st, n, 3) // three at a time: a torn copy would have another count
			}
		})
		path := filepath.Join(t.TempDir(), "backup")
		must(t, st.Backup(t.Context(), path))
		stop.Store(true)
		wg.Wait()
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
		about, err := store.Inspect(t.Context(), path)
		must(t, err)
		want := map[store.Engine]string{store.SQLite: store.FormatSQLite, store.PostgreSQL: store.FormatExport}[st.Engine()]
		if about.Format != want || about.Bytes != info.Size() || about.Tables == 0 || about.Migration == "" {
			t.Errorf("%+v", about)
		}
		if err := st.Backup(t.Context(), path); !fault.Is(err, fault.Conflict) {
			t.Error("overwritten:", err)
		}
		now := jobRows(t, st)
		for engine, place := range map[string]func() store.Options{
			"sqlite":   func() store.Options { return store.Options{Dir: filepath.Join(t.TempDir(), "restored")} },
			"postgres": func() store.Options { return store.Options{DSN: caretest.DSN(t)} },
		} {
			t.Run("restored to "+engine, func(t *testing.T) {
				o := place()
				must(t, store.Restore(t.Context(), path, o))
				back := caretest.OpenWith(t, o)
				got := jobRows(t, back)
				if len(got) < 3000 || len(got)%3 != 0 || !slices.Equal(got, now[:len(got)]) {
					t.Errorf("%d rows, of %d", len(got), len(now))
				}
				must(t, back.Check(t.Context()))
				must(t, back.Write(t.Context(), scope, func(context.Context, *store.Tx) error { return nil }))
				must(t, back.Close())
				if err := store.Restore(t.Context(), path, o); !fault.Is(err, fault.Conflict) {
					t.Error("restored over a database:", err)
				}
			})
		}
	})
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		jobs(t, st, 0, 10)
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := st.Backup(ctx, filepath.Join(dir, "backup")); err == nil {
			t.Error("no error")
		}
		if err := st.Backup(t.Context(), filepath.Join(dir, "no", "folder")); err == nil {
			t.Error("no error")
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
			t.Error(files, err)
		}
	})
}

func TestDamagedBackupsAreFound(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		jobs(t, st, 0, 500)
		path := filepath.Join(t.TempDir(), "backup")
		must(t, st.Backup(t.Context(), path))
		whole, err := os.ReadFile(path)
		must(t, err)
		for name, damage := range map[string]func(b []byte) []byte{
			"empty":             func([]byte) []byte { return nil },
			"another file":      func([]byte) []byte { return []byte("from 1 May 2026") },
			"cut in the middle": func(b []byte) []byte { return b[:len(b)/2] },
			"the end is gone":   func(b []byte) []byte { return b[:len(b)-1] },
			"pages of zeros": func(b []byte) []byte {
				for i := len(b) / 4; i < len(b)*3/4; i++ {
					b[i] = 0
				}
				return b
			},
		} {
			t.Run(name, func(t *testing.T) {
				bad := filepath.Join(t.TempDir(), "bad")
				must(t, os.WriteFile(bad, damage(slices.Clone(whole)), 0o600))
				if _, err := store.Inspect(t.Context(), bad); err == nil {
					t.Error("not found out")
				}
				dir := filepath.Join(t.TempDir(), "d")
				if err := store.Restore(t.Context(), bad, store.Options{Dir: dir}); err == nil {
					t.Error("restored")
				}
				if _, err := os.Stat(dir); err == nil {
					t.Error("the folder was made")
				}
			})
		}
		if st.Engine() == store.PostgreSQL { // a digest finds every changed bit
			for at := 0; at < len(whole); at += 997 {
				bad := slices.Clone(whole)
				bad[at] ^= 0x10
				if err := store.InspectBytes(bad); err == nil {
					t.Errorf("a changed bit in byte %d was not found", at)
				}
			}
		}
	})
}

func TestABackupOfANewerVersionIsRefused(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `insert into migration (organisation_id, number, name, sum, applied_at) values (0, 9999, '9999_later', 'x', 1)`)
		return err
	}))
	path := filepath.Join(t.TempDir(), "backup")
	if err := st.Backup(t.Context(), path); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	must(t, st.Close())
	if _, err := store.Open(t.Context(), store.Options{Dir: dir}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "9999_later") {
		t.Error(err)
	}
}

// FuzzInspect reads an export as what it is: a file from anywhere.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("carepost export 1\nM\x01\x0e0001_store_mine\x02abT\x03job\x02\x01a\x01bR\x01\x05\x02\x01xR\x00\x03\x01yE"))
	f.Add([]byte("carepost export 1\nT\x01x\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := store.InspectBytes(b); err == nil && !bytes.HasPrefix(b, []byte("carepost export 1\n")) {
			t.Error("taken")
		}
	})
}

// What was destroyed is gone from the disk: secure_delete cleans the pages, Scrub the write-ahead log.
func TestScrubbedBytesAreGone(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	things(t, st)
	secret := "wrapped key \x01\x02 of a person"
	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, addThing, 1, 1, secret, []byte(strings.Repeat(secret, 1000)))
		return err
	}))
	if got := caretest.Canary(t, dir, secret); len(got) == 0 {
		t.Fatal("the search is blind")
	}
	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update thing set text = null, bytes = null`)
		return err
	}))
	must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.QueryRow(ctx, `select 1 from thing`).Scan(new(int)); err != nil {
			return err
		}
		must(t, st.Write(t.Context(), scope, add(2)))
		return nil
	}))
	must(t, st.Scrub(t.Context()))
	if got := caretest.Canary(t, dir, secret); len(got) > 0 {
		t.Error("still in", got)
	}
	must(t, caretest.OpenPostgreSQL(t).Scrub(t.Context()))
}

func TestPragmasHoldOnEveryConnection(t *testing.T) {
	st := caretest.Open(t)
	want := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "trusted_schema": "0", "cell_size_check": "1", "secure_delete": "1", "busy_timeout": "10000",
	}
	look := func(ctx context.Context, tx *store.Tx) error {
		for name, value := range want {
			var got string
			if err := tx.QueryRow(ctx, `pragma `+name).Scan(&got); err != nil {
				return err
			}
			if got != value {
				t.Errorf("%s is %s", name, got)
			}
		}
		return nil
	}
	must(t, st.Write(t.Context(), scope, look))
	var wg sync.WaitGroup
	together := make(chan struct{})
	var waiting atomic.Int32
	for range 4 { // as many connections
		wg.Go(func() {
			err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				if waiting.Add(1) == 4 {
					close(together)
				}
				<-together
				return look(ctx, tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What a killed program left beside a database that was moved away would be played into the restored one.
func TestRestoreBesideAStaleJournal(t *testing.T) {
	st := caretest.Open(t)
	things(t, st)
	must(t, st.Write(t.Context(), scope, add(1)))
	backup := filepath.Join(t.TempDir(), "backup")
	must(t, st.Backup(t.Context(), backup))
	for _, left := range []string{"carepost.db", "carepost.db-wal", "carepost.db-shm", "carepost.db-journal"} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, left), []byte("x"), 0o600))
		err := store.Restore(t.Context(), backup, store.Options{Dir: dir})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("beside %s: %v", left, err)
		}
	}
	must(t, store.Restore(t.Context(), backup, store.Options{Dir: t.TempDir()}))
}

// A full or broken backup disk is no trouble of the database's own disk.
func TestABadBackupDisk(t *testing.T) {
	st := caretest.Open(t)
	things(t, st)
	err := store.VacuumInto(t.Context(), st, "/dev/full")
	if err == nil {
		t.Fatal("copied to a full device")
	}
	t.Log(err)
	select {
	case <-st.Failed():
		t.Error("the database counts as failed")
	default:
	}
	must(t, st.Write(t.Context(), scope, add(1)))
}
