package crowd

import "time"

const (
	now        int64 = 1795521600 // 2026-11-24T12:00:00Z
	daySeconds       = 86400
	today            = int32(now / daySeconds)
	never            = int32(-1 << 31) // a date nobody knows, or a thing that never happened
	span             = 400             // days of events
)

// drawnPerson is one of them before it is a projection.
type drawnPerson struct {
	Sex, ZIP, Language, Insurance string
	Birth                         int32
	OptOut                        bool
	LastMammogram, LastVisit      int32
	Conditions, Medications       []drawnFact
	Events                        []drawnEvent // by time, then kind
}

type drawnFact struct {
	Code uint8
	Day  int32
}

type drawnEvent struct {
	Kind uint8
	At   int64
}

// rng is splitmix64.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below draws 0..n-1 from the upper 32 bits.
func (r *rng) below(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }

// chance is true in n of 1000 cases.
func (r *rng) chance(n int) bool { return r.below(1000) < n }

// binomial counts how many of n draws succeed, each in p of 1000 cases.
func (r *rng) binomial(n, p int) (k int) {
	for ; n > 0; n-- {
		if r.chance(p) {
			k++
		}
	}
	return k
}

// pick draws a text by its weight of 1000.
func (r *rng) pick(from []weighted) string {
	x := r.below(1000)
	for _, w := range from {
		if x -= w.w; x < 0 {
			return w.text
		}
	}
	return ""
}

type weighted struct {
	text string
	w    int
}

var (
	sexes     = []weighted{{"female", 530}, {"male", 455}, {"other", 5}}                           // 1 % unknown
	languages = []weighted{{"en", 790}, {"es", 155}, {"zh", 15}, {"vi", 10}, {"ar", 8}, {"ru", 7}} // 1.5 % unknown
	older     = []weighted{{"medicare", 900}, {"medicaid", 50}, {"commercial", 40}, {"self", 10}}
	younger   = []weighted{{"commercial", 550}, {"medicaid", 285}, {"self", 95}, {"tricare", 50}, {"medicare", 20}}
	// ages: upper bound (excluded) and weight of 1000
	ages = []struct{ from, to, w int }{{0, 18, 140}, {18, 35, 205}, {35, 50, 195}, {50, 65, 210}, {65, 80, 175}, {80, 100, 75}}
)

// kinds of events: draws and chance of 1000 by engagement (0 silent, 1 usual, 2 keen)
var kinds = []struct {
	name  string
	draws int
	p     [3]int
}{
	{"email.delivered", 12, [3]int{140, 360, 410}},
	{"email.opened", 10, [3]int{0, 93, 265}},
	{"email.clicked", 6, [3]int{0, 64, 235}},
	{"portal.login", 8, [3]int{40, 115, 290}},
	{"appointment.booked", 6, [3]int{150, 210, 280}},
	{"appointment.completed", 5, [3]int{130, 225, 270}},
	{"appointment.missed", 4, [3]int{96, 71, 60}},
	{"sms.delivered", 6, [3]int{100, 100, 100}},
	{"form.submitted", 4, [3]int{10, 50, 100}},
	{"pickup.read", 4, [3]int{10, 40, 80}},
}

const (
	booked    = 4
	completed = 5
	missed    = 6
)

// stream gives each person draws of their own.
func stream(i int, seed uint64) rng {
	r := rng(seed ^ uint64(i+1)*0xD1342543DE82EF95)
	r.next()
	return rng(r.next())
}

// draw gives person i of a seed.
func draw(i int, seed uint64) drawnPerson {
	r := stream(i, seed)
	p := drawnPerson{LastMammogram: never, LastVisit: never, Birth: never}
	age := p.self(&r)
	p.facts(&r, age)
	p.happen(&r)
	return p
}

