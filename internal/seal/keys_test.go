package seal_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

var cell = seal.Cell{Table: "message", Column: "body", Row: []byte{1, 2, 3}}

// write and read run a closure of an organisation and end the test on its error.
func write(t testing.TB, st *store.Store, org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := st.Write(t.Context(), id.System(org), fn); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, st *store.Store, org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := st.Read(t.Context(), id.System(org), fn); err != nil {
		t.Fatal(err)
	}
}

func sealed(t testing.TB, st *store.Store, k *seal.Keys, org id.Organisation, p seal.Purpose, plain string) (out []byte) {
	t.Helper()
	write(t, st, org, func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = k.Seal(ctx, tx, p, cell, []byte(plain))
		return err
	})
	return out
}

func opened(t testing.TB, st *store.Store, k *seal.Keys, org id.Organisation, b []byte) (plain string, err error) {
	t.Helper()
	rerr := st.Read(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
		var out []byte
		out, err = k.Open(ctx, tx, cell, b)
		plain = string(out)
		return nil
	})
	if rerr != nil {
		t.Fatal(rerr)
	}
	return plain, err
}

// reopened gives the key tree as another process sees it, without anything in memory.
func reopened(t testing.TB, st *store.Store, path string) *seal.Keys {
	t.Helper()
	ring, err := seal.OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.Open(t.Context(), st, ring)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatWasSealedOpensAfterARestart(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		b := sealed(t, st, k, 1, seal.PurposeMessage, "hello")
		for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
			if got, err := opened(t, st, keys, 1, b); got != "hello" || err != nil {
				t.Errorf("%s process: %q %v", name, got, err)
			}
			if got, err := opened(t, st, keys, 2, b); !fault.Is(err, fault.Sealed) {
				t.Errorf("%s process opens it in another organisation: %q %v", name, got, err)
			}
			if got, err := opened(t, st, keys, 0, b); !fault.Is(err, fault.Sealed) {
				t.Errorf("%s process opens it in the installation: %q %v", name, got, err)
			}
		}
	})
}

func TestKeysArePerOrganisationPurposeAndMonth(t *testing.T) {
	var now time.Time
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return now }})
	now = time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)
	k := reopened(t, st, newRing(t, now))
	ids := map[uint32]string{}
	for _, at := range []time.Time{now, now.Add(time.Second), now.Add(24 * time.Hour)} {
		now = at
		for _, org := range []id.Organisation{0, 1, 2} {
			for _, p := range []seal.Purpose{seal.PurposeMessage, seal.PurposeLedger, seal.PurposeFile, seal.PurposeSetting, seal.PurposeRaw, seal.PurposeJob} {
				write(t, st, org, func(ctx context.Context, tx *store.Tx) error {
					key, err := k.Month(ctx, tx, p)
					if err != nil {
						return err
					}
					ids[key.ID()] = string(p)
					again, err := k.Month(ctx, tx, p)
					if again != key {
						t.Error("a second key in the same transaction")
					}
					return err
				})
			}
		}
	}
	if len(ids) != 2*3*6 {
		t.Errorf("%d keys, want 36: two months, three organisations, six purposes", len(ids))
	}
	err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := k.Month(ctx, tx, "bucket")
		return err
	})
	if !fault.Is(err, fault.Internal) {
		t.Error("a purpose of seal's own was given:", err)
	}
}

