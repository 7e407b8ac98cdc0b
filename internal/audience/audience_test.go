package audience_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/people/crowd"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// house is a store with people in it and the audience over them.
type house struct {
	t     *testing.T
	st    *store.Store
	keys  *seal.Keys
	led   *ledger.Ledger
	ppl   *people.People
	aud   *audience.Audience
	scope id.Scope
}

func newHouse(t *testing.T, st *store.Store) *house {
	keys, led := caretest.Ground(t, st)
	ppl := people.New(st, keys, led)
	h := &house{t: t, st: st, keys: keys, led: led, ppl: ppl, scope: id.Scope{Organisation: 1, Actor: id.Operator(1000)}}
	h.aud = h.fresh()
	return h
}

// fresh is the audience of a process that has just started.
func (h *house) fresh() *audience.Audience {
	return audience.New(audience.Options{Store: h.st, Keys: h.keys, Ledger: h.led, People: h.ppl})
}

func (h *house) write(fn func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	if err := h.st.Write(h.t.Context(), h.scope, fn); err != nil {
		h.t.Fatal(err)
	}
}

// person writes someone with a condition, as a feed would.
func (h *house) person(subject string, sex people.Sex, codes ...string) id.Person {
	h.t.Helper()
	c := people.Change{
		Source: "ehr", Subject: "Patient/" + subject, Active: true,
		Profile: &people.Core{Kind: people.KindPatient, Sex: sex, Birth: people.Date{Year: 1970, Month: 5, Day: 2}, Languages: []string{"en"}},
	}
	for i, code := range codes {
		c.Facts = append(c.Facts, people.Fact{
			Kind: people.FactCondition, State: people.StateActive, Source: "ehr", Resource: fmt.Sprintf("Condition/%s-%d", subject, i),
			Codes: []people.Code{{System: "icd10cm", Code: code}},
		})
	}
	var found []id.Person
	h.write(func(ctx context.Context, tx *store.Tx) error {
		if _, err := h.ppl.Apply(ctx, tx, []people.Change{c}, id.Import{}); err != nil {
			return err
		}
		var err error
		found, err = h.ppl.BySubject(ctx, tx, "ehr", "Patient/"+subject)
		return err
	})
	if len(found) != 1 {
		h.t.Fatalf("%d people with the subject", len(found))
	}
	return found[0]
}

