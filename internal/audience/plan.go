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

func (everyoneLeaf) cost(*base) int { return 0 }

func (everyoneLeaf) everyone(e *execution, mask bitset) pair { return pair{e.copy(mask), e.take()} }

// places gives the values of the dictionary that are wanted.
func (l textLeaf) places(d *dictionary) []int {
	var list []int
	for w := range l.wanted {
		if i, ok := d.exact(w); ok {
			list = append(list, i)
		}
		if prefix := l.field.under(w); prefix != "" {
			from, to := d.prefix(prefix)
			for i := from; i < to; i++ {
				list = append(list, i)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (l textLeaf) cost(b *base) int {
	d := b.words[l.field.name]
	if l.op == OpExists || l.op == OpNe {
		return len(b.all) * 8
	}
	n := 0
	for _, i := range l.places(d) {
		n += min(d.who[i].len(), len(b.all)*4)
	}
	return n
}

func (l textLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	d := e.base.words[l.field.name]
	e.gather(d, l.places(d), out.yes)
	known := e.take()
	if d != nil {
		copy(known, d.known)
	}
	for i, m := range mask {
		switch {
		case l.op == OpExists:
			out.yes[i] = known[i] & m
			continue
		case l.op == OpNe:
			out.yes[i] = known[i] &^ out.yes[i] & m
		default:
			out.yes[i] &= m
		}
		out.open[i] = m &^ known[i]
	}
	e.give(known)
	return out
}

func (flagLeaf) cost(b *base) int { return len(b.all) }

func (l flagLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	if l.any {
		copy(out.yes, mask)
		return out
	}
	spare := e.take()
	e.base.flags[l.field.name].orInto(out.yes, spare)
	e.give(spare)
	for i, m := range mask {
		if l.want {
			out.yes[i] &= m
		} else {
			out.yes[i] = m &^ out.yes[i]
		}
	}
	return out
}

func (birthLeaf) cost(b *base) int { return int(b.size) }

func (l birthLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	b := e.base
	if int64(b.lastBirth) > l.today+birthBias { // a birth in the future: rare, and an error
		mask.each(func(o uint32) { l.one(b, o, out) })
		return out
	}
	known := e.take()
	scan(b.birth, mask, known, 1, b.lastBirth)
	if l.exists {
		e.give(out.yes)
		out.yes = known
		return out
	}
	for _, s := range l.days {
		scan(b.birth, mask, out.yes, biased(s[0]), biased(s[1]))
	}
	for i, m := range mask {
		out.open[i] = m &^ known[i]
	}
	e.give(known)
	for o := range b.birthEnd {
		if mask.has(o) {
			l.one(b, o, out)
		}
	}
	return out
}

// biased gives a day as the birth column holds it.
func biased(day int64) uint32 { return uint32(min(max(day+birthBias, 0), 1<<31)) }

// one answers for one person the long way.
func (l birthLeaf) one(b *base, o uint32, out pair) {
	lo := int64(b.birth[o]) - birthBias
	hi, partial := b.birthEnd[o]
	if !partial {
		hi = lo
	}
	out.put(o, l.between(lo, hi, b.birth[o] != 0))
}

func (p pair) put(o uint32, t Truth) {
	p.yes.put(o, t == True)
	p.open.put(o, t == Unknown)
}

func (visitLeaf) cost(b *base) int { return int(b.size) }

func (l visitLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	b, complete := e.base, e.complete(l.claim)
	if int64(b.lastVisit) > l.end { // a visit after today: rare, and an error
		mask.each(func(o uint32) { out.put(o, l.latest(int64(b.visit[o]), complete.has(o))) })
		return out
	}
	if l.exists {
		scan(b.visit, mask, out.yes, 1, b.lastVisit)
		for i, m := range mask {
			out.open[i] = m &^ out.yes[i] &^ complete[i]
		}
		return out
	}
	sure, incomplete := e.take(), e.take()
	for i, m := range mask {
		sure[i], incomplete[i] = m&complete[i], m&^complete[i]
		out.open[i] = m
	}
	reached := int64(0)
	for _, s := range l.seconds {
		scan(b.visit, sure, out.yes, second(s[0]), second(s[1]))
		if s[1] >= l.end { // holds also for any later visit up to today
			scan(b.visit, incomplete, out.yes, second(s[0]), second(l.end))
		}
		if s[0] <= l.end {
			reached = max(reached, s[1])
		}
	}
	// Not known: who never came, and, without a complete feed, whose next visit might lie in a range.
	none := e.take()
	scan(b.visit, sure, none, 1, b.lastVisit)
	scan(b.visit, incomplete, none, second(reached)+1, b.lastVisit)
	out.open.andNot(none)
	out.open.andNot(out.yes)
	e.give(sure, incomplete, none)
	return out
}

func second(t int64) uint32 { return uint32(min(max(t, 0), 1<<32-2)) }

func (l hasLeaf) dictionaries(b *base) []*dictionary {
	f := b.facts[l.what]
	switch {
	case f == nil:
		return nil
	case l.anyStatus:
		return []*dictionary{f.active, f.other}
	}
	return []*dictionary{f.active}
}

// places gives the codes of the dictionary that are in the set.
func (s codeSet) places(d *dictionary) []int {
	var list []int
	for k := range s.exact {
		if i, ok := d.exact(k); ok {
			list = append(list, i)
		}
	}
	for k := range s.prefixes {
		from, to := d.prefix(k)
		for i := from; i < to; i++ {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (l hasLeaf) cost(b *base) int {
	n := 0
	for _, d := range l.dictionaries(b) {
		for _, i := range l.codes.places(d) {
			n += min(d.who[i].len(), len(b.all)*4)
		}
	}
	return n
}

func (l hasLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	for _, d := range l.dictionaries(e.base) {
		e.gather(d, l.codes.places(d), out.yes)
	}
	out.yes.and(mask)
	return out
}

func (l labLeaf) columns(b *base) []labColumn {
	var list []labColumn
	for i, code := range b.labs.codes {
		if l.codes.has(code) {
			list = append(list, b.labs.columns[i])
		}
	}
	return list
}

func (l labLeaf) cost(b *base) int {
	n := int(b.size)
	for _, c := range l.columns(b) {
		n += len(c.who)
	}
	return n
}

func (l labLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	latest := e.numbers()
	for _, c := range l.columns(e.base) { // in the order of codes: of two at one second the first counts
		says := make([]Truth, len(c.cells))
		for i, cell := range c.cells {
			says[i] = l.result(cell.result(), cell.comparator, cell.unit)
		}
		for i, o := range c.who {
			if at := c.at[i]; int64(at) <= l.now && at > latest[o] && mask.has(o) {
				latest[o] = at
				out.put(o, says[c.cell[i]])
			}
		}
	}
	found := e.take()
	scan(latest, mask, found, second(l.after)+1, 1<<32-1)
	if l.op == OpExists {
		complete := e.complete(l.claim)
		for i, m := range mask {
			out.yes[i], out.open[i] = found[i], m&^found[i]&^complete[i]
		}
	} else {
		for i, m := range mask {
			out.yes[i] &= found[i]
			out.open[i] = out.open[i]&found[i] | m&^found[i]
		}
	}
	e.give(found)
	return out
}

func (l consentLeaf) cost(b *base) int {
	c := b.consents[l.name]
	if c == nil {
		return 0
	}
	return len(c.dated) + len(b.all)*4
}

func (l consentLeaf) everyone(e *execution, mask bitset) pair {
	out := pair{e.take(), e.take()}
	c := e.base.consents[l.name]
	spare := e.take()
	switch {
	case c == nil && l.state == "none":
		copy(out.yes, mask)
	case c == nil:
	case l.state == "none":
		c.any.orInto(out.yes, spare)
		for i, m := range mask {
			out.yes[i] = m &^ out.yes[i]
		}
	default:
		if p := c.states[l.state]; p != nil {
			p.orInto(out.yes, spare)
		}
		for _, d := range c.dated {
			if l.stands("given", int64(d.until)) == l.state {
				out.yes.set(d.who)
			}
		}
		out.yes.and(mask)
	}
	e.give(spare)
	return out
}
