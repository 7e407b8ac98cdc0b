package consent

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// At is an address as it is suppressed: the channel and the normal form.
type At struct {
	Channel people.Channel
	Address string
}

// Of gives all that is known of a person, of every record that was merged with it.
func (r *Consents) Of(ctx context.Context, tx *store.Tx, person id.Person) (Record, error) {
	all, err := r.OfAll(ctx, tx, []id.Person{person})
	return all[person], err
}

// OfAll gives the records of several people, each with those of its whole family.
func (r *Consents) OfAll(ctx context.Context, tx *store.Tx, persons []id.Person) (map[id.Person]Record, error) {
	families, err := r.people.Families(ctx, tx, persons)
	if err != nil {
		return nil, err
	}
	seen := map[id.Person]bool{}
	var every []id.Person
	for _, family := range families {
		for _, m := range family {
			if !seen[m] {
				seen[m] = true
				every = append(every, m)
			}
		}
	}
	own, err := r.of(ctx, tx, every)
	if err != nil {
		return nil, err
	}
	stopped, err := r.stopped(ctx, tx, families)
	if err != nil {
		return nil, err
	}
	out := make(map[id.Person]Record, len(persons))
	for _, p := range persons {
		var x Record
		for _, m := range families[p] {
			x.join(own[m])
			x.Suppressions = append(x.Suppressions, stopped[m]...)
		}
		if len(families[p]) > 1 {
			x.strictest()
		}
		out[p] = x
	}
	return out, nil
}

// stopped gives, for people whose records were merged, what was unsubscribed at any address of any of the records: who said no at one
// address has said it, wherever the other record would be written to. That an address takes no mail says nothing of another.
func (r *Consents) stopped(ctx context.Context, tx *store.Tx, families map[id.Person][]id.Person) (map[id.Person][]Suppression, error) {
	seen := map[id.Person]bool{}
	var merged []id.Person
	for _, family := range families {
		for _, m := range family {
			if len(family) > 1 && !seen[m] {
				seen[m] = true
				merged = append(merged, m)
			}
		}
	}
	if len(merged) == 0 {
		return nil, nil
	}
	all, err := r.people.GetAll(ctx, tx, merged)
	if err != nil {
		return nil, err
	}
	holders := map[At][]id.Person{}
	var at []At
	for _, p := range all {
		for _, c := range p.Core.Contacts {
			a := At{c.Channel, c.Normal}
			if c.Normal == "" || c.Channel != people.ChannelEmail && c.Channel != people.ChannelPhone {
				continue
			}
			if holders[a] == nil {
				at = append(at, a)
			}
			holders[a] = append(holders[a], p.ID)
		}
	}
	found, err := r.Suppressed(ctx, tx, at)
	if err != nil {
		return nil, err
	}
	out := map[id.Person][]Suppression{}
	for _, a := range at {
		for _, s := range found[a] {
			if s.Covers == CoversAddress {
				continue
			}
			for _, p := range holders[a] {
				s.Person = p
				out[p] = append(out[p], s)
			}
		}
	}
	return out, nil
}