// self draws who the person is, and gives the age.
func (p *drawnPerson) self(r *rng) (age int) {
	p.Sex = r.pick(sexes)
	// Birth: band by weight, then a year and a day in it; 1 % unknown, drawn last so that the age still steers the rest.
	x := r.below(1000)
	for _, a := range ages {
		if x -= a.w; x < 0 {
			age = a.from + r.below(a.to-a.from)
			break
		}
	}
	birth := date(2026-age, 11, 24) - int32(r.below(365))
	if !r.chance(10) {
		p.Birth = birth
	}
	// 500 ZIPs: one person in five lives in the 50 of the city.
	if r.chance(200) {
		p.ZIP = zip(r.below(50))
	} else {
		p.ZIP = zip(r.below(500))
	}
	p.Language = r.pick(languages)
	if age >= 65 {
		p.Insurance = r.pick(older)
	} else {
		p.Insurance = r.pick(younger)
	}
	p.OptOut = r.chance(70)
	// Women from 40 on: 30 % never had a mammogram, the others up to 4.4 years ago.
	if p.Sex == "female" && age >= 40 && !r.chance(300) {
		p.LastMammogram = today - int32(r.below(1600))
	}
	return age
}

// facts draws conditions, more with age and none twice, then the medications that they call for, then up to five others.
func (p *drawnPerson) facts(r *rng, age int) {
	draws := [...]int{2, 4, 8, 12, 16, 16}[band(age)]
	for n := r.binomial(draws, 565); n > 0; n-- {
		c := uint8(weigh(r, conditionSum))
		d := today - int32(r.below(3650))
		if !drawn(p.Conditions, c) {
			p.Conditions = append(p.Conditions, drawnFact{c, d})
		}
	}
	for _, c := range p.Conditions {
		for _, t := range treatment[c.Code] {
			if r.chance(t.p) {
				if d := c.Day + int32(r.below(int(today-c.Day)+1)); !drawn(p.Medications, t.med) {
					p.Medications = append(p.Medications, drawnFact{t.med, d})
				}
			}
		}
	}
	for n := r.binomial(5, 115); n > 0; n-- {
		m := uint8(r.below(len(medications)))
		d := today - int32(r.below(1825))
		if !drawn(p.Medications, m) {
			p.Medications = append(p.Medications, drawnFact{m, d})
		}
	}
}

// happen draws events by engagement: 25 % silent, 55 % usual, 20 % keen; three missed appointments in ten are booked again within 14
// days. The last visit is the last appointment kept; else, but for 8 % who never came, 1.1 to 6 years ago.
func (p *drawnPerson) happen(r *rng) {
	class := 0
	if x := r.below(100); x >= 80 {
		class = 2
	} else if x >= 25 {
		class = 1
	}
	for k := range kinds {
		for n := r.binomial(kinds[k].draws, kinds[k].p[class]); n > 0; n-- {
			at := now - int64(r.below(span*daySeconds))
			p.add(uint8(k), at)
			if k == missed && r.chance(300) {
				if at += 3600 + int64(r.below(14*daySeconds-3600)); at <= now {
					p.add(booked, at)
				}
			}
		}
	}
	for _, e := range p.Events {
		if e.Kind == completed {
			p.LastVisit = int32(e.At / daySeconds)
		}
	}
	if p.LastVisit == never && !r.chance(80) {
		p.LastVisit = today - span - int32(r.below(1800))
	}
}

// add keeps the events in order of time, then kind.
func (p *drawnPerson) add(kind uint8, at int64) {
	p.Events = append(p.Events, drawnEvent{kind, at})
	for j := len(p.Events) - 1; j > 0; j-- {
		a, b := p.Events[j-1], p.Events[j]
		if a.At < b.At || a.At == b.At && a.Kind <= b.Kind {
			break
		}
		p.Events[j-1], p.Events[j] = b, a
	}
}

func band(age int) int {
	for b, a := range ages {
		if age < a.to {
			return b
		}
	}
	return len(ages) - 1
}

func drawn(list []drawnFact, code uint8) bool {
	for _, f := range list {
		if f.Code == code {
			return true
		}
	}
	return false
}

// weigh picks a condition by weight; sums are running totals.
func weigh(r *rng, sums []int) int {
	x := r.below(sums[len(sums)-1])
	lo, hi := 0, len(sums)-1
	for lo < hi {
		if m := (lo + hi) / 2; x < sums[m] {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

func zip(n int) string {
	n += 60001
	return string([]byte{byte('0' + n/10000), byte('0' + n/1000%10), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

func date(y, m, d int) int32 {
	return int32(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix() / daySeconds)
}
