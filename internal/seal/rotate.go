package seal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// rewrapBatch is how many keys one transaction brings under the newest epoch: some 50 ms, so that nobody waits long.
const rewrapBatch = 1000

// Rotation says what a rotation did.
type Rotation struct {
	Epoch     uint32    // the newest
	Begun     bool      // it began now
	Rewrapped int       // keys brought under it
	Renewed   int       // bucket keys that were destroyed, since their subjects are under others
	Destroyed int       // epochs whose window has passed
	Waiting   []id.UUID // live nodes that have not dropped yet what they were told to
}

// Rotate begins an epoch now, for the actor, and then does what Tend does. The order is what makes a crash harmless: the new epoch is
// durable before anything is wrapped by it, and an old one goes only when nothing that stands in the database needs it. After that a copy
// of the database from before the window can be opened by nobody.
func (k *Keys) Rotate(ctx context.Context, by id.Actor, now time.Time) (Rotation, error) {
	k.tending.Lock()
	defer k.tending.Unlock()
	if err := k.recordable(id.Installation); err != nil {
		return Rotation{}, err
	}
	if err := k.ring.Advance(now); err != nil {
		return Rotation{}, err
	}
	return k.tend(ctx, by, now)
}

// Tend does what is due: it begins an epoch when the newest is a night old, brings the keys under it, ends the renewals that a stop cut
// short, and destroys the epochs whose window has passed once no live node holds them. One node calls it, at start and each minute; every
// step is a transaction of bounded size, and the next call goes on where a crash ended the last.
func (k *Keys) Tend(ctx context.Context, now time.Time) (Rotation, error) {
	k.tending.Lock()
	defer k.tending.Unlock()
	if err := k.recordable(id.Installation); err != nil {
		return Rotation{}, err
	}
	advanced := k.ring.advanceDue(now)
	done, err := k.tend(ctx, id.Actor{}, now)
	return done, errors.Join(advanced, err)
}

func (k *Keys) tend(ctx context.Context, by id.Actor, now time.Time) (Rotation, error) {
	done, err := k.follow(ctx, by)
	if err != nil {
		return done, err
	}
	if done.Renewed, err = k.endRenewals(ctx); err != nil {
		return done, err
	}
	done.Destroyed, done.Waiting, err = k.expire(ctx, now)
	return done, err
}

// follow brings the database to the ring's newest epoch: first its own mark, with the entry of the book, so that new keys stand under
// it; then the keys, a batch a transaction.
func (k *Keys) follow(ctx context.Context, by id.Actor) (done Rotation, err error) {
	done.Epoch = k.ring.newestNumber()
	var last row
	for more := true; more; {
		err := k.st.Write(ctx, id.Scope{Actor: by}, func(ctx context.Context, tx *store.Tx) error {
			begun, err := k.mark(ctx, tx, done.Epoch)
			if err != nil {
				return err
			}
			done.Begun = done.Begun || begun
			var n int
			if n, last, err = k.rewrap(ctx, tx, done.Epoch, last); err != nil {
				return err
			}
			done.Rewrapped += n
			if more = n == rewrapBatch; more && !begun {
				return nil
			}
			return k.recordEpoch(ctx, tx, done.Epoch, n, begun)
		})
		if err != nil {
			return done, err
		}
	}
	err = k.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return k.ready(ctx, tx) })
	if err == nil {
		err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return k.loadTokens(ctx, tx) })
	}
	return done, err
}

// recordEpoch writes down that an epoch began, with how many keys are left to bring under it, or that all are.
func (k *Keys) recordEpoch(ctx context.Context, tx *store.Tx, newest uint32, n int, begun bool) error {
	if !begun && n == 0 {
		return nil
	}
	var left int
	if err := tx.QueryRow(ctx, countOlder, newest).Scan(&left); err != nil {
		return fmt.Errorf("count the keys of older epochs: %w", err)
	}
	change := "epoch begun"
	if !begun {
		change = "keys brought under the epoch"
	}
	return k.record(ctx, tx, Event{Kind: KeysMade, Detail: map[string]string{
		"change": change, "epoch": strconv.FormatUint(uint64(newest), 10), "keys": strconv.Itoa(n), "left": strconv.Itoa(left),
	}})
}

// mark moves the database's own mark to an epoch, and tells whether it stood at an older one. It locks the row: of two rotations at
// once the second waits and finds the mark moved.
func (k *Keys) mark(ctx context.Context, tx *store.Tx, newest uint32) (moved bool, err error) {
	proof, err := k.proof(newest)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, updateRing, newest, proof, store.Millis(tx.Now), k.ring.id[:], newest)
	if err != nil {
		return false, fmt.Errorf("mark the epoch: %w", err)
	}
	return n > 0, nil
}

// rewrap brings a batch of keys of older epochs under the newest, those after a row.
func (k *Keys) rewrap(ctx context.Context, tx *store.Tx, newest uint32, after row) (int, row, error) {
	rows, err := readRows(ctx, tx, selectWrapped, newest, after.org, after.id, rewrapBatch)
	if err != nil {
		return 0, after, err
	}
	updates := make([][]any, 0, len(rows))
	for _, r := range rows {
		raw, err := k.unwrapRaw(r)
		if err != nil {
			return 0, after, fmt.Errorf("re-wrap key %d: %w", r.id, err)
		}
		err = k.wrap(&r, raw)
		clear(raw)
		if err != nil {
			return 0, after, fmt.Errorf("re-wrap key %d: %w", r.id, err)
		}
		updates = append(updates, []any{r.wrapped, r.epoch, r.org, r.id})
		after = r
	}
	if _, err := tx.ExecEach(ctx, updateWrapped, updates); err != nil {
		return 0, after, fmt.Errorf("re-wrap keys: %w", err)
	}
	return len(rows), after, nil
}

// Destroy shreds one key of the transaction's organisation: what it sealed is gone from the database at once, and from every backup a
// window later, when the epoch that wraps the backup's copy of the key is destroyed.
func (k *Keys) Destroy(ctx context.Context, tx *store.Tx, number uint32) error {
	n, err := tx.Exec(ctx, destroyKey, store.Millis(tx.Now), tx.Organisation(), number)
	if err != nil {
		return fmt.Errorf("destroy key %d: %w", number, err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "there is no key %d to destroy", number).At("%s", tx.Organisation())
	}
	k.bar(tx, number, false)
	return k.order(ctx, tx, orderKey, number)
}

func (f *fresh) drop(number uint32, opens bool) {
	if !opens {
		delete(f.byID, number)
	}
	for sl, s := range f.current {
		if s.id == number {
			delete(f.current, sl)
		}
	}
}
