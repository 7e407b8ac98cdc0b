package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// An export is all rows of all tables as one stream that either engine reads: the backup of PostgreSQL, and the way from SQLite to
// PostgreSQL. Rows are sealed by their owners; the stream adds nothing and hides nothing.
//
//	"carepost export 1\n"
//	'M' number, name, sha256   each migration, ascending
//	'T' name, columns...       a table; in the order in which the migrations made them
//	'R' value...               a row of the table before it
//	'E' digest                 SHA-256 of all bytes before it, raw; nothing follows
//
// Numbers are unsigned varints, texts are length and bytes, lists are count and items. A value is a byte 0 (NULL), 1 and a signed
// varint, 2 and bytes, or 3 and text.
const (
	exportMagic    = "carepost export 1\n"
	maxExportValue = 64 << 20
	maxExportName  = 1 << 10
	maxExportItems = 1 << 12
)

var createTable = regexp.MustCompile(`(?im)^\s*create table (?:if not exists )?([a-z_][a-z0-9_]*)`)

// tables gives the names of all tables in the order in which the migrations make them. Statements below are built with these names,
// which stand in our own files, and with nothing else.
func tables(all []migration) []string {
	var names []string
	for _, m := range all {
		for _, found := range createTable.FindAllStringSubmatch(m.sql, -1) {
			if found[1] != "migration" {
				names = append(names, found[1])
			}
		}
	}
	return names
}

