package demo

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCanariesAreFoundInEveryEncoding(t *testing.T) {
	word := "Größling Hollingsworth+1"
	c := newCanaries([]string{word})
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	if _, err := w.Write([]byte("Dear " + word + ",")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as it is":         "x" + word + "y",
		"lower case":       "x" + strings.ToLower(word),
		"base64 at 0":      base64.StdEncoding.EncodeToString([]byte("abc" + word + "tail")),
		"base64 at 1":      base64.StdEncoding.EncodeToString([]byte("abcd" + word + "tail")),
		"base64 at 2":      base64.StdEncoding.EncodeToString([]byte("abcde" + word + "tail")),
		"quoted-printable": qp.String(),
		"URL":              "/find?q=" + url.QueryEscape(word),
		"UTF-16":           "\x00\x01" + utf16LE(word),
	} {
		if got := c.count([]byte(text)); got != 1 {
			t.Errorf("%s: %d hits, want 1", name, got)
		}
	}
	if got := c.count([]byte("Dear patient, nothing to see: Hollingswort")); got != 0 {
		t.Errorf("%d hits in clean text", got)
	}
}

func TestACanaryAcrossTwoWindowsIsFoundOnce(t *testing.T) {
	c := newCanaries([]string{"Hollingsworth"})
	for _, at := range []int{0, 1 << 20, 1<<20 - 5, 1<<20 + 512 - 5, 1<<20 + 512, 3 << 20} {
		b := bytes.Repeat([]byte{'.'}, 4<<20)
		copy(b[at:], "Hollingsworth")
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := c.countTree(dir); got != 1 || err != nil {
			t.Errorf("at %d: %d hits, %v", at, got, err)
		}
	}
}
