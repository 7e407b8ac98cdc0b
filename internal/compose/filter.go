package compose

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/osteele/liquid"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// filter is one named filter. least and most count the arguments after the colon.
type filter struct {
	least, most int
	fn          func(l locale, m *meter, v any, args []any) (any, error)
}

func (f filter) takes() string {
	switch {
	case f.most == 0:
		return "no argument"
	case f.least == f.most && f.most == 1:
		return "one argument"
	case f.least == f.most:
		return fmt.Sprintf("%d arguments", f.most)
	}
	return fmt.Sprintf("%d to %d arguments", f.least, f.most)
}

// filterTable is the whole list. Nothing here can make more than it was given but append, prepend, join and default, whose output
// counts against the cap; there is no assignment, so nothing can be made of what was made.
var filterTable = map[string]filter{
	"append": {1, 1, func(_ locale, _ *meter, v any, a []any) (any, error) {
		return onText(v, func(s string) string { return s + show(a[0]) })
	}},
	"prepend": {1, 1, func(_ locale, _ *meter, v any, a []any) (any, error) {
		return onText(v, func(s string) string { return show(a[0]) + s })
	}},
	"capitalize": {0, 0, func(_ locale, _ *meter, v any, _ []any) (any, error) { return onText(v, capitalize) }},
	"date":       {0, 1, func(l locale, _ *meter, v any, a []any) (any, error) { return l.date(v, style(a, "long")) }},
	"default": {1, 1, func(_ locale, _ *meter, v any, a []any) (any, error) {
		if v == nil || v == "" || v == false {
			return a[0], nil
		}
		return v, nil
	}},
	"downcase": {0, 0, func(l locale, _ *meter, v any, _ []any) (any, error) { return onText(v, cases.Lower(l.tag).String) }},
	"first":    {0, 0, func(_ locale, _ *meter, v any, _ []any) (any, error) { return initial(v) }},
	"join":     {2, 2, join},
	"minus":    {1, 1, arithmetic(func(a, b float64) float64 { return a - b })},
	"number":   {0, 1, func(l locale, _ *meter, v any, a []any) (any, error) { return l.number(v, a) }},
	"phone":    {0, 0, func(_ locale, _ *meter, v any, _ []any) (any, error) { return onText(v, phone) }},
	"plural":   {2, 2, plural},
	"plus":     {1, 1, arithmetic(func(a, b float64) float64 { return a + b })},
	"size":     {0, 0, func(_ locale, _ *meter, v any, _ []any) (any, error) { return size(v) }},
	"strip":    {0, 0, func(_ locale, _ *meter, v any, _ []any) (any, error) { return onText(v, strings.TrimSpace) }},
	"time":     {0, 0, func(l locale, _ *meter, v any, _ []any) (any, error) { return l.clock(v) }},
	"times":    {1, 1, arithmetic(func(a, b float64) float64 { return a * b })},
	"truncate": {1, 1, truncate},
	"upcase":   {0, 0, func(l locale, _ *meter, v any, _ []any) (any, error) { return onText(v, cases.Upper(l.tag).String) }},
	"weekday":  {0, 0, func(l locale, _ *meter, v any, _ []any) (any, error) { return l.date(v, "weekday") }},
}

