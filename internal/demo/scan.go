package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// control is a word that nobody else says. It is planted in every place that is scanned, and a scan that does not find it proves nothing.
type control struct {
	word string
	find *canaries
}

func newControl() control {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails: crypto/rand says so
	word := "control" + hex.EncodeToString(b)
	return control{word, newCanaries([]string{word})}
}

// everyForm gives the control in each encoding that a scan must know, one a line.
func (c control) everyForm() []byte {
	return []byte(strings.Join(encodings(c.word), "\n") + "\n")
}

// scanned is one place that was looked through.
type scanned struct {
	name          string
	hits, control int
}

// notWires is how many places are no connections.
const notWires = 5

// scanRunning looks through what the product has written while it still runs: database and write-ahead log, the rest of its folder, its
// log, its temporary files; and through every byte of every connection to the receivers, of which all begin unencrypted.
func (s *story) scanRunning(ctx context.Context) error {
	if err := s.hire(ctx, s.control.word+".again"); err != nil { // the newest row: in the write-ahead log
		return err
	}
	planted := filepath.Join(s.place.tmp, "control")
	if err := os.WriteFile(planted, s.control.everyForm(), 0o600); err != nil {
		return fmt.Errorf("plant the control: %w", err)
	}
	defer func() { _ = os.Remove(planted) }() // with the folder at the latest
	if err := appendTo(s.place.logFile(), s.control.everyForm()); err != nil {
		return err
	}
	for _, t := range []struct{ name, root string }{{"the database, running", s.place.data}, {"the program's log", s.place.log}, {"the temporary files", s.place.tmp}} {
		if err := s.scanTree(t.name, t.root); err != nil {
			return err
		}
	}
	if err := s.scanBackup(ctx); err != nil {
		return err
	}
	for _, r := range receivers {
		wire := s.world.Receivers()[r.domain].Wire()
		if len(wire) > 0 {
			s.scanBytes("connections to "+r.domain, wire)
		}
	}
	return nil
}

// scanBackup has the product write a backup and looks through it: what is carried away is what is stolen.
func (s *story) scanBackup(ctx context.Context) error {
	var made struct {
		Tables int `json:"tables"`
	}
	if err := s.api.post(ctx, "/backups", object{"path": s.place.backup()}, &made); err != nil {
		return err
	}
	s.hold(made.Tables > 0, "the backup holds tables")
	return s.scanTree("the backup", filepath.Dir(s.place.backup()))
}

// scanResting looks through the data folder once more when the product has stopped: by then all is in the database file.
func (s *story) scanResting() error {
	err := s.scanTree("the database, at rest", s.place.data)
	for _, x := range s.scans {
		s.result.Canary.Hits += x.hits
		if x.control > 0 {
			s.result.Canary.Control++
		}
		s.hold(x.control > 0, "the control planted in %s is found", x.name)
		s.hold(x.hits == 0, "no name, record number, birth date, phone, drug or diagnosis stands in %s (%d do)", x.name, x.hits)
	}
	return err
}

func (s *story) scanTree(name, root string) error {
	hits, err := s.canaries.countTree(root)
	if err != nil {
		return fmt.Errorf("scan %s: %w", name, err)
	}
	found, err := s.control.find.countTree(root)
	if err != nil {
		return fmt.Errorf("scan %s: %w", name, err)
	}
	s.scans = append(s.scans, scanned{name, hits, found})
	return nil
}

// scanBytes looks through a wire as it was, and once more with the folds of mail taken out: quoted-printable and base64 cut words in two.
func (s *story) scanBytes(name string, b []byte) {
	flat := bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("=\r\n"), nil), []byte("\r\n"), nil)
	s.scans = append(s.scans, scanned{name, s.canaries.count(b) + s.canaries.count(flat), s.control.find.count(b)})
}

func appendTo(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("plant the control: %w", err)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