func (h *house) list(a *audience.Audience, text string) []id.Person {
	h.t.Helper()
	list, err := a.List(h.t.Context(), h.scope, audience.Query{Rule: mustParse(h.t, text)})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func (h *house) expect(a *audience.Audience, text string, want ...id.Person) {
	h.t.Helper()
	if got := h.list(a, text); !slices.Equal(got, want) {
		h.t.Errorf("%s: %v, want %v", text, got, want)
	}
}

// TestFollows: what is written about people is in the next answer, in a running process and in one that starts anew.
func TestFollows(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		h := newHouse(t, st)
		ann := h.person("ann", people.SexFemale, "E1165")
		h.expect(h.aud, "condition icd10:E11.*", ann)

		bob := h.person("bob", people.SexMale, "E119", "I10")
		caught := func(a *audience.Audience) {
			t.Helper()
			if err := a.CaughtUp(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		caught(h.aud)
		h.expect(h.aud, "condition icd10:E11.*", ann, bob)
		h.expect(h.aud, "condition icd10:E11.* and sex = female", ann)
		h.expect(h.aud, "condition icd10:I10", bob)
		h.expect(h.fresh(), "condition icd10:E11.*", ann, bob)

		h.write(func(ctx context.Context, tx *store.Tx) error {
			return h.ppl.AddEvents(ctx, tx, ann, []people.Event{{Kind: "email.opened", At: tx.Now.Add(-time.Hour), Source: "carepost", Key: "1"}})
		})
		caught(h.aud)
		h.expect(h.aud, "count email.opened >= 1 in 90d", ann)
		h.expect(h.aud, "count email.opened = 0 in 90d", bob) // our own events are always complete

		h.write(func(ctx context.Context, tx *store.Tx) error { return h.ppl.Merge(ctx, tx, bob, ann) })
		caught(h.aud)
		for _, a := range []*audience.Audience{h.aud, h.fresh()} {
			h.expect(a, "everyone", ann)
			h.expect(a, "condition icd10:I10", ann) // bob's record is hers now
		}
		h.write(func(ctx context.Context, tx *store.Tx) error { return h.ppl.Unmerge(ctx, tx, bob) })
		caught(h.aud)
		h.expect(h.aud, "condition icd10:I10", bob)

		other := id.Scope{Organisation: 2}
		if n, err := h.aud.Count(t.Context(), other, audience.Query{Rule: audience.Everyone{}}); err != nil || n.People != 0 {
			t.Errorf("another organisation sees %d people: %v", n.People, err)
		}
	})
}

// TestAbsenceNeedsAFreshFeed: nobody is known not to have come until a feed says that it delivers all visits, nor once it is silent.
func TestAbsenceNeedsAFreshFeed(t *testing.T) {
	h := newHouse(t, caretest.Open(t))
	ann := h.person("ann", people.SexFemale)
	h.expect(h.aud, "never appointment.kept")
	out, err := h.aud.LeftOut(t.Context(), h.scope, audience.Query{Rule: mustParse(t, "sex = female and never appointment.kept")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Reasons) != 1 || out.Reasons[0].Unknown != 1 || out.Reasons[0].Missing != "no complete and fresh feed for appointment.kept" || out.Unknown != 1 {
		t.Errorf("%+v", out)
	}
	h.write(func(ctx context.Context, tx *store.Tx) error {
		return h.ppl.Heartbeat(ctx, tx, "ehr", []string{"appointment.*"})
	})
	h.expect(h.aud, "never appointment.kept", ann)
	later, err := h.aud.Count(t.Context(), h.scope, audience.Query{Rule: mustParse(t, "never appointment.kept"), At: time.Now().Add(100 * time.Hour)})
	if err != nil || later.Matched != 0 || later.Unknown != 1 {
		t.Errorf("a feed that is silent for days: %+v %v", later, err)
	}
}

// TestWhy: the reasons come with the data, leave a view in the ledger, and do not print themselves.
func TestWhy(t *testing.T) {
	h := newHouse(t, caretest.Open(t))
	ann := h.person("ann", people.SexFemale, "E1165")
	e, err := h.aud.Why(t.Context(), h.scope, audience.Query{Rule: mustParse(t, "condition icd10:E11.* and not language = es"), At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}, ann)
	if err != nil {
		t.Fatal(err)
	}
	if e.Result != "true" || len(e.Parts) != 2 || e.Parts[0].Because != "icd10:E11.65" || e.Parts[1].Parts[0].Because != "language is en" {
		t.Errorf("%#v", e.Parts[0].Because)
	}
	for _, text := range []string{fmt.Sprint(e), fmt.Sprintf("%v %+v %#v %s", e, e, e, e)} {
		if strings.Contains(text, "E11") {
			t.Errorf("prints itself: %s", text)
		}
	}
	_, err = h.aud.Why(t.Context(), h.scope, audience.Query{Rule: audience.Everyone{}}, id.New[id.Person]())
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestSegments(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		h := newHouse(t, st)
		ann := h.person("ann", people.SexFemale, "E1165")
		h.person("bob", people.SexMale)
		var women, both audience.Saved
		h.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if women, err = h.aud.Create(ctx, tx, "women", "all of them", mustParse(t, "sex = female")); err != nil {
				return err
			}
			both, err = h.aud.Create(ctx, tx, "women with diabetes", "", mustParse(t, "in segment women and condition in @valueset:diabetes"))
			return err
		})
		h.expect(h.aud, `in segment "women with diabetes"`, ann)

		refuse := func(code fault.Code, words string, fn func(ctx context.Context, tx *store.Tx) error) {
			t.Helper()
			err := st.Write(t.Context(), h.scope, fn)
			if !fault.Is(err, code) || !strings.Contains(err.Error(), words) {
				t.Errorf("%v, want %s with %q", err, code, words)
			}
		}
		refuse(fault.Conflict, "has this name", func(ctx context.Context, tx *store.Tx) error {
			_, err := h.aud.Create(ctx, tx, "women", "", audience.Everyone{})
			return err
		})
		refuse(fault.NotFound, "did you mean women", func(ctx context.Context, tx *store.Tx) error {
			_, err := h.aud.Create(ctx, tx, "x", "", mustParse(t, "in segment womn or in segment women"))
			return err
		})
		refuse(fault.Invalid, "lead back to themselves", func(ctx context.Context, tx *store.Tx) error {
			loop := women
			loop.Rule = mustParse(t, `in segment "women with diabetes"`)
			_, err := h.aud.Update(ctx, tx, loop)
			return err
		})
		refuse(fault.Conflict, "another segment names this one", func(ctx context.Context, tx *store.Tx) error {
			gone := women
			gone.Retired = true
			_, err := h.aud.Update(ctx, tx, gone)
			return err
		})
		refuse(fault.Invalid, "letters, digits", func(ctx context.Context, tx *store.Tx) error {
			_, err := h.aud.Create(ctx, tx, "a\nb", "", audience.Everyone{})
			return err
		})

		h.write(func(ctx context.Context, tx *store.Tx) error {
			before, err := h.aud.Hash(ctx, tx, both.Rule)
			if err != nil {
				return err
			}
			changed := women
			changed.Rule, changed.Note = mustParse(t, "sex = female or sex = other"), "and others"
			changed, err = h.aud.Update(ctx, tx, changed)
			if err != nil {
				return err
			}
			after, err := h.aud.Hash(ctx, tx, both.Rule)
			if err != nil {
				return err
			}
			if before != both.Hash || before == after || changed.Version != 2 {
				t.Errorf("hashes %s, %s, %s of version %d", both.Hash, before, after, changed.Version)
			}
			if _, err := h.aud.Update(ctx, tx, women); !fault.Is(err, fault.Conflict) {
				t.Errorf("a stale version was taken: %v", err)
			}
			first, err := h.aud.SegmentVersion(ctx, tx, women.ID, 1)
			if err != nil || audience.Text(first.Rule) != "sex = female" || first.By != h.scope.Actor {
				t.Errorf("version 1 is %+v: %v", first, err)
			}
			all, err := h.aud.Segments(ctx, tx)
			if err != nil || len(all) != 2 || all[0].Note != "and others" {
				t.Errorf("%+v: %v", all, err)
			}
			return nil
		})
	})
}