func TestAKeyThatWasRolledBackIsNeverUsed(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		stop := errors.New("stop")
		var lost uint32
		var subject, blind []byte
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			key, err := k.Month(ctx, tx, seal.PurposeMessage)
			if err != nil {
				return err
			}
			lost = key.ID()
			if _, subject, err = k.NewSubject(ctx, tx, id.UUID{15: 1}); err != nil {
				return err
			}
			if blind, err = k.Blind(ctx, tx, "email", "a@example.org"); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		write(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
			key, err := k.Month(ctx, tx, seal.PurposeMessage)
			if err != nil {
				return err
			}
			if key.ID() == lost {
				t.Error("the month's key is the one that was rolled back")
			}
			if _, err := k.Subject(ctx, tx, id.UUID{15: 1}, subject); !fault.Is(err, fault.Sealed) {
				t.Error("a bucket key that was rolled back still opens:", err)
			}
			again, err := k.Blind(ctx, tx, "email", "a@example.org")
			if bytes.Equal(again, blind) {
				t.Error("the blind key is the one that was rolled back")
			}
			return err
		})
		b := sealed(t, st, k, 1, seal.PurposeMessage, "stays")
		if got, err := opened(t, st, reopened(t, st, path), 1, b); got != "stays" || err != nil {
			t.Error(got, err)
		}
	})
}

// Many closures at once make the first keys of a month, half of them fail, and on PostgreSQL two nodes do it: everything that stays opens.
func TestManyAtOnceAgreeOnAKey(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		nodes := []*seal.Keys{reopened(t, st, path), reopened(t, st, path)}
		stop := errors.New("stop")
		var mu sync.Mutex
		var stay [][]byte
		var wg sync.WaitGroup
		for n := range 32 {
			wg.Go(func() {
				k := nodes[n%2]
				var out []byte
				err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) (err error) {
					if out, err = k.Seal(ctx, tx, seal.PurposeMessage, cell, []byte("x")); err == nil && n%4 > 1 {
						return stop
					}
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					stay = append(stay, out)
				case !errors.Is(err, stop):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		third := reopened(t, st, path)
		for _, b := range stay {
			if got, err := opened(t, st, third, 1, b); got != "x" || err != nil {
				t.Errorf("%q %v", got, err)
			}
			if !bytes.Equal(b[:6], stay[0][:6]) {
				t.Error("two keys for one month")
			}
		}
	})
}

func TestADestroyedKeyOpensNothing(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		b := sealed(t, st, k, 1, seal.PurposeMessage, "gone")
		number := seal.KeyID(b)
		err := st.Write(t.Context(), id.System(2), func(ctx context.Context, tx *store.Tx) error { return k.Destroy(ctx, tx, number) })
		if !fault.Is(err, fault.NotFound) {
			t.Error("another organisation destroys it:", err)
		}
		write(t, st, 1, func(ctx context.Context, tx *store.Tx) error { return k.Destroy(ctx, tx, number) })
		for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
			if _, err := opened(t, st, keys, 1, b); !fault.Is(err, fault.Sealed) || !strings.Contains(err.Error(), "destroyed on 2") {
				t.Errorf("%s process: %v", name, err)
			}
		}
		again := sealed(t, st, k, 1, seal.PurposeMessage, "new")
		if seal.KeyID(again) == number {
			t.Error("a destroyed key sealed")
		}
		if got, err := opened(t, st, k, 1, again); got != "new" || err != nil {
			t.Error(got, err)
		}
	})
}

func TestSubjects(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		who := id.New[id.UUID]()
		var b, wrapped []byte
		write(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
			key, w, err := k.NewSubject(ctx, tx, who)
			if err != nil {
				return err
			}
			wrapped = w
			b, err = key.Seal(cell, []byte("Ada"))
			return err
		})
		for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
			read(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
				key, err := keys.Subject(ctx, tx, who, wrapped)
				if err != nil {
					return err
				}
				if got, err := key.Open(cell, b); string(got) != "Ada" || err != nil {
					t.Errorf("%s process: %q %v", name, got, err)
				}
				for what, try := range map[string]func() error{
					"for another subject": func() error { _, err := keys.Subject(ctx, tx, id.New[id.UUID](), wrapped); return err },
					"that was changed": func() error {
						_, err := keys.Subject(ctx, tx, who, append(wrapped[:40:40], make([]byte, len(wrapped)-40)...))
						return err
					},
					"that was cut":                 func() error { _, err := keys.Subject(ctx, tx, who, wrapped[:20]); return err },
					"that was destroyed":           func() error { _, err := keys.Subject(ctx, tx, who, nil); return err },
					"that is a value":              func() error { _, err := keys.Subject(ctx, tx, who, b); return err },
					"asked of the organisation's":  func() error { _, err := keys.Open(ctx, tx, cell, b); return err },
					"asked of an envelope cut off": func() error { _, err := keys.Open(ctx, tx, cell, b[:10]); return err },
				} {
					if err := try(); !fault.Is(err, fault.Sealed) {
						t.Errorf("a key %s: %v", what, err)
					}
				}
				return nil
			})
			read(t, st, 2, func(ctx context.Context, tx *store.Tx) error {
				if _, err := keys.Subject(ctx, tx, who, wrapped); !fault.Is(err, fault.Sealed) {
					t.Errorf("another organisation opens the key: %v", err)
				}
				return nil
			})
		}
	})
}

