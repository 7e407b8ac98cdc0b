package people

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// AddEvents appends events about a person that no fact says: what was sent, opened, clicked, answered. The same source and key again
// is the same event. Events stay with the person they are about; the survivor's projection holds them.
func (p *People) AddEvents(ctx context.Context, tx *store.Tx, person id.Person, events []Event) error {
	return p.AddEventsAll(ctx, tx, map[id.Person][]Event{person: events})
}

// AddEventsAll appends events about several people in a handful of statements. People are touched; the caller writes its own ledger
// entries.
func (p *People) AddEventsAll(ctx context.Context, tx *store.Tx, events map[id.Person][]Event) error {
	b := p.newBatch(tx, id.Import{})
	b.quiet = true
	found, err := b.findEvents(ctx, events)
	if err != nil {
		return err
	}
	retracts := false
	for _, list := range events {
		retracts = retracts || slices.ContainsFunc(list, func(e Event) bool { return e.Retracts })
	}
	if retracts { // the projection is to be built anew
		err = b.loadFamilies(ctx, found)
	} else {
		err = b.loadSurvivors(ctx, found)
	}
	if err != nil {
		return err
	}
	for _, person := range slices.SortedFunc(maps.Keys(events), compareIDs) {
		m := b.members[person]
		if m == nil {
			return errNobody(person)
		}
		b.takeEvents(m, events[person], retracts)
	}
	if retracts {
		b.finishFamilies()
	}
	return b.write(ctx)
}

func (b *batch) takeEvents(m *member, events []Event, later bool) {
	var fresh []Event
	for i := range events {
		e := &events[i]
		if later {
			b.takeEvent(m, &Change{Source: e.Source}, e)
			continue
		}
		n := named{e.Source, e.Key}
		if _, known := b.eventOwners[n]; known {
			continue
		}
		b.eventOwners[n] = m.id
		b.addEvent(m, e.Source, e, false)
		fresh = append(fresh, *e)
	}
	if len(fresh) > 0 {
		root := b.root(m)
		root.changed = true
		root.projection.addEvents(fresh, b.tx.Now)
	}
}

// findEvents gives the people concerned: those named, and those who hold an event of the same key.
func (b *batch) findEvents(ctx context.Context, events map[id.Person][]Event) (map[id.Person]bool, error) {
	found := map[id.Person]bool{}
	keys := map[int64]map[blind]named{}
	for person, list := range events {
		found[person] = true
		for i := range list {
			e := &list[i]
			if e.Kind == "" || e.Key == "" || e.At.IsZero() {
				return nil, fault.New(fault.Invalid, "an event needs a kind, a key and a time").At("%s", person)
			}
			if err := b.wantSource(ctx, e.Source); err != nil {
				return nil, err
			}
			x, err := b.blind(ctx, blindEvent, e.Source, e.Key)
			if err != nil {
				return nil, err
			}
			source := b.sourceIDs[e.Source]
			if keys[source] == nil {
				keys[source] = map[blind]named{}
			}
			keys[source][x] = named{e.Source, e.Key}
		}
	}
	return found, b.holders(ctx, selectEventOwners, keys, b.eventOwners, found)
}

// loadSurvivors loads people and their survivors, without facts and events.
func (b *batch) loadSurvivors(ctx context.Context, found map[id.Person]bool) error {
	up := slices.Collect(maps.Keys(found))
	for len(up) > 0 {
		fresh, err := b.loadPersons(ctx, selectPersons, up)
		if err != nil {
			return err
		}
		up = nil
		for _, m := range fresh {
			if !m.mergedInto.IsZero() && b.members[m.mergedInto] == nil {
				up = append(up, m.mergedInto)
			}
		}
	}
	return nil
}

// SetConsents tells the projection what package consent knows of a person. The caller writes the ledger's entry.
func (p *People) SetConsents(ctx context.Context, tx *store.Tx, person id.Person, consents []ProjectedConsent) error {
	return p.amend(ctx, tx, person, func(b *batch, m *member) {
		m.core = shallow(m.core)
		m.core.Consents = packConsents(consents)
		var lists [][]ProjectedConsent
		for _, o := range b.family(b.root(m)) {
			lists = append(lists, unpackConsents(o.core.GetConsents()))
		}
		root := b.root(m)
		root.projection.Consents = strictest(lists...)
		root.changed = true
	})
}

