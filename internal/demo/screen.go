package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// screen is where the story is told: in bare ASCII, and on a terminal with a moving bar.
type screen struct {
	w        io.Writer
	terminal bool
	drawn    time.Time // of the bar; zero when none is on the screen
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		s.terminal = err == nil && os.Getenv("TERM") != "dumb"
	}
	return s
}

func (s *screen) say(format string, args ...any) {
	s.clear()
	fmt.Fprintf(s.w, strings.TrimRight(format, " ")+"\n", args...) //nolint:errcheck // a closed pipe changes nothing of what is proven
}

func (s *screen) chapter(title string) {
	s.say("")
	if s.terminal {
		title = "\x1b[1m" + title + "\x1b[0m"
	}
	s.say("%s", title)
}

const (
	barWidth = 30
	barEvery = 50 * time.Millisecond
)

// bar draws how far a thing is, over the bar before it. It draws nothing where nothing moves: in a file or a pipe.
func (s *screen) bar(done, total int64, unit string) {
	if !s.terminal || total <= 0 || done < total && time.Since(s.drawn) < barEvery {
		return
	}
	s.drawn = time.Now()
	done = min(done, total)
	full := int(done * barWidth / total)
	fmt.Fprintf(s.w, "\r\x1b[K  [%s%s] %s of %s %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), //nolint:errcheck // as above
		thousands(done), thousands(total), unit)
}

func (s *screen) clear() {
	if !s.drawn.IsZero() {
		s.drawn = time.Time{}
		fmt.Fprint(s.w, "\r\x1b[K") //nolint:errcheck // as above
	}
}

// table prints rows under a header. A column whose header begins with ">" stands at the right.
func (s *screen) table(header []string, rows [][]string) {
	width := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(strings.TrimPrefix(cell, ">")))
		}
	}
	line := func(row []string) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(strings.TrimPrefix(cell, ">")))
			if b.WriteString("  "); strings.HasPrefix(header[i], ">") {
				b.WriteString(pad + strings.TrimPrefix(cell, ">"))
			} else {
				b.WriteString(cell + pad)
			}
		}
		s.say("%s", strings.TrimRight(b.String(), " "))
	}
	line(header)
	for i := range width {
		width[i] = max(width[i], 1)
	}
	rule := make([]string, len(header))
	for i := range rule {
		rule[i] = strings.Repeat("-", width[i])
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
}

// thousands writes 12,345.
func thousands[N ~int | ~int64](n N) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// count writes a number in a table: nothing for none, so that the others are seen.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return thousands(n)
}
