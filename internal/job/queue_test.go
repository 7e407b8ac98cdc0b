package job_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/job"
	"github.com/carepost/carepost/internal/store"
)

// soon is the backoff of tests.
var soon = job.Backoff{First: time.Millisecond, Max: 5 * time.Millisecond}

// queue makes a queue of kinds and runs it until the test ends.
func queue(t *testing.T, st *store.Store, kinds ...job.Kind) *job.Queue {
	t.Helper()
	q, err := job.New(st, caretest.Keys(t, st), kinds...)
	if err != nil {
		t.Fatal(err)
	}
	run(t, q)
	return q
}

func run(t *testing.T, q *job.Queue) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func addJob(t *testing.T, st *store.Store, q *job.Queue, scope id.Scope, kind, arguments string) (j id.Job) {
	t.Helper()
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) (err error) {
		j, err = q.Add(ctx, tx, kind, []byte(arguments), time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func list(t *testing.T, st *store.Store, q *job.Queue, scope id.Scope) (all []job.Status) {
	t.Helper()
	err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = q.List(ctx, tx, id.Job{}, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAJobGetsItsArgumentsInItsOrganisation(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		got := make(chan string, 10)
		q := queue(t, st, job.Kind{Name: "import", Handle: func(_ context.Context, scope id.Scope, j job.Job) error {
			got <- scope.Organisation.String() + " " + string(j.Arguments)
			return nil
		}})
		addJob(t, st, q, id.System(3), "import", "file of Quintessa")
		addJob(t, st, q, id.System(5), "import", "")
		seen := map[string]bool{<-got: true, <-got: true} // at once: Add wakes the loop
		if !seen["org_3 file of Quintessa"] || !seen["org_5 "] {
			t.Error(seen)
		}
		eventually(t, "both rows gone", func() bool { return count(t, st, `job`) == 0 })
	})
}

func TestAJobIsAddedWithItsAct(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		q := queue(t, st, job.Kind{Name: "x", Handle: func(context.Context, id.Scope, job.Job) error { t.Error("handled"); return nil }})
		refused := errors.New("the act is refused")
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			if _, err := q.Add(ctx, tx, "x", nil, time.Time{}); err != nil {
				t.Error(err)
			}
			return refused
		})
		if !errors.Is(err, refused) || count(t, st, `job`) != 0 {
			t.Error("the job stayed", err)
		}
		for name, code := range map[string]fault.Code{"unknown": fault.Internal, "x": fault.TooLarge} {
			err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
				_, err := q.Add(ctx, tx, name, make([]byte, 70<<10), time.Time{})
				return err
			})
			if !fault.Is(err, code) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestArgumentsAreSealed(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	q, err := job.New(st, caretest.Keys(t, st), job.Kind{Name: "planted kind", Handle: func(context.Context, id.Scope, job.Job) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	addJob(t, st, q, id.System(1), "planted kind", "Quintessa Marlowe")
	if files := caretest.Canary(t, dir, "Quintessa", "Marlowe"); len(files) > 0 {
		t.Error("readable in", files)
	}
	if files := caretest.Canary(t, dir, "planted kind"); len(files) == 0 {
		t.Error("the search is blind")
	}
}

func TestAttempts(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		var flaky, hopeless, final atomic.Int32
		q := queue(t, st,
			job.Kind{Name: "flaky", Attempts: 5, Backoff: soon, Idle: 10 * time.Millisecond, Handle: func(_ context.Context, _ id.Scope, j job.Job) error {
				if flaky.Add(1); j.Attempt < 3 {
					return fault.New(fault.Unavailable, "not now")
				}
				return nil
			}},
			job.Kind{Name: "hopeless", Attempts: 3, Backoff: soon, Idle: 10 * time.Millisecond, Handle: func(context.Context, id.Scope, job.Job) error {
				hopeless.Add(1)
				return errors.New("with the name Quintessa in it")
			}},
			job.Kind{Name: "final", Attempts: 3, Backoff: soon, Idle: 10 * time.Millisecond, Handle: func(context.Context, id.Scope, job.Job) error {
				final.Add(1)
				return fault.New(fault.Invalid, "line %d is no CSV", 7)
			}})
		scope := id.System(2)
		addJob(t, st, q, scope, "flaky", "")
		again := addJob(t, st, q, scope, "hopeless", "")
		gone := addJob(t, st, q, scope, "final", "")
		eventually(t, "one done, two given up", func() bool { return count(t, st, `job`) == 2 && count(t, st, `job where state = 3`) == 2 })
		if flaky.Load() != 3 || hopeless.Load() != 3 || final.Load() != 1 {
			t.Errorf("%d, %d and %d attempts", flaky.Load(), hopeless.Load(), final.Load())
		}
		for _, s := range list(t, st, q, scope) {
			want := job.Status{Kind: "hopeless", Attempt: 3, Code: fault.Internal, Problem: "internal error"}
			if s.ID == gone {
				want = job.Status{Kind: "final", Attempt: 1, Code: fault.Invalid, Problem: "line 7 is no CSV"}
			}
			if s.Kind != want.Kind || s.Attempt != want.Attempt || s.Code != want.Code || s.Problem != want.Problem || s.State != "given_up" || s.Made.IsZero() {
				t.Errorf("%+v", s)
			}
		}
		if all := list(t, st, q, id.System(1)); len(all) != 0 {
			t.Error("another organisation sees", all)
		}
		act := func(fn func(ctx context.Context, tx *store.Tx, j id.Job) error, j id.Job) error {
			return st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return fn(ctx, tx, j) })
		}
		if err := act(q.Remove, gone); err != nil {
			t.Error(err)
		}
		if err := act(q.Remove, gone); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if err := act(q.Retry, again); err != nil {
			t.Error(err)
		}
		eventually(t, "tried three times more", func() bool { return hopeless.Load() == 6 && count(t, st, `job where state = 3`) == 1 })
	})
}

