package audience

import "strings"

// word takes a bare or quoted value.
func (p *parser) word(want string) (token, error) {
	if !p.peek().value() {
		return token{}, p.fail(expected(want))
	}
	return p.take(), nil
}

// checked gives what a check found, at the token that was taken.
func (p *parser) checked(t token, c *complaint) error {
	if c != nil {
		return c.at(p.src, t.at)
	}
	return nil
}

func (p *parser) length() (Duration, token, error) {
	t, err := p.word(wantDuration)
	if err != nil {
		return Duration{}, t, err
	}
	d, c := parseDuration(t.text)
	return d, t, p.checked(t, c)
}

// op takes an operator out of those that the leaf has.
func (p *parser) op(ops []Op, what string) (Op, error) {
	t := p.peek()
	for _, op := range ops {
		switch text := opText[op]; {
		case op == OpOlderThan && t.is("older"):
			p.take()
			return op, p.need("than")
		case t.is(text), t.kind == tokenOp && t.text == text:
			p.take()
			return op, nil
		}
	}
	c := expected(opList(ops) + " after " + what)
	switch {
	case t.is("is"):
		c.hinted("write =")
	case t.kind == tokenWord:
		c.didYouMean(t.text, []string{"in", "exists", "within", "older"})
	}
	return "", p.fail(c)
}

func (p *parser) field(f *field) (Rule, error) {
	if p.peek().is("not") && p.tokens[p.pos+1].is("in") && validOp(OpIn, f.ops) {
		p.take()
		r, err := p.field(f)
		return Not{r}, err
	}
	op, err := p.op(f.ops, "the field")
	if err != nil {
		return nil, err
	}
	r := Field{Name: f.name, Op: op}
	switch {
	case op == OpExists:
		return r, nil
	case op.needsLength():
		var t token
		if r.Within, t, err = p.length(); err == nil {
			err = p.checked(t, calendarDays(r.Within))
		}
		return r, err
	case op == OpIn:
		r.Values, err = p.list("a value", func(t token) (string, *complaint) { return f.value(t.text) })
		return r, err
	}
	t, err := p.word("a value")
	if err != nil {
		return nil, err
	}
	v, c := f.value(t.text)
	if c == nil && strings.HasPrefix(v, setPrefix) {
		c = wrong("a value set stands after in").hinted("write in %svalue-set", setPrefix)
	}
	r.Values = []string{v}
	return r, p.checked(t, c)
}

// list reads (a, b, c), or one value set without brackets.
func (p *parser) list(want string, read func(token) (string, *complaint)) ([]string, error) {
	if t := p.peek(); t.value() && strings.HasPrefix(t.text, setPrefix) {
		p.take()
		v, c := read(t)
		return []string{v}, p.checked(t, c)
	}
	if p.peek().kind != tokenOpen {
		return nil, p.fail(expected("a list such as (a, b), or a value set such as @valueset:name"))
	}
	p.take()
	var list []string
	for {
		t, err := p.word(want)
		if err != nil {
			return nil, err
		}
		v, c := read(t)
		if c == nil && len(list) == maxValues {
			c = wrong("a list has at most %d entries", maxValues).hinted("use a value set")
		}
		if c != nil {
			return nil, c.at(p.src, t.at)
		}
		list = append(list, v)
		kind := p.peek().kind
		if kind != tokenComma && kind != tokenClose {
			return nil, p.fail(expected("a comma or a closing bracket"))
		}
		p.take()
		if kind == tokenClose {
			return list, nil
		}
	}
}

// terms reads one code, a list of codes after in, or a value set.
func (p *parser) terms() ([]Term, error) {
	var terms []Term
	read := func(t token) (string, *complaint) {
		term, c := parseTerm(t.text)
		terms = append(terms, term)
		return t.text, c
	}
	if p.accept("in") {
		_, err := p.list("a code", read)
		return terms, err
	}
	t, err := p.word("a code such as icd10:E11.*")
	if err != nil {
		return nil, err
	}
	_, c := read(t)
	return terms, p.checked(t, c)
}

func (p *parser) has(what string) (Rule, error) {
	r := Has{What: what}
	var err error
	if r.Terms, err = p.terms(); err != nil || !whats[what] {
		return r, err
	}
	if p.accept("any") {
		r.AnyStatus = true
		return r, p.need("status")
	}
	p.accept("active")
	return r, nil
}

