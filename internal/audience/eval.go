package audience

import (
	"math"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// Person answers for one person. This file is the specification of the rule language.
func (q *Question) Person(p *people.Projection) Truth {
	if !inAudiences(p) {
		return False
	}
	return q.root.person(p)
}

// inAudiences: patients and prospects; a correspondent of the gateway is in no audience.
func inAudiences(p *people.Projection) bool {
	return p.Kind == people.KindPatient || p.Kind == people.KindProspect
}

func (n *node) person(p *people.Projection) Truth {
	switch n.join {
	case joinAll:
		t := True
		for _, k := range n.kids {
			if t = min(t, k.person(p)); t == False {
				return False
			}
		}
		return t
	case joinAny:
		t := False
		for _, k := range n.kids {
			if t = max(t, k.person(p)); t == True {
				return True
			}
		}
		return t
	case joinNot:
		return n.kids[0].person(p).Not()
	case joinSame:
		return n.kids[0].person(p)
	case joinLeaf:
	}
	return n.leaf.person(p)
}

func (everyoneLeaf) person(*people.Projection) Truth { return True }

func (l textLeaf) person(p *people.Projection) Truth { return l.value(l.field.text(p)) }

// value answers for one value of the record.
func (l textLeaf) value(record string) Truth {
	if l.op == OpExists {
		return truth(record != "")
	}
	if record == "" {
		return Unknown
	}
	t := False
	for _, k := range l.field.answers(record) {
		if l.wanted[k] {
			t = True
		}
	}
	if l.op == OpNe {
		return t.Not()
	}
	return t
}

func (l flagLeaf) person(p *people.Projection) Truth {
	return truth(l.any || l.field.flag(p) == l.want)
}

func (l birthLeaf) person(p *people.Projection) Truth {
	lo, hi, known := birthDays(p.Birth)
	return l.between(lo, hi, known)
}

// between answers for a birth somewhere from lo to hi; a birth after today is an error of the source, so not known.
func (l birthLeaf) between(lo, hi int64, known bool) Truth {
	known = known && lo <= l.today
	switch {
	case l.exists:
		return truth(known)
	case !known:
		return Unknown
	}
	return l.days.of(lo, min(hi, l.today))
}

// birthDays gives the first and the last day that a date of any precision may mean.
func birthDays(d people.Date) (lo, hi int64, known bool) {
	y := int(d.Year)
	switch {
	case y == 0:
		return 0, 0, false
	case d.Month == 0:
		return day(y, 1, 1), day(y, 12, 31), true
	case d.Day == 0:
		return day(y, time.Month(d.Month), 1), day(y, time.Month(d.Month)+1, 0), true
	}
	lo = day(y, time.Month(d.Month), int(d.Day))
	return lo, lo, true
}

func (l visitLeaf) person(p *people.Projection) Truth {
	return l.latest(latestVisit(p), l.claim.of(p))
}

// latest answers for the last visit that is known of; without a complete feed there may have been one since, up to today.
func (l visitLeaf) latest(at int64, complete bool) Truth {
	switch {
	case at > 0 && l.exists:
		return True
	case l.exists:
		return absent(complete)
	case at == 0 || at > l.end:
		return Unknown
	case complete:
		return l.seconds.of(at, at)
	}
	return l.seconds.of(at, l.end)
}

func latestVisit(p *people.Projection) (at int64) {
	for _, kind := range visitEvents {
		eachTime(p, kind, false, func(t int64) { at = max(at, t) })
	}
	return at
}

func (l hasLeaf) person(p *people.Projection) Truth {
	for _, c := range factsOf(p, l.what) {
		if (c.Active || l.anyStatus || !whats[l.what]) && l.codes.has(codeKey(c.System, c.Code)) {
			return True
		}
	}
	return False
}

func factsOf(p *people.Projection, what string) []people.ProjectedCode {
	switch what {
	case "condition":
		return p.Conditions
	case "medication":
		return p.Medications
	case "procedure":
		return p.Procedures
	case "immunization":
		return p.Immunizations
	}
	return p.Allergies
}

func (l labLeaf) person(p *people.Projection) Truth {
	at := int64(farPast)
	t := Unknown
	var best string
	for i := range p.Labs {
		lab := &p.Labs[i]
		key := codeKey(lab.System, lab.Code)
		moment := clamp(lab.At)
		// Of two results of one second the code that sorts first counts, then the one that stands first.
		if moment > l.now || moment < at || moment == at && key >= best || !l.codes.has(key) {
			continue
		}
		at, best, t = moment, key, l.result(lab.Value, lab.Comparator, lab.Unit)
	}
	found := at > l.after && at != farPast
	switch {
	case l.op == OpExists && found:
		return True
	case l.op == OpExists:
		return absent(l.claim.of(p))
	case !found:
		return Unknown
	}
	return t
}

// result compares one result. ">14" is somewhere above 14; a result in another unit than the rule's says nothing.
func (l labLeaf) result(v float64, comparator, unit string) Truth {
	if l.unit != "" && unitKey(unit) != l.unit || math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown
	}
	below, equal, above := v < l.value, v == l.value, v > l.value
	switch comparator {
	case "":
	case "<":
		below, equal, above = true, v > l.value, v > l.value
	case "<=":
		below, equal, above = true, v >= l.value, v > l.value
	case ">":
		below, equal, above = v < l.value, v < l.value, true
	case ">=":
		below, equal, above = v < l.value, v <= l.value, true
	default:
		return Unknown
	}
	some, all := false, true
	for i, possible := range [...]bool{below, equal, above} {
		if possible {
			some = some || l.op.compares(i-1)
			all = all && l.op.compares(i-1)
		}
	}
	switch {
	case all:
		return True
	case !some:
		return False
	}
	return Unknown
}

