package audience

// The leaves about events, over timelines: what is read is the window, not the people.

// lines gives the timelines of a kind.
func (b *base) lines(kind string, automated bool) []*timeline {
	if automated && b.machine[kind] != nil {
		return []*timeline{b.events[kind], b.machine[kind]}
	}
	return []*timeline{b.events[kind]}
}

// reads is how many events lie in a window.
func reads(lines []*timeline, after, upto int64) int {
	n := 0
	for _, l := range lines {
		n += len(l.in(after, upto))
	}
	return n
}

// once gives who had an event in (after, upto].
func (e *execution) once(lines []*timeline, after, upto int64) bitset {
	b := e.take()
	for _, l := range lines {
		if l != nil && after < 1 && l.all(upto) {
			spare := e.take()
			l.ever.orInto(b, spare)
			e.give(spare)
			continue
		}
		for _, o := range l.in(after, upto) {
			b[o>>6] |= 1 << (o & 63)
		}
	}
	return b
}

// atLeast gives who had n or more events in the window, and who had more than n.
func (e *execution) atLeast(lines []*timeline, after, upto int64, n int) (reached, passed bitset) {
	switch n {
	case 0:
		return e.copy(e.base.all), e.once(lines, after, upto)
	case 1:
		reached, passed = e.take(), e.take()
		for _, l := range lines {
			for _, o := range l.in(after, upto) {
				bit := uint64(1) << (o & 63)
				passed[o>>6] |= reached[o>>6] & bit
				reached[o>>6] |= bit
			}
		}
		return reached, passed
	case 2:
		once := e.take()
		reached, passed = e.take(), e.take()
		for _, l := range lines {
			for _, o := range l.in(after, upto) {
				bit, w := uint64(1)<<(o&63), o>>6
				passed[w] |= reached[w] & bit
				reached[w] |= once[w] & bit
				once[w] |= bit
			}
		}
		e.give(once)
		return reached, passed
	}
	reached, passed = e.take(), e.take()
	counts := e.numbers()
	for _, l := range lines {
		for _, o := range l.in(after, upto) {
			counts[o]++
			switch counts[o] {
			case uint32(n):
				reached.set(o)
			case uint32(n) + 1:
				passed.set(o)
			}
		}
	}
	return reached, passed
}

func (l countLeaf) cost(b *base) int {
	return len(b.all)*4 + reads(b.lines(l.event, l.automated), l.after, l.now)
}

func (l countLeaf) everyone(e *execution, mask bitset) pair {
	op, n := l.op, l.n
	if op == OpGt || op == OpLte { // the others of the next number
		op, n = map[Op]Op{OpGt: OpGte, OpLte: OpLt}[op], n+1
	}
	reached, passed := e.atLeast(e.base.lines(l.event, l.automated), l.after, l.now, n)
	complete := e.complete(l.claim)
	out := pair{e.take(), e.take()}
	for i, m := range mask {
		c := complete[i]
		switch op { //nolint:exhaustive // the other two became these above
		case OpGte:
			out.yes[i], out.open[i] = m&reached[i], m&^reached[i]&^c
		case OpLt:
			out.yes[i], out.open[i] = m&^reached[i]&c, m&^reached[i]&^c
		case OpEq:
			out.yes[i], out.open[i] = m&reached[i]&^passed[i]&c, m&^passed[i]&^c
		default: // OpNe
			out.yes[i], out.open[i] = m&(passed[i]|^reached[i]&c), m&^passed[i]&^c
		}
	}
	e.give(reached, passed)
	return out
}

func (l lastLeaf) cost(b *base) int {
	return len(b.all)*4 + reads(b.lines(l.event, l.automated), l.seconds[0][0], l.now)
}

