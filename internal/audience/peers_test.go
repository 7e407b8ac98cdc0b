package audience_test

// The synthetic people of the project's comparison with SQL engines, as projections: peer(i, seed) is pure, draws whole numbers in a
// fixed order, and is the definition that other programs share. The right counts stand in testdata/counts.txt.

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

const (
	peerNow   int64 = 1795521600 // 2026-11-24T12:00:00Z
	peerDay         = 86400
	peerToday       = int32(peerNow / peerDay)
	never           = int32(-1 << 31) // a date nobody knows, or a thing that never happened
	peerSpan        = 400             // days of events
)

// synthetic is one of them before it is a projection.
type synthetic struct {
	Sex, ZIP, Language, Insurance string
	Birth                         int32
	OptOut                        bool
	LastMammogram, LastVisit      int32
	Conditions, Medications       []syntheticFact
	Events                        []syntheticEvent // by time, then kind
}

type syntheticFact struct {
	Code uint8
	Day  int32
}

type syntheticEvent struct {
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

// peerKinds of events: draws and chance of 1000 by engagement (0 silent, 1 usual, 2 keen)
var peerKinds = []struct {
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
	opened    = 1
	clicked   = 2
	login     = 3
	booked    = 4
	completed = 5
	missed    = 6
)

// start gives each person a stream of their own.
func stream(i int, seed uint64) rng {
	r := rng(seed ^ uint64(i+1)*0xD1342543DE82EF95)
	r.next()
	return rng(r.next())
}

func peer(i int, seed uint64) synthetic {
	r := stream(i, seed)
	p := synthetic{LastMammogram: never, LastVisit: never, Birth: never}
	p.Sex = r.pick(sexes)

	// Birth: band by weight, then a year and a peerDay in it; 1 % unknown, drawn last so that the age still steers the rest.
	x, age := r.below(1000), 0
	for _, a := range ages {
		if x -= a.w; x < 0 {
			age = a.from + r.below(a.to-a.from)
			break
		}
	}
	birth := peerDate(2026-age, 11, 24) - int32(r.below(365))
	if !r.chance(10) {
		p.Birth = birth
	}

	// 500 ZIPs: one person in five lives in the 50 of the city.
	if r.chance(200) {
		p.ZIP = peerZIP(r.below(50))
	} else {
		p.ZIP = peerZIP(r.below(500))
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
		p.LastMammogram = peerToday - int32(r.below(1600))
	}

	// Conditions: more with age; a code drawn twice counts once.
	draws := [...]int{2, 4, 8, 12, 16, 16}[band(age)]
	n := r.binomial(draws, 565)
	for ; n > 0; n-- {
		c := uint8(draw(&r, conditionSum))
		d := peerToday - int32(r.below(3650))
		if !drawn(p.Conditions, c) {
			p.Conditions = append(p.Conditions, syntheticFact{c, d})
		}
	}
	// Medications: those the conditions call for, then up to five others.
	for _, c := range p.Conditions {
		for _, t := range treatment[c.Code] {
			if r.chance(t.p) {
				if d := c.Day + int32(r.below(int(peerToday-c.Day)+1)); !drawn(p.Medications, t.med) {
					p.Medications = append(p.Medications, syntheticFact{t.med, d})
				}
			}
		}
	}
	for n = r.binomial(5, 115); n > 0; n-- {
		m := uint8(r.below(len(peerMedications)))
		d := peerToday - int32(r.below(1825))
		if !drawn(p.Medications, m) {
			p.Medications = append(p.Medications, syntheticFact{m, d})
		}
	}

	// Events: engagement 25 % silent, 55 % usual, 20 % keen; three missed appointments in ten are booked again within 14 days.
	class := 0
	if x = r.below(100); x >= 80 {
		class = 2
	} else if x >= 25 {
		class = 1
	}
	for k := range peerKinds {
		for n = r.binomial(peerKinds[k].draws, peerKinds[k].p[class]); n > 0; n-- {
			at := peerNow - int64(r.below(peerSpan*peerDay))
			p.add(uint8(k), at)
			if k == missed && r.chance(300) {
				if at += 3600 + int64(r.below(14*peerDay-3600)); at <= peerNow {
					p.add(booked, at)
				}
			}
		}
	}
	// The last visit is the last appointment kept; else, but for 8 % who never came, 1.1 to 6 years ago.
	for _, e := range p.Events {
		if e.Kind == completed {
			p.LastVisit = int32(e.At / peerDay)
		}
	}
	if p.LastVisit == never && !r.chance(80) {
		p.LastVisit = peerToday - peerSpan - int32(r.below(1800))
	}
	return p
}

// add keeps the events in order of time, then kind.
func (p *synthetic) add(kind uint8, at int64) {
	p.Events = append(p.Events, syntheticEvent{kind, at})
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

func drawn(list []syntheticFact, code uint8) bool {
	for _, f := range list {
		if f.Code == code {
			return true
		}
	}
	return false
}

// draw picks a condition by weight; sums are running totals.
func draw(r *rng, sums []int) int {
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

func peerZIP(n int) string {
	n += 60001
	return string([]byte{byte('0' + n/10000), byte('0' + n/1000%10), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

func peerDate(y, m, d int) int32 {
	return int32(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix() / peerDay)
}

var peerConditions = []weighted{
	{"I10", 100},
	{"E78.5", 70},
	{"E78.00", 15},
	{"E78.2", 20},
	{"E11.9", 12},
	{"E11.65", 5},
	{"E11.22", 4},
	{"E11.40", 3},
	{"E11.319", 2},
	{"K21.9", 40},
	{"F41.1", 20},
	{"F41.9", 30},
	{"F32.A", 20},
	{"F32.9", 10},
	{"F33.1", 10},
	{"M54.50", 35},
	{"M25.561", 10},
	{"M25.562", 10},
	{"M17.11", 8},
	{"M17.12", 8},
	{"M17.0", 6},
	{"M19.90", 10},
	{"M81.0", 12},
	{"M79.7", 5},
	{"M06.9", 4},
	{"J45.909", 18},
	{"J45.20", 7},
	{"J45.40", 5},
	{"J44.9", 14},
	{"J44.1", 4},
	{"J30.9", 25},
	{"J30.2", 8},
	{"J06.9", 25},
	{"J01.90", 8},
	{"J02.9", 8},
	{"J20.9", 6},
	{"J18.9", 5},
	{"J40", 4},
	{"G47.33", 18},
	{"G47.00", 14},
	{"G43.909", 10},
	{"G40.909", 4},
	{"G20.A1", 2},
	{"G30.9", 3},
	{"G62.9", 5},
	{"G56.00", 4},
	{"G25.81", 3},
	{"E03.9", 28},
	{"E66.9", 20},
	{"E66.01", 10},
	{"E55.9", 22},
	{"E87.6", 3},
	{"E86.0", 3},
	{"E05.90", 2},
	{"I25.10", 16},
	{"I48.91", 10},
	{"I48.0", 4},
	{"I50.9", 6},
	{"I50.22", 3},
	{"I50.32", 3},
	{"I63.9", 3},
	{"I73.9", 4},
	{"I83.90", 3},
	{"I95.9", 2},
	{"I20.9", 2},
	{"I21.9", 1},
	{"I35.0", 2},
	{"N18.30", 7},
	{"N18.4", 2},
	{"N18.9", 3},
	{"N39.0", 14},
	{"N40.0", 5},
	{"N40.1", 6},
	{"N20.0", 4},
	{"N95.1", 5},
	{"N92.0", 3},
	{"N80.9", 2},
	{"N52.9", 3},
	{"D64.9", 9},
	{"D50.9", 7},
	{"D69.6", 2},
	{"D72.829", 2},
	{"C50.911", 2},
	{"C50.912", 2},
	{"C61", 2},
	{"C18.9", 1},
	{"C34.90", 1},
	{"C44.91", 3},
	{"L40.0", 3},
	{"L20.9", 4},
	{"L70.0", 5},
	{"L30.9", 5},
	{"L57.0", 5},
	{"L03.90", 3},
	{"L50.9", 2},
	{"H26.9", 7},
	{"H25.9", 5},
	{"H40.9", 5},
	{"H35.30", 3},
	{"H52.4", 6},
	{"H10.9", 4},
	{"H61.20", 5},
	{"H66.90", 6},
	{"H91.90", 4},
	{"K58.9", 5},
	{"K59.00", 9},
	{"K57.30", 5},
	{"K76.0", 7},
	{"K80.20", 3},
	{"K50.90", 1},
	{"K51.90", 1},
	{"K64.9", 4},
	{"B35.1", 4},
	{"B18.2", 2},
	{"B20", 2},
	{"A09", 3},
	{"F10.20", 4},
	{"F11.20", 2},
	{"F17.210", 14},
	{"F43.10", 5},
	{"F90.9", 8},
	{"F31.9", 4},
	{"F20.9", 2},
	{"F84.0", 3},
}

var peerMedications = []string{
	"6809", "83367", "29046", "17767", "52175", "5487", "6918", "36567", "301542", "7646", "40790", "10582", "435", "25480",
	"36437", "321988", "4493", "42347", "10737", "4603", "11289", "1364430", "32968", "1191", "274783", "4821", "1545653",
	"1991302", "88249", "41126", "8640", "5640", "7258", "161", "41493", "10689", "21949", "20610", "28889", "77492", "20352",
	"9997", "46041", "38404", "37418", "28439", "72625", "39786", "723", "18631", "3640", "519", "69120", "39993", "6901",
	"51272", "1819", "11253", "4511", "4278",
}

var peerTreatments = []struct {
	category, medication string
	p                    int
}{
	{"E11", "6809", 330},
	{"E11", "83367", 470},
	{"E11", "274783", 180},
	{"E11", "4821", 120},
	{"E11", "1545653", 150},
	{"E11", "1991302", 100},
	{"I10", "29046", 350},
	{"I10", "17767", 280},
	{"I10", "52175", 200},
	{"I10", "5487", 180},
	{"E78", "83367", 400},
	{"E78", "301542", 180},
	{"E78", "36567", 80},
	{"K21", "7646", 400},
	{"K21", "40790", 250},
	{"K21", "4278", 150},
	{"F41", "36437", 250},
	{"F41", "321988", 250},
	{"F32", "36437", 250},
	{"F32", "4493", 200},
	{"F32", "42347", 150},
	{"F33", "72625", 250},
	{"F33", "39786", 200},
	{"F33", "10737", 200},
	{"M54", "21949", 200},
	{"M54", "5640", 300},
	{"M54", "10689", 80},
	{"M25", "7258", 250},
	{"M17", "41493", 350},
	{"M19", "41493", 300},
	{"M81", "46041", 400},
	{"M79", "72625", 300},
	{"M06", "8640", 350},
	{"J45", "435", 700},
	{"J45", "41126", 400},
	{"J45", "88249", 250},
	{"J44", "435", 600},
	{"J44", "69120", 450},
	{"J30", "20610", 300},
	{"J30", "28889", 250},
	{"J30", "41126", 200},
	{"J01", "723", 500},
	{"J02", "723", 400},
	{"J18", "18631", 500},
	{"J20", "18631", 200},
	{"G47", "39993", 150},
	{"G43", "37418", 400},
	{"G43", "38404", 250},
	{"G40", "28439", 400},
	{"G62", "25480", 500},
	{"E03", "10582", 850},
	{"E55", "11253", 600},
	{"I25", "1191", 600},
	{"I25", "83367", 500},
	{"I25", "6918", 400},
	{"I25", "32968", 250},
	{"I48", "1364430", 500},
	{"I48", "11289", 150},
	{"I48", "6918", 400},
	{"I50", "4603", 600},
	{"I50", "20352", 400},
	{"I50", "9997", 250},
	{"I63", "32968", 400},
	{"N40", "77492", 550},
	{"N39", "3640", 150},
	{"F90", "6901", 500},
	{"F31", "51272", 350},
	{"F20", "51272", 300},
	{"F11", "1819", 400},
	{"L70", "3640", 300},
	{"D50", "4511", 150},
}

type treat struct {
	med uint8
	p   int
}

var (
	conditionSum []int     // running totals of the weights
	treatment    [][]treat // by condition, in the order of treatments
)

func init() {
	sum, index := 0, map[string]uint8{}
	for i, m := range peerMedications {
		index[m] = uint8(i)
	}
	for _, c := range peerConditions {
		sum += c.w
		conditionSum = append(conditionSum, sum)
		var list []treat
		for _, t := range peerTreatments {
			if c.text[:3] == t.category {
				list = append(list, treat{index[t.medication], t.p})
			}
		}
		treatment = append(treatment, list)
	}
}

// projection gives the person as the index takes it: every fact active, every event human, one feed that delivers everything.
func (p *synthetic) projection() *people.Projection {
	out := &people.Projection{
		Kind: people.KindPatient, Language: p.Language, Postal: p.ZIP, Insurance: p.Insurance, Sources: []string{"ehr"},
		Sex: map[string]people.Sex{"female": people.SexFemale, "male": people.SexMale, "other": people.SexOther}[p.Sex],
	}
	if p.Birth != never {
		at := time.Unix(int64(p.Birth)*peerDay, 0).UTC()
		out.Birth = people.Date{Year: int16(at.Year()), Month: uint8(at.Month()), Day: uint8(at.Day())}
	}
	if p.OptOut {
		out.Consents = []people.ProjectedConsent{{Name: "channel:email", State: "refused"}}
	}
	for _, f := range p.Conditions {
		code := strings.ReplaceAll(peerConditions[f.Code].text, ".", "")
		out.Conditions = append(out.Conditions, people.ProjectedCode{System: "icd10cm", Code: code, Active: true, Start: f.Day})
	}
	for _, f := range p.Medications {
		out.Medications = append(out.Medications, people.ProjectedCode{System: "rxnorm", Code: peerMedications[f.Code], Active: true, Start: f.Day})
	}
	for k, kind := range peerKinds {
		var times []int64
		for _, e := range p.Events {
			if int(e.Kind) == k {
				times = append(times, e.At)
			}
		}
		if len(times) > 0 {
			name := strings.Replace(kind.name, "completed", "kept", 1)
			out.Events = append(out.Events, people.ProjectedEvents{Kind: name, First: times[0], Last: times[len(times)-1], Times: times})
		}
	}
	once := func(kind string, day int32) {
		at := int64(day) * peerDay
		e := people.ProjectedEvents{Kind: kind, First: at, Last: at}
		if at > peerNow-peerSpan*peerDay {
			e.Times = []int64{at}
		}
		out.Events = append(out.Events, e)
	}
	if p.LastMammogram != never {
		once("procedure.mammogram", p.LastMammogram)
	}
	if p.LastVisit != never && !slices.ContainsFunc(p.Events, func(e syntheticEvent) bool { return e.Kind == completed }) {
		once("visit.finished", p.LastVisit)
	}
	return out
}
