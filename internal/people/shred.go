package people

import (
	"context"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Shred destroys what is known of a person, with every record that was merged into it, and gives the certificate as it is signed. The
// record's row stays, empty: its id is never given again, and the ledger's entries keep their places. Rows of other owners about the
// person stay too, sealed under the key that is gone. may is asked in the same transaction, with every record of the person.
func (p *People) Shred(
	ctx context.Context, s id.Scope, person id.Person, basis string, may func(ctx context.Context, tx *store.Tx, records []id.Person) error,
) ([]byte, error) {
	var family []id.Person
	err := p.st.Read(ctx, s, func(ctx context.Context, tx *store.Tx) (err error) {
		family, err = p.wholeFamily(ctx, tx, person)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.keys.ShredSubjects(ctx, s, basis, family, func(ctx context.Context, tx *store.Tx) error {
		now, err := p.wholeFamily(ctx, tx, person)
		if err != nil {
			return err
		}
		if len(now) != len(family) {
			return errMeanwhile.At("%s", person)
		}
		if err := may(ctx, tx, family); err != nil {
			return err
		}
		return p.erase(ctx, tx, family, person)
	})
}

// LastChanged gives when anything about the records was last written.
func (p *People) LastChanged(ctx context.Context, tx *store.Tx, records []id.Person) (time.Time, error) {
	var at int64
	if err := tx.QueryRow(ctx, selectLastChanged, tx.Organisation(), store.Blobs(records)).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("find when a person was last written about: %w", err)
	}
	return store.Time(at), nil
}

// wholeFamily gives the person's record and all that were merged into it.
func (p *People) wholeFamily(ctx context.Context, tx *store.Tx, person id.Person) ([]id.Person, error) {
	var state int
	rows, err := tx.Query(ctx, selectState, tx.Organisation(), person) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", person, err)
	}
	if err := each(rows, "look for a person", func() error { return rows.Scan(&state) }); err != nil {
		return nil, err
	}
	switch state {
	case 0:
		return nil, errNobody(person)
	case personShredded:
		return nil, fault.New(fault.Conflict, "the person was shredded before").At("%s", person).Hint("`carepost key certificates` lists the certificates")
	}
	root, err := p.Root(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	if root != person {
		return nil, fault.New(fault.Conflict, "the record was merged into another").At("%s", person).Hint("shred %s, which takes this one with it", root)
	}
	all, err := p.Families(ctx, tx, []id.Person{person})
	if err != nil {
		return nil, err
	}
	return all[person], nil
}

// erase empties the rows of records whose keys are about to be destroyed, and tells indexes and ledger.
func (p *People) erase(ctx context.Context, tx *store.Tx, records []id.Person, root id.Person) error {
	b, err := p.familyBatch(ctx, tx, root)
	if err != nil {
		return err
	}
	month, err := p.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	var entries []ledger.Keyed
	for _, m := range b.sortedMembers() {
		if err := b.forgetIdentifiers(ctx, m); err != nil {
			return err
		}
		// The blind that stands for the person is made under the person's key for the last time.
		entries = append(entries, ledger.Keyed{Key: month, Entry: ledger.Entry{
			Act: ledger.ActKeyDestroyed, Subject: m.id, SubjectKey: m.key, Object: m.id.UUID(), Detail: ledger.Detail{"change": "record shredded"},
		}})
	}
	if err := p.led.AppendAll(ctx, tx, entries); err != nil {
		return err
	}
	for _, statement := range []string{deleteFacts, deleteEvents} {
		if _, err := tx.Exec(ctx, statement, tx.Organisation(), store.Blobs(records)); err != nil {
			return fmt.Errorf("empty the records of a person: %w", err)
		}
	}
	none := []byte{}
	n, err := tx.Exec(ctx, shredPersons, store.Millis(tx.Now), none, none, none, tx.Organisation(), store.Blobs(records))
	if err != nil {
		return fmt.Errorf("empty the records of a person: %w", err)
	}
	if int(n) != len(records) {
		return errMeanwhile.At("%s", root)
	}
	return p.led.TouchAll(ctx, tx, records)
}

// forgetIdentifiers takes away what a record is found by.
func (b *batch) forgetIdentifiers(ctx context.Context, m *member) error {
	for s := range identifiersIn(m.core) {
		x, err := b.blind(ctx, s.blind, s.source, s.value)
		if err != nil {
			return err
		}
		if _, err := b.tx.Exec(ctx, deleteIdentifier, b.tx.Organisation(), s.kind, x[:], m.id); err != nil {
			return fmt.Errorf("forget an identifier of %s: %w", m.id, err)
		}
	}
	return nil
}

// subjects tells the keys where people's wrapped keys are.
func (p *People) subjects() seal.Subjects {
	return seal.Subjects{
		NotUnder: func(ctx context.Context, tx *store.Tx, bucket byte, key [4]byte, after id.UUID, limit int) ([]seal.Wrapped, error) {
			rows, err := tx.Query(ctx, selectNotUnder, tx.Organisation(), []byte{bucket}, key[:], after[:], limit)
			if err != nil {
				return nil, fmt.Errorf("list people by the key of their bucket: %w", err)
			}
			var all []seal.Wrapped
			err = each(rows, "list people by the key of their bucket", func() error {
				var w seal.Wrapped
				err := rows.Scan(&w.Subject, &w.Key)
				all = append(all, w)
				return err
			})
			return all, err
		},
		Rewrap: func(ctx context.Context, tx *store.Tx, list []seal.Wrapped) error {
			updates := make([][]any, 0, len(list))
			for _, w := range list {
				updates = append(updates, []any{w.Next, tx.Organisation(), w.Subject, w.Key})
			}
			if _, err := tx.ExecEach(ctx, rewrapPerson, updates); err != nil {
				return fmt.Errorf("put people under another bucket key: %w", err)
			}
			return nil
		},
	}
}

// personShredded is the state of a record whose key is gone.
const personShredded = 3

const (
	selectState = `SELECT state FROM person WHERE organisation_id = ? AND id = ?`

	selectLastChanged = `SELECT coalesce(max(changed_at), 0) FROM person WHERE organisation_id = ? AND id IN {{blobs}}`

	// The last byte of an id is its bucket; bytes 2 to 5 of a wrapped key name the key that wraps it. The first condition is answered
	// by the primary key alone.
	selectNotUnder = `SELECT id, wrapped_key FROM person WHERE organisation_id = ? AND substr(id, 16, 1) = ? AND substr(wrapped_key, 2, 4) <> ?
AND state < 3 AND id > ? ORDER BY id LIMIT ?`

	rewrapPerson = `UPDATE person SET wrapped_key = ? WHERE organisation_id = ? AND id = ? AND wrapped_key = ?`

	shredPersons = `UPDATE person SET state = 3, merged_into = NULL, version = version + 1, changed_at = ?, wrapped_key = ?, projection = ?, core = ?
WHERE organisation_id = ? AND id IN {{blobs}} AND state < 3`

	deleteFacts  = `DELETE FROM fact WHERE organisation_id = ? AND person_id IN {{blobs}}`
	deleteEvents = `DELETE FROM event WHERE organisation_id = ? AND person_id IN {{blobs}}`
)
