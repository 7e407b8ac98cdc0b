package caretest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Ground gives a store its keys and its ledger, each with a file of its own; they end with the test.
func Ground(t testing.TB, st *store.Store) (*seal.Keys, *ledger.Ledger) {
	t.Helper()
	keys := Keys(t, st)
	return keys, Ledger(t, st, keys)
}

// Keys makes a ring and opens a store's keys with it.
func Keys(t testing.TB, st *store.Store) *seal.Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	if err := seal.CreateRing(path, time.Now()); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Open(t.Context(), st, ring)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
