package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"unicode/utf16"
)

// canaries finds planted words in any bytes, in six encodings: as they are, lower-case, base64 (at each of its three offsets),
// quoted-printable, URL and UTF-16. A word of fewer than keyLen bytes in an encoding is not looked for: it would hit by chance.
type canaries struct {
	byKey map[uint32][][]byte
}

const keyLen = 4

func newCanaries(words []string) *canaries {
	c := &canaries{byKey: map[uint32][][]byte{}}
	seen := map[string]bool{}
	for _, w := range words {
		for _, form := range encodings(w) {
			if len(form) < 6 || seen[form] {
				continue
			}
			seen[form] = true
			k := binary.LittleEndian.Uint32([]byte(form))
			c.byKey[k] = append(c.byKey[k], []byte(form))
		}
	}
	return c
}

func encodings(word string) []string {
	all := []string{word, strings.ToLower(word), quotedPrintable(word), url.QueryEscape(word), url.PathEscape(word), utf16LE(word)}
	for offset := range 3 {
		padded := append(make([]byte, offset), word...)
		text := base64.RawStdEncoding.EncodeToString(padded)
		// The first characters mix with what stood before the word, the last one with what follows it.
		from := (offset*8 + 5) / 6
		to := (len(padded) * 8) / 6
		all = append(all, text[from:to])
	}
	return all
}

func quotedPrintable(word string) string {
	var b strings.Builder
	for i := range len(word) {
		if ch := word[i]; ch < 33 && ch != ' ' || ch > 126 || ch == '=' {
			fmt.Fprintf(&b, "=%02X", ch)
		} else {
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func utf16LE(word string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(word)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// count gives the number of places in b where a canary stands.
func (c *canaries) count(b []byte) int {
	n := 0
	for i := 0; i+keyLen <= len(b); i++ {
		forms, ok := c.byKey[binary.LittleEndian.Uint32(b[i:])]
		if !ok {
			continue
		}
		for _, f := range forms {
			if bytes.HasPrefix(b[i:], f) {
				n++
				break
			}
		}
	}
	return n
}

// countReader counts in a stream with bounded memory; a canary across two windows is found.
func (c *canaries) countReader(r io.Reader) (int, error) {
	const window, overlap = 1 << 20, 512
	buf := make([]byte, 0, window+overlap)
	n := 0
	for {
		room := buf[len(buf):cap(buf)]
		got, err := io.ReadFull(r, room)
		buf = buf[:len(buf)+got]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return n, err
		}
		if last {
			return n + c.count(buf), nil
		}
		// Count what begins before the overlap; what begins in it is counted with the next window.
		n += c.countBefore(buf, len(buf)-overlap)
		buf = buf[:copy(buf, buf[len(buf)-overlap:])]
	}
}

func (c *canaries) countBefore(b []byte, end int) int {
	return c.count(b) - c.count(b[end:])
}

// countTree counts in every file under a folder.
func (c *canaries) countTree(dir string) (n int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := root.Open(path)
		if err != nil {
			return err
		}
		m, err := c.countReader(f)
		n += m
		return errors.Join(err, f.Close())
	})
	return n, err
}
