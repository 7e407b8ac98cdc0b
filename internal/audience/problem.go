package audience

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/carepost/carepost/internal/fault"
)

// Problem is where and why a rule could not be read: the cause of the fault that Parse and Decode return, for a face that marks
// the place. It repeats nothing of the input.
type Problem struct {
	Offset       int // byte offset from 0
	Line, Column int // from 1; a column is one character
	Text         string
	Expected     string // what could stand there; may be empty
	Hint         string // how to mend it; may be empty
}

// Error gives the text without its place.
func (p *Problem) Error() string { return p.Text }

// complaint is a problem that does not yet know its place.
type complaint struct{ text, expected, hint string }

func expected(what string) *complaint { return &complaint{text: "expected " + what, expected: what} }

func wrong(format string, args ...any) *complaint {
	return &complaint{text: fmt.Sprintf(format, args...)}
}

func (c *complaint) hinted(format string, args ...any) *complaint {
	c.hint = fmt.Sprintf(format, args...)
	return c
}

// at gives the fault for a complaint at a byte of the source.
func (c *complaint) at(source string, offset int) error {
	offset = min(max(offset, 0), len(source))
	before := source[:offset]
	p := &Problem{
		Offset: offset, Line: strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1,
		Text:   c.text, Expected: c.expected, Hint: c.hint,
	}
	e := fault.Wrap(fault.Invalid, p, "%s", p.Text).At("line %d, column %d (byte %d)", p.Line, p.Column, p.Offset)
	if p.Hint != "" {
		e = e.Hint("%s", p.Hint)
	}
	return e
}

// nearest gives the word of the vocabulary that the text was likely meant to be, or "".
func nearest(text string, words []string) string {
	text = strings.ToLower(text)
	if len(text) > 40 {
		return ""
	}
	best, distance := "", len(text)/3+1
	for _, w := range words {
		if d := edits(text, w, distance); d < distance || d == distance && best == "" && d <= 2 && d < len(w) {
			best, distance = w, d
		}
	}
	return best
}

// edits is the number of single-character changes (insert, drop, replace, swap of neighbours) between two words, or limit+1.
func edits(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], prev2[j-1]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

// didYouMean adds a hint when a word of the vocabulary is near.
func (c *complaint) didYouMean(text string, words []string) *complaint {
	if w := nearest(text, words); w != "" {
		c.hint = "did you mean " + w + "?"
	}
	return c
}
