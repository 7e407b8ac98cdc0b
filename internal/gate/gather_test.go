package gate_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compose"
	cons "github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// clinic is an organisation with people and their papers, for one test.
type clinic struct {
	t          testing.TB
	st         *store.Store
	scope      id.Scope
	people     *people.People
	consents   *cons.Consents
	agreements *agreement.Agreements
	orgs       *organisation.Organisations
	gatherer   *gate.Gatherer
}

func openClinic(t testing.TB, st *store.Store) *clinic {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	c := &clinic{t: t, st: st, people: people.New(st, keys, led), agreements: agreement.New(keys, led), orgs: organisation.New(st, keys, led)}
	c.consents = cons.New(keys, led, c.people)
	c.gatherer = gate.NewGatherer(c.people, c.consents, c.agreements, c.orgs)
	org, err := c.orgs.Create(t.Context(), id.Operator(0), "care.riverside.example", organisation.Profile{
		Name: "Riverside Clinic LLC", Display: "Riverside Clinic", Zone: "America/New_York", Languages: []string{"en"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.scope = id.System(org)
	return c
}

func (c *clinic) write(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Write(c.t.Context(), c.scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

// patient takes a patient in, as a source tells it.
func (c *clinic) patient(key string, core people.Core, facts ...people.Fact) (p people.Person) {
	c.t.Helper()
	c.write(func(ctx context.Context, tx *store.Tx) error {
		core.Kind = people.KindPatient
		if core.Birth.IsZero() {
			core.Birth = people.Date{Year: 1970, Month: 5, Day: 6}
		}
		for i := range core.Contacts {
			core.Contacts[i].Channel, core.Contacts[i].Normal = people.ChannelEmail, core.Contacts[i].Value
		}
		for i := range facts {
			facts[i].Source, facts[i].Resource = "ehr", key+"/"+string(rune('a'+i))
		}
		_, err := c.people.Apply(ctx, tx, []people.Change{{Source: "ehr", Subject: key, Active: true, Profile: &core, Facts: facts}}, id.New[id.Import]())
		if err != nil {
			return err
		}
		found, err := c.people.BySubject(ctx, tx, "ehr", key)
		if err != nil || len(found) != 1 {
			c.t.Fatalf("%d people: %v", len(found), err)
		}
		p, err = c.people.Get(ctx, tx, found[0])
		return err
	})
	return p
}

// proxy is somebody who may act for the person, as a RelatedPerson says it.
func proxy(relationship, email string) people.Fact {
	return people.Fact{Kind: people.FactProxy, State: people.StateActive, Text: map[string]string{
		people.TextName: "A. Nother", people.TextLabel: relationship, people.TextEmail: email,
	}}
}

func mailbox(address string) []people.ContactPoint { return []people.ContactPoint{{Value: address}} }

// ask is care instructions to the person's first address over a domain that enforces MTA-STS.
func ask(p people.Person) gate.Ask {
	a := gate.Ask{Message: care().Message, Person: p.ID}
	if len(p.Core.Contacts) > 0 {
		a.Contact = p.Core.Contacts[0].ID
	}
	a.Way = tlspolicy.Resolution{
		Domain: "trusted.example", Status: tlspolicy.Ready, Proof: tlspolicy.ProofMTASTS, Hosts: []tlspolicy.Host{{Name: "mx.trusted.example"}},
	}
	return a
}

func (c *clinic) decide(a gate.Ask) (d gate.Decision, f gate.Facts) {
	c.t.Helper()
	err := c.st.Read(c.t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) (err error) {
		f, err = c.gatherer.Gather(ctx, tx, a)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	d = gate.Decide(f)
	checkDecision(c.t, d)
	return d, f
}

func (c *clinic) expect(what string, a gate.Ask, means gate.Means, code gate.Code) {
	c.t.Helper()
	if d, _ := c.decide(a); d.Means != means || !inOrder(codes(d.Reasons), why(code)) {
		c.t.Errorf("%s: %s %v, want %s %s", what, d.Means, codes(d.Reasons), means, code)
	}
}

var evidence = cons.Evidence{How: "form"}

// TestGather follows each fact from the record to the decision.
func TestGather(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := openClinic(t, st)
		ada := c.patient("ada", people.Core{Contacts: mailbox("ada@trusted.example"), Zone: "America/New_York", Addresses: []people.Address{{State: "ny"}}})
		d, f := c.decide(ask(ada))
		if d.Means != gate.MeansTLS || d.Proof != gate.ProofMTASTS || f.Recipient.State != "NY" || len(f.Recipient.Zones) != 1 || !f.Recipient.AgeKnown {
			t.Fatalf("%s %v %+v", d.Means, codes(d.Reasons), f.Recipient)
		}
		c.expect("nobody", gate.Ask{Message: care().Message, Person: id.New[id.Person]()}, gate.MeansHeld, gate.RecipientUnclear)
		c.expect("no address", gate.Ask{Message: care().Message, Person: ada.ID}, gate.MeansHeld, gate.AddressMissing)
		alarm := gate.Ask{Message: notice().Message, Kind: gate.RecipientStaff, To: "staff@trusted.example"}
		c.expect("a staff alarm", alarm, gate.MeansPlain, gate.NothingToProtect)

		c.recipients(ada)
		c.ways(ada)
		c.papers(ada)
		c.feeds(ada)
		c.drugs()
	})
}

func (c *clinic) recipients(ada people.Person) {
	c.t.Helper()
	bo := c.patient("bo", people.Core{Contacts: mailbox("family@trusted.example")})
	c.patient("cy", people.Core{Contacts: mailbox("family@trusted.example")})
	c.expect("a household", ask(bo), gate.MeansPickup, gate.AddressShared)

	young := people.DateOf(time.Now())
	young.Year -= 9
	child := c.patient("child", people.Core{
		Contacts: mailbox("child@trusted.example"), Birth: people.Date{Year: young.Year},
	}, proxy("mother", "parent@trusted.example"))
	c.expect("a child alone, of whom the year is known", ask(child), gate.MeansHeld, gate.MinorAlone)
	toParent := ask(child)
	toParent.Contact, toParent.To = id.ContactPoint{}, "parent@trusted.example"
	c.expect("the parent on file", toParent, gate.MeansTLS, gate.TLSByMTASTS)
	toParent.To = "stranger@trusted.example"
	c.expect("a stranger", toParent, gate.MeansHeld, gate.ProxyUnproven)
	own := ask(child)
	own.OwnCare = true
	c.expect("a child's own care", own, gate.MeansTLS, gate.TLSByMTASTS)

	dead := c.patient("dead", people.Core{
		Contacts: mailbox("dead@trusted.example"), Deceased: true, DeceasedOn: people.Date{Year: 2020},
	}, proxy("Executor of the estate", "executor@trusted.example"))
	c.expect("somebody who died", ask(dead), gate.MeansRefused, gate.DeceasedPerson)
	toExecutor := ask(dead)
	toExecutor.To = "executor@trusted.example"
	c.expect("the executor", toExecutor, gate.MeansTLS, gate.DeceasedRepresentative)

	c.write(func(ctx context.Context, tx *store.Tx) error {
		return c.people.SetContactState(ctx, tx, ada.ID, ada.Core.Contacts[0].ID, people.ContactUnproven)
	})
	c.expect("an address that bounced", ask(ada), gate.MeansHeld, gate.AddressDoubtful)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		return c.people.SetContactState(ctx, tx, ada.ID, ada.Core.Contacts[0].ID, people.ContactUsable)
	})
}

func (c *clinic) ways(ada people.Person) {
	c.t.Helper()
	broken := ask(ada)
	broken.Way = tlspolicy.Resolution{Domain: "strict.example", Status: tlspolicy.Broken}
	c.expect("a domain that breaks its policy", broken, gate.MeansHeld, gate.TLSPolicyBroken)
	dark := ask(ada)
	dark.Way = tlspolicy.Resolution{}
	c.expect("a domain not known yet", dark, gate.MeansPickup, gate.TLSNotKnown)
	plainly := ask(ada)
	plainly.Way = tlspolicy.Resolution{Domain: "plain.example", Status: tlspolicy.Ready, Hosts: []tlspolicy.Host{{Name: "mx.plain.example"}}}
	c.expect("a domain without a policy", plainly, gate.MeansPickup, gate.TLSNotAccepted)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		p := organisation.DefaultPolicy()
		p.AcceptPKIX = true
		_, err := c.orgs.SetPolicy(ctx, tx, p)
		return err
	})
	c.expect("whose certificate counts by the organisation's choice", plainly, gate.MeansTLS, gate.TLSByPKIX)
	plainly.Way.Failure = tlspolicy.FailureNoTLS
	c.expect("and was found to have none within the hour", plainly, gate.MeansPickup, gate.TLSNotMet)

	relay := ask(ada)
	relay.Way = tlspolicy.Resolution{
		Domain: "trusted.example", Status: tlspolicy.Ready, Proof: tlspolicy.ProofRoute, Route: id.New[id.Route](),
		Hosts: []tlspolicy.Host{{Name: "smtp.relay.test"}},
	}
	c.expect("a relay without an agreement", relay, gate.MeansHeld, gate.CarrierUncovered)
	partner := relay
	partner.Way.Hosts = []tlspolicy.Host{{Name: "mx.trusted.example"}}
	c.expect("a partner's own server is no relay", partner, gate.MeansTLS, gate.TLSByRoute)
	sum := sha256.Sum256(nil)
	var signed id.Agreement
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		signed, err = c.agreements.Sign(ctx, tx, agreement.Terms{
			Counterparty: "Relay Inc", Services: []string{"smtp.relay.test"}, From: law.On(2020, time.January, 1), Agent: agreement.AgencyNo,
			Document: sum[:], Clauses: agreement.Clauses,
		})
		return err
	})
	if d, _ := c.decide(relay); d.Means != gate.MeansTLS || d.Agreement != signed {
		c.t.Errorf("a relay with an agreement: %s %v", d.Means, codes(d.Reasons))
	}
	relay.Way.Agreement = id.New[id.Agreement]()
	c.expect("a route that names another agreement", relay, gate.MeansHeld, gate.CarrierUncovered)
}

