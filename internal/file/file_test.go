package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/file"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

var scope = id.System(1)

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func write(t *testing.T, f *file.Files, b []byte) id.File {
	t.Helper()
	w, err := f.Create(t.Context(), scope, "Quintessa Marlowe.csv", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, iotest.OneByteReader(bytes.NewReader(b[:min(len(b), 100)]))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b[min(len(b), 100):]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.ID()
}

func TestFilesComeBackAsTheyWere(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		f := file.New(st, caretest.Keys(t, st))
		for _, size := range []int{0, 1, file.ChunkSize - 1, file.ChunkSize, file.ChunkSize + 1, 3*file.ChunkSize + 17} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				b := content(size)
				r, err := f.Open(t.Context(), scope, write(t, f, b))
				if err != nil {
					t.Fatal(err)
				}
				if size < 2 || size == file.ChunkSize+1 && st.Engine() == store.SQLite {
					if err := iotest.TestReader(r, b); err != nil { // reads and seeks in every way; slow
						t.Error(err)
					}
				}
				if _, err := r.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, b) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if a := r.About(); a.Name != "Quintessa Marlowe.csv" || a.Media != "text/csv" || a.Size != int64(size) || a.Made.IsZero() {
					t.Errorf("%+v", a)
				}
			})
		}
	})
}

func TestAFileIsNotThereBeforeItIsWhole(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		f := file.New(st, caretest.Keys(t, st))
		w, err := f.Create(t.Context(), scope, "a", "b/c")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content(2 * file.ChunkSize)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Open(t.Context(), scope, w.ID()); !fault.Is(err, fault.NotFound) {
			t.Error("an unfinished file was found:", err)
		}
		refused := errors.New("refused")
		if err := w.CloseWith(func(context.Context, *store.Tx) error { return refused }); !errors.Is(err, refused) {
			t.Error(err)
		}
		if _, err := f.Open(t.Context(), scope, w.ID()); !fault.Is(err, fault.NotFound) {
			t.Error("a file was found whose act failed:", err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if n := count(t, st, `select count(*) from file_chunk`); n != 0 {
			t.Errorf("%d chunks stayed", n)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("written after the end")
		}
	})
}

func TestDeleteAndSweep(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, o := range []func(t *testing.T) store.Options{
		func(t *testing.T) store.Options { return store.Options{Dir: caretest.Folder(t)} },
		func(t *testing.T) store.Options { return store.Options{DSN: caretest.DSN(t)} },
	} {
		t.Run("", func(t *testing.T) {
			clock := now
			options := o(t)
			options.Now = func() time.Time { return clock }
			st := caretest.OpenWith(t, options)
			f := file.New(st, caretest.Keys(t, st))
			whole, gone := write(t, f, content(file.ChunkSize+5)), write(t, f, content(10))
			half, err := f.Create(t.Context(), scope, "half", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := half.Write(content(file.ChunkSize)); err != nil {
				t.Fatal(err)
			}
			err = st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return f.Delete(ctx, tx, gone) })
			if err != nil {
				t.Fatal(err)
			}
			if n := count(t, st, `select count(*) from file_chunk`); n != 3 {
				t.Errorf("%d chunks", n)
			}
			clock = now.Add(23 * time.Hour)
			if n, err := f.Sweep(t.Context()); n != 0 || err != nil {
				t.Error("swept too early:", n, err)
			}
			clock = now.Add(25 * time.Hour)
			if n, err := f.Sweep(t.Context()); n != 1 || err != nil {
				t.Error("not swept:", n, err)
			}
			if _, err := half.Write(content(file.ChunkSize)); !fault.Is(err, fault.Conflict) {
				t.Error("a swept file was written on:", err)
			}
			if _, err := f.Open(t.Context(), scope, whole); err != nil {
				t.Error(err)
			}
			if _, err := f.Open(t.Context(), id.System(2), whole); !fault.Is(err, fault.NotFound) {
				t.Error("another organisation found the file:", err)
			}
		})
	}
}

// A person who can write to the database cannot make one content pass for another.
func TestTamperingIsFound(t *testing.T) {
	for _, c := range []struct{ name, statement string }{
		{"chunks swapped", `update file_chunk set number = case number when 0 then 1 when 1 then 0 else number end where file_id = ?`},
		{"chunk of another file", `update file_chunk set content = (select o.content from file_chunk o where o.file_id <> file_chunk.file_id and o.number = 0) where file_id = ? and number = 0`},
		{"last chunk dropped", `delete from file_chunk where file_id = ? and number = 2`},
		{"first chunk repeated", `update file_chunk set content = (select o.content from file_chunk o where o.file_id = file_chunk.file_id and o.number = 0) where file_id = ? and number = 1`},
		{"description of another file", `update file set about = (select o.about from file o where o.id <> file.id) where id = ?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := caretest.Open(t)
			f := file.New(st, caretest.Keys(t, st))
			b := content(2*file.ChunkSize + 9)
			victim := write(t, f, b)
			write(t, f, content(file.ChunkSize))
			statements := []string{c.statement}
			if c.name == "chunks swapped" { // SQLite checks the key row by row
				statements = []string{
					`update file_chunk set number = 9 where file_id = ? and number = 0`,
					`update file_chunk set number = 0 where file_id = ? and number = 1`, `update file_chunk set number = 1 where file_id = ? and number = 9`,
				}
			}
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				for _, s := range statements {
					if n, err := tx.Exec(ctx, s, victim); err != nil || n == 0 {
						return fmt.Errorf("%d rows: %w", n, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Open(t.Context(), scope, victim)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err == nil {
				t.Error("not found out")
			}
		})
	}
}

func TestNothingIsReadableAtRest(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	f := file.New(st, caretest.Keys(t, st))
	write(t, f, bytes.Repeat([]byte("Ozempic 0.5 mg; "), 1000))
	if err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `insert into file (organisation_id, id, about, made_at, whole_at) values (1, ?, ?, 0, 0)`, id.New[id.File](), []byte("planted in the clear"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := caretest.Canary(t, dir, "Quintessa", "Marlowe", "Ozempic", "text/csv"); len(got) > 0 {
		t.Error("readable in", got)
	}
	if got := caretest.Canary(t, dir, "planted in the clear"); len(got) == 0 {
		t.Error("the search is blind")
	}
}

func count(t *testing.T, st *store.Store, query string) (n int) {
	t.Helper()
	err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return tx.QueryRow(ctx, query).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
