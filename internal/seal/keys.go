package seal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Purpose is what a month's key is for: losing or shredding one loses no other.
type Purpose string

// The purposes that owners of rows use.
const (
	PurposeMessage Purpose = "message" // what is said to a person
	PurposeLedger  Purpose = "ledger"  // details of entries about nobody
	PurposeFile    Purpose = "file"    // content in chunks
	PurposeSetting Purpose = "setting" // names, rules, templates, the organisation itself
	PurposeRaw     Purpose = "raw"     // source messages as they came
	PurposeJob     Purpose = "job"     // arguments of jobs
)

// The purposes of this package.
const (
	purposeBucket  Purpose = "bucket"  // wraps the keys of the subjects whose id ends in the period
	purposeBlind   Purpose = "blind"   // blind indexes
	purposeToken   Purpose = "token"   // links, of the installation
	purposeAddress Purpose = "address" // local parts, of the installation
)

// draws bounds how often a new key's row is tried when others make rows at the same time.
const draws = 8

// Keys is the key tree of one database, open. It is safe for concurrent use and cannot be printed.
type Keys struct {
	st    *store.Store
	ring  *Ring
	limit int64 // seals by one key before another takes over

	mu      sync.RWMutex
	byID    map[uint32]*secret
	current map[slot]*secret
	gone    map[uint32]bool           // destroyed: a reader that began before does not bring them back
	stale   map[uint32]bool           // seal no more: a writer that began before does not bring them back
	guards  map[id.Organisation]int64 // PostgreSQL: the generation of bucket keys that current is of
	blind   map[blindSlot]*sync.Pool
	token   *secret            // the newest key for links
	tokens  map[uint32]*secret // all of them
	address []*secret          // for local parts, the newest first
	book    *Book
	holders *Subjects
	nodes   Nodes
	obeyed  map[id.UUID]bool // orders
	heard   time.Time        // when orders were last looked for

	tending sync.Mutex // one rotation, renewal or shredding at a time in this process
}

// slot is the place in the tree that one active key holds.
type slot struct {
	org     id.Organisation
	purpose Purpose
	period  uint32
}

// row is a row of seal_key.
type row struct {
	org     id.Organisation
	id      uint32
	purpose Purpose
	period  uint32
	number  uint32
	wrapped []byte
	epoch   uint32
	state   string
	used    int64
	gone    int64
}

func (r *row) scan(scan func(...any) error) error {
	return scan(&r.org, &r.id, &r.purpose, &r.period, &r.number, &r.wrapped, &r.epoch, &r.state, &r.used, &r.gone)
}

func (r *row) slot() slot { return slot{r.org, r.purpose, r.period} }

// fresh holds the keys that a transaction made or read. They reach the shared cache when it has committed and not before: a row that
// is rolled back takes its key with it, and nothing that stays may be sealed under that.
type fresh struct {
	byID    map[uint32]*secret
	current map[slot]*secret
	guard   int64 // the generation of bucket keys that this transaction holds
	guarded bool
}

type freshKey struct{ keys *Keys }

func (k *Keys) fresh(tx *store.Tx) *fresh {
	made := tx.Local(freshKey{k}, func() any { return &fresh{byID: map[uint32]*secret{}, current: map[slot]*secret{}} })
	return made.(*fresh)
}

// take puts a key into the transaction's own cache, and into the shared one once the transaction is durable.
func (k *Keys) take(tx *store.Tx, s *secret, sl slot, active bool) {
	f := k.fresh(tx)
	f.byID[s.id] = s
	if active {
		f.current[sl] = s
	}
	tx.OnCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.gone[s.id] {
			return
		}
		k.byID[s.id] = s
		if active && !k.stale[s.id] && (!f.guarded || sl.purpose != purposeBucket || f.guard == k.guards[sl.org]) {
			k.current[sl] = s
		}
	})
}

// bar takes a key out of this process's hands at once, not when the transaction commits: closures that follow in the same group see it
// gone, and a rollback costs no more than reading the row again. A key that opens on is only barred from sealing.
func (k *Keys) bar(tx *store.Tx, number uint32, opens bool) {
	k.fresh(tx).drop(number, opens)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(number, opens)
}

// forget is called with mu held.
func (k *Keys) forget(number uint32, opens bool) {
	k.stale[number] = true
	if !opens {
		k.gone[number] = true
	}
	(&fresh{byID: k.byID, current: k.current}).drop(number, opens)
	if !opens {
		delete(k.tokens, number)
	}
}

// forgetAll takes every key of an organisation out of this process's hands; called with mu held.
func (k *Keys) forgetAll(org id.Organisation) {
	for number, s := range k.byID {
		if s.org == org {
			delete(k.byID, number)
		}
	}
	for sl := range k.current {
		if sl.org == org {
			delete(k.current, sl)
		}
	}
	for sl := range k.blind {
		if sl.org == org {
			delete(k.blind, sl)
		}
	}
}

// active gives the key that seals for a slot now, made when there is none.
func (k *Keys) active(ctx context.Context, tx *store.Tx, sl slot) (*secret, error) {
	if s := k.fresh(tx).current[sl]; s != nil {
		return s, nil
	}
	k.mu.RLock()
	s := k.current[sl]
	k.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	for range draws {
		s, err := k.stored(ctx, tx, sl)
		if s != nil || err != nil {
			return s, err
		}
		if s, err = k.create(ctx, tx, sl); s != nil || err != nil {
			return s, err
		}
		// Another node made the row while we waited for its commit, or the id was taken.
	}
	return nil, fault.New(fault.Unavailable, "no key could be made for %s", sl.purpose).At("%s", sl.org).Hint("try again")
}

