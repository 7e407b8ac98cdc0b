package audience

import (
	"fmt"
	"log/slog"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// Explanation is the rule as asked of one person: what each part said, and what of the record decided it. It tells about the
// person, so it prints itself only as JSON to a face that may show it.
type Explanation struct {
	Text    string        `json:"text"` // the part of the rule
	Result  string        `json:"result"`
	Because string        `json:"because,omitempty"` // of a leaf
	Parts   []Explanation `json:"parts,omitempty"`
}

// Format prints nothing of the person, whatever the verb.
func (Explanation) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[sealed]")) }

// LogValue prints nothing of the person.
func (Explanation) LogValue() slog.Value { return slog.StringValue("[sealed]") }

// Explain answers for one person with all its reasons.
func (q *Question) Explain(p *people.Projection) Explanation {
	if !inAudiences(p) {
		return Explanation{Text: Text(q.root.rule), Result: False.String(), Because: "neither a patient nor a prospect"}
	}
	return q.root.explain(p)
}

func (n *node) explain(p *people.Projection) Explanation {
	e := Explanation{Text: Text(n.rule), Result: n.person(p).String()}
	if n.leaf != nil {
		e.Because = n.leaf.because(p)
	}
	for _, k := range n.kids {
		e.Parts = append(e.Parts, k.explain(p))
	}
	return e
}

// LeftOut says who is not in an audience, grouped by the leaf that keeps them out: for each leaf those who would be in if it
// alone said otherwise. One person may stand in several groups, or in none when two leaves or more keep them out.
type LeftOut struct {
	People  int      `json:"people"`  // patients and prospects
	Matched int      `json:"matched"` // in the audience
	Unknown int      `json:"unknown"` // neither in nor out: something is not known
	Reasons []Reason `json:"reasons"`
}

// Reason is one leaf of the rule and whom it alone keeps out.
type Reason struct {
	Leaf    string      `json:"leaf"`
	Negated bool        `json:"negated,omitempty"` // the rule asks for the opposite
	Segment string      `json:"segment,omitempty"` // the segment that the leaf stands in
	Failed  int         `json:"failed"`            // known not to be so
	Unknown int         `json:"unknown"`           // not known
	Missing string      `json:"missing,omitempty"` // what is not known
	Some    []id.Person `json:"some,omitempty"`    // the first of them
}

// maxReasons is how many conditions LeftOut tells apart: each needs two bits a person, and a walk through the rule.
const maxReasons = 100

// someOf is how many people a Reason names.
const someOf = 20

// LeftOut says who is not in the audience, and why.
func (v *View) LeftOut(q *Question) LeftOut {
	e := execute(v.base, v.size)
	defer e.done()
	mask := v.everyone(e)
	says := make([]pair, q.count)
	q.root.leaves(false, "", func(n *node, _ bool, _ string) { says[n.ordinal] = v.leaf(e, n.leaf) })
	whole := e.fold(q.root, mask, says, -1, false)
	out := LeftOut{People: mask.count(), Matched: whole.yes.count(), Unknown: whole.open.count()}
	q.root.leaves(false, "", func(n *node, negated bool, segment string) {
		otherwise := e.fold(q.root, mask, says, n.ordinal, !negated)
		otherwise.yes.andNot(whole.yes)
		r := Reason{Leaf: Text(n.rule), Negated: negated, Segment: segment}
		unknown := e.copy(otherwise.yes)
		unknown.and(says[n.ordinal].open)
		r.Unknown = unknown.count()
		r.Failed = otherwise.yes.count() - r.Unknown
		if r.Unknown > 0 {
			r.Missing = n.leaf.lacks()
		}
		otherwise.yes.each(func(o uint32) {
			if len(r.Some) < someOf {
				r.Some = append(r.Some, v.person(o))
			}
		})
		if r.Failed+r.Unknown > 0 {
			out.Reasons = append(out.Reasons, r)
		}
		e.give(otherwise.yes, otherwise.open, unknown)
	})
	return out
}

// leaves visits the leaves in order, with whether the rule asks for the opposite, and the innermost segment.
func (n *node) leaves(negated bool, segment string, fn func(n *node, negated bool, segment string)) {
	if n.leaf != nil {
		fn(n, negated, segment)
		return
	}
	if n.join == joinNot {
		negated = !negated
	}
	if s, ok := n.rule.(Segment); ok {
		segment = s.Name
	}
	for _, k := range n.kids {
		k.leaves(negated, segment, fn)
	}
}

// leaf answers one leaf for everyone, those in the base and those beside it.
func (v *View) leaf(e *execution, l leaf) pair {
	p := l.everyone(e, v.settled(e))
	for _, y := range v.young {
		if y.projection != nil && inAudiences(y.projection) {
			p.put(y.ordinal, l.person(y.projection))
		}
	}
	return p
}

// fold joins what the leaves say; the leaf with the ordinal flip says yes or no of everyone instead.
func (e *execution) fold(n *node, mask bitset, says []pair, flip int, yes bool) pair {
	if n.leaf != nil {
		switch {
		case n.ordinal == flip && yes:
			return pair{e.copy(mask), e.take()}
		case n.ordinal == flip:
			return pair{e.take(), e.take()}
		}
		return pair{e.copy(says[n.ordinal].yes), e.copy(says[n.ordinal].open)}
	}
	out := e.fold(n.kids[0], mask, says, flip, yes)
	for _, k := range n.kids[1:] {
		p := e.fold(k, mask, says, flip, yes)
		for i := range mask {
			if n.join == joinAll {
				both := out.yes[i] & p.yes[i]
				out.open[i] = (out.yes[i] | out.open[i]) & (p.yes[i] | p.open[i]) &^ both
				out.yes[i] = both
				continue
			}
			out.yes[i] |= p.yes[i]
			out.open[i] = (out.open[i] | p.open[i]) &^ out.yes[i]
		}
		e.give(p.yes, p.open)
	}
	if n.join == joinNot {
		for i, m := range mask {
			out.yes[i] = m &^ (out.yes[i] | out.open[i])
		}
	}
	return out
}