// eachTime gives the event times of a kind that a projection holds: the single ones, and the first and the last ever.
func eachTime(p *people.Projection, kind string, automated bool, fn func(t int64)) {
	for i := range p.Events {
		if p.Events[i].Kind == kind {
			eachMoment(&p.Events[i], automated, fn)
		}
	}
}

func eachMoment(e *people.ProjectedEvents, automated bool, fn func(t int64)) {
	first, last := e.First != 0, e.Last != 0 && e.Last != e.First
	for _, t := range e.Times {
		first, last = first && t != e.First, last && t != e.Last
		fn(clamp(t))
	}
	if first {
		fn(clamp(e.First))
	}
	if last {
		fn(clamp(e.Last))
	}
	if automated {
		for _, t := range e.Machine {
			fn(clamp(t))
		}
	}
}

// clamp keeps times to what an unsigned second since 1970 holds, without the zero, which is no time.
func clamp(t int64) int64 { return min(max(t, 1), math.MaxUint32) }

func (l countLeaf) person(p *people.Projection) Truth {
	n := 0
	eachTime(p, l.event, l.automated, func(t int64) {
		if t > l.after && t <= l.now {
			n++
		}
	})
	hi := int64(farFuture) // without a complete feed there may be more than are known
	if l.claim.of(p) {
		hi = int64(n)
	}
	return ordered(l.op, int64(l.n), int64(l.n)).of(int64(n), hi)
}

func (l lastLeaf) person(p *people.Projection) Truth {
	at := int64(0)
	eachTime(p, l.event, l.automated, func(t int64) {
		if t <= l.now {
			at = max(at, t)
		}
	})
	complete := l.claim.of(p)
	switch {
	case at == 0:
		return absent(complete)
	case complete:
		return l.seconds.of(at, at)
	}
	return l.seconds.of(at, l.now)
}

func (l neverLeaf) person(p *people.Projection) Truth {
	t := absent(l.claim.of(p)).Not()
	eachTime(p, l.event, l.automated, func(at int64) {
		if at <= l.now {
			t = False
		}
	})
	return t
}

func (l sequenceLeaf) person(p *people.Projection) Truth {
	open, followed := false, false
	eachTime(p, l.first, l.automated, func(at int64) {
		if at <= l.after || at > l.now {
			return
		}
		then := false
		eachTime(p, l.then, l.automated, func(t int64) { then = then || t > at && t <= min(at+l.gap, l.now) })
		open, followed = open || !then, followed || then
	})
	first, then := l.firstClaim.of(p), l.thenClaim.of(p)
	switch {
	case l.missing && open && then, !l.missing && followed:
		return True
	case l.missing && open, !first, !l.missing && open && !then:
		return Unknown
	}
	return False
}

func (l consentLeaf) person(p *people.Projection) Truth {
	t := truth(l.state == "none")
	for i := range p.Consents {
		if c := &p.Consents[i]; c.Name == l.name {
			if l.state == "none" {
				return False
			}
			t = max(t, truth(l.stands(c.State, int64(c.Until)) == l.state))
		}
	}
	return t
}

// stands gives the state today: a consent that was given and has run out is expired.
func (l consentLeaf) stands(state string, until int64) string {
	if state == "given" && until != 0 && until < l.today {
		return "expired"
	}
	return state
}

func (l appointmentLeaf) person(p *people.Projection) Truth {
	for _, a := range p.Appointments {
		if t := clamp(a.Start); t > l.now && t <= l.until {
			return True
		}
	}
	return absent(l.claim.of(p))
}

// optOuts are the consents whose refusal is an opt-out: by every channel, from email, or from all commercial mail.
var optOuts = []string{"channel:", "channel:email", "commercial"}

// optedOut: no email or no commercial mail at all, by the person's own word. The gate knows more, and is asked for each message.
func optedOut(p *people.Projection) bool {
	for i := range p.Consents {
		c := &p.Consents[i]
		if (c.State == "refused" || c.State == "revoked") && slices.Contains(optOuts, c.Name) {
			return true
		}
	}
	return false
}
