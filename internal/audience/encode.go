package audience

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Encode gives the one JSON form of a rule: keys in a fixed order, nothing that is the default, no white space.
func Encode(r Rule) []byte {
	e := &encoder{}
	e.raw(`{"version":` + strconv.Itoa(Version) + `,"rule":`)
	e.rule(r)
	e.raw("}")
	return []byte(e.b.String())
}

type encoder struct{ b strings.Builder }

func (e *encoder) raw(s string) { e.b.WriteString(s) }

func (e *encoder) quoted(s string) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // never happens: a string always encodes
	}
	e.raw(strings.TrimSuffix(b.String(), "\n"))
}

// pair writes a key and a string after what stands before.
func (e *encoder) pair(before, key, value string) {
	e.raw(before + `"` + key + `":`)
	e.quoted(value)
}

func (e *encoder) automated(yes bool) {
	if yes {
		e.raw(`,"include_automated":true`)
	}
	e.raw("}")
}

func (e *encoder) rule(r Rule) {
	switch r := r.(type) {
	case All:
		e.list("all", r)
	case Any:
		e.list("any", r)
	case Not:
		e.raw(`{"not":`)
		e.rule(r.Rule)
		e.raw("}")
	case Everyone:
		e.raw(`{"everyone":true}`)
	case Field:
		e.field(r)
	case Has:
		e.pair("{", "has", r.What)
		e.terms("code", r.Terms)
		if r.AnyStatus {
			e.raw(`,"status":"any"`)
		}
		e.raw("}")
	case Lab:
		e.lab(r)
	case Count:
		e.pair("{", "count", r.Event)
		e.pair(",", "op", string(r.Op))
		e.raw(`,"value":` + strconv.Itoa(r.N))
		e.pair(",", "within", r.Within.ISO())
		e.automated(r.Automated)
	case Last:
		e.pair("{", "last", r.Event)
		e.pair(",", "op", string(r.Op))
		e.pair(",", "value", r.Within.ISO())
		e.automated(r.Automated)
	case Never:
		e.pair("{", "event", r.Event)
		e.raw(`,"never":true`)
		e.automated(r.Automated)
	case Sequence:
		e.sequence(r)
	case Consent:
		e.pair("{", "consent", r.Name)
		e.pair(",", "state", r.State)
		e.raw("}")
	case Appointment:
		e.raw(`{"has":"appointment","status":"booked"`)
		if r.Within.IsZero() {
			e.raw(`,"when":"future"}`)
			return
		}
		e.pair(",", "within", r.Within.ISO())
		e.raw("}")
	case Segment:
		e.pair("{", "segment", r.Name)
		e.raw("}")
	}
}

func (e *encoder) list(key string, rules []Rule) {
	e.raw(`{"` + key + `":[`)
	for i, r := range rules {
		if i > 0 {
			e.raw(",")
		}
		e.rule(r)
	}
	e.raw("]}")
}

func (e *encoder) field(r Field) {
	e.pair("{", "field", r.Name)
	e.pair(",", "op", string(r.Op))
	switch {
	case r.Op == OpExists:
	case !r.Within.IsZero():
		e.pair(",", "value", r.Within.ISO())
	case r.Op == OpIn && (len(r.Values) != 1 || !strings.HasPrefix(r.Values[0], setPrefix)):
		e.raw(`,"value":[`)
		for i, v := range r.Values {
			if i > 0 {
				e.raw(",")
			}
			e.value(r.Name, v)
		}
		e.raw("]")
	default:
		e.raw(`,"value":`)
		e.value(r.Name, r.Values[0])
	}
	e.raw("}")
}

func (e *encoder) value(name, v string) {
	if f := findField(name); f != nil && (f.kind == fieldNumber || f.kind == fieldFlag) {
		e.raw(v)
		return
	}
	e.quoted(v)
}

func (e *encoder) terms(one string, terms []Term) {
	if len(terms) == 1 {
		t := terms[0]
		if t.ValueSet != "" {
			e.pair(",", one, t.String())
			return
		}
		e.pair(",", one, t.bare())
		if t.Descendants {
			e.raw(`,"descendants":true`)
		}
		return
	}
	e.raw(`,"codes":[`)
	for i, t := range terms {
		if i > 0 {
			e.raw(",")
		}
		e.quoted(t.String())
	}
	e.raw("]")
}

func (e *encoder) lab(r Lab) {
	if len(r.Terms) == 1 {
		e.pair("{", "lab", r.Terms[0].String())
	} else {
		e.raw(`{"lab":[`)
		for i, t := range r.Terms {
			if i > 0 {
				e.raw(",")
			}
			e.quoted(t.String())
		}
		e.raw("]")
	}
	e.raw(`,"which":"latest"`)
	e.pair(",", "op", string(r.Op))
	if r.Op != OpExists {
		e.raw(`,"value":` + r.Value)
		if r.Unit != "" {
			e.pair(",", "unit", r.Unit)
		}
	}
	if !r.Within.IsZero() {
		e.pair(",", "within", r.Within.ISO())
	}
	e.raw("}")
}

func (e *encoder) sequence(r Sequence) {
	e.raw(`{"sequence":[`)
	e.quoted(r.First)
	key := "event"
	if r.Missing {
		key = "not"
	}
	e.pair(",{", key, r.Then)
	e.pair(",", "within", r.Gap.ISO())
	e.raw("}]")
	e.pair(",", "within", r.Within.ISO())
	e.automated(r.Automated)
}
