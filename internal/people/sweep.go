package people

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// sweepPage is how many people are read, opened and handed on at once.
const sweepPage = 512

// Scan gives the projection of every person in use, in the order of ordinals. Merged records are left out: their facts are the
// survivor's. fn is called by one goroutine at a time; the lists of a projection are used again when it returns.
//
// It is what a start costs, so reading, opening (on all cores) and fn go on side by side, and pages use their memory again.
func (p *People) Scan(ctx context.Context, tx *store.Tx, fn func(person id.Person, ordinal uint32, projection *Projection) error) error {
	workers := runtime.GOMAXPROCS(0)
	s := &sweep{
		p: p, today: DateOf(tx.Now.UTC()).Days(), buckets: map[uint32]seal.Bucket{},
		free: make(chan *sweptPage, workers+3), sealed: make(chan *sweptPage, workers), ordered: make(chan *sweptPage, workers+3), ended: make(chan struct{}),
	}
	for range cap(s.free) {
		s.free <- &sweptPage{ready: make(chan struct{}, 1)}
	}
	var side sync.WaitGroup
	for range workers {
		side.Go(s.open)
	}
	var handed error
	side.Go(func() { handed = s.hand(fn) })
	err := s.read(ctx, tx)
	close(s.sealed)
	close(s.ordered)
	side.Wait()
	if handed != nil {
		return handed // reading ended because of it
	}
	return err
}

// sweep is one Scan at work: pages go round from free, filled, by way of sealed to the openers and by way of ordered, in turn, to fn.
type sweep struct {
	p                     *People
	today                 int32
	buckets               map[uint32]seal.Bucket
	free, sealed, ordered chan *sweptPage
	ended                 chan struct{} // closed when fn wants no more
}

// sweptPage is some people on their way.
type sweptPage struct {
	rows  []sweptRow
	bytes []byte // sealed columns of all rows
	open  []Projection
	err   error
	ready chan struct{}
}

type sweptRow struct {
	person          id.Person
	ordinal         uint32
	bucket          seal.Bucket
	from, half, end int // in bytes: wrapped key, projection
}

// read fills pages, in the transaction's goroutine.
func (s *sweep) read(ctx context.Context, tx *store.Tx) error {
	after := int64(0)
	for {
		var page *sweptPage
		select {
		case page = <-s.free:
		case <-s.ended:
			return nil
		}
		if err := s.fill(ctx, tx, page, after); err != nil {
			return err
		}
		if len(page.rows) == 0 {
			return nil
		}
		after = int64(page.rows[len(page.rows)-1].ordinal)
		s.ordered <- page
		s.sealed <- page
	}
}

func (s *sweep) fill(ctx context.Context, tx *store.Tx, page *sweptPage, after int64) error {
	page.rows, page.bytes, page.err = page.rows[:0], page.bytes[:0], nil
	rows, err := tx.Query(ctx, scanProjections, tx.Organisation(), after, sweepPage)
	if err != nil {
		return fmt.Errorf("read people: %w", err)
	}
	var (
		ordinal         int64
		person          sql.RawBytes
		wrapped, sealed sql.RawBytes
	)
	err = each(rows, "read people", func() error {
		if err := rows.Scan(&person, &ordinal, &wrapped, &sealed); err != nil {
			return err
		}
		r := sweptRow{ordinal: uint32(ordinal), from: len(page.bytes)}
		copy(r.person[:], person)
		page.bytes = append(page.bytes, wrapped...)
		r.half = len(page.bytes)
		page.bytes = append(page.bytes, sealed...)
		r.end = len(page.bytes)
		page.rows = append(page.rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range page.rows { // a bucket may have to be read, which no other query may be open for
		r := &page.rows[i]
		number := seal.BucketNumber(page.bytes[r.from:r.half])
		b, known := s.buckets[number]
		if !known && number != 0 {
			if b, err = s.p.keys.Bucket(ctx, tx, number); err != nil {
				return fmt.Errorf("open the key of %s: %w", r.person, err)
			}
			s.buckets[number] = b
		}
		r.bucket = b
	}
	return nil
}

// open opens pages until there are no more.
func (s *sweep) open() {
	lean := newLeanReader()
	var plain []byte
	for page := range s.sealed {
		if n := len(page.rows); n > len(page.open) {
			page.open = make([]Projection, n)
		}
		for i := range page.rows {
			if plain, page.err = s.one(page, i, lean, plain); page.err != nil {
				break
			}
		}
		page.ready <- struct{}{}
	}
}

func (s *sweep) one(page *sweptPage, i int, lean *leanReader, buf []byte) ([]byte, error) {
	r := &page.rows[i]
	key, err := r.bucket.Subject(r.person.UUID(), page.bytes[r.from:r.half])
	if err != nil {
		return buf, fmt.Errorf("open the key of %s: %w", r.person, err)
	}
	plain, err := key.OpenInto(buf, projectionCell(r.person), page.bytes[r.half:r.end])
	if err != nil {
		return buf, fmt.Errorf("open the projection of %s: %w", r.person, err)
	}
	return plain, lean.into(&page.open[i], plain, s.today)
}

// hand gives pages to fn in turn, and their memory back.
func (s *sweep) hand(fn func(id.Person, uint32, *Projection) error) (err error) {
	for page := range s.ordered {
		<-page.ready
		if err == nil {
			if err = page.err; err == nil {
				err = page.each(fn)
			}
			if err != nil {
				close(s.ended)
			}
		}
		s.free <- page
	}
	return err
}

func (p *sweptPage) each(fn func(id.Person, uint32, *Projection) error) error {
	for i := range p.rows {
		if err := fn(p.rows[i].person, p.rows[i].ordinal, &p.open[i]); err != nil {
			return err
		}
	}
	return nil
}
