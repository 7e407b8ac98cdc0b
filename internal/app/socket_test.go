package app_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/fault"
)

// The socket of a process that lives is not taken away; the one that a dead process left is.
func TestTheCommandSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "carepost.sock")
	first, err := app.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := os.Lstat(path); err != nil || at.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", at.Mode(), err)
	}
	if _, err := app.Listen(t.Context(), path); !fault.Is(err, fault.Conflict) {
		t.Errorf("beside a living process: %v", err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first one's socket is gone: %v", err)
	} else {
		c.Close()
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	again, err := app.Listen(t.Context(), path)
	if err != nil {
		t.Fatalf("beside what a dead process left: %v", err)
	}
	again.Close()
}
