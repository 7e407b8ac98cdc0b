package audience

import "strings"

func (d *decoder) everyone(o *object) (Rule, error) {
	yes, err := o.flag("everyone", false)
	if err == nil {
		err = o.close()
	}
	if err == nil && !yes {
		err = expected("true").at(d.src, o.v.at)
	}
	return Everyone{}, err
}

func (d *decoder) field(o *object) (Rule, error) {
	name, at, err := o.text("field")
	if err != nil {
		return nil, err
	}
	f := findField(name)
	if f == nil {
		return nil, noField(name).at(d.src, at)
	}
	op, err := d.op(o, f.ops)
	if err != nil {
		return nil, err
	}
	r := Field{Name: f.name, Op: op}
	switch {
	case op == OpExists:
	case op.needsLength():
		if r.Within, err = o.length("value", false); err == nil {
			if c := calendarDays(r.Within); c != nil {
				err = c.at(d.src, at)
			}
		}
	default:
		r.Values, err = d.values(o, f, op)
	}
	if err == nil {
		err = o.close()
	}
	return r, err
}

func (d *decoder) op(o *object, ops []Op) (Op, error) {
	text, at, err := o.text("op")
	if err != nil {
		return "", err
	}
	if !validOp(Op(text), ops) {
		names := make([]string, len(ops))
		for i, op := range ops {
			names[i] = string(op)
		}
		return "", expected(either(names)).didYouMean(text, names).at(d.src, at)
	}
	return Op(text), nil
}

// values reads one value, or for in a list of them or one value set.
func (d *decoder) values(o *object, f *field, op Op) ([]string, error) {
	v, err := o.need("value")
	if err != nil {
		return nil, err
	}
	items := []jsonValue{v}
	if op == OpIn && (v.kind != '"' || !strings.HasPrefix(v.text, setPrefix)) {
		if v.kind != '[' || len(v.items) == 0 {
			return nil, expected("a list of values, or one value set").at(d.src, v.at)
		}
		items = v.items
	}
	kind := map[fieldKind]byte{fieldText: '"', fieldFlag: 't', fieldNumber: '0', fieldDay: '"'}[f.kind]
	var list []string
	for _, item := range items {
		if item.kind != kind {
			return nil, expected(map[byte]string{'"': "a string", 't': "true or false", '0': "a number"}[kind]).at(d.src, item.at)
		}
		text := item.text
		if kind == 't' {
			text = map[bool]string{true: "true", false: "false"}[item.flag]
		}
		text, c := f.value(text)
		if c == nil && op != OpIn && strings.HasPrefix(text, setPrefix) {
			c = wrong("a value set stands with in only")
		}
		if c != nil {
			return nil, c.at(d.src, item.at)
		}
		list = append(list, text)
	}
	return list, nil
}

func (d *decoder) has(o *object) (Rule, error) {
	what, at, err := o.text("has")
	if err != nil {
		return nil, err
	}
	if what == "appointment" {
		return d.appointment(o)
	}
	status, ok := whats[what]
	if !ok {
		names := append([]string{"appointment"}, whatNames...)
		return nil, expected(either(names)).didYouMean(what, names).at(d.src, at)
	}
	r := Has{What: what}
	if r.Terms, err = d.terms(o, "code"); err != nil {
		return nil, err
	}
	if status {
		if v := o.get("status"); v != nil {
			if v.kind != '"' || v.text != "active" && v.text != "any" {
				return nil, expected("active or any").at(d.src, v.at)
			}
			r.AnyStatus = v.text == "any"
		}
	}
	return r, o.close()
}

// terms reads "code" with "descendants", or "codes", a list; a lab calls its one code "lab".
func (d *decoder) terms(o *object, one string) ([]Term, error) {
	if v := o.get("codes"); v != nil {
		if v.kind != '[' || len(v.items) == 0 {
			return nil, expected("a list of codes").at(d.src, v.at)
		}
		var list []Term
		for _, item := range v.items {
			t, err := d.term(item)
			if err != nil {
				return nil, err
			}
			list = append(list, t)
		}
		return list, nil
	}
	v, err := o.need(one)
	if err != nil {
		return nil, err
	}
	below, err := o.flag("descendants", false)
	if err != nil {
		return nil, err
	}
	if below && v.kind == '"' && !strings.HasSuffix(v.text, "*") {
		v.text += "*"
	}
	t, err := d.term(v)
	if err != nil {
		return nil, err
	}
	return []Term{t}, nil
}

func (d *decoder) term(v jsonValue) (Term, error) {
	if v.kind != '"' {
		return Term{}, expected("a code, a string").at(d.src, v.at)
	}
	t, c := parseTerm(v.text)
	if c != nil {
		return t, c.at(d.src, v.at)
	}
	return t, nil
}

func (d *decoder) appointment(o *object) (Rule, error) {
	if v := o.get("status"); v != nil && (v.kind != '"' || v.text != "booked") {
		return nil, expected("booked").at(d.src, v.at)
	}
	r := Appointment{}
	var err error
	if v := o.get("when"); v != nil {
		if v.kind != '"' || v.text != "future" {
			return nil, expected("future").at(d.src, v.at)
		}
	} else if r.Within, err = o.length("within", false); err != nil {
		return nil, err
	}
	return r, o.close()
}

