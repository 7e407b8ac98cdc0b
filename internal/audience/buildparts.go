package audience

import (
	"maps"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/people"
)

// dictionaryBuilder collects who has which value.
type dictionaryBuilder struct {
	place  map[string]int
	values []string
	who    []postings
}

func newDictionaryBuilder() *dictionaryBuilder { return &dictionaryBuilder{place: map[string]int{}} }

func (n *builder) dictionary(old *dictionary) *dictionaryBuilder {
	d := newDictionaryBuilder()
	if old == nil {
		return d
	}
	for i, v := range old.values {
		if k := n.kept(&old.who[i]); k.len() > 0 {
			d.place[v] = len(d.values)
			d.values, d.who = append(d.values, v), append(d.who, *k)
		}
	}
	return d
}

// find gives the place of a value, made when missing.
func (d *dictionaryBuilder) find(value string) int {
	i, ok := d.place[value]
	if !ok {
		i = len(d.values)
		value = strings.Clone(value) // a projection's strings may share one large piece of memory
		d.place[value] = i
		d.values, d.who = append(d.values, value), append(d.who, postings{})
	}
	return i
}

func (d *dictionaryBuilder) add(value string, o uint32) { d.who[d.find(value)].add(o) }

// word adds a value of a field, which is compared in lower case; an empty one is none.
func (d *dictionaryBuilder) word(value string, o uint32) {
	if value != "" {
		d.add(strings.ToLower(value), o)
	}
}

func (d *dictionaryBuilder) finish() *dictionary {
	out := &dictionary{values: slices.Sorted(slices.Values(d.values)), who: make([]postings, len(d.values))}
	for i, v := range out.values {
		out.who[i] = d.who[d.place[v]]
		out.who[i].seal()
	}
	return out
}

// note keeps who has any of the values.
func (d *dictionary) note(size uint32) {
	d.known = make(bitset, words(size))
	spare := make(bitset, words(size))
	for i := range d.who {
		d.who[i].orInto(d.known, spare)
	}
}

// labBuilder collects the results of one code.
type labBuilder struct {
	column labColumn
	place  map[labCell]uint32
}

func newLabBuilder() *labBuilder { return &labBuilder{place: map[labCell]uint32{}} }

func (l *labBuilder) add(o, at uint32, cell labCell) {
	i, ok := l.place[cell]
	if !ok {
		i = uint32(len(l.column.cells))
		cell.comparator, cell.unit = strings.Clone(cell.comparator), strings.Clone(cell.unit)
		l.place[cell] = i
		l.column.cells = append(l.column.cells, cell)
	}
	c := &l.column
	c.who, c.at, c.cell = append(c.who, o), append(c.at, at), append(c.cell, i)
}

func (n *builder) keepLabs() {
	if n.old.labs == nil {
		return
	}
	for i := range n.old.labs.codes {
		c := &n.old.labs.columns[i]
		l := newLabBuilder()
		for j, o := range c.who {
			if !n.stale.has(o) {
				l.add(o, c.at[j], c.cells[c.cell[j]])
			}
		}
		if len(l.column.who) > 0 {
			n.labs[n.old.labs.pairs[i]] = l
		}
	}
}

func (n *builder) finishLabs() {
	out := &labs{}
	out.pairs = slices.SortedFunc(maps.Keys(n.labs), func(a, b code) int { return strings.Compare(a.key(), b.key()) })
	for _, pair := range out.pairs {
		c := n.labs[pair].column
		c.who, c.at, c.cell = slices.Clone(c.who), slices.Clone(c.at), slices.Clone(c.cell)
		out.codes, out.columns = append(out.codes, pair.key()), append(out.columns, c)
	}
	n.b.labs = out
}

// factsBuilder collects the codes of one kind of fact.
type factsBuilder struct {
	active, other *dictionaryBuilder
	place         map[code][2]int // in active and other, plus one
}

// add notes codes that count as active, and the others apart; a person may have both.
func (f *factsBuilder) add(o uint32, list []people.ProjectedCode, all bool) {
	for i := range list {
		c := &list[i]
		key := code{c.System, c.Code}
		place, known := f.place[key]
		if !known {
			key = code{strings.Clone(c.System), strings.Clone(c.Code)}
		}
		d, side := f.other, 1
		if c.Active || all {
			d, side = f.active, 0
		}
		if place[side] == 0 {
			place[side] = d.find(codeKey(key.system, key.code)) + 1
			f.place[key] = place
		}
		d.who[place[side]-1].add(o)
	}
}

func lineOf(m map[string]*eventList, kind string) *eventList {
	l := m[kind]
	if l == nil {
		l = &eventList{}
		m[strings.Clone(kind)] = l
	}
	return l
}

// eventList collects packed events in pieces, so that many need no copying as they grow.
type eventList struct {
	full [][]uint64
	last []uint64
	n    int
}

const eventPiece = 1 << 14

func (l *eventList) add(e uint64) {
	if len(l.last) == eventPiece {
		l.full = append(l.full, l.last)
		l.last = make([]uint64, 0, eventPiece)
	}
	l.last = append(l.last, e)
	l.n++
}

// take gives all of them and forgets them.
func (l *eventList) take() []uint64 {
	all := make([]uint64, 0, l.n)
	for i, piece := range l.full {
		all = append(all, piece...)
		l.full[i] = nil
	}
	all = append(all, l.last...)
	*l = eventList{}
	return all
}
