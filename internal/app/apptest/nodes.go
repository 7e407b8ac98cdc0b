package apptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/id"
)

// Beside makes a further node of the installation: folders of its own, with the keys of the first, on the same database and in the same
// world. It reaches the database by the DSN given.
func (p *Place) Beside(t testing.TB, dsn string) *Place {
	t.Helper()
	dir, err := os.MkdirTemp("", "carepost-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b := &Place{Config: p.Config, World: p.World}
	b.Config.Data, b.Config.Keys, b.Config.DSN = filepath.Join(dir, "data"), filepath.Join(dir, "keys"), dsn
	if err := errors.Join(os.Mkdir(b.Config.Data, 0o700), os.CopyFS(b.Config.Keys, os.DirFS(p.Config.Keys)), private(b.Config.Keys)); err != nil {
		t.Fatal(err)
	}
	return b
}

// private makes a folder of copied keys as private as keys must be.
func private(dir string) error {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, f.Name()), 0o600))
	}
	return errors.Join(err, os.Chmod(dir, 0o700)) //nolint:gosec // G302: a folder
}

// Pause stops the process where it stands, as a machine does that is suspended.
func (c *Process) Pause(t testing.TB) { c.signal(t, syscall.SIGSTOP) }

// Continue wakes a paused process.
func (c *Process) Continue(t testing.TB) { c.signal(t, syscall.SIGCONT) }

func (c *Process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal the program: %v", err)
	}
}

// besideSocket is the socket at which a child answers what only tests ask.
func besideSocket(socket string) string { return socket + ".test" }

// answerTests serves what only tests ask of a process: the fingerprint of its audience index.
func answerTests(ctx context.Context, a *app.App, socket string) error {
	if err := os.Remove(besideSocket(socket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the socket of a killed process: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", besideSocket(socket))
	if err != nil {
		return fmt.Errorf("listen for tests: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fingerprint/{org}", func(w http.ResponseWriter, r *http.Request) {
		org, err := id.ParseOrganisation(r.PathValue("org"))
		if err == nil {
			var print string
			if print, err = a.Fingerprint(r.Context(), org); err == nil {
				_, _ = io.WriteString(w, print) //nolint:gosec // G705: a hash, to a test
				return
			}
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
	})
	s := &http.Server{Handler: mux} //nolint:gosec // G112: its only client is the test
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }()
	return nil
}

// Fingerprint gives the fingerprint of the process' audience index of the first organisation.
func (c *Process) Fingerprint(t testing.TB) string {
	t.Helper()
	beside := newAPI(besideSocket(c.socket))
	defer beside.http.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://carepost/fingerprint/1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := beside.http.Do(req)
	if err != nil {
		t.Fatalf("ask for the fingerprint: %v", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the fingerprint: %d %s %v", res.StatusCode, text, err)
	}
	return string(text)
}
