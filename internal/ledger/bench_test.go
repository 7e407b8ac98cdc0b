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

// BenchmarkAbout: the last hundred acts on one person of a thousand, among 200,000 entries.
func BenchmarkAbout(b *testing.B) {
	st := caretest.Open(b)
	keys, led := caretest.Ground(b, st)
	people := make([]id.Person, 1000)
	subjects := make([]seal.Key, len(people))
	for n := 0; n < 200_000; n += 1000 {
		err := st.Write(b.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			for i := range people {
				if n == 0 {
					people[i] = id.New[id.Person]()
					var err error
					if subjects[i], _, err = keys.NewSubject(ctx, tx, people[i].UUID()); err != nil {
						return err
					}
				}
				if err := led.Append(ctx, tx, ledger.Entry{Act: ledger.ActView, Subject: people[i]}, subjects[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		err := st.Read(b.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			page, err := led.About(ctx, tx, people[500], subjects[500], ledger.Query{})
			if err == nil && len(page.Records) != 100 {
				b.Errorf("%d records", len(page.Records))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
