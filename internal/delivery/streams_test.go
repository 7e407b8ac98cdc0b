package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

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
			rows, err := tx.Query(ctx, sqlStreams)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var lane, priority, org, due int64
				if err := rows.Scan(&lane, &priority, &org, &due); err != nil {
					return err
				}
				k := fmt.Sprint(lane, priority, org)
				got = append(got, k)
				if want[k] != due {
					t.Errorf("stream %s is due at %d, not %d", k, due, want[k])
				}
			}
			return rows.Err()
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
		rows, err := tx.Query(ctx, `EXPLAIN QUERY PLAN `+sqlStreams)
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
			if strings.Contains(detail, "SCAN delivery") {
				t.Error(detail)
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Error(err)
	}
}
