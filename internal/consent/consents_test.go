package consent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// office is a store with a register and people, for one test.
type office struct {
	t    *testing.T
	st   *store.Store
	keys *seal.Keys
	led  *ledger.Ledger
	ppl  *people.People
	c    *consent.Consents
}

func open(t *testing.T, st *store.Store) *office {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	ppl := people.New(st, keys, led)
	return &office{t, st, keys, led, ppl, consent.New(keys, led, ppl)}
}

func (o *office) write(fn func(ctx context.Context, tx *store.Tx) error) {
	o.t.Helper()
	if err := o.st.Write(o.t.Context(), id.System(1), fn); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) read(fn func(ctx context.Context, tx *store.Tx) error) {
	o.t.Helper()
	if err := o.st.Read(o.t.Context(), id.System(1), fn); err != nil {
		o.t.Fatal(err)
	}
}

// person makes a person with one email address.
func (o *office) person(key, email string) (p id.Person) {
	o.t.Helper()
	o.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := o.ppl.Apply(ctx, tx, []people.Change{{
			Source: "ehr", Subject: "Patient/" + key, Active: true,
			Profile: &people.Core{
				Kind: people.KindPatient, Names: []people.Name{{Given: []string{"Ada"}, Family: "Quill"}},
				Contacts: []people.ContactPoint{{Channel: people.ChannelEmail, Value: email, Normal: email}},
			},
		}}, id.New[id.Import]())
		if err != nil {
			return err
		}
		found, err := o.ppl.BySubject(ctx, tx, "ehr", "Patient/"+key)
		if err == nil && len(found) != 1 {
			o.t.Fatalf("%d people", len(found))
		}
		p = found[0]
		return err
	})
	return p
}

func (o *office) of(p id.Person) (x consent.Record) {
	o.t.Helper()
	o.read(func(ctx context.Context, tx *store.Tx) (err error) {
		x, err = o.c.Of(ctx, tx, p)
		return err
	})
	return x
}

// projected gives the state of a name as audiences see it.
func (o *office) projected(p id.Person, name string) (state string) {
	o.t.Helper()
	o.read(func(ctx context.Context, tx *store.Tx) error {
		return o.ppl.Projections(ctx, tx, []id.Person{p}, func(_ id.Person, _ uint32, x people.Projection) error {
			for _, c := range x.Consents {
				if c.Name == name {
					state = c.State
				}
			}
			return nil
		})
	})
	return state
}

func (o *office) suppressed(email string) []consent.Suppression {
	o.t.Helper()
	at := consent.At{Channel: people.ChannelEmail, Address: email}
	var all map[consent.At][]consent.Suppression
	o.read(func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = o.c.Suppressed(ctx, tx, []consent.At{at})
		return err
	})
	return all[at]
}

var form = consent.Evidence{How: "form", Words: "I agree", By: "usr"}

func authorization() consent.Authorization {
	return consent.Authorization{
		Information: "name and address", Discloser: "the clinic", Receiver: "Acme", Purpose: "marketing of Acme's products",
		Purposes: []ledger.Purpose{ledger.PurposeMarketing}, Expires: law.On(2036, time.January, 1), SignedOn: law.On(2026, time.January, 2), Signer: "Ada Quill",
		StatesRevocation: true, StatesConditions: true, StatesRedisclosure: true, PlainLanguage: true, CopyGiven: true,
		Payers: []string{"Acme"}, StatesRemuneration: true, Evidence: form,
	}
}

