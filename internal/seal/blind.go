package seal

import (
	"context"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// BlindSize is the length of a blind index: enough that among 10^9 values no two are expected to meet.
const BlindSize = 16

type blindSlot struct {
	org  id.Organisation
	kind string
}

// Blind gives the blind index of a normalised value: HMAC-SHA-256 under a key of the organisation and the kind, cut to 16 bytes. Equal
// values are seen to be equal, so values of few kinds (a birth date, a sex, a diagnosis) must not be indexed.
func (k *Keys) Blind(ctx context.Context, tx *store.Tx, kind, value string) ([]byte, error) {
	pool, err := k.blindPool(ctx, tx, blindSlot{tx.Organisation(), kind})
	if err != nil {
		return nil, err
	}
	return blindSum(pool, value), nil
}

func newBlindPool(root []byte, kind string) *sync.Pool {
	return &sync.Pool{New: pooled(derive(root, "blind", kind))}
}

func blindSum(pool *sync.Pool, value string) []byte {
	mac := pool.Get().(*keyed)
	defer pool.Put(mac)
	var sum [32]byte
	mac.buf = append(mac.buf[:0], value...)
	mac.sum(mac.buf, &sum)
	clear(mac.buf)
	return sum[:BlindSize:BlindSize]
}

func (k *Keys) blindPool(ctx context.Context, tx *store.Tx, sl blindSlot) (*sync.Pool, error) {
	k.mu.RLock()
	pool := k.blind[sl]
	k.mu.RUnlock()
	if pool != nil {
		return pool, nil
	}
	root, err := k.blindRoot(ctx, tx, slot{sl.org, purposeBlind, 0})
	if err != nil {
		return nil, err
	}
	if root == nil {
		return newBlindPool(newKey(), sl.kind), nil
	}
	pool = newBlindPool(root.raw[:], sl.kind)
	tx.OnCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.blind[sl] == nil {
			k.blind[sl] = pool
		}
	})
	return pool, nil
}

// blindRoot gives the key that an organisation's indexes derive from. A reader cannot make one: when there is none nothing is indexed
// yet, and nil says so; a key thrown away after the look-up finds nothing, which is right.
func (k *Keys) blindRoot(ctx context.Context, tx *store.Tx, sl slot) (*secret, error) {
	if !tx.ReadOnly() {
		return k.active(ctx, tx, sl)
	}
	k.mu.RLock()
	s := k.current[sl]
	k.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	return k.stored(ctx, tx, sl)
}
