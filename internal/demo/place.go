package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
)

// place is the demo's folder: what the product keeps, apart from what the outside made and from what we watch.
type place struct {
	dir  string // holds all of it
	data string // of the product
	keys string // of the product, never below data
	log  string
	tmp  string // the child's temporary files
	feed string // the export, as an EHR would have written it
}

// newPlace makes the folders in dir, which must be new or empty, or in a fresh temporary folder.
func newPlace(dir string) (p place, err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "carepost-demo-"); err != nil {
			return p, fmt.Errorf("make the demo's folder: %w", err)
		}
	} else {
		if dir, err = filepath.Abs(dir); err != nil {
			return p, fmt.Errorf("find the demo's folder: %w", err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return p, fault.Wrap(fault.Invalid, err, "the demo's folder cannot be made").At("%s", dir)
		}
		if inside, err := os.ReadDir(dir); err != nil || len(inside) > 0 {
			return p, fault.New(fault.Conflict, "the demo's folder is not empty").At("%s", dir).Hint("name a new one: the demo never touches what is there")
		}
	}
	p = place{dir, filepath.Join(dir, "data"), filepath.Join(dir, "keys"), filepath.Join(dir, "log"), filepath.Join(dir, "tmp"), filepath.Join(dir, "export")}
	for _, d := range []string{p.log, p.tmp, p.feed, filepath.Dir(p.backup())} {
		err = errors.Join(err, os.Mkdir(d, 0o700))
	}
	if err != nil {
		err = fmt.Errorf("make the demo's folders: %w", err)
	}
	return p, err
}

func (p place) logFile() string    { return filepath.Join(p.log, "carepost.log") }
func (p place) settings() string   { return filepath.Join(p.dir, "carepost.yaml") }
func (p place) ledgerTar() string  { return filepath.Join(p.dir, "ledger.tar") }
func (p place) auditorKey() string { return filepath.Join(p.dir, "ledger.pub") }
func (p place) backup() string     { return filepath.Join(p.dir, "backup", "carepost.backup") }
func (p place) checkpoint() string { return filepath.Join(p.dir, "ledger.known") }

// config gives the settings of the demo's installation.
func (p place) config(control string) config.Config {
	c := config.Config{
		Data: p.data, Keys: p.keys, Host: ourHost, Helo: control + "." + ourDomain, Connections: 32, Freshness: freshness, LogLevel: "debug",
	}
	const longestSocket = 85 // the system's limit is 108 bytes, and the socket is made under a longer name first
	if len(c.SocketPath()) > longestSocket {
		c.Socket = "/tmp/carepost-" + control + ".sock"
	}
	return c
}

// keep writes the settings file that the commands to try are given.
func (p place) keep() error {
	return os.WriteFile(p.settings(), fmt.Appendf(nil, "data: %q\nkeys: %q\nhost: %q\n", p.data, p.keys, ourHost), 0o600)
}
