package ledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// BenchmarkAppend: each entry its own store.Write, from 512 callers.
func BenchmarkAppend(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		b.Run(name, func(b *testing.B) {
			st := open(b)
			keys, led := caretest.Ground(b, st)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 512 {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						err := appendOne(context.Background(), st, keys, led, scope, ledger.Entry{
							Act: ledger.ActDecision, Purpose: ledger.PurposeTreatment, Object: id.New[id.UUID](),
							Detail: ledger.Detail{"means": "pickup", "reason": "tls_unproven", "rule": "164.312(e)(1)"},
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if err := led.Numbered(b.Context(), org); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkAppendHundreds: transactions of 100 entries from eight callers.
func BenchmarkAppendHundreds(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		b.Run(name, func(b *testing.B) {
			st := open(b)
			keys, led := caretest.Ground(b, st)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 8 {
				wg.Go(func() {
					for next.Add(100) <= int64(b.N)+99 {
						err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
							key, err := keys.Month(ctx, tx, seal.PurposeLedger)
							if err != nil {
								return err
							}
							batch := make([]ledger.Keyed, 100)
							for i := range batch {
								batch[i] = ledger.Keyed{Key: key, Entry: ledger.Entry{
									Act: ledger.ActDecision, Purpose: ledger.PurposeTreatment, Object: id.New[id.UUID](),
									Detail: ledger.Detail{"means": "pickup", "reason": "tls_unproven", "rule": "164.312(e)(1)"},
								}}
							}
							return led.AppendAll(ctx, tx, batch)
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if err := led.Numbered(b.Context(), org); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
