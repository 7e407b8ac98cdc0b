package compose

import (
	"strings"
	"unicode/utf8"

	"github.com/carepost/carepost/internal/fault"
)

// piece is one part of a text with merge fields.
type piece struct {
	kind      pieceKind
	text      string // of a text piece
	name      string // of a tag
	args      string // of a field or a tag
	line, col int    // where args begin
	start     int    // column of a tag's name
	left      bool   // {{- or {%-
	right     bool   // -}} or -%}
}

type pieceKind uint8

const (
	pieceText  pieceKind = iota
	pieceField           // {{ ... }}
	pieceTag             // {% ... %}
)

// scan cuts a source into pieces. The library takes what it cannot match for text; here an open merge field is an error, so that no
// recipient ever reads one.
func scan(src string) ([]piece, error) {
	if len(src) > maxSourceBytes {
		return nil, fault.New(fault.TooLarge, "a text is longer than %d KiB", maxSourceBytes>>10)
	}
	if i := strings.IndexFunc(src, func(r rune) bool { return unwanted(r) && r != '\n' && r != '\r' && r != '\t' }); i >= 0 || !utf8.ValidString(src) {
		line, col := position(src, max(i, 0))
		return nil, fault.New(fault.Invalid, "a control character or broken UTF-8 in a text").At("line %d, column %d", line, col)
	}
	var out []piece
	at := 0
	for at < len(src) {
		i := open(src[at:])
		if i < 0 {
			break
		}
		if i > 0 {
			out = append(out, piece{kind: pieceText, text: src[at : at+i]})
		}
		at += i
		p, n, err := bracketed(src, at)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		at += n
	}
	if at < len(src) {
		out = append(out, piece{kind: pieceText, text: src[at:]})
	}
	for _, p := range out {
		if p.kind == pieceText && (strings.Contains(p.text, "}}") || strings.Contains(p.text, "%}")) {
			return nil, fault.Wrap(fault.Invalid, errUnclosed, "a merge field is closed that was never opened").Hint("write {{ before it")
		}
	}
	return out, nil
}

func open(src string) int {
	for i := 0; i+1 < len(src); i++ {
		if src[i] == '{' && (src[i+1] == '{' || src[i+1] == '%') {
			return i
		}
	}
	return -1
}

func bracketed(src string, at int) (piece, int, error) {
	p := piece{kind: pieceField}
	p.line, p.col = position(src, at)
	closing := "}}"
	if src[at+1] == '%' {
		p.kind, closing = pieceTag, "%}"
	}
	end := strings.Index(src[at+2:], closing)
	if end < 0 {
		return p, 0, fault.Wrap(fault.Invalid, errUnclosed, "a merge field is not closed").At("line %d, column %d", p.line, p.col).Hint("write %s after it", closing)
	}
	inner := src[at+2 : at+2+end]
	if i := strings.IndexAny(inner, "{}\n\r"); i >= 0 {
		line, col := position(src, at+2+i)
		return p, 0, fault.Wrap(fault.Invalid, errUnclosed, "a merge field stands on one line and holds no braces").At("line %d, column %d", line, col).
			Hint("is the field that begins at line %d, column %d closed?", p.line, p.col)
	}
	body := inner
	if strings.HasPrefix(body, "-") {
		p.left, body = true, body[1:]
	}
	if strings.HasSuffix(body, "-") {
		p.right, body = true, body[:len(body)-1]
	}
	trimmed := strings.TrimLeft(body, " \t")
	p.line, p.col = position(src, at+2+len(inner)-len(strings.TrimPrefix(inner, "-"))+len(body)-len(trimmed))
	p.args = strings.TrimRight(trimmed, " \t")
	if p.args == "" {
		return p, 0, fault.New(fault.Invalid, "an empty merge field").At("line %d, column %d", p.line, p.col)
	}
	if p.kind == pieceTag {
		name, args, _ := strings.Cut(p.args, " ")
		rest := strings.TrimLeft(args, " \t")
		p.start = p.col
		p.col += len(p.args) - len(rest)
		p.name, p.args = name, rest
	}
	return p, 2 + end + 2, nil
}

// position counts lines and characters from 1.
func position(src string, at int) (line, col int) {
	before := src[:at]
	line = strings.Count(before, "\n") + 1
	start := strings.LastIndexByte(before, '\n') + 1
	return line, len([]rune(before[start:])) + 1
}
