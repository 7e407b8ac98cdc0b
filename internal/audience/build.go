package audience

import (
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// builder makes a base from projections, and from an older base whose stale people it leaves out.
type builder struct {
	b     *base
	old   *base
	stale bitset
	gone  *roaring.Bitmap // stale once more, to take from bitmaps

	words    map[string]*dictionaryBuilder
	sources  *dictionaryBuilder
	active   map[string]*dictionaryBuilder
	other    map[string]*dictionaryBuilder
	labs     map[string]*labBuilder
	events   map[string][]uint64
	machine  map[string][]uint64
	booked   []uint64
	consents map[string]*consents
	seen     map[string]bool // codes of one person, reused
}

func newBuilder(old *base, stale bitset) *builder {
	if old == nil {
		old = &base{}
	}
	n := &builder{
		old: old, stale: stale, gone: roaring.New(),
		words: map[string]*dictionaryBuilder{}, active: map[string]*dictionaryBuilder{}, other: map[string]*dictionaryBuilder{},
		labs: map[string]*labBuilder{}, events: map[string][]uint64{}, machine: map[string][]uint64{}, consents: map[string]*consents{},
		seen: map[string]bool{},
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
	for _, f := range fields {
		if f.kind == fieldFlag {
			n.b.flags[f.name] = n.kept(old.flags[f.name])
		}
	}
	for name, d := range old.words {
		n.words[name] = n.dictionary(d)
	}
	n.sources = n.dictionary(old.sources)
	for what, f := range old.facts {
		n.active[what], n.other[what] = n.dictionary(f.active), n.dictionary(f.other)
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

// add takes in one person, who is not in the old base or is stale there.
func (n *builder) add(person id.Person, o uint32, p *people.Projection) {
	n.room(o)
	n.b.ids[o] = person
	if !inAudiences(p) {
		return
	}
	n.b.all.set(o)
	n.fields(o, p)
	for _, s := range p.Sources {
		n.sources.add(s, o)
	}
	for _, what := range whatNames {
		n.facts(what, o, factsOf(p, what))
	}
	for i := range p.Labs {
		lab := &p.Labs[i]
		key := codeKey(lab.System, lab.Code)
		if n.labs[key] == nil {
			n.labs[key] = newLabBuilder()
		}
		n.labs[key].add(o, uint32(clamp(lab.At)), newLabCell(lab.Value, lab.Comparator, lab.Unit)) //nolint:gosec // G115: clamped
	}
	n.times(o, p)
	for i := range p.Consents {
		n.consent(o, &p.Consents[i])
	}
}

func (n *builder) fields(o uint32, p *people.Projection) {
	for _, f := range fields {
		switch f.kind {
		case fieldText:
			n.word(f.name, f.text(p), o)
		case fieldFlag:
			if f.flag(p) {
				n.b.flags[f.name].add(o)
			}
		}
	}
	for name, v := range p.Custom {
		n.word(customPrefix+name, v, o)
	}
	if lo, hi, known := birthDays(p.Birth); known {
		n.b.birth[o] = uint32(lo + birthBias) //nolint:gosec // G115: years are 16 bits
		n.b.lastBirth = max(n.b.lastBirth, n.b.birth[o])
		if hi != lo {
			n.b.birthEnd[o] = hi
		}
	}
	n.b.visit[o] = uint32(latestVisit(p)) //nolint:gosec // G115: clamped
	n.b.lastVisit = max(n.b.lastVisit, n.b.visit[o])
}

func (n *builder) word(field, v string, o uint32) {
	if v == "" {
		return
	}
	d := n.words[field]
	if d == nil {
		d = newDictionaryBuilder()
		n.words[field] = d
	}
	d.add(strings.ToLower(v), o)
}

func (n *builder) facts(what string, o uint32, list []people.ProjectedCode) {
	if len(list) == 0 {
		return
	}
	active, other := n.active[what], n.other[what]
	if active == nil {
		active, other = newDictionaryBuilder(), newDictionaryBuilder()
		n.active[what], n.other[what] = active, other
	}
	clear(n.seen)
	for _, round := range []bool{true, false} {
		for _, c := range list {
			counts := c.Active || !whats[what]
			if counts != round {
				continue
			}
			key := codeKey(c.System, c.Code)
			if n.seen[key] {
				continue
			}
			n.seen[key] = true
			if counts {
				active.add(key, o)
			} else {
				other.add(key, o)
			}
		}
	}
}

func (n *builder) times(o uint32, p *people.Projection) {
	for i := range p.Events {
		e := &p.Events[i]
		human := n.events[e.Kind]
		eachTime(&people.Projection{Events: p.Events[i : i+1]}, e.Kind, false, func(t int64) { human = append(human, event(t, o)) })
		if len(human) > 0 {
			n.events[e.Kind] = human
		}
		if len(e.Machine) > 0 {
			machine := n.machine[e.Kind]
			for _, t := range e.Machine {
				machine = append(machine, event(clamp(t), o))
			}
			n.machine[e.Kind] = machine
		}
	}
	for _, a := range p.Appointments {
		n.booked = append(n.booked, event(clamp(a.Start), o))
	}
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
	}
	b.sources = n.sources.finish()
	for what := range n.active {
		b.facts[what] = &facts{n.active[what].finish(), n.other[what].finish()}
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
	b.booked = newTimeline(n.booked, n.old.booked, n.stale)
	b.birth, b.visit, b.all = slices.Clip(b.birth), slices.Clip(b.visit), slices.Clip(b.all)
	return b
}

func (n *builder) timelines(fresh map[string][]uint64, old map[string]*timeline) map[string]*timeline {
	out := map[string]*timeline{}
	for kind, events := range fresh {
		if l := newTimeline(events, old[kind], n.stale); l != nil {
			out[kind] = l
		}
		delete(fresh, kind) // its memory is large
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

func (d *dictionaryBuilder) add(value string, o uint32) {
	i, ok := d.place[value]
	if !ok {
		i = len(d.values)
		value = strings.Clone(value) // a projection's strings may share one large piece of memory
		d.place[value] = i
		d.values, d.who = append(d.values, value), append(d.who, postings{})
	}
	d.who[i].add(o)
}

func (d *dictionaryBuilder) finish() *dictionary {
	out := &dictionary{values: slices.Sorted(slices.Values(d.values)), who: make([]postings, len(d.values))}
	for i, v := range out.values {
		out.who[i] = d.who[d.place[v]]
		out.who[i].seal()
	}
	return out
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
		i = uint32(len(l.column.cells)) //nolint:gosec // G115: fewer than 2^32 results
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
	for i, code := range n.old.labs.codes {
		c := &n.old.labs.columns[i]
		l := newLabBuilder()
		for j, o := range c.who {
			if !n.stale.has(o) {
				l.add(o, c.at[j], c.cells[c.cell[j]])
			}
		}
		if len(l.column.who) > 0 {
			n.labs[code] = l
		}
	}
}

func (n *builder) finishLabs() {
	out := &labs{}
	for code := range n.labs {
		out.codes = append(out.codes, code)
	}
	slices.Sort(out.codes)
	for _, code := range out.codes {
		c := n.labs[code].column
		c.who, c.at, c.cell = slices.Clone(c.who), slices.Clone(c.at), slices.Clone(c.cell)
		out.columns = append(out.columns, c)
	}
	n.b.labs = out
}
