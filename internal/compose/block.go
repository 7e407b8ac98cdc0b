package compose

import (
	"bytes"
	"encoding/json"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Block is one typed part of a message. Its texts hold merge fields; a text marked rich below takes **bold**, *italic*,
// [label](https://...) and blank lines between paragraphs.
type Block interface {
	kind() string
	expand(x *expander) (Block, error) // a copy with every text evaluated
	html(w *page)
	text(w *plain)
}

// Show is what every block has: a condition under which it is shown, as in "person.age > 64". Empty is always.
type Show struct {
	When string `json:"when,omitempty"`
}

func (s Show) when() string { return s.When }

// Heading is a title. Level 1 to 3.
type Heading struct {
	Show
	Level int    `json:"level"`
	Text  string `json:"text"`
}

// Text is one or more paragraphs; rich.
type Text struct {
	Show
	Text string `json:"text"`
}

// Callout is a text set apart; rich. Tone is info, warning or success, and is said in a word, not by colour alone.
type Callout struct {
	Show
	Tone  string `json:"tone"`
	Title string `json:"title,omitempty"`
	Text  string `json:"text"`
}

// Button is a link that looks like one thing to do.
type Button struct {
	Show
	Label string `json:"label"`
	URL   string `json:"url"`
}

// List is a list of rich items, fixed or one for each record of a list variable, which Item calls "item".
type List struct {
	Show
	Ordered bool     `json:"ordered,omitempty"`
	Items   []string `json:"items,omitempty"`
	Each    string   `json:"each,omitempty"`
	Item    string   `json:"item,omitempty"`
}

// Table holds data, never layout: a caption, a header, and rows, fixed or one for each record of a list variable.
type Table struct {
	Show
	Caption string     `json:"caption,omitempty"`
	Header  []string   `json:"header"`
	Rows    [][]string `json:"rows,omitempty"`
	Each    string     `json:"each,omitempty"`
	Row     []string   `json:"row,omitempty"`
}

// Image is a stored file shown in place; it travels with the message. Alt is required; Decorative says that it has none to say.
type Image struct {
	Show
	File       id.File `json:"file"`
	Alt        string  `json:"alt,omitempty"`
	Decorative bool    `json:"decorative,omitempty"`
	Width      int     `json:"width,omitempty"` // pixels, up to 600
	URL        string  `json:"url,omitempty"`
}

// Divider is a line.
type Divider struct{ Show }

// Spacer is room of 4 to 64 pixels.
type Spacer struct {
	Show
	Size int `json:"size"`
}

// Address is the organisation's name and postal address: 16 CFR 316.5 asks it of commercial mail.
type Address struct{ Show }

// Unsubscribe is the opt-out notice with its link. Text stands before the link.
type Unsubscribe struct {
	Show
	Text string `json:"text,omitempty"`
}

// Advertisement says that the message is one: 15 USC 7704(a)(5)(A)(i).
type Advertisement struct{ Show }

// Languages offers the message in its other languages.
type Languages struct{ Show }

func (Heading) kind() string       { return "heading" }
func (Text) kind() string          { return "text" }
func (Callout) kind() string       { return "callout" }
func (Button) kind() string        { return "button" }
func (List) kind() string          { return "list" }
func (Table) kind() string         { return "table" }
func (Image) kind() string         { return "image" }
func (Divider) kind() string       { return "divider" }
func (Spacer) kind() string        { return "spacer" }
func (Address) kind() string       { return "address" }
func (Unsubscribe) kind() string   { return "unsubscribe" }
func (Advertisement) kind() string { return "advertisement" }
func (Languages) kind() string     { return "languages" }

// Blocks is the body of a variant. In JSON each block is an object with its "type" first.
type Blocks []Block

// readers is the one list of block types.
var readers = map[string]func([]byte) (Block, error){
	"heading": read[Heading], "text": read[Text], "callout": read[Callout], "button": read[Button], "list": read[List],
	"table": read[Table], "image": read[Image], "divider": read[Divider], "spacer": read[Spacer], "address": read[Address],
	"unsubscribe": read[Unsubscribe], "advertisement": read[Advertisement], "languages": read[Languages],
}

func read[B Block](data []byte) (Block, error) {
	var b B
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, err
	}
	return b, nil
}

// MarshalJSON writes the blocks with their types.
func (bs Blocks) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, b := range bs {
		fields, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"type":"`+b.kind()+`"`...)
		if len(fields) > 2 {
			out = append(out, ',')
		}
		out = append(out, fields[1:]...)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads blocks by their types, strictly.
func (bs *Blocks) UnmarshalJSON(data []byte) error {
	var raw []map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if len(raw) > maxBlocks {
		return fault.New(fault.TooLarge, "more than %d blocks", maxBlocks)
	}
	*bs = make(Blocks, 0, len(raw))
	for i, fields := range raw {
		var kind string
		if err := json.Unmarshal(fields["type"], &kind); err != nil {
			return fault.New(fault.Invalid, "the block has no type").At("blocks[%d].type", i)
		}
		reader, ok := readers[kind]
		if !ok {
			return unknownBlock(i, kind)
		}
		delete(fields, "type")
		rest, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		b, err := reader(rest)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "not a block of type %s: %s", kind, plainCause(err)).At("blocks[%d]", i)
		}
		*bs = append(*bs, b)
	}
	return nil
}

func unknownBlock(i int, kind string) error {
	known := make([]string, 0, len(readers))
	for k := range readers {
		known = append(known, k)
	}
	e := fault.New(fault.Invalid, "no block has this type").At("blocks[%d].type", i)
	if near := nearest(kind, known); near != "" {
		return e.Hint("perhaps %s", near)
	}
	return e.Hint("docs/templates.md lists the types")
}

// plainCause keeps what the JSON reader says about fields and types; it never quotes a value longer than a field's name.
func plainCause(err error) string {
	const limit = 120
	text := err.Error()
	if len(text) > limit {
		text = text[:limit]
	}
	return text
}
