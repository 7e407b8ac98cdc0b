package audience

import (
	"maps"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// builder makes a base from projections, and from an older base whose stale people it leaves out.
type builder struct {
	b      *base
	old    *base
	ownIDs bool
	stale  bitset
	gone   *roaring.Bitmap // stale once more, to take from bitmaps

	words    map[string]*dictionaryBuilder
	plain    []*dictionaryBuilder // words of fields, by place in fields
	sources  *dictionaryBuilder
	facts    map[string]*factsBuilder
	labs     map[code]*labBuilder
	events   map[string]*eventList
	machine  map[string]*eventList
	booked   eventList
	turns    eventList
	consents map[string]*consents
}

// code is a code with its system, as projections have them.
type code struct{ system, code string }

func (c code) key() string { return codeKey(c.system, c.code) }

func newBuilder(old *base, stale bitset) *builder {
	if old == nil {
		old = &base{}
	}
	n := &builder{
		old: old, stale: stale, gone: roaring.New(),
		words: map[string]*dictionaryBuilder{}, plain: make([]*dictionaryBuilder, len(fields)), facts: map[string]*factsBuilder{},
		labs: map[code]*labBuilder{}, events: map[string]*eventList{}, machine: map[string]*eventList{}, consents: map[string]*consents{},
	}
	stale.each(func(o uint32) { n.gone.Add(o) })
	n.b = &base{
		size: old.size, ids: old.ids, all: slices.Clone(old.all), birth: slices.Clone(old.birth), visit: slices.Clone(old.visit),
		flags: map[string]*postings{}, birthEnd: map[uint32]int64{}, lastBirth: old.lastBirth, lastVisit: old.lastVisit,
	}
	for o, end := range old.birthEnd {
		if !stale.has(o) {
			n.b.birthEnd[o] = end
		}
	}
	stale.each(func(o uint32) {
		if o < old.size {
			n.b.all.clear(o)
			n.b.birth[o], n.b.visit[o] = 0, 0
		}
	})
	for name, d := range old.words {
		n.words[name] = n.dictionary(d)
	}
	for i, f := range fields {
		switch f.kind {
		case fieldFlag:
			n.b.flags[f.name] = n.kept(old.flags[f.name])
		case fieldText:
			if n.words[f.name] == nil {
				n.words[f.name] = newDictionaryBuilder()
			}
			n.plain[i] = n.words[f.name]
		case fieldNumber, fieldDay: // the columns of birth and visit
		}
	}
	n.sources = n.dictionary(old.sources)
	for _, what := range whatNames {
		n.facts[what] = &factsBuilder{active: newDictionaryBuilder(), other: newDictionaryBuilder(), place: map[code][2]int{}}
		if f := old.facts[what]; f != nil {
			n.facts[what].active, n.facts[what].other = n.dictionary(f.active), n.dictionary(f.other)
		}
	}
	n.keepLabs()
	n.keepConsents()
	return n
}

func (n *builder) kept(p *postings) *postings {
	if p == nil {
		return &postings{}
	}
	k := p.without(n.stale, n.gone)
	return &k
}

func (n *builder) keepConsents() {
	for name, c := range n.old.consents {
		k := &consents{any: *n.kept(&c.any), states: map[string]*postings{}}
		for state, p := range c.states {
			k.states[state] = n.kept(p)
		}
		for _, d := range c.dated {
			if !n.stale.has(d.who) {
				k.dated = append(k.dated, d)
			}
		}
		n.consents[name] = k
	}
}

// room makes the columns long enough for an ordinal.
func (n *builder) room(o uint32) {
	b := n.b
	if o < b.size {
		return
	}
	b.size = o + 1
	grow := int(b.size)
	b.ids = append(b.ids, make([]id.Person, grow-len(b.ids))...)
	b.birth = append(b.birth, make([]uint32, grow-len(b.birth))...)
	b.visit = append(b.visit, make([]uint32, grow-len(b.visit))...)
	b.all = append(b.all, make(bitset, words(b.size)-len(b.all))...)
}

// identify notes whose place it is. The list is shared with the old base, whose readers see its front part only; a place in that part
// that was empty needs a list of our own.
func (n *builder) identify(person id.Person, o uint32) {
	if n.b.ids[o] == person {
		return
	}
	if int(o) < len(n.old.ids) && !n.ownIDs {
		n.b.ids, n.ownIDs = slices.Clone(n.b.ids), true
	}
	n.b.ids[o] = person
}

// add takes in one person, who is not in the old base or is stale there.
func (n *builder) add(person id.Person, o uint32, p *people.Projection) {
	n.room(o)
	n.identify(person, o)
	if !inAudiences(p) {
		return
	}
	n.b.all.set(o)
	n.fields(o, p)
	for _, s := range p.Sources {
		n.sources.add(s, o)
	}
	for _, what := range whatNames {
		n.facts[what].add(o, factsOf(p, what), !whats[what])
	}
	for i := range p.Labs {
		lab := &p.Labs[i]
		key := code{lab.System, normalCode(lab.System, lab.Code)}
		l := n.labs[key]
		if l == nil {
			l = newLabBuilder()
			n.labs[code{strings.Clone(key.system), strings.Clone(key.code)}] = l
		}
		l.add(o, uint32(clamp(lab.At)), newLabCell(lab.Value, lab.Comparator, lab.Unit))
	}
	n.times(o, p)
	for i := range p.Consents {
		n.consent(o, &p.Consents[i])
	}
}

func (n *builder) fields(o uint32, p *people.Projection) {
	for i, f := range fields {
		switch f.kind {
		case fieldText:
			n.plain[i].word(f.text(p), o)
		case fieldFlag:
			if f.flag(p) {
				n.b.flags[f.name].add(o)
			}
		case fieldNumber, fieldDay: // below
		}
	}
	for name, v := range p.Custom {
		d := n.words[customPrefix+name]
		if d == nil {
			d = newDictionaryBuilder()
			n.words[customPrefix+name] = d
		}
		d.word(v, o)
	}
	if lo, hi, known := birthDays(p.Birth); known {
		n.b.birth[o] = uint32(lo + birthBias)
		n.b.lastBirth = max(n.b.lastBirth, n.b.birth[o])
		if hi != lo {
			n.b.birthEnd[o] = hi
		}
	}
	n.b.visit[o] = uint32(latestVisit(p))
	n.b.lastVisit = max(n.b.lastVisit, n.b.visit[o])
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

func (n *builder) times(o uint32, p *people.Projection) {
	for i := range p.Events {
		e := &p.Events[i]
		human := lineOf(n.events, e.Kind)
		eachMoment(e, false, func(t int64) { human.add(event(t, o)) })
		if len(e.Machine) > 0 {
			machine := lineOf(n.machine, e.Kind)
			for _, t := range e.Machine {
				machine.add(event(clamp(t), o))
			}
		}
	}
	for _, a := range p.Appointments {
		n.booked.add(event(clamp(a.Start), o))
	}
	eachTurn(p, func(t int64) { n.turns.add(event(clamp(t), o)) })
}

// eachTurn gives the moments at which the person's insurance reads differently: people takes the coverage of the day in UTC.
func eachTurn(p *people.Projection, fn func(t int64)) {
	for _, c := range p.Coverages {
		if c.Start > 0 {
			fn(int64(c.Start) * 86400)
		}
		if c.End > 0 {
			fn((int64(c.End) + 1) * 86400)
		}
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

func (n *builder) consent(o uint32, c *people.ProjectedConsent) {
	k := n.consents[c.Name]
	if k == nil {
		k = &consents{states: map[string]*postings{}}
		n.consents[c.Name] = k
	}
	k.any.add(o)
	if c.State == "given" && c.Until != 0 {
		k.dated = append(k.dated, datedConsent{o, c.Until})
		return
	}
	if k.states[c.State] == nil {
		k.states[c.State] = &postings{}
	}
	k.states[c.State].add(o)
}

// finish gives the base; the builder is used up.
func (n *builder) finish() *base {
	b := n.b
	b.words, b.facts, b.consents = map[string]*dictionary{}, map[string]*facts{}, n.consents
	for name, d := range n.words {
		b.words[name] = d.finish()
		b.words[name].note(b.size)
	}
	b.sources = n.sources.finish()
	for what, f := range n.facts {
		b.facts[what] = &facts{f.active.finish(), f.other.finish()}
	}
	for _, p := range b.flags {
		p.seal()
	}
	for _, c := range b.consents {
		c.any.seal()
		for _, p := range c.states {
			p.seal()
		}
	}
	n.finishLabs()
	b.events = n.timelines(n.events, n.old.events)
	b.machine = n.timelines(n.machine, n.old.machine)
	b.booked = newTimeline(n.booked.take(), n.old.booked, n.stale)
	b.turns = newTimeline(n.turns.take(), n.old.turns, n.stale)
	b.birth, b.visit, b.all = slices.Clip(b.birth), slices.Clip(b.visit), slices.Clip(b.all)
	return b
}

func (n *builder) timelines(fresh map[string]*eventList, old map[string]*timeline) map[string]*timeline {
	out := map[string]*timeline{}
	for kind, events := range fresh {
		if l := newTimeline(events.take(), old[kind], n.stale); l != nil {
			out[kind] = l
		}
	}
	for kind, l := range old {
		if out[kind] == nil {
			if l = newTimeline(nil, l, n.stale); l != nil {
				out[kind] = l
			}
		}
	}
	return out
}

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
