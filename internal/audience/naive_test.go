package audience_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/people"
)

// naive answers a rule for one person by a second reading of docs/rules.md: no preparation, no spans, no code of the package but
// the shapes of the tree. It is slow and says what it means.
type naive struct {
	asked audience.Asked
	p     *people.Projection
}

func (n naive) person(r audience.Rule) audience.Truth {
	if n.p.Kind != people.KindPatient && n.p.Kind != people.KindProspect {
		return audience.False
	}
	return n.rule(r)
}

const (
	no      = audience.False
	unknown = audience.Unknown
	yes     = audience.True
)

func says(b bool) audience.Truth {
	if b {
		return yes
	}
	return no
}

func (n naive) rule(r audience.Rule) audience.Truth {
	switch r := r.(type) {
	case audience.All:
		var all []audience.Truth
		for _, k := range r {
			all = append(all, n.rule(k))
		}
		return slices.Min(all)
	case audience.Any:
		var all []audience.Truth
		for _, k := range r {
			all = append(all, n.rule(k))
		}
		return slices.Max(all)
	case audience.Not:
		return map[audience.Truth]audience.Truth{yes: no, no: yes, unknown: unknown}[n.rule(r.Rule)]
	case audience.Segment:
		return n.rule(n.asked.Segments[r.Name])
	case audience.Field:
		return n.field(r)
	case audience.Has:
		return n.has(r)
	case audience.Lab:
		return n.lab(r)
	case audience.Count:
		return n.count(r)
	case audience.Last:
		return n.last(r)
	case audience.Never:
		for _, t := range n.events(r.Event, r.Automated) {
			if !t.After(n.asked.Now) {
				return no
			}
		}
		if n.complete(r.Event) {
			return yes
		}
		return unknown
	case audience.Sequence:
		return n.sequence(r)
	case audience.Consent:
		return n.consent(r)
	case audience.Appointment:
		for _, a := range n.p.Appointments {
			at := sec(a.Start)
			if at.After(n.asked.Now) && (r.Within.IsZero() || !at.After(n.move(n.asked.Now, r.Within, 1))) {
				return yes
			}
		}
		return n.absence("appointment.booked")
	}
	return yes
}

func sec(t int64) time.Time { return time.Unix(min(max(t, 1), 1<<32-1), 0) }

// move shifts a time: hours to weeks by seconds, months and years by the calendar of the zone, kept inside the month.
func (n naive) move(t time.Time, d audience.Duration, sign int) time.Time {
	switch d.Unit {
	case audience.Hours:
		return t.Add(time.Duration(sign*d.N) * time.Hour)
	case audience.Days:
		return t.Add(time.Duration(sign*d.N) * 24 * time.Hour)
	case audience.Weeks:
		return t.Add(time.Duration(sign*d.N) * 7 * 24 * time.Hour)
	}
	months := d.N
	if d.Unit == audience.Years {
		months *= 12
	}
	t = t.In(n.asked.Zone)
	to := t.AddDate(0, sign*months, 0)
	want := (int(t.Month())-1+sign*months)%12 + 1
	if want < 1 {
		want += 12
	}
	for int(to.Month()) != want { // overflowed into the next month
		to = to.AddDate(0, 0, -1)
	}
	return to
}

