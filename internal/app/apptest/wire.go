package apptest

import (
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Wire is the way of one node to its database, which a test can cut: what is sent into a cut wire arrives nowhere, and nobody is told.
type Wire struct {
	to string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// NewWire makes a wire to the database of a DSN with a host= folder of a socket, and gives the DSN that goes by it.
func NewWire(t testing.TB, dsn string) (*Wire, string) {
	t.Helper()
	const file = "/.s.PGSQL.5432"
	rest := dsn[strings.Index(dsn, "host=")+len("host="):]
	host, _, _ := strings.Cut(rest, " ")
	dir := t.TempDir()
	if len(dir) > 80 { // a socket's path has 107 bytes at most
		t.Fatalf("the temporary folder's path is too long: %s", dir)
	}
	l, err := net.Listen("unix", filepath.Join(dir, file)) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{to: host + file}
	t.Cleanup(func() {
		_ = l.Close()
		w.Mend()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(c)
		}
	}()
	return w, strings.Replace(dsn, "host="+host, "host="+dir, 1)
}

// join connects one caller.
func (w *Wire) join(c net.Conn) {
	w.mu.Lock()
	w.conns = append(w.conns, c)
	cut := w.cut
	w.mu.Unlock()
	if cut {
		return // nobody answers
	}
	server, err := net.Dial("unix", w.to) //nolint:noctx // ends with the wire
	if err != nil {
		_ = c.Close()
		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, server)
	w.mu.Unlock()
	go w.carry(server, c)
	w.carry(c, server)
}

// carry moves bytes until one side is gone; over a cut wire it loses them.
func (w *Wire) carry(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		cut := w.cut
		w.mu.Unlock()
		if cut {
			if err != nil {
				return // the other side does not hear of it
			}
			continue
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}

// Cut cuts the wire.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
}

// Mend makes the wire whole for whoever connects anew; what was connected while it was cut is reset.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}
