package ledger

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Entry is one act to record. Organisation, actor and time are the transaction's.
type Entry struct {
	Act        Act
	Purpose    Purpose
	Subject    id.Person // whom the act is about; zero when it is about nobody
	SubjectKey seal.Key  // that person's key; may be left out when it is the key of the detail as well
	Object     id.UUID   // the message, template, user, ... ; zero when there is none
	Detail     Detail    // ids, codes and reasons; sealed
}

// Keyed is an entry with the key of its detail, for AppendAll.
type Keyed struct {
	Entry
	Key seal.Key
}

// subjectLabel names the use of a person's key that makes the blind.
const subjectLabel = "ledger subject"

// BlindOf gives what stands for the person in leaves.
func BlindOf(p id.Person, key seal.Key) (b Blind) {
	sum := key.MAC(subjectLabel, p[:])
	copy(b[:], sum[:])
	return b
}

// Append records an act in the transaction of the act. The key seals the detail: the person's key when the entry is about one,
// else the month's (seal.PurposeLedger). When the closure fails, nothing of the entry stays.
func (l *Ledger) Append(ctx context.Context, tx *store.Tx, e Entry, key seal.Key) error {
	leaf, detail, err := l.prepare(tx, Keyed{Entry: e, Key: key})
	if err != nil {
		return err
	}
	if tx.Engine() == store.SQLite {
		return l.appendHere(ctx, tx, leaf, detail)
	}
	if _, err := tx.Exec(ctx, insertPending, tx.Organisation(), id.New[id.UUID](), leaf, detail); err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	l.wakeAfter(tx)
	return nil
}

// AppendAll records several acts at once: on PostgreSQL it takes one round trip.
func (l *Ledger) AppendAll(ctx context.Context, tx *store.Tx, entries []Keyed) error {
	if len(entries) == 0 {
		return nil
	}
	ids, leaves, details := make([][]byte, len(entries)), make([][]byte, len(entries)), make([][]byte, len(entries))
	for i := range entries {
		leaf, detail, err := l.prepare(tx, entries[i])
		if err != nil {
			return err
		}
		if tx.Engine() == store.SQLite {
			if err := l.appendHere(ctx, tx, leaf, detail); err != nil {
				return err
			}
			continue
		}
		u := id.New[id.UUID]()
		ids[i], leaves[i], details[i] = u[:], leaf, detail
	}
	if tx.Engine() == store.SQLite {
		return nil
	}
	if _, err := tx.Exec(ctx, insertPendings, tx.Organisation(), ids, leaves, details); err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	l.wakeAfter(tx)
	return nil
}

// appendHere writes the entry with its number at once: on SQLite there is one writer.
func (l *Ledger) appendHere(ctx context.Context, tx *store.Tx, leaf, detail []byte) error {
	org := tx.Organisation()
	l.noteAppended(org)
	if _, err := tx.Exec(ctx, insertEntry, org, leaf, detail); err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	return nil
}

// prepare makes the leaf's bytes and the sealed detail.
func (l *Ledger) prepare(tx *store.Tx, e Keyed) (leaf, sealed []byte, err error) {
	if err := l.refuses(tx.Organisation()); err != nil {
		return nil, nil, err
	}
	if !e.Act.Known() || e.Act == ActRestore || !e.Purpose.Known() {
		return nil, nil, fault.New(fault.Internal, "not an act or purpose that may be appended: %s, %s", e.Act, e.Purpose)
	}
	lf := Leaf{
		Time: tx.Now, Organisation: tx.Organisation(), Actor: tx.Scope.Actor,
		Act: e.Act, Purpose: e.Purpose, Object: e.Object,
	}
	if !e.Subject.IsZero() {
		key := e.SubjectKey
		if key.IsZero() {
			key = e.Key
		}
		if key.IsZero() {
			return nil, nil, fault.New(fault.Internal, "a ledger entry about a person needs the person's key")
		}
		lf.Subject = BlindOf(e.Subject, key)
	}
	if len(e.Detail) == 0 {
		return lf.Bytes(), nil, nil
	}
	opening, commit, err := e.Detail.opening()
	if err != nil {
		return nil, nil, err
	}
	lf.Commit = commit
	leaf = lf.Bytes()
	sealed, err = e.Key.Seal(detailCell(leaf), opening)
	if err != nil {
		return nil, nil, fmt.Errorf("seal the detail of a ledger entry: %w", err)
	}
	return leaf, sealed, nil
}

// detailCell binds a sealed detail to its leaf, and so to its entry.
func detailCell(leaf []byte) seal.Cell {
	return seal.Cell{Table: "ledger_entry", Column: "detail", Row: leaf}
}

type wakeKey struct{ l *Ledger }

// wakeAfter wakes the sequencer once, after the transaction's commit.
func (l *Ledger) wakeAfter(tx *store.Tx) {
	tx.Local(wakeKey{l}, func() any {
		tx.OnCommit(l.wake)
		return true
	})
}