func TestBlind(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		blind := func(k *seal.Keys, org id.Organisation, kind, value string, how func(testing.TB, *store.Store, id.Organisation, func(context.Context, *store.Tx) error)) (out string) {
			how(t, st, org, func(ctx context.Context, tx *store.Tx) error {
				b, err := k.Blind(ctx, tx, kind, value)
				if len(b) != seal.BlindSize {
					t.Errorf("%d bytes", len(b))
				}
				out = string(b)
				return err
			})
			return out
		}
		none := blind(k, 1, "email", "a", read)
		if none == blind(k, 1, "email", "a", read) {
			t.Error("before anything is indexed a look-up uses a key thrown away")
		}
		first := blind(k, 1, "email", "a", write)
		for what, got := range map[string]string{
			"again":              blind(k, 1, "email", "a", write),
			"read":               blind(k, 1, "email", "a", read),
			"by another process": blind(reopened(t, st, path), 1, "email", "a", read),
		} {
			if got != first {
				t.Errorf("the index differs %s", what)
			}
		}
		for what, got := range map[string]string{
			"value":        blind(k, 1, "email", "b", write),
			"kind":         blind(k, 1, "phone", "a", write),
			"organisation": blind(k, 2, "email", "a", write),
		} {
			if got == first {
				t.Errorf("the index is the same for another %s", what)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	st := caretest.Open(t)
	path := newRing(t, time.Now())
	k := reopened(t, st, path)
	object := id.New[id.UUID]()
	text := k.MintToken(seal.TokenPickup, 7, object, []byte("x"))
	if text == k.MintToken(seal.TokenPickup, 7, object, []byte("x")) {
		t.Error("two tokens are equal")
	}
	address := k.MintAddress(seal.AddressReply, 7, object)
	if len(address) != seal.AddressLength || seal.AddressLength != 48 {
		t.Error(address)
	}
	for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
		org, got, extra, err := keys.OpenToken(seal.TokenPickup, text)
		if org != 7 || got != object || string(extra) != "x" || err != nil {
			t.Errorf("%s process: %v %v %q %v", name, org, got, extra, err)
		}
		for _, a := range []string{address, strings.ToUpper(address)} {
			if org, got, err := keys.OpenAddress(seal.AddressReply, a); org != 7 || got != object || err != nil {
				t.Errorf("%s process: %v %v %v", name, org, got, err)
			}
		}
	}
	other := reopened(t, caretest.Open(t), newRing(t, time.Now()))
	for _, bad := range []string{"", "x", text[:len(text)-1], text + "A", text + "=", text + "\n", text[:20] + "\n" + text[20:], strings.ToLower(text), strings.Repeat("A", 5000)} {
		if _, _, _, err := k.OpenToken(seal.TokenPickup, bad); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, _, err := other.OpenToken(seal.TokenPickup, text); !fault.Is(err, fault.NotFound) {
		t.Error("another installation opens the token:", err)
	}
	if _, _, err := other.OpenAddress(seal.AddressReply, address); !fault.Is(err, fault.NotFound) {
		t.Error("another installation opens the address:", err)
	}
	for i := range address {
		changed := []byte(address)
		changed[i] = '0'
		if address[i] == '0' {
			changed[i] = '1'
		}
		if _, _, err := k.OpenAddress(seal.AddressReply, string(changed)); !fault.Is(err, fault.NotFound) {
			t.Errorf("a changed character %d: %v", i, err)
		}
	}
}

// A node that did not make the month's key finds it when the first link comes.
func TestATokenOfAnotherNodesNewKey(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return now }})
	path := newRing(t, now)
	a, b := reopened(t, st, path), reopened(t, st, path)
	old := a.MintToken(seal.TokenHit, 1, id.UUID{1}, nil)
	now = now.AddDate(0, 0, 1)
	if _, err := a.Rotate(t.Context(), id.Actor{}, now); err != nil {
		t.Fatal(err)
	}
	fresh := a.MintToken(seal.TokenHit, 1, id.UUID{2}, nil)
	if fresh[:8] == old[:8] {
		t.Error("the key of links is still the old month's")
	}
	for _, text := range []string{old, fresh} {
		if _, _, _, err := b.OpenToken(seal.TokenHit, text); err != nil {
			t.Error(err)
		}
	}
}

