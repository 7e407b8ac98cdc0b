package people

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Letter is what a message to a person needs: the record, and the key of what is written about the person.
type Letter struct {
	Person
	Key seal.Key
}

// Letters reads several people with their keys, but not what rules ask of them, at half the cost of GetAll. Those that do not exist, or
// whose key is destroyed, are left out.
func (p *People) Letters(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person]Letter, error) {
	found, err := p.cores(ctx, tx, selectLetters, ids)
	if err != nil {
		return nil, err
	}
	fresh := make([]id.Person, 0, len(found))
	for x := range found {
		fresh = append(fresh, x)
	}
	survivor := map[id.Person]id.Person{}
	for len(fresh) > 0 {
		merged, err := p.cores(ctx, tx, selectMergedLetters, fresh)
		if err != nil {
			return nil, err
		}
		fresh = nil
		for x, m := range merged {
			if _, known := survivor[x]; known {
				continue
			}
			fresh = append(fresh, x)
			root := m.MergedInto
			if further, ok := survivor[root]; ok {
				root = further
			}
			survivor[x] = root
			if l, ok := found[root]; ok && m.Core.Deceased {
				l.Core.Deceased = true // of any of its records
				found[root] = l
			}
		}
	}
	return found, nil
}

func (p *People) cores(ctx context.Context, tx *store.Tx, query string, ids []id.Person) (map[id.Person]Letter, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, query, tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	type sealed struct {
		Letter
		wrapped, core []byte
	}
	all := make([]sealed, 0, len(ids))
	err = each(rows, "read people", func() error {
		var s sealed
		err := rows.Scan(&s.ID, &s.Ordinal, &s.MergedInto, &s.Version, &s.ProjectedTo, &s.wrapped, &s.core)
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[id.Person]Letter, len(all))
	for _, s := range all {
		if s.Key, err = p.keys.Subject(ctx, tx, s.ID.UUID(), s.wrapped); err != nil {
			if fault.Is(err, fault.Sealed) {
				continue
			}
			return nil, fmt.Errorf("open the key of %s: %w", s.ID, err)
		}
		core, err := openRecord(s.Key, coreCell(s.ID), s.core, &CoreRecord{})
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", s.ID, err)
		}
		s.Core = unpackCore(core)
		out[s.ID] = s.Letter
	}
	return out, nil
}

// Sharers tells of each of several addresses how many people have it, each household's record counted once.
func (p *People) Sharers(ctx context.Context, tx *store.Tx, channel Channel, normal []string) (map[string]int, error) {
	kind, blindKind := kindEmail, blindEmail
	if channel == ChannelPhone {
		kind, blindKind = kindPhone, blindPhone
	}
	of := map[blind]string{}
	blinds := make([]blind, 0, len(normal))
	for _, n := range normal {
		raw, err := p.keys.Blind(ctx, tx, blindKind, n)
		if err != nil {
			return nil, fmt.Errorf("find people: %w", err)
		}
		x := blind(raw)
		if _, twice := of[x]; !twice {
			of[x] = n
			blinds = append(blinds, x)
		}
	}
	found := map[string][]id.Person{}
	b := p.newBatch(tx, id.Import{})
	if err := b.byBlind(ctx, kind, blinds, func(x blind, person id.Person) { found[of[x]] = append(found[of[x]], person) }); err != nil {
		return nil, err
	}
	out := make(map[string]int, len(found))
	for n, persons := range found {
		out[n] = len(persons)
		if len(persons) > 1 {
			roots, err := p.roots(ctx, tx, persons)
			if err != nil {
				return nil, err
			}
			out[n] = len(roots)
		}
	}
	return out, nil
}

const (
	selectLetters = `SELECT id, ordinal, merged_into, version, projected_to, wrapped_key, core FROM person WHERE organisation_id = ? AND id IN {{blobs}}`

	selectMergedLetters = `SELECT id, ordinal, merged_into, version, projected_to, wrapped_key, core FROM person
WHERE organisation_id = ? AND merged_into IN {{blobs}}`
)
