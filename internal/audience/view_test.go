package audience_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

func indexOf(t testing.TB, list ...*people.Projection) *audience.Index {
	t.Helper()
	x, err := audience.NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
		for i, p := range list {
			add(personOf(i), uint32(i), p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func question(t testing.TB, text string) *audience.Question {
	t.Helper()
	q, err := audience.Prepare(mustParse(t, text), audience.Asked{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestLeftOut: who is kept out by one condition alone is counted there, apart from those of whom it is not known; who fails two is
// in no group.
func TestLeftOut(t *testing.T) {
	woman := func(year int16, language string) *people.Projection {
		return &people.Projection{Kind: people.KindPatient, Sex: people.SexFemale, Birth: people.Date{Year: year, Month: 1, Day: 1}, Language: language}
	}
	man := woman(1950, "en")
	man.Sex = people.SexMale
	refuses := woman(1950, "en")
	refuses.Consents = []people.ProjectedConsent{{Name: "channel:email", State: "refused"}}
	x := indexOf(t, woman(1950, "en"), woman(1950, "es"), woman(1950, ""), woman(2000, "en"), woman(0, "en"), woman(2000, "fr"), man, refuses)
	out := x.View().LeftOut(question(t, "sex = female and age >= 50 and not language = es and opt_out = false"))
	want := audience.LeftOut{People: 8, Matched: 1, Unknown: 2, Reasons: []audience.Reason{
		{Leaf: "sex = female", Failed: 1, Some: []id.Person{personOf(6)}},
		{Leaf: "age >= 50", Failed: 2, Unknown: 1, Missing: "no birth date on record", Some: []id.Person{personOf(3), personOf(4), personOf(5)}},
		{Leaf: "language = es", Negated: true, Failed: 1, Unknown: 1, Missing: "no language on record", Some: []id.Person{personOf(1), personOf(2)}},
		{Leaf: "opt_out = false", Failed: 1, Some: []id.Person{personOf(7)}},
	}}
	if got, want := fmt.Sprintf("%+v", out), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestSegmentsInRules(t *testing.T) {
	chain := map[string]audience.Rule{"s0": audience.Everyone{}}
	for i := 1; i < 30; i++ {
		chain[fmt.Sprintf("s%d", i)] = audience.All{audience.Segment{Name: fmt.Sprintf("s%d", i-1)}, audience.Segment{Name: fmt.Sprintf("s%d", i-1)}}
	}
	circle := map[string]audience.Rule{
		"a": mustParse(t, "everyone and in segment b"), "b": mustParse(t, "not in segment c"), "c": mustParse(t, "in segment a or everyone"), "self": audience.Segment{Name: "self"},
	}
	for _, c := range []struct {
		rule     string
		segments map[string]audience.Rule
		code     fault.Code
		words    string
	}{
		{"in segment s5", chain, "", ""},
		{"in segment s14", chain, fault.TooLarge, "more than 5000 conditions"}, // 2^14 of them
		{"in segment s29", chain, fault.TooLarge, "more than 16 deep"},
		{"in segment a", circle, fault.Invalid, "a > b > c > a"},
		{"in segment self", circle, fault.Invalid, "self > self"},
		{"in segment s4x", chain, fault.NotFound, "did you mean s4?"},
		{"condition in @valueset:x", chain, fault.NotFound, "value set in the rule does not exist"},
		{"zip in @valueset:x", chain, fault.NotFound, "value set in the rule does not exist"},
	} {
		_, err := audience.Prepare(mustParse(t, c.rule), audience.Asked{Now: now, Segments: c.segments})
		if fault.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.rule, err)
		}
	}
}

// TestReadersDoNotWait: answers stay whole while people change and bases are made (the race detector looks on).
func TestReadersDoNotWait(t *testing.T) {
	one := func(female bool) *people.Projection {
		p := &people.Projection{Kind: people.KindPatient, Sex: people.SexMale, Events: []people.ProjectedEvents{{Kind: "x.y", First: 5, Last: 5}}}
		if female {
			p.Sex = people.SexFemale
		}
		return p
	}
	x := indexOf(t, one(true), one(false))
	women, everyone := question(t, "sex = female"), question(t, "sex = female or sex = male")
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := x.View()
				a, b := v.Ask(women), v.Ask(everyone)
				if a.Matched*2 != b.Matched || b.Matched != b.People || len(a.IDs()) != a.Matched {
					t.Errorf("%d women of %d people", a.Matched, b.People)
					return
				}
				v.LeftOut(women)
			}
		})
	}
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				x.Settle()
			}
		}
	})
	for round := range 300 {
		var changes []audience.Change
		for i := range 10 { // always as many women as men, some of them new
			o := uint32(2 * ((round*7 + i*3) % 900))
			changes = append(changes, audience.Change{Person: personOf(int(o)), Ordinal: o, Projection: one(i%2 == 0)},
				audience.Change{Person: personOf(int(o + 1)), Ordinal: o + 1, Projection: one(i%2 == 1)})
		}
		x.Apply(changes)
	}
	close(stop)
	work.Wait()
	if x.Settle(); x.Due() {
		t.Error("people still wait")
	}
}

