package pickup

import (
	"log/slog"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Content is what waits: the message as it was rendered. It is PHI and prints nothing of itself.
type Content struct {
	From     string // the sender's display name
	Subject  string
	Language string
	HTML     string
	Text     string
	Files    []id.File // attachments and images, kept by file
}

// String prints nothing.
func (Content) String() string { return "[sealed]" }

// GoString prints nothing.
func (Content) GoString() string { return "[sealed]" }

// LogValue prints nothing.
func (Content) LogValue() slog.Value { return slog.StringValue("[sealed]") }

// Fields of the sealed record; a number is never reused.
const (
	fieldFrom protowire.Number = iota + 1
	fieldSubject
	fieldLanguage
	fieldHTML
	fieldText
	fieldFile
)

// encode writes the protobuf wire form.
func (c Content) encode() []byte {
	b := make([]byte, 0, len(c.HTML)+len(c.Text)+len(c.Subject)+64)
	for _, f := range []struct {
		n protowire.Number
		s string
	}{{fieldFrom, c.From}, {fieldSubject, c.Subject}, {fieldLanguage, c.Language}, {fieldHTML, c.HTML}, {fieldText, c.Text}} {
		if f.s != "" {
			b = protowire.AppendString(protowire.AppendTag(b, f.n, protowire.BytesType), f.s)
		}
	}
	for _, f := range c.Files {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldFile, protowire.BytesType), f[:])
	}
	return b
}

func decodeContent(b []byte) (c Content, err error) {
	bad := fault.New(fault.Internal, "the record of a waiting message cannot be read")
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return c, bad
		}
		b = b[size:]
		if kind != protowire.BytesType { // of a later version
			if size = protowire.ConsumeFieldValue(n, kind, b); size < 0 {
				return c, bad
			}
			b = b[size:]
			continue
		}
		v, size := protowire.ConsumeBytes(b)
		if size < 0 {
			return c, bad
		}
		b = b[size:]
		switch n { //nolint:exhaustive // protowire's own constants are bounds, not fields
		case fieldFrom:
			c.From = string(v)
		case fieldSubject:
			c.Subject = string(v)
		case fieldLanguage:
			c.Language = string(v)
		case fieldHTML:
			c.HTML = string(v)
		case fieldText:
			c.Text = string(v)
		case fieldFile:
			if len(v) != len(id.File{}) {
				return c, bad
			}
			c.Files = append(c.Files, id.File(v))
		}
	}
	return c, nil
}
