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