// TestLeapDays: ages and lengths of time at the ends of months, and dates that are known in part.
func TestLeapDays(t *testing.T) {
	born := func(y int16, m, d uint8) *people.Projection {
		return &people.Projection{Kind: people.KindPatient, Birth: people.Date{Year: y, Month: m, Day: d}}
	}
	for _, c := range []struct {
		today string
		birth *people.Projection
		rule  string
		want  audience.Truth
	}{
		{"2026-02-28", born(2000, 2, 29), "age = 25", yes}, // 26 on 1 March
		{"2026-03-01", born(2000, 2, 29), "age = 26", yes},
		{"2028-02-29", born(2000, 2, 29), "age = 28", yes},
		{"2028-02-29", born(2027, 3, 1), "age = 0", yes},
		{"2028-02-29", born(2027, 2, 28), "age = 1", yes},
		{"2026-11-24", born(1976, 11, 24), "age >= 50", yes},
		{"2026-11-24", born(1976, 11, 25), "age >= 50", no},
		{"2026-11-24", born(1976, 0, 0), "age >= 50", unknown},
		{"2026-11-24", born(1976, 11, 0), "age >= 50", unknown},
		{"2026-11-24", born(1976, 10, 0), "age >= 50", yes},
		{"2026-11-24", born(1975, 0, 0), "age >= 50", yes},
		{"2026-11-24", born(1977, 0, 0), "not age >= 50", yes},
		{"2026-11-24", born(2027, 1, 1), "age < 50", unknown}, // an error of the source
		{"2026-05-31", born(2026, 2, 28), "birth_date older than 3m", yes},
		{"2026-05-31", born(2026, 3, 1), "birth_date within 3m", yes},
	} {
		at, err := time.Parse(time.DateOnly, c.today)
		if err != nil {
			t.Fatal(err)
		}
		asked := audience.Asked{Now: at.Add(12 * time.Hour)}
		q, err := audience.Prepare(mustParse(t, c.rule), asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Person(c.birth); got != c.want {
			t.Errorf("%s of %v on %s: %s", c.rule, c.birth.Birth, c.today, got)
		}
		if got := (naive{audience.Asked{Now: asked.Now, Zone: time.UTC}, c.birth}).person(mustParse(t, c.rule)); got != c.want {
			t.Errorf("naive: %s of %v on %s: %s", c.rule, c.birth.Birth, c.today, got)
		}
	}
}

// TestZone: the same moment is two dates; birthdays and visits go by the organisation's.
func TestZone(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	p := &people.Projection{Kind: people.KindPatient, Birth: people.Date{Year: 1976, Month: 11, Day: 24}}
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC) // the evening of the 23rd there
	for zone, want := range map[*time.Location]audience.Truth{time.UTC: yes, chicago: no} {
		q, err := audience.Prepare(mustParse(t, "age >= 50"), audience.Asked{Now: at, Zone: zone})
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Person(p); got != want {
			t.Errorf("%s: %s", zone, got)
		}
	}
}

