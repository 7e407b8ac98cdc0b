package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		person := id.New[id.Person]()
		for i, c := range []struct {
			text  any
			bytes any
		}{
			{"plain", []byte{0, 1, 255}}, {nil, nil}, {"", []byte{}}, {"ünïcödé ? $1 '", person}, {"big", bytes.Repeat([]byte{7}, 3<<20)}, {"unset", id.Person{}},
		} {
			must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				n, err := tx.Exec(ctx, addThing, tx.Organisation(), i, c.text, c.bytes)
				if n != 1 {
					t.Errorf("%d rows", n)
				}
				return err
			}))
			must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				var text *string
				var got []byte
				if err := tx.QueryRow(ctx, `select text, bytes from thing where organisation_id = ? and id = ?`, tx.Organisation(), i).Scan(&text, &got); err != nil {
					return err
				}
				want, _ := c.bytes.([]byte)
				if p, ok := c.bytes.(id.Person); ok && !p.IsZero() {
					want = p[:]
				}
				if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
					t.Errorf("row %d: %d bytes (nil %t), want %d (nil %t)", i, len(got), got == nil, len(want), want == nil)
				}
				if (text == nil) != (c.text == nil) || text != nil && *text != c.text {
					t.Errorf("row %d: %v", i, text)
				}
				return nil
			}))
		}
	})
}

func TestBooleansAreNumbersAndTimesAreMilliseconds(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			if tx.Now.Location() != time.UTC || tx.Now.Nanosecond()%1e6 != 0 {
				t.Error(tx.Now)
			}
			_, err := tx.Exec(ctx, addThing, 1, true, nil, nil)
			if err != nil {
				return err
			}
			var yes bool
			return tx.QueryRow(ctx, `select id from thing where id = ?`, true).Scan(&yes)
		})
		must(t, err)
		err = st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, addThing, 1, time.Now(), nil, nil)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "Millis") {
			t.Error("a time was taken:", err)
		}
	})
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.FixedZone("", 3600))
	if got := store.Time(store.Millis(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Error(got)
	}
	if store.Millis(time.Time{}) != 0 || !store.Time(0).IsZero() {
		t.Error("the zero time is not 0")
	}
}

func TestAFailedClosureLeavesNothing(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		fn   func(ctx context.Context, tx *store.Tx) error
		want func(err error) bool
	}{
		{"error", func(context.Context, *store.Tx) error { return boom }, func(err error) bool { return errors.Is(err, boom) }},
		{"panic", func(context.Context, *store.Tx) error { panic("words") }, func(err error) bool { return err != nil }},
		{"panic with an error", func(context.Context, *store.Tx) error { panic(boom) }, func(err error) bool { return errors.Is(err, boom) }},
		{"a refused statement, ignored", func(ctx context.Context, tx *store.Tx) error { _ = add(1)(ctx, tx); return nil }, store.Duplicate},
		{"a refused statement, told", func(ctx context.Context, tx *store.Tx) error { return add(1)(ctx, tx) }, store.Duplicate},
		{"a refused query, ignored", func(ctx context.Context, tx *store.Tx) error {
			_ = tx.QueryRow(ctx, `select nothing from nowhere`).Scan()
			return nil
		}, func(err error) bool { return err != nil }},
		{"no statement after a refused one", func(ctx context.Context, tx *store.Tx) error {
			_, _ = tx.Exec(ctx, `no SQL`)
			_, err := tx.Exec(ctx, `update thing set text = 'y'`)
			return err
		}, func(err error) bool { return err != nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			caretest.Databases(t, func(t *testing.T, st *store.Store) {
				things(t, st)
				must(t, st.Write(t.Context(), scope, add(1)))
				ran := false
				err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
					tx.OnCommit(func() { ran = true })
					if err := add(2)(ctx, tx); err != nil {
						return err
					}
					return c.fn(ctx, tx)
				})
				if !c.want(err) {
					t.Errorf("%v", err)
				}
				if got := numbers(t, st); !slices.Equal(got, []int{1}) {
					t.Error(got)
				}
				if ran {
					t.Error("OnCommit ran")
				}
				must(t, st.Write(t.Context(), scope, add(3)))
			})
		})
	}
}

func TestOneOpenQueryAtATime(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		must(t, st.Write(t.Context(), scope, add(1)))
		must(t, st.Write(t.Context(), scope, add(2)))
		for _, run := range []func(ctx context.Context, scope id.Scope, fn func(ctx context.Context, tx *store.Tx) error) error{st.Write, st.Read} {
			err := run(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				rows, err := tx.Query(ctx, `select id from thing`) //nolint:rowserrcheck // closed early on purpose
				if err != nil {
					return err
				}
				rows.Next()
				_, err = tx.Query(ctx, `select text from thing`) //nolint:sqlclosecheck,rowserrcheck // it must fail
				return errors.Join(err, rows.Close())            //nolint:sqlclosecheck // not at the end: before it
			})
			if err == nil {
				t.Error("a second query was let through")
			}
			err = run(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Query(ctx, `select id from thing`) //nolint:sqlclosecheck,rowserrcheck // left open on purpose
				return err
			})
			if err == nil {
				t.Error("a query that was left open was not noticed")
			}
			must(t, run(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := scan(tx.Query(ctx, `select id from thing`))
				return err
			}))
		}
	})
}

func TestATransactionWithinATransactionIsRefused(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		none := func(context.Context, *store.Tx) error { return nil }
		must(t, st.Write(t.Context(), scope, func(ctx context.Context, _ *store.Tx) error {
			if err := st.Write(ctx, scope, none); !fault.Is(err, fault.Internal) {
				t.Error(err)
			}
			if err := st.Read(ctx, scope, none); !fault.Is(err, fault.Internal) {
				t.Error(err)
			}
			return nil
		}))
	})
}

