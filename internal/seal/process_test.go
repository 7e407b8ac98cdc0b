package seal_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// TestOnlyApprovedCryptography runs the tests of this package again in a mode where every call that FIPS 140-3 does not approve fails.
func TestOnlyApprovedCryptography(t *testing.T) {
	if fips140.Enforced() {
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.skip", "/postgres|^TestAYearOfNights$", "-test.count", "1")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHarden looks at a process of its own: what it does cannot be undone.
func TestHarden(t *testing.T) {
	const child = "CAREPOST_TEST_HARDEN"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestHarden$")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := seal.Harden(); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			t.Error(line)
		}
	}
}

// TestAnAuditorOpensARecordWithoutOurCode runs the script of docs/formats on a database and a ring made here.
func TestAnAuditorOpensARecordWithoutOurCode(t *testing.T) {
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import cryptography").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3-cryptography is not installed; scripts/test-needs.sh does it")
		}
		t.Skip("python3-cryptography is not installed")
	}
	dir := caretest.Folder(t)
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	path := newRing(t, time.Now())
	k := reopened(t, st, path)
	if _, err := k.Rotate(t.Context(), id.Actor{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	who := id.New[id.UUID]()
	var plain, person, wrapped []byte
	write(t, st, 5, func(ctx context.Context, tx *store.Tx) error {
		var key seal.Key
		if plain, err = k.Seal(ctx, tx, seal.PurposeMessage, cell, []byte("Take it at night.")); err != nil {
			return err
		}
		if key, wrapped, err = k.NewSubject(ctx, tx, who); err != nil {
			return err
		}
		person, err = key.Seal(cell, bytes.Repeat([]byte("Ada "), 2000))
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{"-B", filepath.Join("..", "..", "docs", "formats", "envelope.py"), path, filepath.Join(dir, "carepost.db"), strconv.Itoa(5)}, args...)
		out, err := exec.CommandContext(t.Context(), "python3", all...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	open := []string{"open", cell.Table, cell.Column, hex.EncodeToString(cell.Row)}
	if got := run(append(open, hex.EncodeToString(plain))...); got != "Take it at night." {
		t.Errorf("under a month's key: %q", got)
	}
	if got := run(append(open, hex.EncodeToString(person), hex.EncodeToString(who[:]), hex.EncodeToString(wrapped))...); got != strings.Repeat("Ada ", 2000) {
		t.Errorf("under a person's key: %q", got)
	}
	if got := run("keys"); strings.Count(got, "opens") != 2 {
		t.Errorf("the keys of the organisation: %s", got)
	}
}
