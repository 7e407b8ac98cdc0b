package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// block keeps the writer busy until the returned function is called, so that closures queue up behind it.
func block(t *testing.T, st *store.Store) (free func() error) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- st.Write(context.Background(), scope, func(context.Context, *store.Tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() error {
		close(end)
		return <-done
	}
}

// Of many closures at once, each ends as if it were alone: those that fail, panic, are cancelled or swallow a refusal leave nothing,
// and all others stay.
func TestClosuresDoNotHarmEachOther(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		const many = 300
		var wg sync.WaitGroup
		var committed sync.Map
		free := block(t, st)
		for i := range many {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := st.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
					tx.OnCommit(func() { committed.Store(i, true) })
					if err := add(i)(ctx, tx); err != nil {
						return err
					}
					switch i % 6 {
					case 1:
						return errors.New("fails")
					case 2:
						panic("panics")
					case 3:
						cancel()
						_, err := tx.Exec(ctx, `update thing set text = 'cancelled'`)
						return err
					case 4:
						_ = add(i)(ctx, tx) // refused
					case 5:
						runtime.Gosched()
					}
					return nil
				})
				if good := i%6 == 0 || i%6 == 5; good != (err == nil) {
					t.Errorf("closure %d: %v", i, err)
				}
			})
		}
		must(t, free())
		wg.Wait()
		var want []int
		for i := range many {
			_, ran := committed.Load(i)
			if good := i%6 == 0 || i%6 == 5; good {
				want = append(want, i)
				if !ran {
					t.Errorf("OnCommit of %d did not run", i)
				}
			} else if ran {
				t.Errorf("OnCommit of %d ran", i)
			}
		}
		if got := numbers(t, st); !slices.Equal(got, want) {
			t.Errorf("%d rows, want %d", len(got), len(want))
		}
	})
}

func TestAGroupIsCommittedOnce(t *testing.T) {
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), MaxBatch: 16, MaxHold: time.Hour})
	things(t, st)
	var groups []int
	inGroup := 0
	st.BeforeCommit(func(_ context.Context, tx *store.Tx) error {
		if tx.Scope != id.System(id.Installation) {
			t.Error(tx.Scope)
		}
		groups = append(groups, inGroup)
		inGroup = 0
		return nil
	})
	free := block(t, st)
	var wg sync.WaitGroup
	for i := range 63 {
		queued := make(chan struct{})
		wg.Go(func() {
			close(queued)
			if err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { inGroup++; return add(i)(ctx, tx) }); err != nil {
				t.Error(err)
			}
		})
		<-queued
	}
	for store.Queued(st) < 63 {
		runtime.Gosched()
	}
	must(t, free())
	wg.Wait()
	total := 0
	for _, n := range groups {
		total += n
	}
	if total != 63 || len(groups) > 5 || slices.Max(groups) > 16 {
		t.Errorf("groups of %v", groups)
	}
	if got := numbers(t, st); len(got) != 63 {
		t.Error(len(got))
	}
}

func TestBeforeCommitComesLastAndCanRefuseTheGroup(t *testing.T) {
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), MaxHold: time.Hour})
	things(t, st)
	refusal := errors.New("no ledger, no act")
	refuse := false
	st.BeforeCommit(func(ctx context.Context, tx *store.Tx) error {
		// It sees what the closures wrote, and what it writes stays with them.
		_, err := tx.Exec(ctx, `insert into thing (organisation_id, id) select 7, max(id) + 1000 from thing where organisation_id = 1`)
		if refuse {
			return refusal
		}
		return err
	})
	must(t, st.Write(t.Context(), scope, add(1)))
	free := block(t, st)
	refuse = true
	errs := make(chan error, 20)
	var ran atomic.Bool
	for i := range 20 {
		go func() {
			errs <- st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				tx.OnCommit(func() { ran.Store(true) })
				if i == 3 {
					return errors.New("its own error")
				}
				return add(i+2)(ctx, tx)
			})
		}()
	}
	for store.Queued(st) < 20 {
		runtime.Gosched()
	}
	if err := free(); !errors.Is(err, refusal) {
		t.Error(err)
	}
	for range 20 {
		if err := <-errs; !errors.Is(err, refusal) {
			t.Error(err)
		}
	}
	if ran.Load() {
		t.Error("OnCommit ran")
	}
	refuse = false
	must(t, st.Write(t.Context(), scope, add(99)))
	if got := numbers(t, st); !slices.Equal(got, []int{1, 99}) {
		t.Error(got)
	}
}

