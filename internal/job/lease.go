package job

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// margin is how long before its lease's end work is told to stop: its outcome must be settled before another holder begins.
func (r *run[W, R]) margin() time.Duration { return r.lease / 10 }

// watchLeases renews leases in good time, and ends work whose lease ends. It measures by the monotonic clock.
func (r *run[W, R]) watchLeases(ctx context.Context) {
	tick := time.NewTicker(r.lease / 20)
	defer tick.Stop()
	// A database that does not answer must not keep anybody from being told: renewal waits for it, the watch does not.
	var renewal sync.WaitGroup
	defer renewal.Wait()
	var renewing atomic.Bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.loop.Renew != nil && renewing.CompareAndSwap(false, true) {
			renewal.Go(func() {
				defer renewing.Store(false)
				r.renew(ctx)
			})
		}
		now := time.Now()
		r.mu.Lock()
		for _, h := range r.held {
			if h.cancel != nil && !now.Before(h.ends.Add(-r.margin())) {
				h.cancel(ErrLeaseEnds)
			}
		}
		r.mu.Unlock()
	}
}

// renew asks for a new end for all that has passed a third of its lease.
func (r *run[W, R]) renew(ctx context.Context) {
	begin := time.Now()
	byOrganisation := map[id.Organisation][]*held[W]{}
	r.mu.Lock()
	for _, h := range r.held {
		if h.ends.Sub(begin) < r.lease*2/3 {
			byOrganisation[h.key.Organisation] = append(byOrganisation[h.key.Organisation], h)
		}
	}
	r.mu.Unlock()
	for org, list := range byOrganisation {
		var lost []Key
		err := r.st.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
			rows := make([]Held[W], len(list))
			r.mu.Lock()
			for i, h := range list {
				rows[i] = Held[W]{h.work, h.lease}
			}
			r.mu.Unlock()
			lost, err = r.loop.Renew(ctx, tx, rows, tx.Now.Add(r.lease))
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				slog.Error("a loop could not renew its leases", "loop", r.name, "organisation", org, "error", err)
			}
			continue
		}
		r.mu.Lock()
		for _, h := range list {
			if !slices.Contains(lost, h.key) {
				h.ends = begin.Add(r.lease)
			} else if h.cancel != nil {
				h.cancel(ErrLeaseEnds)
			}
		}
		r.mu.Unlock()
	}
}
