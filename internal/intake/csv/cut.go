package csv

import (
	"bytes"
	"errors"
	"io"

	"github.com/carepost/carepost/internal/intake"
)

const (
	maxRecord = 1 << 20 // bytes of one record; a longer one is passed over
	readBytes = 128 << 10
)

// The reasons why a record is refused before it is read.
const (
	ReasonTooLong  = "a record of more than 1 MiB: passed over, not kept"
	reasonUnclosed = "a quote that is not closed"
	reasonQuote    = "a quote in the middle of a quoted cell"
)

// cutter cuts a file into records with bounded memory. A record whose quotes are wrong costs its first line, and no more.
type cutter struct {
	r      io.Reader
	width  int // bytes of a unit: 2 for UTF-16
	high   int // which of the two is the high byte
	delim  byte
	quote  byte // 0: the file has no quotes
	ending byte // '\n', or '\r' in files of old Macs
	skip   int64

	buf    []byte
	at     int // of the next record in buf
	offset int64
	line   int64 // lines behind
	err    error
}

func newCutter(r io.Reader, m *Mapping, line, offset int64) *cutter {
	c := &cutter{r: r, width: 1, delim: m.Delimiter[0], ending: '\n', line: line, offset: offset, skip: m.Header}
	if m.Quote != "" {
		c.quote = m.Quote[0]
	}
	if m.Newline == "cr" {
		c.ending = '\r'
	}
	switch m.Encoding {
	case UTF16LE:
		c.width, c.high = 2, 1
	case UTF16BE:
		c.width, c.high = 2, 0
	}
	return c
}

// Next gives the next record behind the header, blank ones too.
func (c *cutter) Next() (intake.Record, error) {
	for {
		if c.offset == 0 {
			if err := c.mark(); err != nil {
				return intake.Record{}, err
			}
		}
		r, err := c.cut()
		if err != nil || r.Line > c.skip {
			return r, err
		}
	}
}

// mark passes over a byte order mark.
func (c *cutter) mark() error {
	if err := c.need(3); err != nil {
		return err
	}
	b := c.buf[c.at:]
	switch {
	case c.width == 1 && bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		c.at, c.offset = c.at+3, c.offset+3
	case c.width == 2 && (bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff})):
		c.at, c.offset = c.at+2, c.offset+2
	}
	return nil
}

// need reads until n bytes of the record are there, or the file ends.
func (c *cutter) need(n int) error {
	for len(c.buf)-c.at < n && c.err == nil {
		if c.at > 0 && cap(c.buf)-len(c.buf) < readBytes {
			c.buf = c.buf[:copy(c.buf, c.buf[c.at:])]
			c.at = 0
		}
		if cap(c.buf)-len(c.buf) < readBytes {
			grown := make([]byte, len(c.buf), max(2*cap(c.buf), len(c.buf)+readBytes))
			copy(grown, c.buf)
			c.buf = grown
		}
		var got int
		got, c.err = c.r.Read(c.buf[len(c.buf) : len(c.buf)+readBytes])
		c.buf = c.buf[:len(c.buf)+got]
	}
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		return c.err
	}
	return nil
}

// unit gives the unit at i behind the record's begin; a unit beyond Latin is 0xff, which nothing here looks for; false at the end.
func (c *cutter) unit(i int) (byte, bool, error) {
	if len(c.buf)-c.at < i+c.width {
		if err := c.need(i + c.width); err != nil || len(c.buf)-c.at < i+c.width {
			return 0, false, err
		}
	}
	if c.width == 1 {
		return c.buf[c.at+i], true, nil
	}
	p := c.buf[c.at+i : c.at+i+2]
	if p[c.high] != 0 {
		return 0xff, true, nil
	}
	return p[1-c.high], true, nil
}

// cut gives the next record.
func (c *cutter) cut() (intake.Record, error) {
	if err := c.need(c.width); err != nil {
		return intake.Record{}, err
	}
	if len(c.buf)-c.at < c.width {
		return intake.Record{}, io.EOF // an odd byte at the end of UTF-16 is no text
	}
	if c.width == 1 {
		if end := c.plain(); end >= 0 {
			return c.take(end, 1, ""), nil
		}
	}
	end, lines, reason, err := c.quoted()
	if err != nil {
		return intake.Record{}, err
	}
	if reason == "" {
		return c.take(end, lines, ""), nil
	}
	if end, err = c.firstLine(); err != nil {
		return intake.Record{}, err
	}
	if end < 0 {
		return c.passOver()
	}
	return c.take(end, 1, reason), nil
}

