package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// leases counts, by claim, the rows of this engine whose end or return is not written yet. A row that the table has under a lease of ours
// which is not counted here is worked by nobody: the answer to its claim's commit was lost, say.
type leases struct {
	mu   sync.Mutex
	rows map[int64]int
}

// begin counts a claim before its transaction, so that no row of it is ever seen in the table and not here.
func (l *leases) begin(lease int64) { l.add(lease, 1) }

// claimed replaces begin's mark by the rows that were claimed.
func (l *leases) claimed(lease int64, n int) { l.add(lease, n-1) }

// done takes off rows that are written.
func (l *leases) done(lease int64, n int) { l.add(lease, -n) }

func (l *leases) add(lease int64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 && l.rows[lease] == 0 {
		return // another engine's
	}
	if l.rows[lease] += n; l.rows[lease] <= 0 {
		delete(l.rows, lease)
	}
}

// forget is for a new Run: what an earlier one left unwritten is taken over.
func (l *leases) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.rows)
}

func (l *leases) known(lease int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[lease] > 0
}

// orphans deals with rows that this engine holds and no worker knows of, as with those of an engine that died.
func (e *Engine) orphans(ctx context.Context) error {
	var lost []int64
	err := e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, sqlOwnLeases, e.holder)
		if err != nil {
			return fmt.Errorf("read the leases held: %w", err)
		}
		defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
		lost = lost[:0]
		for rows.Next() {
			var lease int64
			if err := rows.Scan(&lease); err != nil {
				return fmt.Errorf("read the leases held: %w", err)
			}
			if !e.open.known(lease) {
				lost = append(lost, lease)
			}
		}
		return rows.Err()
	})
	for _, lease := range lost {
		var rows []*row
		if err == nil {
			rows, err = e.waiting(ctx, sqlOwnLease, e.holder, lease)
		}
		if err == nil && len(rows) > 0 { // else it was written meanwhile
			slog.Warn("delivery: rows under a lease that no worker knows are put back", "messages", len(rows))
			_, err = e.endAll(ctx, rows, e.left)
		}
	}
	return err
}
