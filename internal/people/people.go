package people

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// People reads and writes the records of people. All its methods may be called at the same time.
type People struct {
	st   *store.Store
	keys *seal.Keys
	led  *ledger.Ledger

	mu       sync.Mutex
	words    map[id.Organisation]Vocabulary
	ordinals map[id.Organisation]numbers
	sources  map[id.Organisation]map[string]int64 // committed ones
}

// numbers is a block of numbers that are taken and not given yet.
type numbers struct{ next, end int64 }

// ordinalBlock is how many ordinals are taken at once; what a stop leaves of a block is never given.
const ordinalBlock = 256

// New makes the owner of people's records.
func New(st *store.Store, keys *seal.Keys, led *ledger.Ledger) *People {
	p := &People{
		st: st, keys: keys, led: led, words: map[id.Organisation]Vocabulary{}, ordinals: map[id.Organisation]numbers{},
		sources: map[id.Organisation]map[string]int64{},
	}
	if keys != nil {
		keys.Holders(p.subjects())
	}
	return p
}

// SetVocabulary gives an organisation its own names of events by codes, in place of DefaultVocabulary. It holds for what is applied
// from then on.
func (p *People) SetVocabulary(org id.Organisation, words Vocabulary) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.words[org] = words
}

func (p *People) vocabulary(org id.Organisation) Vocabulary {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, set := p.words[org]; set {
		return w
	}
	return DefaultVocabulary()
}

// take takes n numbers of a kind and gives the first.
func (p *People) take(ctx context.Context, tx *store.Tx, kind, n int) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	var next int64
	if err := tx.QueryRow(ctx, takeNumbers, tx.Organisation(), kind, n+1).Scan(&next); err != nil {
		return 0, fmt.Errorf("take numbers: %w", err)
	}
	return next - int64(n), nil
}

type ordinalsKey struct{ p *People }

// ordinal gives the next ordinal: of the block that this transaction holds, which goes back for others to use when it commits and
// is lost when it does not.
func (p *People) ordinal(ctx context.Context, tx *store.Tx) (uint32, error) {
	org := tx.Organisation()
	held := tx.Local(ordinalsKey{p}, func() any {
		p.mu.Lock()
		defer p.mu.Unlock()
		mine := p.ordinals[org]
		delete(p.ordinals, org)
		block := &mine
		tx.OnCommit(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if left := p.ordinals[org]; block.end-block.next > left.end-left.next {
				p.ordinals[org] = *block
			}
		})
		return block
	}).(*numbers) //nolint:forcetypeassert // made here
	if held.next == held.end {
		first, err := p.take(ctx, tx, numberOrdinal, ordinalBlock)
		if err != nil {
			return 0, err
		}
		*held = numbers{first, first + ordinalBlock}
	}
	n := held.next
	held.next++
	if n > 1<<32-1 {
		return 0, fault.New(fault.Exhausted, "the organisation has used up its ordinals").At("%s", org)
	}
	return uint32(n), nil
}

// Root gives the survivor of a person's record: the person itself when it was not merged.
func (p *People) Root(ctx context.Context, tx *store.Tx, person id.Person) (id.Person, error) {
	roots, err := p.roots(ctx, tx, []id.Person{person})
	if err != nil {
		return id.Person{}, err
	}
	if len(roots) == 0 {
		return id.Person{}, errNobody(person)
	}
	return roots[0], nil
}

func errNobody(person id.Person) error {
	return fault.New(fault.NotFound, "there is no such person").At("%s", person)
}

// roots gives the survivors of people, each once, in the order of their ids.
func (p *People) roots(ctx context.Context, tx *store.Tx, ids []id.Person) ([]id.Person, error) {
	roots := map[id.Person]bool{}
	for len(ids) > 0 {
		rows, err := tx.Query(ctx, selectFamily, tx.Organisation(), store.Blobs(ids)) //nolint:sqlclosecheck // each reads it to the end and closes it
		if err != nil {
			return nil, fmt.Errorf("find survivors: %w", err)
		}
		ids = nil
		err = each(rows, "find survivors", func() error {
			var person, into id.Person
			if err := rows.Scan(&person, &into); err != nil {
				return err
			}
			if into.IsZero() {
				roots[person] = true
			} else {
				ids = append(ids, into)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Keys(roots), compareIDs), nil
}

func compareIDs(a, b id.Person) int { return slices.Compare(a[:], b[:]) }

// family gives a person and everyone merged into it.
func (p *People) family(ctx context.Context, tx *store.Tx, person id.Person) ([]id.Person, error) {
	all := []id.Person{person}
	for fresh := all; len(fresh) > 0; {
		rows, err := tx.Query(ctx, selectChildren, tx.Organisation(), store.Blobs(fresh)) //nolint:sqlclosecheck // each reads it to the end and closes it
		if err != nil {
			return nil, fmt.Errorf("find merged records: %w", err)
		}
		fresh = nil
		err = each(rows, "find merged records", func() error {
			var child id.Person
			err := rows.Scan(&child)
			fresh = append(fresh, child)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, fresh...)
	}
	return all, nil
}
