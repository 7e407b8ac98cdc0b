package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Change says that something about a person was written. Numbers grow within an organisation and say nothing else.
type Change struct {
	Seq    int64
	Person id.Person
}

type touchedKey struct{ l *Ledger }

// Touch tells every node's index that something about the person is written in this transaction. Once per person and closure
// is enough; more cost nothing.
func (l *Ledger) Touch(ctx context.Context, tx *store.Tx, p id.Person) error {
	return l.TouchAll(ctx, tx, []id.Person{p})
}

// TouchAll touches several persons: on PostgreSQL in one round trip.
func (l *Ledger) TouchAll(ctx context.Context, tx *store.Tx, people []id.Person) error {
	done := tx.Local(touchedKey{l}, func() any { return map[id.Person]bool{} }).(map[id.Person]bool)
	var ids, persons [][]byte
	for _, p := range people {
		if done[p] {
			continue
		}
		done[p] = true
		if tx.Engine() == store.SQLite {
			if _, err := tx.Exec(ctx, insertChange, tx.Organisation(), tx.Organisation(), p); err != nil {
				return fmt.Errorf("number a change: %w", err)
			}
			continue
		}
		u := id.New[id.UUID]()
		ids, persons = append(ids, u[:]), append(persons, p[:])
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, insertChangePendings, tx.Organisation(), ids, persons); err != nil {
		return fmt.Errorf("note a change: %w", err)
	}
	l.wakeAfter(tx)
	return nil
}

// Changes gives the changes of the transaction's organisation after a number, oldest first. A person may appear more than once.
func (l *Ledger) Changes(ctx context.Context, tx *store.Tx, after int64, limit int) ([]Change, error) {
	rows, err := tx.Query(ctx, selectChanges, tx.Organisation(), after, limit)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var all []Change
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.Seq, &c.Person); err != nil {
			return nil, fmt.Errorf("read changes: %w", err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	return all, nil
}

// LastChange gives the newest number of the transaction's organisation, 0 when there is none: where a follower begins that has
// just read everything in the same transaction.
func (l *Ledger) LastChange(ctx context.Context, tx *store.Tx) (seq int64, err error) {
	if err := tx.QueryRow(ctx, selectLastChange, tx.Organisation()).Scan(&seq); err != nil {
		return 0, fmt.Errorf("read the last change: %w", err)
	}
	return seq, nil
}

// PruneChanges forgets the changes up to a number that every follower has passed; the newest one stays.
func (l *Ledger) PruneChanges(ctx context.Context, tx *store.Tx, upTo int64) error {
	if _, err := tx.Exec(ctx, deleteChanges, tx.Organisation(), upTo, tx.Organisation()); err != nil {
		return fmt.Errorf("prune changes: %w", err)
	}
	return nil
}

// numberedPause is how long Numbered waits between two looks.
const numberedPause = 10 * time.Millisecond

// Numbered waits until every entry and touch of the organisation that was committed before the call has its number. On SQLite
// that is so when they are committed.
func (l *Ledger) Numbered(ctx context.Context, org id.Organisation) error {
	if l.st.Engine() == store.SQLite {
		return nil
	}
	newest, waiting, err := l.newestWaiting(ctx, org)
	if err != nil || !waiting {
		return err
	}
	// Ids grow with time, so all that was visible at the call is at or below the newest of it. Some that commit later may be
	// as well (clocks of nodes differ); waiting for them too does no harm.
	for waiting {
		l.wake()
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the ledger's sequencer: %w", ctx.Err())
		case <-time.After(numberedPause):
		}
		err := l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			return tx.QueryRow(ctx, selectStillWaiting, org, newest, org, newest).Scan(&waiting)
		})
		if err != nil {
			return fmt.Errorf("wait for the ledger's sequencer: %w", err)
		}
	}
	return nil
}

func (l *Ledger) newestWaiting(ctx context.Context, org id.Organisation) (newest id.UUID, waiting bool, err error) {
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectNewestWaiting, org, org)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
		for rows.Next() {
			waiting = true
			if err := rows.Scan(&newest); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return newest, false, fmt.Errorf("ask what waits for the ledger's sequencer: %w", err)
	}
	return newest, waiting, nil
}