func TestARefusedCommitIsEverybodysError(t *testing.T) {
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), MaxHold: time.Hour})
	things(t, st)
	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `create table late (id {{int}} primary key, of {{int}} references late (id) deferrable initially deferred){{strict}}`)
		return err
	}))
	free := block(t, st)
	errs := make(chan error, 10)
	for i := range 10 {
		go func() {
			errs <- st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				if i == 5 { // only COMMIT finds this out
					_, err := tx.Exec(ctx, `insert into late (id, of) values (1, 2)`)
					return err
				}
				return add(i)(ctx, tx)
			})
		}()
	}
	for store.Queued(st) < 10 {
		runtime.Gosched()
	}
	_ = free() // in the same group, or before it
	for range 10 {
		if err := <-errs; err == nil {
			t.Error("acknowledged without a commit")
		}
	}
	if got := numbers(t, st); len(got) != 0 {
		t.Error(got)
	}
	must(t, st.Write(t.Context(), scope, add(1)))
}

func TestACallerThatLeavesTheQueueIsNotRun(t *testing.T) {
	st := caretest.Open(t)
	things(t, st)
	free := block(t, st)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() { errs <- st.Write(ctx, scope, add(1)) }()
	for store.Queued(st) < 1 {
		runtime.Gosched()
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) { // at once, though the writer is busy
		t.Error(err)
	}
	must(t, free())
	must(t, st.Write(t.Context(), scope, add(2)))
	if got := numbers(t, st); !slices.Equal(got, []int{2}) {
		t.Error(got)
	}
}

func TestAClosureThatEndsItsGoroutineEndsNothingElse(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		done := make(chan error, 1)
		go func() {
			defer func() { done <- errors.New("ended") }()
			done <- st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				runtime.Goexit() // as t.Fatal does
				return nil
			})
		}()
		if err := <-done; err == nil {
			t.Error("acknowledged")
		}
		must(t, st.Write(t.Context(), scope, add(2)))
		if got := numbers(t, st); !slices.Equal(got, []int{2}) {
			t.Error(got)
		}
	})
}

func TestExecEach(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		rows := make([][]any, 2500)
		for i := range rows {
			rows[i] = []any{1, i, fmt.Sprint(i), i%2 == 0}
		}
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.ExecEach(ctx, `insert into thing (organisation_id, id, text, bytes) select ?, ?, ?, null where ? = 1`, rows)
			if n != 1250 {
				t.Errorf("%d rows", n)
			}
			return err
		})
		must(t, err)
		if got := numbers(t, st); len(got) != 1250 {
			t.Error(len(got))
		}
		err = st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, _ = tx.ExecEach(ctx, addThing, [][]any{{1, 5001, "x", nil}, {1, 0, "twice", nil}, {1, 5002, "x", nil}})
			return nil
		})
		if !store.Duplicate(err) {
			t.Error(err)
		}
		if got := numbers(t, st); len(got) != 1250 {
			t.Error(len(got))
		}
	})
}

func TestDeadlocksAreTriedAgain(t *testing.T) {
	st := caretest.OpenPostgreSQL(t)
	things(t, st)
	must(t, st.Write(t.Context(), scope, add(1)))
	must(t, st.Write(t.Context(), scope, add(2)))
	var wg, first sync.WaitGroup
	var runs atomic.Int32
	first.Add(2)
	for i := range 2 {
		wg.Go(func() {
			met := false
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				runs.Add(1)
				order := []int{1 + i, 2 - i}
				for _, n := range order {
					if _, err := tx.Exec(ctx, `update thing set text = text || ? where id = ?`, "+", n); err != nil {
						return err
					}
					if !met { // both hold one row before either asks for the other's
						met = true
						first.Done()
						first.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `select count(*) from thing where text = 'x++'`).Scan(&n)
		if n != 2 {
			t.Errorf("%d rows have both updates", n)
		}
		return err
	}))
	if n := runs.Load(); n < 3 { // a slow machine may have them meet twice
		t.Errorf("%d runs of 2 closures", n)
	}
}