func (n naive) today() time.Time {
	y, m, d := n.asked.Now.In(n.asked.Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// back gives the civil day so long before today.
func (n naive) back(d audience.Duration) time.Time {
	return naive{asked: audience.Asked{Zone: time.UTC}}.move(n.today(), d, -1)
}

func (n naive) complete(kinds ...string) bool {
	for _, own := range []string{"email.", "sms.", "pickup.", "message."} {
		for _, k := range kinds {
			if strings.HasPrefix(k, own) {
				return true
			}
		}
	}
	claimed := false
	for _, f := range n.asked.Feeds.List {
		if !slices.Contains(n.p.Sources, f.Name) {
			continue
		}
		claims, fresh := false, false
		for pattern, last := range f.Complete {
			for _, k := range kinds {
				if pattern == k || strings.HasSuffix(pattern, "*") && strings.HasPrefix(k, strings.TrimSuffix(pattern, "*")) {
					claims, fresh = true, fresh || n.asked.Now.Sub(last) <= n.asked.Feeds.Fresh
				}
			}
		}
		if claims && !fresh {
			return false
		}
		claimed = claimed || claims
	}
	return claimed
}

func (n naive) absence(kinds ...string) audience.Truth {
	if n.complete(kinds...) {
		return no
	}
	return unknown
}

func (n naive) field(r audience.Field) audience.Truth {
	p := n.p
	flag := func(v bool) audience.Truth {
		if r.Op == audience.OpExists {
			return yes
		}
		return says((strconv.FormatBool(v) == r.Values[0]) == (r.Op == audience.OpEq))
	}
	switch r.Name {
	case "age":
		return n.age(r)
	case "birth_date":
		first, last, known := n.birth()
		if r.Op == audience.OpExists {
			return says(known)
		}
		if !known {
			return unknown
		}
		return n.everyDay(first, last, func(d time.Time) bool { return n.dayIs(r, d) })
	case "last_visit":
		return n.visit(r)
	case "deceased":
		return flag(p.Deceased)
	case "has_email":
		return flag(p.HasEmail)
	case "has_phone":
		return flag(p.HasPhone)
	case "in_hospital":
		return flag(p.InPatient)
	case "opt_out":
		out := false
		for _, c := range p.Consents {
			out = out || (c.State == "refused" || c.State == "revoked") && slices.Contains([]string{"channel:email", "channel:", "commercial"}, c.Name)
		}
		return flag(out)
	}
	return n.word(r)
}

func (n naive) word(r audience.Field) audience.Truth {
	p := n.p
	v := map[string]string{
		"sex": []string{"", "female", "male", "other"}[p.Sex], "kind": []string{"", "patient", "prospect"}[p.Kind],
		"language": p.Language, "zone": p.Zone, "state": p.State, "country": p.Country, "insurance": p.Insurance, "zip": p.Postal,
	}[r.Name]
	if strings.HasPrefix(r.Name, "custom.") {
		v = p.Custom[strings.TrimPrefix(r.Name, "custom.")]
	}
	if r.Name == "zip" && len(v) == 10 && v[5] == '-' {
		v = v[:5]
	}
	if r.Op == audience.OpExists {
		return says(v != "")
	}
	if v == "" {
		return unknown
	}
	var wanted []string
	for _, w := range r.Values {
		if set, ok := strings.CutPrefix(w, "@valueset:"); ok {
			wanted = append(wanted, n.asked.Sets[set].Members...)
			continue
		}
		wanted = append(wanted, w)
	}
	match := false
	for _, w := range wanted {
		switch {
		case strings.EqualFold(v, w):
			match = true
		case r.Name == "language" && len(v) > len(w) && strings.EqualFold(v[:len(w)+1], w+"-"):
			match = true
		case r.Name == "zip" && strings.HasSuffix(w, "*") && strings.HasPrefix(strings.ToLower(v), strings.ToLower(strings.TrimSuffix(w, "*"))):
			match = true
		}
	}
	return says(match == (r.Op != audience.OpNe))
}

// birth gives the first and last possible day of birth, none after today.
func (n naive) birth() (first, last time.Time, known bool) {
	b := n.p.Birth
	y, m, d := int(b.Year), time.Month(b.Month), int(b.Day)
	switch {
	case y == 0:
		return first, last, false
	case m == 0:
		first, last = time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(y, 12, 31, 0, 0, 0, 0, time.UTC)
	case d == 0:
		first, last = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC)
	default:
		first = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		last = first
	}
	if last.After(n.today()) {
		last = n.today()
	}
	return first, last, !first.After(n.today())
}

// everyDay asks every possible day: all say so, none, or it is not known.
func (n naive) everyDay(first, last time.Time, ask func(time.Time) bool) audience.Truth {
	some, all := false, true
	for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
		v := ask(d)
		some, all = some || v, all && v
	}
	switch {
	case all:
		return yes
	case some:
		return unknown
	}
	return no
}

func compares(op audience.Op, sign int) bool {
	return map[audience.Op]bool{
		audience.OpEq: sign == 0, audience.OpNe: sign != 0, audience.OpLt: sign < 0, audience.OpLte: sign <= 0,
		audience.OpGt: sign > 0, audience.OpGte: sign >= 0,
	}[op]
}

