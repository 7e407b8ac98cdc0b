package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// house is a data folder with its keys outside of it, opened and closed as by processes.
type house struct {
	t      *testing.T
	data   string
	ring   string
	signer string
}

func newHouse(t *testing.T) *house {
	dir := t.TempDir()
	h := &house{t: t, data: caretest.Folder(t), ring: filepath.Join(dir, "ring"), signer: filepath.Join(dir, "ledger.key")}
	if err := errors.Join(ledger.CreateSigner(h.signer, caretest.LedgerOrigin), seal.CreateRing(h.ring, time.Now())); err != nil {
		t.Fatal(err)
	}
	return h
}

// run opens the house, calls fn and closes it in order, the mark included.
func (h *house) run(fn func(st *store.Store, keys *seal.Keys, led *ledger.Ledger)) {
	h.t.Helper()
	st, err := store.Open(h.t.Context(), store.Options{Dir: h.data})
	if err != nil {
		h.t.Fatal(err)
	}
	defer st.Close()
	ring, err := seal.OpenRing(h.ring, h.data)
	if err != nil {
		h.t.Fatal(err)
	}
	keys, err := seal.Open(h.t.Context(), st, ring)
	if err != nil {
		h.t.Fatal(err)
	}
	signer, err := ledger.OpenSigner(h.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	led, err := ledger.New(h.t.Context(), st, keys, signer)
	if err != nil {
		h.t.Fatal(err)
	}
	fn(st, keys, led)
	if err := led.SaveMark(); err != nil {
		h.t.Fatal(err)
	}
}

// backup gives the database's file; restore puts it back.
func (h *house) backup() []byte {
	b, err := os.ReadFile(filepath.Join(h.data, "carepost.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *house) restore(b []byte) {
	for _, left := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(h.data, "carepost.db"+left))
	}
	if err := os.WriteFile(filepath.Join(h.data, "carepost.db"), b, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

var operator = id.Operator(1000)

func TestARestoreIsAFork(t *testing.T) {
	h := newHouse(t)
	var at100, at150 []byte
	var key string
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		key = led.PublicKey()
		fill(t, st, keys, led, 100)
		at100 = checkpoint(t, led)
		if err := appendOne(t.Context(), st, keys, led, id.System(2), ledger.Entry{Act: ledger.ActView}); err != nil {
			t.Fatal(err)
		}
		if _, err := led.Reopen(t.Context(), operator); !fault.Is(err, fault.Conflict) {
			t.Errorf("a ledger that is not behind was reopened: %v", err)
		}
	})
	old := h.backup()
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		if _, forked, err := led.CheckFork(t.Context()); forked || err != nil {
			t.Fatal(forked, err)
		}
		fill(t, st, keys, led, 50)
		at150 = checkpoint(t, led)
	})
	h.restore(old)
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fork, forked, err := led.CheckFork(t.Context())
		if err != nil || !forked || len(fork.Trees) != 1 || fork.Trees[0].Organisation != org || fork.Trees[0].Lost != (ledger.Lost{From: 100, To: 150}) {
			t.Fatalf("%+v, %v, %v", fork, forked, err)
		}
		// No ledger, no act; and no second history under the old name.
		for _, o := range []id.Organisation{org, 2, 5} {
			if err := appendOne(t.Context(), st, keys, led, id.System(o), ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Conflict) {
				t.Errorf("an act before the reopening: %v", err)
			}
		}
		if err := led.Export(t.Context(), org, &bytes.Buffer{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an export before the reopening: %v", err)
		}
	})
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fork, err := led.Reopen(t.Context(), operator)
		if err != nil || len(fork.Trees) != 1 {
			t.Fatal(fork, err)
		}
		fill(t, st, keys, led, 200)
	})
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fill(t, st, keys, led, 1)
		archive := export(t, led, org)
		report := verify(t, led, archive, at100)
		if report.Entries != 302 || report.Epoch != 2 || len(report.Restores) != 1 || report.Restores[0].Entry != 100 || report.Restores[0].To != 150 {
			t.Errorf("%+v", report)
		}
		_, err := ledger.Verify(bytes.NewReader(archive), key, at150)
		var flaw *ledger.FlawError
		if !errors.As(err, &flaw) || flaw.Flaw != ledger.FlawFork || !strings.Contains(err.Error(), "admits") {
			t.Errorf("a checkpoint of the lost range: %v", err)
		}
		// The tree that lost nothing has a new epoch too.
		report = verify(t, led, export(t, led, 2), nil)
		if report.Entries != 2 || report.Epoch != 2 || report.Restores[0].Lost != (ledger.Lost{From: 1, To: 1}) {
			t.Errorf("%+v", report)
		}
		err = st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			r, err := led.Entry(ctx, tx, 100)
			if err != nil || r.Act != ledger.ActRestore || r.Actor != operator {
				t.Errorf("%+v, %v", r, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	// The same backup once more: now the reopening is lost as well.
	h.restore(old)
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fork, err := led.Reopen(t.Context(), operator)
		if err != nil || len(fork.Trees) != 2 || fork.Trees[0].Lost != (ledger.Lost{From: 100, To: 302}) {
			t.Fatal(fork, err)
		}
		report := verify(t, led, export(t, led, org), at100)
		if report.Epoch != 3 || len(report.Restores) != 1 {
			t.Errorf("%+v", report)
		}
	})
}