// Export writes one snapshot of all tables.
func (s *Store) Export(ctx context.Context, w io.Writer) error {
	all, err := migrations(embedded)
	if err != nil {
		return err
	}
	e := &exporter{sum: sha256.New()}
	e.out = bufio.NewWriterSize(io.MultiWriter(w, e.sum), 1<<16)
	e.raw(exportMagic)
	for _, m := range all {
		e.raw("M")
		e.number(uint64(m.number))
		e.text(m.name)
		e.text(m.sum)
	}
	err = s.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *Tx) error {
		for _, name := range tables(all) {
			if err := e.table(ctx, tx, name); err != nil {
				return fmt.Errorf("export table %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.raw("E")
	if err := e.out.Flush(); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	if _, err := w.Write(e.sum.Sum(nil)); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	return nil
}

// exporter writes the format. bufio keeps the first error and Flush reports it.
type exporter struct {
	out *bufio.Writer
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	buf []byte
}

func (e *exporter) raw(s string) { _, _ = e.out.WriteString(s) }
func (e *exporter) number(n uint64) {
	e.buf = binary.AppendUvarint(e.buf[:0], n)
	_, _ = e.out.Write(e.buf)
}
func (e *exporter) text(s string) { e.number(uint64(len(s))); e.raw(s) }

func (e *exporter) table(ctx context.Context, tx *Tx, name string) error {
	rows, err := tx.Query(ctx, "select * from "+name)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	e.raw("T")
	e.text(name)
	e.number(uint64(len(columns)))
	for _, c := range columns {
		e.text(c)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		e.raw("R")
		for i, v := range values {
			if err := e.value(v); err != nil {
				return fmt.Errorf("column %s: %w", columns[i], err)
			}
		}
		if e.out.Buffered() == 0 { // a flush just happened; a full disk shows here rather than at the end
			if err := e.out.Flush(); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

func (e *exporter) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.raw("\x00")
	case int64:
		e.raw("\x01")
		e.buf = binary.AppendVarint(e.buf[:0], v)
		_, _ = e.out.Write(e.buf)
	case []byte:
		if len(v) > maxExportValue {
			return fault.New(fault.TooLarge, "a value of more than 64 MiB")
		}
		e.raw("\x02")
		e.number(uint64(len(v)))
		_, _ = e.out.Write(v)
	case string:
		e.raw("\x03")
		e.text(v)
	default:
		return fmt.Errorf("a value of type %T is outside of the SQL subset", v)
	}
	return nil
}

// exportReader reads the format, as untrusted input: every length is bounded and every record checked before it is used.
type exportReader struct {
	in  *bufio.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func newExportReader(r io.Reader) (*exportReader, error) {
	e := &exportReader{in: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	head, err := e.bytes(uint64(len(exportMagic)), uint64(len(exportMagic)))
	if err != nil {
		return nil, err
	}
	if string(head) != exportMagic {
		return nil, fault.New(fault.Invalid, "not an export of carepost, or of a later format")
	}
	return e, nil
}

var errExport = fault.New(fault.Invalid, "the export is cut short or damaged").Hint("use another copy")

// ReadByte reads one byte into the digest too, so that binary.ReadUvarint can read from an exportReader.
func (e *exportReader) ReadByte() (byte, error) {
	b, err := e.in.ReadByte()
	if err == nil {
		_, _ = e.sum.Write([]byte{b}) // a hash does not fail
	}
	return b, err
}

func (e *exportReader) number(limit uint64) (uint64, error) {
	n, err := binary.ReadUvarint(e)
	if err != nil || n > limit {
		return 0, errExport
	}
	return n, nil
}

func (e *exportReader) bytes(n, limit uint64) ([]byte, error) {
	if n > limit {
		return nil, errExport
	}
	b := make([]byte, 0, min(n, 1<<16))
	for uint64(len(b)) < n { // grown as it is read: a false length must not take memory
		at := len(b)
		b = slices.Grow(b, int(min(n-uint64(at), uint64(max(at, 1<<16)))))
		b = b[:min(uint64(cap(b)), n)]
		if _, err := io.ReadFull(e.in, b[at:]); err != nil {
			return nil, errExport
		}
	}
	_, _ = e.sum.Write(b) // a hash does not fail
	return b, nil
}

func (e *exportReader) text() (string, error) {
	n, err := e.number(maxExportName)
	if err != nil {
		return "", err
	}
	b, err := e.bytes(n, maxExportName)
	return string(b), err
}

func (e *exportReader) value() (any, error) {
	tag, err := e.ReadByte()
	if err != nil {
		return nil, errExport
	}
	switch tag {
	case 0:
		return nil, nil //nolint:nilnil // NULL
	case 1:
		n, err := binary.ReadVarint(e)
		if err != nil {
			return nil, errExport
		}
		return n, nil
	case 2, 3:
		n, err := e.number(maxExportValue)
		if err != nil {
			return nil, err
		}
		b, err := e.bytes(n, maxExportValue)
		if tag == 3 {
			return string(b), err
		}
		return b, err
	}
	return nil, errExport
}

// visitor is told what an export holds.
type visitor struct {
	migration func(m migration) error
	table     func(name string, columns []string) error
	row       func(values []any) error
}

// walk reads an export to its end and checks its digest. What the visitor was told counts only when walk returns nil.
func (e *exportReader) walk(v visitor) error {
	columns := -1
	for {
		tag, err := e.ReadByte()
		if err != nil {
			return errExport
		}
		switch {
		case tag == 'M' && columns < 0:
			err = e.migration(v)
		case tag == 'T':
			columns, err = e.table(v)
		case tag == 'R' && columns >= 0:
			values := make([]any, columns)
			for i := range values {
				if values[i], err = e.value(); err != nil {
					return err
				}
			}
			err = v.row(values)
		case tag == 'E':
			return e.end()
		default:
			err = errExport
		}
		if err != nil {
			return err
		}
	}
}

func (e *exportReader) migration(v visitor) error {
	n, err := e.number(9999)
	if err != nil {
		return err
	}
	name, err := e.text()
	if err != nil {
		return err
	}
	sum, err := e.text()
	if err != nil {
		return err
	}
	return v.migration(migration{number: int(n), name: name, sum: sum})
}

func (e *exportReader) table(v visitor) (int, error) {
	name, err := e.text()
	if err != nil {
		return 0, err
	}
	n, err := e.number(maxExportItems)
	if err != nil {
		return 0, err
	}
	var columns []string
	for range n {
		c, err := e.text()
		if err != nil {
			return 0, err
		}
		columns = append(columns, c)
	}
	return len(columns), v.table(name, columns)
}

func (e *exportReader) end() error {
	want := e.sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(e.in, got); err != nil {
		return errExport
	}
	if _, err := e.in.ReadByte(); !errors.Is(err, io.EOF) || string(got) != string(want) {
		return errExport
	}
	return nil
}

func inspectExport(r io.Reader, info *Info) error {
	all, err := migrations(embedded)
	if err != nil {
		return err
	}
	e, err := newExportReader(r)
	if err != nil {
		return err
	}
	var applied []migration
	err = e.walk(visitor{
		migration: func(m migration) error { applied = append(applied, m); return nil },
		table:     func(string, []string) error { info.Tables++; return nil },
		row:       func([]any) error { info.Rows++; return nil },
	})
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		return errExport
	}
	info.Migration = applied[len(applied)-1].name
	_, err = compare(all, applied)
	return err
}
