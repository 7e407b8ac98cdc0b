package seal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

var birth = time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)

func makeRing(t *testing.T) (string, *Ring) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	if err := CreateRing(path, birth); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return path, r
}

func TestOpenRingRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, path string) (ring, data string)
		says string
	}{
		{"a missing file", func(t *testing.T, path string) (string, string) { return path + "x", "" }, "put the ring's copy in its place"},
		{"a missing folder", func(t *testing.T, path string) (string, string) { return filepath.Join(path+"x", "ring"), "" }, "carepost init"},
		{"a file that the group may read", func(t *testing.T, path string) (string, string) { return path, must(t, os.Chmod(path, 0o640)) }, "chmod 600"},
		{"a file that the world may read", func(t *testing.T, path string) (string, string) { return path, must(t, os.Chmod(path, 0o604)) }, "chmod 600"},
		{"a file that the world may write", func(t *testing.T, path string) (string, string) { return path, must(t, os.Chmod(path, 0o602)) }, "chmod 600"},
		{"a file of another user", func(t *testing.T, path string) (string, string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			return path, must(t, os.Chown(path, 12345, -1))
		}, "chown"},
		{"a symbolic link", func(t *testing.T, path string) (string, string) {
			return path + ".link", must(t, os.Symlink(path, path+".link"))
		}, "the file itself"},
		{"a folder", func(t *testing.T, path string) (string, string) { return filepath.Dir(path), "" }, "ring's file"},
		{"a file in the data folder", func(t *testing.T, path string) (string, string) { return path, filepath.Dir(path) }, "folder of its own"},
		{"a file in the data folder by another name", func(t *testing.T, path string) (string, string) {
			link := filepath.Join(t.TempDir(), "data")
			must(t, os.Symlink(filepath.Dir(path), link))
			return path, link
		}, "folder of its own"},
		{"a file below the data folder", func(t *testing.T, path string) (string, string) { return path, filepath.Dir(filepath.Dir(path)) }, "folder of its own"},
		{"an empty file", func(t *testing.T, path string) (string, string) { return path, must(t, os.Truncate(path, 0)) }, "last copy of the ring"},
		{"a truncated file", func(t *testing.T, path string) (string, string) { return path, must(t, os.Truncate(path, 60)) }, "last copy of the ring"},
		{"a file with one changed bit", func(t *testing.T, path string) (string, string) {
			data, err := os.ReadFile(path)
			must(t, err)
			data[40] ^= 1
			return path, must(t, os.WriteFile(path, data, 0o600))
		}, "last copy of the ring"},
		{"a file of another kind", func(t *testing.T, path string) (string, string) {
			return path, must(t, os.WriteFile(path, bytes.Repeat([]byte("key\n"), 100), 0o600))
		}, "last copy of the ring"},
		{"a file too long", func(t *testing.T, path string) (string, string) { return path, must(t, os.Truncate(path, 1<<30)) }, "ring's file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, _ := makeRing(t)
			ring, data := c.do(t, path)
			_, err := OpenRing(ring, data)
			if !fault.Is(err, fault.Sealed) || !strings.Contains(fault.Text(err), c.says) || !strings.Contains(fault.Text(err), filepath.Dir(path)) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

// must ends the test on an error; the empty text is a data folder that is not there.
func must(t *testing.T, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

func TestOpenRingTakesAFolderBesideTheData(t *testing.T) {
	path, _ := makeRing(t)
	for _, data := range []string{filepath.Join(filepath.Dir(path), "data"), filepath.Dir(path) + "x", t.TempDir()} {
		if _, err := OpenRing(path, data); err != nil {
			t.Error(err)
		}
	}
}

func TestCreateRingReplacesNothing(t *testing.T) {
	path, _ := makeRing(t)
	before, err := os.ReadFile(path)
	must(t, err)
	if err := CreateRing(path, birth); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Error("the ring was changed", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	if err := CreateRing(filepath.Join(path+".d", "ring"), birth); !fault.Is(err, fault.Sealed) {
		t.Error(err)
	}
}

func TestAYearOfNights(t *testing.T) {
	path, r := makeRing(t)
	for night := range 365 {
		now := birth.AddDate(0, 0, night+1)
		if !r.Due(now) {
			t.Fatalf("night %d is not due", night)
		}
		must(t, r.Advance(now))
		if r.Due(now.Add(time.Hour)) && night < 34 {
			t.Fatalf("night %d is due again after an hour", night)
		}
		if _, err := r.destroy(r.newestNumber(), now); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenRing(path, "")
	must(t, err)
	epochs := again.Epochs()
	if len(epochs) != 36 {
		t.Errorf("%d epochs are kept, want the newest and the 35 superseded within the window", len(epochs))
	}
	for i, e := range epochs {
		last := i == len(epochs)-1
		if last != e.Superseded.IsZero() || !last && !e.Superseded.Equal(epochs[i+1].Made) {
			t.Errorf("epoch %d was superseded %s", e.Number, e.Superseded)
		}
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Error("files are left beside the ring", left, err)
	}
}

func TestDestroyKeepsWhatIsInUseAndWhatIsYoung(t *testing.T) {
	_, r := makeRing(t)
	must(t, r.Advance(birth.Add(EpochAge)))
	must(t, r.Advance(birth.Add(2*EpochAge)))
	for _, c := range []struct {
		name  string
		below uint32
		now   time.Time
		gone  int
	}{
		{"before the window has passed", 3, birth.Add(EpochAge + Window - time.Millisecond), 0},
		{"while a row is wrapped by the oldest", 1, birth.Add(10 * Window), 0},
		{"one whose window has passed", 3, birth.Add(EpochAge + Window), 1},
		{"never the newest", 99, birth.Add(10 * Window), 1},
		{"and never the last", 99, birth.Add(99 * Window), 0},
	} {
		if n, err := r.destroy(c.below, c.now); n != c.gone || err != nil {
			t.Errorf("%s: %d are destroyed, want %d (%v)", c.name, n, c.gone, err)
		}
	}
}

func TestADestroyedEpochIsWipedFromMemoryAndDisk(t *testing.T) {
	path, r := makeRing(t)
	key := bytes.Clone(r.epochs[0].key[:])
	old, err := os.Open(path) // the file that is about to be replaced
	must(t, err)
	defer old.Close()
	must(t, r.Advance(birth.Add(EpochAge)))
	room := r.epochs[0].key
	if _, err := r.destroy(2, birth.Add(2*Window)); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(room[:], key) {
		t.Error("the key is still in memory")
	}
	for name, f := range map[string]func() ([]byte, error){
		"the new file": func() ([]byte, error) { return os.ReadFile(path) },
		"the old file": func() ([]byte, error) {
			b := make([]byte, 4096)
			n, err := old.ReadAt(b, 0)
			return b[:n], ignoreEOF(err)
		},
	} {
		if data, err := f(); err != nil || bytes.Contains(data, key) {
			t.Errorf("%s holds the key (%v)", name, err)
		}
	}
}

func ignoreEOF(err error) error {
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

func TestARingFollowsAnotherProcess(t *testing.T) {
	path, a := makeRing(t)
	b, err := OpenRing(path, "")
	must(t, err)
	must(t, a.Advance(birth.Add(EpochAge)))
	if err := b.use(2, func([]byte) error { return nil }); err != nil {
		t.Error("an epoch that another process added is not found:", err)
	}
	must(t, b.Advance(birth.Add(2*EpochAge)))
	must(t, a.advanceDue(birth.Add(2*EpochAge))) // b has done it
	if n := a.newestNumber(); n != 3 {
		t.Errorf("the newest is %d, want 3", n)
	}
	if err := a.use(4, func([]byte) error { return nil }); !fault.Is(err, fault.Sealed) || !strings.Contains(err.Error(), "newest copy") {
		t.Error(err)
	}
}

func TestARingThatWasSwappedWhileInUseIsRefused(t *testing.T) {
	path, r := makeRing(t)
	old, err := os.ReadFile(path)
	must(t, err)
	must(t, r.Advance(birth.Add(EpochAge)))
	other, _ := makeRing(t)
	foreign, err := os.ReadFile(other)
	must(t, err)
	for name, data := range map[string][]byte{"an older copy": old, "another ring": foreign} {
		must(t, os.WriteFile(path, data, 0o600))
		if err := r.Advance(birth.Add(2 * EpochAge)); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.use(2, func([]byte) error { return nil }); err != nil {
			t.Errorf("%s: what is in memory is lost: %v", name, err)
		}
	}
}

func TestARefusedWriteChangesNothing(t *testing.T) {
	path, r := makeRing(t)
	must(t, os.Mkdir(path+".new", 0o700)) // the temporary file cannot be made
	must(t, os.WriteFile(filepath.Join(path+".new", "x"), nil, 0o600))
	if err := r.Advance(birth.Add(EpochAge)); err == nil {
		t.Fatal("advanced without a file")
	}
	if n := r.newestNumber(); n != 1 {
		t.Errorf("the ring in memory is at %d", n)
	}
	must(t, os.RemoveAll(path+".new"))
	must(t, os.WriteFile(path+".new", []byte("left by a crash"), 0o644))
	must(t, r.Advance(birth.Add(EpochAge)))
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
}

func TestManyAdvanceAtOnce(t *testing.T) {
	path, _ := makeRing(t)
	var wg sync.WaitGroup
	for range 4 {
		r, err := OpenRing(path, "")
		must(t, err)
		for range 2 {
			wg.Go(func() {
				for range 5 {
					if err := r.Advance(birth.Add(EpochAge)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	r, err := OpenRing(path, "")
	if err != nil || r.newestNumber() != 41 {
		t.Errorf("%d epochs after 40 advances (%v)", r.newestNumber(), err)
	}
}

func TestRingOfAnotherImplementation(t *testing.T) {
	v := known(t)
	r, bad := decodeRing(v.Ring, &vault{})
	if bad != nil {
		t.Fatal(bad)
	}
	if !bytes.Equal(r.encode(), v.Ring) {
		t.Error("we write it otherwise")
	}
	tree := v.Tree
	k := &Keys{ring: r}
	bucket, err := k.unwrap(row{org: tree.Organisation, id: tree.Number, wrapped: tree.Bucket, epoch: 4, state: "active"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := openSubject(bucket, [16]byte(tree.Subject), tree.Wrapped)
	if err != nil {
		t.Fatal(err)
	}
	got, err := key.Open(Cell{tree.Table, tree.Column, tree.Subject}, tree.Sealed)
	if err != nil || !bytes.Equal(got, tree.Plain) {
		t.Errorf("%q %v", got, err)
	}
}

func FuzzOpenRing(f *testing.F) {
	good := newRing(birth)
	f.Add(good.encode())
	if err := good.add(birth.Add(EpochAge)); err != nil {
		f.Fatal(err)
	}
	f.Add(good.encode())
	f.Add(good.encode()[:100])
	f.Add([]byte(known(f).Ring))
	f.Fuzz(func(t *testing.T, body []byte) {
		// The bytes as they are, and with a sum that is right: what stands behind the sum is reached too.
		for _, data := range [][]byte{body, summed(bytes.Clone(body))} {
			r, bad := decodeRing(data, &vault{})
			if bad != nil {
				continue
			}
			if !bytes.Equal(r.encode(), data) {
				t.Fatalf("%x is written as %x", data, r.encode())
			}
			if n := binary.BigEndian.Uint32(data[ringHead-4:]); len(r.Epochs()) != int(n) || n == 0 {
				t.Fatalf("%d epochs", n)
			}
		}
	})
}
