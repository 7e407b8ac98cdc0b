package law_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/law"
)

var today = law.On(2026, time.November, 24)

// TestNumbers: the numbers that the gate and the documents use, each on the day of the act.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name string
		id   string
		at   law.Date
		want int
	}{
		{"15 USC 7704(a)(4)(A): an opt-out is honoured within ten business days", law.OptOut, today, 10},
		{"15 USC 7704(a)(3)(A)(ii): the opt-out works for thirty days", law.OptOutLink, today, 30},
		{"HHS FAQ 1516: a refill reminder may speak of what lapsed ninety days ago", law.RefillLapse, today, 90},
		{"45 CFR 164.316(b)(2)(i): six years", law.RetentionSecurity, today, 6},
		{"45 CFR 164.530(j)(2): six years", law.RetentionPrivacy, today, 6},
		{"45 CFR 164.524(b)(2)(i): access in thirty days", law.Access, today, 30},
		{"45 CFR 164.524(b)(2)(ii): and thirty more", law.AccessExtension, today, 30},
		{"45 CFR 164.404(b): sixty days", law.BreachIndividuals, today, 60},
		{"45 CFR 164.410(b): sixty days", law.BreachAssociate, today, 60},
		{"45 CFR 164.406(a): more than 500 residents", law.BreachMedia, today, 500},
		{"47 CFR 64.1200(a)(9)(iv)(F): one a day", law.TextExemptDay, today, 1},
		{"47 CFR 64.1200(a)(9)(iv)(F): three a week", law.TextExemptWeek, today, 3},
		{"47 CFR 64.1200(a)(9)(iv)(E): 160 characters", law.TextExemptChars, today, 160},
		{"47 CFR 64.1200(a)(10): ten business days since 11 Apr 2025", law.TextRevocation, law.On(2025, time.April, 11), 10},
		{"and no number the day before", law.TextRevocation, law.On(2025, time.April, 10), 0},
		{"a breach before the rule has no clock", law.BreachIndividuals, law.On(2009, time.September, 22), 0},
		{"a proposal is no number", "nprm.leaver", today, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := law.Embedded().Number(c.id, c.at); got != c.want {
				t.Errorf("%s on %s: %d, want %d", c.id, c.at, got, c.want)
			}
		})
	}
}

// TestIDsHaveRows: code asks for no row that is not there.
func TestIDsHaveRows(t *testing.T) {
	have := map[string]bool{}
	for _, r := range law.Embedded().Rows() {
		have[r.ID] = true
	}
	for _, id := range []string{
		law.OptOut, law.OptOutLink, law.RefillLapse, law.RetentionSecurity, law.RetentionPrivacy, law.Access, law.AccessExtension, law.AccountingPeriod,
		law.Part2Consent, law.BreachIndividuals, law.BreachAssociate, law.BreachMedia, law.BreachHHS, law.BreachState, law.TextWindow, law.TextExemptChars,
		law.TextExemptDay, law.TextExemptWeek, law.TextRevocation, law.TextSolicitPerDay, law.TextRevokeAll, law.ReproductiveRule, law.OneToOneConsent,
		law.MinorAge, law.ConsumerHealthData,
	} {
		if !have[id] {
			t.Errorf("no row %s", id)
		}
	}
}

