package consent_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

var link = consent.Evidence{How: "link"}

// TestSuppressions: an unsubscribe holds for the address, whoever has it; it is one however often it is said, and ends when released.
func TestSuppressions(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		const home = "family@trusted.example"
		p, q := o.person("p1", home), o.person("p2", home)
		s := consent.Suppression{
			Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: home, Covers: consent.CoversCommercial, Reason: "unsubscribed",
			Rule: "15 USC 7704(a)(4)", Evidence: link,
		}
		s.Person = p
		var first, second id.Suppression
		o.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if first, err = o.c.Suppress(ctx, tx, s); err != nil {
				return err
			}
			second, err = o.c.Suppress(ctx, tx, s)
			return err
		})
		if first != second {
			t.Error("the same unsubscribe became two")
		}
		got := o.suppressed(home)
		if len(got) != 1 || got[0].ID != first || got[0].Covers != consent.CoversCommercial || got[0].Address != home || got[0].Rule != s.Rule {
			t.Fatalf("%+v", got)
		}
		for _, who := range []id.Person{p, q} {
			if state := o.projected(who, "commercial"); state != "refused" {
				t.Errorf("audiences see %q", state)
			}
		}
		if len(o.suppressed("other@trusted.example")) != 0 {
			t.Error("another address is suppressed")
		}
		err := st.Read(t.Context(), id.System(2), func(ctx context.Context, tx *store.Tx) error {
			all, err := o.c.Suppressed(ctx, tx, []consent.At{{Channel: people.ChannelEmail, Address: home}})
			if len(all) != 0 {
				t.Error("another organisation's suppression")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		o.write(func(ctx context.Context, tx *store.Tx) error { return o.c.Release(ctx, tx, got[0], form) })
		if len(o.suppressed(home)) != 0 || o.projected(q, "commercial") != "" {
			t.Error("a released suppression still holds")
		}
		// Of a person, at every address.
		one := consent.Suppression{Scope: consent.ScopePerson, Covers: consent.CoversTopic, Topic: "news", Reason: "asked", Evidence: form}
		one.Person = q
		o.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if first, err = o.c.Suppress(ctx, tx, one); err != nil {
				return err
			}
			second, err = o.c.Suppress(ctx, tx, one)
			return err
		})
		own := o.of(q).Suppressions
		if first != second || len(own) != 1 || own[0].Scope != consent.ScopePerson || len(o.of(p).Suppressions) != 0 {
			t.Errorf("%+v", own)
		}
		o.write(func(ctx context.Context, tx *store.Tx) error { return o.c.Release(ctx, tx, own[0], form) })
		if o.of(q).Suppressions[0].Status != consent.Ended {
			t.Error("a released suppression still holds")
		}
	})
}

// TestMerged: the strictest of merged records wins, and an unmerge gives each its own again.
func TestMerged(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		old, survivor := o.person("p1", "old@trusted.example"), o.person("p2", "new@trusted.example")
		o.write(func(ctx context.Context, tx *store.Tx) error {
			a, err := o.c.Authorize(ctx, tx, old, authorization())
			if err != nil {
				return err
			}
			if err := o.c.Revoke(ctx, tx, old, a, form); err != nil {
				return err
			}
			if _, err := o.c.Authorize(ctx, tx, survivor, authorization()); err != nil {
				return err
			}
			if _, err := o.c.Answer(ctx, tx, old, consent.Consent{Topic: "news", Refused: true, Evidence: form}); err != nil {
				return err
			}
			if _, err := o.c.Answer(ctx, tx, survivor, consent.Consent{Topic: "news", Evidence: form}); err != nil {
				return err
			}
			return o.ppl.Merge(ctx, tx, old, survivor)
		})
		today := law.On(2026, 11, 24)
		for _, who := range []id.Person{survivor, old} {
			x := o.of(who)
			if len(x.Authorizations) != 2 {
				t.Fatalf("%d authorizations", len(x.Authorizations))
			}
			for _, a := range x.Authorizations {
				if a.Status != consent.Ended {
					t.Errorf("an authorization survived the revocation of the same human")
				}
			}
			if said := x.Said(today); len(said) != 1 || said[0].State != "refused" {
				t.Errorf("%+v", said)
			}
		}
		o.write(func(ctx context.Context, tx *store.Tx) error { return o.ppl.Unmerge(ctx, tx, old) })
		if x := o.of(survivor); len(x.Authorizations) != 1 || x.Authorizations[0].Status != consent.InForce || x.Said(today)[0].State != "given" {
			t.Errorf("%+v", x)
		}
	})
}

