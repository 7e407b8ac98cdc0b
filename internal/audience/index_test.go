package audience_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// The words that random rules and random people share, few so that they meet.
var (
	someEvents = []string{"email.opened", "appointment.missed", "appointment.booked", "appointment.kept", "visit.finished", "portal.login", "x.y"}
	someFeeds  = []string{"ehr", "pharmacy", "list", "old"}
	someCodes  = [][2]string{{"icd10cm", "E1165"}, {"icd10cm", "E119"}, {"icd10cm", "I10"}, {"icd9cm", "250.00"}, {"rxnorm", "6809"}, {"rxnorm", "860975"}, {"rxnorm", "1191"}, {"loinc", "4548-4"}, {"loinc", "2345-7"}}
	someTerms  = []string{"icd10:E11.*", "icd10:E11.65", "icd10:E1*", "icd10:I10", "icd9:250.0*", "rxnorm:6809", "rxnorm:860975", "loinc:4548-4", "loinc:2345-7", "@valueset:codes"}
	somePlain  = []string{
		"language = en", "language != es", "language in (es-MX, en)", "language exists", "zip = 606*", "zip in (60601, 6*)", "zip in @valueset:zips", "zip != 60601",
		"sex = female", "sex != male", "sex in (other, male)", "sex exists", "state = IL", "country exists", "zone = America/Chicago", "insurance in (medicare, medicaid)", "kind = prospect",
		"deceased = true", "has_email = false", "has_phone != true", "opt_out = false", "in_hospital = true", "opt_out exists", "custom.team = Red", "custom.team exists", "everyone",
		"consent topic:recalls given", "consent topic:recalls none", "consent channel:email refused", "consent topic:recalls expired", "appointment booked in future", "in segment inner",
	}
)

func drawDuration(t *rapid.T, units string, most int) audience.Duration {
	return audience.Duration{N: rapid.IntRange(1, most).Draw(t, "n"), Unit: audience.Unit(rapid.SampledFrom([]byte(units)).Draw(t, "unit"))}
}

func mustParse(t interface{ Fatalf(string, ...any) }, text string) audience.Rule {
	r, err := audience.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func drawRule(t *rapid.T, depth int) audience.Rule {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "branch") > 0 {
		n := rapid.IntRange(2, 3).Draw(t, "kids")
		var list []audience.Rule
		switch rapid.IntRange(0, 2).Draw(t, "join") {
		case 0:
			return audience.Not{Rule: drawRule(t, depth-1)}
		case 1:
			for range n {
				list = append(list, drawRule(t, depth-1))
			}
			return audience.All(list)
		}
		for range n {
			list = append(list, drawRule(t, depth-1))
		}
		return audience.Any(list)
	}
	return drawLeaf(t)
}