// TestStatus: a rule that was vacated, delayed or only proposed does not bind, and still shows.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name   string
		id     string
		at     law.Date
		status law.Status
	}{
		{"the reproductive health rule bound until 17 Jun 2025", law.ReproductiveRule, law.On(2025, time.June, 17), law.InForce},
		{"Purl v. HHS vacated it on 18 Jun 2025", law.ReproductiveRule, law.On(2025, time.June, 18), law.Vacated},
		{"DA 26-12 delays revoke-all", law.TextRevokeAll, today, law.Delayed},
		{"until 31 Jan 2027", law.TextRevokeAll, law.On(2027, time.January, 31), law.InForce},
		{"IMC v. FCC vacated one-to-one consent", "text.one-to-one", today, law.Vacated},
		{"90 FR 898 is a proposal", "nprm.encryption", today, law.Proposed},
		{"one consent for all of treatment, payment and operations: 16 Apr 2024", law.Part2Consent, law.On(2024, time.April, 16), law.InForce},
	} {
		t.Run(c.name, func(t *testing.T) {
			row, ok := law.Embedded().On(c.id, "", c.at)
			if !ok || row.Status != c.status {
				t.Errorf("%s on %s: %v %q, want %q", c.id, c.at, ok, row.Status, c.status)
			}
			if _, binds := law.Embedded().InForce(c.id, "", c.at); binds != (c.status == law.InForce) {
				t.Errorf("%s on %s binds: %v", c.id, c.at, binds)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, time.November, day, hour, minute, 0, 0, zone)
	}
	for _, c := range []struct {
		name   string
		states []string
		at     time.Time
		open   bool
		next   time.Time
	}{
		{"the federal window opens at eight", nil, at(24, 8, 0), true, at(24, 8, 0)},
		{"and not a minute before", nil, at(24, 7, 59), false, at(24, 8, 0)},
		{"and closes at nine", nil, at(24, 21, 0), false, at(25, 8, 0)},
		{"Florida closes at eight", []string{"FL"}, at(24, 20, 30), false, at(25, 8, 0)},
		{"Connecticut opens at nine", []string{"CT"}, at(24, 8, 30), false, at(24, 9, 0)},
		{"Texas waits for noon on Sunday", []string{"TX"}, at(29, 9, 0), false, at(29, 12, 0)},
		{"Alabama has no Sunday", []string{"AL"}, at(29, 12, 0), false, at(30, 8, 0)},
		{"Rhode Island ends at five on Saturday", []string{"RI"}, at(28, 17, 0), false, at(29, 10, 0)},
		{"two states take the narrower of both", []string{"KY", "CT"}, at(24, 9, 30), false, at(24, 10, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := law.Embedded().Window(law.Day(c.at), c.states...)
			if w.Open(c.at) != c.open {
				t.Errorf("open %v", !c.open)
			}
			if got := w.Next(c.at); !got.Equal(c.next) {
				t.Errorf("next %v, want %v", got, c.next)
			}
		})
	}
	if got := (law.Week{}).Next(at(24, 12, 0)); !got.IsZero() {
		t.Errorf("a closed week opens at %v", got)
	}
}

func TestBusinessDays(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  law.Date
		days  int
		where string
		want  law.Date
	}{
		{"the day of receipt does not count", law.On(2026, time.November, 2), 1, "", law.On(2026, time.November, 3)},
		{"ten business days over Veterans Day and Thanksgiving", law.On(2026, time.November, 10), 12, "", law.On(2026, time.November, 30)},
		{"a Saturday's receipt begins on Monday", law.On(2026, time.November, 14), 1, "", law.On(2026, time.November, 16)},
		{"Independence Day 2026, a Saturday, is kept on Friday", law.On(2026, time.July, 2), 1, "", law.On(2026, time.July, 6)},
		{"Christmas 2027, a Saturday, is kept on Friday", law.On(2027, time.December, 23), 1, "", law.On(2027, time.December, 27)},
		{"New Year's Day 2028, a Saturday, is kept on the last day of 2027", law.On(2027, time.December, 30), 1, "", law.On(2028, time.January, 3)},
		{"California rests on 31 March", law.On(2026, time.March, 30), 1, "CA", law.On(2026, time.April, 1)},
		{"others do not", law.On(2026, time.March, 30), 1, "", law.On(2026, time.March, 31)},
		{"no days, no move", law.On(2026, time.July, 4), 0, "", law.On(2026, time.July, 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := law.Embedded().AddBusinessDays(c.from, c.days, c.where); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	year := 0
	for d := law.On(2026, time.January, 1); d <= law.On(2026, time.December, 31); d++ {
		if law.FederalHoliday(d) != "" {
			year++
		}
	}
	if year != 11 {
		t.Errorf("%d federal holidays in 2026, want 11", year)
	}
}

// TestLoad: a law file replaces the table when it is signed by the right key, no older, and lacks no row.
func TestLoad(t *testing.T) {
	secret, public, err := note.GenerateKey(rand.Reader, "law.example")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := note.GenerateKey(rand.Reader, "law.example")
	if err != nil {
		t.Fatal(err)
	}
	sign := func(t *testing.T, text, key string) []byte {
		t.Helper()
		s, err := note.NewSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	embedded, err := os.ReadFile("law.json")
	if err != nil {
		t.Fatal(err)
	}
	good := string(embedded)
	newer := strings.Replace(good, `"as_of": "`+law.Embedded().AsOf().String(), `"as_of": "2027-02-01`, 1)
	for _, c := range []struct {
		name string
		data []byte
		key  string
		code fault.Code
	}{
		{"the table of today", sign(t, good, secret), public, ""},
		{"a newer one", sign(t, newer, secret), public, ""},
		{"an older one", sign(t, strings.Replace(good, `"as_of": "`+law.Embedded().AsOf().String(), `"as_of": "2025-01-01`, 1), secret), public, fault.Conflict},
		{"a foreign key", sign(t, good, other), public, fault.Invalid},
		{"no signature", []byte(good), public, fault.Invalid},
		{"a changed number", []byte(strings.Replace(string(sign(t, good, secret)), `"value": "90"`, `"value": "99"`, 1)), public, fault.Invalid},
		{"no key at all", sign(t, good, secret), "nonsense", fault.Invalid},
		{"rows left out", sign(t, "{\"as_of\":\"2027-01-01\",\"rows\":[]}\n", secret), public, fault.Invalid},
		{"an unknown field", sign(t, "{\"as_of\":\"2027-01-01\",\"rows\":[],\"extra\":1}\n", secret), public, fault.Invalid},
		{"two documents", sign(t, good+"{}\n", secret), public, fault.Invalid},
		{"too much", make([]byte, 5<<20), public, fault.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := law.Load(c.data, c.key)
			if fault.CodeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if err == nil && (table.Signer() != "law.example" || len(table.Rows()) != len(law.Embedded().Rows())) {
				t.Errorf("signer %q, %d rows", table.Signer(), len(table.Rows()))
			}
		})
	}
}

// TestRowsRefused: a row that no question could use does not load.
func TestRowsRefused(t *testing.T) {
	secret, public, err := note.GenerateKey(rand.Reader, "law.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(r *law.Row)
	}{
		{"no id", func(r *law.Row) { r.ID = "" }},
		{"an id in capitals", func(r *law.Row) { r.ID = "Text" }},
		{"a state that is none", func(r *law.Row) { r.Where = "Texas" }},
		{"no citation", func(r *law.Row) { r.Cite = " " }},
		{"no source", func(r *law.Row) { r.Source = "" }},
		{"no beginning", func(r *law.Row) { r.From = 0 }},
		{"an end before the beginning", func(r *law.Row) { r.To = r.From - 1 }},
		{"an unknown status", func(r *law.Row) { r.Status = "likely" }},
		{"an unknown unit", func(r *law.Row) { r.Unit = "fortnight" }},
		{"words for a number", func(r *law.Row) { r.Value = "ten" }},
		{"a sign", func(r *law.Row) { r.Value = "-1" }},
		{"a window that is none", func(r *law.Row) { r.Unit, r.Value = law.UnitWindow, "8-21" }},
		{"a rule without a word", func(r *law.Row) { r.Unit, r.Value = law.UnitRule, "" }},
		{"a second row for the same days", func(r *law.Row) { r.ID, r.Where = law.Access, "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := law.Row{ID: "x", Cite: "x", Subject: "x", Value: "1", Unit: law.Count, From: today, AsOf: today, Status: law.InForce, Source: "x"}
			c.change(&bad)
			text, err := json.Marshal(map[string]any{"as_of": "2027-01-01", "rows": append(law.Embedded().Rows(), bad)})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := law.Load(signed, public); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestWeekRoundTrip: what a week says of itself reads back as the same week.
func TestWeekRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w law.Week
		for d := range w {
			if rapid.Bool().Draw(t, "open") {
				w[d].From = rapid.IntRange(0, 1438).Draw(t, "from")
				w[d].To = rapid.IntRange(w[d].From+1, 1440).Draw(t, "to")
			}
		}
		if w == (law.Week{}) {
			return
		}
		got, err := law.ParseWeek(w.String())
		if err != nil || got != w {
			t.Fatalf("%q: %v %v", w, got, err)
		}
		if w.Narrow(w) != w || w.Narrow(law.AlwaysOpen()) != w {
			t.Fatal("narrowing by itself or by all changes it")
		}
	})
}

// TestStatesHaveRows: the states with hours of their own, and that no number rests on an unread state source without saying so.
func TestStatesHaveRows(t *testing.T) {
	var states []string
	for _, r := range law.Embedded().Rows() {
		if r.ID == law.TextWindow && r.Where != "" {
			states = append(states, r.Where)
		}
		if r.AsOf > law.Embedded().AsOf() {
			t.Errorf("row %s %s is younger than the table", r.ID, r.Where)
		}
	}
	if want := strings.Fields("AL CT FL KY LA MA MD MI MN MS NJ NM OK RI TX"); !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

func FuzzParseWeek(f *testing.F) {
	f.Add("mon-fri 09:00-18:00; sat-sun 10:00-17:00")
	f.Add("08:00-21:00")
	f.Add("fri-mon 00:00-24:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := law.ParseWeek(text)
		if err != nil {
			return
		}
		if again, err := law.ParseWeek(w.String()); err != nil || again != w {
			t.Errorf("%q gives %q, which gives %v %v", text, w, again, err)
		}
	})
}
