package people

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Bulk writes people whose projections are given ready made, sealed under a key of each one's own like anybody's, and gives their ids in
// the same order. No facts or events stand behind them: what writes those later builds a projection without what is given here. It is
// for measurements, where a million people are wanted in a minute. The ledger gets one entry for all of a call.
func (p *People) Bulk(ctx context.Context, tx *store.Tx, all []Projection) ([]id.Person, error) {
	rows := make([]bulkRow, len(all))
	ids := make([]id.Person, len(all))
	for i := range rows {
		r := &rows[i]
		r.id = id.New[id.Person]()
		ids[i] = r.id
		var err error
		if r.key, r.wrapped, err = p.keys.NewSubject(ctx, tx, r.id.UUID()); err != nil {
			return nil, fmt.Errorf("make the key of %s: %w", r.id, err)
		}
		if r.ordinal, err = p.ordinal(ctx, tx); err != nil {
			return nil, err
		}
	}
	if err := sealBulk(rows, all); err != nil {
		return nil, err
	}
	if err := insertBulk(ctx, tx, rows); err != nil {
		return nil, err
	}
	if err := p.led.TouchAll(ctx, tx, ids); err != nil {
		return nil, err
	}
	key, err := p.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return nil, err
	}
	entry := ledger.Entry{Act: ledger.ActImport, Detail: ledger.Detail{"made": fmt.Sprint(len(ids)), "by": "bulk"}}
	return ids, p.led.Append(ctx, tx, entry, key)
}

type bulkRow struct {
	id                        id.Person
	ordinal                   uint32
	key                       seal.Key
	wrapped, projection, core []byte
}

// sealBulk seals on all cores: it is most of the work that needs no transaction.
func sealBulk(rows []bulkRow, all []Projection) error {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(rows)/64))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows) && errs[w] == nil; i += workers {
				errs[w] = rows[i].seal(&all[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *bulkRow) seal(p *Projection) (err error) {
	core := &Core{Kind: p.Kind, Sex: p.Sex, Birth: p.Birth, Custom: p.Custom}
	if p.Language != "" {
		core.Languages = []string{p.Language}
	}
	if p.Postal != "" {
		core.Addresses = []Address{{State: p.State, PostalCode: p.Postal, Country: p.Country}}
	}
	record := &CoreRecord{Profile: packProfile(core, nil), Kind: uint32(p.Kind), Consents: packConsents(p.Consents)}
	if r.projection, err = sealRecord(r.key, projectionCell(r.id), packProjection(p)); err != nil {
		return err
	}
	r.core, err = sealRecord(r.key, coreCell(r.id), record)
	return err
}

// insertBulk writes the rows: on PostgreSQL in one round trip.
func insertBulk(ctx context.Context, tx *store.Tx, rows []bulkRow) error {
	now := store.Millis(tx.Now)
	if tx.Engine() == store.SQLite {
		for i := range rows {
			r := &rows[i]
			_, err := tx.Exec(ctx, insertPerson, tx.Organisation(), r.id, int64(r.ordinal), personInUse, id.Person{}, 0, now, now, r.wrapped, r.projection, r.core)
			if err != nil {
				return fmt.Errorf("write %s: %w", r.id, err)
			}
		}
		return nil
	}
	var ids, wrapped, projections, cores [][]byte
	var ordinals []int64
	for i := range rows {
		r := &rows[i]
		ids, ordinals = append(ids, r.id[:]), append(ordinals, int64(r.ordinal))
		wrapped, projections, cores = append(wrapped, r.wrapped), append(projections, r.projection), append(cores, r.core)
	}
	_, err := tx.Exec(ctx, insertPersons, tx.Organisation(), personInUse, now, now, ids, ordinals, wrapped, projections, cores)
	if err != nil {
		return fmt.Errorf("write people: %w", err)
	}
	return nil
}