func TestReadersCannotWriteAndSeeOneSnapshot(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		must(t, st.Write(t.Context(), scope, add(1)))
		if err := st.Read(t.Context(), scope, add(2)); err == nil {
			t.Error("a reader wrote")
		}
		must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			const query = `select id from thing order by id`
			before, err := scan(tx.Query(ctx, query))
			if err != nil {
				return err
			}
			if err := st.Write(t.Context(), scope, add(3)); err != nil {
				return err
			}
			after, err := scan(tx.Query(ctx, query))
			if !slices.Equal(before, after) {
				t.Errorf("the snapshot moved from %v to %v", before, after)
			}
			return err
		}))
		if got := numbers(t, st); !slices.Equal(got, []int{1, 3}) {
			t.Error(got)
		}
	})
}

func TestATransactionIsOverWhenItsClosureReturns(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		var kept *store.Tx
		must(t, st.Write(t.Context(), scope, func(_ context.Context, tx *store.Tx) error { kept = tx; return nil }))
		if _, err := kept.Exec(t.Context(), addThing, 1, 1, nil, nil); err == nil {
			t.Error("Exec went on")
		}
		if err := kept.QueryRow(t.Context(), `select 1`).Scan(new(int)); err == nil {
			t.Error("QueryRow went on")
		}
		if got := numbers(t, st); len(got) != 0 {
			t.Error(got)
		}
	})
}

func TestLocalLivesAsLongAsItsTransaction(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		made := 0
		for range 2 {
			must(t, st.Write(t.Context(), scope, func(_ context.Context, tx *store.Tx) error {
				for range 3 {
					tx.Local("key", func() any { made++; return made })
				}
				return nil
			}))
		}
		if made != 2 {
			t.Error(made)
		}
	})
}

func TestACancelledCallerGetsNothingDone(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		reason := errors.New("the caller went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := st.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
			if err := add(1)(ctx, tx); err != nil {
				return err
			}
			cancel(reason)
			return add(2)(ctx, tx)
		})
		if !errors.Is(err, reason) {
			t.Error(err)
		}
		if err := st.Write(ctx, scope, add(3)); !errors.Is(err, reason) {
			t.Error(err)
		}
		if err := st.Read(ctx, scope, func(context.Context, *store.Tx) error { return nil }); !errors.Is(err, reason) {
			t.Error(err)
		}
		must(t, st.Write(t.Context(), scope, add(4)))
		if got := numbers(t, st); !slices.Equal(got, []int{4}) {
			t.Error(got)
		}
	})
}

func TestALongQueryEndsWithItsReader(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := st.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
			return tx.QueryRow(ctx, `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000) select count(*) from n`).Scan(new(int))
		})
		if err == nil || time.Since(begin) > 20*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func TestErrorsQuoteNoValues(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		const name = "Quintessa"
		for _, statement := range []string{
			`insert into thing (organisation_id, id, text) values (1, ?, 'x')`, // text for a number
			`insert into thing (organisation_id, id, text) values (1, 1, ?), (1, 1, ?)`,
			`insert into thing (organisation_id, id, bytes) values (1, 1, cast(? as {{int}}))`,
			`insert into thing (organisation_id, id) values (1, cast(? as {{int}}) / 0)`,
		} {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				args := []any{name, name}[:strings.Count(statement, "?")]
				_, err := tx.Exec(ctx, statement, args...)
				return err
			})
			if err != nil && strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}

func TestCloseAnswersEverybody(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		begun, go_ := make(chan struct{}), make(chan struct{})
		answers := make(chan error, 10)
		go func() {
			answers <- st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
				close(begun)
				<-go_
				return add(0)(ctx, tx)
			})
		}()
		<-begun
		for i := range 9 {
			go func() { answers <- st.Write(context.Background(), scope, add(i+1)) }()
		}
		closed := make(chan error)
		go func() { closed <- st.Close() }()
		close(go_)
		done := 0
		for range 10 {
			if err := <-answers; err == nil {
				done++
			} else if !fault.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		}
		if done == 0 {
			t.Error("the write under way was not finished")
		}
		must(t, <-closed)
		must(t, st.Close())
		if err := st.Write(t.Context(), scope, add(99)); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		if err := st.Read(t.Context(), scope, func(context.Context, *store.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	})
}

func TestTheFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	things(t, st)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f.Name(), info.Mode().Perm())
		}
		names = append(names, f.Name())
	}
	if want := []string{"carepost.db", "carepost.db-shm", "carepost.db-wal", "lock"}; !slices.Equal(names, want) {
		t.Error(names)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		o    store.Options
		code fault.Code
	}{
		{"nothing named", store.Options{}, fault.Invalid},
		{"a DSN that is none", store.Options{DSN: "postgres://carepost:secret@@:x/"}, fault.Invalid},
		{"nobody there", store.Options{DSN: "host=/nowhere user=x dbname=x"}, fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := store.Open(t.Context(), c.o)
			if !fault.Is(err, c.code) || strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
		})
	}
}

func TestClocksThatDifferAreFound(t *testing.T) {
	asked := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		server, took time.Duration
		want         bool
	}{
		{0, 0, false},
		{-5 * time.Second, 0, false},
		{-5*time.Second - 1, 0, true},
		{5 * time.Second, 0, false},
		{5*time.Second + 1, 0, true},
		{8 * time.Second, 3 * time.Second, false},
		{9 * time.Second, 3 * time.Second, true},
		{-time.Hour, time.Minute, true},
	} {
		if got := store.Skewed(asked, asked.Add(c.server), asked.Add(c.took)); got != c.want {
			t.Errorf("server %s off after %s: %t", c.server, c.took, got)
		}
	}
}
