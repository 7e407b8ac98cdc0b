package people

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Get reads one person. MergedInto of a merged record names the survivor; the survivor counts as deceased when any of its records is.
func (p *People) Get(ctx context.Context, tx *store.Tx, person id.Person) (Person, error) {
	all, err := p.GetAll(ctx, tx, []id.Person{person})
	if err != nil {
		return Person{}, err
	}
	if len(all) == 0 {
		return Person{}, errNobody(person)
	}
	return all[0], nil
}

// GetAll reads several people; those that do not exist are left out.
func (p *People) GetAll(ctx context.Context, tx *store.Tx, ids []id.Person) ([]Person, error) {
	b := p.newBatch(tx, id.Import{})
	if _, err := b.loadPersons(ctx, selectPersons, ids); err != nil {
		return nil, err
	}
	found := make([]id.Person, 0, len(b.members))
	for _, x := range ids {
		if b.members[x] != nil && !slices.Contains(found, x) {
			found = append(found, x)
		}
	}
	for fresh := found; len(fresh) > 0; {
		merged, err := b.loadPersons(ctx, selectMergedInto, fresh)
		if err != nil {
			return nil, err
		}
		fresh = nil
		for _, m := range merged {
			fresh = append(fresh, m.id)
		}
	}
	for _, m := range b.members {
		if !m.mergedInto.IsZero() {
			b.children[m.mergedInto] = append(b.children[m.mergedInto], m)
		}
	}
	all := make([]Person, 0, len(found))
	for _, x := range found {
		m := b.members[x]
		person := Person{
			ID: m.id, Ordinal: m.ordinal, Version: m.version, ProjectedTo: m.projectedTo, MergedInto: m.mergedInto, Core: unpackCore(m.core),
		}
		for _, o := range b.family(m) {
			person.Core.Deceased = person.Core.Deceased || o.core.GetProfile().GetDeceased()
		}
		all = append(all, person)
	}
	return all, nil
}

// Key gives the person's key, for other owners' rows about the person.
func (p *People) Key(ctx context.Context, tx *store.Tx, person id.Person) (seal.Key, error) {
	keys, err := p.Keys(ctx, tx, []id.Person{person})
	if err != nil {
		return seal.Key{}, err
	}
	key, ok := keys[person]
	if !ok {
		return seal.Key{}, errNobody(person)
	}
	return key, nil
}