// TestElements: 45 CFR 164.508(c): each element and each statement is required, and the form is refused without it.
func TestElements(t *testing.T) {
	if missing := authorization().Missing(); len(missing) != 0 {
		t.Fatalf("%v", missing)
	}
	for _, c := range []struct {
		cite   string
		change func(a *consent.Authorization)
	}{
		{"45 CFR 164.508(c)(1)(i)", func(a *consent.Authorization) { a.Information = "" }},
		{"45 CFR 164.508(c)(1)(ii)", func(a *consent.Authorization) { a.Discloser = "" }},
		{"45 CFR 164.508(c)(1)(iii)", func(a *consent.Authorization) { a.Receiver = "" }},
		{"45 CFR 164.508(c)(1)(iv)", func(a *consent.Authorization) { a.Purpose = "" }},
		{"45 CFR 164.508(c)(1)(iv)", func(a *consent.Authorization) { a.Purposes = []ledger.Purpose{ledger.PurposeNone} }},
		{"45 CFR 164.508(c)(1)(v)", func(a *consent.Authorization) { a.Expires = 0 }},
		{"45 CFR 164.508(c)(1)(vi)", func(a *consent.Authorization) { a.SignedOn = 0 }},
		{"45 CFR 164.508(c)(1)(vi)", func(a *consent.Authorization) { a.Signer = "" }},
		{"45 CFR 164.508(c)(1)(vi)", func(a *consent.Authorization) { a.Representative = true }},
		{"45 CFR 164.508(c)(2)(i)", func(a *consent.Authorization) { a.StatesRevocation = false }},
		{"45 CFR 164.508(c)(2)(ii)", func(a *consent.Authorization) { a.StatesConditions = false }},
		{"45 CFR 164.508(c)(2)(iii)", func(a *consent.Authorization) { a.StatesRedisclosure = false }},
		{"45 CFR 164.508(c)(3)", func(a *consent.Authorization) { a.PlainLanguage = false }},
		{"45 CFR 164.508(c)(4)", func(a *consent.Authorization) { a.CopyGiven = false }},
		{"45 CFR 164.508(a)(3)(ii)", func(a *consent.Authorization) { a.StatesRemuneration = false }},
		{"45 CFR 164.508(b)(3)", func(a *consent.Authorization) { a.Compound = true }},
	} {
		a := authorization()
		c.change(&a)
		if missing := a.Missing(); len(missing) != 1 || missing[0].Cite != c.cite {
			t.Errorf("%v, want %s", missing, c.cite)
		}
	}
	event := authorization()
	event.Expires, event.Event, event.Payers, event.StatesRemuneration = 0, "end of the study", nil, false
	if missing := event.Missing(); len(missing) != 0 {
		t.Errorf("an event in place of a date, and nobody who pays: %v", missing)
	}
}

func TestAuthorizations(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		var a id.Authorization
		o.write(func(ctx context.Context, tx *store.Tx) (err error) {
			lacks := authorization()
			lacks.StatesRevocation = false
			if _, err := o.c.Authorize(ctx, tx, p, lacks); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), "164.508(c)(2)(i)") {
				t.Errorf("an incomplete form was taken: %v", err)
			}
			a, err = o.c.Authorize(ctx, tx, p, authorization())
			return err
		})
		x := o.of(p)
		if len(x.Authorizations) != 1 || x.Authorizations[0].ID != a || x.Authorizations[0].Status != consent.InForce || len(x.Authorizations[0].Missing()) != 0 {
			t.Fatalf("%+v", x.Authorizations)
		}
		if got := o.projected(p, "marketing-authorization"); got != "given" {
			t.Errorf("audiences see %q", got)
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			return o.c.Revoke(ctx, tx, p, a, consent.Evidence{How: "portal", Words: "stop"})
		})
		got := o.of(p).Authorizations[0]
		if got.Status != consent.Ended || got.EventReached() || got.Ending.Words != "stop" || got.Ended.IsZero() {
			t.Errorf("%+v", got)
		}
		if got := o.projected(p, "marketing-authorization"); got != "revoked" {
			t.Errorf("audiences see %q", got)
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			if err := o.c.Revoke(ctx, tx, p, a, form); !fault.Is(err, fault.NotFound) {
				t.Errorf("revoked twice: %v", err)
			}
			b, err := o.c.Authorize(ctx, tx, p, authorization())
			if err != nil {
				return err
			}
			return o.c.ReachEvent(ctx, tx, p, b, "the study ended")
		})
		if got := o.of(p).Authorizations[1]; !got.EventReached() {
			t.Errorf("%+v", got)
		}
		if err := o.led.Numbered(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		o.read(func(ctx context.Context, tx *store.Tx) error {
			key, err := o.ppl.Key(ctx, tx, p)
			if err != nil {
				return err
			}
			page, err := o.led.About(ctx, tx, p, key, ledger.Query{Acts: []ledger.Act{ledger.ActAuthorization}})
			if err != nil || len(page.Records) != 4 {
				t.Errorf("%d entries, want 4: %v", len(page.Records), err)
			}
			for _, r := range page.Records {
				d, err := o.led.OpenDetail(ctx, tx, r, key)
				if err != nil || d["kind"] != "authorization" || d["state"] == "" {
					t.Errorf("%v %v", d, err)
				}
			}
			return nil
		})
	})
}

