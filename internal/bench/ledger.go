package bench

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// LedgerResult says how many entries a second are durable, numbered and under a signed checkpoint, how many are verified a second
// offline, and how many bytes prove that one of them is in the tree.
type LedgerResult struct {
	Entries    int          `json:"entries"`
	PerS       float64      `json:"per_s"`
	VerifyPerS float64      `json:"verify_per_s"`
	ProofBytes int          `json:"proof_bytes"`
	Engine     store.Engine `json:"engine"`
}

// Ledger appends n entries: on SQLite each in its own store.Write, from 512 callers; on PostgreSQL in transactions of 100, from eight.
// The clock stops when the last is under a checkpoint.
func Ledger(ctx context.Context, dsn string, n int) (out LedgerResult, err error) {
	p, err := newPlace(ctx, dsn)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	out.Engine = p.store.Engine()
	start := time.Now()
	if out.Engine == store.SQLite {
		err = p.appends(ctx, callers, 1, n)
	} else {
		err = p.appends(ctx, 8, 100, n)
	}
	if err != nil {
		return out, err
	}
	if err := p.ledger.Numbered(ctx, organisation); err != nil {
		return out, err
	}
	if _, err := p.ledger.Checkpoint(ctx, organisation); err != nil {
		return out, err
	}
	took := time.Since(start)
	var archive bytes.Buffer
	if err := p.ledger.Export(ctx, organisation, &archive); err != nil {
		return out, err
	}
	start = time.Now()
	report, err := ledger.Verify(&archive, p.ledger.PublicKey(), nil)
	if err != nil {
		return out, err
	}
	out.Entries, out.PerS, out.VerifyPerS = n, float64(n)/took.Seconds(), float64(report.Entries)/time.Since(start).Seconds()
	out.ProofBytes, err = p.proof(ctx, report.Entries)
	return out, err
}

// appends has callers append n entries in transactions of so many.
func (p *place) appends(ctx context.Context, callers, each, n int) error {
	var next atomic.Int64
	return together(ctx, callers, func(ctx context.Context) error {
		for {
			end := next.Add(int64(each))
			some := min(each, n-int(end)+each)
			if some <= 0 {
				return nil
			}
			err := p.store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
				key, err := p.keys.Month(ctx, tx, seal.PurposeLedger)
				if err != nil {
					return err
				}
				batch := make([]ledger.Keyed, some)
				for i := range batch {
					batch[i] = ledger.Keyed{Key: key, Entry: ledger.Entry{
						Act: ledger.ActDecision, Purpose: ledger.PurposeTreatment, Object: id.New[id.UUID](),
						Detail: ledger.Detail{"means": "pickup", "reason": "tls_unproven", "rule": "164.312(e)(1)"},
					}}
				}
				return p.ledger.AppendAll(ctx, tx, batch)
			})
			if err != nil {
				return err
			}
		}
	})
}

// proof gives the bytes of the proof that the middle entry is in the tree: 32 a hash.
func (p *place) proof(ctx context.Context, size int64) (n int, err error) {
	err = p.store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		proof, err := p.ledger.ProveEntry(ctx, tx, size/2, size)
		n = len(proof) * tlog.HashSize
		return err
	})
	return n, err
}
