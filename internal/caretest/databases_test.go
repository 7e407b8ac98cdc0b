package caretest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	for range 2 {
		caretest.Databases(t, func(t *testing.T, st *store.Store) {
			t.Parallel()
			err := st.Write(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
				if n, err := tx.Exec(ctx, `delete from migration where number = 1`); err != nil || n != 1 {
					t.Errorf("%d rows: %v", n, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCanaryFindsWhatWasPlanted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("..Quintessa.."), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := caretest.Canary(t, dir, "Quintessa"); len(got) != 1 {
		t.Error(got)
	}
	if got := caretest.Canary(t, dir, "Absent"); len(got) != 0 {
		t.Error(got)
	}
}
