package caretest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Server is a PostgreSQL server of one test, which the test may stop.
type Server struct {
	c   *cluster
	DSN string
}

// PostgreSQL starts a server of the test's own. Without PostgreSQL the test is skipped.
func PostgreSQL(t testing.TB) *Server {
	t.Helper()
	bin, err := binaries()
	switch {
	case errors.Is(err, errAbsent) && os.Getenv("CI") != "true":
		t.Skip("skipped: ", err, " (apt-get install postgresql-15)")
	case err != nil:
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "carepost-pg-own-") // short: the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{bin: bin, dir: dir}
	if os.Getuid() == 0 {
		if c.cred, err = unprivileged(); err == nil {
			err = os.Chown(dir, int(c.cred.Uid), -1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{c: c, DSN: c.dsn("postgres")}
	t.Cleanup(func() {
		_ = c.command("pg_ctl", "-D", filepath.Join(dir, "d"), "-m", "immediate", "-w", "stop").Run() // it may have been stopped
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(c.make(), c.up()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Stop ends the server at once, as a crash would: all connections break, and the next start recovers from the log.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.c.run("pg_ctl", "-D", filepath.Join(s.c.dir, "d"), "-m", "immediate", "-w", "stop"); err != nil {
		t.Fatal(err)
	}
}

// Start starts it again.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.c.up(); err != nil {
		t.Fatal(err)
	}
}
