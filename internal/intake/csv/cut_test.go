package csv

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/carepost/carepost/internal/intake"
)

func cutAll(t testing.TB, r io.Reader, m *Mapping, line, offset int64) (all []intake.Record) {
	t.Helper()
	c := newCutter(r, m, line, offset)
	for {
		x, err := c.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		x.Body = bytes.Clone(x.Body)
		all = append(all, x)
	}
}

func wideText(text string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name, text, newline string
		want                []string // with ! before what is refused
		lines               []int64
	}{
		{"plain", "a,b\nc,d\n", "", []string{"a,b", "c,d"}, []int64{1, 2}},
		{"without an end", "a,b\nc,d", "", []string{"a,b", "c,d"}, []int64{1, 2}},
		{"CR LF", "a\r\n\"b\r\nc\"\r\nd\r\n", "", []string{"a", "\"b\r\nc\"", "d"}, []int64{1, 2, 4}},
		{"a mark", "\ufeffa\nb\n", "", []string{"a", "b"}, []int64{1, 2}},
		{"blank lines", "\n\na\n\n", "", []string{"", "", "a", ""}, []int64{1, 2, 3, 4}},
		{"doubled quotes", "\"a\"\"\nb\",c\nd\n", "", []string{"\"a\"\"\nb\",c", "d"}, []int64{1, 3}},
		{"bare quotes are text", "a \"b\" c,{\"d\":1}\ne\n", "", []string{"a \"b\" c,{\"d\":1}", "e"}, []int64{1, 2}},
		{"a quote too many costs its line", "a,\"b\" c\nd\n", "", []string{"!a,\"b\" c", "d"}, []int64{1, 2}},
		{"a quote that is not closed costs its line", "a,\"b\nc\nd,e\n", "", []string{"!a,\"b", "c", "d,e"}, []int64{1, 2, 3}},
		{"CR alone", "a\rb\r", "cr", []string{"a", "b"}, []int64{1, 2}},
		{"CR alone in quotes", "a,\"b\rc\"\rd", "cr", []string{"a,\"b\rc\"", "d"}, []int64{1, 3}},
		{"empty", "", "", nil, nil},
	} {
		for name, enc := range map[string]string{"narrow": UTF8, "little": UTF16LE, "big": UTF16BE} {
			text := c.text
			switch enc {
			case UTF16LE:
				text = wideText(text, false)
			case UTF16BE:
				text = wideText(text, true)
			}
			m := &Mapping{Encoding: enc, Delimiter: ",", Quote: `"`, Newline: c.newline}
			for how, r := range map[string]io.Reader{"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
				all := cutAll(t, r, m, 0, 0)
				var got []string
				for i, x := range all {
					body, reason := decode(enc, x.Body)
					if reason != "" {
						t.Errorf("%s, %s: %s", c.name, name, reason)
					}
					if x.Reason != "" {
						body = "!" + body
					}
					got = append(got, body)
					if i < len(c.lines) && x.Line != c.lines[i] {
						t.Errorf("%s, %s, %s: record %d is in line %d", c.name, name, how, i, x.Line)
					}
					if string(x.Body) != text[x.Start:x.Start+int64(len(x.Body))] {
						t.Errorf("%s, %s, %s: record %d does not begin where it says", c.name, name, how, i)
					}
				}
				if strings.Join(got, "|") != strings.Join(c.want, "|") {
					t.Errorf("%s, %s, %s: %q", c.name, name, how, got)
				}
			}
		}
	}
}

// endless gives the same text again and again.
type endless struct {
	text string
	left int64
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) && e.left > 0 {
		m := copy(p[n:], e.text[e.at:])
		m = int(min(int64(m), e.left))
		n, e.left, e.at = n+m, e.left-int64(m), (e.at+m)%len(e.text)
	}
	if n == 0 && e.left == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestHostileSizes: a line of 200 MiB, an open quote before 200 MiB, a million cells in a record: flat memory, and what stands behind
// it is read.
func TestHostileSizes(t *testing.T) {
	m := &Mapping{Encoding: UTF8, Delimiter: ",", Quote: `"`}
	for _, c := range []struct {
		name, text string
		end        string
		want       string
	}{
		{"a line", "x", "\nnext,1\n", ReasonTooLong},
		{"cells", ",", "\nnext,1\n", ReasonTooLong},
		{"an open quote", "\"x\n", "\nnext,1\n", ""},
		{"open quotes", "a,\"b\n", "\nnext,1\n", ""},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := newCutter(io.MultiReader(&endless{text: c.text, left: 100 << 20}, strings.NewReader(c.end)), m, 0, 0)
		last, refused := "", 0
		for {
			x, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			last = string(x.Body)
			if x.Reason != "" {
				refused++
			}
			if x.Reason != "" && c.want != "" && x.Reason != c.want {
				t.Errorf("%s: %s", c.name, x.Reason)
			}
		}
		runtime.ReadMemStats(&after)
		if last != "next,1" || refused == 0 {
			t.Errorf("%s: %d refused, the last is %q", c.name, refused, last[:min(20, len(last))])
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
			t.Errorf("%s: %d MiB more", c.name, grown>>20)
		}
	}
}

// FuzzCut: records lie one behind the other, within the file; from the end of any of them the rest is the same.
func FuzzCut(f *testing.F) {
	for _, s := range []string{"a,b\n\"c\nd\",e\r\n", "\"a", "a\"b,\"c\"\"\",d\n", "\ufeffx\ry\r", "\xff\xfea\x00\n\x00", ",,,\n\n\"\"\n"} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, how byte) {
		m := &Mapping{Encoding: encodings[int(how)%len(encodings)], Delimiter: ",", Quote: `"`}
		if how >= 128 {
			m.Newline = "cr"
		}
		all := cutAll(t, bytes.NewReader(text), m, 0, 0)
		at, line := int64(0), int64(0)
		for i, x := range all {
			if x.Start < at || x.End < x.Start+int64(len(x.Body)) || x.End > int64(len(text)) || x.Line != line+1 || x.Lines < x.Line {
				t.Fatalf("record %d lies at %d to %d, lines %d to %d, behind %d, line %d", i, x.Start, x.End, x.Line, x.Lines, at, line)
			}
			at, line = x.End, x.Lines
		}
		if len(all) == 0 {
			return
		}
		middle := all[len(all)/2]
		rest := cutAll(t, bytes.NewReader(text[middle.End:]), m, middle.Lines, middle.End)
		want := all[len(all)/2+1:]
		if len(rest) != len(want) {
			t.Fatalf("%d records behind the middle, want %d", len(rest), len(want))
		}
		for i := range rest {
			if !bytes.Equal(rest[i].Body, want[i].Body) || rest[i].Line != want[i].Line || rest[i].End != want[i].End {
				t.Fatalf("record %d behind the middle: %q, want %q", i, rest[i].Body, want[i].Body)
			}
		}
	})
}