// TestResults: comparators, units and time of laboratory results.
func TestResults(t *testing.T) {
	for _, c := range []struct {
		comparator, unit string
		value            float64
		rule             string
		want             audience.Truth
	}{
		{"", "%", 8.1, "latest lab loinc:4548-4 >= 8.0", yes},
		{"", "%", 8, "latest lab loinc:4548-4 >= 8.0 %", yes},
		{"", "%", 7.9, "latest lab loinc:4548-4 >= 8.0 %", no},
		{"", "mmol/mol", 64, "latest lab loinc:4548-4 >= 8.0 %", unknown},
		{"", "mg/dl", 130, "latest lab loinc:4548-4 < 126 mg/dL", no},
		{">", "%", 14, "latest lab loinc:4548-4 >= 8.0", yes},
		{">", "%", 14, "latest lab loinc:4548-4 > 14", yes},
		{">", "%", 14, "latest lab loinc:4548-4 >= 20", unknown},
		{">", "%", 14, "latest lab loinc:4548-4 <= 14", no},
		{"<", "%", 4, "latest lab loinc:4548-4 < 4", yes},
		{"<", "%", 4, "latest lab loinc:4548-4 = 4", no},
		{"<=", "%", 4, "latest lab loinc:4548-4 = 4", unknown},
		{"~", "%", 4, "latest lab loinc:4548-4 = 4", unknown},
		{"", "%", 9, "latest lab loinc:4548-4 >= 8 within 3d", unknown},
		{"", "%", 9, "latest lab loinc:4548-4 exists", yes},
		{"", "%", 9, "latest lab loinc:2345-7 exists", unknown}, // no feed says that it delivers all
	} {
		p := &people.Projection{Kind: people.KindPatient, Labs: []people.ProjectedLab{{
			System: "loinc", Code: "4548-4", Comparator: c.comparator, Unit: c.unit, Value: c.value, At: now.Unix() - 4*86400,
		}}}
		q := question(t, c.rule)
		if got := q.Person(p); got != c.want {
			t.Errorf("%s%v %s: %s is %s, want %s", c.comparator, c.value, c.unit, c.rule, got, c.want)
		}
		a := indexOf(t, p).View().Ask(q)
		if (a.Matched == 1) != (c.want == yes) || (a.Unknown == 1) != (c.want == unknown) {
			t.Errorf("planner: %s%v %s: %s: %+v", c.comparator, c.value, c.unit, c.rule, a.Matched)
		}
	}
}

