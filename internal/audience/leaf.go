package audience

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// leaf is one condition made ready. person (eval.go) is the specification; everyone (plan.go) must say the same of each person;
// because (why.go) names the data that decided.
type leaf interface {
	person(p *people.Projection) Truth
	everyone(e *execution, mask bitset) pair
	cost(b *base) int
	because(p *people.Projection) string
	lacks() string // what an unknown lacks
}

type (
	everyoneLeaf struct{}

	// textLeaf asks a field that holds a word. wanted is in lower case.
	textLeaf struct {
		field  *field
		op     Op
		wanted map[string]bool
	}
	flagLeaf struct {
		field *field
		want  bool
		any   bool // exists: every record has the flag
	}
	// birthLeaf asks the birth date; ages have become ranges of days.
	birthLeaf struct {
		days   spans
		exists bool
		today  int64
		age    bool // asked as an age
	}
	// visitLeaf asks the last visit; days have become seconds.
	visitLeaf struct {
		seconds spans
		exists  bool
		end     int64 // the last second of today
		claim   claim
		zone    *time.Location
	}
	hasLeaf struct {
		what      string
		codes     codeSet
		anyStatus bool
	}
	labLeaf struct {
		codes      codeSet
		op         Op
		value      float64
		unit       string
		after, now int64 // the latest result lies in (after, now]
		claim      claim
	}
	countLeaf struct {
		event      string
		automated  bool
		op         Op
		n          int
		after, now int64
		claim      claim
	}
	lastLeaf struct {
		event     string
		automated bool
		seconds   spans
		now       int64
		claim     claim
	}
	neverLeaf struct {
		event     string
		automated bool
		now       int64
		claim     claim
	}
	sequenceLeaf struct {
		first, then           string
		missing, automated    bool
		gap, after, now       int64
		firstClaim, thenClaim claim
	}
	consentLeaf struct {
		name, state string
		today       int64
	}
	appointmentLeaf struct {
		now, until int64
		claim      claim
	}
)

// visitEvents are the events that are visits.
var visitEvents = []string{"visit.finished", "appointment.kept"}

// leaf makes one condition ready.
func (q *Question) leaf(r Rule) (leaf, error) {
	feeds := q.asked.Feeds
	now := q.asked.Now.In(q.asked.Zone)
	switch r := r.(type) {
	case Field:
		return q.fieldLeaf(r)
	case Has:
		codes, err := q.codes(r.Terms)
		return hasLeaf{r.What, codes, r.AnyStatus}, err
	case Lab:
		codes, err := q.codes(r.Terms)
		l := labLeaf{codes: codes, op: r.Op, value: number(r.Value), unit: unitKey(r.Unit), after: farPast, now: q.now, claim: feeds.claim(now, "lab.new")}
		if !r.Within.IsZero() {
			l.after = r.Within.before(now).Unix()
		}
		return l, err
	case Count:
		return countLeaf{r.Event, r.Automated, r.Op, r.N, r.Within.before(now).Unix(), q.now, feeds.claim(now, r.Event)}, nil
	case Last:
		cut := r.Within.before(now).Unix()
		l := lastLeaf{event: r.Event, automated: r.Automated, now: q.now, claim: feeds.claim(now, r.Event), seconds: spans{{farPast, cut}}}
		if r.Op == OpWithin {
			l.seconds = spans{{cut + 1, q.now}}
		}
		return l, nil
	case Never:
		return neverLeaf{r.Event, r.Automated, q.now, feeds.claim(now, r.Event)}, nil
	case Sequence:
		gap, _ := r.Gap.fixed()
		return sequenceLeaf{
			r.First, r.Then, r.Missing, r.Automated, gap, r.Within.before(now).Unix(), q.now,
			feeds.claim(now, r.First), feeds.claim(now, r.Then),
		}, nil
	case Consent:
		return consentLeaf{r.Name, r.State, q.today}, nil
	case Appointment:
		l := appointmentLeaf{now: q.now, until: farFuture, claim: feeds.claim(now, "appointment.booked")}
		if !r.Within.IsZero() {
			l.until = r.Within.after(now).Unix()
		}
		return l, nil
	}
	return everyoneLeaf{}, nil
}

func (q *Question) fieldLeaf(r Field) (leaf, error) {
	f := findField(r.Name)
	if f == nil {
		return nil, noField(r.Name).at("", 0)
	}
	switch {
	case f.kind == fieldText:
		l := textLeaf{field: f, op: r.Op, wanted: map[string]bool{}}
		for _, v := range r.Values {
			if name, ok := strings.CutPrefix(v, setPrefix); ok {
				set, err := q.set(name)
				if err != nil {
					return nil, err
				}
				for _, v := range set.values(f) {
					l.wanted[strings.ToLower(v)] = true
				}
				continue
			}
			l.wanted[strings.ToLower(v)] = true
		}
		return l, nil
	case f.kind == fieldFlag:
		return flagLeaf{f, r.Op == OpExists || (r.Values[0] == "true") == (r.Op == OpEq), r.Op == OpExists}, nil
	case f.kind == fieldNumber:
		return birthLeaf{days: q.ageSpans(r), exists: r.Op == OpExists, today: q.today, age: true}, nil
	case r.Name == "birth_date":
		return birthLeaf{days: q.daySpans(r), exists: r.Op == OpExists, today: q.today}, nil
	}
	l := visitLeaf{exists: r.Op == OpExists, end: q.midnight(q.today+1) - 1, claim: q.asked.Feeds.claim(q.asked.Now, visitEvents...), zone: q.asked.Zone}
	for _, s := range q.daySpans(r) {
		l.seconds = append(l.seconds, [2]int64{q.midnight(s[0]), q.midnight(s[1]+1) - 1})
	}
	return l, nil
}