// of gives the records of people by themselves, without their families.
func (r *Consents) of(ctx context.Context, tx *store.Tx, persons []id.Person) (map[id.Person]Record, error) {
	rows, err := tx.Query(ctx, selectConsents, tx.Organisation(), store.Blobs(persons))
	if err != nil {
		return nil, fmt.Errorf("read consent records: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var list []sealedRow
	var holders []id.Person
	for rows.Next() {
		var s sealedRow
		var made, ended int64
		if err := rows.Scan(&s.row.Person, &s.id, &s.kind, &s.row.Status, &made, &ended, &s.record, &s.ending, &s.row.cause); err != nil {
			return nil, fmt.Errorf("read consent records: %w", err)
		}
		s.row.Made, s.row.Ended = store.Time(made), store.Time(ended)
		if n := len(holders); n == 0 || holders[n-1] != s.row.Person {
			holders = append(holders, s.row.Person)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read consent records: %w", err)
	}
	out := make(map[id.Person]Record, len(holders))
	if len(list) == 0 {
		return out, nil
	}
	keys, err := r.people.Keys(ctx, tx, holders)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		x := out[s.row.Person]
		if err := s.open(keys[s.row.Person], &x); err != nil {
			return nil, err
		}
		out[s.row.Person] = x
	}
	return out, nil
}

type sealedRow struct {
	id             id.UUID
	kind           int
	row            Row
	record, ending []byte
}

func (s *sealedRow) open(key seal.Key, x *Record) error {
	plain, err := key.Open(cell("consent", "record", s.id), s.record)
	if err != nil {
		return fmt.Errorf("open consent record %s: %w", s.id, err)
	}
	if len(s.ending) > 0 {
		how, err := key.Open(cell("consent", "ending", s.id), s.ending)
		if err != nil {
			return fmt.Errorf("open the end of consent record %s: %w", s.id, err)
		}
		if err := read(how, func(p *EvidenceRecord) { s.row.Ending = unpackEvidence(p) }); err != nil {
			return err
		}
	}
	return x.add(s.kind, s.id, s.row, plain)
}

// Suppressed gives the suppressions in force of addresses. Addresses without any are left out.
func (r *Consents) Suppressed(ctx context.Context, tx *store.Tx, addresses []At) (map[At][]Suppression, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	blinds := make([][16]byte, 0, len(addresses))
	back := make(map[[16]byte]At, len(addresses))
	for _, a := range addresses {
		b, err := r.address(ctx, tx, a.Channel, a.Address)
		if err != nil {
			return nil, err
		}
		blinds = append(blinds, [16]byte(b))
		back[[16]byte(b)] = a
	}
	rows, err := tx.Query(ctx, selectSuppressions, tx.Organisation(), store.Blobs(blinds))
	if err != nil {
		return nil, fmt.Errorf("read suppressions: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	type sealed struct {
		at     At
		id     id.Suppression
		row    Row
		record []byte
	}
	var list []sealed
	for rows.Next() {
		var s sealed
		var blind, ending []byte
		var made, ended int64
		if err := rows.Scan(&blind, &s.id, &s.row.Status, &made, &ended, &s.record, &ending, &s.row.imp); err != nil {
			return nil, fmt.Errorf("read suppressions: %w", err)
		}
		s.at, s.row.Made, s.row.Ended = back[[16]byte(blind)], store.Time(made), store.Time(ended)
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read suppressions: %w", err)
	}
	out := map[At][]Suppression{}
	for _, s := range list {
		plain, err := r.keys.Open(ctx, tx, cell("suppression", "record", s.id.UUID()), s.record)
		if err != nil {
			return nil, fmt.Errorf("open suppression %s: %w", s.id, err)
		}
		var p SuppressionRecord
		if err := proto.Unmarshal(plain, &p); err != nil {
			return nil, fmt.Errorf("decode suppression %s: %w", s.id, err)
		}
		out[s.at] = append(out[s.at], unpackSuppression(s.id.UUID(), s.row, ScopeAddress, &p))
	}
	return out, nil
}

func (x *Record) join(o Record) {
	x.Consents = append(x.Consents, o.Consents...)
	x.Authorizations = append(x.Authorizations, o.Authorizations...)
	x.Restrictions = append(x.Restrictions, o.Restrictions...)
	x.Confidential = append(x.Confidential, o.Confidential...)
	x.PlainRequests = append(x.PlainRequests, o.PlainRequests...)
	x.Part2 = append(x.Part2, o.Part2...)
	x.Suppressions = append(x.Suppressions, o.Suppressions...)
	x.Proposals = append(x.Proposals, o.Proposals...)
	x.Preferences = append(x.Preferences, o.Preferences...)
}

// strictest lets what one merged record took back count against what another still holds: an authorization that was signed
// before a revocation of the same purpose, a wish for plain mail before its withdrawal, a consent under Part 2.
func (x *Record) strictest() {
	for i := range x.Authorizations {
		a := &x.Authorizations[i]
		for _, b := range x.Authorizations {
			revoked := b.Status == Ended && !b.EventReached()
			if a.Status == InForce && revoked && b.Person != a.Person && !b.Ended.Before(a.Made) && overlap(a.Purposes, b.Purposes) {
				a.Status, a.Ended, a.Ending = Ended, b.Ended, b.Ending
			}
		}
	}
	for i := range x.PlainRequests {
		p := &x.PlainRequests[i]
		for _, q := range x.PlainRequests {
			if p.Status == InForce && q.Status == Ended && q.Person != p.Person && q.Channel == p.Channel && !q.Ended.Before(p.Made) {
				p.Status, p.Ended, p.Ending = Ended, q.Ended, q.Ending
			}
		}
	}
	for i := range x.Part2 {
		p := &x.Part2[i]
		for _, q := range x.Part2 {
			if p.Status == InForce && q.Status == Ended && q.Person != p.Person && q.Holder == p.Holder && !q.Ended.Before(p.Made) {
				p.Status, p.Ended, p.Ending = Ended, q.Ended, q.Ending
			}
		}
	}
}

func overlap(a, b []ledger.Purpose) bool {
	for _, p := range a {
		for _, q := range b {
			if p == q {
				return true
			}
		}
	}
	return false
}
