package audience

import (
	"slices"
)

// The leaves about fields, facts, results and consents: bitmaps and columns.

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
		if l.op == OpExists {
			out.yes[i] = known[i] & m
			continue
		}
		if l.op == OpNe {
			out.yes[i] = known[i] &^ out.yes[i]
		}
		out.yes[i] &= m
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
