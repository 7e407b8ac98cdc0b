package people

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

func coreCell(p id.Person) seal.Cell {
	return seal.Cell{Table: "person", Column: "core", Row: bytesOf(p)}
}

func projectionCell(p id.Person) seal.Cell {
	return seal.Cell{Table: "person", Column: "projection", Row: bytesOf(p)}
}

func factCell(f id.Fact) seal.Cell {
	return seal.Cell{Table: "fact", Column: "record", Row: bytesOf(f)}
}

func eventCell(e id.Event) seal.Cell {
	return seal.Cell{Table: "event", Column: "record", Row: bytesOf(e)}
}

// loadFamilies loads people with everyone they were merged with, up and down, and all that is current about them.
func (b *batch) loadFamilies(ctx context.Context, found map[id.Person]bool) error {
	if err := b.loadRows(ctx, found); err != nil {
		return err
	}
	if len(b.members) == 0 {
		return nil
	}
	if err := b.sourcesOfAll(ctx); err != nil {
		return err
	}
	if err := b.loadFacts(ctx); err != nil {
		return err
	}
	return b.loadEvents(ctx)
}

// loadRows loads people with everyone they were merged with, without facts and events.
func (b *batch) loadRows(ctx context.Context, found map[id.Person]bool) error {
	up := maps.Clone(found)
	for len(up) > 0 {
		fresh, err := b.loadPersons(ctx, selectPersons, slices.Collect(maps.Keys(up)))
		if err != nil {
			return err
		}
		clear(up)
		for len(fresh) > 0 {
			ids := make([]id.Person, 0, len(fresh))
			for _, m := range fresh {
				ids = append(ids, m.id)
				if !m.mergedInto.IsZero() && b.members[m.mergedInto] == nil {
					up[m.mergedInto] = true
				}
			}
			if fresh, err = b.loadPersons(ctx, selectMergedInto, ids); err != nil {
				return err
			}
		}
	}
	for _, m := range b.sortedMembers() {
		if !m.mergedInto.IsZero() {
			b.children[m.mergedInto] = append(b.children[m.mergedInto], m)
		}
	}
	return nil
}

// loadPersons loads the rows of a query that are not loaded yet, and gives them.
func (b *batch) loadPersons(ctx context.Context, query string, ids []id.Person) ([]*member, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := b.tx.Query(ctx, query, b.tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	type sealed struct {
		m                *member
		projection, core []byte
	}
	var all []sealed
	err = each(rows, "read people", func() error {
		s := sealed{m: &member{byResource: map[named]int{}}}
		err := rows.Scan(&s.m.id, &s.m.ordinal, &s.m.state, &s.m.mergedInto, &s.m.version, &s.m.projectedTo, &s.m.wrapped, &s.projection, &s.core)
		if err == nil && b.members[s.m.id] == nil {
			all = append(all, s)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	fresh := make([]*member, 0, len(all))
	for _, s := range all {
		if err := b.open(ctx, s.m, s.projection, s.core); err != nil {
			return nil, err
		}
		b.members[s.m.id] = s.m
		fresh = append(fresh, s.m)
	}
	return fresh, nil
}

func (b *batch) open(ctx context.Context, m *member, projection, core []byte) (err error) {
	if m.key, err = b.p.keys.Subject(ctx, b.tx, m.id.UUID(), m.wrapped); err != nil {
		return fmt.Errorf("open the key of %s: %w", m.id, err)
	}
	if m.core, err = openRecord(m.key, coreCell(m.id), core, &CoreRecord{}); err != nil {
		return fmt.Errorf("open %s: %w", m.id, err)
	}
	r, err := openRecord(m.key, projectionCell(m.id), projection, &ProjectionRecord{})
	if err != nil {
		return fmt.Errorf("open the projection of %s: %w", m.id, err)
	}
	m.projection = unpackProjection(r, b.tx.Now)
	m.oldCore = m.core
	return nil
}

func openRecord[M record](key seal.Key, c seal.Cell, sealed []byte, into M) (M, error) {
	plain, err := key.Open(c, sealed)
	if err != nil {
		return into, err
	}
	return decode(plain, into)
}

func (b *batch) memberIDs() []id.Person {
	all := make([]id.Person, 0, len(b.members))
	for p, m := range b.members {
		if !m.fresh && !m.shadow {
			all = append(all, p)
		}
	}
	return all
}

func (b *batch) loadFacts(ctx context.Context) error {
	ids := b.memberIDs()
	if len(ids) == 0 {
		return nil
	}
	names, err := b.p.sourceNames(ctx, b.tx)
	if err != nil {
		return err
	}
	rows, err := b.tx.Query(ctx, selectFacts, b.tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	return each(rows, "read facts", func() error {
		var (
			f        factRow
			person   id.Person
			source   int64
			resource id.UUID
			sealed   sql.RawBytes
		)
		if err := rows.Scan(&person, &f.id, &source, &resource, &f.imported, &sealed); err != nil {
			return err
		}
		m := b.members[person]
		f.source, f.resource = names[source], blind(resource)
		if f.source == "" {
			return fault.New(fault.Internal, "a fact of a source that is not there").At("%s", f.id)
		}
		var err error
		if f.plain, err = m.key.Open(factCell(f.id), sealed); err != nil {
			return fmt.Errorf("open %s: %w", f.id, err)
		}
		if f.record, err = decode(f.plain, &FactRecord{}); err != nil {
			return fmt.Errorf("open %s: %w", f.id, err)
		}
		m.addFact(f)
		return nil
	})
}

func (m *member) addFact(f factRow) {
	m.facts = append(m.facts, f)
	if !f.ended {
		m.byResource[named{f.source, f.record.Resource}] = len(m.facts) - 1
	}
}

func (b *batch) loadEvents(ctx context.Context) error {
	ids := b.memberIDs()
	if len(ids) == 0 {
		return nil
	}
	names, err := b.p.sourceNames(ctx, b.tx)
	if err != nil {
		return err
	}
	rows, err := b.tx.Query(ctx, selectEvents, b.tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return each(rows, "read events", func() error {
		var (
			e      eventRow
			person id.Person
			source int64
			key    id.UUID
			sealed sql.RawBytes
		)
		if err := rows.Scan(&person, &e.seq, &e.id, &source, &key, &e.imported, &sealed); err != nil {
			return err
		}
		m := b.members[person]
		e.source, e.key = names[source], blind(key)
		var err error
		if e.record, err = openRecord(m.key, eventCell(e.id), sealed, &EventRecord{}); err != nil {
			return fmt.Errorf("open %s: %w", e.id, err)
		}
		m.events = append(m.events, e)
		return nil
	})
}

// sourcesOfAll makes the numbers of all sources known to the batch: events derived anew need them.
func (b *batch) sourcesOfAll(ctx context.Context) error {
	names, err := b.p.sourceNames(ctx, b.tx)
	for n, name := range names {
		b.sourceIDs[name] = n
	}
	return err
}
