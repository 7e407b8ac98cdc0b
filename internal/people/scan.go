package people

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// scanPage is how many people are read at once: 2,048 rows of about 1.5 KB.
const scanPage = 2048

// Projections gives the projections of some people. That of a record that was merged meanwhile has kind 0: it is in no audience.
func (p *People) Projections(
	ctx context.Context, tx *store.Tx, ids []id.Person, fn func(person id.Person, ordinal uint32, projection Projection) error,
) error {
	for some := range slices.Chunk(ids, scanPage) {
		page, err := p.page(ctx, tx, selectProjections, tx.Organisation(), store.Blobs(some))
		if err != nil {
			return err
		}
		open, err := openAll(page, projectionOpener(tx.Now))
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(page[i].person, page[i].ordinal, open[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealedRow is a person's key and one sealed column.
type sealedRow struct {
	person  id.Person
	ordinal uint32
	wrapped []byte
	sealed  []byte
	key     seal.Key
}

// projectionOpener gives each worker its own reader.
func projectionOpener(now time.Time) func() func(r *sealedRow) (Projection, error) {
	return func() func(r *sealedRow) (Projection, error) {
		lean := newLeanReader()
		return func(r *sealedRow) (Projection, error) {
			plain, err := r.key.Open(projectionCell(r.person), r.sealed)
			if err != nil {
				return Projection{}, fmt.Errorf("open the projection of %s: %w", r.person, err)
			}
			return lean.projection(plain, now)
		}
	}
}

func (p *People) scan(ctx context.Context, tx *store.Tx, query string, fn func(page []sealedRow) error) error {
	after := int64(0)
	for {
		page, err := p.page(ctx, tx, query, tx.Organisation(), after, scanPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		if err := fn(page); err != nil {
			return err
		}
		after = int64(page[len(page)-1].ordinal)
	}
}

func (p *People) page(ctx context.Context, tx *store.Tx, query string, args ...any) ([]sealedRow, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	page := make([]sealedRow, 0, scanPage)
	err = each(rows, "read people", func() error {
		var (
			r       sealedRow
			ordinal int64
		)
		err := rows.Scan(&r.person, &ordinal, &r.wrapped, &r.sealed)
		r.ordinal = uint32(ordinal)
		page = append(page, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range page {
		r := &page[i]
		if r.key, err = p.keys.Subject(ctx, tx, r.person.UUID(), r.wrapped); err != nil {
			return nil, fmt.Errorf("open the key of %s: %w", r.person, err)
		}
	}
	return page, nil
}

// openAll opens rows on all cores: opening is most of what a scan costs.
func openAll[T any](page []sealedRow, opener func() func(r *sealedRow) (T, error)) ([]T, error) {
	out := make([]T, len(page))
	workers := min(runtime.GOMAXPROCS(0), (len(page)+255)/256)
	if workers <= 1 {
		open := opener()
		for i := range page {
			var err error
			if out[i], err = open(&page[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			open := opener()
			for i := w; i < len(page) && errs[w] == nil; i += workers {
				out[i], errs[w] = open(&page[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
