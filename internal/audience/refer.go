package audience

import (
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/people"
)

// References gives the names of the segments and value sets that a rule names, each once and in order.
func References(r Rule) (segments, sets []string) {
	walk(r, func(r Rule) {
		switch r := r.(type) {
		case Segment:
			segments = append(segments, r.Name)
		case Field:
			for _, v := range r.Values {
				if name, ok := strings.CutPrefix(v, setPrefix); ok {
					sets = append(sets, name)
				}
			}
		case Has:
			sets = append(sets, setsOf(r.Terms)...)
		case Lab:
			sets = append(sets, setsOf(r.Terms)...)
		}
	})
	slices.Sort(segments)
	slices.Sort(sets)
	return slices.Compact(segments), slices.Compact(sets)
}

func setsOf(terms []Term) (names []string) {
	for _, t := range terms {
		if t.ValueSet != "" {
			names = append(names, t.ValueSet)
		}
	}
	return names
}

// walk visits every node.
func walk(r Rule, fn func(Rule)) {
	fn(r)
	for _, c := range Children(r) {
		walk(c, fn)
	}
}

// notes says what in a rule nobody has: a slip of the pen is seen that way, where zero people alone would not show it.
func (v *View) notes(q *Question) []string {
	var list []string
	add := func(text string) {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	q.root.leaves(false, "", func(n *node, _ bool, _ string) {
		for _, kind := range kindsOf(n.rule) {
			if !v.hasKind(kind) {
				text := "nobody has the event " + kind
				if near := nearest(kind, append(v.kinds(), knownEvents...)); near != "" && near != kind {
					text += ": did you mean " + near + "?"
				}
				add(text)
			}
		}
		if l, ok := n.leaf.(hasLeaf); ok && !v.hasCode(l) {
			add("nobody has one of the codes of: " + Text(n.rule))
		}
	})
	return list
}

func kindsOf(r Rule) []string {
	switch r := r.(type) {
	case Count:
		return []string{r.Event}
	case Last:
		return []string{r.Event}
	case Never:
		return []string{r.Event}
	case Sequence:
		return []string{r.First, r.Then}
	}
	return nil
}

func (v *View) hasKind(kind string) bool {
	if v.base.events[kind] != nil || v.base.machine[kind] != nil {
		return true
	}
	return slices.ContainsFunc(v.young, func(y young) bool {
		return y.projection != nil && slices.ContainsFunc(y.projection.Events, func(e people.ProjectedEvents) bool { return e.Kind == kind })
	})
}

// kinds gives the kinds of events that anyone has.
func (v *View) kinds() []string {
	var list []string
	for k := range v.base.events {
		list = append(list, k)
	}
	for k := range v.base.machine {
		list = append(list, k)
	}
	for _, y := range v.young {
		if y.projection != nil {
			for i := range y.projection.Events {
				list = append(list, y.projection.Events[i].Kind)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (v *View) hasCode(l hasLeaf) bool {
	for _, d := range l.dictionaries(v.base) {
		if len(l.codes.places(d)) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(v.young, func(y young) bool {
		return y.projection != nil && slices.ContainsFunc(factsOf(y.projection, l.what), func(c people.ProjectedCode) bool {
			return l.codes.has(codeKey(c.System, c.Code))
		})
	})
}
