package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

var errOnPurpose = errors.New("on purpose")

// TestManyWriters: 64 writers over three organisations and the installation; a third of the closures fail after their append.
func TestManyWriters(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		const writers, each = 64, 12
		var mu sync.Mutex
		want := map[id.Organisation]int64{}
		people := map[id.Organisation]map[id.Person]bool{}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				o := id.Organisation(w % 4)
				for i := range each {
					p := id.New[id.Person]()
					err := st.Write(context.Background(), id.System(o), func(ctx context.Context, tx *store.Tx) error {
						key, err := keys.Month(ctx, tx, seal.PurposeLedger)
						if err != nil {
							return err
						}
						for range 1 + i%3 {
							if err := led.Append(ctx, tx, ledger.Entry{Act: ledger.ActChange, Detail: ledger.Detail{"i": fmt.Sprint(i)}}, key); err != nil {
								return err
							}
						}
						if err := errors.Join(led.Touch(ctx, tx, p), led.Touch(ctx, tx, p)); err != nil {
							return err
						}
						if i%3 == 2 {
							return errOnPurpose
						}
						return nil
					})
					if i%3 == 2 {
						if !errors.Is(err, errOnPurpose) {
							t.Errorf("a failing closure: %v", err)
						}
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want[o] += int64(1 + i%3)
					if people[o] == nil {
						people[o] = map[id.Person]bool{}
					}
					people[o][p] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for o, n := range want {
			if err := led.Numbered(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			report := verify(t, led, export(t, led, o), nil)
			if report.Entries != n {
				t.Errorf("%s: %d entries, %d were committed", o, report.Entries, n)
			}
			checkChanges(t, st, led, o, people[o])
		}
	})
}

// checkChanges reads all changes of an organisation in small pages: numbers grow, and the people are those touched.
func checkChanges(t *testing.T, st *store.Store, led *ledger.Ledger, o id.Organisation, want map[id.Person]bool) {
	t.Helper()
	err := st.Read(t.Context(), id.System(o), func(ctx context.Context, tx *store.Tx) error {
		var after int64
		count := 0
		for {
			page, err := led.Changes(ctx, tx, after, 7)
			if err != nil {
				return err
			}
			for _, c := range page {
				if c.Seq <= after || !want[c.Person] {
					t.Errorf("change %d of %s after %d", c.Seq, c.Person, after)
				}
				after = c.Seq
				count++
			}
			if len(page) < 7 {
				break
			}
		}
		if last, err := led.LastChange(ctx, tx); err != nil || last != after {
			t.Errorf("the last change is %d (%v), the pages end at %d", last, err, after)
		}
		if count != len(want) {
			t.Errorf("%d changes, %d people were touched", count, len(want))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrunedChangesKeepTheirNumbers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		_, led := caretest.Ground(t, st)
		touch := func() {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				return led.TouchAll(ctx, tx, []id.Person{id.New[id.Person](), id.New[id.Person](), id.New[id.Person]()})
			})
			if err := errors.Join(err, led.Numbered(t.Context(), org)); err != nil {
				t.Fatal(err)
			}
		}
		touch()
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return led.PruneChanges(ctx, tx, 3) })
		if err != nil {
			t.Fatal(err)
		}
		touch()
		err = st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			all, err := led.Changes(ctx, tx, 3, 10)
			if err != nil || len(all) != 3 || all[0].Seq != 4 {
				t.Errorf("after pruning: %v, %v", all, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