func TestValueSets(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		h := newHouse(t, st)
		ann := h.person("ann", people.SexFemale, "E1165")
		bob := h.person("bob", people.SexMale, "I10")
		rule := "condition in @valueset:mine"
		_, err := h.aud.Count(t.Context(), h.scope, audience.Query{Rule: mustParse(t, rule)})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("a set that does not exist: %v", err)
		}
		put := func(members ...string) {
			t.Helper()
			h.write(func(ctx context.Context, tx *store.Tx) error {
				_, err := h.aud.PutValueSet(ctx, tx, "mine", members)
				return err
			})
		}
		put("icd10:e11.*")
		h.expect(h.aud, rule, ann)
		put("icd10:I10", "icd10:I10", "60601")
		h.expect(h.aud, rule, bob)
		h.write(func(ctx context.Context, tx *store.Tx) error {
			all, err := h.aud.ValueSets(ctx, tx)
			if err != nil || len(all) != 1 || all[0].Version != 2 || !slices.Equal(all[0].Members, []string{"icd10:I10", "60601"}) {
				t.Errorf("%+v: %v", all, err)
			}
			_, err = h.aud.PutValueSet(ctx, tx, "mine", []string{"icd10:I10", "idc10:I10"})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("a bad member: %v", err)
			}
			return nil
		})
	})
}

// TestNotes: a slip in a name is told from a rule that matches nobody.
func TestNotes(t *testing.T) {
	h := newHouse(t, caretest.Open(t))
	h.person("ann", people.SexFemale, "E1165")
	n, err := h.aud.Count(t.Context(), h.scope, audience.Query{Rule: mustParse(t, "count emial.opened >= 1 in 90d or condition icd10:Z99.*")})
	want := []string{"nobody has the event emial.opened: did you mean email.opened?", "nobody has one of the codes of: condition icd10:Z99.*"}
	if err != nil || !slices.Equal(n.Notes, want) {
		t.Errorf("%q: %v", n.Notes, err)
	}
}

// TestNothingInClear: names and rules of segments and value sets are not in the database's files.
func TestNothingInClear(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	h := newHouse(t, st)
	h.write(func(ctx context.Context, tx *store.Tx) error {
		if _, err := h.aud.PutValueSet(ctx, tx, "canary-set", []string{"icd10:Q99.9"}); err != nil {
			return err
		}
		_, err := h.aud.Create(ctx, tx, "canary-segment", "canary-note", mustParse(t, "condition in @valueset:canary-set and custom.canary = bird"))
		return err
	})
	if found := caretest.Canary(t, dir, "canary-segment", "canary-note", "canary-set", "custom.canary", "Q99.9"); len(found) > 0 {
		t.Errorf("found in %v", found)
	}
}

