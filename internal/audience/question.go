package audience

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// Asked is what a rule needs besides people: the moment, the organisation's zone, its feeds, segments and value sets.
type Asked struct {
	Now      time.Time
	Zone     *time.Location
	Feeds    Feeds
	Segments map[string]Rule
	Sets     map[string]ValueSet
}

// Question is a rule made ready to be asked at one moment: segments and value sets put in, lengths of time turned into days and
// seconds. It is a value to be read by any number of goroutines.
type Question struct {
	asked Asked
	today int64 // days since 1970-01-01 in the zone
	now   int64 // seconds since 1970
	root  *node
	count int // leaves
}

// node is one node of a resolved tree: a leaf, or rules and how they join.
type node struct {
	rule    Rule // as written; a Segment where one was put in
	join    joining
	kids    []*node
	leaf    leaf
	ordinal int // of a leaf, in the order of the text
}

type joining uint8

const (
	joinLeaf joining = iota
	joinAll
	joinAny
	joinNot
	joinSame // a segment: its one kid
)

// Prepare makes a rule ready. It refuses segments and value sets that do not exist, and segments that lead back to themselves.
func Prepare(r Rule, asked Asked) (*Question, error) {
	if asked.Zone == nil {
		asked.Zone = time.UTC
	}
	q := &Question{asked: asked, now: asked.Now.Unix()}
	q.today = dayOf(asked.Now.In(asked.Zone))
	root, err := q.build(r, nil)
	q.root = root
	return q, err
}

// dayOf is the civil day of a time, in days since 1970-01-01.
func dayOf(t time.Time) int64 {
	y, m, d := t.Date()
	return day(y, m, d)
}

func day(y int, m time.Month, d int) int64 {
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

func (q *Question) build(r Rule, within []string) (*node, error) {
	n := &node{rule: r}
	kids := Children(r)
	switch r := r.(type) {
	case All:
		n.join = joinAll
	case Any:
		n.join = joinAny
	case Not:
		n.join = joinNot
	case Segment:
		n.join = joinSame
		inner, err := q.segment(r.Name, within)
		if err != nil {
			return nil, err
		}
		kids, within = []Rule{inner}, append(slices.Clone(within), r.Name)
	default:
		n.ordinal = q.count
		if q.count++; q.count > maxResolved {
			return nil, fault.New(fault.TooLarge, "the rule and the segments in it have more than %d conditions", maxResolved)
		}
		leaf, err := q.leaf(r)
		n.leaf = leaf
		return n, err
	}
	for _, k := range kids {
		kid, err := q.build(k, within)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

const maxSegmentDepth = 16

func (q *Question) segment(name string, within []string) (Rule, error) {
	if slices.Contains(within, name) {
		return nil, fault.New(fault.Invalid, "segments lead back to themselves: %s", strings.Join(append(slices.Clone(within), name), " > ")).
			Hint("take one of them out of the circle")
	}
	if len(within) >= maxSegmentDepth {
		return nil, fault.New(fault.TooLarge, "segments stand inside each other more than %d deep", maxSegmentDepth)
	}
	r, ok := q.asked.Segments[name]
	if !ok {
		f := fault.New(fault.NotFound, "a segment in the rule does not exist").At("segment %q", name)
		if near := nearest(name, slices.Sorted(maps.Keys(q.asked.Segments))); near != "" {
			f = f.Hint("did you mean %s?", near)
		}
		return nil, f
	}
	return r, nil
}

func (q *Question) set(name string) (ValueSet, error) {
	s, ok := q.asked.Sets[name]
	if !ok {
		f := fault.New(fault.NotFound, "a value set in the rule does not exist").At("%s%s", setPrefix, name)
		if near := nearest(name, slices.Sorted(maps.Keys(q.asked.Sets))); near != "" {
			f = f.Hint("did you mean %s%s?", setPrefix, near)
		}
		return s, f
	}
	return s, nil
}

// shiftDay moves a civil day back: days and weeks by count, months and years by the calendar.
func shiftDay(from int64, d Duration) int64 {
	switch d.Unit {
	case Days:
		return from - int64(d.N)
	case Weeks:
		return from - 7*int64(d.N)
	case Hours, Months, Years:
	}
	return dayOf(shift(time.Unix(from*86400, 0).UTC(), -d.calendarMonths()))
}