func TestUseIsCountedAheadAndEnds(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		path := newRing(t, time.Now())
		k := reopened(t, st, path)
		use := func(made int64) (number uint32) {
			write(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
				key, err := k.Month(ctx, tx, seal.PurposeMessage)
				if err != nil {
					return err
				}
				number = key.ID()
				if made > 0 {
					key.Seals(made)
				}
				return nil
			})
			return number
		}
		used := func(number uint32) (n int64, state string) {
			read(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
				return tx.QueryRow(ctx, "select used, state from seal_key where organisation_id = ? and id = ?", 1, number).Scan(&n, &state)
			})
			return n, state
		}
		first := use(0)
		for _, c := range []struct{ made, used int64 }{
			{0, seal.UsedStep},
			{seal.UsedStep/2 - 1, seal.UsedStep},
			{seal.UsedStep / 2, 2 * seal.UsedStep},
			{2 * seal.UsedStep, 3 * seal.UsedStep},
			{2*seal.UsedStep + 1, 3 * seal.UsedStep},
			{10 * seal.UsedStep, 11 * seal.UsedStep},
		} {
			use(c.made)
			use(0)
			if n, state := used(first); n != c.used || state != "active" {
				t.Errorf("after %d seals used is %d, want %d (%s)", c.made, n, c.used, state)
			}
		}
		k.SetLimit(12 * seal.UsedStep)
		b := sealed(t, st, k, 1, seal.PurposeMessage, "old")
		use(11 * seal.UsedStep)
		second := use(0)
		if n, state := used(first); second == first || state != "retired" || n < 12*seal.UsedStep {
			t.Errorf("the key at its limit: used %d, %s", n, state)
		}
		if third := use(0); third != second {
			t.Error("a third key")
		}
		for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
			if got, err := opened(t, st, keys, 1, b); got != "old" || err != nil {
				t.Errorf("%s process opens what the retired key sealed: %q %v", name, got, err)
			}
		}
	})
}

func TestABumpThatWasRolledBackIsOwed(t *testing.T) {
	st := caretest.Open(t)
	k := reopened(t, st, newRing(t, time.Now()))
	stop := errors.New("stop")
	b := sealed(t, st, k, 1, seal.PurposeMessage, "x")
	month := func(made int64, end error) {
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			key, err := k.Month(ctx, tx, seal.PurposeMessage)
			if err != nil {
				return err
			}
			key.Seals(made)
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	month(seal.UsedStep, nil)
	month(3*seal.UsedStep, stop) // its bump to 2 steps is lost
	month(3*seal.UsedStep, nil)
	var used int64
	read(t, st, 1, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, "select used from seal_key where organisation_id = ? and id = ?", 1, seal.KeyID(b)).Scan(&used)
	})
	if used != 4*seal.UsedStep {
		t.Errorf("used is %d, want %d", used, 4*seal.UsedStep)
	}
}
