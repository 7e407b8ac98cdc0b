package seal_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

func newRing(t testing.TB, now time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	if err := seal.CreateRing(path, now); err != nil {
		t.Fatal(err)
	}
	return path
}

// copyFile keeps a file's bytes as they are now.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// refused opens a ring on a database and wants it refused with these words.
func refused(t testing.TB, st *store.Store, path string, words string) {
	t.Helper()
	ring, err := seal.OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(t.Context(), st, ring); !fault.Is(err, fault.Sealed) || !strings.Contains(fault.Text(err), words) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not say %q", err, words)
	}
}

func TestRotateKeepsEverythingOpen(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		now := time.Now()
		path := newRing(t, now)
		k := reopened(t, st, path)
		b := sealed(t, st, k, 1, seal.PurposeMessage, "hello")
		token := k.MintToken(seal.TokenPickup, 1, id.UUID{9}, nil)
		done, err := k.Rotate(t.Context(), id.Actor{}, now)
		if err != nil || done.Epoch != 2 || done.Rewrapped != 3 || done.Destroyed != 0 {
			t.Fatalf("%+v %v; message, token and address keys were to be re-wrapped", done, err)
		}
		for name, keys := range map[string]*seal.Keys{"the same": k, "another": reopened(t, st, path)} {
			if got, err := opened(t, st, keys, 1, b); got != "hello" || err != nil {
				t.Errorf("%s process: %q %v", name, got, err)
			}
			if _, _, _, err := keys.OpenToken(seal.TokenPickup, token); err != nil {
				t.Errorf("%s process: %v", name, err)
			}
		}
	})
}

func TestOpenRefusesAWrongRing(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		now := time.Now()
		path := newRing(t, now)
		older, apart := filepath.Join(t.TempDir(), "older"), filepath.Join(t.TempDir(), "apart")
		k := reopened(t, st, path)
		copyFile(t, path, older)
		copyFile(t, path, apart)
		if _, err := k.Rotate(t.Context(), id.Actor{}, now); err != nil {
			t.Fatal(err)
		}
		refused(t, st, newRing(t, now), "set the path of the ring that was made with this database")
		refused(t, st, older, "newest copy of the ring")
		ring, err := seal.OpenRing(apart, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Advance(now); err != nil {
			t.Fatal(err)
		}
		refused(t, st, apart, "rotated apart")
		reopened(t, st, path)

		write(t, st, 0, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, "delete from seal_ring")
			return err
		})
		ring, err = seal.OpenRing(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Open(t.Context(), st, ring); !fault.Is(err, fault.Sealed) || !strings.Contains(err.Error(), "restore a backup") {
			t.Error("a database that lost its mark takes a ring:", err)
		}
	})
}

// A crash after the ring was advanced and before the rows were re-wrapped: the next tending finishes it.
func TestTendFinishesARotation(t *testing.T) {
	st := caretest.Open(t)
	now := time.Now()
	path := newRing(t, now)
	k := reopened(t, st, path)
	b := sealed(t, st, k, 1, seal.PurposeMessage, "hello")
	ring, err := seal.OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Advance(now); err != nil {
		t.Fatal(err)
	}
	again := tended(t, st, path, now)
	if got, err := opened(t, st, again, 1, b); got != "hello" || err != nil {
		t.Error(got, err)
	}
	if n := lowestEpoch(t, st); n != 2 {
		t.Errorf("rows are left under epoch %d", n)
	}
	// The first process, still at epoch 1 in memory, reads the ring again when it meets a row of epoch 2.
	if got, err := opened(t, st, k, 1, b); got != "hello" || err != nil {
		t.Error(got, err)
	}
}

// tended gives the key tree as a start leaves it.
func tended(t testing.TB, st *store.Store, path string, now time.Time) *seal.Keys {
	t.Helper()
	k := reopened(t, st, path)
	if _, err := k.Tend(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	return k
}

func lowestEpoch(t testing.TB, st *store.Store) (n uint32) {
	t.Helper()
	read(t, st, 0, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, "select min(epoch) from seal_key").Scan(&n)
	})
	return n
}

