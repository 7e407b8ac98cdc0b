package ledger

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// ProveEntry proves that the tree of the given size holds an entry: the RFC 6962 audit path, checked by tlog.CheckRecord.
func (l *Ledger) ProveEntry(ctx context.Context, tx *store.Tx, seq, size int64) (tlog.RecordProof, error) {
	if err := l.within(ctx, tx, seq+1, size); err != nil {
		return nil, err
	}
	p, err := tlog.ProveRecord(size, seq, storedHashes(ctx, tx, tx.Organisation()))
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", seq, err)
	}
	return p, nil
}

// ProveGrowth proves that the tree of one size is the beginning of that of another: the RFC 6962 consistency proof, checked by
// tlog.CheckTree. It is what a witness asks for.
func (l *Ledger) ProveGrowth(ctx context.Context, tx *store.Tx, from, to int64) (tlog.TreeProof, error) {
	if err := l.within(ctx, tx, from, to); err != nil {
		return nil, err
	}
	p, err := tlog.ProveTree(to, from, storedHashes(ctx, tx, tx.Organisation()))
	if err != nil {
		return nil, fmt.Errorf("prove the growth from %d to %d entries: %w", from, to, err)
	}
	return p, nil
}

// within refuses sizes that the tree does not have: 1 <= part <= whole <= size.
func (l *Ledger) within(ctx context.Context, tx *store.Tx, part, whole int64) error {
	h, _, err := readHead(ctx, tx, tx.Organisation(), selectHead)
	if err != nil {
		return err
	}
	if part < 1 || part > whole || whole > h.size {
		return fault.New(fault.Invalid, "the ledger has %d entries; %d of %d cannot be proven", h.size, part, whole)
	}
	return nil
}

const maxChecked = 1000 // kept checkpoints that Check looks at

// Check holds the tree in the database against what was signed over it: its head, and the newest of the checkpoints that were kept.
// It reads tiles, not entries, so it is quick; an export verified offline says more.
func (l *Ledger) Check(ctx context.Context, org id.Organisation) error {
	return l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		h, found, err := readHead(ctx, tx, org, selectHead)
		if err != nil || !found {
			return err
		}
		if l.mark.of(h.org).ahead(h) {
			return errForked()
		}
		if _, err := l.loadTree(ctx, tx, h); err != nil {
			return err
		}
		kept, err := keptCheckpoints(ctx, tx, org)
		if err != nil {
			return err
		}
		hashes := storedHashes(ctx, tx, org)
		for _, signed := range kept {
			c, of, _, err := openCheckpoint(signed, l.signer.public())
			if err != nil || of != org {
				return fault.Wrap(fault.Internal, errTampered, "a kept checkpoint of the ledger was changed").At("%s", org)
			}
			root, err := tlog.TreeHash(c.size, hashes)
			if err != nil || !bytes.Equal(root[:], c.root[:]) {
				return fault.Wrap(fault.Internal, errTampered, "the ledger is not the one that was signed at %d entries", c.size).At("%s", org)
			}
		}
		return nil
	})
}

func keptCheckpoints(ctx context.Context, tx *store.Tx, org id.Organisation) ([][]byte, error) {
	rows, err := tx.Query(ctx, selectKept, org, maxChecked)
	if err != nil {
		return nil, fmt.Errorf("read kept checkpoints: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var all [][]byte
	for rows.Next() {
		var signed []byte
		if err := rows.Scan(&signed); err != nil {
			return nil, fmt.Errorf("read kept checkpoints: %w", err)
		}
		all = append(all, signed)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read kept checkpoints: %w", err)
	}
	return all, nil
}
