package job

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// run is one Run of a loop: a claimer, width workers, a settler, and a renewer where the owner can renew.
type run[W, R any] struct {
	name               string
	loop               *Loop[W, R]
	st                 *store.Store
	lease, idle, grace time.Duration
	batch, width       int
	todo               chan *held[W]
	done               chan Outcome[W, R]
	freed              chan struct{} // something was settled: there may be room for a claim

	mu      sync.Mutex
	held    map[Key]*held[W]
	stopped bool // todo is closed
}

// held is a claimed row until its outcome is settled.
type held[W any] struct {
	key    Key
	work   W
	lease  id.UUID // guarded by run.mu, as all below: a row that this loop still holds may be claimed by it again
	ends   time.Time
	next   W // the row as it was claimed again
	cancel context.CancelCauseFunc
}

func (r *run[W, R]) run(ctx context.Context) {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var workers, settler, renewer sync.WaitGroup
	for range r.width {
		workers.Go(func() {
			for h := range r.todo {
				r.one(ctx, work, h)
			}
		})
	}
	settler.Go(r.settleAll)
	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRenewing()
	renewer.Go(func() { r.watchLeases(renewing) })

	r.claimAll(ctx)
	r.mu.Lock()
	r.stopped = true
	close(r.todo)
	r.mu.Unlock()
	grace := time.AfterFunc(r.grace, stopWork)
	workers.Wait()
	grace.Stop()
	close(r.done)
	settler.Wait()
	stopRenewing()
	renewer.Wait()
}

// claimAll claims while there is room, and waits when there is none or nothing is due.
func (r *run[W, R]) claimAll(ctx context.Context) {
	for ctx.Err() == nil {
		room := r.room()
		got, err := 0, error(nil)
		if room > 0 {
			got, err = r.claim(ctx, room)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			slog.Error("a loop could not claim work", "loop", r.name, "error", err)
		case got == room && room > 0:
			continue // there may be more
		}
		wait := time.NewTimer(r.idle)
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-r.loop.waker():
		case <-r.freedOr(room):
		}
		wait.Stop()
	}
}

// room is how many rows may be claimed now: enough for the workers and a stock of one batch, so that they do not starve.
func (r *run[W, R]) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := min(r.batch, r.batch+r.width-len(r.held))
	if room < (r.batch+3)/4 {
		return 0 // a claim is a commit: not for a row or two
	}
	return room
}

// freedOr gives the channel of freed places when there is no room; with room, a settlement is no reason to look again.
func (r *run[W, R]) freedOr(room int) <-chan struct{} {
	if room > 0 {
		return nil
	}
	return r.freed
}

func (r *run[W, R]) claim(ctx context.Context, limit int) (int, error) {
	c := Claim{Lease: id.UUID(id.New[id.Job]()), Limit: limit}
	ends := time.Now().Add(r.lease) // before the transaction: our own view of the end is never later than the row's
	var rows []W
	err := r.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		c.Now, c.Until = tx.Now, tx.Now.Add(r.lease)
		rows, err = r.loop.Claim(ctx, tx, c)
		return err
	})
	if err != nil {
		return 0, err
	}
	var fresh []*held[W]
	r.mu.Lock()
	for _, row := range rows {
		key := r.loop.Key(row)
		if h, mine := r.held[key]; mine {
			// Either the wall clock jumped, or the work is slow: the row's lease ended but this process still works on it. It
			// goes on under the new lease; it is not begun twice. Or its outcome was settled this moment, and it is due
			// again: forget, which comes next, sees that it was settled under another lease.
			h.lease, h.ends, h.next = c.Lease, ends, row
			continue
		}
		h := &held[W]{key: key, work: row, lease: c.Lease, ends: ends}
		r.held[key] = h
		fresh = append(fresh, h)
	}
	r.mu.Unlock()
	for _, h := range fresh {
		r.todo <- h // has room: held never exceeds it
	}
	return len(rows), nil
}

// one does one piece of work. stop: the loop is to stop; work: how long its work may go on.
func (r *run[W, R]) one(stop, work context.Context, h *held[W]) {
	var result R
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	r.mu.Lock()
	h.cancel = cancel
	late := !time.Now().Before(h.ends.Add(-r.margin()))
	now := Held[W]{h.work, h.lease}
	r.mu.Unlock()
	err := error(ErrReleased)
	if stop.Err() == nil && !late {
		result, err = r.do(ctx, now)
	}
	r.mu.Lock()
	lease := h.lease
	r.mu.Unlock()
	r.done <- Outcome[W, R]{Held[W]{h.work, lease}, result, err}
}

func (r *run[W, R]) do(ctx context.Context, work Held[W]) (result R, err error) {
	defer func() {
		if v := recover(); v != nil {
			slog.Error("work panicked", "loop", r.name, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "the work panicked")
			if cause, ok := v.(error); ok {
				err = fault.Wrap(fault.Internal, cause, "the work panicked")
			}
		}
	}()
	return r.loop.Do(ctx, work)
}
