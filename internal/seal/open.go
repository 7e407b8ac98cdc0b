package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Open binds a ring to a new database, or proves that it is the database's, and gives the key tree. It changes no key: Tend does, as soon
// as there is a book to write it in.
func Open(ctx context.Context, st *store.Store, ring *Ring) (*Keys, error) {
	k := &Keys{
		st: st, ring: ring, limit: usedLimit,
		byID: map[uint32]*secret{}, current: map[slot]*secret{}, gone: map[uint32]bool{}, stale: map[uint32]bool{},
		guards: map[id.Organisation]int64{}, blind: map[blindSlot]*sync.Pool{}, tokens: map[uint32]*secret{}, obeyed: map[id.UUID]bool{},
	}
	err := st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		if err := k.bind(ctx, tx); err != nil {
			return err
		}
		return k.ready(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	err = st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return k.loadTokens(ctx, tx) })
	if err != nil {
		return nil, err
	}
	return k, nil
}

// bind compares the ring with the database's.
func (k *Keys) bind(ctx context.Context, tx *store.Tx) error {
	held, epoch, proof, err := readRingRow(ctx, tx)
	if errors.Is(err, sql.ErrNoRows) {
		if err := k.claim(ctx, tx); err != nil {
			return err
		}
		held, epoch, proof, err = readRingRow(ctx, tx)
	}
	if err != nil {
		return fmt.Errorf("read the database's ring: %w", err)
	}
	if !slices.Equal(held, k.ring.id[:]) {
		return fault.New(fault.Sealed, "this ring belongs to another database").At("%s", k.ring.path).
			Hint("set the path of the ring that was made with this database, or the folder of the database that was made with this ring")
	}
	if oldest := k.ring.Epochs()[0]; epoch < oldest.Number {
		return fault.New(fault.Sealed, "the database uses epoch %d, which was destroyed: it is a copy from before %s", epoch, oldest.Made.Format(time.DateOnly)).
			At("%s", k.ring.path).Hint("restore a backup of the last 35 days; older ones can be opened by nobody")
	}
	return k.prove(epoch, proof)
}

func readRingRow(ctx context.Context, tx *store.Tx) (ring []byte, epoch uint32, proof []byte, err error) {
	err = tx.QueryRow(ctx, selectRing).Scan(&ring, &epoch, &proof)
	return ring, epoch, proof, err
}

// claim makes the ring the database's own; only a database without keys takes one.
func (k *Keys) claim(ctx context.Context, tx *store.Tx) error {
	var keys int
	if err := tx.QueryRow(ctx, countKeys).Scan(&keys); err != nil {
		return fmt.Errorf("count keys: %w", err)
	}
	if keys > 0 {
		return fault.New(fault.Sealed, "the database holds keys and does not say of which ring").Hint("its seal_ring row was removed: restore a backup")
	}
	epoch := k.ring.newestNumber()
	proof, err := k.proof(epoch)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertRing, k.ring.id[:], epoch, proof, store.Millis(tx.Now)); err != nil {
		return fmt.Errorf("bind the ring: %w", err)
	}
	return nil
}

// ringCell is the place of the ring's proof.
func (k *Keys) ringCell() Cell { return Cell{Table: "seal_ring", Column: "proof"} }

func (k *Keys) proof(epoch uint32) (proof []byte, err error) {
	err = k.ring.use(epoch, func(key []byte) (err error) {
		proof, err = sealWith(newAEAD(key), header{key: epoch, flags: flagEpoch}, k.ringCell(), id.Installation, k.ring.id[:])
		return err
	})
	return proof, err
}

// prove opens the database's proof: two copies of a ring that were rotated apart hold different keys under one number.
func (k *Keys) prove(epoch uint32, proof []byte) error {
	h, err := parseHeader(proof)
	if err != nil {
		return err
	}
	return k.ring.use(epoch, func(key []byte) error {
		plain, err := openWith(newAEAD(key), h, k.ringCell(), id.Installation, proof)
		if err != nil || h.key != epoch || h.flags != flagEpoch || !slices.Equal(plain, k.ring.id[:]) {
			return fault.New(fault.Sealed, "the ring's epoch %d is not the one that this database uses", epoch).At("%s", k.ring.path).
				Hint("a copy of the ring was rotated apart from it: put the copy in place that this database was last used with")
		}
		return nil
	})
}

// ready makes the installation's keys for links and addresses as needed.
func (k *Keys) ready(ctx context.Context, tx *store.Tx) error {
	for _, sl := range []slot{{id.Installation, purposeToken, month(tx.Now)}, {id.Installation, purposeAddress, 0}} {
		if _, err := k.sealing(ctx, tx, sl); err != nil {
			return err
		}
	}
	return nil
}

// loadTokens takes the installation's keys for links and addresses into memory; the transaction reads committed rows only.
func (k *Keys) loadTokens(ctx context.Context, tx *store.Tx) error {
	token, err := k.all(ctx, tx, purposeToken)
	if err != nil {
		return err
	}
	address, err := k.all(ctx, tx, purposeAddress)
	if err != nil {
		return err
	}
	if len(token) == 0 || len(address) == 0 {
		return errNoKey
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.token, k.address = token[0], address
	clear(k.tokens)
	for _, s := range token {
		k.tokens[s.id] = s
	}
	return nil
}

// all gives the installation's keys for a purpose that are not destroyed, the newest first.
func (k *Keys) all(ctx context.Context, tx *store.Tx, p Purpose) ([]*secret, error) {
	rows, err := readRows(ctx, tx, selectPurpose, id.Installation, p)
	if err != nil {
		return nil, err
	}
	list := make([]*secret, 0, len(rows))
	for _, r := range rows {
		s := k.cached(tx, r.id)
		if s == nil {
			if s, err = k.unwrap(r); err != nil {
				return nil, err
			}
			k.mu.Lock()
			k.byID[r.id] = s
			k.mu.Unlock()
		}
		list = append(list, s)
	}
	return list, nil
}

func readRows(ctx context.Context, tx *store.Tx, query string, args ...any) (all []row, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// RingPath gives the file of the ring.
func (k *Keys) RingPath() string { return k.ring.Path() }
