package people

import (
	"context"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// TestPlans: the statements that run for every batch walk an index.
func TestPlans(t *testing.T) {
	st := caretest.Open(t)
	err := st.Read(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		for _, query := range []string{
			selectPersons, selectMergedInto, selectChildren, selectByBlind, selectFacts, selectFactOwners, selectEvents, selectEventOwners, scanProjections,
			selectProjections, selectPeople, selectFamily, selectMembers, selectLetters, selectMergedLetters,
		} {
			args := make([]any, strings.Count(query, "?"))
			for i := range args {
				args[i] = 1
			}
			args = append(args, make([]any, strings.Count(query, "{{blobs}}"))...)
			if n := len(args); strings.Contains(query, "{{blobs}}") {
				args[n-1] = store.Blobs([]id.Person{{}})
			}
			rows, err := tx.Query(ctx, "EXPLAIN QUERY PLAN "+query, args...)
			if err != nil {
				return err
			}
			err = each(rows, "explain", func() error {
				var a, b, c int
				var detail string
				err := rows.Scan(&a, &b, &c, &detail)
				if strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "json_each") || strings.Contains(detail, "TEMP B-TREE") {
					t.Errorf("%s\n%s", query, detail)
				}
				return err
			})
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
