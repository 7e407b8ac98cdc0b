package api

import (
	"context"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// names keeps each organisation's index of names, in memory only, once somebody has asked for one.
type names struct {
	mu sync.Mutex
	of map[id.Organisation]*followed
}

// followed is an index and the last change that is in it.
type followed struct {
	mu    sync.Mutex // one at a time builds it or takes changes in
	index *people.NameIndex
	seq   int64
}

func (n *names) organisation(org id.Organisation) *followed {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[id.Organisation]*followed{}
	}
	if n.of[org] == nil {
		n.of[org] = &followed{}
	}
	return n.of[org]
}

// namesOf gives the index with every change that has its number.
func (f *Face) namesOf(ctx context.Context, tx *store.Tx) (*people.NameIndex, error) {
	const chunk = 1000
	x := f.names.organisation(tx.Organisation())
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.index != nil {
		changes, err := f.Ledger.Changes(ctx, tx, x.seq, chunk)
		if err != nil {
			return nil, err
		}
		if len(changes) == 0 {
			return x.index, nil
		}
		if changes[0].Seq != x.seq+1 {
			break // what came between was pruned
		}
		seen := map[id.Person]bool{}
		var ids []id.Person
		for _, c := range changes {
			if !seen[c.Person] {
				seen[c.Person] = true
				ids = append(ids, c.Person)
			}
		}
		if err := f.People.FollowNames(ctx, tx, x.index, ids); err != nil {
			x.index = nil // some of it may be in
			return nil, err
		}
		x.seq = changes[len(changes)-1].Seq
	}
	seq, err := f.Ledger.LastChange(ctx, tx)
	if err != nil {
		return nil, err
	}
	index, err := f.People.BuildNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	x.index, x.seq = index, seq
	return index, nil
}