func (n naive) dayIs(r audience.Field, d time.Time) bool {
	switch r.Op {
	case audience.OpOlderThan:
		return !d.After(n.back(r.Within))
	case audience.OpWithin:
		return d.After(n.back(r.Within))
	}
	v, _ := time.Parse(time.DateOnly, r.Values[0])
	return compares(r.Op, d.Compare(v))
}

func (n naive) age(r audience.Field) audience.Truth {
	first, last, known := n.birth()
	if r.Op == audience.OpExists {
		return says(known)
	}
	if !known {
		return unknown
	}
	return n.everyDay(first, last, func(d time.Time) bool {
		t := n.today()
		age := t.Year() - d.Year()
		if t.Month() < d.Month() || t.Month() == d.Month() && t.Day() < d.Day() {
			age--
		}
		if r.Op == audience.OpIn {
			return slices.Contains(r.Values, strconv.Itoa(age))
		}
		v, _ := strconv.Atoi(r.Values[0])
		return compares(r.Op, age-v)
	})
}

func (n naive) visit(r audience.Field) audience.Truth {
	var last time.Time
	for _, kind := range []string{"visit.finished", "appointment.kept"} {
		for _, t := range n.events(kind, false) {
			if t.After(last) {
				last = t
			}
		}
	}
	if r.Op == audience.OpExists {
		if !last.IsZero() {
			return yes
		}
		return n.absence("visit.finished", "appointment.kept")
	}
	if last.IsZero() {
		return unknown
	}
	y, m, d := last.In(n.asked.Zone).Date()
	seen := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if seen.After(n.today()) {
		return unknown
	}
	upTo := seen
	if !n.complete("visit.finished", "appointment.kept") {
		upTo = n.today()
	}
	return n.everyDay(seen, upTo, func(d time.Time) bool { return n.dayIs(r, d) })
}

func (n naive) covers(terms []audience.Term, system, code string) bool {
	if system == "icd9cm" {
		code = strings.ReplaceAll(code, ".", "")
	}
	for _, t := range terms {
		if t.ValueSet != "" {
			for _, m := range n.asked.Sets[t.ValueSet].Members {
				r, err := audience.Parse("condition " + m)
				if err == nil && n.covers(r.(audience.Has).Terms, system, code) {
					return true
				}
			}
			continue
		}
		alias := map[string]string{"icd10": "icd10cm", "icd9": "icd9cm"}[t.System]
		if alias == "" {
			alias = t.System
		}
		if alias != system {
			continue
		}
		if t.Code == code || t.Descendants && strings.HasPrefix(code, t.Code) || t.Code == "6809" && (code == "860975" || code == "861004" || code == "861007") {
			return true
		}
	}
	return false
}

func (n naive) has(r audience.Has) audience.Truth {
	list := map[string][]people.ProjectedCode{
		"condition": n.p.Conditions, "medication": n.p.Medications, "procedure": n.p.Procedures,
		"immunization": n.p.Immunizations, "allergy": n.p.Allergies,
	}[r.What]
	for _, c := range list {
		if n.covers(r.Terms, c.System, c.Code) && (c.Active || r.AnyStatus || r.What == "procedure" || r.What == "immunization") {
			return yes
		}
	}
	return no
}

func (n naive) lab(r audience.Lab) audience.Truth {
	var found []people.ProjectedLab
	for _, l := range n.p.Labs {
		if n.covers(r.Terms, l.System, l.Code) && !sec(l.At).After(n.asked.Now) {
			found = append(found, l)
		}
	}
	slices.SortStableFunc(found, func(a, b people.ProjectedLab) int {
		if c := sec(b.At).Compare(sec(a.At)); c != 0 {
			return c
		}
		return strings.Compare(a.System+":"+a.Code, b.System+":"+b.Code)
	})
	if len(found) > 0 && !r.Within.IsZero() && !sec(found[0].At).After(n.move(n.asked.Now, r.Within, -1)) {
		found = nil
	}
	if r.Op == audience.OpExists {
		if len(found) > 0 {
			return yes
		}
		return n.absence("lab.new")
	}
	if len(found) == 0 || r.Unit != "" && !strings.EqualFold(r.Unit, found[0].Unit) {
		return unknown
	}
	// The true value lies on one side of the measured one: try some far and near.
	v, _ := strconv.ParseFloat(r.Value, 64)
	l := found[0]
	tries := map[string][]float64{
		"": {l.Value}, "<": {l.Value - 1e-6, l.Value - 1e6}, "<=": {l.Value, l.Value - 1e-6, l.Value - 1e6},
		">": {l.Value + 1e-6, l.Value + 1e6}, ">=": {l.Value, l.Value + 1e-6, l.Value + 1e6},
	}[l.Comparator]
	if l.Comparator != "" && v != l.Value && strings.HasPrefix(l.Comparator, "<") == (v < l.Value) {
		tries = append(tries, v)
	}
	some, all := false, true
	for _, x := range tries {
		sign := 0
		if x < v {
			sign = -1
		} else if x > v {
			sign = 1
		}
		some, all = some || compares(r.Op, sign), all && compares(r.Op, sign)
	}
	switch {
	case all:
		return yes
	case some:
		return unknown
	}
	return no
}