// TestInsuranceTurns: a coverage that ends changes the answer on its day, with nothing written.
func TestInsuranceTurns(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time { return at }})
	h := newHouse(t, st)
	ann := h.person("ann", people.SexFemale)
	h.person("bob", people.SexMale)
	h.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := h.ppl.Apply(ctx, tx, []people.Change{{
			Source: "ehr", Subject: "Patient/ann", Active: true, Facts: []people.Fact{{
				Kind: people.FactCoverage, State: people.StateActive, Source: "ehr", Resource: "Coverage/1",
				Text: map[string]string{people.TextInsurance: "medicaid"},
				End:  people.Moment{Date: people.Date{Year: 2026, Month: 11, Day: 30}},
			}},
		}}, id.Import{})
		return err
	})
	anew := h.fresh()
	for _, day := range []struct {
		at    time.Time
		holds bool
	}{
		{at, true}, {time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC), true}, {time.Date(2026, 12, 1, 0, 1, 0, 0, time.UTC), false},
	} {
		at = day.at
		for _, a := range []*audience.Audience{h.aud, anew} {
			if day.holds {
				h.expect(a, "insurance = medicaid", ann)
			} else {
				h.expect(a, "insurance = medicaid")
			}
		}
	}
}

// BenchmarkRebuild writes people through their owner, CAREPOST_PEOPLE of them (20,000 by default), and measures Start: reading,
// opening and indexing everyone; and what one changed person costs until the next answer has it.
func BenchmarkRebuild(b *testing.B) {
	n := 20_000
	if text := os.Getenv("CAREPOST_PEOPLE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	st := caretest.Open(b)
	keys, led := caretest.Ground(b, st)
	ppl := people.New(st, keys, led)
	scope := id.System(1)
	for from := 0; from < n; from += 500 {
		var changes []people.Change
		for i := from; i < min(from+500, n); i++ {
			changes = append(changes, changeOf(i))
		}
		err := st.Write(b.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := ppl.Apply(ctx, tx, changes, id.Import{})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	options := audience.Options{Store: st, Keys: keys, Ledger: led, People: ppl}
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			if err := audience.New(options).Start(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "us/person")
	})
	b.Run("one-change", func(b *testing.B) {
		a := audience.New(options)
		q := audience.Query{Rule: mustParse(b, "count email.opened >= 2 in 90d and age >= 50")}
		var some []id.Person
		err := st.Read(b.Context(), scope, func(ctx context.Context, tx *store.Tx) (err error) {
			some, err = ppl.List(ctx, tx, 0, 1)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; b.Loop(); i++ {
			err := st.Write(b.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				return ppl.AddEvents(ctx, tx, some[0], []people.Event{{Kind: "email.opened", At: tx.Now, Source: "carepost", Key: strconv.Itoa(i)}})
			})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := a.Count(b.Context(), scope, q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// changeOf gives person i of the crowd as a feed's message.
func changeOf(i int) people.Change {
	subject := strconv.Itoa(i)
	pr := crowd.Person(i, 1)
	c := people.Change{Source: "ehr", Subject: subject, Active: true, Profile: &people.Core{
		Kind: people.KindPatient, Sex: pr.Sex, Birth: pr.Birth, Languages: []string{pr.Language}, Addresses: []people.Address{{PostalCode: pr.Postal}},
	}}
	add := func(kind people.FactKind, codes []people.ProjectedCode) {
		for j, code := range codes {
			c.Facts = append(c.Facts, people.Fact{
				Kind: kind, State: people.StateActive, Source: "ehr", Resource: fmt.Sprintf("%d/%s/%d", kind, subject, j),
				Codes: []people.Code{{System: code.System, Code: code.Code}},
			})
		}
	}
	add(people.FactCondition, pr.Conditions)
	add(people.FactMedication, pr.Medications)
	for _, e := range pr.Events {
		for j, t := range e.Times {
			c.Events = append(c.Events, people.Event{Kind: e.Kind, At: time.Unix(t, 0), Source: "ehr", Key: fmt.Sprintf("%s/%s/%d", e.Kind, subject, j)})
		}
	}
	return c
}
