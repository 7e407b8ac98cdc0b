package people

import (
	"bytes"
	"slices"
)

// shallow copies a record without its parts, so that the loaded one stays as it was.
func shallow(r *CoreRecord) *CoreRecord {
	return &CoreRecord{
		Profile: r.Profile, Subjects: r.Subjects, Contacts: r.Contacts, Consents: r.Consents, Kind: r.Kind, Inactive: r.Inactive,
		RevivedMs: r.RevivedMs, Placeholder: r.Placeholder, Proxies: r.Proxies,
	}
}

// sortedMembers gives the members in the order of their ids: every writer locks in the same order.
func (b *batch) sortedMembers() []*member {
	all := make([]*member, 0, len(b.members))
	for _, m := range b.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(x, y *member) int { return bytes.Compare(x.id[:], y.id[:]) })
	return all
}

// finishFamilies builds anew what is derived: cores, events and projections of everyone of whose family something changed.
func (b *batch) finishFamilies() {
	done := map[*member]bool{}
	for _, m := range b.sortedMembers() {
		if root := b.root(m); m.changed && !done[root] {
			done[root] = true
			b.finish(root)
		}
	}
}

func (b *batch) finish(root *member) {
	family := b.family(root)
	var (
		facts  []Fact
		events []Event
	)
	holder := map[named]*member{}
	for _, m := range family {
		if m.reshaped {
			m.core = rebuildCore(m.core, m.current(), b.now)
		}
		for i := range m.facts {
			if row := &m.facts[i]; !row.ended {
				facts = append(facts, b.fact(m, row))
				holder[named{row.source, row.record.Resource}] = m
			}
		}
	}
	b.settleEvents(family, facts, holder)
	for _, m := range family {
		for i := range m.events {
			if row := &m.events[i]; !row.ended {
				e := unpackEvent(row.record)
				e.Source = row.source
				events = append(events, e)
			}
		}
		if m != root {
			m.projection = Projection{}
		}
	}
	root.changed = true
	root.projection = projectFamily(root, family, facts, events, b.tx.Now)
}

func (m *member) current() []factRow {
	all := make([]factRow, 0, len(m.facts))
	for _, f := range m.facts {
		if !f.ended {
			all = append(all, f)
		}
	}
	return all
}

// settleEvents appends what the facts now say and takes back what they no longer say.
func (b *batch) settleEvents(family []*member, facts []Fact, holder map[named]*member) {
	type place struct {
		m  *member
		at int
	}
	standing := map[named]place{}
	for _, m := range family {
		for i := range m.events {
			if e := &m.events[i]; e.record.Derived && !e.ended {
				standing[named{e.source, e.record.Key}] = place{m, i}
			}
		}
	}
	for _, e := range Derive(facts, b.words, b.tx.Now) {
		n := named{e.Source, e.Key}
		m := holder[named{e.Source, e.resource}]
		if old, known := standing[n]; known {
			delete(standing, n)
			if row := old.m.events[old.at].record; old.m == m && (row.At == e.At.Unix() || loose(e.Kind)) {
				continue
			}
			b.endEvent(old.m, old.at)
		}
		b.addEvent(m, e.Source, &e, true)
	}
	for _, m := range family { // in the family's order, not the map's
		for i := range m.events {
			e := &m.events[i]
			if old, stands := standing[named{e.source, e.record.Key}]; stands && old.m == m && old.at == i && !movedStands(e, facts) {
				b.endEvent(m, i)
			}
		}
	}
}

// loose tells whether an event's time is only when the source wrote it down, which every later version says anew.
func loose(kind string) bool {
	return kind == EventBooked || kind == EventCancelled || kind == EventMoved
}

// movedStands tells whether the event says that an appointment was moved, and the appointment is still one: earlier moves are
// history that the current version no longer tells.
func movedStands(e *eventRow, facts []Fact) bool {
	return e.record.Kind == EventMoved && slices.ContainsFunc(facts, func(f Fact) bool {
		return f.Source == e.source && f.State != StateError && len(e.record.Key) > len(EventMoved)+len(f.Resource)+1 &&
			e.record.Key[len(EventMoved)+1:len(EventMoved)+1+len(f.Resource)] == f.Resource && e.record.Key[len(EventMoved)+1+len(f.Resource)] == ' '
	})
}
