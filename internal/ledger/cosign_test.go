package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// partner is another house's witness, served over HTTP.
type partner struct {
	*httptest.Server
	key, dir string
	requests atomic.Int64
	status   atomic.Int64 // answers this instead, when set
}

func newPartner(t *testing.T, name string, logs ...string) *partner {
	t.Helper()
	p := &partner{dir: t.TempDir()}
	w, err := ledger.OpenWitness(p.dir, name, logs)
	if err != nil {
		t.Fatal(err)
	}
	p.key = w.PublicKey()
	p.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if s := int(p.status.Load()); s != 0 {
			rw.WriteHeader(s)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		p.Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *partner) setting() string { return p.URL + " " + p.key }

func watched(t *testing.T, led *ledger.Ledger, by ...*partner) {
	t.Helper()
	var text []string
	for _, p := range by {
		text = append(text, p.setting())
	}
	if err := led.Witnesses(strings.Join(text, "; "), &http.Client{}); err != nil {
		t.Fatal(err)
	}
}

// TestWitnessesCosignWhatIsExported: the archive carries their lines, and verifies only for those who signed.
func TestWitnessesCosignWhatIsExported(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		one, two, other := newPartner(t, "one.test/witness", led.PublicKey()), newPartner(t, "two.test/witness", led.PublicKey()), newPartner(t, "other.test/witness")
		watched(t, led, one, two)
		fill(t, st, keys, led, 300)
		signed, err := led.Cosign(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, st, keys, led, 5) // goes on meanwhile
		var archive bytes.Buffer
		if err := led.ExportAt(t.Context(), org, signed, &archive); err != nil {
			t.Fatal(err)
		}
		report, err := ledger.Verify(bytes.NewReader(archive.Bytes()), led.PublicKey(), nil, one.key, two.key)
		if err != nil || report.Entries != 300 || len(report.Witnesses) != 2 || report.Witnesses[1].Witness != "two.test/witness" || report.Witnesses[1].Size != 300 {
			t.Errorf("%+v, %v", report, err)
		}
		if since := time.Since(report.Witnesses[0].Time); since < -time.Minute || since > time.Minute {
			t.Errorf("cosigned at %s", report.Witnesses[0].Time)
		}
		_, err = ledger.Verify(bytes.NewReader(archive.Bytes()), led.PublicKey(), nil, one.key, other.key)
		flaw, ok := errors.AsType[*ledger.FlawError](err)
		if !ok || flaw.Flaw != ledger.FlawWitness || !strings.Contains(flaw.Text, "other.test/witness") {
			t.Errorf("%v", err)
		}
		// An archive without the lines: a checkpoint kept from before has them.
		bare := export(t, led, org)
		if _, err := ledger.Verify(bytes.NewReader(bare), led.PublicKey(), nil, one.key); err == nil {
			t.Error("a checkpoint without a witness's line was taken for a witnessed one")
		}
		report, err = ledger.Verify(bytes.NewReader(bare), led.PublicKey(), signed, one.key, two.key)
		if err != nil || report.Entries != 305 || len(report.Witnesses) != 2 || report.Witnesses[0].Size != 300 {
			t.Errorf("%+v, %v", report, err)
		}
		if _, err := ledger.Verify(bytes.NewReader(bare), led.PublicKey(), nil, one.key, one.key); !fault.Is(err, fault.Invalid) {
			t.Errorf("one witness given twice: %v", err)
		}
	})
}