// TestAnswers: of several answers the last act counts, however it came.
func TestAnswers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		said := func() string {
			var all []string
			for _, s := range o.of(p).Said(law.On(2026, time.November, 24)) {
				all = append(all, s.Topic+"="+s.State)
			}
			return strings.Join(all, " ")
		}
		var given id.Consent
		answer := func(c consent.Consent) (row id.Consent) {
			c.Evidence = form
			o.write(func(ctx context.Context, tx *store.Tx) (err error) {
				row, err = o.c.Answer(ctx, tx, p, c)
				return err
			})
			return row
		}
		given = answer(consent.Consent{Channel: people.ChannelEmail, Topic: "news"})
		if said() != "news=given" || o.projected(p, "topic:news") != "given" {
			t.Error(said(), o.projected(p, "topic:news"))
		}
		answer(consent.Consent{Channel: people.ChannelEmail, Topic: "news", Refused: true})
		if said() != "news=refused" || o.projected(p, "topic:news") != "refused" {
			t.Error(said(), o.projected(p, "topic:news"))
		}
		again := answer(consent.Consent{Channel: people.ChannelEmail, Topic: "news"})
		if said() != "news=given" {
			t.Error(said())
		}
		// Withdrawing the first, which nobody needs any more, is an act all the same: the person said stop.
		for _, row := range []id.Consent{given, again} {
			o.write(func(ctx context.Context, tx *store.Tx) error { return o.c.Withdraw(ctx, tx, p, row, form) })
			if said() != "news=revoked" || o.projected(p, "topic:news") != "revoked" {
				t.Error(said(), o.projected(p, "topic:news"))
			}
		}
		answer(consent.Consent{Topic: "events", Expires: law.On(2026, time.November, 23)})
		if said() != "news=revoked events=expired" {
			t.Error(said())
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			for _, bad := range []consent.Consent{
				{Evidence: form},
				{Channel: 9, Evidence: form},
				{Topic: "x"},
				{Topic: strings.Repeat("x", 101), Evidence: form},
				{Topic: "x", Evidence: consent.Evidence{How: "form", Words: strings.Repeat("x", 1<<15)}},
				{Topic: "x", Evidence: consent.Evidence{How: "form", Document: []byte("short")}},
			} {
				if _, err := o.c.Answer(ctx, tx, p, bad); fault.CodeOf(err) != fault.Invalid && fault.CodeOf(err) != fault.TooLarge {
					t.Errorf("%+v was taken: %v", bad.Channel, err)
				}
			}
			return nil
		})
	})
}

// TestRights: restrictions, confidential communications, plain mail after a warning, Part 2, preferences: recorded, read back, ended.
func TestRights(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		document := sha256.Sum256([]byte("the signed form"))
		written := consent.Evidence{How: "form", Document: document[:]}
		contact := id.New[id.ContactPoint]()
		shown := time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)
		var (
			restriction  id.Restriction
			confidential id.Restriction
			plain, part2 id.Consent
		)
		o.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if restriction, err = o.c.Restrict(ctx, tx, p, consent.Restriction{Payer: true, PaidInFull: true, Evidence: form}); err != nil {
				return err
			}
			if confidential, err = o.c.Confide(ctx, tx, p, consent.Confidential{PostOnly: true, Address: "PO Box 1", Evidence: form}); err != nil {
				return err
			}
			if plain, err = o.c.AskPlain(ctx, tx, p, consent.PlainRequest{
				Warning: "Others may read this.", Shown: shown, Answer: "I want it so.", Channel: people.ChannelEmail, Contact: contact,
				Purposes: []ledger.Purpose{ledger.PurposeTreatment}, Sensitive: true, Evidence: form,
			}); err != nil {
				return err
			}
			if part2, err = o.c.ConsentPart2(ctx, tx, p, consent.Part2{Holder: consent.HolderProxy, Expires: law.On(2036, time.May, 1), Evidence: written}); err != nil {
				return err
			}
			_, err = o.c.Prefer(ctx, tx, p, consent.Preferences{Channel: people.ChannelEmail, Language: "es", BreachNoticeByEmail: true, Evidence: form})
			return err
		})
		x := o.of(p)
		switch {
		case len(x.Restrictions) != 1 || !x.Restrictions[0].Payer || !x.Restrictions[0].PaidInFull:
			t.Errorf("%+v", x.Restrictions)
		case len(x.Confidential) != 1 || !x.Confidential[0].PostOnly || x.Confidential[0].Address != "PO Box 1":
			t.Errorf("%+v", x.Confidential)
		case len(x.PlainRequests) != 1 || !x.PlainRequests[0].Warned() || !x.PlainRequests[0].Shown.Equal(shown) || x.PlainRequests[0].Contact != contact ||
			!x.PlainRequests[0].Sensitive || !slices.Equal(x.PlainRequests[0].Purposes, []ledger.Purpose{ledger.PurposeTreatment}):
			t.Errorf("%+v", x.PlainRequests)
		case len(x.Part2) != 1 || x.Part2[0].Holder != consent.HolderProxy || x.Part2[0].Expires != law.On(2036, time.May, 1):
			t.Errorf("%+v", x.Part2)
		case !bytes.Equal(x.Part2[0].Evidence.Document, document[:]):
			t.Error("the hash of the document is lost")
		case len(x.Preferences) != 1 || x.Preferences[0].Language != "es" || !x.Preferences[0].BreachNoticeByEmail:
			t.Errorf("%+v", x.Preferences)
		}
		for _, name := range []string{"restriction", "confidential", "plain-mail"} {
			if got := o.projected(p, name); got != "given" {
				t.Errorf("audiences see %s %q", name, got)
			}
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			for _, err := range []error{
				o.c.LiftRestriction(ctx, tx, p, restriction, form), o.c.EndConfidential(ctx, tx, p, confidential, form),
				o.c.EndPlain(ctx, tx, p, plain, form), o.c.RevokePart2(ctx, tx, p, part2, form),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		x = o.of(p)
		if x.Restrictions[0].Status != consent.Ended || x.Confidential[0].Status != consent.Ended || x.PlainRequests[0].Status != consent.Ended ||
			x.Part2[0].Status != consent.Ended {
			t.Errorf("%+v", x)
		}
		if got := o.projected(p, "restriction"); got != "" {
			t.Errorf("audiences see %q", got)
		}
	})
}