// Keys gives the keys of several people; those that do not exist are left out.
func (p *People) Keys(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person]seal.Key, error) {
	rows, err := tx.Query(ctx, selectKeys, tx.Organisation(), store.Blobs(ids)) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	wrapped := map[id.Person][]byte{}
	err = each(rows, "read keys", func() error {
		var (
			person id.Person
			w      []byte
		)
		err := rows.Scan(&person, &w)
		wrapped[person] = w
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := make(map[id.Person]seal.Key, len(wrapped))
	for person, w := range wrapped {
		if keys[person], err = p.keys.Subject(ctx, tx, person.UUID(), w); err != nil {
			return nil, fmt.Errorf("open the key of %s: %w", person, err)
		}
	}
	return keys, nil
}

// LiveKeys gives the keys of several people; those that do not exist, and those whose key is destroyed, are left out.
func (p *People) LiveKeys(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person]seal.Key, error) {
	keys, err := p.Keys(ctx, tx, ids)
	if !fault.Is(err, fault.Sealed) {
		return keys, err
	}
	keys = map[id.Person]seal.Key{}
	for _, x := range ids {
		one, err := p.Keys(ctx, tx, []id.Person{x})
		switch key, there := one[x]; {
		case fault.Is(err, fault.Sealed):
		case err != nil:
			return nil, err
		case there:
			keys[x] = key
		}
	}
	return keys, nil
}

// ByIdentifier finds people by a kept identifier: the survivors, each once. More than one is a conflict that a person must settle.
func (p *People) ByIdentifier(ctx context.Context, tx *store.Tx, x Identifier) ([]id.Person, error) {
	return p.find(ctx, tx, kindIdentifier, blindIdentifier, NormalIdentifier(x))
}

// BySubject finds a person by the source's own key: "Patient/p1".
func (p *People) BySubject(ctx context.Context, tx *store.Tx, source, subject string) ([]id.Person, error) {
	return p.find(ctx, tx, kindSubject, blindSubject, source+"\x00"+subject)
}

// ByContact finds people by an email address or phone number in its normal form. Households share addresses: several is usual.
func (p *People) ByContact(ctx context.Context, tx *store.Tx, channel Channel, normal string) ([]id.Person, error) {
	if channel == ChannelPhone {
		return p.find(ctx, tx, kindPhone, blindPhone, normal)
	}
	return p.find(ctx, tx, kindEmail, blindEmail, normal)
}

func (p *People) find(ctx context.Context, tx *store.Tx, kind int, blindKind, value string) ([]id.Person, error) {
	raw, err := p.keys.Blind(ctx, tx, blindKind, value)
	if err != nil {
		return nil, fmt.Errorf("find people: %w", err)
	}
	b := p.newBatch(tx, id.Import{})
	var found []id.Person
	if err := b.byBlind(ctx, kind, []blind{blind(raw)}, func(_ blind, person id.Person) { found = append(found, person) }); err != nil {
		return nil, err
	}
	return p.roots(ctx, tx, found)
}

// Facts gives the current facts of a person and of everyone merged into it, oldest first; kinds limits them. Profiles are left out
// unless asked for.
func (p *People) Facts(ctx context.Context, tx *store.Tx, person id.Person, kinds ...FactKind) ([]Fact, error) {
	b, err := p.familyBatch(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	if err := b.loadFacts(ctx); err != nil {
		return nil, err
	}
	var all []Fact
	for _, m := range b.sortedMembers() {
		for i := range m.facts {
			f := b.fact(m, &m.facts[i])
			if slices.Contains(kinds, f.Kind) || len(kinds) == 0 && f.Kind != FactProfile {
				all = append(all, f)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Fact) int { return compareMoments(x.Start, y.Start) })
	return all, nil
}

func compareMoments(a, b Moment) int { return int(max(-1, min(1, a.Unix()-b.Unix()))) }

// Events gives the standing events of a person and of everyone merged into it since a moment, oldest first.
func (p *People) Events(ctx context.Context, tx *store.Tx, person id.Person, since time.Time) ([]Event, error) {
	b, err := p.familyBatch(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	if err := b.loadEvents(ctx); err != nil {
		return nil, err
	}
	var all []Event
	for _, m := range b.sortedMembers() {
		for i := range m.events {
			row := &m.events[i]
			e := unpackEvent(row.record)
			e.ID, e.Source, e.Import = row.id, row.source, row.imported
			if !e.At.Before(since) {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Event) int { return x.At.Compare(y.At) })
	return all, nil
}

// familyBatch opens a person and everyone merged into it, without facts and events.
func (p *People) familyBatch(ctx context.Context, tx *store.Tx, person id.Person) (*batch, error) {
	ids, err := p.family(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	b := p.newBatch(tx, id.Import{})
	if _, err := b.loadPersons(ctx, selectPersons, ids); err != nil {
		return nil, err
	}
	if b.members[person] == nil {
		return nil, errNobody(person)
	}
	return b, nil
}

// Count gives the number of people's records in use.
func (p *People) Count(ctx context.Context, tx *store.Tx) (n int64, err error) {
	if err := tx.QueryRow(ctx, countPeople, tx.Organisation()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count people: %w", err)
	}
	return n, nil
}

// List gives people's ids in the order in which they were made, after an ordinal: for pages of a list.
func (p *People) List(ctx context.Context, tx *store.Tx, after uint32, limit int) ([]id.Person, error) {
	rows, err := tx.Query(ctx, selectPeople, tx.Organisation(), int64(after), limit) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	var all []id.Person
	err = each(rows, "list people", func() error {
		var person id.Person
		err := rows.Scan(&person)
		all = append(all, person)
		return err
	})
	return all, err
}