// TestSources: a deny of a source applies at once; a permit waits for a person, and never becomes an authorization by itself.
// A source that says no after a yes that staff accepted is obeyed again: the newest word under its key counts.
func TestASourcesNoCountsAgain(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		say := func(provision string) {
			o.write(func(ctx context.Context, tx *store.Tx) error {
				return o.c.ProposeFacts(ctx, tx, []people.Proposal{{Person: p, Fact: people.Fact{
					Kind: people.FactConsent, State: people.StateActive, Source: "ehr", Resource: "Consent/1",
					Text: map[string]string{people.TextProvision: provision, people.TextLabel: "E-mail"},
				}}})
			})
		}
		say("deny")
		say("permit")
		proposals := o.of(p).Proposals
		o.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := o.c.Accept(ctx, tx, p, proposals[len(proposals)-1].ID, form)
			return err
		})
		if got := o.projected(p, "channel:email"); got != "given" {
			t.Fatalf("after an accepted permit: %q", got)
		}
		say("deny")
		if got := o.projected(p, "channel:email"); got != "refused" {
			t.Errorf("after the second no: %q", got)
		}
		say("deny")
		if n := len(o.of(p).Proposals); n != 3 {
			t.Errorf("%d proposals; the same record again changes nothing", n)
		}
	})
}

// One record of a source may say several things; none of them rejects another.
func TestAGeneralPermitWaitsWhole(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		say := func(text map[string]string) (waiting []ledger.Purpose) {
			o.write(func(ctx context.Context, tx *store.Tx) error {
				return o.c.ProposeFacts(ctx, tx, []people.Proposal{{Person: p, Fact: people.Fact{
					Kind: people.FactConsent, State: people.StateActive, Source: "ehr", Resource: "Consent/1", Text: text,
				}}})
			})
			for _, x := range o.of(p).Proposals {
				if x.Status == consent.Proposed {
					waiting = append(waiting, x.Purpose)
				}
			}
			slices.Sort(waiting)
			return waiting
		}
		for _, c := range []struct {
			purposes string
			want     []ledger.Purpose
		}{
			{"", []ledger.Purpose{ledger.PurposeFundraising, ledger.PurposeMarketing}},
			{"", []ledger.Purpose{ledger.PurposeFundraising, ledger.PurposeMarketing}},
			{"HMARKT,TREAT", []ledger.Purpose{ledger.PurposeTreatment, ledger.PurposeMarketing}},
			{"TREAT", []ledger.Purpose{ledger.PurposeTreatment}},
		} {
			if got := say(map[string]string{people.TextProvision: "permit", people.TextPurpose: c.purposes}); !slices.Equal(got, c.want) {
				t.Errorf("permit for %q: %v waits, want %v", c.purposes, got, c.want)
			}
		}
	})
}