func (p *parser) lab() (Rule, error) {
	var r Lab
	err := p.need("lab")
	if err != nil {
		return nil, err
	}
	if r.Terms, err = p.terms(); err != nil {
		return nil, err
	}
	if r.Op, err = p.op(opsLab, "the lab"); err != nil {
		return nil, err
	}
	if r.Op != OpExists {
		t, err := p.word("a number")
		if err != nil {
			return nil, err
		}
		var c *complaint
		if r.Value, c = decimal(t.text); c != nil {
			return nil, c.at(p.src, t.at)
		}
		if t := p.peek(); t.kind == tokenQuoted || t.kind == tokenWord && !isKeyword(t.text) {
			p.take()
			if c := checkWord(t.text); c != nil {
				return nil, c.at(p.src, t.at)
			}
			r.Unit = t.text
		}
	}
	if p.accept("within") {
		r.Within, _, err = p.length()
	}
	return r, err
}

func (p *parser) event() (string, error) {
	t, err := p.word("an event such as email.opened")
	if err != nil {
		return "", err
	}
	name := strings.ToLower(t.text)
	return name, p.checked(t, checkEvent(name))
}

func (p *parser) automated() (bool, error) {
	if p.accept("including") {
		return true, p.need("automated")
	}
	return false, nil
}

// window reads in LENGTH, which reaches no further back than single events are kept.
func (p *parser) window() (Duration, error) {
	if err := p.need("in"); err != nil {
		return Duration{}, err
	}
	d, t, err := p.length()
	if err == nil {
		err = p.checked(t, checkWindow(d))
	}
	return d, err
}

func (p *parser) count() (Rule, error) {
	var r Count
	var err error
	if r.Event, err = p.event(); err != nil {
		return nil, err
	}
	if r.Op, err = p.op(opsCompare, "the event"); err != nil {
		return nil, err
	}
	t, err := p.word("a whole number")
	if err != nil {
		return nil, err
	}
	var c *complaint
	if r.N, c = countValue(t.text, r.Op); c != nil {
		return nil, c.at(p.src, t.at)
	}
	if r.Within, err = p.window(); err != nil {
		return nil, err
	}
	r.Automated, err = p.automated()
	return r, err
}

func (p *parser) last() (Rule, error) {
	var r Last
	var err error
	if r.Event, err = p.event(); err != nil {
		return nil, err
	}
	if r.Op, err = p.op([]Op{OpOlderThan, OpWithin}, "the event"); err != nil {
		return nil, err
	}
	if r.Within, _, err = p.length(); err != nil {
		return nil, err
	}
	r.Automated, err = p.automated()
	return r, err
}

func (p *parser) never() (Rule, error) {
	var r Never
	var err error
	if r.Event, err = p.event(); err != nil {
		return nil, err
	}
	r.Automated, err = p.automated()
	return r, err
}

func (p *parser) sequence() (Rule, error) {
	var r Sequence
	var err error
	if r.First, err = p.event(); err != nil {
		return nil, err
	}
	r.Missing = p.accept("not")
	if !p.peek().is("followed") {
		return nil, p.fail(expected("followed by, or not followed by, after an event").hinted("to count events write count before it, to ask for the last one write last"))
	}
	if err := p.need("followed", "by"); err != nil {
		return nil, err
	}
	if r.Then, err = p.event(); err != nil {
		return nil, err
	}
	if err := p.need("within"); err != nil {
		return nil, err
	}
	gap, t, err := p.length()
	if err == nil {
		err = p.checked(t, checkGap(gap))
	}
	if err != nil {
		return nil, err
	}
	r.Gap = gap
	if r.Within, err = p.window(); err != nil {
		return nil, err
	}
	r.Automated, err = p.automated()
	return r, err
}

func (p *parser) consent() (Rule, error) {
	name, err := p.word("a consent such as topic:recalls")
	if err == nil {
		err = p.checked(name, checkConsent(name.text))
	}
	if err != nil {
		return nil, err
	}
	state, err := p.word(either(consentStates))
	if err != nil {
		return nil, err
	}
	r := Consent{name.text, strings.ToLower(state.text)}
	return r, p.checked(state, checkState(r.State))
}

func (p *parser) segment() (Rule, error) {
	if err := p.need("segment"); err != nil {
		return nil, err
	}
	t, err := p.word("the name of a segment")
	if err == nil {
		err = p.checked(t, checkSegment(t.text))
	}
	return Segment{t.text}, err
}

func (p *parser) appointment() (Rule, error) {
	if err := p.need("booked"); err != nil {
		return nil, err
	}
	if p.accept("in") {
		return Appointment{}, p.need("future")
	}
	if !p.accept("within") {
		return nil, p.fail(expected("in future, or within and a length of time"))
	}
	d, _, err := p.length()
	return Appointment{d}, err
}
