package intake

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func all(t testing.TB, l *lines) (out []line) {
	t.Helper()
	for {
		x, err := l.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		x.body = bytes.Clone(x.body)
		out = append(out, x)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"plain", "a\nb\n", []string{"a", "b"}},
		{"without an end", "a\nb", []string{"a", "b"}},
		{"CR LF", "a\r\nb\r\n", []string{"a", "b"}},
		{"a mark at the beginning", "\ufeffa\n\ufeffb\n", []string{"a", "\ufeffb"}},
		{"blank lines", "\n\r\na\n\n", []string{"", "", "a", ""}},
		{"empty", "", nil},
		{"a lone CR is no end", "a\rb\n", []string{"a\rb"}},
		{"no text at all", "\xff\xfe\x00\n", []string{"\xff\xfe\x00"}},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text))} {
			got := all(t, newLines(r, 0, 0))
			if len(got) != len(c.want) {
				t.Errorf("%s, %s: %d lines", c.name, name, len(got))
				continue
			}
			for i := range got {
				if string(got[i].body) != c.want[i] || got[i].number != int64(i+1) {
					t.Errorf("%s, %s: line %d is %q", c.name, name, got[i].number, got[i].body)
				}
			}
			if n := len(got); n > 0 && got[n-1].end != int64(len(c.text)) {
				t.Errorf("%s: ends at %d of %d", c.name, got[n-1].end, len(c.text))
			}
		}
	}
}

func TestLongestLine(t *testing.T) {
	for _, c := range []struct {
		size int
		long bool
	}{{9, false}, {10, false}, {11, true}, {12, true}, {300_000, true}} {
		for _, end := range []string{"\n", "\r\n"} {
			l := newLines(strings.NewReader(strings.Repeat("x", c.size)+end+"next\n"), 0, 0)
			l.limit = 10
			got := all(t, l)
			if len(got) != 2 || (got[0].body == nil) != c.long || string(got[1].body) != "next" || got[1].number != 2 || got[1].end != int64(c.size+len(end)+5) {
				t.Errorf("%d bytes and %q: %d lines", c.size, end, len(got))
			}
		}
	}
}

// zeros is a reader of a line that does not end for a long time, then of one more.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	if z.left -= n; z.left <= 0 {
		p[n-1] = '\n'
	}
	return n, nil
}

// TestMemoryStaysFlat: a line of 100 MB is passed over; what it took is given back, and was never more than the longest line allowed.
func TestMemoryStaysFlat(t *testing.T) {
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := newLines(io.MultiReader(&zeros{100 << 20}, strings.NewReader("next\n")), 0, 0)
	x, err := l.next()
	if err != nil || x.body != nil || x.size != 100<<20 || !x.tooLong() {
		t.Fatalf("%d bytes, %v", x.size, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d MiB are held after the line", grown>>20)
	}
	if total := during.TotalAlloc - before.TotalAlloc; total > 4*maxLine {
		t.Errorf("%d MiB were taken for the line", total>>20)
	}
	if x, err = l.next(); err != nil || string(x.body) != "next" || x.number != 2 {
		t.Errorf("after it: line %d, %v", x.number, err)
	}
}

// FuzzLines: the lines and their ends are the file again, whatever it holds, and a reader that begins at any end goes on the same.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"a\nb\r\n\n", "\ufeffx", strings.Repeat("y", 100) + "\nz", "\r\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := newLines(bytes.NewReader(text), 0, 0)
		l.limit = 64
		got := all(t, l)
		start := int64(0)
		for i, x := range got {
			raw := text[start:x.end]
			start = x.end
			if x.number != int64(i+1) || bytes.IndexByte(x.body, '\n') >= 0 || !bytes.Contains(raw, x.body) || (x.body == nil) != (int64(len(x.body)) != x.size || x.size > 64) && x.size > 0 {
				t.Fatalf("line %d: %q of %q", i+1, x.body, raw)
			}
			rest := newLines(bytes.NewReader(text[x.end:]), x.number, x.end)
			rest.limit = 64
			if next, err := rest.next(); err == nil && i+1 < len(got) && (next.number != got[i+1].number || !bytes.Equal(next.body, got[i+1].body)) {
				t.Fatalf("going on after line %d gives %q", i+1, next.body)
			}
		}
		if start != int64(len(text)) {
			t.Fatalf("%d of %d bytes", start, len(text))
		}
	})
}
