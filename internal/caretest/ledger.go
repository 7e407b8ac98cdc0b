package caretest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// LedgerOrigin is the origin of the ledgers of tests.
const LedgerOrigin = "carepost.test/ledger"

// Ledger opens a store's ledger with a key of its own. It runs until the test ends: on PostgreSQL that is what gives entries
// their numbers.
func Ledger(t testing.TB, st *store.Store, keys *seal.Keys) *ledger.Ledger {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.key")
	if err := ledger.CreateSigner(path, LedgerOrigin); err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.OpenSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	return RunLedger(t, st, keys, signer)
}

// RunLedger is Ledger with the test's own signer.
func RunLedger(t testing.TB, st *store.Store, keys *seal.Keys, signer ledger.Signer) *ledger.Ledger {
	t.Helper()
	led, err := ledger.New(t.Context(), st, keys, signer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- led.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("end of the ledger: %v", err)
		}
	})
	return led
}
