package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// maxLine is the longest line that is taken, in bytes. A longer one is passed over without being held in memory.
const maxLine = 16 << 20

var byteOrderMark = []byte("\ufeff")

// line is one line of a file, without its end and without a byte order mark.
type line struct {
	number int64 // from 1
	lines  int64 // up to its end; more than number when it is a record over several
	start  int64 // offset of the body's first byte
	end    int64 // offset of the first byte after the line and its end
	body   []byte
	size   int64 // of the line as it stands; body is nil when it is over maxLine

	reason string // why it cannot be taken at all; empty when it can
	lost   bool   // and is not kept
}

func (l *line) tooLong() bool { return l.size > maxLine }

// lines reads a file line by line with bounded memory. The body of a line is the reader's until the next call.
type lines struct {
	r      *bufio.Reader
	number int64
	offset int64
	buf    []byte
	limit  int64
}

func newLines(r io.Reader, number, offset int64) *lines {
	return &lines{r: bufio.NewReaderSize(r, 256<<10), number: number, offset: offset, limit: maxLine}
}

// next gives the next line, blank ones too; io.EOF after the last. The last line needs no end.
func (l *lines) next() (line, error) {
	l.buf = l.buf[:0]
	var size int64
	for {
		part, err := l.r.ReadSlice('\n')
		size += int64(len(part))
		if size <= l.limit+2 { // its end may be CR LF
			if need := len(l.buf) + len(part); need > cap(l.buf) {
				l.buf = slices.Grow(l.buf, max(need, 2*cap(l.buf))-len(l.buf))
			}
			l.buf = append(l.buf, part...)
		} else if cap(l.buf) > 0 {
			l.buf = nil // a line too long gives its memory back
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return line{}, err
		case size == 0:
			return line{}, io.EOF
		}
		break
	}
	first := l.offset == 0
	l.number++
	out := line{number: l.number, lines: l.number, start: l.offset, end: l.offset + size, size: size}
	l.offset += size
	if size > l.limit+2 {
		return out, nil
	}
	body := trimLine(l.buf, first)
	if first && bytes.HasPrefix(l.buf, byteOrderMark) {
		out.start += int64(len(byteOrderMark))
	}
	out.size = int64(len(body))
	if out.size <= l.limit {
		out.body = body
	}
	return out, nil
}

// trimLine takes the end off a line, and the byte order mark off the first.
func trimLine(body []byte, first bool) []byte {
	body = bytes.TrimSuffix(body, []byte("\n"))
	body = bytes.TrimSuffix(body, []byte("\r"))
	if first {
		body = bytes.TrimPrefix(body, byteOrderMark)
	}
	return body
}
