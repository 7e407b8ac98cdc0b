package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/ledger"
)

func newSigner(t testing.TB) ledger.Signer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.key")
	if err := ledger.CreateSigner(path, caretest.LedgerOrigin); err != nil {
		t.Fatal(err)
	}
	s, err := ledger.OpenSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignerFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.key")
	for _, origin := range []string{"", "host", "Host/ledger", "host/led ger", "host/ledger+x", "host/ledger/", "host/ledger\n"} {
		if err := ledger.CreateSigner(path, origin); err == nil {
			t.Fatalf("the origin %q was taken", origin)
		}
	}
	if _, err := ledger.OpenSigner(path); err == nil {
		t.Error("a missing key was opened")
	}
	if err := ledger.CreateSigner(path, "carepost.example.org:8443/ledger"); err != nil {
		t.Fatal(err)
	}
	if err := ledger.CreateSigner(path, "carepost.example.org/ledger"); err == nil {
		t.Error("a key was overwritten")
	}
	s, err := ledger.OpenSigner(path)
	if err != nil || s.Origin() != "carepost.example.org:8443/ledger" || !strings.HasPrefix(s.PublicKey(), s.Origin()+"+") {
		t.Fatal(s.Origin(), err)
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(secret))
	key = key[len(key)-20:]
	if text := fmt.Sprintf("%v %+v %#v %s %d", s, s, s, s, s) + fmt.Sprint(struct{ S ledger.Signer }{s}); strings.Contains(text, key) || !strings.Contains(text, "[sealed]") {
		t.Errorf("a signer prints as %s", text)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenSigner(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenSigner(link); err == nil {
		t.Error("a key was opened through a link")
	}
	for _, text := range []string{"", "x", strings.Repeat("PRIVATE+KEY+", 400), strings.Replace(string(secret), "ledger", "ledger2", 1)} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.OpenSigner(bad); err == nil {
			t.Errorf("%.30q was taken for a key", text)
		}
	}
}
