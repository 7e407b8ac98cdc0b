package send_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// clinic is an organisation that can send: real people, papers, templates, gate, pickup and queue. The engine never runs: tests hand
// its items in and tell its outcomes.
type clinic struct {
	*send.Sends
	t         testing.TB
	st        *store.Store
	scope     id.Scope
	keys      *seal.Keys
	led       *ledger.Ledger
	people    *people.People
	consents  *consent.Consents
	orgs      *organisation.Organisations
	templates *compose.Templates
	pickups   *pickup.Pickups
	engine    *delivery.Engine

	care, offer         compose.TemplateVersion
	careFrom, offerFrom organisation.Sender
}

const base = "https://care.riverside.example"

func both(t *testing.T, test func(t *testing.T, c *clinic)) {
	t.Helper()
	caretest.Databases(t, func(t *testing.T, st *store.Store) { test(t, openClinic(t, st)) })
}

func openClinic(t testing.TB, st *store.Store) *clinic {
	t.Helper()
	c := &clinic{t: t, st: st}
	c.keys, c.led = caretest.Ground(t, st)
	c.people, c.orgs = people.New(st, c.keys, c.led), organisation.New(st, c.keys, c.led)
	c.consents, c.templates = consent.New(c.keys, c.led, c.people), compose.NewTemplates(c.keys, c.led)
	var err error
	if c.pickups, err = pickup.New(pickup.Options{Keys: c.keys, Ledger: c.led, Base: base, PersonKey: c.people.Key}); err != nil {
		t.Fatal(err)
	}
	ways, err := tlspolicy.New(tlspolicy.Options{Store: st, Keys: c.keys, Ledger: c.led})
	if err != nil {
		t.Fatal(err)
	}
	c.Sends = send.New(send.Parts{
		Store: st, Keys: c.keys, Ledger: c.led, Organisations: c.orgs, People: c.people, Consents: c.consents, Templates: c.templates,
		Pickup: c.pickups, Gather: gate.NewGatherer(c.people, c.consents, agreement.New(c.keys, c.led), c.orgs), Ways: ways, Base: base,
	})
	c.engine, err = delivery.New(delivery.Options{
		Store: st, Keys: c.keys, Ledger: c.led, Ways: ways, Prepare: c.Prepare, Record: c.Record, Outcome: c.Outcome, PersonKeys: c.people.LiveKeys, Hello: "care.riverside.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Deliver(c.engine)
	org, err := c.orgs.Create(t.Context(), id.Operator(0), "care.riverside.example", organisation.Profile{
		Name: "Riverside Clinic LLC", Display: "Riverside Clinic", Zone: "America/New_York", Languages: []string{"en"}, Phone: "+15125550142",
		Postal: organisation.Postal{Lines: []string{"12 River Road"}, City: "Austin", State: "TX", PostalCode: "78701", Country: "US"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.scope = id.System(org)
	c.furnish()
	return c
}

// furnish gives the clinic a domain, two senders, a template for care and one for an offer.
func (c *clinic) furnish() {
	keys, err := dkim()
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		if _, err = c.orgs.AddDomain(ctx, tx, "riverside.example", keys); err != nil {
			return err
		}
		c.careFrom, err = c.orgs.AddSender(ctx, tx, organisation.Sender{
			Address: "care@riverside.example", Name: "Riverside Clinic", Class: organisation.ClassTransactional, Stream: "care",
		})
		if err != nil {
			return err
		}
		c.offerFrom, err = c.orgs.AddSender(ctx, tx, organisation.Sender{
			Address: "news@riverside.example", Name: "Riverside Clinic", Class: organisation.ClassCommercial, Stream: "news",
		})
		if err != nil {
			return err
		}
		c.care, err = c.templates.Create(ctx, tx, "Care", content("Your Zanzibaritis visit", "Hello {{ person.first }}, bring {{ account }} please."),
			ledger.PurposeTreatment, organisation.ClassTransactional)
		if err != nil {
			return err
		}
		c.offer, err = c.templates.Create(ctx, tx, "Offer", content("An offer", "Hello {{ person.first }}, see {{ account }}."),
			ledger.PurposeMarketing, organisation.ClassCommercial)
		return err
	})
}

// dkim makes the keys once: an RSA key takes a while.
var dkim = sync.OnceValues(func() ([]organisation.NewKey, error) { return organisation.NewKeys(time.Now()) })

func content(subject, text string) compose.Content {
	return compose.Content{
		Version: 1,
		Variables: []compose.Variable{
			{Name: "person.first", Kind: compose.KindText, Sample: "Ada"}, {Name: "account", Kind: compose.KindText, Sample: "12"},
		},
		Variants: []compose.Variant{{Language: "en", Subject: subject, Blocks: compose.Blocks{compose.Text{Text: text}}}},
	}
}

func (c *clinic) write(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Write(c.t.Context(), c.scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clinic) read(fn func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	if err := c.st.Read(c.t.Context(), c.scope, fn); err != nil {
		c.t.Fatal(err)
	}
}

// patient takes a patient in, as a source tells it, or tells anew of one.
func (c *clinic) patient(key string, addresses ...string) (p people.Person) {
	c.t.Helper()
	core := people.Core{
		Kind: people.KindPatient, Birth: people.Date{Year: 1970, Month: 5, Day: 6}, Names: []people.Name{{Family: "Quillfeather", Given: []string{"Ottoline"}}},
	}
	for _, a := range addresses {
		core.Contacts = append(core.Contacts, people.ContactPoint{Channel: people.ChannelEmail, Value: a, Normal: a})
	}
	c.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.people.Apply(ctx, tx, []people.Change{{Source: "ehr", Subject: key, Active: true, Profile: &core}}, id.New[id.Import]())
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

func (c *clinic) careRequest() send.Request {
	return send.Request{
		Name: "Visits of May", Template: c.care.Template, Sender: c.careFrom.ID, Purpose: ledger.PurposeTreatment, Class: organisation.ClassTransactional,
		Payer: gate.Payer{Who: gate.PayerSelf},
	}
}

func (c *clinic) offerRequest() send.Request {
	return send.Request{
		Name: "Offer of May", Template: c.offer.Template, Sender: c.offerFrom.ID, Purpose: ledger.PurposeMarketing, Class: organisation.ClassCommercial,
		Payer: gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationAboveCost, Name: "Acme"},
	}
}

var account = map[string]any{"account": 12345678901234567}

// hand opens a send and hands messages in, in one transaction.
func (c *clinic) hand(r send.Request, to ...people.Person) (id.Send, []id.Message) {
	c.t.Helper()
	sid := id.New[id.Send]()
	var taken []id.Message
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		if err := c.Open(ctx, tx, sid, r); err != nil {
			return err
		}
		var all []send.Recipient
		for _, p := range to {
			all = append(all, send.Recipient{Person: p.ID, Values: account})
		}
		taken, err = c.Submit(ctx, tx, sid, all)
		return err
	})
	return sid, taken
}

// item is a message as delivery hands it to Prepare: over a domain that enforces MTA-STS.
func item(m id.Message, p people.Person) delivery.Item {
	return delivery.Item{
		Message: m, Person: p.ID, Kind: delivery.Care, Submitted: time.Now(), Expires: time.Now().Add(48 * time.Hour),
		Way: tlspolicy.Resolution{
			Domain: "trusted.example", Status: tlspolicy.Ready, Proof: tlspolicy.ProofMTASTS, Hosts: []tlspolicy.Host{{Name: "mx.trusted.example"}},
		},
	}
}

// noTLS is a way to a domain that offers no TLS.
func noTLS(it delivery.Item) delivery.Item {
	it.Way = tlspolicy.Resolution{Domain: it.Way.Domain, Status: tlspolicy.Ready, Failure: tlspolicy.FailureNoTLS, Hosts: []tlspolicy.Host{{Name: "mx.trusted.example"}}}
	return it
}

// prepare has one message prepared and its decision recorded, as delivery does with the intent or the end; an end is told.
func (c *clinic) prepare(it delivery.Item) delivery.Prepared {
	c.t.Helper()
	all, err := c.Prepare(c.t.Context(), c.scope.Organisation, []delivery.Item{it})
	if err != nil || len(all) != 1 || all[0].Message != it.Message {
		c.t.Fatalf("%d prepared: %v", len(all), err)
	}
	p := all[0]
	c.write(func(ctx context.Context, tx *store.Tx) error {
		if err := c.Record(ctx, tx, []delivery.Prepared{p}); err != nil {
			return err
		}
		end := map[delivery.Verdict]delivery.End{delivery.Hold: delivery.Held, delivery.Refuse: delivery.Refused}[p.Verdict]
		if end == delivery.Deferred {
			return nil
		}
		return c.Outcome(ctx, tx, []delivery.Outcome{{Message: it.Message, Person: it.Person, End: end, Reason: p.Reason}})
	})
	return p
}

func (c *clinic) tell(o delivery.Outcome) {
	c.t.Helper()
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.Outcome(ctx, tx, []delivery.Outcome{o}) })
}

func (c *clinic) message(m id.Message) (msg send.Message) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) (err error) {
		msg, err = c.Message(ctx, tx, m)
		return err
	})
	return msg
}

// acts counts the entries about a person that its own key opens.
func (c *clinic) acts(p people.Person) map[ledger.Act]int {
	c.t.Helper()
	if err := c.led.Numbered(c.t.Context(), c.scope.Organisation); err != nil {
		c.t.Fatal(err)
	}
	n := map[ledger.Act]int{}
	c.read(func(ctx context.Context, tx *store.Tx) error {
		key, err := c.people.Key(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		page, err := c.led.About(ctx, tx, p.ID, key, ledger.Query{Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if _, err := c.led.OpenDetail(ctx, tx, r, key); err != nil {
				c.t.Errorf("%s: %v", r.Act, err)
			}
			n[r.Act]++
		}
		return nil
	})
	return n
}

// has tells whether the last decision says this reason.
func has(m send.Message, code gate.Code) bool {
	if len(m.Decisions) == 0 {
		return false
	}
	for _, r := range m.Decisions[len(m.Decisions)-1].Reasons {
		if r.Code == code {
			return true
		}
	}
	return false
}
