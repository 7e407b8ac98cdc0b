package compose

import (
	"slices"
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// The expressions that merge fields may hold are a part of Liquid's. This file reads them, resolves every name against what is
// declared, and writes them anew for the library: what it does not understand never reaches the library.

type token struct {
	kind byte // 'w' word, 's' string, 'n' number, else the operator's first byte
	text string
	col  int
}

type expressionReader struct {
	tokens []token
	at     int
	line   int
	scope  *scope
}

// scope is what names mean at one place of a source.
type scope struct {
	declared map[string]Variable
	locals   map[string]Variable // loop variables: the list they walk
	used     map[string]bool     // names of variables that the source reads
}

func newReader(p piece, s *scope) (*expressionReader, error) {
	r := &expressionReader{line: p.line, scope: s}
	src := p.args
	for i := 0; i < len(src); {
		c := src[i]
		start := i
		switch {
		case c == ' ' || c == '\t':
			i++
			continue
		case c == '"' || c == '\'':
			end := strings.IndexByte(src[i+1:], c)
			if end < 0 {
				return nil, r.problem(p.col+start, "a quoted text is not closed")
			}
			i += end + 2
			r.tokens = append(r.tokens, token{'s', src[start:i], p.col + start})
		case wordByte(c) && (c < '0' || c > '9'):
			for i < len(src) && (wordByte(src[i]) || src[i] == '.' && i+1 < len(src) && wordByte(src[i+1])) {
				i++
			}
			r.tokens = append(r.tokens, token{'w', src[start:i], p.col + start})
		case c >= '0' && c <= '9' || c == '-' && i+1 < len(src) && src[i+1] >= '0' && src[i+1] <= '9':
			i++
			for i < len(src) && (src[i] >= '0' && src[i] <= '9' || src[i] == '.') {
				i++
			}
			if _, err := strconv.ParseFloat(src[start:i], 64); err != nil || i-start > 15 {
				return nil, r.problem(p.col+start, "not a number")
			}
			r.tokens = append(r.tokens, token{'n', src[start:i], p.col + start})
		default:
			op := operator(src[i:])
			if op == "" {
				return nil, r.problem(p.col+start, "a character that merge fields do not know")
			}
			i += len(op)
			r.tokens = append(r.tokens, token{'o', op, p.col + start})
		}
	}
	r.tokens = append(r.tokens, token{0, "", p.col + len(src)})
	return r, nil
}

func wordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func operator(src string) string {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">", "|", ":", ","} {
		if strings.HasPrefix(src, op) {
			return op
		}
	}
	return ""
}

func (r *expressionReader) problem(col int, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, format, args...).At("line %d, column %d", r.line, col)
}

func (r *expressionReader) next() token { t := r.tokens[r.at]; r.at++; return t }
func (r *expressionReader) peek() token { return r.tokens[r.at] }
func (r *expressionReader) take(text string) bool {
	if t := r.peek(); t.kind != 0 && t.kind != 's' && t.text == text {
		r.at++
		return true
	}
	return false
}

func (r *expressionReader) end() error {
	if t := r.peek(); t.kind != 0 {
		return r.problem(t.col, "the merge field goes on after its end")
	}
	return nil
}

// field reads {{ value | filter: argument | ... }} and gives it rewritten, without the escape.
func (r *expressionReader) field() (string, error) {
	text, kind, err := r.operand()
	if err != nil {
		return "", err
	}
	filters := 0
	for r.take("|") {
		t := r.next()
		f, known := filterTable[t.text]
		if t.kind != 'w' || !known {
			e := fault.Wrap(fault.Invalid, errUnknown, "unknown filter").At("line %d, column %d", r.line, t.col)
			if near := nearest(t.text, filterNames()); near != "" {
				return "", e.Hint("perhaps %s", near)
			}
			return "", e.Hint("known are %s", strings.Join(filterNames(), ", "))
		}
		args, err := r.arguments()
		if err != nil {
			return "", err
		}
		if len(args) < f.least || len(args) > f.most {
			return "", r.problem(t.col, "the filter %s takes %s", t.text, f.takes())
		}
		text += " | " + t.text + ": __m"
		for _, a := range args {
			text += ", " + a
		}
		if filters++; filters > 10 {
			return "", r.problem(t.col, "more than 10 filters in a row")
		}
	}
	if kind == KindList && filters == 0 {
		return "", r.problem(r.tokens[0].col, "a list is not shown whole").Hint("walk it with {%% for %%}, or join it")
	}
	return text, r.end()
}

func (r *expressionReader) arguments() ([]string, error) {
	if !r.take(":") {
		return nil, nil
	}
	var args []string
	for {
		a, _, err := r.operand()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if !r.take(",") {
			return args, nil
		}
	}
}