// stored gives the slot's active key from the database, nil when there is none.
func (k *Keys) stored(ctx context.Context, tx *store.Tx, sl slot) (*secret, error) {
	var r row
	err := r.scan(tx.QueryRow(ctx, selectActive, sl.org, sl.purpose, sl.period).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no key yet is not an error here
	}
	if err != nil {
		return nil, fmt.Errorf("read the key for %s of %s: %w", sl.purpose, sl.org, err)
	}
	s := k.cached(tx, r.id)
	if s == nil {
		if s, err = k.unwrap(r); err != nil {
			return nil, err
		}
	}
	k.take(tx, s, sl, true)
	return s, nil
}

// create inserts a new key for the slot; nil when the row met another one.
func (k *Keys) create(ctx context.Context, tx *store.Tx, sl slot) (*secret, error) {
	r := row{org: sl.org, purpose: sl.purpose, period: sl.period, id: drawID()}
	if err := tx.QueryRow(ctx, selectNumber, sl.org, sl.purpose, sl.period).Scan(&r.number); err != nil {
		return nil, fmt.Errorf("number the key for %s of %s: %w", sl.purpose, sl.org, err)
	}
	r.number++
	raw := newKey()
	if err := k.wrap(&r, raw); err != nil {
		return nil, err
	}
	n, err := tx.Exec(ctx, insertKey, r.org, r.id, r.purpose, r.period, r.number, r.wrapped, r.epoch, store.Millis(tx.Now))
	if err != nil {
		return nil, fmt.Errorf("make the key for %s of %s: %w", sl.purpose, sl.org, err)
	}
	if n == 0 {
		return nil, nil //nolint:nilnil // the caller looks again
	}
	s := newSecret(r.id, 0, r.org, k.ring.vault.keep(raw))
	k.take(tx, s, sl, true)
	return s, nil
}

// cached gives a key that this process or this transaction has in hand, of whatever organisation.
func (k *Keys) cached(tx *store.Tx, number uint32) *secret {
	if s := k.fresh(tx).byID[number]; s != nil {
		return s
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byID[number]
}

// find gives the key with an id of the transaction's organisation; its state may be active or retired.
func (k *Keys) find(ctx context.Context, tx *store.Tx, number uint32) (*secret, error) {
	s := k.cached(tx, number)
	if s != nil && s.org == tx.Organisation() {
		return s, nil
	}
	var r row
	err := r.scan(tx.QueryRow(ctx, selectKey, tx.Organisation(), number).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.Sealed, "there is no key %d", number).At("%s", tx.Organisation()).
			Hint("the value belongs to another organisation or database")
	}
	if err != nil {
		return nil, fmt.Errorf("read key %d: %w", number, err)
	}
	if s, err = k.unwrap(r); err != nil {
		return nil, err
	}
	k.take(tx, s, r.slot(), false)
	return s, nil
}

// wrap seals the key of a row under the newest epoch.
func (k *Keys) wrap(r *row, raw []byte) error {
	r.epoch = k.ring.newestNumber()
	return k.ring.use(r.epoch, func(key []byte) (err error) {
		r.wrapped, err = sealWith(newAEAD(key), header{key: r.epoch, flags: flagEpoch}, r.cell(), r.org, raw)
		return err
	})
}

// unwrap opens the key of a row.
func (k *Keys) unwrap(r row) (*secret, error) {
	raw, err := k.unwrapRaw(r)
	if err != nil {
		return nil, err
	}
	return newSecret(r.id, 0, r.org, k.ring.vault.keep(raw)), nil
}

func (k *Keys) unwrapRaw(r row) (raw []byte, err error) {
	if r.state == "destroyed" {
		return nil, errDestroyed(r.id, store.Time(r.gone))
	}
	h, err := parseHeader(r.wrapped)
	if err != nil {
		return nil, err
	}
	if h.flags != flagEpoch || h.key != r.epoch {
		return nil, errOpen
	}
	err = k.ring.use(r.epoch, func(key []byte) error {
		raw, err = openWith(newAEAD(key), h, r.cell(), r.org, r.wrapped)
		return err
	})
	if err == nil && len(raw) != keySize {
		return nil, errOpen
	}
	return raw, err
}

// cell binds a wrapped key to its row.
func (r *row) cell() Cell {
	return Cell{Table: "seal_key", Column: "wrapped", Row: binary.BigEndian.AppendUint32(nil, r.id)}
}

func errDestroyed(number uint32, at time.Time) error {
	return fault.New(fault.Sealed, "key %d was destroyed on %s: what it sealed is gone for good", number, at.Format(time.DateOnly))
}

// drawID gives a random id of 31 bits, never 0. Ids that count up would meet on two nodes, and again after a restore.
func drawID() uint32 {
	var b [4]byte
	for {
		_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read does not return errors
		if n := binary.BigEndian.Uint32(b[:]) >> 1; n != 0 {
			return n
		}
	}
}

// String gives "[sealed]".
func (*Keys) String() string { return redacted }

// Format gives "[sealed]" for every verb.
func (*Keys) Format(f fmt.State, _ rune) { redact(f) }

// LogValue gives "[sealed]".
func (*Keys) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[sealed]"; JSON uses it too.
func (*Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }
