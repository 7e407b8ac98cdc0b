package audience

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// What of the record decided a leaf, in words for staff who may see the record; and, for a leaf that is unknown, what is missing.

func (everyoneLeaf) because(*people.Projection) string { return "" }
func (everyoneLeaf) lacks() string                     { return "" }

func (l textLeaf) because(p *people.Projection) string {
	if v := l.field.text(p); v != "" {
		return l.field.name + " is " + v
	}
	return l.lacks()
}

func (l textLeaf) lacks() string { return "no " + l.field.name + " on record" }

func (l flagLeaf) because(p *people.Projection) string {
	return l.field.name + " is " + strconv.FormatBool(l.field.flag(p))
}

func (flagLeaf) lacks() string { return "" }

func (l birthLeaf) because(p *people.Projection) string {
	lo, hi, known := birthDays(p.Birth)
	if !known || lo > l.today {
		return l.lacks()
	}
	text := "born " + date(lo)
	if lo != hi {
		text = "born from " + date(lo) + " to " + date(hi)
	}
	if l.age {
		younger, older := ageOn(hi, l.today), ageOn(lo, l.today)
		text += ", " + strconv.Itoa(older)
		if younger != older {
			text += " or " + strconv.Itoa(younger)
		}
		text += " years old on " + date(l.today)
	}
	return text
}

func (birthLeaf) lacks() string { return "no birth date on record" }

// ageOn counts the whole years between two days.
func ageOn(birth, today int64) int {
	by, bm, bd := time.Unix(birth*86400, 0).UTC().Date()
	y, m, d := time.Unix(today*86400, 0).UTC().Date()
	age := y - by
	if m < bm || m == bm && d < bd {
		age--
	}
	return max(age, 0)
}

func (l visitLeaf) because(p *people.Projection) string {
	at := latestVisit(p)
	if at == 0 {
		return "no visit on record" + l.claim.note(p)
	}
	return "last visit on " + time.Unix(at, 0).In(l.zone).Format(time.DateOnly) + l.claim.note(p)
}

func (l visitLeaf) lacks() string { return "no visit on record, or " + l.claim.lacks() }

func (l hasLeaf) because(p *people.Projection) string {
	var found []string
	for _, c := range factsOf(p, l.what) {
		if !l.codes.has(codeKey(c.System, c.Code)) {
			continue
		}
		text := codeText(c.System, c.Code)
		if whats[l.what] && !c.Active {
			text += " not active"
		}
		if c.Start != 0 {
			text += " since " + date(int64(c.Start))
		}
		if found = append(found, text); len(found) == 5 {
			break
		}
	}
	if len(found) == 0 {
		return "no such " + l.what + " on record"
	}
	return strings.Join(found, ", ")
}

func (hasLeaf) lacks() string { return "" }

// codeText writes a stored code as rules write it.
func codeText(system, code string) string {
	switch system {
	case "icd10cm":
		return Term{System: "icd10", Code: code}.String()
	case "icd9cm":
		return Term{System: "icd9", Code: strings.ReplaceAll(code, ".", "")}.String()
	}
	return system + ":" + code
}

func (l labLeaf) because(p *people.Projection) string {
	var best *people.ProjectedLab
	for i := range p.Labs {
		lab := &p.Labs[i]
		if l.codes.has(codeKey(lab.System, lab.Code)) && clamp(lab.At) <= l.now && (best == nil || lab.At > best.At) {
			best = lab
		}
	}
	if best == nil {
		return "no such result on record" + l.claim.note(p)
	}
	text := fmt.Sprintf("latest result %s%s %s on %s", best.Comparator, strconv.FormatFloat(best.Value, 'f', -1, 64), best.Unit, moment(best.At))
	if l.unit != "" && unitKey(best.Unit) != l.unit {
		text += ", in another unit than the rule's"
	}
	if clamp(best.At) <= l.after {
		text += ", before the time asked about"
	}
	return text
}