func drawLeaf(t *rapid.T) audience.Rule {
	event := func(label string) string { return rapid.SampledFrom(someEvents).Draw(t, label) }
	op := rapid.SampledFrom([]audience.Op{audience.OpEq, audience.OpNe, audience.OpLt, audience.OpLte, audience.OpGt, audience.OpGte}).Draw(t, "op")
	automated := rapid.Bool().Draw(t, "automated")
	around := rapid.SampledFrom([]audience.Op{audience.OpOlderThan, audience.OpWithin}).Draw(t, "around")
	switch rapid.IntRange(0, 10).Draw(t, "leaf") {
	case 0:
		if rapid.Bool().Draw(t, "list") {
			return audience.Field{Name: "age", Op: audience.OpIn, Values: []string{"17", "50", "51"}}
		}
		return audience.Field{Name: "age", Op: op, Values: []string{fmt.Sprint(rapid.IntRange(0, 100).Draw(t, "age"))}}
	case 1:
		name := rapid.SampledFrom([]string{"birth_date", "last_visit"}).Draw(t, "day field")
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			return audience.Field{Name: name, Op: audience.OpExists}
		case 1:
			return audience.Field{Name: name, Op: around, Within: drawDuration(t, "dwmy", 60)}
		}
		at := now.AddDate(0, 0, -rapid.IntRange(-2, 30_000).Draw(t, "days ago"))
		return audience.Field{Name: name, Op: op, Values: []string{at.Format(time.DateOnly)}}
	case 2:
		what := rapid.SampledFrom([]string{"condition", "medication", "allergy", "procedure", "immunization"}).Draw(t, "what")
		suffix := ""
		if what != "procedure" && what != "immunization" && rapid.Bool().Draw(t, "any status") {
			suffix = " any status"
		}
		a, b := rapid.SampledFrom(someTerms).Draw(t, "term"), rapid.SampledFrom(someTerms).Draw(t, "term")
		return mustParse(t, what+" in ("+a+", "+b+")"+suffix)
	case 3:
		l := mustParse(t, "latest lab in (loinc:4548-4, "+rapid.SampledFrom(someTerms).Draw(t, "term")+") exists").(audience.Lab)
		if rapid.Bool().Draw(t, "compare") {
			l.Op, l.Value = op, rapid.SampledFrom([]string{"8", "8.0", "7.95", "-1", "126"}).Draw(t, "value")
			l.Unit = rapid.SampledFrom([]string{"", "%", "mg/dL"}).Draw(t, "unit")
		}
		if rapid.Bool().Draw(t, "window") {
			l.Within = drawDuration(t, "hdwmy", 30)
		}
		return l
	case 4, 5:
		n := rapid.IntRange(0, 4).Draw(t, "count")
		if n == 0 && (op == audience.OpGte || op == audience.OpLt) {
			n = 1
		}
		return audience.Count{Event: event("event"), Op: op, N: n, Within: drawDuration(t, "hdwm", 13), Automated: automated}
	case 6:
		return audience.Last{Event: event("event"), Op: around, Within: drawDuration(t, "hdwmy", 60), Automated: automated}
	case 7:
		return audience.Never{Event: event("event"), Automated: automated}
	case 8, 9:
		return audience.Sequence{
			First: event("first"), Then: event("then"), Missing: rapid.Bool().Draw(t, "missing"),
			Gap: drawDuration(t, "hdw", 20), Within: drawDuration(t, "dwm", 13), Automated: automated,
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "appointment") == 0 {
		return audience.Appointment{Within: drawDuration(t, "hdwmy", 20)}
	}
	return mustParse(t, rapid.SampledFrom(somePlain).Draw(t, "plain"))
}

// now is a leap day near midnight in the zones, so that edges are met.
var now = time.Date(2028, 2, 29, 5, 59, 59, 0, time.UTC)

func drawAsked(t *rapid.T) audience.Asked {
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "America/Chicago", "Pacific/Auckland"}).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	feeds := audience.Feeds{Fresh: audience.FreshFor}
	for _, name := range someFeeds {
		f := audience.Feed{Name: name, Complete: map[string]time.Time{}}
		for range rapid.IntRange(0, 2).Draw(t, "claims") {
			kind := rapid.SampledFrom(append([]string{"appointment.*", "*", "lab.new"}, someEvents...)).Draw(t, "claim")
			f.Complete[kind] = now.Add(-time.Duration(rapid.IntRange(0, 144).Draw(t, "silent hours")) * time.Hour)
		}
		feeds.List = append(feeds.List, f)
	}
	codes, err := audience.NewValueSet("codes", []string{"icd10:E11.*", "rxnorm:6809", "loinc:2345-7"})
	if err != nil {
		t.Fatal(err)
	}
	zips, err := audience.NewValueSet("zips", []string{"60601", "61*"})
	if err != nil {
		t.Fatal(err)
	}
	return audience.Asked{
		Now: now, Zone: zone, Feeds: feeds,
		Segments: map[string]audience.Rule{"inner": audience.Any{drawLeafWithoutSegment(t), drawLeafWithoutSegment(t)}},
		Sets:     map[string]audience.ValueSet{"codes": codes, "zips": zips},
	}
}

func drawLeafWithoutSegment(t *rapid.T) audience.Rule {
	return rapid.Custom(drawLeaf).Filter(func(r audience.Rule) bool { _, is := r.(audience.Segment); return !is }).Draw(t, "inner leaf")
}

func drawTime(t *rapid.T) int64 {
	ago := rapid.OneOf(rapid.IntRange(-5, 90*86400), rapid.IntRange(-400_000, 40_000_000), rapid.Map(rapid.IntRange(0, 61), func(d int) int { return d * 86400 }), rapid.IntRange(0, 70*365*86400)).Draw(t, "ago")
	return now.Unix() - int64(ago)
}