// condition reads "a == b and c contains d or e".
func (r *expressionReader) condition() (string, error) {
	var b strings.Builder
	for n := 0; ; n++ {
		left, _, err := r.operand()
		if err != nil {
			return "", err
		}
		b.WriteString(left)
		if t := r.peek(); t.kind == 'o' && slices.Contains([]string{"==", "!=", "<", ">", "<=", ">="}, t.text) || t.kind == 'w' && t.text == "contains" {
			r.at++
			right, _, err := r.operand()
			if err != nil {
				return "", err
			}
			b.WriteString(" " + t.text + " " + right)
		}
		switch {
		case n >= 20:
			return "", r.problem(r.peek().col, "more than 20 parts in a condition")
		case r.take("and"):
			b.WriteString(" and ")
		case r.take("or"):
			b.WriteString(" or ")
		default:
			return b.String(), r.end()
		}
	}
}

// loop reads "item in list limit:3 reversed" and gives it rewritten, with the loop's variable and the list it walks.
func (r *expressionReader) loop() (text, local string, list Variable, err error) {
	t := r.next()
	if t.kind != 'w' || !fieldName.MatchString(t.text) || slices.Contains(reserved, t.text) {
		return "", "", list, r.problem(t.col, "not a name for a loop variable").Hint("write for item in list")
	}
	if !r.take("in") {
		return "", "", list, r.problem(r.peek().col, "a loop names its list after in").Hint("write for item in list")
	}
	path := r.peek()
	source, kind, err := r.operand()
	if err != nil {
		return "", "", list, err
	}
	if kind != KindList || path.kind != 'w' {
		return "", "", list, r.problem(path.col, "a loop walks a list variable only").Hint("ranges are not available")
	}
	list = r.scope.declared[path.text]
	text = t.text + " in " + source
	for r.peek().kind != 0 {
		m := r.next()
		switch {
		case m.text == "reversed":
			text += " reversed"
		case (m.text == "limit" || m.text == "offset") && r.take(":") && r.peek().kind == 'n':
			n := r.next().text
			if _, err := strconv.Atoi(n); err != nil {
				return "", "", list, r.problem(m.col, "a loop's %s is a whole number", m.text)
			}
			text += " " + m.text + ": " + n
		default:
			return "", "", list, r.problem(m.col, "a loop takes reversed, limit: number and offset: number")
		}
	}
	return text, t.text, list, nil
}

// operand reads a literal or a name and gives it with its kind; a literal's kind is empty.
func (r *expressionReader) operand() (string, VariableKind, error) {
	t := r.next()
	switch {
	case t.kind == 's' || t.kind == 'n':
		return t.text, "", nil
	case t.kind == 'w' && (t.text == "true" || t.text == "false" || t.text == "nil"):
		return t.text, "", nil
	case t.kind == 'w':
		kind, err := r.scope.resolve(t.text)
		if err != nil {
			e, _ := err.(*fault.Error) //nolint:errorlint // resolve gives this type
			return "", "", e.At("line %d, column %d", r.line, t.col)
		}
		return t.text, kind, nil
	case t.kind == 0:
		return "", "", r.problem(t.col, "something is missing here").Hint("a variable, a text in quotes or a number")
	}
	return "", "", r.problem(t.col, "a variable, a text in quotes or a number belongs here")
}

// resolve finds what a dotted name is: a declared variable, a record's field, or a property of a list.
func (s *scope) resolve(name string) (VariableKind, error) {
	if v, ok := s.declared[name]; ok {
		s.used[name] = true
		return v.Kind, nil
	}
	head, rest := root(name), strings.TrimPrefix(strings.TrimPrefix(name, root(name)), ".")
	if list, ok := s.locals[head]; ok {
		if slices.Contains(list.Fields, rest) {
			return KindText, nil
		}
		return "", unknownName(name, prefixed(head, list.Fields))
	}
	if head == "forloop" && len(s.locals) > 0 && slices.Contains([]string{"index", "first", "last", "length"}, rest) {
		return KindNumber, nil
	}
	for p := parent(name); p != ""; p = parent(p) {
		v, ok := s.declared[p]
		if !ok || v.Kind != KindList {
			continue
		}
		tail := strings.TrimPrefix(name, p+".")
		s.used[p] = true
		if tail == "size" {
			return KindNumber, nil
		}
		end, field, _ := strings.Cut(tail, ".")
		if (end == "first" || end == "last") && slices.Contains(v.Fields, field) {
			return KindText, nil
		}
	}
	known := make([]string, 0, len(s.declared)+len(s.locals))
	for k := range s.declared {
		known = append(known, k)
	}
	for k, list := range s.locals {
		known = append(known, prefixed(k, list.Fields)...)
	}
	slices.Sort(known)
	return "", unknownName(name, known)
}

func unknownName(name string, known []string) *fault.Error {
	e := fault.Wrap(fault.Invalid, errUnknown, "unknown variable %s", name)
	if near := nearest(name, known); near != "" {
		return e.Hint("perhaps %s", near)
	}
	return e.Hint("declare it under variables")
}

func prefixed(head string, fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = head + "." + f
	}
	return out
}
