package compose

import (
	"errors"
	"strings"

	"github.com/osteele/liquid"
	"golang.org/x/text/language"

	"github.com/carepost/carepost/internal/fault"
)

// compiled is a content whose every text is checked and ready to run. It is immutable and may be used by many at once.
type compiled struct {
	content  Content
	declared map[string]Variable
	variants []compiledVariant
	matcher  language.Matcher
}

type compiledVariant struct {
	tag      language.Tag
	programs map[sourceKey]*program
	subject  *program
	needs    []string // required variables that this variant reads
	claims   bool     // it says that it is encrypted end to end
}

// sourceKey finds a program: the same text means another thing elsewhere or inside a list.
type sourceKey struct {
	mode mode
	each string
	text string
}

// itemName is what a list's or table's record is called in its item or row.
const itemName = "item"

func compile(c Content) (*compiled, error) {
	if err := c.checkShape(); err != nil {
		return nil, err
	}
	out := &compiled{content: c, declared: map[string]Variable{}}
	for _, v := range append(append([]Variable{}, given...), c.Variables...) {
		out.declared[v.Name] = v
	}
	for i, v := range c.Variants {
		cv, err := out.variant(v)
		if err != nil {
			return nil, under(err, "variants[%d]", i)
		}
		out.variants = append(out.variants, cv)
	}
	have := make([]language.Tag, len(out.variants))
	for i, cv := range out.variants {
		have[i] = cv.tag
	}
	out.matcher = language.NewMatcher(have)
	return out, nil
}

// pick chooses the variant for a recipient: the best match of their languages, the original when there is none.
func (c *compiled) pick(preferred []string) int {
	if len(c.variants) == 1 || len(preferred) == 0 {
		return 0
	}
	want := make([]language.Tag, 0, len(preferred))
	for _, p := range preferred {
		if tag, err := language.Parse(p); err == nil {
			want = append(want, tag)
		}
	}
	if len(want) == 0 {
		return 0
	}
	_, i, confidence := c.matcher.Match(want...)
	if confidence < language.Low {
		return 0
	}
	return i
}

func (c *compiled) variant(v Variant) (compiledVariant, error) {
	tag := language.Make(v.Language)
	cv := compiledVariant{tag: tag, programs: map[sourceKey]*program{}}
	x := &expander{engine: engine(tag), declared: c.declared, variant: &cv}
	cv.subject = x.compile("subject", v.Subject, modePlain)
	if x.plain("preheader", &v.Preheader); x.err != nil {
		return cv, x.err
	}
	for i, b := range v.Blocks {
		if b == nil {
			return cv, fault.New(fault.Invalid, "an empty block").At("blocks[%d]", i)
		}
		x.condition(b)
		if x.err == nil {
			_, x.err = b.expand(x)
		}
		if x.err != nil {
			return cv, under(x.err, "blocks[%d]", i)
		}
	}
	cv.claims = claims(cv.programs)
	need := map[string]bool{}
	for _, p := range cv.programs {
		for _, name := range p.used {
			need[name] = need[name] || !c.declared[name].Optional
		}
	}
	for name, required := range need {
		if required {
			cv.needs = append(cv.needs, name)
		}
	}
	return cv, nil
}

// under puts a place before the place that a fault already names.
func under(err error, format string, args ...any) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	at := e.At(format, args...)
	if e.Where != "" {
		at.Where += "." + strings.TrimPrefix(e.Where, ".")
	}
	return at
}

// expander walks the texts of blocks: to compile them once, and to run them for each recipient. A block writes its walk once.
type expander struct {
	engine   *liquid.Engine // set when compiling
	declared map[string]Variable
	variant  *compiledVariant

	vars  map[string]any // set when running
	brand Brand
	links Links

	each   string // the list whose records are walked
	record any
	err    error
}

func (x *expander) compiling() bool { return x.engine != nil }

// rich, plain and url evaluate a text in place, by where it lands.
func (x *expander) rich(field string, src *string)  { x.text(field, src, modeRich) }
func (x *expander) plain(field string, src *string) { x.text(field, src, modePlain) }
func (x *expander) url(field string, src *string) {
	constant := x.compiling() && !strings.Contains(*src, "{{") && !strings.Contains(*src, "{%")
	if *src == "" {
		return
	}
	x.text(field, src, modeURL)
	if x.err == nil && (constant || !x.compiling()) {
		if err := checkLink(*src); err != nil {
			x.err = under(err, "%s", field)
		}
	}
}

func (x *expander) text(field string, src *string, m mode) {
	if x.err != nil || *src == "" {
		return
	}
	if x.compiling() {
		x.compile(field, *src, m)
		return
	}
	p := x.variant.programs[sourceKey{m, x.each, *src}]
	if p == nil {
		x.err = fault.New(fault.Internal, "a text was not compiled").At("%s", field)
		return
	}
	*src = x.run(p, field)
}

func (x *expander) run(p *program, field string) string {
	if x.each != "" { // the name is reserved: nothing is hidden
		x.vars[itemName] = x.record
		defer delete(x.vars, itemName)
	}
	text, err := p.run(x.vars)
	if err != nil {
		x.err = under(err, "%s", field)
	}
	return text
}

func (x *expander) compile(field, src string, m mode) *program {
	s := &scope{declared: x.declared}
	if x.each != "" {
		s.locals = map[string]Variable{itemName: x.declared[x.each]}
	}
	if x.err != nil {
		return nil
	}
	p, err := compileSource(x.engine, src, m, s)
	if err != nil {
		x.err = under(err, "%s", field)
		return nil
	}
	x.variant.programs[sourceKey{m, x.each, src}] = p
	return p
}

// condition compiles a block's When as a text that is "1" when it holds.
func (x *expander) condition(b Block) {
	if when := whenOf(b); when != "" {
		src := conditionSource(when)
		x.plain("when", &src)
	}
}

// shows tells whether a block's condition holds.
func (x *expander) shows(b Block) bool {
	when := whenOf(b)
	if when == "" || x.err != nil {
		return x.err == nil
	}
	src := conditionSource(when)
	x.plain("when", &src)
	return src == "1"
}

func conditionSource(when string) string { return "{% if " + when + " %}1{% endif %}" }

func whenOf(b Block) string {
	if w, ok := b.(interface{ when() string }); ok {
		return w.when()
	}
	return ""
}

// records runs fn for each record of a list variable; once without a record when compiling.
func (x *expander) records(list string, fn func() error) error {
	if x.err != nil {
		return x.err
	}
	v, ok := x.declared[list]
	if !ok || v.Kind != KindList {
		return fault.New(fault.Invalid, "each names a list variable").At("each")
	}
	x.each = list
	defer func() { x.each, x.record = "", nil }()
	if x.compiling() {
		x.compile("each", "{% for "+itemName+"_ in "+list+" %}{% endfor %}", modePlain) // the list is read: it is needed
		return fn()
	}
	items, _ := get(x.vars, list).([]any)
	for _, item := range items {
		x.record = item
		if err := fn(); err != nil {
			return err
		}
	}
	return x.err
}