// plain finds the end of a record without quotes among what is read already; -1 when it cannot be told so.
func (c *cutter) plain() int {
	b := c.buf[c.at:]
	end := bytes.IndexByte(b[:min(len(b), maxRecord)], c.ending)
	if end < 0 || c.quote != 0 && bytes.IndexByte(b[:end], c.quote) >= 0 {
		return -1
	}
	return end
}

// quoted finds the end of a record by its cells.
func (c *cutter) quoted() (end int, lines int64, reason string, err error) {
	lines = 1
	begins := true // of a cell
	for i := 0; i <= maxRecord; {
		b, more, err := c.unit(i)
		switch {
		case err != nil:
			return 0, 0, "", err
		case !more, b == c.ending:
			return i, lines, "", nil
		case begins && b == c.quote && c.quote != 0:
			var n int64
			if i, n, reason, err = c.cell(i + c.width); err != nil || reason != "" {
				return 0, 0, reason, err
			}
			lines += n
			begins = false
			continue
		}
		begins = b == c.delim
		i += c.width
	}
	return 0, 0, ReasonTooLong, nil
}

// cell finds the end of a quoted cell from behind its quote, and how many lines it goes over.
func (c *cutter) cell(i int) (end int, lines int64, reason string, err error) {
	for i <= maxRecord {
		b, more, err := c.unit(i)
		if err != nil || !more {
			return 0, 0, reasonUnclosed, err
		}
		i += c.width
		if b == c.ending {
			lines++
		}
		if b != c.quote {
			continue
		}
		next, more, err := c.unit(i)
		switch {
		case err != nil:
			return 0, 0, "", err
		case more && next == c.quote:
			i += c.width
		case !more, next == c.delim, next == c.ending, next == '\r':
			return i, lines, "", nil
		default:
			return 0, 0, reasonQuote, nil
		}
	}
	return 0, 0, reasonUnclosed, nil
}

// firstLine finds the end of the line; -1 when it is too long.
func (c *cutter) firstLine() (int, error) {
	for i := 0; i <= maxRecord; i += c.width {
		b, more, err := c.unit(i)
		if err != nil || !more || b == c.ending {
			return i, err
		}
	}
	return -1, nil
}

// take gives a record that ends at a line's end, or at the file's.
func (c *cutter) take(end int, lines int64, reason string) intake.Record {
	body := c.buf[c.at : c.at+end]
	size := end
	if len(c.buf)-c.at >= end+c.width {
		size += c.width
	}
	r := intake.Record{Line: c.line + 1, Start: c.offset, Lines: c.line + lines, Reason: reason, Body: c.trim(body)}
	c.at, c.offset, c.line = c.at+size, c.offset+int64(size), c.line+lines
	r.End = c.offset
	return r
}

// trim takes the CR of a CR LF away.
func (c *cutter) trim(body []byte) []byte {
	n := len(body) - c.width
	if c.ending != '\n' || n < 0 {
		return body
	}
	if c.width == 1 && body[n] == '\r' || c.width == 2 && body[n+1-c.high] == '\r' && body[n+c.high] == 0 {
		return body[:n]
	}
	return body
}

// passOver goes behind a line that is too long to be held.
func (c *cutter) passOver() (intake.Record, error) {
	r := intake.Record{Line: c.line + 1, Start: c.offset, Lines: c.line + 1, Reason: ReasonTooLong}
	for {
		b, more, err := c.unit(0)
		if err != nil {
			return r, err
		}
		if !more {
			break
		}
		if c.width == 1 {
			if end := bytes.IndexByte(c.buf[c.at:], c.ending); end > 0 {
				c.at, c.offset, b = c.at+end, c.offset+int64(end), c.ending
			} else if end < 0 {
				c.offset, c.at = c.offset+int64(len(c.buf)-c.at), len(c.buf)
				c.give()
				continue
			}
		}
		c.at, c.offset = c.at+c.width, c.offset+int64(c.width)
		if b == c.ending {
			break
		}
	}
	c.give()
	c.line++
	r.End = c.offset
	return r, nil
}

// give gives the memory of a long line back.
func (c *cutter) give() {
	if cap(c.buf) > 4*readBytes {
		c.buf, c.at = append(make([]byte, 0, 2*readBytes), c.buf[c.at:]...), 0
	}
}
