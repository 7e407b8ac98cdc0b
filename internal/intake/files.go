package intake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// File is one file of an import: NDJSON, also gzipped, or one JSON document over many lines (.json).
type File struct {
	Path   string `json:"path"`
	Kind   string `json:"kind,omitempty"`  // what a manifest says is in it
	Count  int64  `json:"count,omitempty"` // how many messages a manifest promises
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // of the first bytes: a resumed import must find the same file

	Read   int64    `json:"read"`             // messages so far
	Kinds  []string `json:"kinds,omitempty"`  // of them
	Broken bool     `json:"broken,omitempty"` // a line of it could not be read
}

const (
	digestBytes = 64 << 10
	// A gzip file may grow 200 times, as no honest NDJSON does (FHIR: 10 to 30), once it has given 64 MiB; and to 1 TiB in all.
	maxRatio    = 200
	ratioAfter  = 64 << 20
	maxUnpacked = 1 << 40
)

// inspect fills in size and digest, and refuses what is no plain file.
func (f *File) inspect() error {
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fault.New(fault.NotFound, "there is no such file").At("%s", filepath.Base(f.Path))
	case err != nil:
		return fmt.Errorf("look at a file: %w", err)
	case !info.Mode().IsRegular():
		return fault.New(fault.Invalid, "not a file").At("%s", filepath.Base(f.Path))
	}
	f.Size = info.Size()
	file, err := os.Open(f.Path)
	if err != nil {
		return fault.Wrap(fault.Forbidden, err, "the file cannot be read").At("%s", filepath.Base(f.Path))
	}
	defer file.Close() //nolint:errcheck // read only
	h := sha256.New()
	if _, err := io.CopyN(h, file, digestBytes); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read a file: %w", err)
	}
	f.Digest = hex.EncodeToString(h.Sum(nil)[:16])
	return nil
}

// unchanged makes sure that the file is the one the import began with.
func (f *File) unchanged() error {
	now := File{Path: f.Path}
	if err := now.inspect(); err != nil {
		return err
	}
	if now.Size != f.Size || now.Digest != f.Digest {
		return fault.New(fault.Conflict, "the file is not the one that the import began with").At("%s", filepath.Base(f.Path)).
			Hint("put the file back, or begin a new import")
	}
	return nil
}

func (f *File) gzipped() bool { return strings.HasSuffix(strings.ToLower(f.Path), ".gz") }

func (f *File) document() bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(f.Path, ".gz")), ".json")
}

// Bytes opens the file to be looked at, unpacked.
func (f *File) Bytes() (io.ReadCloser, error) {
	if err := f.inspect(); err != nil {
		return nil, err
	}
	r, shut, err := f.unpack()
	if err != nil {
		return nil, err
	}
	return &opened{r, shut}, nil
}

type opened struct {
	io.Reader
	close func() error
}

func (o *opened) Close() error { return o.close() }

// unpack opens the file, unpacked.
func (f *File) unpack() (io.Reader, func() error, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Forbidden, err, "the file cannot be read").At("%s", filepath.Base(f.Path))
	}
	if !f.gzipped() {
		return file, file.Close, nil
	}
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, nil, errors.Join(fault.Wrap(fault.Invalid, err, "not a gzip file").At("%s", filepath.Base(f.Path)), file.Close())
	}
	return &unpacker{z: z, packed: f.Size}, file.Close, nil
}

// source is an open file at a place.
type source struct {
	next  func() (line, error)
	bytes io.Reader
	close func() error
}

// open opens the file so that the next line is the one after offset.
func (f *File) open(mapper Mapper, number, offset int64) (*source, error) {
	r, shut, err := f.unpack()
	if err != nil {
		return nil, err
	}
	if f.document() {
		doc, err := oneLine(r)
		if err != nil {
			return nil, errors.Join(err, shut())
		}
		r = doc
	}
	if offset > 0 {
		if seeker, ok := r.(io.Seeker); ok {
			_, err = seeker.Seek(offset, io.SeekStart)
		} else {
			_, err = io.CopyN(io.Discard, r, offset)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("go to the place in a file: %w", err), shut())
		}
	}
	if c, cuts := mapper.(Cutting); cuts {
		return &source{cutLines{c.Cut(r, number, offset)}.next, r, shut}, nil
	}
	l := newLines(r, number, offset)
	return &source{l.next, l.r, shut}, nil
}

// unpacker unpacks gzip and stops a bomb.
type unpacker struct {
	z      *gzip.Reader
	packed int64
	given  int64
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	u.given += int64(n)
	if u.given > maxUnpacked || u.given > ratioAfter && u.given > maxRatio*u.packed {
		return n, fault.New(fault.TooLarge, "the gzip file unpacks to more than %d times its size", maxRatio).Hint("unpack it and look at it first")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fault.Wrap(fault.Invalid, err, "the gzip file is damaged or cut short")
	}
	return n, err
}

// oneLine brings a JSON document over many lines to one. NDJSON in a .json file stays as it is: its lines are objects.
func oneLine(r io.Reader) (io.Reader, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxLine+1))
	if err != nil {
		return nil, fmt.Errorf("read a document: %w", err)
	}
	if len(body) > maxLine {
		return io.MultiReader(bytes.NewReader(body), r), nil
	}
	body = bytes.TrimPrefix(body, byteOrderMark)
	if first, _, many := bytes.Cut(bytes.TrimSpace(body), []byte("\n")); many && !whole(first) {
		body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r"), []byte(" ")), []byte("\n"), []byte(" "))
	}
	return bytes.NewReader(body), nil
}

// whole tells whether a line closes all it opens, outside of texts.
func whole(b []byte) bool {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth == 0 && !text
}