// TestEdges: a window begins just after its far end and ends with the moment of asking, to the second.
func TestEdges(t *testing.T) {
	const d = 86400
	ago := func(kind string, seconds ...int64) people.ProjectedEvents {
		e := people.ProjectedEvents{Kind: kind}
		for _, s := range seconds {
			e.Times = append(e.Times, now.Unix()-s)
		}
		return e
	}
	missed := func(booked int64) []people.ProjectedEvents {
		return []people.ProjectedEvents{ago("email.missed", 30*d), ago("email.booked", booked)} // email.* is always complete
	}
	opened := func(seconds ...int64) []people.ProjectedEvents {
		return []people.ProjectedEvents{ago("email.opened", seconds...)}
	}
	for _, c := range []struct {
		rule   string
		events []people.ProjectedEvents
		want   audience.Truth
	}{
		{"count email.opened = 1 in 90d", opened(90 * d), no},
		{"count email.opened = 1 in 90d", opened(90*d - 1), yes},
		{"count email.opened = 1 in 90d", opened(0), yes},
		{"count email.opened = 1 in 90d", opened(-1), no},
		{"count email.opened = 0 in 90d", opened(90*d, -1), yes},
		{"count email.opened >= 2 in 90d", opened(5, 5), yes}, // two in one second are two
		{"count email.opened > 2 in 90d", opened(5, 5), no},
		{"count email.opened <= 2 in 90d", opened(5, 5), yes},
		{"count email.opened != 3 in 90d", opened(5, 6, 7), no},
		{"count email.opened >= 4 in 90d", opened(5, 6, 7, 8), yes},
		{"last email.opened within 90d", opened(90 * d), no},
		{"last email.opened within 90d", opened(90*d - 1), yes},
		{"last email.opened older than 90d", opened(90 * d), yes},
		{"last email.opened older than 90d", opened(90*d - 1), no},
		{"last email.opened older than 90d", nil, no},
		{"not last email.opened within 90d", nil, yes},
		{"never email.opened", opened(-1), yes}, // not yet
		{"never email.opened", opened(0), no},
		{"email.missed not followed by email.booked within 14d in 60d", missed(30 * d), yes}, // at the same second is not after
		{"email.missed not followed by email.booked within 14d in 60d", missed(30*d - 1), no},
		{"email.missed not followed by email.booked within 14d in 60d", missed(16 * d), no}, // the last second of the 14 days
		{"email.missed not followed by email.booked within 14d in 60d", missed(16*d - 1), yes},
		{"email.missed followed by email.booked within 14d in 60d", missed(16 * d), yes},
		{"email.missed followed by email.booked within 14d in 60d", missed(16*d - 1), no},
		{"email.missed not followed by email.booked within 14d in 30d", missed(0), no}, // the miss itself is out of the window
		{"email.missed not followed by email.booked within 30d in 60d", missed(0), no},
		{"email.missed not followed by email.booked within 5w in 60d", missed(-1), yes}, // a booking to come is not known
	} {
		checkOne(t, c.rule, &people.Projection{Kind: people.KindPatient, Events: c.events}, c.want)
	}
	for _, c := range []struct {
		rule  string
		ahead int64
		want  audience.Truth
	}{
		{"appointment booked in future", 1, yes},
		{"appointment booked in future", 0, unknown},
		{"appointment booked within 14d", 14 * d, yes},
		{"appointment booked within 14d", 14*d + 1, unknown},
	} {
		checkOne(t, c.rule, &people.Projection{Kind: people.KindPatient, Appointments: []people.ProjectedAppointment{{Start: now.Unix() + c.ahead}}}, c.want)
	}
	for ago, want := range map[int64]audience.Truth{90 * d: unknown, 90*d - 1: yes, 0: yes, -1: unknown} {
		p := &people.Projection{Kind: people.KindPatient, Labs: []people.ProjectedLab{{System: "loinc", Code: "4548-4", Value: 9, At: now.Unix() - ago}}}
		checkOne(t, "latest lab loinc:4548-4 > 8 within 90d", p, want)
	}
}

// checkOne holds the three evaluators against what is right.
func checkOne(t *testing.T, rule string, p *people.Projection, want audience.Truth) {
	t.Helper()
	q := question(t, rule)
	if got := q.Person(p); got != want {
		t.Errorf("%s of %+v: %s, want %s", rule, *p, got, want)
	}
	if got := (naive{audience.Asked{Now: now, Zone: time.UTC}, p}).person(mustParse(t, rule)); got != want {
		t.Errorf("naive: %s of %+v: %s, want %s", rule, *p, got, want)
	}
	if a := indexOf(t, p).View().Ask(q); (a.Matched == 1) != (want == yes) || (a.Unknown == 1) != (want == unknown) {
		t.Errorf("planner: %s of %+v: %d matched, %d unknown, want %s", rule, *p, a.Matched, a.Unknown, want)
	}
}
