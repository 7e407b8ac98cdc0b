package compose

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Lines of a header are folded at foldAt characters; none ever reaches the 998 of RFC 5322 2.1.1.
const (
	foldAt   = 76
	wordSize = 75 // RFC 2047 2: an encoded word is at most this long
)

// value is the body of a header field. It is made by the functions of this file only, from text that line has cleaned: no CR, LF or
// NUL can get into a header in any other way.
type value struct{ words []string } // joined by a space or by a fold

// line cleans a text that comes from outside.
func line(s string) string { return strings.TrimSpace(Clean(s)) }

// header writes fields, folded.
type header struct{ b strings.Builder }

func (h *header) add(name string, v value) {
	h.b.WriteString(name + ":")
	column := len(name) + 1
	for i, w := range v.words {
		if i > 0 && column+1+len(w) > foldAt {
			h.b.WriteString("\r\n")
			column = 0
		}
		h.b.WriteString(" " + w)
		column += 1 + len(w)
	}
	h.b.WriteString("\r\n")
}

// structured makes a value of tokens that are ours and need no encoding.
func structured(words ...string) value {
	out := value{}
	for _, w := range words {
		out.words = append(out.words, strings.Fields(line(w))...)
	}
	return out
}

// unstructured makes a value of free text: as it is when that is safe, else as encoded words.
func unstructured(text string) value {
	text = line(text)
	if plainWords(text) {
		return value{strings.Fields(text)}
	}
	return value{encodedWords(text)}
}

// plainWords tells whether a text can stand as it is and comes back the same: printable ASCII, single spaces, short words, nothing that
// reads as an encoded word.
func plainWords(text string) bool {
	const longest = 60
	if strings.Contains(text, "=?") || strings.Contains(text, "  ") {
		return false
	}
	for word := range strings.SplitSeq(text, " ") {
		if len(word) > longest {
			return false
		}
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// encodedWords cuts a text between characters into encoded words (RFC 2047), in the shorter of the two encodings. White space between
// two of them is not part of the text.
func encodedWords(text string) []string {
	q, b := qWords(text), bWords(text)
	if total(q) <= total(b) {
		return q
	}
	return b
}

func total(words []string) int {
	n := 0
	for _, w := range words {
		n += len(w)
	}
	return n
}

func qWords(text string) []string {
	const opening, closing = "=?utf-8?q?", "?="
	var out []string
	var w strings.Builder
	for len(text) > 0 {
		_, n := utf8.DecodeRuneInString(text)
		var next strings.Builder
		for i := range n {
			next.WriteString(qByte(text[i]))
		}
		if w.Len() > 0 && len(opening)+w.Len()+next.Len()+len(closing) > wordSize {
			out = append(out, opening+w.String()+closing)
			w.Reset()
		}
		w.WriteString(next.String())
		text = text[n:]
	}
	return append(out, opening+w.String()+closing)
}

// qByte is RFC 2047 5(3), the strictest place: a phrase.
func qByte(c byte) string {
	switch {
	case c == ' ':
		return "_"
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!*+-/", c) >= 0:
		return string(rune(c))
	}
	return fmt.Sprintf("=%02X", c)
}

func bWords(text string) []string {
	const opening, closing, most = "=?utf-8?b?", "?=", 45
	var out []string
	start := 0
	for at := 0; at < len(text); {
		_, n := utf8.DecodeRuneInString(text[at:])
		if at+n-start > most {
			out = append(out, opening+base64.StdEncoding.EncodeToString([]byte(text[start:at]))+closing)
			start = at
		}
		at += n
	}
	return append(out, opening+base64.StdEncoding.EncodeToString([]byte(text[start:]))+closing)
}

// mailboxes makes an address list.
func mailboxes(all []Mailbox) value {
	var v value
	for i, m := range all {
		words := m.words()
		if i+1 < len(all) {
			words[len(words)-1] += ","
		}
		v.words = append(v.words, words...)
	}
	return v
}

func (m Mailbox) words() []string {
	if m.name == "" {
		return []string{m.Address()}
	}
	address := "<" + m.Address() + ">"
	switch {
	case plainWords(m.name) && atoms(m.name):
		return append(strings.Fields(m.name), address)
	case plainWords(m.name):
		return append(strings.Split(quoted(m.name), " "), address)
	}
	return append(encodedWords(m.name), address)
}

func atoms(s string) bool {
	for _, r := range s {
		if r != ' ' && (!atomRune(r) || r >= utf8.RuneSelf) {
			return false
		}
	}
	return true
}

// parameter writes name=value for Content-Type and Content-Disposition: RFC 2231 when the value is not plain, in pieces when it is long.
func parameter(name, v string) []string {
	v = line(v)
	const most = 60
	if ascii(v) && len(v) <= most {
		if v != "" && !strings.ContainsFunc(v, func(r rune) bool { return !atomRune(r) && r != '.' || strings.ContainsRune("'*%", r) }) {
			return []string{name + "=" + v}
		}
		return strings.Split(name+"="+quoted(v), " ")
	}
	var pieces []string
	var w strings.Builder
	for len(v) > 0 {
		_, n := utf8.DecodeRuneInString(v)
		next := ""
		for i := range n {
			next += percent(v[i])
		}
		if w.Len()+len(next) > most {
			pieces = append(pieces, w.String())
			w.Reset()
		}
		w.WriteString(next)
		v = v[n:]
	}
	pieces = append(pieces, w.String())
	if len(pieces) == 1 {
		return []string{name + "*=utf-8''" + pieces[0]}
	}
	out := make([]string, len(pieces))
	for i, p := range pieces {
		if i == 0 {
			p = "utf-8''" + p
		}
		out[i] = fmt.Sprintf("%s*%d*=%s", name, i, p)
		if i+1 < len(pieces) {
			out[i] += ";"
		}
	}
	return out
}

// percent is RFC 2231's attribute-char, or its percent form.
func percent(c byte) string {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`{|}~", c) >= 0 {
		return string(rune(c))
	}
	return fmt.Sprintf("%%%02X", c)
}
