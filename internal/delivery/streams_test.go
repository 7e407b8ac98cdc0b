package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// TestStreams: the search by jumps finds what counting every row finds, and on SQLite it never walks through a stream.
func TestStreams(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		want := map[string]int64{}
		for org := id.Organisation(1); org <= 3; org++ {
			err := st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
				for i := range int64(120) {
					lane, priority, due := i*i%7, 1+i%3, 1000+i*37%101
					if (lane+priority+int64(org))%4 == 0 {
						continue
					}
					k := fmt.Sprint(lane, priority, int64(org))
					if old, ok := want[k]; !ok || due < old {
						want[k] = due
					}
					_, err := tx.Exec(ctx, sqlEnqueue, org, id.New[id.Message](), id.Person{}, 0, 1, priority, 0, 0, stateReady, lane, 1, due, int64(1)<<50, []byte("x"))
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := st.Read(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
			for at := beforeAll; ; {
				h, err := streamAfter(ctx, tx, at)
				if errors.Is(err, sql.ErrNoRows) {
					return nil
				}
				if err != nil {
					return err
				}
				k := fmt.Sprint(h.lane, int64(h.priority), int64(h.org))
				got, at = append(got, k), h.stream
				if want[k] != store.Millis(h.due) {
					t.Errorf("stream %s is due at %v, not %d", k, h.due, want[k])
				}
			}
		})
		if err != nil || len(got) != len(want) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(want) {
			t.Errorf("%d streams, wanted %d (%v)", len(got), len(want), err)
		}
		if st.Engine() == store.SQLite {
			noWalk(t, st)
		}
	})
}

func noWalk(t *testing.T, st *store.Store) {
	t.Helper()
	err := st.Read(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		for query, n := range map[string]int{sqlStreamAfter: 3, sqlUrgent: 1, sqlRouting: 3} {
			planned(t, ctx, tx, query, n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func planned(t *testing.T, ctx context.Context, tx *store.Tx, query string, n int) {
	t.Helper()
	args := make([]any, n)
	for i := range args {
		args[i] = 1
	}
	err := func() error {
		rows, err := tx.Query(ctx, `EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a, b, c int
			var detail string
			if err := rows.Scan(&a, &b, &c, &detail); err != nil {
				return err
			}
			if strings.Contains(detail, "SCAN") || strings.Contains(detail, "ORDER BY") {
				t.Error(query, detail)
			}
		}
		return rows.Err()
	}()
	if err != nil {
		t.Error(err)
	}
}

// TestALookIsShort: a look through ten thousand lanes goes on where the last one ended, each time for no longer than hints may wait, and the
// looks together find every lane.
func TestALookIsShort(t *testing.T) {
	const lanes = 10_000
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		rows := make([][]any, lanes)
		for i := range rows {
			rows[i] = []any{1, id.New[id.Message](), id.Person{}, 0, 1, 2, 0, 0, stateReady, i, 1, 1000, int64(1) << 50, []byte("x")}
		}
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ExecEach(ctx, sqlEnqueue, rows)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		d := &dispatcher{e: &Engine{o: Options{Store: st, Now: time.Now}}, lanes: map[int64]*lane{}, seen: beforeAll}
		if err := d.scan(t.Context(), time.Time{}); err != nil || len(d.lanes) != 1 || d.seen == beforeAll {
			t.Fatalf("a look whose time is over from its beginning found %d lanes and stands at %+v: %v", len(d.lanes), d.seen, err)
		}
		looks, began := 1, time.Now()
		for ; d.seen != beforeAll; looks++ {
			if err := d.scan(t.Context(), time.Now().Add(scanTime)); err != nil {
				t.Fatal(err)
			}
		}
		if len(d.lanes) != lanes {
			t.Errorf("%d looks found %d lanes", looks, len(d.lanes))
		}
		t.Logf("%d looks, %s in all", looks, time.Since(began).Round(time.Millisecond))
	})
}