// papers: each paper counts from the transaction it is recorded in, and no longer after the one that ends it.
func (c *clinic) papers(ada people.Person) {
	c.t.Helper()
	sale := ask(ada)
	sale.Message = offer().Message
	c.expect("marketing without an authorization", sale, gate.MeansRefused, gate.AuthorizationMissing)
	var a id.Authorization
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		a, err = c.consents.Authorize(ctx, tx, ada.ID, cons.Authorization{
			Information: "name, address", Discloser: "the clinic", Receiver: "Acme", Purpose: "offers", Purposes: []ledger.Purpose{ledger.PurposeMarketing},
			Expires: law.On(2040, time.January, 1), SignedOn: law.On(2026, time.January, 1), Signer: "Ada", StatesRevocation: true, StatesConditions: true,
			StatesRedisclosure: true, PlainLanguage: true, CopyGiven: true, Payers: []string{"Acme"}, StatesRemuneration: true, Evidence: evidence,
		})
		return err
	})
	c.expect("with one", sale, gate.MeansTLS, gate.AuthorizationValid)
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.consents.Revoke(ctx, tx, ada.ID, a, evidence) })
	c.expect("after its revocation", sale, gate.MeansRefused, gate.AuthorizationRevoked)

	news := ask(ada)
	news.Message = newsletter().Message
	c.expect("news", news, gate.MeansPlain, gate.NothingToProtect)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.consents.Suppress(ctx, tx, cons.Suppression{
			Scope: cons.ScopeAddress, Channel: people.ChannelEmail, Address: "ada@trusted.example", Covers: cons.CoversTopic, Topic: "news", Reason: "unsubscribed",
			Evidence: evidence,
		})
		return err
	})
	c.expect("news after an unsubscribe of the address", news, gate.MeansRefused, gate.OptedOutTopic)
	classes := news
	classes.Message.Topic, classes.Message.NeedsOptIn = "classes", true
	c.expect("a topic for those who asked", classes, gate.MeansRefused, gate.OptInMissing)
	var yes id.Consent
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		yes, err = c.consents.Answer(ctx, tx, ada.ID, cons.Consent{Topic: "classes", Evidence: evidence})
		return err
	})
	c.expect("asked", classes, gate.MeansPlain, gate.OptInFound)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		return c.consents.Withdraw(ctx, tx, ada.ID, yes, evidence)
	})
	c.expect("and took it back", classes, gate.MeansRefused, gate.OptedOutTopic)

	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.consents.AskPlain(ctx, tx, ada.ID, cons.PlainRequest{
			Warning: "Others may read it.", Shown: tx.Now, Answer: "Yes.", Channel: people.ChannelEmail, Evidence: evidence,
		})
		return err
	})
	c.expect("plain mail asked for after the warning", ask(ada), gate.MeansPlainRequested, gate.PlainAsked)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.consents.Confide(ctx, tx, ada.ID, cons.Confidential{Means: "pickup", Evidence: evidence})
		return err
	})
	c.expect("a request for confidential communication stands above it", ask(ada), gate.MeansPickup, gate.ConfidentialMeans)
	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.consents.Restrict(ctx, tx, ada.ID, cons.Restriction{Purpose: ledger.PurposeTreatment, Evidence: evidence})
		return err
	})
	c.expect("and a restriction above that", ask(ada), gate.MeansRefused, gate.RestrictedUse)
}

