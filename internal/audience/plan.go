package audience

import (
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
)

// execution is one rule being asked of everyone in one base. It holds the memory to work in.
type execution struct {
	base   *base
	n      int // words of a bitset
	free   []bitset
	column []uint32 // one number for everyone, all zero between uses
	known  map[string]bitset
}

// executions keeps the memory of finished ones: a rule over a million people needs some megabytes for some milliseconds.
var executions = sync.Pool{New: func() any { return &execution{} }}

func execute(b *base, size uint32) *execution {
	e := executions.Get().(*execution) //nolint:forcetypeassert // the pool holds nothing else
	if e.n != words(size) {
		*e = execution{n: words(size)}
	}
	e.base, e.known = b, map[string]bitset{}
	return e
}

func (e *execution) done() {
	for _, b := range e.known {
		e.give(b)
	}
	e.base, e.known = nil, nil
	executions.Put(e)
}

// take gives an empty bitset.
func (e *execution) take() bitset {
	if n := len(e.free); n > 0 {
		b := e.free[n-1]
		e.free = e.free[:n-1]
		clear(b)
		return b
	}
	return make(bitset, e.n)
}

func (e *execution) copy(of bitset) bitset {
	b := e.take()
	copy(b, of)
	return b
}

func (e *execution) give(list ...bitset) {
	for _, b := range list {
		if b != nil {
			e.free = append(e.free, b)
		}
	}
}

// numbers gives a column of zeros, until the next call.
func (e *execution) numbers() []uint32 {
	if len(e.column) < e.n<<6 {
		e.column = make([]uint32, e.n<<6)
	}
	c := e.column
	clear(c)
	return c
}

// eval answers for the people of mask only: the less a cheap rule leaves, the less a dear one has to look at.
func (e *execution) eval(n *node, mask bitset) pair {
	switch n.join {
	case joinAll:
		return e.all(e.cheapest(n.kids), mask)
	case joinAny:
		return e.any(e.cheapest(n.kids), mask)
	case joinNot:
		p := e.eval(n.kids[0], mask)
		for i, m := range mask {
			p.yes[i] = m &^ (p.yes[i] | p.open[i])
		}
		return p
	case joinSame:
		return e.eval(n.kids[0], mask)
	case joinLeaf:
	}
	return n.leaf.everyone(e, mask)
}

func (e *execution) all(kids []*node, mask bitset) pair {
	out := pair{e.copy(mask), e.take()}
	live := e.copy(mask)
	for _, k := range kids {
		p := e.eval(k, live)
		for i := range live {
			yes := out.yes[i] & p.yes[i]
			open := (out.yes[i] | out.open[i]) & (p.yes[i] | p.open[i]) &^ yes
			out.yes[i], out.open[i], live[i] = yes, open, yes|open
		}
		e.give(p.yes, p.open)
		if live.empty() {
			break
		}
	}
	e.give(live)
	return out
}

func (e *execution) any(kids []*node, mask bitset) pair {
	out := pair{e.take(), e.take()}
	live := e.copy(mask)
	for _, k := range kids {
		p := e.eval(k, live)
		for i := range live {
			out.yes[i] |= p.yes[i]
			out.open[i] = (out.open[i] | p.open[i]) &^ out.yes[i]
			live[i] &^= p.yes[i]
		}
		e.give(p.yes, p.open)
	}
	e.give(live)
	return out
}

// cheapest orders rules by what they read: bitmaps first, then windows of events, then columns, which profit from the others.
func (e *execution) cheapest(kids []*node) []*node {
	type priced struct {
		n    *node
		cost int
	}
	list := make([]priced, len(kids))
	for i, k := range kids {
		list[i] = priced{k, k.cost(e.base)}
	}
	slices.SortStableFunc(list, func(a, b priced) int { return a.cost - b.cost })
	out := make([]*node, len(kids))
	for i, p := range list {
		out[i] = p.n
	}
	return out
}

// cost is about the number of entries that must be read.
func (n *node) cost(b *base) int {
	if n.leaf != nil {
		return n.leaf.cost(b)
	}
	sum := 0
	for _, k := range n.kids {
		sum += k.cost(b)
	}
	return sum
}

// complete gives of whom absence is known for a claim.
func (e *execution) complete(c claim) bitset {
	name := ""
	if !c.own {
		name = c.name
	}
	if b, ok := e.known[name]; ok {
		return b
	}
	b, spare := e.take(), e.take()
	if c.own {
		copy(b, e.base.all)
	} else {
		silent := e.take()
		for feed, fresh := range c.fresh {
			if i, ok := e.base.sources.exact(feed); ok {
				if fresh {
					e.base.sources.who[i].orInto(b, spare)
				} else {
					e.base.sources.who[i].orInto(silent, spare)
				}
			}
		}
		b.andNot(silent)
		e.give(silent)
	}
	e.give(spare)
	e.known[name] = b
	return b
}

// gather adds up postings of a dictionary. Many bitmaps are joined before they are spread out.
func (e *execution) gather(d *dictionary, places []int, out bitset) {
	spare := e.take()
	var dense []*roaring.Bitmap
	for _, i := range places {
		p := &d.who[i]
		if p.many != nil && p.dense && len(places) > 4 {
			dense = append(dense, p.many)
			continue
		}
		p.orInto(out, spare)
	}
	if len(dense) > 0 {
		clear(spare)
		roaring.FastOr(dense...).WriteDenseTo(spare)
		out.or(spare)
	}
	e.give(spare)
}
