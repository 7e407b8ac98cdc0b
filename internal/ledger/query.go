package ledger

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Record is an entry that has its place in the tree.
type Record struct {
	Seq int64
	Leaf
	leaf   []byte
	sealed []byte // nil: the act has no detail
}

// HasDetail tells whether the act has a detail, opened or destroyed.
func (r Record) HasDetail() bool { return r.Commit != [32]byte{} }

// Query picks entries, newest first.
type Query struct {
	Before int64     // only entries with a smaller number; 0: from the newest
	Acts   []Act     // empty: all
	From   time.Time // zero: from the first
	Until  time.Time // zero: to the last
	Limit  int       // 0: 100; at most 1000
}

const (
	defaultPage = 100
	maxPage     = 1000
	scanPage    = 500     // rows read at once
	indexedActs = 4       // acts of one query that the index is asked for
	maxScanned  = 200_000 // rows looked at for one page; the cursor goes on from there
)

// Page is what a Query gave, and where the next one begins: Next is its Before, 0 when there is no more.
type Page struct {
	Records []Record
	Next    int64
}

// Entries gives a page of the organisation's entries.
func (l *Ledger) Entries(ctx context.Context, tx *store.Tx, q Query) (Page, error) {
	return q.run(func(before int64, limit int) ([]Record, error) {
		return records(ctx, tx, selectEntriesDown, tx.Organisation(), before, limit)
	})
}

// About gives a page of the entries about a person: who looked, what was disclosed, every message. The person's key makes the
// blind; once it is destroyed nobody finds them any more.
func (l *Ledger) About(ctx context.Context, tx *store.Tx, p id.Person, key seal.Key, q Query) (Page, error) {
	if key.IsZero() {
		return Page{}, fault.New(fault.Sealed, "the person's key is missing or destroyed").At("%s", p)
	}
	blind := BlindOf(p, key)
	if n := len(q.Acts); n > 0 && n <= indexedActs {
		var acts [indexedActs][]byte
		for i := range acts {
			acts[i] = binary.BigEndian.AppendUint16(nil, uint16(q.Acts[min(i, n-1)]))
		}
		return q.run(func(before int64, limit int) ([]Record, error) {
			return records(ctx, tx, subjectActsDown(tx.Engine()), tx.Organisation(), blind[:], before, acts[0], acts[1], acts[2], acts[3], limit)
		})
	}
	return q.run(func(before int64, limit int) ([]Record, error) {
		return records(ctx, tx, subjectDown(tx.Engine()), tx.Organisation(), blind[:], before, limit)
	})
}

// Of gives a page of the entries about a thing: a message, a template, a user.
func (l *Ledger) Of(ctx context.Context, tx *store.Tx, object id.UUID, q Query) (Page, error) {
	return q.run(func(before int64, limit int) ([]Record, error) {
		return records(ctx, tx, objectDown(tx.Engine()), tx.Organisation(), object[:], before, limit)
	})
}

func subjectDown(e store.Engine) string {
	if e == store.SQLite {
		return selectSubjectDownSQLite
	}
	return selectSubjectDown
}

func subjectActsDown(e store.Engine) string {
	if e == store.SQLite {
		return selectSubjectActsDownSQLite
	}
	return selectSubjectActsDown
}

func objectDown(e store.Engine) string {
	if e == store.SQLite {
		return selectObjectDownSQLite
	}
	return selectObjectDown
}

// Entry gives one entry by its number.
func (l *Ledger) Entry(ctx context.Context, tx *store.Tx, seq int64) (Record, error) {
	r, err := scanRecord(tx.QueryRow(ctx, selectEntry, tx.Organisation(), seq).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.New(fault.NotFound, "there is no such entry").At("entry %d", seq)
	}
	return r, err
}

// OpenDetail opens the detail of an entry. The key is the person's when the entry is about one; without it, or with a zero key, the
// month's is found. A detail whose key is destroyed is fault.Sealed; one that the entry does not commit to is an error.
func (l *Ledger) OpenDetail(ctx context.Context, tx *store.Tx, r Record, key seal.Key) (Detail, error) {
	_, d, err := l.openDetail(ctx, tx, r, key)
	return d, err
}

func (l *Ledger) openDetail(ctx context.Context, tx *store.Tx, r Record, key seal.Key) (opening []byte, d Detail, err error) {
	if !r.HasDetail() {
		return nil, Detail{}, nil
	}
	if r.sealed == nil {
		return nil, nil, fault.New(fault.Sealed, "the detail was destroyed; the entry stands").At("entry %d", r.Seq)
	}
	cell := detailCell(r.leaf)
	if !key.IsZero() {
		opening, err = key.Open(cell, r.sealed)
	}
	if key.IsZero() || err != nil {
		opening, err = l.keys.Open(ctx, tx, cell, r.sealed)
	}
	if err != nil {
		return nil, nil, fault.Wrap(fault.CodeOf(err), err, "the detail cannot be opened: its key is missing or destroyed, or it was changed; the entry stands").At("entry %d", r.Seq)
	}
	if d, err = openingMatches(opening, r.Commit); err != nil {
		return nil, nil, fmt.Errorf("open the detail of entry %d: %w", r.Seq, err)
	}
	return opening, d, nil
}

// run reads downwards until the page is full, the entries end, or it has looked at enough.
func (q Query) run(read func(before int64, limit int) ([]Record, error)) (page Page, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	before := q.Before
	if before <= 0 {
		before = math.MaxInt64
	}
	for scanned := 0; scanned < maxScanned; {
		want := scanPage
		if len(q.Acts) == 0 && q.From.IsZero() && q.Until.IsZero() {
			want = limit + 1 // nothing is left out: one more tells whether there is a next page
		}
		rows, err := read(before, want)
		if err != nil {
			return Page{}, err
		}
		for _, r := range rows {
			if !q.takes(r.Leaf) {
				before = r.Seq
				continue
			}
			if len(page.Records) == limit {
				page.Next = before
				return page, nil
			}
			page.Records, before = append(page.Records, r), r.Seq
		}
		if len(rows) < want {
			return page, nil
		}
		scanned += len(rows)
	}
	page.Next = before
	return page, nil
}

func (q Query) takes(l Leaf) bool {
	return (len(q.Acts) == 0 || slices.Contains(q.Acts, l.Act)) &&
		(q.From.IsZero() || !l.Time.Before(q.From)) && (q.Until.IsZero() || l.Time.Before(q.Until))
}

func records(ctx context.Context, tx *store.Tx, query string, args ...any) ([]Record, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read entries of the ledger: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var all []Record
	for rows.Next() {
		r, err := scanRecord(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read entries of the ledger: %w", err)
	}
	return all, nil
}

func scanRecord(scan func(...any) error) (r Record, err error) {
	if err := scan(&r.Seq, &r.leaf, &r.sealed); err != nil {
		return r, fmt.Errorf("read an entry of the ledger: %w", err)
	}
	r.Leaf, err = ParseLeaf(r.leaf)
	if err != nil {
		return r, fmt.Errorf("read entry %d of the ledger: %w", r.Seq, err)
	}
	return r, nil
}