func (labLeaf) lacks() string {
	return "no such result in the time asked about, or one that cannot be compared"
}

func (l countLeaf) because(p *people.Projection) string {
	n, last := 0, int64(0)
	eachTime(p, l.event, l.automated, func(t int64) {
		if t > l.after && t <= l.now {
			n++
			last = max(last, t)
		}
	})
	text := strconv.Itoa(n) + " in the time asked about"
	if n > 0 {
		text += ", the last on " + moment(last)
	}
	return text + l.claim.note(p)
}

func (l countLeaf) lacks() string { return l.claim.lacks() }

func (l lastLeaf) because(p *people.Projection) string {
	return lastText(p, l.event, l.automated, l.now) + l.claim.note(p)
}

func lastText(p *people.Projection, event string, automated bool, now int64) string {
	last := int64(0)
	eachTime(p, event, automated, func(t int64) {
		if t <= now {
			last = max(last, t)
		}
	})
	if last == 0 {
		return "none on record"
	}
	return "the last on " + moment(last)
}

func (l lastLeaf) lacks() string { return l.claim.lacks() }

func (l neverLeaf) because(p *people.Projection) string {
	return lastText(p, l.event, l.automated, l.now) + l.claim.note(p)
}

func (l neverLeaf) lacks() string { return l.claim.lacks() }

func (l sequenceLeaf) because(p *people.Projection) string {
	var open, followed []string
	eachTime(p, l.first, l.automated, func(at int64) {
		if at <= l.after || at > l.now {
			return
		}
		then := int64(0)
		eachTime(p, l.then, l.automated, func(t int64) {
			if t > at && t <= min(at+l.gap, l.now) && (then == 0 || t < then) {
				then = t
			}
		})
		if then == 0 {
			open = append(open, moment(at))
		} else {
			followed = append(followed, moment(at)+" by "+moment(then))
		}
	})
	var text []string
	if len(open) > 0 {
		text = append(text, "not followed: "+strings.Join(open, ", "))
	}
	if len(followed) > 0 {
		text = append(text, "followed: "+strings.Join(followed, ", "))
	}
	if len(text) == 0 {
		text = append(text, "none in the time asked about"+l.firstClaim.note(p))
	}
	return strings.Join(text, "; ") + l.thenClaim.note(p)
}

func (l sequenceLeaf) lacks() string {
	return l.firstClaim.lacks() + ", or " + l.thenClaim.lacks()
}

func (l consentLeaf) because(p *people.Projection) string {
	for i := range p.Consents {
		if c := &p.Consents[i]; c.Name == l.name {
			text := "consent is " + l.stands(c.State, int64(c.Until))
			if c.Until != 0 {
				text += ", until " + date(int64(c.Until))
			}
			return text
		}
	}
	return "no such consent on record"
}

func (consentLeaf) lacks() string { return "" }

func (l appointmentLeaf) because(p *people.Projection) string {
	next := int64(0)
	for _, a := range p.Appointments {
		if t := clamp(a.Start); t > l.now && (next == 0 || t < next) {
			next = t
		}
	}
	if next == 0 {
		return "no appointment ahead on record" + l.claim.note(p)
	}
	return "the next appointment is on " + moment(next)
}

func (l appointmentLeaf) lacks() string { return l.claim.lacks() }

// note says, for absence that is not known of the person, why.
func (c claim) note(p *people.Projection) string {
	if c.of(p) {
		return ""
	}
	if silent := c.stale(p); len(silent) > 0 {
		return "; the feed " + strings.Join(silent, ", ") + " is silent, so there may be more"
	}
	return "; no feed of this person delivers " + c.name + " completely, so there may be more"
}

func (c claim) lacks() string {
	return "no complete and fresh feed for " + strings.ReplaceAll(c.name, " ", " or ")
}

func date(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }

func moment(t int64) string { return time.Unix(clamp(t), 0).UTC().Format("2006-01-02 15:04Z") }