// TestTheJobAsksOnlyForWhatGrew, and the stored lines come with the next checkpoint.
func TestTheJobAsksOnlyForWhatGrew(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		p := newPartner(t, "one.test/witness", led.PublicKey())
		watched(t, led, p)
		ask := func(want int64) {
			t.Helper()
			before := p.requests.Load()
			if err := led.CosignAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := p.requests.Load() - before; n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		}
		ask(0)
		fill(t, st, keys, led, 70)
		if err := appendOne(t.Context(), st, keys, led, id.System(2), ledger.Entry{Act: ledger.ActView}); err != nil {
			t.Fatal(err)
		}
		if err := led.Numbered(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		ask(2)
		ask(0)
		fill(t, st, keys, led, 1)
		all, err := led.Witnessed(t.Context(), org)
		if err != nil || len(all) != 1 || all[0].Size != 70 || all[0].Behind != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		ask(1)
		if signed := string(checkpoint(t, led)); strings.Count(signed, "\n— ") != 2 || !strings.Contains(signed, "— one.test/witness ") {
			t.Error(signed)
		}
		report, err := ledger.Verify(bytes.NewReader(export(t, led, org)), led.PublicKey(), nil, p.key)
		if err != nil || len(report.Witnesses) != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// TestTheLogFindsOutWhatTheWitnessSaw: a log that lost its note of it is told the size (409), and proves from there.
func TestTheLogFindsOutWhatTheWitnessSaw(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		p := newPartner(t, "one.test/witness", led.PublicKey())
		watched(t, led, p)
		fill(t, st, keys, led, 30)
		if _, err := led.Cosign(t.Context(), org); err != nil {
			t.Fatal(err)
		}
		err := st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM ledger_cosign`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, st, keys, led, 30)
		before := p.requests.Load()
		if _, err := led.Cosign(t.Context(), org); err != nil || p.requests.Load()-before != 2 {
			t.Errorf("%d requests, %v", p.requests.Load()-before, err)
		}
	})
}

// TestAWitnessThatDoesNotCosign: each refusal says what to do, none holds up the others, and the checkpoint is good without it.
func TestAWitnessThatDoesNotCosign(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	good := newPartner(t, "good.test/witness", led.PublicKey())
	fill(t, st, keys, led, 10)
	for name, c := range map[string]struct {
		bad    func(t *testing.T) *partner
		code   fault.Code
		says   string
		within int64
	}{
		"it does not know the ledger": {func(t *testing.T) *partner { return newPartner(t, "bad.test/witness") }, fault.Conflict, "does not know this ledger", 1},
		"it knows another key": {func(t *testing.T) *partner {
			return newPartner(t, "bad.test/witness", newSigner(t).PublicKey())
		}, fault.Conflict, "by another key", 1},
		"it is down": {func(t *testing.T) *partner {
			p := newPartner(t, "bad.test/witness", led.PublicKey())
			p.status.Store(http.StatusBadGateway)
			return p
		}, fault.Unavailable, "answers 502", 3},
		"it sends elsewhere": {func(t *testing.T) *partner {
			p := newPartner(t, "bad.test/witness", led.PublicKey())
			p.status.Store(http.StatusTemporaryRedirect)
			return p
		}, fault.Conflict, "answers 307", 1},
		"it has another key than the setting": {func(t *testing.T) *partner {
			p := newPartner(t, "bad.test/witness", led.PublicKey())
			p.key = newPartner(t, "bad.test/witness").key
			return p
		}, fault.Conflict, "not signed by its key", 1},
		"it says nothing": {func(t *testing.T) *partner {
			p := newPartner(t, "bad.test/witness", led.PublicKey())
			p.status.Store(http.StatusOK)
			return p
		}, fault.Conflict, "not signed by its key", 1},
	} {
		t.Run(name, func(t *testing.T) {
			bad := c.bad(t)
			watched(t, led, bad, good)
			signed, err := led.Cosign(t.Context(), org)
			if !fault.Is(err, c.code) || !strings.Contains(fault.Text(err), c.says) {
				t.Errorf("%v", err)
			}
			if !strings.Contains(string(signed), "— good.test/witness ") || strings.Contains(string(signed), "— bad.test/witness ") {
				t.Errorf("%s", signed)
			}
			if n := bad.requests.Load(); n > c.within {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestARestoreShowsAtTheWitness: a database that is behind what was cosigned, or of another history, is told so by the witness, even
// when the mark was restored with it.
func TestARestoreShowsAtTheWitness(t *testing.T) {
	h := newHouse(t)
	var p *partner
	grow := func(n int, want string) {
		t.Helper()
		h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
			if p == nil {
				p = newPartner(t, "one.test/witness", led.PublicKey())
			}
			watched(t, led, p)
			fill(t, st, keys, led, n)
			_, err := led.Cosign(t.Context(), org)
			if want == "" && err != nil || want != "" && (!fault.Is(err, fault.Conflict) || !strings.Contains(fault.Text(err), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	grow(40, "")
	database, mark := h.backup(), filepath.Join(filepath.Dir(h.signer), "ledger.mark")
	kept, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	back := func() {
		h.restore(database)
		if err := os.WriteFile(mark, kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	grow(60, "")
	back()
	grow(10, "has cosigned 100 entries of carepost.test/ledger/1, this ledger has 50")
	back()
	grow(60, "another history of carepost.test/ledger/1 at 100 entries")
	back()
	grow(80, "it saw another history")
	// The mark that was kept as it should be: reopened under a new origin, which the witness follows from its beginning.
	h.restore(database)
	h.run(func(st *store.Store, keys *seal.Keys, led *ledger.Ledger) {
		watched(t, led, p)
		if _, err := led.Cosign(t.Context(), org); !fault.Is(err, fault.Conflict) {
			t.Errorf("cosigned before it was reopened: %v", err)
		}
		if _, err := led.Reopen(t.Context(), operator); err != nil {
			t.Fatal(err)
		}
		signed, err := led.Cosign(t.Context(), org)
		if err != nil || !strings.HasPrefix(string(signed), "carepost.test/ledger/1/2\n41\n") {
			t.Errorf("%s, %v", signed, err)
		}
	})
}

func TestTheSettingOfWitnesses(t *testing.T) {
	_, led := caretest.Ground(t, caretest.Open(t))
	p := newPartner(t, "one.test/witness")
	for _, text := range []string{"", " ; ", p.setting(), " https://a.test/w/  " + p.key + " ;"} {
		if err := led.Witnesses(text, &http.Client{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"https://a.test", p.key, "ftp://a.test " + p.key, "https://u:p@a.test " + p.key, "https:// " + p.key, "https://a.test?x " + p.key,
		p.setting() + ";" + p.setting(), p.setting() + " more", "https://a.test " + led.PublicKey(),
	} {
		if err := led.Witnesses(text, &http.Client{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