func (d *decoder) lab(o *object) (Rule, error) {
	var r Lab
	if v := o.get("lab"); v.kind == '[' { // several codes stand in the same place as one
		o.v.members = append([]jsonMember{{key: "codes", at: v.at, value: *v}}, o.v.members...)
		o.taken = append([]bool{false}, o.taken...)
	}
	var err error
	if r.Terms, err = d.terms(o, "lab"); err != nil {
		return nil, err
	}
	which, at, err := o.text("which")
	if err != nil {
		return nil, err
	}
	if which != "latest" {
		return nil, expected("latest").at(d.src, at)
	}
	if r.Op, err = d.op(o, opsLab); err != nil {
		return nil, err
	}
	if r.Op != OpExists {
		v, err := o.need("value")
		if err != nil {
			return nil, err
		}
		var c *complaint
		if v.kind != '0' {
			c = expected("a number")
		} else {
			r.Value, c = decimal(v.text)
		}
		if c != nil {
			return nil, c.at(d.src, v.at)
		}
		if v := o.get("unit"); v != nil {
			if r.Unit = v.text; v.kind != '"' || checkWord(v.text) != nil {
				return nil, expected("a unit, a string").at(d.src, v.at)
			}
		}
	}
	if r.Within, err = o.length("within", true); err != nil {
		return nil, err
	}
	return r, o.close()
}

// eventName takes a member that names an event.
func (d *decoder) eventName(o *object, key string) (string, error) {
	text, at, err := o.text(key)
	if err != nil {
		return "", err
	}
	if c := checkEvent(text); c != nil {
		return "", c.at(d.src, at)
	}
	return text, nil
}

// automated reads include_automated, or human as its opposite.
func (d *decoder) automated(o *object) (bool, error) {
	if v := o.get("human"); v != nil {
		if v.kind != 't' {
			return false, expected("true or false").at(d.src, v.at)
		}
		return !v.flag, nil
	}
	return o.flag("include_automated", false)
}

func (d *decoder) count(o *object) (Rule, error) {
	var r Count
	var err error
	if r.Event, err = d.eventName(o, "count"); err != nil {
		return nil, err
	}
	if r.Op, err = d.op(o, opsCompare); err != nil {
		return nil, err
	}
	v, err := o.need("value")
	if err != nil {
		return nil, err
	}
	var c *complaint
	if v.kind != '0' {
		c = expected("a whole number")
	} else {
		r.N, c = countValue(v.text, r.Op)
	}
	if c != nil {
		return nil, c.at(d.src, v.at)
	}
	if r.Within, err = d.window(o); err != nil {
		return nil, err
	}
	if r.Automated, err = d.automated(o); err != nil {
		return nil, err
	}
	return r, o.close()
}

// window takes the member within, which reaches no further back than single events are kept.
func (d *decoder) window(o *object) (Duration, error) {
	w, err := o.length("within", false)
	if err == nil {
		if c := checkWindow(w); c != nil {
			err = c.at(d.src, o.get("within").at)
		}
	}
	return w, err
}

func (d *decoder) last(o *object) (Rule, error) {
	var r Last
	var err error
	if r.Event, err = d.eventName(o, "last"); err != nil {
		return nil, err
	}
	if r.Op, err = d.op(o, []Op{OpOlderThan, OpWithin}); err != nil {
		return nil, err
	}
	if r.Within, err = o.length("value", false); err != nil {
		return nil, err
	}
	if r.Automated, err = d.automated(o); err != nil {
		return nil, err
	}
	return r, o.close()
}

func (d *decoder) never(o *object) (Rule, error) {
	var r Never
	var err error
	if r.Event, err = d.eventName(o, "event"); err != nil {
		return nil, err
	}
	never, err := o.flag("never", false)
	if err != nil {
		return nil, err
	}
	if !never {
		return nil, expected(`"never": true beside "event"`).hinted("for who had the event, put not around it, or use count").at(d.src, o.v.at)
	}
	if r.Automated, err = d.automated(o); err != nil {
		return nil, err
	}
	return r, o.close()
}

func (d *decoder) sequence(o *object) (Rule, error) {
	v, err := o.need("sequence")
	if err != nil {
		return nil, err
	}
	if v.kind != '[' || len(v.items) != 2 || v.items[0].kind != '"' {
		return nil, expected(`a list of two: an event, and {"not": event, "within": length} or {"event": event, "within": length}`).at(d.src, v.at)
	}
	r := Sequence{First: v.items[0].text}
	if c := checkEvent(r.First); c != nil {
		return nil, c.at(d.src, v.items[0].at)
	}
	then, err := d.open(v.items[1], "an object with not or event, and within")
	if err != nil {
		return nil, err
	}
	key := "event"
	if then.get("not") != nil {
		key, r.Missing = "not", true
	}
	if r.Then, err = d.eventName(then, key); err != nil {
		return nil, err
	}
	if r.Gap, err = then.length("within", false); err != nil {
		return nil, err
	}
	if c := checkGap(r.Gap); c != nil {
		return nil, c.at(d.src, then.get("within").at)
	}
	if err := then.close(); err != nil {
		return nil, err
	}
	if r.Within, err = d.window(o); err != nil {
		return nil, err
	}
	if r.Automated, err = d.automated(o); err != nil {
		return nil, err
	}
	return r, o.close()
}

func (d *decoder) consent(o *object) (Rule, error) {
	name, at, err := o.text("consent")
	if err != nil {
		return nil, err
	}
	if c := checkConsent(name); c != nil {
		return nil, c.at(d.src, at)
	}
	state, at, err := o.text("state")
	if err != nil {
		return nil, err
	}
	if c := checkState(state); c != nil {
		return nil, c.at(d.src, at)
	}
	return Consent{name, state}, o.close()
}

func (d *decoder) segment(o *object) (Rule, error) {
	name, at, err := o.text("segment")
	if err != nil {
		return nil, err
	}
	if c := checkSegment(name); c != nil {
		return nil, c.at(d.src, at)
	}
	return Segment{name}, o.close()
}