// events gives the times of one kind: the single ones, the first and last ever if they are not among them, and machines' if asked.
func (n naive) events(kind string, automated bool) []time.Time {
	var list []time.Time
	for _, e := range n.p.Events {
		if e.Kind != kind {
			continue
		}
		times := slices.Clone(e.Times)
		for _, t := range []int64{e.First, e.Last} {
			if t != 0 && !slices.Contains(times, t) {
				times = append(times, t)
			}
		}
		if automated {
			times = append(times, e.Machine...)
		}
		for _, t := range times {
			list = append(list, sec(t))
		}
	}
	return list
}

func (n naive) inWindow(t time.Time, w audience.Duration) bool {
	return t.After(n.move(n.asked.Now, w, -1).Truncate(time.Second)) && !t.After(n.asked.Now)
}

func (n naive) count(r audience.Count) audience.Truth {
	k := 0
	for _, t := range n.events(r.Event, r.Automated) {
		if n.inWindow(t, r.Within) {
			k++
		}
	}
	possible := []int{k}
	if !n.complete(r.Event) {
		possible = append(possible, k+1, r.N-1, r.N, r.N+1, r.N+2)
	}
	some, all := false, true
	for _, c := range possible {
		if c >= k {
			v := compares(r.Op, c-r.N)
			some, all = some || v, all && v
		}
	}
	switch {
	case all:
		return yes
	case some:
		return unknown
	}
	return no
}

func (n naive) last(r audience.Last) audience.Truth {
	var last time.Time
	for _, t := range n.events(r.Event, r.Automated) {
		if !t.After(n.asked.Now) && t.After(last) {
			last = t
		}
	}
	recent := !last.IsZero() && n.inWindow(last, r.Within)
	if recent {
		return says(r.Op == audience.OpWithin)
	}
	if !n.complete(r.Event) {
		return unknown
	}
	return says(r.Op == audience.OpOlderThan && !last.IsZero())
}

func (n naive) sequence(r audience.Sequence) audience.Truth {
	gap := n.move(time.Unix(0, 0), r.Gap, 1).Sub(time.Unix(0, 0))
	open, followed := false, false
	for _, a := range n.events(r.First, r.Automated) {
		if !n.inWindow(a, r.Within) {
			continue
		}
		then := false
		for _, b := range n.events(r.Then, r.Automated) {
			then = then || b.After(a) && !b.After(a.Add(gap)) && !b.After(n.asked.Now)
		}
		if then {
			followed = true
		} else {
			open = true
		}
	}
	first, then := n.complete(r.First), n.complete(r.Then)
	if !r.Missing {
		if followed {
			return yes
		}
		if !first || open && !then {
			return unknown
		}
		return no
	}
	if open && then {
		return yes
	}
	if open || !first {
		return unknown
	}
	return no
}

func (n naive) consent(r audience.Consent) audience.Truth {
	found := false
	for _, c := range n.p.Consents {
		if c.Name != r.Name {
			continue
		}
		found = true
		state := c.State
		if state == "given" && c.Until != 0 && time.Unix(int64(c.Until)*86400, 0).UTC().Before(n.today()) {
			state = "expired"
		}
		if state == r.State {
			return yes
		}
	}
	return says(!found && r.State == "none")
}