// feeds: after papers, ada has a restriction of treatment; the relay's agreement covers one service.
func (c *clinic) feeds(ada people.Person) {
	c.t.Helper()
	for _, x := range []struct {
		what    string
		service string
		purpose ledger.Purpose
		allowed bool
		code    gate.Code
	}{
		{"a service with an agreement", "smtp.relay.test", ledger.PurposeOperations, true, gate.AssociateCovered},
		{"another of its services", "warehouse.relay.test", ledger.PurposeOperations, false, gate.AssociateUncovered},
		{"a use that is restricted", "smtp.relay.test", ledger.PurposeTreatment, false, gate.RestrictedUse},
		{"marketing after the revocation", "smtp.relay.test", ledger.PurposeMarketing, false, gate.AuthorizationRevoked},
	} {
		var d gate.Disclosure
		err := c.st.Read(c.t.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error {
			facts, err := c.gatherer.GatherDisclosures(ctx, tx, []gate.AskDisclosure{{
				Purpose: x.purpose, Person: ada.ID, Fields: []string{"opened"}, Needed: []string{"opened"},
				Destination: gate.Destination{Name: "Relay", Kind: gate.DestinationAssociate, Service: x.service},
			}})
			if err == nil {
				d = gate.Disclose(facts[0])
			}
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
		if d.Allowed != x.allowed || !inOrder(codes(d.Reasons), why(x.code)) {
			c.t.Errorf("%s: %v %v", x.what, d.Allowed, codes(d.Reasons))
		}
	}
}

func (c *clinic) drugs() {
	c.t.Helper()
	metformin := []people.Code{{System: "rxnorm", Code: "860975"}}
	ago := func(days int) people.Moment {
		return people.Moment{Date: people.DateOf(time.Now().AddDate(0, 0, -days))}
	}
	current := c.patient("current", people.Core{Contacts: mailbox("current@trusted.example")},
		people.Fact{Kind: people.FactMedication, State: people.StateActive, Codes: metformin, Start: ago(200)})
	lapsed := c.patient("lapsed", people.Core{Contacts: mailbox("lapsed@trusted.example")},
		people.Fact{Kind: people.FactDispense, State: people.StateCompleted, Codes: metformin, Start: ago(120), Text: map[string]string{people.TextDaysSupply: "60"}},
		people.Fact{Kind: people.FactMedication, State: people.StateInactive, Codes: metformin, Start: ago(300), End: ago(150)})
	long := c.patient("long", people.Core{Contacts: mailbox("long@trusted.example")},
		people.Fact{Kind: people.FactDispense, State: people.StateCompleted, Codes: metformin, Start: ago(200), Text: map[string]string{people.TextDaysSupply: "60"}},
		people.Fact{Kind: people.FactCoverage, State: people.StateActive, Text: map[string]string{people.TextInsurance: "medicare"}})
	for _, x := range []struct {
		what  string
		p     people.Person
		means gate.Means
		code  gate.Code
	}{
		{"a current prescription", current, gate.MeansTLS, gate.RefillAllowed},
		{"one that lapsed sixty days ago", lapsed, gate.MeansTLS, gate.RefillAllowed},
		{"one that lapsed long ago", long, gate.MeansRefused, gate.RefillLapsed},
	} {
		a := ask(x.p)
		a.Message, a.Drug = refill().Message, metformin
		c.expect(x.what, a, x.means, x.code)
		a.Drug = []people.Code{{System: "rxnorm", Code: "1"}}
		c.expect(x.what+" of another drug", a, gate.MeansHeld, gate.RefillUnknown)
	}
	coupon := ask(long)
	coupon.Message = offer().Message
	coupon.Message.Offer = true
	c.expect("a coupon to a Medicare beneficiary", coupon, gate.MeansRefused, gate.OfferToBeneficiary)
	coupon = ask(current)
	coupon.Message = offer().Message
	coupon.Message.Offer = true
	c.expect("a coupon to somebody whose coverage is not known", coupon, gate.MeansRefused, gate.OfferToBeneficiary)
}

// TestContent: what the lint found and what the text really holds become facts.
func TestContent(t *testing.T) {
	found := gate.FindingsOf([]compose.Finding{
		{Code: compose.FindMergeInvalid, Severity: compose.SeverityBlock},
		{Code: compose.FindSubjectTopic, Severity: compose.SeverityWarn},
		{Code: compose.FindLinkForeign, Severity: compose.SeverityWarn},
		{Code: compose.FindSubjectLong, Severity: compose.SeverityNote},
	})
	want := []gate.Effect{gate.EffectHold, gate.EffectProtect, gate.EffectNone}
	if len(found) != len(want) {
		t.Fatalf("%v", found)
	}
	for i := range want {
		if found[i].Effect != want[i] {
			t.Errorf("%s has effect %d, want %d", found[i].Code, found[i].Effect, want[i])
		}
	}
	links := compose.Links{Unsubscribe: "https://care.riverside.example/u/abc"}
	brand := compose.Brand{Postal: []string{"12 River Road", "Austin, TX 78701"}}
	whole := compose.Rendered{Text: "Hello\nhttps://care.riverside.example/u/abc\n12 River Road\nAustin, TX 78701\n"}
	if e := gate.ElementsOf(organisation.ClassCommercial, links, brand, whole); !e.OptOut || !e.PostalAddress || !e.AdLabel {
		t.Errorf("%+v", e)
	}
	if e := gate.ElementsOf(organisation.ClassTransactional, links, brand, compose.Rendered{Text: "Hello"}); e.OptOut || e.PostalAddress || e.AdLabel {
		t.Errorf("%+v", e)
	}
}

// BenchmarkGather builds the facts of a hundred messages at once, as Prepare does.
func BenchmarkGather(b *testing.B) {
	c := openClinic(b, caretest.Open(b))
	const messages = 100
	asks := make([]gate.Ask, messages)
	for i := range asks {
		asks[i] = ask(c.patient(fmt.Sprintf("p%d", i), people.Core{Contacts: mailbox(fmt.Sprintf("p%d@trusted.example", i))}))
	}
	for b.Loop() {
		err := c.st.Read(b.Context(), c.scope, func(ctx context.Context, tx *store.Tx) error {
			all, err := c.gatherer.GatherAll(ctx, tx, asks)
			for i := range all {
				gate.Decide(all[i])
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/messages, "µs/message")
}
