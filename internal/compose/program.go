package compose

import (
	"errors"
	"strings"

	"github.com/osteele/liquid"

	"github.com/carepost/carepost/internal/fault"
)

// mode is where a value lands; it decides how a value is made harmless there.
type mode uint8

const (
	modePlain mode = iota // a subject, a label, an alt: one line of text
	modeRich              // text with our light marks: a value's marks are shown, not obeyed
	modeURL               // part of a link: a value is percent-encoded
	modeWhole             // a whole link from one variable of kind link
)

// Caps of one rendering of one text.
const (
	maxSteps       = 20_000
	maxOutputBytes = 256 << 10
	maxLoopDepth   = 3
	maxTagDepth    = 20
)

// program is one compiled text.
type program struct {
	source   string
	constant bool // no merge field at all: text is the answer
	text     string
	template *liquid.Template
	used     []string
	shown    []shown
}

// shown is a variable that a text shows as it is, for the lint.
type shown struct {
	name       string
	line, col  int
	hasDefault bool
}

// meter counts the work of one rendering. Filters get it as their first argument, the escape as its last.
type meter struct {
	steps, bytes int
	full         bool
}

var (
	errTooLong  = errors.New("compose: a text grows beyond its limit")
	errTooMany  = errors.New("compose: a text takes more steps than its limit")
	errNoValue  = errors.New("compose: no value")
	errBadValue = errors.New("compose: the value is of the wrong kind")

	// Causes of faults, by which the lint tells its codes apart.
	errUnclosed = errors.New("compose: unclosed")
	errUnknown  = errors.New("compose: unknown name")
	errAlt      = errors.New("compose: no alternative text")
)

func (m *meter) step() error {
	if m.steps++; m.steps > maxSteps {
		return errTooMany
	}
	return nil
}

func (m *meter) grow(n int) error {
	if m.bytes += n; m.bytes > maxOutputBytes {
		return errTooLong
	}
	return m.step()
}

// compileSource checks a source against what is declared and compiles it for the library.
func compileSource(e *liquid.Engine, src string, m mode, s *scope) (*program, error) {
	pieces, err := scan(src)
	if err != nil {
		return nil, err
	}
	p := &program{source: src}
	if len(pieces) == 0 || len(pieces) == 1 && pieces[0].kind == pieceText {
		p.constant, p.text = true, src
		return p, nil
	}
	s.used = map[string]bool{}
	if m == modeURL && len(pieces) == 1 && pieces[0].kind == pieceField {
		if v, ok := s.declared[pieces[0].args]; ok && v.Kind == KindLink {
			m = modeWhole
		}
	}
	w := &rewriter{scope: s, mode: m, program: p}
	for _, piece := range pieces {
		if err := w.piece(piece); err != nil {
			return nil, err
		}
	}
	if len(w.open) > 0 {
		last := w.open[len(w.open)-1]
		return nil, fault.Wrap(fault.Invalid, errUnclosed, "%s is not closed", last.name).At("line %d, column %d", last.line, last.col).Hint("write {%% end%s %%}", last.name)
	}
	for name := range s.used {
		p.used = append(p.used, name)
	}
	t, serr := e.ParseString(w.out.String())
	if serr != nil {
		return nil, fault.Wrap(fault.Invalid, serr, "not a text with merge fields")
	}
	p.template = t
	return p, nil
}

// run evaluates the program over variables that are the caller's own: it puts the meter beside them. The library panics on some
// inputs; a panic becomes an error here, and no error of it is passed on, because its words may hold values.
func (p *program) run(vars map[string]any) (text string, err error) {
	if p.constant {
		return p.text, nil
	}
	m := &meter{}
	vars["__m"] = m
	defer func() {
		if recover() != nil {
			text, err = "", fault.New(fault.Invalid, "a merge field cannot be evaluated")
			if m.full {
				err = errFull
			}
		}
	}()
	out := &capped{m: m}
	if serr := p.template.FRender(out, vars); serr != nil {
		return "", m.explain(serr)
	}
	return out.b.String(), nil
}

var errFull = fault.New(fault.TooLarge, "a text grows beyond 256 KiB")

// capped takes the whole output of a text, fixed parts too. The library panics when a write fails, which run expects.
type capped struct {
	b strings.Builder
	m *meter
}

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) > maxOutputBytes {
		c.m.full = true
		return 0, errTooLong
	}
	return c.b.Write(p)
}

func (m *meter) explain(err liquid.SourceError) error {
	if m.full {
		return errFull
	}
	for _, known := range []struct {
		err  error
		code fault.Code
		text string
	}{
		{errTooMany, fault.TooLarge, "a text takes more than 20,000 steps"},
		{errTooLong, fault.TooLarge, "a text grows beyond 256 KiB"},
		{errNoValue, fault.Invalid, "a merge field has no value and no default"},
		{errBadValue, fault.Invalid, "a merge field's value does not fit its filter"},
	} {
		if strings.Contains(err.Error(), known.err.Error()) {
			return fault.New(known.code, "%s", known.text).At("line %d", max(err.LineNumber()+1, 1))
		}
	}
	return fault.New(fault.Invalid, "a merge field cannot be evaluated").At("line %d", max(err.LineNumber()+1, 1))
}
