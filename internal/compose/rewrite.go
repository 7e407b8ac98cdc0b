package compose

import (
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// rewriter writes a checked source for the library: every shown value ends in the escape of its place, every turn of a loop is
// counted.
type rewriter struct {
	out     strings.Builder
	scope   *scope
	mode    mode
	program *program
	open    []openTag
	loops   int
}

type openTag struct {
	name      string
	line, col int
	local     string // of a for
	hidden    *Variable
}

var tagNames = []string{"if", "elsif", "else", "endif", "unless", "endunless", "for", "endfor", "break", "continue", "case", "when", "endcase"}

func (w *rewriter) piece(p piece) error {
	switch p.kind {
	case pieceText:
		w.out.WriteString(p.text)
		return nil
	case pieceField:
		return w.field(p)
	case pieceTag:
		return w.tag(p)
	}
	return nil
}

func (w *rewriter) field(p piece) error {
	r, err := newReader(p, w.scope)
	if err != nil {
		return err
	}
	text, err := r.field()
	if err != nil {
		return err
	}
	if first := r.tokens[0]; first.kind == 'w' {
		w.program.shown = append(w.program.shown, shown{first.text, p.line, p.col, strings.Contains(text, "| default: ")})
	}
	w.write(p, "{{", text+" | "+escapeNames[w.mode]+": __m", "}}")
	return nil
}

func (w *rewriter) write(p piece, opening, inner, closing string) {
	left, right := "", ""
	if p.left {
		left = "-"
	}
	if p.right {
		right = "-"
	}
	w.out.WriteString(opening + left + " " + inner + " " + right + closing)
}

func (w *rewriter) tag(p piece) error {
	problem := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, format, args...).At("line %d, column %d", p.line, p.col)
	}
	if !slices.Contains(tagNames, p.name) {
		e := fault.Wrap(fault.Invalid, errUnknown, "unknown tag").At("line %d, column %d", p.line, p.start)
		if near := nearest(p.name, tagNames); near != "" {
			return e.Hint("perhaps %s", near)
		}
		return e.Hint("known are if, unless, case and for")
	}
	r, err := newReader(p, w.scope)
	if err != nil {
		return err
	}
	text := ""
	switch p.name {
	case "if", "unless":
		if text, err = r.condition(); err != nil {
			return err
		}
		err = w.push(openTag{name: p.name, line: p.line, col: p.col}, problem)
	case "case":
		if text, _, err = r.operand(); err == nil {
			err = r.end()
		}
		if err == nil {
			err = w.push(openTag{name: p.name, line: p.line, col: p.col}, problem)
		}
	case "for":
		return w.forTag(p, r, problem)
	case "elsif":
		if !w.within("if") {
			return problem("elsif stands outside an if")
		}
		text, err = r.condition()
	case "when":
		if !w.within("case") {
			return problem("when stands outside a case")
		}
		text, err = w.when(r)
	case "else":
		if !w.within("if", "unless", "case", "for") {
			return problem("else stands outside an if, unless, case or for")
		}
		err = r.end()
	case "break", "continue":
		if w.loops == 0 {
			return problem("%s stands outside a for", p.name)
		}
		err = r.end()
	case "endif", "endunless", "endcase", "endfor":
		if err = r.end(); err == nil {
			err = w.pop(strings.TrimPrefix(p.name, "end"), problem)
		}
	}
	if err != nil {
		return err
	}
	w.write(p, "{%", strings.TrimSpace(p.name+" "+text), "%}")
	return nil
}

func (w *rewriter) when(r *expressionReader) (string, error) {
	var all []string
	for {
		text, _, err := r.operand()
		if err != nil {
			return "", err
		}
		all = append(all, text)
		if !r.take(",") {
			return strings.Join(all, ", "), r.end()
		}
	}
}

func (w *rewriter) forTag(p piece, r *expressionReader, problem func(string, ...any) *fault.Error) error {
	text, local, list, err := r.loop()
	if err != nil {
		return err
	}
	if w.loops++; w.loops > maxLoopDepth {
		return problem("loops stand more than %d deep", maxLoopDepth)
	}
	tag := openTag{name: "for", line: p.line, col: p.col, local: local}
	if v, ok := w.scope.locals[local]; ok {
		tag.hidden = &v
	}
	if _, ok := w.scope.declared[local]; ok {
		return problem("the loop variable hides the variable %s", local)
	}
	if w.scope.locals == nil {
		w.scope.locals = map[string]Variable{}
	}
	w.scope.locals[local] = list
	if err := w.push(tag, problem); err != nil {
		return err
	}
	w.write(p, "{%", "for "+text, "%}")
	w.out.WriteString("{{ 0 | tick: __m }}")
	return nil
}

func (w *rewriter) push(t openTag, problem func(string, ...any) *fault.Error) error {
	if w.open = append(w.open, t); len(w.open) > maxTagDepth {
		return problem("tags stand more than %d deep", maxTagDepth)
	}
	return nil
}

func (w *rewriter) pop(name string, problem func(string, ...any) *fault.Error) error {
	if !w.within(name) {
		return problem("end%s closes what is not open", name)
	}
	last := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if last.name == "for" {
		w.loops--
		delete(w.scope.locals, last.local)
		if last.hidden != nil {
			w.scope.locals[last.local] = *last.hidden
		}
	}
	return nil
}

func (w *rewriter) within(names ...string) bool {
	if len(w.open) == 0 {
		return false
	}
	for _, n := range names {
		if w.open[len(w.open)-1].name == n {
			return true
		}
	}
	return false
}
