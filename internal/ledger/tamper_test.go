package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// TestTamperedRowsAreFound: whoever can write to the tables and rebuilds nothing, or not all.
func TestTamperedRowsAreFound(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 300)
		known, err := led.Checkpoint(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, led, export(t, led, org), known)
		exec := func(query string, args ...any) {
			t.Helper()
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, query, args...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		leaf := func(seq int64) (b []byte) {
			t.Helper()
			err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				return tx.QueryRow(ctx, `SELECT leaf FROM ledger_entry WHERE organisation_id = ? AND seq = ?`, org, seq).Scan(&b)
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		finds := func(name string, entry int64) {
			t.Helper()
			var b bytes.Buffer
			err := led.Export(t.Context(), org, &b)
			if err == nil {
				_, err = ledger.Verify(bytes.NewReader(b.Bytes()), led.PublicKey(), known)
			}
			if err == nil {
				t.Errorf("%s: not found", name)
				return
			}
			var flaw *ledger.FlawError
			if errors.As(err, &flaw) && flaw.Entry != entry {
				t.Errorf("%s: it names entry %d: %v", name, flaw.Entry, err)
			}
		}
		const set = `UPDATE ledger_entry SET leaf = ? WHERE organisation_id = ? AND seq = ?`
		for _, seq := range []int64{0, 255, 256, 299} {
			was := leaf(seq)
			changed := bytes.Clone(was)
			changed[50] ^= 1
			exec(set, changed, org, seq)
			finds("changed", seq)
			exec(set, was, org, seq)
		}
		a, b := leaf(20), leaf(21)
		exec(set, b, org, 20)
		exec(set, a, org, 21)
		finds("swapped", 20)
		exec(set, a, org, 20)
		exec(set, b, org, 21)
		verify(t, led, export(t, led, org), known)

		exec(`UPDATE ledger_head SET size = 299 WHERE organisation_id = ?`, org)
		finds("truncated", -1)
		exec(`UPDATE ledger_head SET size = 300 WHERE organisation_id = ?`, org)
		exec(`DELETE FROM ledger_tile WHERE organisation_id = ? AND level = 0 AND place = 0`, org)
		finds("tile removed", -1)
	})
}

func TestDroppedAndInsertedRowsAreFound(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 300)
		for _, query := range []string{
			`DELETE FROM ledger_entry WHERE organisation_id = ? AND seq = 40`,
			`UPDATE ledger_entry SET seq = seq - 1000000 WHERE organisation_id = ? AND seq > 40`,
			`UPDATE ledger_entry SET seq = seq + 999999 WHERE organisation_id = ? AND seq < -500`,
		} {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, query, org)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// 299 rows are left, without a gap.
		if err := led.Export(t.Context(), org, io.Discard); err == nil {
			t.Error("a dropped entry was not found")
		}
		fill := func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO ledger_entry (organisation_id, seq, leaf, detail) SELECT organisation_id, 299, leaf, NULL FROM ledger_entry WHERE organisation_id = ? AND seq = 298`, org)
			return err
		}
		if err := st.Write(t.Context(), scope, fill); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := led.Export(t.Context(), org, &b); err != nil {
			t.Fatal(err)
		}
		_, err := ledger.Verify(bytes.NewReader(b.Bytes()), led.PublicKey(), nil)
		var flaw *ledger.FlawError
		if !errors.As(err, &flaw) || flaw.Entry != 40 {
			t.Errorf("a dropped and an inserted entry: %v", err)
		}
	})
}

// TestTamperedHeadStopsTheLedger: a new process does not build on tables that do not fit what was signed.
func TestTamperedHeadStopsTheLedger(t *testing.T) {
	const size = 7
	flip := func(b []byte) []byte { b[3] ^= 1; return b }
	for name, c := range map[string]struct{ read, write string }{
		"tile":     {`SELECT hashes FROM ledger_tile WHERE organisation_id = ?`, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ?`},
		"frontier": {`SELECT frontier FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET frontier = ? WHERE organisation_id = ?`},
		"root":     {`SELECT root FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET root = ? WHERE organisation_id = ?`},
		"signed":   {`SELECT signed FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET signed = ? WHERE organisation_id = ?`},
	} {
		st := caretest.Open(t)
		keys := caretest.Keys(t, st)
		signer := newSigner(t)
		fill(t, st, keys, caretest.RunLedger(t, st, keys, signer), size)
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			var b []byte
			if err := tx.QueryRow(ctx, c.read, org).Scan(&b); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, c.write, flip(b), org)
			return err
		})
		if err != nil {
			t.Fatal(name, err)
		}
		again, err := ledger.New(t.Context(), st, keys, signer)
		if err == nil {
			err = appendOne(t.Context(), st, keys, again, scope, ledger.Entry{Act: ledger.ActView})
		}
		if err == nil {
			t.Errorf("a ledger went on after its %s was changed", name)
		}
	}
}

// TestABrokenTreeStopsItselfOnly: one organisation's tables were changed by another hand; the others go on.
func TestABrokenTreeStopsItselfOnly(t *testing.T) {
	st := caretest.Open(t)
	keys := caretest.Keys(t, st)
	signer := newSigner(t)
	first := caretest.RunLedger(t, st, keys, signer)
	for _, o := range []id.Organisation{1, 2} {
		if err := appendOne(t.Context(), st, keys, first, id.System(o), ledger.Entry{Act: ledger.ActView}); err != nil {
			t.Fatal(err)
		}
		if err := first.Numbered(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := first.Check(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ?`, make([]byte, 32), 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.New(t.Context(), st, keys, signer)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := appendOne(t.Context(), st, keys, led, id.System(1), ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Internal) {
			t.Errorf("the broken tree took an entry: %v", err)
		}
	}
	if err := appendOne(t.Context(), st, keys, led, id.System(2), ledger.Entry{Act: ledger.ActView}); err != nil {
		t.Errorf("the other tree: %v", err)
	}
	if err := led.Check(t.Context(), 1); !fault.Is(err, fault.Internal) {
		t.Errorf("the check of the broken tree: %v", err)
	}
	if report := verify(t, led, export(t, led, 2), nil); report.Entries != 2 {
		t.Errorf("%+v", report)
	}
}

// TestCheckHoldsTheTreeAgainstKeptCheckpoints: a history rebuilt and signed anew does not fit what was signed before.
func TestCheckHoldsTheTreeAgainstKeptCheckpoints(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	var mu sync.Mutex
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return now
	}})
	keys, led := caretest.Ground(t, st)
	for range 5 {
		fill(t, st, keys, led, 60)
	}
	if err := led.Check(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ? AND level = 0 AND place = 0`, make([]byte, 8192), org)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Check(t.Context(), org); !fault.Is(err, fault.Internal) {
		t.Errorf("a tile that was changed: %v", err)
	}
}
