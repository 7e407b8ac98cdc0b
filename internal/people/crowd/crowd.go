// Package crowd owns the made-up people by whom audiences are measured: person i of a seed, always the same, as a projection; the
// eight rules that are asked of them, as text, and how many match.
//
// It never knows how a rule is read or a person is stored. The draws are whole numbers in a fixed order (splitmix64), so that another
// program which draws in that order has the same people, and counts over them can be compared. draw.go has the order, codes.go the
// tables.
package crowd

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// Now is the moment at which the rules are asked; the zone is UTC.
func Now() time.Time { return time.Unix(now, 0).UTC() }

// Feed is the one source of everyone; it delivers every kind of event completely.
const Feed = "ehr"

// Person gives person i of a seed.
func Person(i int, seed uint64) people.Projection {
	p := draw(i, seed)
	return p.projection()
}

// Rule is one of the eight.
type Rule struct{ Name, Text string }

// Rules gives the eight rules. They name the value set chronic-30.
func Rules() []Rule {
	return []Rule{
		{"r1", "sex = female and age >= 50 and (never procedure.mammogram or last procedure.mammogram older than 2y) and language in (en, es) and opt_out = false and count email.opened >= 2 in 90d"},
		{"r2", "condition icd10:E11.* and medication rxnorm:6809 and not medication rxnorm:83367"},
		{"r3", "zip in (60003, 60017, 60061, 60078, 60093, 60112, 60137, 60154, 60188, 60205, 60231, 60266, 60290, 60318, 60347, 60391, 60425, 60455, 60476, 60498) and age >= 65"},
		{"r4", "last_visit older than 12m and condition in @valueset:chronic-30 and count portal.login = 0 in 90d"},
		{"r5", "count appointment.missed >= 2 in 365d and count email.clicked >= 1 in 90d"},
		{"r6", "language = es and insurance = medicaid"},
		{"r7", "appointment.missed not followed by appointment.booked within 14d in 60d"},
		{"r8", "age >= 50 and count email.opened >= 2 in 90d"},
	}
}

// Chronic is the name of the value set that a rule names.
const Chronic = "chronic-30"

// ChronicCodes gives its members.
func ChronicCodes() []string {
	var list []string
	for code := range strings.FieldsSeq("E11.9 E11.65 E11.22 E11.40 E11.319 E78.00 E78.2 I25.10 I48.91 I48.0 I50.9 I50.22 I50.32 I73.9 J44.9 J44.1 " +
		"J45.909 J45.40 N18.30 N18.4 N18.9 M06.9 M81.0 E03.9 I63.9 E66.01 G47.33 F33.1 F31.9 I10") {
		list = append(list, "icd10:"+code)
	}
	return list
}

// counts are those of another evaluator, over the first so many people of seed 1.
var counts = map[int][]int{
	1_000:     {3, 13, 9, 198, 4, 43, 30, 16},
	20_000:    {125, 328, 205, 4106, 44, 691, 580, 331},
	100_000:   {516, 1621, 1000, 20477, 210, 3549, 3061, 1494},
	1_000_000: {4722, 15863, 9901, 205371, 2063, 35272, 31454, 14909},
}

// Counts gives how many of the first n people of seed 1 match each rule, where somebody else has counted them too.
func Counts(n int) (matched []int, known bool) {
	matched, known = counts[n]
	return slices.Clone(matched), known
}

// projection gives the person as the index takes it: every fact active, every event human, one feed that delivers everything.
func (p *drawnPerson) projection() people.Projection {
	out := people.Projection{
		Kind: people.KindPatient, Language: p.Language, Postal: p.ZIP, Insurance: p.Insurance, Sources: []string{Feed},
		Coverages: []people.ProjectedCoverage{{Kind: p.Insurance}},
		Sex:       map[string]people.Sex{"female": people.SexFemale, "male": people.SexMale, "other": people.SexOther}[p.Sex],
	}
	if p.Birth != never {
		at := time.Unix(int64(p.Birth)*daySeconds, 0).UTC()
		out.Birth = people.Date{Year: int16(at.Year()), Month: uint8(at.Month()), Day: uint8(at.Day())}
	}
	if p.OptOut {
		out.Consents = []people.ProjectedConsent{{Name: "channel:email", State: "refused"}}
	}
	for _, f := range p.Conditions {
		code := strings.ReplaceAll(conditions[f.Code].text, ".", "")
		out.Conditions = append(out.Conditions, people.ProjectedCode{System: "icd10cm", Code: code, Active: true, Start: f.Day})
	}
	for _, f := range p.Medications {
		out.Medications = append(out.Medications, people.ProjectedCode{System: "rxnorm", Code: medications[f.Code], Active: true, Start: f.Day})
	}
	for k, kind := range kinds {
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
		at := int64(day) * daySeconds
		e := people.ProjectedEvents{Kind: kind, First: at, Last: at}
		if at > now-span*daySeconds {
			e.Times = []int64{at}
		}
		out.Events = append(out.Events, e)
	}
	if p.LastMammogram != never {
		once("procedure.mammogram", p.LastMammogram)
	}
	if p.LastVisit != never && !slices.ContainsFunc(p.Events, func(e drawnEvent) bool { return e.Kind == completed }) {
		once("visit.finished", p.LastVisit)
	}
	return out
}