// SetContactState notes what Carepost found out about a contact point: that it bounced, or that it works again. A source that calls
// it old has the last word.
func (p *People) SetContactState(ctx context.Context, tx *store.Tx, person id.Person, contact id.ContactPoint, state ContactState) error {
	found := false
	err := p.amend(ctx, tx, person, func(b *batch, m *member) {
		m.core = proto.CloneOf(m.core)
		for _, c := range slices.Concat(m.core.Contacts, m.core.GetProfile().GetContacts()) {
			if string(c.Id) != string(contact[:]) {
				continue
			}
			found = true
			if s := ContactState(c.State); s == ContactUsable || s == ContactUnproven || s == ContactInvalid && c.Normal != "" {
				c.State = uint32(state)
			}
		}
		sortContacts(m.core.GetProfile().GetContacts())
		if b.root(m) == m {
			core := unpackCore(m.core)
			m.projection.HasEmail, m.projection.HasPhone = reachable(&core, ChannelEmail), reachable(&core, ChannelPhone)
		}
	})
	if err == nil && !found {
		return fault.New(fault.NotFound, "the person has no such contact point").At("%s", contact)
	}
	return err
}

// Revive takes a person's word that the patient lives: what sources said of a death until now no longer counts.
func (p *People) Revive(ctx context.Context, tx *store.Tx, person id.Person) error {
	return p.rework(ctx, tx, []id.Person{person}, func(b *batch, all []*member) error {
		for _, m := range b.family(b.root(all[0])) {
			m.core = proto.CloneOf(m.core)
			m.core.RevivedMs = store.Millis(tx.Now)
			if m.core.Profile != nil {
				m.core.Profile.Deceased, m.core.Profile.DeceasedOn = false, 0
			}
			m.changed, m.reshaped = true, true
		}
		return b.p.led.Append(ctx, tx, ledger.Entry{
			Act: ledger.ActChange, Subject: person, SubjectKey: all[0].key, Detail: ledger.Detail{"field": "deceased", "reason": "corrected by a person"},
		}, all[0].key)
	})
}

// Merge makes survivor the record of person, on a person's decision. Nothing is moved: Unmerge is exact.
func (p *People) Merge(ctx context.Context, tx *store.Tx, person, survivor id.Person) error {
	return p.rework(ctx, tx, []id.Person{person, survivor}, func(b *batch, all []*member) error {
		b.mergeInto(all[0], all[1])
		if len(b.applied.Warnings) > 0 {
			return fault.New(fault.Conflict, "the records cannot be merged: %s", b.applied.Warnings[0].Reason).At("%s", person)
		}
		if !all[0].moved {
			return nil
		}
		return b.p.led.Append(ctx, tx, ledger.Entry{
			Act: ledger.ActMerge, Subject: person, SubjectKey: all[0].key, Object: survivor.UUID(), Detail: ledger.Detail{"survivor": survivor.String()},
		}, all[0].key)
	})
}

// Unmerge gives a merged record back to itself: its own facts, events and contact points, and everyone who was merged into it.
func (p *People) Unmerge(ctx context.Context, tx *store.Tx, person id.Person) error {
	return p.rework(ctx, tx, []id.Person{person}, func(b *batch, all []*member) error {
		m := all[0]
		if m.mergedInto.IsZero() {
			return fault.New(fault.Conflict, "the record was not merged").At("%s", person)
		}
		from := b.members[m.mergedInto]
		from.changed = true
		b.children[from.id] = slices.DeleteFunc(b.children[from.id], func(o *member) bool { return o == m })
		m.mergedInto, m.state, m.changed, m.moved = id.Person{}, personInUse, true, true
		return b.p.led.Append(ctx, tx, ledger.Entry{
			Act: ledger.ActUnmerge, Subject: person, SubjectKey: m.key, Object: from.id.UUID(), Detail: ledger.Detail{"survivor": from.id.String()},
		}, m.key)
	})
}

// rework loads people whole, lets fn change them, builds anew what is derived, and writes.
func (p *People) rework(ctx context.Context, tx *store.Tx, ids []id.Person, fn func(b *batch, all []*member) error) error {
	b := p.newBatch(tx, id.Import{})
	b.quiet = true
	found := map[id.Person]bool{}
	for _, x := range ids {
		found[x] = true
	}
	if err := b.loadFamilies(ctx, found); err != nil {
		return err
	}
	all := make([]*member, 0, len(ids))
	for _, x := range ids {
		if b.members[x] == nil {
			return errNobody(x)
		}
		all = append(all, b.members[x])
	}
	if err := fn(b, all); err != nil {
		return err
	}
	b.finishFamilies()
	return b.write(ctx)
}

// amend loads a person and the family without facts and events, lets fn change them, and writes.
func (p *People) amend(ctx context.Context, tx *store.Tx, person id.Person, fn func(b *batch, m *member)) error {
	b := p.newBatch(tx, id.Import{})
	b.quiet = true
	if err := b.loadRows(ctx, map[id.Person]bool{person: true}); err != nil {
		return err
	}
	m := b.members[person]
	if m == nil {
		return errNobody(person)
	}
	m.changed = true
	fn(b, m)
	return b.write(ctx)
}