func (l lastLeaf) everyone(e *execution, mask bitset) pair {
	lines := e.base.lines(l.event, l.automated)
	complete := e.complete(l.claim)
	out := pair{e.take(), e.take()}
	if lo := l.seconds[0][0]; lo != farPast { // within: an event in the window settles it
		recent := e.once(lines, lo-1, l.now)
		for i, m := range mask {
			out.yes[i], out.open[i] = m&recent[i], m&^recent[i]&^complete[i]
		}
		e.give(recent)
		return out
	}
	// older than: one at all, none since. Without a complete feed there may have been one since.
	recent, ever := e.once(lines, l.seconds[0][1], l.now), e.once(lines, 0, l.now)
	for i, m := range mask {
		out.yes[i], out.open[i] = m&ever[i]&^recent[i]&complete[i], m&^recent[i]&^complete[i]
	}
	e.give(recent, ever)
	return out
}

func (l neverLeaf) cost(b *base) int { return len(b.all) * 4 }

func (l neverLeaf) everyone(e *execution, mask bitset) pair {
	ever, complete := e.once(e.base.lines(l.event, l.automated), 0, l.now), e.complete(l.claim)
	out := pair{e.take(), e.take()}
	for i, m := range mask {
		out.yes[i], out.open[i] = m&^ever[i]&complete[i], m&^ever[i]&^complete[i]
	}
	e.give(ever)
	return out
}

func (l sequenceLeaf) cost(b *base) int {
	return len(b.all)*4 + 4*reads(b.lines(l.first, l.automated), l.after, l.now) + 2*reads(b.lines(l.then, l.automated), l.after, l.now)
}

func (l sequenceLeaf) everyone(e *execution, mask bitset) pair {
	open, followed := l.walk(e)
	first, then := e.complete(l.firstClaim), e.complete(l.thenClaim)
	out := pair{e.take(), e.take()}
	for i, m := range mask {
		if l.missing {
			out.yes[i] = m & open[i] & then[i]
			out.open[i] = m & (open[i]&^then[i] | ^open[i]&^first[i])
		} else {
			out.yes[i] = m & followed[i]
			out.open[i] = m &^ followed[i] & (^first[i] | open[i]&^then[i])
		}
	}
	e.give(open, followed)
	return out
}

// walk goes back in time through both kinds of events at once and keeps for everyone the next Then.
func (l sequenceLeaf) walk(e *execution) (open, followed bitset) {
	open, followed = e.take(), e.take()
	firsts := e.base.lines(l.first, l.automated)
	has := e.once(firsts, l.after, l.now)
	next := e.numbers()
	var thens []cursor
	for _, line := range e.base.lines(l.then, l.automated) {
		thens = append(thens, line.back(l.after, l.now))
	}
	var starts []cursor
	for _, line := range firsts {
		starts = append(starts, line.back(l.after, l.now))
	}
	for {
		at, start := latest(starts)
		if start == nil {
			break
		}
		for { // what came after, and was not taken yet
			t, then := latest(thens)
			if then == nil || t <= at {
				break
			}
			if o := then.l.who[then.i]; has.has(o) {
				next[o] = uint32(t)
			}
			then.next()
		}
		o := start.l.who[start.i]
		if t := int64(next[o]); t != 0 && t <= at+l.gap {
			followed.set(o)
		} else {
			open.set(o)
		}
		start.next()
	}
	e.give(has)
	return open, followed
}

// latest gives the cursor with the latest event, nil when all are at their end.
func latest(list []cursor) (at int64, c *cursor) {
	for i := range list {
		if list[i].ok() {
			if t := list[i].at(); c == nil || t > at {
				at, c = t, &list[i]
			}
		}
	}
	return at, c
}

func (l appointmentLeaf) cost(b *base) int {
	return len(b.all)*4 + len(b.booked.in(l.now, l.until))
}

func (l appointmentLeaf) everyone(e *execution, mask bitset) pair {
	ahead, complete := e.once([]*timeline{e.base.booked}, l.now, l.until), e.complete(l.claim)
	out := pair{e.take(), e.take()}
	for i, m := range mask {
		out.yes[i], out.open[i] = m&ahead[i], m&^ahead[i]&^complete[i]
	}
	e.give(ahead)
	return out
}
