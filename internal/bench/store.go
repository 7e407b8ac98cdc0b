package bench

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/store"
)

// StoreResult says how many durable writes of one row of 400 bytes are made in a second: by one caller, and by 512 at once.
type StoreResult struct {
	SinglePerS float64      `json:"single_per_s"`
	GroupPerS  float64      `json:"group_per_s"`
	Engine     store.Engine `json:"engine"`
}

const (
	callers = 512
	addRow  = `insert into bench_row (organisation_id, number, value) values (?, ?, ?)`
)

// Store measures the store for about the given time in each way.
func Store(ctx context.Context, dsn string, each time.Duration) (out StoreResult, err error) {
	p, err := newPlace(ctx, dsn)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	err = p.store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, benchTable[tx.Engine()])
		return err
	})
	if err != nil {
		return out, err
	}
	out.Engine = p.store.Engine()
	if out.SinglePerS, err = p.writes(ctx, 1, each); err != nil {
		return out, err
	}
	out.GroupPerS, err = p.writes(ctx, callers, each)
	return out, err
}

var benchTable = map[store.Engine]string{
	store.SQLite:     `create table bench_row (organisation_id integer not null, number integer not null, value blob not null, primary key (organisation_id, number)) strict`,
	store.PostgreSQL: `create table bench_row (organisation_id bigint not null, number bigint not null, value bytea not null, primary key (organisation_id, number))`,
}

// writes has n callers write one row after another until the time is over, and gives how many were durable in a second.
func (p *place) writes(ctx context.Context, n int, d time.Duration) (float64, error) {
	value := bytes.Repeat([]byte{7}, 400)
	first := int64(n) << 40
	var next, done atomic.Int64
	start := time.Now()
	err := together(ctx, n, func(ctx context.Context) error {
		for time.Since(start) < d {
			number := first + next.Add(1)
			err := p.store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, addRow, tx.Organisation(), number, value)
				return err
			})
			if err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(start).Seconds(), err
}

// together runs n callers and gives the first error, which ends the others.
func together(ctx context.Context, n int, call func(ctx context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := call(ctx); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
