package people

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// Written gives of how many people an import wrote facts: of those who existed before it, and of those made since.
func (p *People) Written(ctx context.Context, tx *store.Tx, imp id.Import) (known, made int64, err error) {
	if err := tx.QueryRow(ctx, countImported, imp[:], imp[:], tx.Organisation(), imp).Scan(&known, &made); err != nil {
		return 0, 0, fmt.Errorf("count what an import wrote: %w", err)
	}
	return known, made, nil
}

// importedRow is a version of a resource that the import wrote and that is not withdrawn.
type importedRow struct {
	person  id.Person
	id      id.Fact
	slot    slot
	current bool
	endedAt int64
	endedBy id.Import
	sealed  []byte
}

// slot is a resource, as the rows name it.
type slot struct {
	source   int64
	resource blind
}

// Undo takes an import back for up to limit people after the given one: its versions are withdrawn, those they replaced are current
// again, and what is derived follows. Versions of later imports stay; undone themselves, they give way to what was before this one.
// It gives the people it worked on, fewer than the limit when there are no more. Raw messages are not touched.
func (p *People) Undo(ctx context.Context, tx *store.Tx, imp id.Import, after id.Person, limit int) ([]id.Person, []Withdrawn, error) {
	b := p.newBatch(tx, imp)
	b.quiet = true
	persons, err := b.importedPeople(ctx, after, limit)
	if err != nil || len(persons) == 0 {
		return nil, nil, err
	}
	rows, err := b.importedRows(ctx, persons)
	if err != nil {
		return nil, nil, err
	}
	if rows, err = b.giveUp(ctx, rows); err != nil {
		return nil, nil, err
	}
	replaced, err := b.replacedRows(ctx, rows)
	if err != nil {
		return nil, nil, err
	}
	found := map[id.Person]bool{}
	for _, person := range persons {
		found[person] = true
	}
	for _, f := range replaced {
		found[f.person] = true
	}
	if err := b.loadFamilies(ctx, found); err != nil {
		return nil, nil, err
	}
	if err := b.takeOut(ctx, rows, replaced); err != nil {
		return nil, nil, err
	}
	gone, err := b.withdrawn(ctx, rows)
	if err != nil {
		return nil, nil, err
	}
	b.finishFamilies()
	if err := b.write(ctx); err != nil {
		return nil, nil, err
	}
	return persons, gone, b.recordUndo(ctx, persons)
}

// Withdrawn is a consent that a source reported and that is withdrawn with its import, and what the source says now in its place.
type Withdrawn struct {
	Person id.Person
	Fact   Fact
	Now    *Fact
}

// saidToo gives, of rows of the import, the first other import that says the same.
func (b *batch) saidToo(ctx context.Context, ids []id.UUID) (map[id.UUID]id.Import, error) {
	rows, err := b.tx.Query(ctx, selectSaid, b.tx.Organisation(), store.Blobs(ids), b.imp) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("ask who says the same: %w", err)
	}
	all := map[id.UUID]id.Import{}
	return all, each(rows, "ask who says the same", func() error {
		var (
			row   id.UUID
			other id.Import
		)
		err := rows.Scan(&row, &other)
		all[row] = other
		return err
	})
}

// giveUp hands the rows that another import says too to that one, and gives the others.
func (b *batch) giveUp(ctx context.Context, rows []importedRow) ([]importedRow, error) {
	ids := make([]id.UUID, 0, len(rows))
	for i := range rows {
		ids = append(ids, rows[i].id.UUID())
	}
	heirs, err := b.saidToo(ctx, ids)
	if err != nil || len(heirs) == 0 {
		return rows, err
	}
	kept := rows[:0]
	for _, r := range rows {
		heir, said := heirs[r.id.UUID()]
		if !said {
			kept = append(kept, r)
			continue
		}
		if _, err := b.tx.Exec(ctx, ownFact, heir, b.tx.Organisation(), r.person, r.id); err != nil {
			return nil, fmt.Errorf("give up %s: %w", r.id, err)
		}
		if _, err := b.tx.Exec(ctx, deleteSaid, b.tx.Organisation(), heir, r.id.UUID()); err != nil {
			return nil, fmt.Errorf("give up %s: %w", r.id, err)
		}
	}
	return kept, nil
}

