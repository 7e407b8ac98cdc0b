package seal

import (
	"context"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Rotation says what a rotation did.
type Rotation struct {
	Epoch     uint32 // the newest
	Rewrapped int    // keys brought under it
	Destroyed int    // epochs whose window has passed
}

// Rotate adds an epoch, brings every key of the tree under it, and destroys the epochs that were superseded a window ago. The order is
// what makes a crash harmless: the new epoch is durable before anything is wrapped by it, and an old one goes only when nothing that
// stands in the database needs it. After Rotate a copy of the database from before the window can be opened by nobody.
func (k *Keys) Rotate(ctx context.Context, now time.Time) (Rotation, error) {
	if err := k.ring.Advance(now); err != nil {
		return Rotation{}, err
	}
	done, lowest, err := k.follow(ctx)
	if err != nil {
		return Rotation{}, err
	}
	done.Destroyed, err = k.ring.destroy(lowest, now)
	return done, err
}

// follow brings the database to the ring's newest epoch, and gives the lowest that a key is wrapped by after that.
func (k *Keys) follow(ctx context.Context) (done Rotation, lowest uint32, err error) {
	err = k.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		done = Rotation{Epoch: k.ring.newestNumber()}
		if done.Rewrapped, err = k.rewrap(ctx, tx, done.Epoch); err != nil {
			return err
		}
		if err := k.ready(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, selectLowestEpoch).Scan(&lowest); err != nil {
			return fmt.Errorf("find the oldest epoch in use: %w", err)
		}
		return nil
	})
	if err == nil {
		err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return k.loadTokens(ctx, tx) })
	}
	return done, min(lowest, done.Epoch), err
}

// rewrap brings the rows of older epochs under the newest, and the database's own mark with them, in one transaction.
func (k *Keys) rewrap(ctx context.Context, tx *store.Tx, newest uint32) (int, error) {
	rows, err := readRows(ctx, tx, selectWrapped, newest)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		raw, err := k.unwrapRaw(r)
		if err != nil {
			return 0, fmt.Errorf("re-wrap key %d: %w", r.id, err)
		}
		err = k.wrap(&r, raw)
		clear(raw)
		if err != nil {
			return 0, fmt.Errorf("re-wrap key %d: %w", r.id, err)
		}
		if _, err := tx.Exec(ctx, updateWrapped, r.wrapped, r.epoch, r.org, r.id); err != nil {
			return 0, fmt.Errorf("re-wrap key %d: %w", r.id, err)
		}
	}
	proof, err := k.proof(newest)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, updateRing, newest, proof, store.Millis(tx.Now), k.ring.id[:], newest); err != nil {
		return 0, fmt.Errorf("mark the epoch: %w", err)
	}
	return len(rows), nil
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
	f := k.fresh(tx)
	f.drop(number)
	tx.OnCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.gone[number] = true
		(&fresh{byID: k.byID, current: k.current}).drop(number)
	})
	return nil
}

func (f *fresh) drop(number uint32) {
	delete(f.byID, number)
	for sl, s := range f.current {
		if s.id == number {
			delete(f.current, sl)
		}
	}
}
