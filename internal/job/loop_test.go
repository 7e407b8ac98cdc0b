package job_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	osexec "os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/job"
	"github.com/carepost/carepost/internal/store"
)

func nothing(context.Context, job.Held[work]) (string, error) { return "", nil }

func TestBackoff(t *testing.T) {
	b := job.Backoff{First: time.Second, Max: 10 * time.Second, Jitter: 0.5}
	for _, c := range []struct {
		attempt int
		spread  float64
		want    time.Duration
	}{
		{0, 0.5, time.Second},
		{1, 0.5, time.Second},
		{2, 0.5, 2 * time.Second},
		{4, 0.5, 8 * time.Second},
		{5, 0.5, 10 * time.Second},
		{1000000, 0.5, 10 * time.Second},
		{1, 0, 500 * time.Millisecond},
		{1, 1, 1500 * time.Millisecond},
	} {
		if got := b.After(c.attempt, c.spread); got != c.want {
			t.Errorf("attempt %d, spread %g: %s, want %s", c.attempt, c.spread, got, c.want)
		}
	}
}

func TestEveryRowIsDoneOnceByOneOfManyLoops(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		const rows = 400
		fill(t, st, rows)
		var mu sync.Mutex
		begun := map[int]int{}
		for range 3 {
			start(t, st, newLoop(func(_ context.Context, w job.Held[work]) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				begun[w.Work.number]++
				return "", nil
			}))
		}
		eventually(t, "all rows done", func() bool { return count(t, st, `work where state = 3`) == rows })
		if n := count(t, st, `work where outcomes = 1 and attempt = 1`); n != rows {
			t.Errorf("%d rows with one outcome of one attempt", n)
		}
		for n, times := range begun {
			if times != 1 {
				t.Errorf("row %d was begun %d times", n, times)
			}
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	st := caretest.Open(t)
	fill(t, st, 60)
	var now, most atomic.Int32
	var once sync.Once
	full := make(chan struct{})
	start(t, st, newLoop(func(context.Context, job.Held[work]) (string, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 4 {
			once.Do(func() { close(full) })
		}
		<-full // nobody ends before four have begun
		return "", nil
	}))
	eventually(t, "all done", func() bool { return count(t, st, `work where state = 3`) == 60 })
	if most.Load() != 4 {
		t.Errorf("%d at the same time", most.Load())
	}
}

func TestALeaseIsRespectedUntilItEnds(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		fill(t, st, 2)
		// As a process that died holds them: one lease has a minute to go, one ended.
		dead := id.UUID(id.New[id.Job]())
		exec(t, st, `update work set state = 2, attempt = 1, lease = ?, due_at = ? where number = 0`, dead, store.Millis(time.Now().Add(time.Minute)))
		exec(t, st, `update work set state = 2, attempt = 1, lease = ?, due_at = ? where number = 1`, dead, store.Millis(time.Now().Add(-time.Second)))
		stop := start(t, st, newLoop(nothing))
		eventually(t, "the ended lease is taken over", func() bool { return count(t, st, `work where number = 1 and state = 3 and attempt = 2`) == 1 })
		stop()
		if count(t, st, `work where number = 0 and state = 2 and lease = ?`, dead) != 1 {
			t.Error("a living lease was taken")
		}
	})
}

func TestAnOutcomeWithoutItsLeaseDoesNotCount(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		fill(t, st, 1)
		other := id.UUID(id.New[id.Job]())
		stop := start(t, st, newLoop(func(context.Context, job.Held[work]) (string, error) {
			exec(t, st, `update work set lease = ?, due_at = ?`, other, store.Millis(time.Now().Add(time.Hour))) // another holder came
			return "", nil
		}))
		eventually(t, "the other holder came", func() bool { return count(t, st, `work where lease = ?`, other) == 1 })
		stop()
		if count(t, st, `work where lease = ? and state = 2 and outcomes = 0`, other) != 1 {
			t.Error("the outcome counted")
		}
	})
}

func TestWorkIsToldBeforeItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := caretest.Open(t)
		fill(t, st, 1)
		told := make(chan error, 10)
		begun := time.Now()
		l := newLoop(func(ctx context.Context, w job.Held[work]) (string, error) {
			if w.Work.attempt > 1 {
				return "", nil
			}
			<-ctx.Done()
			told <- context.Cause(ctx)
			return "", ctx.Err()
		})
		start(t, st, l)
		if err := <-told; !errors.Is(err, job.ErrLeaseEnds) {
			t.Error(err)
		}
		if after := time.Since(begun); after < l.Lease/2 || after >= l.Lease {
			t.Errorf("told %s after the beginning of a lease of %s", after, l.Lease)
		}
		eventually(t, "done in the second attempt", func() bool { return count(t, st, `work where state = 3 and attempt = 2 and outcomes = 1`) == 1 })
	})
}

func TestARenewedLeaseOutlastsItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := caretest.Open(t)
		fill(t, st, 1)
		begun := make(chan struct{})
		l := newLoop(func(ctx context.Context, _ job.Held[work]) (string, error) {
			close(begun)
			select {
			case <-time.After(10 * time.Minute):
			case <-ctx.Done():
				t.Error(context.Cause(ctx))
			}
			return "", nil
		})
		l.Renew, l.Idle = renew, time.Second
		start(t, st, l)
		<-begun
		other := newLoop(func(context.Context, job.Held[work]) (string, error) { t.Error("taken over"); return "", nil })
		other.Idle = time.Second
		start(t, st, other) // another process would take it over
		time.Sleep(11 * time.Minute)
		if count(t, st, `work where state = 3 and attempt = 1`) != 1 {
			t.Error("not done in one attempt")
		}
	})
}

func TestALeaseLostInRenewalEndsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := caretest.Open(t)
		fill(t, st, 1)
		told := make(chan error, 1)
		begun := time.Now()
		l := newLoop(func(ctx context.Context, _ job.Held[work]) (string, error) {
			exec(t, st, `update work set lease = ?, due_at = ?`, id.UUID(id.New[id.Job]()), store.Millis(time.Now().Add(time.Hour)))
			<-ctx.Done()
			told <- context.Cause(ctx)
			return "", ctx.Err()
		})
		l.Renew = renew
		start(t, st, l)
		if err := <-told; !errors.Is(err, job.ErrLeaseEnds) {
			t.Error(err)
		}
		if after := time.Since(begun); after > l.Lease/2 {
			t.Errorf("told after %s, when the lease itself of %s was ending: the renewal said nothing", after, l.Lease)
		}
	})
}

// A renewal that waits for a database that does not answer keeps nobody from being told.
func TestAStuckRenewalTellsTheWorkAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := caretest.Open(t)
		fill(t, st, 1)
		told := make(chan error, 10)
		l := newLoop(func(ctx context.Context, w job.Held[work]) (string, error) {
			if w.Work.attempt > 1 {
				return "", nil
			}
			<-ctx.Done()
			told <- context.Cause(ctx)
			return "", ctx.Err()
		})
		answer := make(chan struct{})
		l.Renew = func(context.Context, *store.Tx, []job.Held[work], time.Time) ([]job.Key, error) {
			<-answer
			return nil, errors.New("too late")
		}
		start(t, st, l)
		if err := <-told; !errors.Is(err, job.ErrLeaseEnds) {
			t.Error(err)
		}
		close(answer)
	})
}

// The wall clock jumps an hour ahead while work is under way. Its lease seems to have ended; it is not begun twice.
func TestAJumpOfTheClockBeginsNothingTwice(t *testing.T) {
	var ahead atomic.Int64
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	fill(t, st, 1)
	var begun atomic.Int32
	end := make(chan struct{})
	start(t, st, newLoop(func(context.Context, job.Held[work]) (string, error) {
		begun.Add(1)
		<-end
		return "", nil
	}))
	eventually(t, "begun", func() bool { return begun.Load() == 1 })
	ahead.Store(int64(time.Hour))
	eventually(t, "claimed again", func() bool { return count(t, st, `work where attempt > 1`) == 1 })
	close(end)
	eventually(t, "done", func() bool { return count(t, st, `work where state = 3 and outcomes = 1`) == 1 })
	if begun.Load() != 1 {
		t.Errorf("begun %d times", begun.Load())
	}
}

func TestAStopLosesNothing(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		fill(t, st, 20)
		begun, end := make(chan struct{}, 20), make(chan struct{})
		l := newLoop(func(context.Context, job.Held[work]) (string, error) {
			begun <- struct{}{}
			<-end
			return "", nil
		})
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- l.Run(ctx, st) }()
		for range 4 {
			<-begun
		}
		stop()
		close(end)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if n := len(begun); n > 0 {
			t.Errorf("%d begun after the stop", n)
		}
		if done, free := count(t, st, `work where state = 3`), count(t, st, `work where state = 1 and attempt = 0 and lease is null`); done != 4 || free != 16 {
			t.Errorf("%d done, %d free", done, free)
		}
	})
}

func TestGraceEnds(t *testing.T) {
	st := caretest.Open(t)
	fill(t, st, 1)
	begun := make(chan struct{})
	l := newLoop(func(ctx context.Context, _ job.Held[work]) (string, error) {
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	})
	l.Grace = 20 * time.Millisecond
	stop := start(t, st, l)
	<-begun
	stop()
	if count(t, st, `work where state = 1 and attempt = 1`) != 1 {
		t.Error("the outcome is not settled")
	}
}

func TestErrorsAndPanicsAreOutcomes(t *testing.T) {
	st := caretest.Open(t)
	fill(t, st, 6)
	l := newLoop(func(_ context.Context, w job.Held[work]) (string, error) {
		switch {
		case w.Work.attempt > 1:
			return "again", nil
		case w.Work.number%2 == 0:
			panic("panics")
		}
		return "", errors.New("fails")
	})
	var mu sync.Mutex
	codes := map[fault.Code]int{}
	l.Settle = func(ctx context.Context, tx *store.Tx, done []job.Outcome[work, string]) (int, error) {
		mu.Lock()
		for _, o := range done {
			codes[fault.CodeOf(o.Err)]++
			if o.Err == nil && o.Result != "again" {
				t.Errorf("the result is %q", o.Result)
			}
		}
		mu.Unlock()
		return settle(ctx, tx, done)
	}
	start(t, st, l)
	eventually(t, "all done", func() bool { return count(t, st, `work where state = 3 and attempt = 2`) == 6 })
	if codes[fault.Internal] != 6 || codes[""] != 6 {
		t.Error(codes)
	}
}