// Work that ends the program each time it is tried is given up in the end.
func TestWorkThatKillsIsGivenUp(t *testing.T) {
	st := caretest.Open(t)
	q, err := job.New(st, caretest.Keys(t, st), job.Kind{Name: "killer", Attempts: 4, Handle: func(context.Context, id.Scope, job.Job) error {
		t.Error("tried a fifth time")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	addJob(t, st, q, id.System(1), "killer", "")
	exec(t, st, `update job set state = 2, attempt = 4, lease = ?, due_at = 1`, id.UUID(id.New[id.Job]())) // as four dead processes leave it
	run(t, q)
	eventually(t, "given up", func() bool { return count(t, st, `job where state = 3`) == 1 })
}

func TestPeriodicWorkHasOneRowOnAllNodes(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		var mu sync.Mutex
		times, at := 0, 0
		kind := job.Kind{Name: "sweep", Every: 20 * time.Millisecond, Backoff: soon, Idle: 10 * time.Millisecond, Handle: func(_ context.Context, scope id.Scope, _ job.Job) error {
			mu.Lock()
			defer mu.Unlock()
			if at++; at > 1 || scope.Organisation != id.Installation {
				t.Error("two at the same time, or not the installation's")
			}
			defer func() { at-- }()
			if times++; times == 2 {
				return errors.New("fails once and comes again")
			}
			return nil
		}}
		keys := caretest.Keys(t, st)
		for range 2 {
			q, err := job.New(st, keys, kind)
			if err != nil {
				t.Fatal(err)
			}
			run(t, q)
		}
		eventually(t, "done three times", func() bool { mu.Lock(); defer mu.Unlock(); return times >= 3 })
		if n := count(t, st, `job`); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestKindsAreChecked(t *testing.T) {
	handle := func(context.Context, id.Scope, job.Job) error { return nil }
	for _, kinds := range [][]job.Kind{{{Handle: handle}}, {{Name: "x"}}, {{Name: "x", Handle: handle}, {Name: "x", Handle: handle}}} {
		if _, err := job.New(nil, nil, kinds...); !fault.Is(err, fault.Internal) {
			t.Error(err)
		}
	}
}