func filterNames() []string {
	out := make([]string, 0, len(filterTable))
	for n := range filterTable {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

var escapeNames = map[mode]string{modePlain: "to_plain", modeRich: "to_rich", modeURL: "to_link", modeWhole: "to_whole"}

// engine makes the library's engine for one language: no standard filter, the tags that rewrite lets through.
func engine(tag language.Tag) *liquid.Engine {
	e := liquid.NewEngine()
	l := localeOf(tag)
	for name, f := range filterTable {
		e.RegisterFilter(name, func(v any, m *meter, args ...any) (any, error) {
			if err := m.step(); err != nil {
				return nil, err
			}
			if v == nil && name != "default" {
				return nil, errNoValue
			}
			out, err := f.fn(l, m, v, args)
			if s, ok := out.(string); ok && err == nil {
				err = m.grow(len(s))
			}
			return out, err
		})
	}
	e.RegisterFilter("tick", func(_ any, m *meter) (any, error) { return "", m.step() })
	for at, name := range escapeNames {
		e.RegisterFilter(name, func(v any, m *meter) (any, error) {
			if v == nil {
				return nil, errNoValue
			}
			text := escape(at, show(v))
			if text == "" && at == modeWhole {
				return nil, errBadValue
			}
			return text, m.grow(len(text))
		})
	}
	return e
}

// escape makes a value harmless where it lands. Lines and controls become spaces, so that no value begins a line or turns the
// direction of the text around it.
func escape(at mode, v string) string {
	v = Clean(v)
	switch at {
	case modeRich:
		return escapeMarks(v)
	case modeURL:
		return url.QueryEscape(v)
	case modeWhole:
		if checkLink(v) != nil {
			return ""
		}
	case modePlain:
	}
	return v
}

// Clean makes one line of text: line breaks, controls and the marks that turn the direction of text become spaces, broken UTF-8
// becomes the replacement character.
func Clean(v string) string {
	if strings.IndexFunc(v, unwanted) < 0 && utf8.ValidString(v) {
		return v
	}
	return strings.Map(func(r rune) rune {
		if unwanted(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(v, "\uFFFD"))
}

func unwanted(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\ufeff'
}

// show writes a plain value as text. Values were checked by plainValues; anything else is empty.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func onText(v any, fn func(string) string) (any, error) {
	switch v.(type) {
	case []any, map[string]any:
		return nil, errBadValue
	}
	return fn(show(v)), nil
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + s[n:]
}

func truncate(_ locale, _ *meter, v any, a []any) (any, error) {
	n, ok := number(a[0])
	if !ok || n < 1 || n > 10_000 {
		return nil, errBadValue
	}
	return onText(v, func(s string) string {
		runes := []rune(s)
		if len(runes) <= int(n) {
			return s
		}
		return strings.TrimRightFunc(string(runes[:int(n)-1]), unicode.IsSpace) + "…"
	})
}

// join: {{ items | join: "name", ", " }} lists one field of each record.
func join(_ locale, m *meter, v any, a []any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errBadValue
	}
	var out []string
	for _, item := range list {
		if err := m.step(); err != nil {
			return nil, err
		}
		record, ok := item.(map[string]any)
		if !ok {
			return nil, errBadValue
		}
		if s := show(record[show(a[0])]); s != "" {
			out = append(out, s)
			if err := m.grow(len(s) + len(show(a[1]))); err != nil {
				return nil, err
			}
		}
	}
	return strings.Join(out, show(a[1])), nil
}

func plural(_ locale, _ *meter, v any, a []any) (any, error) {
	n, ok := number(v)
	if !ok {
		return nil, errBadValue
	}
	if n == 1 || n == -1 {
		return a[0], nil
	}
	return a[1], nil
}

func arithmetic(fn func(a, b float64) float64) func(locale, *meter, any, []any) (any, error) {
	return func(_ locale, _ *meter, v any, a []any) (any, error) {
		x, ok := number(v)
		y, ok2 := number(a[0])
		if !ok || !ok2 {
			return nil, errBadValue
		}
		z := fn(x, y)
		if math.IsNaN(z) || math.Abs(z) > 1e15 {
			return nil, errBadValue
		}
		if z == math.Trunc(z) {
			return int(z), nil
		}
		return z, nil
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f) && math.Abs(f) <= 1e15
	}
	return 0, false
}

func size(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		return len(v), nil
	case string:
		return utf8.RuneCountInString(v), nil
	}
	return nil, errBadValue
}

func initial(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, errBadValue
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return nil, errNoValue
	}
	return string(r), nil
}

// phone writes a North American number in groups, as it is spoken; any other stays as it is.
func phone(s string) string {
	d := strings.TrimPrefix(s, "+1")
	if len(d) != 10 || strings.Trim(d, "0123456789") != "" {
		return s
	}
	return d[:3] + "-" + d[3:6] + "-" + d[6:]
}

func style(a []any, fallback string) string {
	if len(a) == 1 {
		return show(a[0])
	}
	return fallback
}