func drawTimes(t *rapid.T, most int) []int64 {
	var list []int64
	for range rapid.IntRange(0, most).Draw(t, "times") {
		list = append(list, drawTime(t))
	}
	return list
}

func drawCodes(t *rapid.T) []people.ProjectedCode {
	var list []people.ProjectedCode
	for range rapid.IntRange(0, 3).Draw(t, "codes") {
		c := rapid.SampledFrom(someCodes).Draw(t, "code")
		list = append(list, people.ProjectedCode{System: c[0], Code: c[1], Active: rapid.Bool().Draw(t, "active")})
	}
	return list
}

func drawPerson(t *rapid.T) *people.Projection {
	word := func(list ...string) string { return rapid.SampledFrom(append(list, "")).Draw(t, "word") }
	p := &people.Projection{
		Kind: rapid.SampledFrom([]people.Kind{1, 1, 1, 2, 3}).Draw(t, "kind"), Sex: people.Sex(rapid.IntRange(0, 3).Draw(t, "sex")),
		Language: word("en", "en-US", "es", "es-MX", "ES-419", "e"), Zone: word("America/Chicago", "Europe/Berlin"), State: word("IL", "il", "WI"),
		Postal: word("60601", "60601-1234", "60612", "61001", "SW1A1AA"), Country: word("US"), Insurance: word("medicare", "Medicaid", "other"),
		Deceased: rapid.Bool().Draw(t, "deceased"), HasEmail: rapid.Bool().Draw(t, "email"), HasPhone: rapid.Bool().Draw(t, "phone"), InPatient: rapid.Bool().Draw(t, "in"),
		Sources:    rapid.SliceOfNDistinct(rapid.SampledFrom(someFeeds), 0, 3, rapid.ID[string]).Draw(t, "sources"),
		Conditions: drawCodes(t), Medications: drawCodes(t), Procedures: drawCodes(t), Immunizations: drawCodes(t), Allergies: drawCodes(t),
	}
	if rapid.IntRange(0, 5).Draw(t, "birth") > 0 {
		at := now.AddDate(0, 0, -rapid.OneOf(rapid.IntRange(-400, 36_000), rapid.SampledFrom([]int{50 * 365, 18262, 18263, 18264})).Draw(t, "days old"))
		p.Birth = people.Date{Year: int16(at.Year()), Month: uint8(at.Month()), Day: uint8(at.Day())}
		switch rapid.IntRange(0, 9).Draw(t, "precision") {
		case 0:
			p.Birth.Month, p.Birth.Day = 0, 0
		case 1:
			p.Birth.Day = 0
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "labs") {
		c := rapid.SampledFrom(someCodes).Draw(t, "lab")
		p.Labs = append(p.Labs, people.ProjectedLab{
			System: c[0], Code: c[1], At: drawTime(t), Value: rapid.SampledFrom([]float64{7.9, 8, 8.1, 126, -1}).Draw(t, "value"),
			Comparator: rapid.SampledFrom([]string{"", "", "<", "<=", ">", ">="}).Draw(t, "comparator"), Unit: word("%", "mg/dL", "MG/DL"),
		})
	}
	for _, kind := range rapid.SliceOfN(rapid.SampledFrom(someEvents), 0, 5).Draw(t, "kinds") {
		e := people.ProjectedEvents{Kind: kind, Times: drawTimes(t, 3), Machine: drawTimes(t, 2)}
		for _, at := range e.Times {
			if e.First == 0 || at < e.First {
				e.First = at
			}
			e.Last = max(e.Last, at)
		}
		if rapid.Bool().Draw(t, "older") {
			e.First = drawTime(t)
			if e.Last == 0 {
				e.Last = e.First
			}
		}
		p.Events = append(p.Events, e)
	}
	for range rapid.IntRange(0, 2).Draw(t, "appointments") {
		p.Appointments = append(p.Appointments, people.ProjectedAppointment{Start: drawTime(t) + 500_000})
	}
	for range rapid.IntRange(0, 2).Draw(t, "consents") {
		p.Consents = append(p.Consents, people.ProjectedConsent{
			Name:  rapid.SampledFrom([]string{"topic:recalls", "channel:email", "commercial", "fundraising"}).Draw(t, "consent"),
			State: rapid.SampledFrom([]string{"given", "given", "refused", "revoked", "expired"}).Draw(t, "state"),
			Until: int32(rapid.SampledFrom([]int64{0, now.Unix()/86400 - 1, now.Unix() / 86400, now.Unix()/86400 + 1}).Draw(t, "until")),
		})
	}
	if rapid.Bool().Draw(t, "custom") {
		p.Custom = map[string]string{"team": word("red", "Red", "blue")}
	}
	return p
}

// TestThreeEvaluatorsAgree: the planner over everyone, the evaluator of one person and the naive reading say the same of random
// people under random rules, with people in the base, beside it, replaced, gone and with holes between them.
func TestThreeEvaluatorsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := drawAsked(t)
		var changes []audience.Change
		now := map[uint32]audience.Change{}
		draw := func(n int) {
			for range n {
				c := audience.Change{Ordinal: uint32(rapid.IntRange(0, 200).Draw(t, "ordinal")), Person: id.New[id.Person]()}
				if old, ok := now[c.Ordinal]; ok {
					c.Person = old.Person
				}
				if rapid.IntRange(0, 9).Draw(t, "gone") > 0 {
					c.Projection = drawPerson(t)
				}
				changes = append(changes, c)
				now[c.Ordinal] = c
			}
		}
		draw(rapid.IntRange(0, 12).Draw(t, "in the base"))
		first := map[uint32]audience.Change{}
		for o, c := range now {
			first[o] = c
		}
		x, err := audience.NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
			for _, c := range first {
				if c.Projection != nil {
					add(c.Person, c.Ordinal, c.Projection)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			changes = nil
			draw(rapid.IntRange(0, 6).Draw(t, "changed"))
			x.Apply(changes)
			for range 3 {
				checkAgainst(t, x.View(), asked, now, drawRule(t, 3))
			}
			x.Settle()
			for range 2 {
				checkAgainst(t, x.View(), asked, now, drawRule(t, 3))
			}
		}
	})
}

