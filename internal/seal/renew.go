package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Wrapped is a subject with its wrapped key, and the one that is to take its place.
type Wrapped struct {
	Subject id.UUID
	Key     []byte
	Next    []byte
}

// Subjects is the owner of the rows that hold subjects' wrapped keys.
type Subjects struct {
	// NotUnder lists subjects of a bucket of the transaction's organisation, after an id and in the order of ids, whose wrapped key has
	// another key id than this one (bytes 2 to 5 of the envelope). Those whose key is gone are left out.
	NotUnder func(ctx context.Context, tx *store.Tx, bucket byte, key [4]byte, after id.UUID, limit int) ([]Wrapped, error)
	// Rewrap puts Next in the place of Key; a row that holds another key by now is left as it is.
	Rewrap func(ctx context.Context, tx *store.Tx, list []Wrapped) error
}

// Holders gives the keys the owner of subjects.
func (k *Keys) Holders(s Subjects) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holders = &s
}

func (k *Keys) subjects() *Subjects {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.holders
}

// renewBatch is how many subjects one transaction brings under another key.
const renewBatch = 500

// A renewal gives a bucket another key. The old one leaves: it opens, and no new subject is wrapped by it. Its subjects are brought under
// the new key, a batch a transaction, and then it is destroyed: with it goes what a copy of the database holds of subjects that are not
// there any more, once the copy's epoch is gone.

// guardKey marks that a transaction holds the guard of its organisation.
type guardKey struct{ keys *Keys }

// guard keeps bucket keys from being destroyed while the transaction wraps a subject's key by one, on whatever node. On SQLite closures
// run one after the other and see what was taken from memory at once.
func (k *Keys) guard(ctx context.Context, tx *store.Tx) error {
	if tx.Engine() == store.SQLite {
		return nil
	}
	var err error
	tx.Local(guardKey{k}, func() any { err = k.holdGuard(ctx, tx); return true })
	return err
}

func (k *Keys) holdGuard(ctx context.Context, tx *store.Tx) error {
	org, f := tx.Organisation(), k.fresh(tx)
	err := tx.QueryRow(ctx, shareGuard, org).Scan(&f.guard)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := tx.Exec(ctx, insertGuard, org); err != nil {
			return fmt.Errorf("make the guard of bucket keys: %w", err)
		}
		err = tx.QueryRow(ctx, shareGuard, org).Scan(&f.guard)
	}
	if err != nil {
		return fmt.Errorf("hold the guard of bucket keys: %w", err)
	}
	f.guarded = true
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.guards[org] < f.guard {
		k.guards[org] = f.guard
		for sl := range k.current {
			if sl.org == org && sl.purpose == purposeBucket {
				delete(k.current, sl)
			}
		}
	}
	return nil
}

// alone takes the guard for a transaction that lets bucket keys leave or destroys them.
func (k *Keys) alone(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.Exec(ctx, insertGuard, tx.Organisation()); err != nil {
		return fmt.Errorf("make the guard of bucket keys: %w", err)
	}
	if _, err := tx.Exec(ctx, raiseGuard, tx.Organisation()); err != nil {
		return fmt.Errorf("take the guard of bucket keys: %w", err)
	}
	f := k.fresh(tx)
	if err := tx.QueryRow(ctx, selectGuard, tx.Organisation()).Scan(&f.guard); err != nil {
		return fmt.Errorf("read the guard of bucket keys: %w", err)
	}
	f.guarded = true
	tx.Local(guardKey{k}, func() any { return true })
	k.mu.Lock()
	defer k.mu.Unlock()
	for sl := range k.current {
		if sl.org == tx.Organisation() && sl.purpose == purposeBucket {
			delete(k.current, sl)
		}
	}
	tx.OnCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.guards[tx.Organisation()] = max(k.guards[tx.Organisation()], f.guard)
	})
	return nil
}

// beginRenewal lets a bucket's key leave and gives the id of the one that takes over.
func (k *Keys) beginRenewal(ctx context.Context, s id.Scope, bucket byte) (next uint32, err error) {
	sl := slot{s.Organisation, purposeBucket, uint32(bucket)}
	err = k.st.Write(ctx, s, func(ctx context.Context, tx *store.Tx) error {
		if err := k.alone(ctx, tx); err != nil {
			return err
		}
		old, err := k.stored(ctx, tx, sl)
		if err != nil {
			return err
		}
		if old != nil {
			if _, err := tx.Exec(ctx, leaveKey, store.Millis(tx.Now), s.Organisation, old.id); err != nil {
				return fmt.Errorf("let key %d leave: %w", old.id, err)
			}
			k.bar(tx, old.id, true)
		}
		now, err := k.active(ctx, tx, sl)
		if err == nil {
			next = now.id
		}
		return err
	})
	return next, err
}

