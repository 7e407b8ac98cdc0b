package ledger

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
)

// archive reads an export file by file, in the order in which Export writes them. It believes nothing: names, types and sizes
// are compared before a byte is read.
type archive struct {
	tar     *tar.Reader
	next    *tar.Header // read ahead by readOptional
	skipped int
	buf     []byte
}

// header gives the next file, nil at the end of the archive.
func (a *archive) header() (*tar.Header, error) {
	if h := a.next; h != nil {
		a.next = nil
		return h, nil
	}
	for {
		h, err := a.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // nil is the end
		}
		if err != nil {
			return nil, archiveFlaw(err, "")
		}
		if h.Typeflag == tar.TypeDir && a.skipped < maxSkippable {
			a.skipped++
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return nil, flawf(FlawFile, -1, shown(h.Name), "it is not a plain file")
		}
		return h, nil
	}
}

// read gives the content of the file that must come next; it is good until the next call.
func (a *archive) read(name string, least, most int) ([]byte, error) {
	h, err := a.header()
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, flawf(FlawTruncated, -1, name, "the archive ends before this file")
	}
	if h.Name != name {
		return nil, flawf(FlawFile, -1, shown(h.Name), "%s was to come here", name)
	}
	return a.content(h, least, most)
}

// readOptional gives the content of the next file if it has the name.
func (a *archive) readOptional(name string, most int) (b []byte, present bool, err error) {
	h, err := a.header()
	if err != nil || h == nil {
		return nil, false, err
	}
	if h.Name != name {
		a.next = h
		return nil, false, nil
	}
	b, err = a.content(h, 0, most)
	return b, true, err
}

func (a *archive) content(h *tar.Header, least, most int) ([]byte, error) {
	if h.Size < int64(least) || h.Size > int64(most) {
		return nil, flawf(FlawFile, -1, h.Name, "it has %d bytes", h.Size)
	}
	if cap(a.buf) < int(h.Size) {
		a.buf = make([]byte, h.Size)
	}
	b := a.buf[:h.Size]
	if _, err := io.ReadFull(a.tar, b); err != nil {
		return nil, archiveFlaw(err, h.Name)
	}
	return b, nil
}

// end sees that no file follows.
func (a *archive) end() error {
	h, err := a.header()
	if err != nil {
		return err
	}
	if h != nil {
		return flawf(FlawFile, -1, shown(h.Name), "the archive holds more than the checkpoint covers")
	}
	return nil
}

func archiveFlaw(err error, name string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return flawf(FlawTruncated, -1, name, "the archive breaks off")
	}
	return flawf(FlawFile, -1, name, "not a readable tar archive")
}

// shown makes a name from outside fit to print.
func shown(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name[:min(len(name), 100)])
}
