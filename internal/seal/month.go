package seal

import (
	"context"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/store"
)

const (
	// usedStep is how far seal_key.used is bumped ahead of the seals: what a crash forgets is at most one step.
	usedStep = 1 << 16
	// usedLimit is when another key takes over: half of what SP 800-38D 8.3 allows a key with random nonces, so that counting may be rough.
	usedLimit = 1 << 31
)

// Month gives the key of the transaction's organisation for a purpose and the month of tx.Now, made when missing.
func (k *Keys) Month(ctx context.Context, tx *store.Tx, p Purpose) (Key, error) {
	switch p {
	case PurposeMessage, PurposeLedger, PurposeFile, PurposeSetting, PurposeRaw, PurposeJob:
	case purposeBucket, purposeBlind, purposeToken, purposeAddress:
		return Key{}, fault.New(fault.Internal, "keys of the purpose %s are not given out", p)
	default:
		return Key{}, fault.New(fault.Internal, "no purpose %q of keys", string(p))
	}
	s, err := k.sealing(ctx, tx, slot{tx.Organisation(), p, month(tx.Now)})
	if err != nil {
		return Key{}, err
	}
	return Key{s}, nil
}

// Seal makes the envelope of a value of the transaction's organisation under the month's key.
func (k *Keys) Seal(ctx context.Context, tx *store.Tx, p Purpose, c Cell, plain []byte) ([]byte, error) {
	key, err := k.Month(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	return key.Seal(c, plain)
}

// Open gives the value of an envelope of the transaction's organisation; the key is found by the id in the envelope, whatever its month.
func (k *Keys) Open(ctx context.Context, tx *store.Tx, c Cell, sealed []byte) ([]byte, error) {
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, err
	}
	if h.flags&(flagSubject|flagEpoch) != 0 {
		return nil, fault.New(fault.Sealed, "sealed under a subject's key or an epoch, not under a key of the organisation").At("%s.%s", c.Table, c.Column)
	}
	s, err := k.find(ctx, tx, h.key)
	if err != nil {
		return nil, err
	}
	return openWith(s.aead, h, c, s.org, sealed)
}

func month(now time.Time) uint32 {
	now = now.UTC()
	return uint32(now.Year()*100 + int(now.Month()))
}

// sealing gives the slot's active key with its use counted; a key at its limit is retired and another made.
func (k *Keys) sealing(ctx context.Context, tx *store.Tx, sl slot) (*secret, error) {
	s, err := k.active(ctx, tx, sl)
	if err != nil {
		return nil, err
	}
	used, err := k.count(ctx, tx, s)
	if err != nil || used < k.limit {
		return s, err
	}
	if _, err := tx.Exec(ctx, retireKey, store.Millis(tx.Now), s.org, s.id); err != nil {
		return nil, fmt.Errorf("retire key %d: %w", s.id, err)
	}
	for range draws {
		// Another node may have been first.
		if next, err := k.stored(ctx, tx, sl); next != nil || err != nil {
			return next, err
		}
		if next, err := k.create(ctx, tx, sl); next != nil || err != nil {
			return next, err
		}
	}
	return nil, fault.New(fault.Unavailable, "no key could be made for %s", sl.purpose).At("%s", sl.org).Hint("try again")
}

// count keeps seal_key.used ahead of the seals that this process made under the key, and gives what it says when it was bumped. A bump
// that is rolled back is owed: the next one carries it.
func (k *Keys) count(ctx context.Context, tx *store.Tx, s *secret) (used int64, err error) {
	made, claimed := s.seals.Load(), s.claimed.Load()
	if made+usedStep/2 < claimed {
		return 0, nil
	}
	target := ((made+usedStep/2)/usedStep + 1) * usedStep
	if !s.claimed.CompareAndSwap(claimed, target) {
		return 0, nil // another transaction is at it
	}
	if err := tx.QueryRow(ctx, updateUsed, target-s.covered.Load(), s.org, s.id).Scan(&used); err != nil {
		return 0, fmt.Errorf("count the use of key %d: %w", s.id, err)
	}
	tx.OnCommit(func() {
		for c := s.covered.Load(); c < target && !s.covered.CompareAndSwap(c, target); c = s.covered.Load() {
		}
	})
	return used, nil
}
