package intake

import (
	"encoding/binary"
	"io"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/people"
)

// Cutting is a Mapper of a format whose messages are not lines, and which takes settings: a mapping of columns.
type Cutting interface {
	Mapper
	// Set gives the mapper of one import. The settings stay with the import, sealed, so that it can be mapped again.
	Set(settings []byte) (Cutting, error)
	// Blocks tells that each record is about a person of its own: they are kept many to a row, and applied in the file's order.
	Blocks() bool
	// Cut reads records from a place in a file: offset bytes and number lines are behind it.
	Cut(r io.Reader, number, offset int64) Cutter
	// Say gives what a message says of people, and of addresses that are not to be written to.
	Say(m *Message, c *Context) ([]people.Change, []consent.Suppression, error)
}

// Cutter gives record after record; io.EOF after the last.
type Cutter interface {
	Next() (Record, error)
}

// Record is what a Cutter cuts from a file. Its body is the Cutter's until the next call.
type Record struct {
	Line   int64  // its first, from 1
	Start  int64  // offset of the body's first byte
	End    int64  // offset of the first byte after the record and its end
	Lines  int64  // lines behind it, with its own
	Body   []byte // as it stands; nil when it is too long to be kept
	Reason string // why it is refused; empty when it is not
}

// cutLines makes a reader of lines of a Cutter.
type cutLines struct{ Cutter }

func (c cutLines) next() (line, error) {
	r, err := c.Next()
	if err != nil {
		return line{}, err
	}
	return line{number: r.Line, start: r.Start, end: r.End, lines: r.Lines, body: r.Body, size: int64(len(r.Body)), reason: r.Reason, lost: r.Body == nil && r.Reason != ""}, nil
}

// A block is many messages of one chunk in one row of raw: their kinds, lines and bodies, each with its length.

func packBlock(b []byte, m *staged) []byte {
	b = binary.AppendUvarint(b, uint64(m.line))
	for _, s := range []string{m.Kind, m.Key} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Body)))
	return append(b, m.Body...)
}

var errBlock = fault.New(fault.Sealed, "a block of messages does not decode")

// unpackBlock gives the messages of a block; their bodies are parts of it.
func unpackBlock(b []byte, fn func(line int64, m Message) error) error {
	take := func() ([]byte, bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil, false
		}
		part := b[size : size+int(n)]
		b = b[size+int(n):]
		return part, true
	}
	for len(b) > 0 {
		line, size := binary.Uvarint(b)
		if size <= 0 {
			return errBlock
		}
		b = b[size:]
		kind, ok1 := take()
		key, ok2 := take()
		body, ok3 := take()
		if !ok1 || !ok2 || !ok3 {
			return errBlock
		}
		if err := fn(int64(line), Message{Kind: string(kind), Key: string(key), Turn: TurnOrder, Body: body}); err != nil {
			return err
		}
	}
	return nil
}
