package job

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// settleAll settles outcomes as they come; while a commit is under way the next ones gather.
func (r *run[W, R]) settleAll() {
	for first := range r.done {
		some := []Outcome[W, R]{first}
	gather:
		for len(some) < r.batch {
			select {
			case o, open := <-r.done:
				if !open {
					break gather
				}
				some = append(some, o)
			default:
				break gather
			}
		}
		byOrganisation := map[id.Organisation][]Outcome[W, R]{}
		for _, o := range some {
			org := r.loop.Key(o.Work).Organisation
			byOrganisation[org] = append(byOrganisation[org], o)
		}
		var wg sync.WaitGroup
		places := make(chan struct{}, maxScopes)
		for org, list := range byOrganisation {
			places <- struct{}{}
			wg.Go(func() {
				r.settle(org, list)
				<-places
			})
		}
		wg.Wait()
	}
}

// settle writes outcomes. While the database does not answer they are tried again, for a lease; then they are left to whoever takes
// the rows over. What it refuses together is tried one by one, so that one row's trouble is not the others', and what it refuses alone
// is left at once: others wait behind it.
func (r *run[W, R]) settle(org id.Organisation, list []Outcome[W, R]) {
	r.settleUntil(time.Now().Add(r.lease), org, list)
}

func (r *run[W, R]) settleUntil(give time.Time, org id.Organisation, list []Outcome[W, R]) {
	for wait := settleRetry; ; wait = min(2*wait, time.Second) {
		held, err := r.write(org, list)
		if err == nil {
			if held < len(list) {
				slog.Warn("outcomes came after their lease was lost", "loop", r.name, "organisation", org, "lost", len(list)-held)
			}
			r.forget(list)
			return
		}
		refused := !fault.Is(err, fault.Unavailable)
		if refused && len(list) > 1 {
			for i := range list {
				r.settleUntil(give, org, list[i:i+1])
			}
			return
		}
		if refused || r.failed() || time.Now().Add(wait).After(give) {
			slog.Error("outcomes could not be written; their rows will be taken over", "loop", r.name, "organisation", org, "count", len(list), "error", err)
			r.forget(list)
			return
		}
		time.Sleep(wait)
	}
}

// failed tells whether the database takes no write until a restart.
func (r *run[W, R]) failed() bool {
	select {
	case <-r.st.Failed():
		return true
	default:
		return false
	}
}

func (r *run[W, R]) write(org id.Organisation, list []Outcome[W, R]) (held int, err error) {
	r.mu.Lock()
	for i := range list { // a lease may have been taken anew since the work was done
		if h, ok := r.held[r.loop.Key(list[i].Work)]; ok {
			list[i].Lease = h.lease
		}
	}
	r.mu.Unlock()
	err = r.st.Write(context.Background(), id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		held, err = r.loop.Settle(ctx, tx, list)
		if err == nil && (held < 0 || held > len(list)) {
			err = fmt.Errorf("the loop %s settled %d of %d outcomes", r.loop.Name, held, len(list))
		}
		return err
	})
	return held, err
}

// forget ends the holding of rows that were settled. A row that was claimed again meanwhile is work anew.
func (r *run[W, R]) forget(list []Outcome[W, R]) {
	var released []Outcome[W, R]
	r.mu.Lock()
	for _, o := range list {
		key := r.loop.Key(o.Work)
		h := r.held[key]
		delete(r.held, key)
		switch {
		case h == nil || h.lease == o.Lease:
		case r.stopped:
			released = append(released, Outcome[W, R]{Held: Held[W]{h.next, h.lease}, Err: ErrReleased})
		default:
			anew := &held[W]{key: key, work: h.next, lease: h.lease, ends: h.ends}
			r.held[key] = anew
			r.todo <- anew // has room: held never exceeds it
		}
	}
	r.mu.Unlock()
	if len(released) > 0 {
		r.settle(r.loop.Key(released[0].Work).Organisation, released)
	}
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