func checkpoint(t testing.TB, led *ledger.Ledger) []byte {
	t.Helper()
	b, err := led.Checkpoint(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnotherHistoryIsAFork: as many entries, and others.
func TestAnotherHistoryIsAFork(t *testing.T) {
	h := newHouse(t)
	empty := h.backup()
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) { fill(t, st, keys, led, 300) })
	mark, err := os.ReadFile(filepath.Join(filepath.Dir(h.signer), "ledger.mark"))
	if err != nil {
		t.Fatal(err)
	}
	// Whoever hides the mark goes on elsewhere; the mark put back shows it.
	path := filepath.Join(filepath.Dir(h.signer), "ledger.mark")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	h.restore(empty)
	if err := errors.Join(os.Remove(h.ring), seal.CreateRing(h.ring, time.Now())); err != nil {
		t.Fatal(err)
	}
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) { fill(t, st, keys, led, 400) })
	if err := os.WriteFile(path, mark, 0o600); err != nil {
		t.Fatal(err)
	}
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fork, forked, err := led.CheckFork(t.Context())
		if err != nil || !forked || !fork.Trees[0].Diverged || fork.Trees[0].Have != 400 {
			t.Fatal(fork, forked, err)
		}
		if _, err := led.Reopen(t.Context(), operator); err != nil {
			t.Fatal(err)
		}
		if report := verify(t, led, export(t, led, org), nil); report.Restores[0].Lost != (ledger.Lost{From: 0, To: 300}) {
			t.Errorf("%+v", report)
		}
	})
}

// TestAnEmptyDatabaseIsAFork: what the mark knows and the database has never heard of. On PostgreSQL too.
func TestAnEmptyDatabaseIsAFork(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		signer := newSigner(t)
		before := caretest.Open(t)
		led := caretest.RunLedger(t, before, caretest.Keys(t, before), signer)
		fill(t, before, caretest.Keys(t, caretest.Open(t)), led, 0)
		keys := caretest.Keys(t, st)
		if err := before.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			return led.Append(ctx, tx, ledger.Entry{Act: ledger.ActView}, seal.Key{})
		}); err != nil {
			t.Fatal(err)
		}
		if err := led.SaveMark(); err != nil {
			t.Fatal(err)
		}
		again := caretest.RunLedger(t, st, keys, signer)
		if err := appendOne(t.Context(), st, keys, again, scope, ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an act before the reopening: %v", err)
		}
		if _, err := again.Reopen(t.Context(), operator); err != nil {
			t.Fatal(err)
		}
		fill(t, st, keys, again, 20)
		if report := verify(t, again, export(t, again, org), nil); report.Entries != 21 || report.Epoch != 2 || report.Restores[0].Lost != (ledger.Lost{From: 0, To: 1}) {
			t.Errorf("%+v", report)
		}
	})
}

// TestARestoreUnderARunningProcess: the next commit finds the head behind what this process signed.
func TestARestoreUnderARunningProcess(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	fill(t, st, keys, led, 3)
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM ledger_head WHERE organisation_id = ?`, org)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := appendOne(t.Context(), st, keys, led, scope, ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an act was taken: %v", err)
		}
	}
}

func TestMarkOfAnotherLedger(t *testing.T) {
	h := newHouse(t)
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) { fill(t, st, keys, led, 3) })
	path := filepath.Join(filepath.Dir(h.signer), "ledger.mark")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st := caretest.Open(t)
	for name, text := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-30], "changed": bytes.Replace(good, []byte("\n3\n"), []byte("\n2\n"), 1), "no mark": []byte("x"),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		signer, err := ledger.OpenSigner(h.signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.New(t.Context(), st, nil, signer); !fault.Is(err, fault.Conflict) {
			t.Errorf("a mark that is %s was taken: %v", name, err)
		}
	}
}

// TestANotedRestoreIsAForkWithoutAMark: the mark is lost, or as old as the backup; the restore itself was noted.
func TestANotedRestoreIsAForkWithoutAMark(t *testing.T) {
	h := newHouse(t)
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) { fill(t, st, keys, led, 30) })
	if err := errors.Join(ledger.NoteRestore(h.signer), os.Remove(filepath.Join(filepath.Dir(h.signer), "ledger.mark"))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a restart changes nothing
		h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
			if fork, forked, err := led.CheckFork(t.Context()); err != nil || !forked || len(fork.Trees) != 0 {
				t.Errorf("%+v, %v, %v", fork, forked, err)
			}
			if err := appendOne(t.Context(), st, keys, led, scope, ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Conflict) {
				t.Errorf("an act before the reopening: %v", err)
			}
		})
	}
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		if fork, err := led.Reopen(t.Context(), operator); err != nil || len(fork.Trees) != 0 {
			t.Error(fork, err)
		}
		fill(t, st, keys, led, 5)
	})
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		fill(t, st, keys, led, 5)
		if report := verify(t, led, export(t, led, org), nil); report.Entries != 41 || report.Epoch != 2 || len(report.Restores) != 1 {
			t.Errorf("%+v", report)
		}
	})
}
