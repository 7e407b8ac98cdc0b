package audience

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// Index holds what rules ask of everyone in one organisation. Readers take a View, which never changes, and need no lock. People
// who changed wait beside the base and are asked one by one; when they are many, Settle makes a base that takes them in.
type Index struct {
	settling sync.Mutex     // one base is made at a time
	writing  sync.Mutex     // guards place, and who may store a view
	place    map[uint32]int // in View.young, by ordinal
	view     atomic.Pointer[View]
}

// View is everyone at one moment.
type View struct {
	base  *base
	size  uint32  // ordinals are below it
	stale bitset  // people of the base whose place is taken by one in young
	young []young // changed since the base was made; never changed in place
}

// young is one changed person; without a projection the person is gone.
type young struct {
	person     id.Person
	ordinal    uint32
	projection *people.Projection
}

// Change is one person as they are now. Without a projection the person is in no audience any more: merged or erased.
type Change struct {
	Person     id.Person
	Ordinal    uint32
	Projection *people.Projection
}

// NewIndex makes an index of the people that scan gives.
func NewIndex(scan func(add func(id.Person, uint32, *people.Projection)) error) (*Index, error) {
	n := newBuilder(nil, nil)
	if err := scan(n.add); err != nil {
		return nil, err
	}
	x := &Index{place: map[uint32]int{}}
	b := n.finish()
	x.view.Store(&View{base: b, size: b.size, stale: make(bitset, words(b.size))})
	return x, nil
}

// View gives everyone as of now.
func (x *Index) View() *View { return x.view.Load() }

// A new base is due when so many people wait: asking one takes a microsecond, making a base a quarter of a second per million.
const (
	youngLeast = 256
	youngMost  = 16_384
	youngShare = 256 // one in so many
	youngHard  = 4   // times as many: then Apply itself makes the base, for a process that has nothing running beside
)

func (v *View) youngLimit() int { return min(max(youngLeast, int(v.size)/youngShare), youngMost) }

// Due tells whether Settle is worth its time.
func (x *Index) Due() bool {
	v := x.view.Load()
	return len(v.young) > v.youngLimit()
}

// Apply takes in changed people; the next View has them. A projection must not change after it was handed over.
func (x *Index) Apply(changes []Change) {
	if v := x.apply(changes); len(v.young) > youngHard*v.youngLimit() {
		x.Settle()
	}
}

func (x *Index) apply(changes []Change) *View {
	x.writing.Lock()
	defer x.writing.Unlock()
	old := x.view.Load()
	v := &View{base: old.base, size: old.size, stale: slices.Clone(old.stale), young: slices.Clone(old.young)}
	for _, c := range changes {
		y := young{c.Person, c.Ordinal, c.Projection}
		if i, ok := x.place[c.Ordinal]; ok {
			v.young[i] = y
			continue
		}
		x.place[c.Ordinal] = len(v.young)
		v.add(y)
	}
	x.view.Store(v)
	return v
}

func (v *View) add(y young) {
	v.size = max(v.size, y.ordinal+1)
	if n := words(v.size); n > len(v.stale) {
		v.stale = append(v.stale, make(bitset, n-len(v.stale))...)
	}
	v.stale.set(y.ordinal)
	v.young = append(v.young, y)
}

// Settle makes a new base of the old one and the people beside it. Others read and apply meanwhile.
func (x *Index) Settle() {
	x.settling.Lock()
	defer x.settling.Unlock()
	then := x.view.Load()
	b := then.rebuilt()

	x.writing.Lock()
	defer x.writing.Unlock()
	now := x.view.Load()
	v := &View{base: b, size: max(b.size, now.size)}
	v.stale = make(bitset, words(v.size))
	clear(x.place)
	for i, y := range now.young {
		if i < len(then.young) && y == then.young[i] {
			continue // it is in the base; all others changed while that was made
		}
		x.place[y.ordinal] = len(v.young)
		v.add(y)
	}
	x.view.Store(v)
}

func (v *View) rebuilt() *base {
	n := newBuilder(v.base, v.stale)
	for _, y := range v.young {
		if y.projection != nil {
			n.add(y.person, y.ordinal, y.projection)
		}
	}
	return n.finish()
}

// Answer is who matches a rule.
type Answer struct {
	view      *View
	yes, open bitset
	People    int // patients and prospects
	Matched   int
	Unknown   int // of whom it is not known
}

// Ask answers a question for everyone.
func (v *View) Ask(q *Question) Answer {
	e := execute(v.base, v.size)
	defer e.done()
	mask := v.settled(e)
	p := e.eval(q.root, mask)
	a := Answer{view: v, yes: slices.Clone(p.yes), open: p.open, People: mask.count()}
	for _, y := range v.young {
		if y.projection == nil || !inAudiences(y.projection) {
			continue
		}
		a.People++
		switch q.root.person(y.projection) {
		case True:
			a.yes.set(y.ordinal)
		case Unknown:
			a.open.set(y.ordinal)
		case False:
		}
	}
	a.Matched, a.Unknown = a.yes.count(), a.open.count()
	a.open = nil // its memory goes back
	e.give(p.yes, p.open, mask)
	return a
}

// settled gives the people of the base that still hold.
func (v *View) settled(e *execution) bitset {
	mask := e.copy(v.base.all)
	mask.andNot(v.stale)
	return mask
}

// everyone gives all patients and prospects.
func (v *View) everyone(e *execution) bitset {
	mask := v.settled(e)
	for _, y := range v.young {
		if y.projection != nil && inAudiences(y.projection) {
			mask.set(y.ordinal)
		}
	}
	return mask
}

// person gives the id of an ordinal.
func (v *View) person(o uint32) id.Person {
	if v.stale.has(o) {
		for _, y := range v.young {
			if y.ordinal == o {
				return y.person
			}
		}
	}
	return v.base.ids[o]
}

// ordinal finds the place of a person by looking at everyone: for the few who are gone and say no place themselves.
func (v *View) ordinal(p id.Person) (uint32, bool) {
	for _, y := range v.young {
		if y.person == p {
			return y.ordinal, true
		}
	}
	i := slices.Index(v.base.ids, p)
	return uint32(max(i, 0)), i >= 0
}

// turned gives the people whose projection reads differently since it was read: a coverage began or ended meanwhile.
func (v *View) turned(since, now time.Time) []id.Person {
	var list []id.Person
	for _, o := range v.base.turns.in(since.Unix(), now.Unix()) {
		if !v.stale.has(o) {
			list = append(list, v.base.ids[o])
		}
	}
	for _, y := range v.young {
		if y.projection == nil {
			continue
		}
		eachTurn(y.projection, func(t int64) {
			if t > since.Unix() && t <= now.Unix() {
				list = append(list, y.person)
			}
		})
	}
	return list
}

// Ordinals gives who matches, by place.
func (a Answer) Ordinals() []uint32 {
	list := make([]uint32, 0, a.Matched)
	a.yes.each(func(o uint32) { list = append(list, o) })
	return list
}

// IDs gives who matches, by place.
func (a Answer) IDs() []id.Person {
	changed := make(map[uint32]id.Person, len(a.view.young))
	for _, y := range a.view.young {
		changed[y.ordinal] = y.person
	}
	list := make([]id.Person, 0, a.Matched)
	a.yes.each(func(o uint32) {
		if p, ok := changed[o]; ok && len(changed) > 0 {
			list = append(list, p)
			return
		}
		list = append(list, a.view.base.ids[o])
	})
	return list
}
