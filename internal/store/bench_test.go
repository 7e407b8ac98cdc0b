package store_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/store"
)

var value = bytes.Repeat([]byte{7}, 400)

// BenchmarkWrite is one durable act of 400 bytes: alone, and by many callers at once, whose acts share commits.
func BenchmarkWrite(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/%d", engine, callers), func(b *testing.B) {
				st := open(b)
				things(b, st)
				var n atomic.Int64
				b.SetParallelism(callers / 2) // of 2 cores
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
							_, err := tx.Exec(ctx, addThing, tx.Organisation(), n.Add(1), nil, value)
							return err
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
			})
		}
	}
}

// BenchmarkBatch is 1,000 rows in one act.
func BenchmarkBatch(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		b.Run(engine, func(b *testing.B) {
			st := open(b)
			things(b, st)
			n := 0
			for b.Loop() {
				err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
					rows := make([][]any, 1000)
					for i := range rows {
						n++
						rows[i] = []any{1, n, nil, value}
					}
					_, err := tx.ExecEach(ctx, addThing, rows)
					return err
				})
				must(b, err)
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkRead is one row by its key, in a transaction of its own and as one of many.
func BenchmarkRead(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		st := open(b)
		things(b, st)
		must(b, st.Write(context.Background(), scope, add(1)))
		one := func(ctx context.Context, tx *store.Tx) error {
			var text string
			return tx.QueryRow(ctx, `select text from thing where organisation_id = ? and id = ?`, tx.Organisation(), 1).Scan(&text)
		}
		b.Run(engine+"/transaction", func(b *testing.B) {
			for b.Loop() {
				must(b, st.Read(context.Background(), scope, one))
			}
		})
		b.Run(engine+"/row", func(b *testing.B) {
			must(b, st.Read(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
				for b.Loop() {
					if err := one(ctx, tx); err != nil {
						return err
					}
				}
				return nil
			}))
		})
	}
}
