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
}

// slot is a resource, as the rows name it.
type slot struct {
	source   int64
	resource blind
}

// Undo takes an import back for up to limit people after the given one: its versions are withdrawn, those they replaced are current
// again, and what is derived follows. Versions of later imports stay; undone themselves, they give way to what was before this one.
// It gives the people it worked on, fewer than the limit when there are no more. Raw messages are not touched.
func (p *People) Undo(ctx context.Context, tx *store.Tx, imp id.Import, after id.Person, limit int) ([]id.Person, error) {
	b := p.newBatch(tx, imp)
	b.quiet = true
	persons, err := b.importedPeople(ctx, after, limit)
	if err != nil || len(persons) == 0 {
		return nil, err
	}
	rows, err := b.importedRows(ctx, persons)
	if err != nil {
		return nil, err
	}
	replaced, err := b.replacedRows(ctx, rows)
	if err != nil {
		return nil, err
	}
	found := map[id.Person]bool{}
	for _, r := range rows {
		found[r.person] = true
	}
	for _, f := range replaced {
		found[f.person] = true
	}
	if err := b.loadFamilies(ctx, found); err != nil {
		return nil, err
	}
	if err := b.takeOut(ctx, rows, replaced); err != nil {
		return nil, err
	}
	b.finishFamilies()
	if err := b.write(ctx); err != nil {
		return nil, err
	}
	return persons, b.recordUndo(ctx, persons)
}

func (b *batch) importedPeople(ctx context.Context, after id.Person, limit int) ([]id.Person, error) {
	rows, err := b.tx.Query(ctx, selectImported, b.tx.Organisation(), b.imp, after[:], limit) //nolint:sqlclosecheck // each reads it to the end and closes it
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
		err := rows.Scan(&r.person, &r.id, &r.slot.source, &resource, &state, &r.endedAt, &r.endedBy)
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
	for _, m := range b.members {
		for i := range m.events {
			if e := &m.events[i]; e.imported == b.imp && !e.record.Derived && !e.ended {
				b.endEvent(m, i)
			}
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