// move brings the subjects of a bucket under its new key, but for those that are to be gone.
func (k *Keys) move(ctx context.Context, s id.Scope, bucket byte, next uint32, except map[id.UUID]bool) error {
	var after id.UUID
	for {
		var page []Wrapped
		err := k.st.Read(ctx, s, func(ctx context.Context, tx *store.Tx) (err error) {
			page, err = k.subjects().NotUnder(ctx, tx, bucket, keyBytesOf(next), after, renewBatch)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Subject
		err = k.st.Write(ctx, s, func(ctx context.Context, tx *store.Tx) error { return k.moveSome(ctx, tx, bucket, next, page, except) })
		if err != nil {
			return err
		}
	}
}

func (k *Keys) moveSome(ctx context.Context, tx *store.Tx, bucket byte, next uint32, page []Wrapped, except map[id.UUID]bool) error {
	to, err := k.find(ctx, tx, next)
	if err != nil {
		return err
	}
	moved := make([]Wrapped, 0, len(page))
	for _, w := range page {
		if except[w.Subject] {
			continue
		}
		key, err := k.Subject(ctx, tx, w.Subject, w.Key)
		if err != nil {
			return fmt.Errorf("bring a subject of bucket %d under key %d: %w", bucket, next, err)
		}
		if w.Next, err = wrapSubject(to, w.Subject, key.s.id, key.s.raw[:]); err != nil {
			return err
		}
		moved = append(moved, w)
	}
	if len(moved) == 0 {
		return nil
	}
	return k.subjects().Rewrap(ctx, tx, moved)
}

// errMoved says that a subject which is to be gone stands under the new key already: another renewal of the bucket was faster.
var errMoved = errors.New("seal: a subject was brought under the key that stays")

// moveRest moves the subjects that came to a bucket since it was moved, in a transaction that holds the guard alone, so that nobody can
// add one. Subjects that are to be gone must not stand under the key that stays.
func (k *Keys) moveRest(ctx context.Context, tx *store.Tx, bucket byte, except map[id.UUID]bool) error {
	stays, err := k.active(ctx, tx, slot{tx.Organisation(), purposeBucket, uint32(bucket)})
	if err != nil {
		return err
	}
	var after id.UUID
	seen := 0
	for {
		page, err := k.subjects().NotUnder(ctx, tx, bucket, keyBytesOf(stays.id), after, renewBatch)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Subject
		for _, w := range page {
			if except[w.Subject] {
				seen++
			}
		}
		if err := k.moveSome(ctx, tx, bucket, stays.id, page, except); err != nil {
			return err
		}
	}
	if seen < len(except) {
		return errMoved
	}
	return nil
}

// destroyRest destroys every key of a bucket but the one in use. Nobody stands under them any more.
func (k *Keys) destroyRest(ctx context.Context, tx *store.Tx, bucket byte) (destroyed int, err error) {
	sl := slot{tx.Organisation(), purposeBucket, uint32(bucket)}
	stays, err := k.active(ctx, tx, sl)
	if err != nil {
		return 0, err
	}
	rows, err := readRows(ctx, tx, selectSlot, sl.org, sl.purpose, sl.period)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.id == stays.id {
			continue
		}
		if err := k.Destroy(ctx, tx, r.id); err != nil {
			return destroyed, err
		}
		destroyed++
	}
	return destroyed, nil
}

// endRenewals ends the renewals that a stop cut short.
func (k *Keys) endRenewals(ctx context.Context) (destroyed int, err error) {
	if k.subjects() == nil {
		return 0, nil
	}
	var left []slot
	err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err := tx.Query(ctx, selectLeaving)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			sl := slot{purpose: purposeBucket}
			if err := rows.Scan(&sl.org, &sl.period); err != nil {
				return err
			}
			left = append(left, sl)
		}
		return rows.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("find bucket keys that leave: %w", err)
	}
	for _, sl := range left {
		n, err := k.renew(ctx, id.System(sl.org), byte(sl.period))
		if err != nil {
			return destroyed, err
		}
		destroyed += n
	}
	return destroyed, nil
}

// renew ends one renewal, without anybody to be gone.
func (k *Keys) renew(ctx context.Context, s id.Scope, bucket byte) (destroyed int, err error) {
	if err := k.recordable(s.Organisation); err != nil {
		return 0, err
	}
	var next uint32
	err = k.st.Write(ctx, s, func(ctx context.Context, tx *store.Tx) error {
		now, err := k.active(ctx, tx, slot{s.Organisation, purposeBucket, uint32(bucket)})
		if err == nil {
			next = now.id
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := k.move(ctx, s, bucket, next, nil); err != nil {
		return 0, err
	}
	err = k.st.Write(ctx, s, func(ctx context.Context, tx *store.Tx) (err error) {
		if err := k.alone(ctx, tx); err != nil {
			return err
		}
		if err := k.moveRest(ctx, tx, bucket, nil); err != nil {
			return err
		}
		if destroyed, err = k.destroyRest(ctx, tx, bucket); err != nil || destroyed == 0 {
			return err
		}
		return k.record(ctx, tx, Event{Kind: KeysDestroyed, Detail: map[string]string{
			"change": "bucket key renewed", "bucket": strconv.Itoa(int(bucket)), "keys": strconv.Itoa(destroyed),
		}})
	})
	return destroyed, err
}

// Renew gives every bucket of an organisation another key, in the background of what else goes on: after a node's memory may have been
// read, or once in a while. A crash leaves renewals that Tend ends.
func (k *Keys) Renew(ctx context.Context, s id.Scope) (destroyed int, err error) {
	if k.subjects() == nil || s.Organisation == id.Installation {
		return 0, fault.New(fault.Internal, "there are no subjects whose keys could be renewed")
	}
	k.tending.Lock()
	defer k.tending.Unlock()
	for bucket := range 256 {
		if ctx.Err() != nil {
			return destroyed, context.Cause(ctx)
		}
		var used bool
		err := k.st.Read(ctx, s, func(ctx context.Context, tx *store.Tx) error {
			old, err := readRows(ctx, tx, selectSlot, s.Organisation, purposeBucket, bucket)
			used = len(old) > 0
			return err
		})
		if err != nil {
			return destroyed, err
		}
		if !used {
			continue
		}
		if _, err := k.beginRenewal(ctx, s, byte(bucket)); err != nil {
			return destroyed, err
		}
		n, err := k.renew(ctx, s, byte(bucket))
		if err != nil {
			return destroyed, err
		}
		destroyed += n
	}
	return destroyed, nil
}