// A form that is typed in late counts from the day it was signed; at one moment the refusal counts.
func TestTheLastActCounts(t *testing.T) {
	day := func(d int) time.Time { return time.Now().AddDate(0, 0, d-100) }
	for _, c := range []struct {
		what string
		said []consent.Consent // in the order of typing
		want string
	}{
		{"a no by link, then an older yes on paper", []consent.Consent{{Refused: true, Evidence: consent.Evidence{How: "link", At: day(20)}}, {Evidence: consent.Evidence{How: "form", At: day(1)}}}, "refused"},
		{"a no by link, then a newer yes on paper", []consent.Consent{{Refused: true, Evidence: consent.Evidence{How: "link", At: day(20)}}, {Evidence: consent.Evidence{How: "form", At: day(30)}}}, "given"},
		{"both on one day", []consent.Consent{{Refused: true, Evidence: consent.Evidence{How: "form", At: day(20)}}, {Evidence: consent.Evidence{How: "form", At: day(20)}}}, "refused"},
		{"a yes on paper, then a feed's no of an old date", []consent.Consent{{Evidence: consent.Evidence{How: "form", At: day(30)}}, {Refused: true, Evidence: consent.Evidence{How: "source", Source: "ehr", At: day(1)}}}, "refused"},
	} {
		o := open(t, caretest.Open(t))
		p := o.person("p1", "ada@trusted.example")
		for _, s := range c.said {
			s.Channel = people.ChannelEmail
			o.write(func(ctx context.Context, tx *store.Tx) error {
				_, err := o.c.Answer(ctx, tx, p, s)
				return err
			})
		}
		if got := o.projected(p, "channel:email"); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestSources(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		o := open(t, st)
		p := o.person("p1", "ada@trusted.example")
		take := func(resource string, state people.FactState, text map[string]string) {
			o.write(func(ctx context.Context, tx *store.Tx) error {
				return o.c.ProposeFacts(ctx, tx, []people.Proposal{{Person: p, Fact: people.Fact{
					Kind: people.FactConsent, State: state, Source: "ehr", Resource: resource, Text: text,
				}}})
			})
		}
		permit := map[string]string{people.TextProvision: "permit", people.TextPurpose: "HMARKT"}
		take("Consent/1", people.StateActive, permit)
		take("Consent/1", people.StateActive, permit)
		x := o.of(p)
		if len(x.Proposals) != 1 || x.Proposals[0].Status != consent.Proposed || x.Proposals[0].Purpose != ledger.PurposeMarketing || len(x.Suppressions) != 0 {
			t.Fatalf("%+v", x)
		}
		if o.projected(p, "marketing-authorization") != "" {
			t.Error("a code in a feed became an authorization")
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			if _, err := o.c.Accept(ctx, tx, p, x.Proposals[0].ID, form); err == nil {
				t.Error("a proposal became an authorization without its form")
			}
			return nil
		})
		take("Consent/1", people.StateInactive, permit)
		x = o.of(p)
		if len(x.Suppressions) != 1 || x.Suppressions[0].Covers != consent.CoversCommercial || x.Proposals[0].Status != consent.Rejected {
			t.Errorf("a yes that was taken back: %+v", x)
		}
		take("Consent/2", people.StateActive, map[string]string{people.TextProvision: "deny", people.TextScope: "patient-privacy"})
		if n := len(o.of(p).Suppressions); n != 2 {
			t.Errorf("a general no: %d suppressions, want marketing and fundraising", n)
		}
		take("Consent/3", people.StateActive, map[string]string{people.TextProvision: "deny", people.TextLabel: "Texting"})
		if o.projected(p, "channel:text") != "refused" {
			t.Error("a no to texts does not apply")
		}
		take("Consent/4", people.StateActive, map[string]string{people.TextProvision: "deny", people.TextPurpose: "HOPERAT"})
		if x := o.of(p); len(x.Restrictions) != 1 || x.Restrictions[0].Purpose != ledger.PurposeOperations {
			t.Errorf("%+v", x.Restrictions)
		}
		take("Consent/5", people.StateActive, map[string]string{people.TextProvision: "permit", people.TextLabel: "E-mail"})
		take("Consent/6", people.StateProposed, map[string]string{people.TextProvision: "deny", people.TextPurpose: "TREAT"})
		take("Consent/7", people.StateActive, nil)
		x = o.of(p)
		last := x.Proposals[len(x.Proposals)-1]
		if last.Channel != people.ChannelEmail || last.Deny || len(x.Restrictions) != 1 {
			t.Fatalf("%+v", x.Proposals)
		}
		o.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := o.c.Accept(ctx, tx, p, last.ID, form)
			return err
		})
		if o.projected(p, "channel:email") != "given" {
			t.Error("an accepted permit does not count")
		}
	})
}

// TestSealed: what people said is in no column of the database.
func TestSealed(t *testing.T) {
	o := open(t, caretest.Open(t))
	p := o.person("p1", "ada@trusted.example")
	o.write(func(ctx context.Context, tx *store.Tx) error {
		if _, err := o.c.Answer(ctx, tx, p, consent.Consent{Topic: "zanzibar-topic", Evidence: form}); err != nil {
			return err
		}
		_, err := o.c.Suppress(ctx, tx, consent.Suppression{
			Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: "zanzibar@trusted.example", Covers: consent.CoversTopic, Topic: "zanzibar-topic",
			Reason: "asked", Evidence: form,
		})
		return err
	})
	o.read(func(ctx context.Context, tx *store.Tx) error {
		for _, query := range []string{
			`SELECT count(*) FROM consent WHERE organisation_id = ? AND instr(record, CAST('zanzibar' AS BLOB)) > 0`,
			`SELECT count(*) FROM suppression WHERE organisation_id = ? AND (instr(record, CAST('zanzibar' AS BLOB)) > 0 OR instr(address, CAST('zanzibar' AS BLOB)) > 0)`,
		} {
			var n int
			if err := tx.QueryRow(ctx, query, tx.Organisation()).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows show what was said: %v", n, err)
			}
		}
		return nil
	})
}
