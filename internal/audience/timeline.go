package audience

import (
	"math"
	"slices"
	"sort"
)

// timeline is the events of one kind of everyone, in order of time: a window is one piece of it, so that counting reads only what
// happened in the window. A moment is a second since 1970: its upper half is the number of a bucket of 18 hours, its lower half
// stands with the event.
type timeline struct {
	first  uint32   // bucket of starts[0]
	starts []uint32 // index of the first event of each bucket; one more at the end
	low    []uint16
	who    []uint32
	ever   postings
}

// upTo is the number of events at or before a moment.
func (l *timeline) upTo(at int64) int {
	if l == nil || len(l.who) == 0 || at < 0 {
		return 0
	}
	at = min(at, math.MaxUint32)
	b := int(at>>16) - int(l.first)
	switch {
	case b < 0:
		return 0
	case b >= len(l.starts)-1:
		return len(l.who)
	}
	from, to := l.starts[b], l.starts[b+1]
	part, low := l.low[from:to], uint16(at&0xffff)
	return int(from) + sort.Search(len(part), func(i int) bool { return part[i] > low })
}

// in gives the people of the events in (after, upto], once for each event.
func (l *timeline) in(after, upto int64) []uint32 {
	if l == nil {
		return nil
	}
	from, to := l.upTo(after), l.upTo(upto)
	if from >= to {
		return nil
	}
	return l.who[from:to]
}

// all tells whether the log holds nothing later than the moment.
func (l *timeline) all(upto int64) bool { return l == nil || l.upTo(upto) == len(l.who) }

// cursor walks a timeline backwards.
type cursor struct {
	l      *timeline
	i, end int // the event, and where to stop before
	b      int // bucket of the event, counted from l.first
}

// back begins at the last event in (after, upto].
func (l *timeline) back(after, upto int64) cursor {
	c := cursor{l: l}
	if l == nil || len(l.who) == 0 {
		c.i, c.end = -1, 0
		return c
	}
	c.i, c.end, c.b = l.upTo(upto)-1, l.upTo(after), len(l.starts)-2
	c.settle()
	return c
}

func (c *cursor) ok() bool { return c.i >= c.end }

func (c *cursor) settle() {
	for c.ok() && c.i < int(c.l.starts[c.b]) {
		c.b--
	}
}

func (c *cursor) next() {
	c.i--
	c.settle()
}

func (c *cursor) at() int64 {
	return int64(c.l.first+uint32(c.b))<<16 | int64(c.l.low[c.i])
}

// event packs a moment and an ordinal so that packed events sort by time.
func event(at int64, o uint32) uint64 { return uint64(at)<<32 | uint64(o) }

// newTimeline makes a timeline of events in any order, and of the events of an older one whose people are not stale.
func newTimeline(events []uint64, old *timeline, stale bitset) *timeline {
	sortEvents(events)
	l := &timeline{}
	n := len(events)
	lo, hi := uint32(math.MaxUint32), uint32(0)
	if n > 0 {
		lo, hi = uint32(events[0]>>48), uint32(events[n-1]>>48)
	}
	if old != nil && len(old.who) > 0 {
		n += len(old.who)
		lo, hi = min(lo, old.first), max(hi, old.first+uint32(len(old.starts))-2)
	}
	if n == 0 {
		return nil
	}
	l.first, l.starts = lo, make([]uint32, 0, hi-lo+2)
	l.low, l.who = make([]uint16, 0, n), make([]uint32, 0, n)
	for b := lo; b <= hi; b++ {
		l.starts = append(l.starts, uint32(len(l.who)))
		end := 0
		for end < len(events) && uint32(events[end]>>48) == b {
			end++
		}
		l.bucket(events[:end], old, b, stale)
		events = events[end:]
	}
	l.starts = append(l.starts, uint32(len(l.who)))
	if len(l.who) == 0 {
		return nil
	}
	if cap(l.who)-len(l.who) > len(l.who)/8 {
		l.low, l.who = slices.Clone(l.low), slices.Clone(l.who)
	}
	l.fillEver()
	return l
}

// bucket appends one bucket: the new events, and those of the old timeline that still hold, in order of time.
func (l *timeline) bucket(events []uint64, old *timeline, b uint32, stale bitset) {
	i, end := 0, 0
	if old != nil && b >= old.first && int(b-old.first) < len(old.starts)-1 {
		i, end = int(old.starts[b-old.first]), int(old.starts[b-old.first+1])
	}
	for i < end || len(events) > 0 {
		if i < end && (len(events) == 0 || old.low[i] <= uint16(events[0]>>32&0xffff)) {
			if !stale.has(old.who[i]) {
				l.low, l.who = append(l.low, old.low[i]), append(l.who, old.who[i])
			}
			i++
			continue
		}
		l.low, l.who = append(l.low, uint16(events[0]>>32&0xffff)), append(l.who, uint32(events[0]&math.MaxUint32))
		events = events[1:]
	}
}

// fillEver notes who had the event at any time.
func (l *timeline) fillEver() {
	size := uint32(0)
	for _, o := range l.who {
		size = max(size, o)
	}
	b := make(bitset, words(size+1))
	for _, o := range l.who {
		b.set(o)
	}
	b.each(l.ever.add)
	l.ever.seal()
}

// sortEvents sorts packed events by time: many by two passes over 16 bits each, which takes a fifth of the time of a comparing sort.
func sortEvents(events []uint64) {
	if len(events) < 1<<15 {
		slices.Sort(events)
		return
	}
	spare := make([]uint64, len(events))
	for _, shift := range []uint{32, 48} {
		var place [1<<16 + 1]uint32
		for _, e := range events {
			place[e>>shift&0xffff+1]++
		}
		for i := 1; i < len(place); i++ {
			place[i] += place[i-1]
		}
		for _, e := range events {
			k := e >> shift & 0xffff
			spare[place[k]] = e
			place[k]++
		}
		copy(events, spare)
	}
}
