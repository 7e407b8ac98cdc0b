package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// nodeStore opens a further process' store on the database; it ends with the test unless the test ends it before.
func nodeStore(t *testing.T, dsn string) *store.Store {
	t.Helper()
	return caretest.OpenWith(t, store.Options{DSN: dsn})
}

func join(t *testing.T, st *store.Store) *store.Node {
	t.Helper()
	n, err := st.Join(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, n.Leave(context.Background())) })
	return n
}

func liveIDs(t *testing.T, st *store.Store) (ids []id.UUID) {
	t.Helper()
	live, err := st.Live(t.Context())
	must(t, err)
	for _, n := range live {
		ids = append(ids, n.ID)
	}
	return ids
}

func TestAProcessAlone(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		if ids := liveIDs(t, st); len(ids) != 0 {
			t.Errorf("nobody has joined, and %v live", ids)
		}
		n := join(t, st)
		live, err := st.Live(t.Context())
		must(t, err)
		if len(live) != 1 || live[0].ID != n.ID() || !live[0].Self || live[0].Started.IsZero() || live[0].Seen.IsZero() {
			t.Errorf("%+v live", live)
		}
		if peers := n.Peers(); len(peers) != 1 || !peers[0].Self || !n.Live() {
			t.Errorf("%+v are this node's peers", peers)
		}
		if _, err := st.Join(t.Context()); err == nil {
			t.Error("it joined twice")
		}
	})
}

func TestNodesSeeEachOther(t *testing.T) {
	dsn := caretest.DSN(t)
	a, b := nodeStore(t, dsn), nodeStore(t, dsn)
	first := join(t, a)
	second, err := b.Join(t.Context())
	must(t, err)
	if ids := liveIDs(t, a); len(ids) != 2 || ids[0] != first.ID() || ids[1] != second.ID() {
		t.Errorf("%v live", ids)
	}
	// The second node's view was taken when it joined; the first one's at its next beat.
	if len(second.Peers()) != 2 {
		t.Errorf("%+v are the second node's peers", second.Peers())
	}
	must(t, second.Leave(t.Context()))
	if ids := liveIDs(t, a); len(ids) != 1 || ids[0] != first.ID() {
		t.Errorf("%v live after one left", ids)
	}
}

// A node that fell silent in the middle of a transaction holds no lock after its sessions were ended.
func TestASilentNodeIsEnded(t *testing.T) {
	dsn := caretest.DSN(t)
	silent, st := nodeStore(t, dsn), nodeStore(t, dsn)
	things(t, st)
	must(t, st.Write(t.Context(), scope, add(1)))
	gone := join(t, silent)
	n := join(t, st)
	inside, release := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- silent.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `update thing set text = 'silent' where organisation_id = ? and id = 1`, tx.Organisation()); err != nil {
				return err
			}
			close(inside)
			<-release
			_, err := tx.Exec(ctx, `update thing set text = 'late' where organisation_id = ? and id = 1`, tx.Organisation())
			return err
		})
	}()
	<-inside
	must(t, st.Write(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update node set seen_at = seen_at - 16000 where id = ?`, gone.ID())
		return err
	}))
	must(t, store.Beat(t.Context(), n))
	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update thing set text = 'other' where organisation_id = ? and id = 1`, tx.Organisation())
		return err
	}))
	close(release)
	if err := <-held; err == nil {
		t.Error("the silent node's transaction was committed")
	}
	// It wakes: it is a node again by its next beat, and works on new connections.
	must(t, store.Beat(t.Context(), gone))
	if ids := liveIDs(t, st); len(ids) != 2 {
		t.Errorf("%v live after it woke", ids)
	}
	must(t, silent.Write(t.Context(), scope, add(2)))
}

func TestTheSlowestNode(t *testing.T) {
	dsn := caretest.DSN(t)
	a, b := nodeStore(t, dsn), nodeStore(t, dsn)
	first, second := join(t, a), join(t, b)
	const what = "changes"
	must(t, first.Pass(t.Context(), 1, what, 7))
	if at, all, err := b.Slowest(t.Context(), 1, what); err != nil || all || at != 7 {
		t.Error(at, all, err)
	}
	must(t, second.Pass(t.Context(), 1, what, 3))
	if at, all, err := a.Slowest(t.Context(), 1, what); err != nil || !all || at != 3 {
		t.Error(at, all, err)
	}
	must(t, second.Pass(t.Context(), 1, what, 9))
	if at, all, err := a.Slowest(t.Context(), 1, what); err != nil || !all || at != 7 {
		t.Error(at, all, err)
	}
	if _, all, err := a.Slowest(t.Context(), 2, what); err != nil || all {
		t.Error(all, err)
	}
}