// withdrawn gives the consents among the rows.
func (b *batch) withdrawn(_ context.Context, rows []importedRow) (all []Withdrawn, err error) {
	for i := range rows {
		r := &rows[i]
		m := b.members[r.person]
		plain, err := m.key.Open(factCell(r.id), r.sealed)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", r.id, err)
		}
		record, err := decode(plain, &FactRecord{})
		if err != nil {
			return nil, err
		}
		if FactKind(record.Kind) != FactConsent {
			continue
		}
		w := Withdrawn{Person: r.person, Fact: unpackFact(record)}
		w.Fact.ID, w.Fact.Import = r.id, b.imp
		for j := range m.facts {
			if f := &m.facts[j]; !f.ended && f.resource == r.slot.resource && f.record.Resource == record.Resource {
				now := b.fact(m, f)
				w.Now = &now
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// ForgetSaid forgets, some at a time, which rows of others an undone import said too, and tells whether there are more.
func (p *People) ForgetSaid(ctx context.Context, tx *store.Tx, imp id.Import) (more bool, err error) {
	const some = 5000
	n, err := tx.Exec(ctx, forgetSaid, tx.Organisation(), imp, tx.Organisation(), imp, some)
	if err != nil {
		return false, fmt.Errorf("forget what an import said too: %w", err)
	}
	return n == some, nil
}

func (b *batch) importedPeople(ctx context.Context, after id.Person, limit int) ([]id.Person, error) {
	rows, err := b.tx.Query(ctx, selectImported, b.tx.Organisation(), b.imp, after[:], b.tx.Organisation(), b.imp, after[:], limit) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("find people of an import: %w", err)
	}
	var all []id.Person
	return all, each(rows, "find people of an import", func() error {
		var person id.Person
		err := rows.Scan(&person)
		all = append(all, person)
		return err
	})
}

func (b *batch) importedRows(ctx context.Context, persons []id.Person) ([]importedRow, error) {
	rows, err := b.tx.Query(ctx, selectImportedRows, b.tx.Organisation(), store.Blobs(persons), b.imp)
	if err != nil {
		return nil, fmt.Errorf("read facts of an import: %w", err)
	}
	var all []importedRow
	return all, each(rows, "read facts of an import", func() error {
		var (
			r        importedRow
			state    int64
			resource id.UUID
		)
		err := rows.Scan(&r.person, &r.id, &r.slot.source, &resource, &state, &r.endedAt, &r.endedBy, &r.sealed)
		r.slot.resource, r.current = blind(resource), state == factCurrent
		all = append(all, r)
		return err
	})
}

// replacedRow is a version that the import replaced.
type replacedRow struct {
	person id.Person
	slot   slot
	row    factRow
	sealed []byte
}

func (b *batch) replacedRows(ctx context.Context, imported []importedRow) (map[slot]*replacedRow, error) {
	resources := make([]blind, 0, len(imported))
	for _, r := range imported {
		resources = append(resources, r.slot.resource)
	}
	rows, err := b.tx.Query(ctx, selectReplaced, b.tx.Organisation(), b.imp, b.imp, store.Blobs(resources))
	if err != nil {
		return nil, fmt.Errorf("read what an import replaced: %w", err)
	}
	all := map[slot]*replacedRow{}
	return all, each(rows, "read what an import replaced", func() error {
		var (
			r        replacedRow
			resource id.UUID
			sealed   sql.RawBytes
		)
		if err := rows.Scan(&r.person, &r.row.id, &r.slot.source, &resource, &r.row.imported, &sealed); err != nil {
			return err
		}
		r.slot.resource, r.row.resource, r.sealed = blind(resource), blind(resource), append([]byte(nil), sealed...)
		all[r.slot] = &r
		return nil
	})
}

// takeOut withdraws the import's versions and puts those back that they replaced.
func (b *batch) takeOut(ctx context.Context, imported []importedRow, replaced map[slot]*replacedRow) error {
	for i := range imported {
		r := &imported[i]
		b.withdraw(b.members[r.person], r.id)
		_, err := b.tx.Exec(ctx, withdrawFact, store.Millis(b.tx.Now), b.tx.Organisation(), r.person, r.id)
		if err != nil {
			return fmt.Errorf("withdraw %s: %w", r.id, err)
		}
	}
	names, err := b.p.sourceNames(ctx, b.tx)
	if err != nil {
		return err
	}
	for i := range imported {
		r := &imported[i]
		old := replaced[r.slot]
		if old == nil || !r.current && r.endedBy == b.imp {
			continue // new with the import, or an earlier version of the same import
		}
		if !r.current {
			// A later import stands on it: the older version waits for that one's undoing.
			if _, err := b.tx.Exec(ctx, handOnFact, r.endedBy, r.endedAt, b.tx.Organisation(), old.person, old.row.id); err != nil {
				return fmt.Errorf("hand on %s: %w", old.row.id, err)
			}
			continue
		}
		m := b.members[old.person]
		old.row.source = names[old.slot.source]
		if old.row.plain, err = m.key.Open(factCell(old.row.id), old.sealed); err != nil {
			return fmt.Errorf("open %s: %w", old.row.id, err)
		}
		if old.row.record, err = decode(old.row.plain, &FactRecord{}); err != nil {
			return err
		}
		m.addFact(old.row)
		m.touch(old.row.record)
		if _, err := b.tx.Exec(ctx, restoreFact, b.tx.Organisation(), m.id, old.row.id); err != nil {
			return fmt.Errorf("restore %s: %w", old.row.id, err)
		}
	}
	return b.takeOutEvents(ctx)
}

// takeOutEvents takes the events back that the import's source sent, but for those that another import says too.
func (b *batch) takeOutEvents(ctx context.Context) error {
	type place struct {
		m  *member
		at int
	}
	mine := map[id.UUID]place{}
	var ids []id.UUID
	for _, m := range b.sortedMembers() {
		for i := range m.events {
			if e := &m.events[i]; e.imported == b.imp && !e.record.Derived && !e.ended {
				mine[e.id.UUID()] = place{m, i}
				ids = append(ids, e.id.UUID())
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	heirs, err := b.saidToo(ctx, ids)
	if err != nil {
		return err
	}
	for _, x := range ids {
		p := mine[x]
		heir, said := heirs[x]
		if !said {
			b.endEvent(p.m, p.at)
			continue
		}
		if _, err := b.tx.Exec(ctx, ownEvent, heir, b.tx.Organisation(), p.m.events[p.at].seq); err != nil {
			return fmt.Errorf("give up an event: %w", err)
		}
		if _, err := b.tx.Exec(ctx, deleteSaid, b.tx.Organisation(), heir, x); err != nil {
			return fmt.Errorf("give up an event: %w", err)
		}
	}
	return nil
}

// withdraw takes a current version out of a loaded record. A death or a merge that it said goes with it.
func (b *batch) withdraw(m *member, fact id.Fact) {
	m.changed, m.reshaped = true, true
	at := slices.IndexFunc(m.facts, func(f factRow) bool { return f.id == fact })
	if at < 0 {
		return // superseded by a later import: it is not loaded
	}
	said := m.facts[at].record.Profile
	m.facts = slices.Delete(m.facts, at, at+1)
	clear(m.byResource)
	for i := range m.facts {
		m.byResource[named{m.facts[i].source, m.facts[i].record.Resource}] = i
	}
	if said.GetDeceased() {
		m.core = proto.CloneOf(m.core)
		m.core.Profile.Deceased, m.core.Profile.DeceasedOn = false, 0
	}
	if said.GetReplacedBy() != "" && !m.mergedInto.IsZero() {
		from := b.members[m.mergedInto]
		from.changed = true
		b.children[from.id] = slices.DeleteFunc(b.children[from.id], func(o *member) bool { return o == m })
		m.mergedInto, m.state, m.moved = id.Person{}, personInUse, true
	}
}

func (b *batch) recordUndo(ctx context.Context, persons []id.Person) error {
	entries := make([]ledger.Keyed, 0, len(persons))
	for _, person := range persons {
		m := b.members[person]
		entries = append(entries, ledger.Keyed{Entry: ledger.Entry{Act: ledger.ActUndo, Subject: m.id, SubjectKey: m.key, Object: b.imp.UUID()}, Key: m.key})
	}
	return b.p.led.AppendAll(ctx, b.tx, entries)
}
