package csv

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/carepost/carepost/internal/fault"
)

// The encodings of files.
const (
	UTF8      = "utf-8"
	UTF16LE   = "utf-16le"
	UTF16BE   = "utf-16be"
	Windows   = "windows-1252"
	Latin1    = "iso-8859-1"
	Macintosh = "macintosh"
)

var encodings = []string{UTF8, UTF16LE, UTF16BE, Windows, Latin1, Macintosh}

var errEncoding = fault.New(fault.Invalid, "not an encoding that is read").At("encoding").
	Hint("it is one of utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, macintosh")

// The reasons why the text of a record is refused. They name no value.
const (
	reasonBytes   = "bytes that the encoding does not have: declare the encoding of the file"
	reasonNUL     = "a NUL in the text"
	reasonControl = "a control character where text should be: is the file windows-1252?"
)

// decode gives the text of a record. What the encoding does not have refuses the record: nothing is replaced in silence.
func decode(encoding string, body []byte) (text, reason string) {
	switch encoding {
	case UTF16LE, UTF16BE:
		return decodeWide(encoding, body)
	case UTF8:
		if !utf8.Valid(body) {
			return "", reasonBytes
		}
		text = string(body)
	default:
		if text, reason = decodeNarrow(encoding, body); reason != "" {
			return "", reason
		}
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return "", reasonNUL
	}
	return text, ""
}

func decodeNarrow(encoding string, body []byte) (text, reason string) {
	plain := true
	for _, b := range body {
		plain = plain && b < 0x80
		if b >= 0x80 && b < 0xa0 && encoding == Latin1 {
			return "", reasonControl
		}
	}
	if plain {
		return string(body), ""
	}
	table := charmap.Windows1252
	switch encoding {
	case Latin1:
		table = charmap.ISO8859_1
	case Macintosh:
		table = charmap.Macintosh
	}
	out := make([]byte, 0, len(body)+len(body)/8)
	for _, b := range body {
		r := table.DecodeByte(b)
		if r == utf8.RuneError {
			return "", reasonBytes
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), ""
}

func decodeWide(encoding string, body []byte) (text, reason string) {
	if len(body)%2 != 0 {
		return "", reasonBytes
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if encoding == UTF16BE {
		order = binary.BigEndian
	}
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i += 2 {
		r := rune(order.Uint16(body[i:]))
		if utf16.IsSurrogate(r) {
			if i+3 >= len(body) {
				return "", reasonBytes
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(body[i+2:]))); r == utf8.RuneError {
				return "", reasonBytes
			}
			i += 2
		}
		if r == 0 {
			return "", reasonNUL
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), ""
}

// guess is what a file's bytes say of its encoding.
type guess struct {
	encoding string
	mark     int // bytes of the byte order mark
	sure     bool
}

// detect reads a whole file: a byte order mark says it; NULs at every other byte say UTF-16; what is valid UTF-8 is that; anything else
// is windows-1252, which is a guess, and said so.
func detect(r io.Reader) (guess, error) {
	buf := make([]byte, 64<<10)
	n, err := io.ReadFull(r, buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return guess{}, err
	}
	head := buf[:n]
	switch {
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		return guess{UTF8, 3, true}, nil
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return guess{UTF16LE, 2, true}, nil
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return guess{UTF16BE, 2, true}, nil
	}
	if e := wide(head); e != "" {
		return guess{encoding: e}, nil
	}
	var many, bad int
	rest := count(head, &many, &bad)
	for err == nil {
		kept := copy(buf, rest)
		n, err = io.ReadFull(r, buf[kept:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return guess{}, err
		}
		rest = count(buf[:kept+n], &many, &bad)
	}
	bad += len(rest)
	switch {
	case bad == 0:
		return guess{encoding: UTF8, sure: true}, nil
	case many > 20*bad:
		return guess{encoding: UTF8}, nil // a few broken records in a file of another kind of text than single bytes
	}
	return guess{encoding: Windows}, nil
}

// wide tells UTF-16 without a mark by where its NULs are.
func wide(head []byte) string {
	var even, odd int
	for i, b := range head {
		switch {
		case b != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	switch half := len(head) / 2; {
	case half > 1 && odd*10 > half*7 && even*10 < half:
		return UTF16LE
	case half > 1 && even*10 > half*7 && odd*10 < half:
		return UTF16BE
	}
	return ""
}

// count counts sequences of UTF-8 and bytes that are none, and gives what may go on in the next part.
func count(b []byte, many, bad *int) []byte {
	for len(b) > 0 {
		if b[0] < 0x80 {
			b = b[1:]
			continue
		}
		if !utf8.FullRune(b) {
			return b
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			*bad++
		} else {
			*many++
		}
		b = b[n:]
	}
	return nil
}