// midnight is the first second of a civil day in the zone.
func (q *Question) midnight(day int64) int64 {
	if day <= farPast || day >= farFuture {
		return day
	}
	y, m, d := time.Unix(day*86400, 0).UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, q.asked.Zone).Unix()
}

// daySpans turns a comparison with a date into ranges of days.
func (q *Question) daySpans(r Field) spans {
	if r.Op == OpExists {
		return nil
	}
	if !r.Within.IsZero() {
		cut := shiftDay(q.today, r.Within)
		if r.Op == OpOlderThan {
			return spans{{farPast, cut}}
		}
		return spans{{cut + 1, q.today}}
	}
	at, err := time.Parse(time.DateOnly, r.Values[0])
	if err != nil {
		return nil
	}
	d := dayOf(at)
	return ordered(r.Op, d, d)
}

// ordered gives the values that stand to the range from lo to hi as the operator says.
func ordered(op Op, lo, hi int64) spans {
	switch op {
	case OpNe:
		return spans{{lo, hi}}.complement()
	case OpLt:
		return spans{{farPast, lo - 1}}
	case OpLte:
		return spans{{farPast, hi}}
	case OpGt:
		return spans{{hi + 1, farFuture}}
	case OpGte:
		return spans{{lo, farFuture}}
	case OpEq, OpIn, OpExists, OpOlderThan, OpWithin:
	}
	return spans{{lo, hi}}
}

// ageSpans turns ages into ranges of birth days: of age n is who was born after today n+1 years ago, up to today n years ago.
func (q *Question) ageSpans(r Field) spans {
	opposite := map[Op]Op{OpLt: OpGt, OpLte: OpGte, OpGt: OpLt, OpGte: OpLte}
	var all spans
	for _, v := range r.Values {
		n, err := strconv.Atoi(v)
		if err != nil {
			continue
		}
		lo := shiftDay(q.today, Duration{n + 1, Years}) + 1
		hi := shiftDay(q.today, Duration{n, Years})
		op := r.Op
		if o, ok := opposite[op]; ok { // the older, the earlier the birth
			op = o
		}
		all = append(all, ordered(op, lo, hi)...)
	}
	return merged(all)
}

func merged(all spans) spans {
	slices.SortFunc(all, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	var out spans
	for _, s := range all {
		if n := len(out); n > 0 && s[0] <= out[n-1][1]+1 {
			out[n-1][1] = max(out[n-1][1], s[1])
			continue
		}
		out = append(out, s)
	}
	return out
}

// codeSet is a list of terms made ready for look-ups by keys (system:code).
type codeSet struct {
	exact    map[string]bool
	prefixes map[string]bool
}

func (q *Question) codes(terms []Term) (codeSet, error) {
	set := codeSet{exact: map[string]bool{}, prefixes: map[string]bool{}}
	for _, t := range terms {
		if t.ValueSet == "" {
			set.add(t)
			continue
		}
		members, err := q.set(t.ValueSet)
		if err != nil {
			return set, err
		}
		for _, m := range members.terms() {
			set.add(m)
		}
	}
	return set, nil
}

func (s codeSet) add(t Term) {
	system := stored(t.System)
	if t.Descendants { // ICD: the code below begins with the code above
		s.prefixes[codeKey(system, t.Code)] = true
		return
	}
	s.exact[codeKey(system, t.Code)] = true
	if system == "rxnorm" {
		for _, p := range products[t.Code] {
			s.exact[codeKey(system, p)] = true
		}
	}
}

func (s codeSet) has(key string) bool {
	if s.exact[key] {
		return true
	}
	if len(s.prefixes) == 0 {
		return false
	}
	for i := strings.IndexByte(key, ':') + 2; i <= len(key); i++ {
		if s.prefixes[key[:i]] {
			return true
		}
	}
	return false
}

// codeKey is a code as dictionaries and look-ups know it.
func codeKey(system, code string) string { return system + ":" + normalCode(system, code) }

// normalCode takes the dot out of ICD-9 codes; those of ICD-10 come without.
func normalCode(system, code string) string {
	if system == "icd9cm" {
		return strings.ReplaceAll(code, ".", "")
	}
	return code
}

// unitKey compares units: mg/dL and MG/DL are one, so are the two letters for micro.
func unitKey(unit string) string {
	return strings.NewReplacer("µ", "u", "μ", "u", " ", "").Replace(strings.ToLower(unit))
}