// TestRefused: what is no record of what a person said is not taken.
func TestRefused(t *testing.T) {
	o := open(t, caretest.Open(t))
	p := o.person("p1", "ada@trusted.example")
	o.write(func(ctx context.Context, tx *store.Tx) error {
		later := tx.Now.Add(time.Hour)
		nobody := id.New[id.Person]()
		for name, try := range map[string]func() error{
			"paid in full without a plan": func() error {
				_, err := o.c.Restrict(ctx, tx, p, consent.Restriction{PaidInFull: true, Evidence: form})
				return err
			},
			"a restriction of no purpose": func() error {
				_, err := o.c.Restrict(ctx, tx, p, consent.Restriction{Purpose: 99, Evidence: form})
				return err
			},
			"a request that names nothing": func() error { _, err := o.c.Confide(ctx, tx, p, consent.Confidential{Evidence: form}); return err },
			"a request for plain": func() error {
				_, err := o.c.Confide(ctx, tx, p, consent.Confidential{Means: "plain", Evidence: form})
				return err
			},
			"plain mail without a warning": func() error {
				_, err := o.c.AskPlain(ctx, tx, p, consent.PlainRequest{Answer: "yes", Shown: tx.Now, Channel: people.ChannelEmail, Evidence: form})
				return err
			},
			"a warning of tomorrow": func() error {
				_, err := o.c.AskPlain(ctx, tx, p, consent.PlainRequest{Warning: "w", Answer: "yes", Shown: later, Channel: people.ChannelEmail, Evidence: form})
				return err
			},
			"plain post": func() error {
				_, err := o.c.AskPlain(ctx, tx, p, consent.PlainRequest{Warning: "w", Answer: "yes", Shown: tx.Now, Channel: people.ChannelPost, Evidence: form})
				return err
			},
			"a spoken consent under Part 2": func() error { _, err := o.c.ConsentPart2(ctx, tx, p, consent.Part2{Evidence: form}); return err },
			"a suppression of nothing": func() error {
				_, err := o.c.Suppress(ctx, tx, consent.Suppression{Reason: "asked", Evidence: form})
				return err
			},
			"a suppression without a reason": func() error {
				_, err := o.c.Suppress(ctx, tx, consent.Suppression{Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: "a@b.example", Evidence: form})
				return err
			},
			"a topic that is none": func() error {
				_, err := o.c.Suppress(ctx, tx, consent.Suppression{
					Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: "a@b.example", Covers: consent.CoversTopic, Reason: "asked", Evidence: form,
				})
				return err
			},
			"a person who is nobody": func() error {
				_, err := o.c.Answer(ctx, tx, nobody, consent.Consent{Topic: "news", Evidence: form})
				if fault.Is(err, fault.NotFound) {
					return fault.New(fault.Invalid, "as it should be")
				}
				return err
			},
		} {
			if err := try(); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
}