func TestTheSlowestOfOne(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		n := join(t, st)
		if _, all, err := st.Slowest(t.Context(), 1, "changes"); err != nil || all {
			t.Error(all, err)
		}
		must(t, n.Pass(t.Context(), 1, "changes", 5))
		if at, all, err := st.Slowest(t.Context(), 1, "changes"); err != nil || !all || at != 5 {
			t.Error(at, all, err)
		}
	})
}

// fenced writes as the leader with that number would.
func fenced(t *testing.T, st *store.Store, fence int64) error {
	t.Helper()
	return st.Write(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return tx.Fence(ctx, "test", fence) })
}

func TestOneLeads(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		var fences []int64
		for range 2 {
			err := st.Lead(t.Context(), "test", func(ctx context.Context, fence int64) error {
				fences = append(fences, fence)
				if led, err := st.TryLead(ctx, "test", func(context.Context, int64) error { return nil }); led || err != nil {
					t.Errorf("a second one leads: %t, %v", led, err)
				}
				if led, err := st.TryLead(ctx, "other", func(context.Context, int64) error { return nil }); !led || err != nil {
					t.Errorf("nobody leads another job: %t, %v", led, err)
				}
				return fenced(t, st, fence)
			})
			must(t, err)
		}
		if fences[1] <= fences[0] {
			t.Errorf("the numbers of two leaders are %v", fences)
		}
		if err := fenced(t, st, fences[0]); !fault.Is(err, fault.Conflict) {
			t.Errorf("an earlier leader may still write: %v", err)
		}
		// What the leader's work says is what Lead says.
		want := errors.New("the work's own error")
		if err := st.Lead(t.Context(), "test", func(context.Context, int64) error { return want }); !errors.Is(err, want) || store.Lost(err) {
			t.Error(err)
		}
	})
}

func TestALeaderThatLosesItsSession(t *testing.T) {
	dsn := caretest.DSN(t)
	a, b := nodeStore(t, dsn), nodeStore(t, dsn)
	lead := make(chan int64, 10)
	ended := make(chan error, 2)
	work := func(ctx context.Context, fence int64) error {
		lead <- fence
		<-ctx.Done()
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- a.Lead(ctx, "test", work) }()
	first := <-lead
	go func() { ended <- b.Lead(ctx, "test", work) }()
	must(t, fenced(t, a, first))
	must(t, b.Write(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `select pg_terminate_backend(pid) from pg_locks
			where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`)
		return err
	}))
	select {
	case second := <-lead:
		if second <= first {
			t.Errorf("the second leader has number %d after %d", second, first)
		}
		if err := fenced(t, a, first); !fault.Is(err, fault.Conflict) {
			t.Errorf("the first leader may still write: %v", err)
		}
		must(t, fenced(t, b, second))
	case <-time.After(30 * time.Second):
		t.Fatal("nobody leads after the leader's session was ended")
	}
	stop()
	for range 2 {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// A next leader waits for the writes that still counted.
func TestTheFenceHoldsUntilTheCommit(t *testing.T) {
	dsn := caretest.DSN(t)
	a, b := nodeStore(t, dsn), nodeStore(t, dsn)
	things(t, a)
	var first int64
	must(t, a.Lead(t.Context(), "test", func(_ context.Context, fence int64) error { first = fence; return nil }))
	inside, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- a.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.Fence(ctx, "test", first); err != nil {
				return err
			}
			close(inside)
			<-release
			return add(1)(ctx, tx)
		})
	}()
	<-inside
	next := make(chan []int, 1)
	go func() {
		_ = b.Lead(context.WithoutCancel(t.Context()), "test", func(context.Context, int64) error {
			next <- numbers(t, b)
			return nil
		})
	}()
	close(release)
	must(t, <-done)
	if seen := <-next; len(seen) != 1 {
		t.Errorf("the next leader began before the last write of the one before: it saw %v", seen)
	}
}