func TestOneRowsTroubleIsNotTheOthers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		fill(t, st, 30)
		l := newLoop(nothing)
		l.Settle = func(ctx context.Context, tx *store.Tx, done []job.Outcome[work, string]) (int, error) {
			if slices.ContainsFunc(done, func(o job.Outcome[work, string]) bool { return o.Work.number == 7 }) {
				return 0, errors.New("cannot be written")
			}
			return settle(ctx, tx, done)
		}
		start(t, st, l)
		eventually(t, "the others done", func() bool { return count(t, st, `work where state = 3`) == 29 })
	})
}

func TestSettlementIsTriedAgain(t *testing.T) {
	st := caretest.Open(t)
	fill(t, st, 1)
	var tries atomic.Int32
	l := newLoop(nothing)
	l.Settle = func(ctx context.Context, tx *store.Tx, done []job.Outcome[work, string]) (int, error) {
		if tries.Add(1) < 3 {
			return 0, fault.New(fault.Unavailable, "not now")
		}
		return settle(ctx, tx, done)
	}
	start(t, st, l)
	eventually(t, "done", func() bool { return count(t, st, `work where state = 3 and attempt = 1`) == 1 })
}

func TestWake(t *testing.T) {
	st := caretest.Open(t)
	fill(t, st, 0)
	l := newLoop(nothing)
	l.Idle = time.Hour
	start(t, st, l)
	exec(t, st, addWork, 1, id.New[id.Job](), 1, store.Millis(time.Now()))
	l.Wake()
	l.Wake()
	eventually(t, "done though the loop is idle for an hour", func() bool { return count(t, st, `work where state = 3`) == 1 })
}

func TestALoopThatIsNotWholeSaysSo(t *testing.T) {
	l := newLoop(nil)
	if err := l.Run(t.Context(), caretest.Open(t)); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
}

// A process is killed with work in its hands. Its leases end, and another process does the rest; what was settled is not done again.
func TestKilledWithLeasesInHand(t *testing.T) {
	const rows = 200
	for name, options := range map[string]func(t *testing.T) store.Options{
		"sqlite":   func(t *testing.T) store.Options { return store.Options{Dir: caretest.Folder(t)} },
		"postgres": func(t *testing.T) store.Options { return store.Options{DSN: caretest.DSN(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			st, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, st, rows)
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			begun := kill(t, o)
			st = caretest.OpenWith(t, o)
			settled, inHand := count(t, st, `work where state = 3`), count(t, st, `work where state = 2`)
			t.Logf("killed: %d begun, %d settled, %d in its hands", len(begun), settled, inHand)
			if inHand == 0 {
				t.Error("it had nothing in its hands")
			}
			var mu sync.Mutex
			again := map[int]int{}
			l := newLoop(func(_ context.Context, w job.Held[work]) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				again[w.Work.number] = w.Work.attempt
				return "", nil
			})
			start(t, st, l)
			eventually(t, "all done", func() bool { return count(t, st, `work where state = 3 and outcomes = 1`) == rows })
			mu.Lock()
			defer mu.Unlock()
			if len(again) != rows-settled {
				t.Errorf("%d done again, %d had been settled of %d", len(again), settled, rows)
			}
			for n := range begun {
				if attempt, ok := again[n]; ok && attempt < 2 {
					t.Errorf("row %d was begun before and has attempt %d", n, attempt)
				}
			}
		})
	}
}

// kill runs a child until it has begun some work, kills it, and gives what it had begun.
func kill(t *testing.T, o store.Options) map[int]bool {
	t.Helper()
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CAREPOST_JOB_CHILD=1", "DIR="+o.Dir, "DSN="+o.DSN)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun, killed := map[int]bool{}, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Error(lines.Text())
		}
		if begun[n] = true; len(begun) == 100 {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if !killed {
		t.Fatal("the child ended by itself")
	}
	return begun
}

// A row that its settlement makes due at once is claimed again while the settlement's answer is on its way. It is not lost in between.
func TestARowThatIsDueAgainAtOnceIsNotLost(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		fill(t, st, 40)
		for range 2 {
			l := newLoop(func(_ context.Context, w job.Held[work]) (string, error) {
				if w.Work.attempt < 20 {
					return "", errors.New("again")
				}
				return "", nil
			})
			l.Idle, l.Lease = time.Microsecond, time.Minute
			start(t, st, l)
		}
		eventually(t, "all done", func() bool { return count(t, st, `work where state = 3 and attempt = 20 and outcomes = 1`) == 40 })
	})
}
