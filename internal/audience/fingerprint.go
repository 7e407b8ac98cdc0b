package audience

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"

	"github.com/carepost/carepost/internal/id"
)

// Fingerprint gives a hash of all that the organisation's index says, with everything that was committed before the call. It does not
// depend on the way by which the index came to say it: two nodes of one database have the same one, bit for bit.
func (a *Audience) Fingerprint(ctx context.Context, org id.Organisation) (string, error) {
	if err := a.CaughtUp(ctx, org); err != nil {
		return "", err
	}
	v, err := a.view(ctx, org)
	if err != nil {
		return "", err
	}
	return v.Fingerprint(), nil
}

// Fingerprint gives a hash of all that the view says.
func (v *View) Fingerprint() string {
	b := v.rebuilt()
	p := printer{sha256.New()}
	b.all.each(func(o uint32) {
		p.number(uint64(o), uint64(b.birth[o]), uint64(b.birthEnd[o]), uint64(b.visit[o]))
		p.hash.Write(b.ids[o][:])
	})
	p.dictionaries("word", b.words)
	p.dictionary("source", "", b.sources)
	for _, name := range slices.Sorted(maps.Keys(b.flags)) {
		p.postings("flag", name, b.flags[name])
	}
	for _, what := range slices.Sorted(maps.Keys(b.facts)) {
		p.dictionary("active", what, b.facts[what].active)
		p.dictionary("other", what, b.facts[what].other)
	}
	p.labs(b.labs)
	p.timelines("event", b.events)
	p.timelines("machine", b.machine)
	p.timeline("booked", "", b.booked)
	p.timeline("turn", "", b.turns)
	for _, name := range slices.Sorted(maps.Keys(b.consents)) {
		p.consents(name, b.consents[name])
	}
	return hex.EncodeToString(p.hash.Sum(nil))
}

// printer writes parts in an order of their own, each with its length, and leaves out what is empty: what nobody has any more may have
// left an empty place behind, or not.
type printer struct{ hash hash.Hash }

func (p printer) number(all ...uint64) {
	var b [8]byte
	for _, n := range all {
		binary.BigEndian.PutUint64(b[:], n)
		p.hash.Write(b[:])
	}
}

func (p printer) text(all ...string) {
	for _, s := range all {
		p.number(uint64(len(s)))
		p.hash.Write([]byte(s))
	}
}

func (p printer) postings(kind, name string, who *postings) {
	if who == nil || who.len() == 0 {
		return
	}
	list := slices.Clone(who.list)
	if who.many != nil {
		list = who.many.ToArray()
	}
	slices.Sort(list)
	list = slices.Compact(list) // who has a thing twice has it
	p.text(kind, name)
	p.number(uint64(len(list)))
	for _, o := range list {
		p.number(uint64(o))
	}
}

func (p printer) dictionary(kind, name string, d *dictionary) {
	if d == nil {
		return
	}
	for i, value := range d.values {
		if d.who[i].len() > 0 {
			p.text(kind, name)
			p.postings("value", value, &d.who[i])
		}
	}
}

func (p printer) dictionaries(kind string, all map[string]*dictionary) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p.dictionary(kind, name, all[name])
	}
}

func (p printer) timelines(kind string, all map[string]*timeline) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p.timeline(kind, name, all[name])
	}
}

func (p printer) timeline(kind, name string, l *timeline) {
	if l == nil || len(l.who) == 0 {
		return
	}
	all := make([]uint64, 0, len(l.who))
	for b := range len(l.starts) - 1 {
		for i := l.starts[b]; i < l.starts[b+1]; i++ {
			all = append(all, event(int64(l.first+uint32(b))<<16|int64(l.low[i]), l.who[i]))
		}
	}
	slices.Sort(all)
	p.text(kind, name)
	p.number(uint64(len(all)))
	p.number(all...)
}

func (p printer) labs(l *labs) {
	if l == nil {
		return
	}
	for i, code := range l.codes {
		c := &l.columns[i]
		order := make([]int, len(c.who))
		for j := range order {
			order[j] = j
		}
		slices.SortFunc(order, func(x, y int) int {
			a, b := c.cells[c.cell[x]], c.cells[c.cell[y]]
			return cmp.Or(cmp.Compare(c.who[x], c.who[y]), cmp.Compare(c.at[x], c.at[y]), cmp.Compare(a.bits, b.bits), cmp.Compare(a.comparator, b.comparator), cmp.Compare(a.unit, b.unit))
		})
		for _, j := range order {
			cell := c.cells[c.cell[j]]
			p.text("lab", code, cell.comparator, cell.unit)
			p.number(uint64(c.who[j]), uint64(c.at[j]), cell.bits)
		}
	}
}

func (p printer) consents(name string, c *consents) {
	p.postings("consent", name, &c.any)
	for _, state := range slices.Sorted(maps.Keys(c.states)) {
		p.postings(name, state, c.states[state])
	}
	dated := slices.SortedFunc(slices.Values(c.dated), func(x, y datedConsent) int {
		return cmp.Or(cmp.Compare(x.who, y.who), cmp.Compare(x.until, y.until))
	})
	for _, d := range dated {
		p.text("dated", name)
		p.number(uint64(d.who), uint64(d.until))
	}
}
