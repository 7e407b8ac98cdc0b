package audience

import (
	"slices"
	"strconv"
)

// Version is the version of the JSON form.
const Version = 1

// Decode reads the JSON form. It refuses unknown and doubled keys; every fault has its place (Problem).
func Decode(src []byte) (Rule, error) {
	d := &decoder{src: string(src)}
	v, err := readJSON(d.src)
	if err != nil {
		return nil, err
	}
	o, err := d.open(v, `an object {"version": 1, "rule": {...}}`)
	if err != nil {
		return nil, err
	}
	version, err := o.need("version")
	if err != nil {
		return nil, err
	}
	if version.kind != '0' || version.text != strconv.Itoa(Version) {
		return nil, expected("version 1").hinted("this program reads version 1 of the rule language").at(d.src, version.at)
	}
	rule, err := o.need("rule")
	if err != nil {
		return nil, err
	}
	if err := o.close(); err != nil {
		return nil, err
	}
	return d.rule(rule, 1)
}

type decoder struct {
	src    string
	leaves int
}

// object is an object being read: what is not taken out of it when it closes does not belong there.
type object struct {
	d     *decoder
	v     jsonValue
	asked []string
	taken []bool
}

func (d *decoder) open(v jsonValue, want string) (*object, error) {
	if v.kind != '{' {
		return nil, expected(want).at(d.src, v.at)
	}
	return &object{d: d, v: v, taken: make([]bool, len(v.members))}, nil
}

// get takes a member; nil when it is not there.
func (o *object) get(key string) *jsonValue {
	o.asked = append(o.asked, key)
	for i, m := range o.v.members {
		if m.key == key {
			o.taken[i] = true
			return &o.v.members[i].value
		}
	}
	return nil
}

func (o *object) need(key string) (jsonValue, error) {
	if v := o.get(key); v != nil {
		return *v, nil
	}
	c := wrong("the key %q is missing here", key)
	for i, m := range o.v.members {
		if !o.taken[i] && nearest(m.key, []string{key}) != "" {
			return jsonValue{}, c.hinted("did you mean %s?", key).at(o.d.src, m.at)
		}
	}
	return jsonValue{}, c.at(o.d.src, o.v.at)
}

// text takes a member that is a string.
func (o *object) text(key string) (string, int, error) {
	v, err := o.need(key)
	if err == nil && v.kind != '"' {
		err = expected("a string").at(o.d.src, v.at)
	}
	return v.text, v.at, err
}

// flag takes a member that is true or false; absent is the default.
func (o *object) flag(key string, absent bool) (bool, error) {
	v := o.get(key)
	if v == nil {
		return absent, nil
	}
	if v.kind != 't' {
		return false, expected("true or false").at(o.d.src, v.at)
	}
	return v.flag, nil
}

// length takes a member that is a length of time; an absent one is zero when it may be.
func (o *object) length(key string, optional bool) (Duration, error) {
	if optional && !slices.ContainsFunc(o.v.members, func(m jsonMember) bool { return m.key == key }) {
		o.asked = append(o.asked, key)
		return Duration{}, nil
	}
	text, at, err := o.text(key)
	if err != nil {
		return Duration{}, err
	}
	d, c := parseISO(text)
	if c != nil {
		return d, c.at(o.d.src, at)
	}
	return d, nil
}

func (o *object) close() error {
	for i, m := range o.v.members {
		if !o.taken[i] {
			return wrong("this key does not belong here").didYouMean(m.key, o.asked).at(o.d.src, m.at)
		}
	}
	return nil
}

// kindKeys tell the kinds of nodes from each other; a node has one of them.
var kindKeys = []string{
	"all", "any", "not", "field", "has", "lab", "count", "last", "event", "sequence", "consent", "segment", "everyone",
}

func (d *decoder) rule(v jsonValue, depth int) (Rule, error) {
	o, err := d.open(v, "a rule, an object")
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, tooDeep().at(d.src, v.at)
	}
	for _, key := range kindKeys {
		if slices.ContainsFunc(v.members, func(m jsonMember) bool { return m.key == key }) {
			return d.node(key, o, depth)
		}
	}
	c := expected("a rule with one of the keys " + either(kindKeys))
	if len(v.members) > 0 {
		return nil, c.didYouMean(v.members[0].key, kindKeys).at(d.src, v.members[0].at)
	}
	return nil, c.at(d.src, v.at)
}

func (d *decoder) node(key string, o *object, depth int) (Rule, error) {
	switch key {
	case "all", "any":
		return d.list(o, depth)
	case "not":
		return d.not(o, depth)
	}
	if d.leaves++; d.leaves > maxLeaves {
		return nil, tooMany().at(d.src, o.v.at)
	}
	switch key {
	case "field":
		return d.field(o)
	case "has":
		return d.has(o)
	case "lab":
		return d.lab(o)
	case "count":
		return d.count(o)
	case "last":
		return d.last(o)
	case "event":
		return d.never(o)
	case "sequence":
		return d.sequence(o)
	case "consent":
		return d.consent(o)
	case "segment":
		return d.segment(o)
	}
	return d.everyone(o)
}

func (d *decoder) list(o *object, depth int) (Rule, error) {
	v, isAny := o.get("all"), false
	if v == nil {
		v, isAny = o.get("any"), true
	}
	if err := o.close(); err != nil {
		return nil, err
	}
	if v.kind != '[' || len(v.items) == 0 {
		return nil, expected("a list of one rule or more").at(d.src, v.at)
	}
	rules := make([]Rule, 0, len(v.items))
	for _, item := range v.items {
		r, err := d.rule(item, depth+1)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return join(rules, isAny), nil
}

func (d *decoder) not(o *object, depth int) (Rule, error) {
	v := o.get("not")
	if err := o.close(); err != nil {
		return nil, err
	}
	r, err := d.rule(*v, depth+1)
	return Not{r}, err
}