func checkAgainst(t *rapid.T, v *audience.View, asked audience.Asked, now map[uint32]audience.Change, r audience.Rule) {
	q, err := audience.Prepare(r, asked)
	if err != nil {
		t.Fatal(err)
	}
	a := v.Ask(q)
	matched := map[uint32]bool{}
	for _, o := range a.Ordinals() {
		matched[o] = true
	}
	ids := map[id.Person]bool{}
	for _, p := range a.IDs() {
		ids[p] = true
	}
	people, unknown := 0, 0
	for o, c := range now {
		if c.Projection == nil {
			if matched[o] {
				t.Fatalf("%s matches one who is gone", audience.Text(r))
			}
			continue
		}
		one, want := q.Person(c.Projection), naive{asked, c.Projection}.person(r)
		if one != want {
			t.Fatalf("%s\nevaluator %s, naive %s of %+v", audience.Text(r), one, want, *c.Projection)
		}
		if c.Projection.Kind != 3 {
			people++
		}
		if want == audience.Unknown {
			unknown++
		}
		if matched[o] != (want == audience.True) || ids[c.Person] != matched[o] {
			t.Fatalf("%s\nplanner %v (id %v), naive %s of %+v", audience.Text(r), matched[o], ids[c.Person], want, *c.Projection)
		}
		if got := q.Explain(c.Projection).Result; got != want.String() {
			t.Fatalf("%s explained as %s", audience.Text(r), got)
		}
	}
	if a.People != people || a.Unknown != unknown || a.Matched != len(matched) || len(ids) != len(matched) {
		t.Fatalf("%s: %d people, %d unknown, want %d and %d", audience.Text(r), a.People, a.Unknown, people, unknown)
	}
	out := v.LeftOut(q)
	if out.People != people || out.Unknown != unknown || out.Matched != len(matched) {
		t.Fatalf("%s: left out %+v", audience.Text(r), out)
	}
}

// TestRandomRulesRoundTrip: every tree has one text and one JSON, and both lead back to it.
func TestRandomRulesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t, 8)
		text := audience.Text(r)
		back, err := audience.Parse(text)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := audience.Decode(audience.Encode(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%s: %v", audience.Encode(r), err)
		}
	})
}
