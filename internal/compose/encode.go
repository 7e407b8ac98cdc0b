package compose

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const lineSize = 76 // RFC 2045 6.7(5), 6.8

// quotedPrintable encodes text: RFC 2045 6.7, canonical CRLF, white space at line ends and a dot or "From " at line begins encoded
// too, so that no server on the way has a reason to change a byte.
func quotedPrintable(text string) []byte {
	var out bytes.Buffer
	out.Grow(len(text) + len(text)/8)
	for l := range strings.SplitSeq(canonical(text), "\r\n") {
		if out.Len() > 0 {
			out.WriteString("\r\n")
		}
		qpLine(&out, l)
	}
	return out.Bytes()
}

func qpLine(out *bytes.Buffer, l string) {
	const hex = "0123456789ABCDEF"
	column, start := 0, 0 // l[start:i] is plain and not written yet
	for i := 0; i < len(l); i++ {
		c := l[i]
		last := i+1 == len(l)
		encode := !plainByte[c] || last && (c == ' ' || c == '\t')
		n := 1
		if encode {
			n = 3
		}
		if most := lineSize - 1; column+n > most && (!last || column+n > lineSize) {
			out.WriteString(l[start:i])
			out.WriteString("=\r\n") // a soft break takes the 76th place
			column, start = 0, i
		}
		if column == 0 && (c == '.' || c == 'F' && strings.HasPrefix(l[i:], "From ")) {
			encode, n = true, 3
		}
		if encode {
			out.WriteString(l[start:i])
			out.Write([]byte{'=', hex[c>>4], hex[c&15]})
			start = i + 1
		}
		column += n
	}
	out.WriteString(l[start:])
}

// plainByte marks what stands for itself: printable ASCII but "=", and the tab.
var plainByte = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '='
	}
	t['\t'] = true
	return t
}()

// canonical makes every line end CRLF and drops NUL. Broken UTF-8 becomes the replacement character, so that the charset is true.
func canonical(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	text = strings.ReplaceAll(text, "\x00", "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// base64Lines encodes content in lines of 76.
func base64Lines(content []byte) []byte {
	const in = lineSize / 4 * 3
	var out bytes.Buffer
	out.Grow(base64.StdEncoding.EncodedLen(len(content)) + len(content)/in*2 + 4)
	for len(content) > 0 {
		n := min(in, len(content))
		out.WriteString(base64.StdEncoding.EncodeToString(content[:n]))
		out.WriteString("\r\n")
		content = content[n:]
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\r\n"))
}

// wastes tells whether quoted-printable would be longer than base64: text in another script.
func wastes(text string) bool {
	n := 0
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			n++
		}
	}
	return n*6 > len(text)
}