func TestTendRotatesWhenOverdue(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return now }})
	path := newRing(t, now)
	k := reopened(t, st, path)
	b := sealed(t, st, k, 1, seal.PurposeMessage, "hello")
	for _, c := range []struct {
		after     time.Duration
		count     int
		newest    uint32
		whyItIsSo string
	}{
		{time.Hour, 1, 1, "an epoch lasts a night"},
		{24 * time.Hour, 2, 2, "a night has passed"},
		{25 * time.Hour, 2, 2, "and the next has not"},
		{24*time.Hour + seal.Window, 2, 3, "after weeks of rest one epoch is added and one is destroyed"},
	} {
		now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Add(c.after)
		again := tended(t, st, path, now)
		ring, err := seal.OpenRing(path, "")
		if err != nil {
			t.Fatal(err)
		}
		epochs := ring.Epochs()
		if len(epochs) != c.count || epochs[len(epochs)-1].Number != c.newest {
			t.Errorf("after %s the ring holds %+v: %s", c.after, epochs, c.whyItIsSo)
		}
		if got, err := opened(t, st, again, 1, b); got != "hello" || err != nil {
			t.Errorf("after %s: %q %v", c.after, got, err)
		}
	}
}

func TestOpenStartsWhenTheRingCannotBeWritten(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return now }})
	path := newRing(t, now)
	b := sealed(t, st, reopened(t, st, path), 1, seal.PurposeMessage, "hello")
	if err := os.MkdirAll(filepath.Join(path+".new", "x"), 0o700); err != nil { // the temporary file cannot be made
		t.Fatal(err)
	}
	now = now.AddDate(0, 0, 7)
	k := reopened(t, st, path)
	if _, err := k.Tend(t.Context(), now); err == nil {
		t.Error("an epoch that is due could not begin, and nobody is told")
	}
	if got, err := opened(t, st, k, 1, b); got != "hello" || err != nil {
		t.Error(got, err)
	}
	if _, err := k.Rotate(t.Context(), id.Actor{}, now); err == nil {
		t.Error("rotated without a file")
	}
}

// The promise of shredding: a copy of the database older than the window can be opened by nobody who holds today's ring, a younger one
// can, and what was destroyed meanwhile comes back only from the younger.
func TestACopyOfTheDatabaseOpensWithinTheWindowOnly(t *testing.T) {
	birth := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	now := birth
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	path := newRing(t, now)
	k := reopened(t, st, path)
	b := sealed(t, st, k, 1, seal.PurposeMessage, "hello")
	backups := map[int]string{}
	for day := range 40 {
		now = birth.AddDate(0, 0, day)
		if day > 0 {
			if _, err := k.Rotate(t.Context(), id.Actor{}, now); err != nil {
				t.Fatal(err)
			}
		}
		if day == 3 || day == 5 {
			backups[day] = filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(backups[day], 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, st, 0, func(context.Context, *store.Tx) error { return nil })
			for _, f := range []string{"carepost.db", "carepost.db-wal"} {
				copyFile(t, filepath.Join(dir, f), filepath.Join(backups[day], f))
			}
		}
		if day == 6 {
			write(t, st, 1, func(ctx context.Context, tx *store.Tx) error { return k.Destroy(ctx, tx, seal.KeyID(b)) })
		}
	}
	if _, err := opened(t, st, k, 1, b); !fault.Is(err, fault.Sealed) {
		t.Error("the live database opens what was destroyed:", err)
	}
	old := caretest.OpenWith(t, store.Options{Dir: backups[3], Now: func() time.Time { return now }})
	refused(t, old, path, "restore a backup of the last 35 days")
	young := caretest.OpenWith(t, store.Options{Dir: backups[5], Now: func() time.Time { return now }})
	if got, err := opened(t, young, reopened(t, young, path), 1, b); got != "hello" || err != nil {
		t.Errorf("a backup of 34 days ago: %q %v", got, err)
	}
}

// Rows that stand under an old epoch hold it back, however old.
func TestAnEpochInUseIsNotDestroyed(t *testing.T) {
	st := caretest.Open(t)
	now := time.Now()
	path := newRing(t, now)
	k := reopened(t, st, path)
	sealed(t, st, k, 1, seal.PurposeMessage, "hello")
	if _, err := k.Rotate(t.Context(), id.Actor{}, now); err != nil {
		t.Fatal(err)
	}
	write(t, st, 0, func(ctx context.Context, tx *store.Tx) error { // a row that no rotation can open
		_, err := tx.Exec(ctx, "update seal_key set epoch = 1 where organisation_id = 1")
		return err
	})
	if _, err := k.Rotate(t.Context(), id.Actor{}, now.Add(3*seal.Window)); err == nil {
		t.Error("a row that does not open was passed over")
	}
	ring, err := seal.OpenRing(path, "")
	if err != nil || ring.Epochs()[0].Number != 1 {
		t.Error("the epoch that a row says it needs is gone", err)
	}
}
