package audience

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// follower keeps one organisation's index up to date.
type follower struct {
	org   id.Organisation
	step  sync.Mutex // one step at a time
	index *Index     // nil until built
	seq   int64      // the last change that the index has
	asOf  time.Time  // when projections were read last, for those that read differently as time passes
}

// followEvery is how often Run looks for what was written; whoever asks for an audience sees what is written without waiting for it.
const followEvery = 250 * time.Millisecond

// Run keeps the indexes that were built up to date until the context ends.
func (a *Audience) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, f := range a.all() {
			x, err := a.follow(ctx, f)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				slog.ErrorContext(ctx, "the audience index could not follow", "organisation", f.org, "error", err)
			case x.Due():
				x.Settle()
			}
		}
	}
}

func (a *Audience) all() []*follower {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*follower, 0, len(a.followers))
	for _, f := range a.followers {
		list = append(list, f)
	}
	return list
}

func (a *Audience) follower(org id.Organisation) *follower {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.followers[org]
	if f == nil {
		f = &follower{org: org}
		a.followers[org] = f
	}
	return f
}

// Passed gives the last change that this process has taken in of an organisation: what every node has passed may be pruned.
func (a *Audience) Passed(org id.Organisation) int64 {
	f := a.follower(org)
	f.step.Lock()
	defer f.step.Unlock()
	return f.seq
}

// CaughtUp waits until the index has everything about people that was committed before the call: for an audience that is sent to.
func (a *Audience) CaughtUp(ctx context.Context, org id.Organisation) error {
	if err := a.o.Ledger.Numbered(ctx, org); err != nil {
		return err
	}
	_, err := a.follow(ctx, a.follower(org))
	return err
}

// view gives everyone of an organisation, with what was written until now.
func (a *Audience) view(ctx context.Context, org id.Organisation) (*View, error) {
	if org == id.Installation {
		return nil, fault.New(fault.Internal, "an audience is asked for without an organisation")
	}
	x, err := a.follow(ctx, a.follower(org))
	if err != nil {
		return nil, err
	}
	return x.View(), nil
}

// followChunk is how many changes are read at once.
const followChunk = 4096

// follow builds the index when there is none, and takes in what was written since.
func (a *Audience) follow(ctx context.Context, f *follower) (*Index, error) {
	f.step.Lock()
	defer f.step.Unlock()
	for more := true; more; {
		if f.index == nil {
			err := a.build(ctx, f)
			return f.index, err
		}
		err := a.o.Store.Read(ctx, id.System(f.org), func(ctx context.Context, tx *store.Tx) (err error) {
			more, err = a.followOnce(ctx, tx, f)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return f.index, nil
}

func (a *Audience) followOnce(ctx context.Context, tx *store.Tx, f *follower) (more bool, err error) {
	changes, err := a.o.Ledger.Changes(ctx, tx, f.seq, followChunk)
	if err != nil {
		return false, err
	}
	if len(changes) > 0 && changes[0].Seq > f.seq+1 {
		// This node was away for so long that the others pruned what it has not seen. Numbers have no gap of their own.
		f.index = nil
		return true, nil
	}
	view := f.index.View()
	ids := view.turned(f.asOf, tx.Now)
	for _, c := range changes {
		ids = append(ids, c.Person)
	}
	if len(ids) > 0 {
		list, err := a.changed(ctx, tx, view, ids)
		if err != nil {
			return false, err
		}
		f.index.Apply(list)
	}
	f.asOf = tx.Now
	if len(changes) > 0 {
		f.seq = changes[len(changes)-1].Seq
	}
	return len(changes) == followChunk, nil
}

// changed reads the projections of people who changed; who is not there any more is gone.
func (a *Audience) changed(ctx context.Context, tx *store.Tx, view *View, ids []id.Person) ([]Change, error) {
	slices.SortFunc(ids, func(a, b id.Person) int { return slices.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	found := make(map[id.Person]bool, len(ids))
	list := make([]Change, 0, len(ids))
	err := a.o.People.Projections(ctx, tx, ids, func(p id.Person, ordinal uint32, projection people.Projection) error {
		found[p] = true
		list = append(list, Change{p, ordinal, &projection})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read changed people: %w", err)
	}
	for _, p := range ids {
		if !found[p] {
			if o, ok := view.ordinal(p); ok {
				list = append(list, Change{Person: p, Ordinal: o})
			}
		}
	}
	return list, nil
}

// build reads everyone in one snapshot, with the number of the last change in it.
func (a *Audience) build(ctx context.Context, f *follower) error {
	return a.o.Store.Read(ctx, id.System(f.org), func(ctx context.Context, tx *store.Tx) error {
		seq, err := a.o.Ledger.LastChange(ctx, tx)
		if err != nil {
			return err
		}
		index, err := NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
			return a.o.People.Scan(ctx, tx, func(p id.Person, ordinal uint32, projection *people.Projection) error {
				add(p, ordinal, projection)
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("build the audience index: %w", err)
		}
		f.index, f.seq, f.asOf = index, seq, tx.Now
		return nil
	})
}
