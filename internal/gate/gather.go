package gate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Gatherer builds facts, and nothing else does. It is safe for use by many goroutines.
type Gatherer struct {
	people        *people.People
	consents      *consent.Consents
	agreements    *agreement.Agreements
	organisations *organisation.Organisations
	law           *law.Table
}

// NewGatherer makes a gatherer that reckons with the embedded law.
func NewGatherer(p *people.People, c *consent.Consents, a *agreement.Agreements, o *organisation.Organisations) *Gatherer {
	return &Gatherer{people: p, consents: c, agreements: a, organisations: o, law: law.Embedded()}
}

// SetLaw puts a loaded table in the place of the embedded one, before the first Gather.
func (g *Gatherer) SetLaw(t *law.Table) { g.law = t }

// Ask is a message that is about to leave, as its sender knows it. Everything else Gather finds out.
type Ask struct {
	Message  Message
	Kind     RecipientKind // of staff and postmasters; else the record of the person says it
	Person   id.Person
	Contact  id.ContactPoint      // the address it goes to; unset is none
	To       string               // the normal form of an address that is no contact point of the person: a proxy's
	Way      tlspolicy.Resolution // of a mail; the zero Resolution is not known yet
	Service  string               // of a text: the carrier's service
	Drug     []people.Code        // of a refill reminder: codes of the drug, any of which will do
	OwnCare  bool                 // a minor who consented alone to the care
	Keys     Keys
	Contacts Contacts
	Previous *Decision

	// Known and Record, when set, are what the caller read of the person in this transaction already: Gather does not read it again.
	Known  *people.Person
	Record *consent.Record
}

// Gather builds the facts of one message.
func (g *Gatherer) Gather(ctx context.Context, tx *store.Tx, a Ask) (Facts, error) {
	all, err := g.GatherAll(ctx, tx, []Ask{a})
	if err != nil {
		return Facts{}, err
	}
	return all[0], nil
}

// GatherAll builds the facts of several messages of one organisation, in the order asked.
func (g *Gatherer) GatherAll(ctx context.Context, tx *store.Tx, asks []Ask) ([]Facts, error) {
	w, err := g.load(ctx, tx, asks)
	if err != nil {
		return nil, fmt.Errorf("gather facts: %w", err)
	}
	all := make([]Facts, len(asks))
	for i := range asks {
		if all[i], err = g.facts(ctx, tx, w, &asks[i]); err != nil {
			return nil, fmt.Errorf("gather the facts of %s: %w", asks[i].Message.ID, err)
		}
	}
	return all, nil
}

// AskDisclosure is an export or a feed about one person, as its maker knows it. Gather finds out the papers and the agreement.
type AskDisclosure struct {
	Purpose     ledger.Purpose
	Destination Destination // Covered and Agreement are found by Service
	Person      id.Person
	ToPerson    bool
	Paid        bool
	Fields      []string
	Needed      []string
	Sensitive   []Sensitive
	Part2Notice bool
}

// GatherDisclosures builds the facts of what one export or feed says about several people, in the order asked.
func (g *Gatherer) GatherDisclosures(ctx context.Context, tx *store.Tx, asks []AskDisclosure) ([]DisclosureFacts, error) {
	plain := make([]Ask, len(asks))
	for i := range asks {
		plain[i].Person = asks[i].Person
	}
	w, err := g.load(ctx, tx, plain)
	if err != nil {
		return nil, fmt.Errorf("gather facts: %w", err)
	}
	all := make([]DisclosureFacts, len(asks))
	for i, a := range asks {
		var papers Facts
		papers.take(w.records[a.Person], law.Day(w.now))
		d := DisclosureFacts{
			Now: w.now, Law: g.law, Purpose: a.Purpose, Destination: a.Destination, Person: a.Person, ToPerson: a.ToPerson, Paid: a.Paid,
			Fields: a.Fields, Needed: a.Needed, Sensitive: a.Sensitive, Part2Notice: a.Part2Notice,
			Authorizations: papers.Authorizations, Part2Consents: papers.Part2Consents, Restrictions: papers.Restrictions,
		}
		if a.Destination.Kind == DestinationAssociate {
			x, covered, err := g.agreements.Covers(ctx, tx, a.Destination.Service, w.now)
			if err != nil {
				return nil, fmt.Errorf("gather facts: %w", err)
			}
			d.Destination.Covered, d.Destination.Agreement = covered, x.ID
		}
		all[i] = d
	}
	return all, nil
}

// loaded is what a batch of asks shares.
type loaded struct {
	now     time.Time // in the organisation's zone: the days of deadlines are the organisation's
	policy  organisation.Policy
	persons map[id.Person]people.Person
	records map[id.Person]consent.Record
	stopped map[consent.At][]consent.Suppression
	shared  map[consent.At]bool // several people have the address
	carried []agreement.Agreement
}

func (g *Gatherer) load(ctx context.Context, tx *store.Tx, asks []Ask) (*loaded, error) {
	w := &loaded{persons: map[id.Person]people.Person{}, records: map[id.Person]consent.Record{}}
	org, err := g.organisations.Get(ctx, tx)
	if err != nil {
		return nil, err
	}
	zone, err := org.Profile.Location()
	if err != nil {
		return nil, fmt.Errorf("read the organisation's zone: %w", err)
	}
	w.now = tx.Now.In(zone)
	if w.policy, err = g.organisations.Policy(ctx, tx); err != nil {
		return nil, err
	}
	if err := g.loadPeople(ctx, tx, w, asks); err != nil {
		return nil, err
	}
	return w, g.loadAddresses(ctx, tx, w, asks)
}

// loadPeople reads the people and their papers, but for what the asks bring along.
func (g *Gatherer) loadPeople(ctx context.Context, tx *store.Tx, w *loaded, asks []Ask) error {
	var bare, paperless []id.Person
	for i := range asks {
		a := &asks[i]
		if a.Person.IsZero() {
			continue
		}
		if a.Known != nil {
			w.persons[a.Person] = *a.Known
		} else {
			bare = append(bare, a.Person)
		}
		if a.Record != nil {
			w.records[a.Person] = *a.Record
		} else {
			paperless = append(paperless, a.Person)
		}
	}
	if len(bare) > 0 {
		persons, err := g.people.GetAll(ctx, tx, bare)
		if err != nil {
			return err
		}
		for _, p := range persons {
			w.persons[p.ID] = p
		}
	}
	if len(paperless) == 0 {
		return nil
	}
	records, err := g.consents.OfAll(ctx, tx, paperless)
	for p, r := range records {
		w.records[p] = r
	}
	return err
}

// loadAddresses reads what stops mail to the addresses, and which of them several people have.
func (g *Gatherer) loadAddresses(ctx context.Context, tx *store.Tx, w *loaded, asks []Ask) (err error) {
	var at []consent.At
	by := map[people.Channel][]string{}
	for i := range asks {
		if x, ok := w.at(&asks[i]); ok {
			at = append(at, x)
			by[x.Channel] = append(by[x.Channel], x.Address)
		}
	}
	if w.stopped, err = g.consents.Suppressed(ctx, tx, at); err != nil {
		return err
	}
	w.shared = map[consent.At]bool{}
	for channel, normal := range by {
		sharers, err := g.people.Sharers(ctx, tx, channel, normal)
		if err != nil {
			return err
		}
		for address, n := range sharers {
			w.shared[consent.At{Channel: channel, Address: address}] = n > 1
		}
	}
	return nil
}

// at gives the address that an ask goes to.
func (w *loaded) at(a *Ask) (consent.At, bool) {
	if a.To != "" {
		return consent.At{Channel: a.Message.Channel, Address: a.To}, true
	}
	for _, c := range w.persons[a.Person].Core.Contacts {
		if c.ID == a.Contact && c.Normal != "" {
			return consent.At{Channel: c.Channel, Address: c.Normal}, true
		}
	}
	return consent.At{}, false
}

func (g *Gatherer) facts(ctx context.Context, tx *store.Tx, w *loaded, a *Ask) (Facts, error) {
	f := Facts{Now: w.now, Law: g.law, Message: a.Message, Keys: a.Keys, Contacts: a.Contacts, Previous: a.Previous, Policy: policyOf(w.policy)}
	f.Recipient = w.recipient(a)
	f.TLS = TLSOf(a.Way, w.policy.AcceptPKIX)
	at, addressed := w.at(a)
	f.take(w.records[a.Person], law.Day(w.now))
	for _, s := range w.stopped[at] {
		f.OptOuts = append(f.OptOuts, OptOut{Ref: s.ID.String(), Scope: ScopeAddress, Covers: s.Covers, Topic: s.Topic})
	}
	f.Recipient.Shared = addressed && f.Recipient.Holder == HolderPerson && w.shared[at]
	if err := g.carrier(ctx, tx, w, a, &f); err != nil {
		return f, err
	}
	if f.Message.Purpose == ledger.PurposeRefill {
		if err := g.refill(ctx, tx, w, a, &f); err != nil {
			return f, err
		}
	}
	if f.Message.Offer {
		return f, g.beneficiary(ctx, tx, a, &f)
	}
	return f, nil
}

func policyOf(p organisation.Policy) Policy {
	return Policy{
		AcceptPKIX: p.AcceptPKIX, Pickup: p.Pickup, SensitiveTLS: p.SensitiveTLS, PlainRequestsOff: p.PlainRequestsOff, ProtectAll: p.ProtectAll,
		CareHours: p.CareHours, OtherHours: p.OtherHours, MailHours: p.MailHours, BulkPerWeek: p.BulkPerWeek,
	}
}

// TLSOf reads the way to a domain as facts.
func TLSOf(way tlspolicy.Resolution, acceptPKIX bool) TLS {
	switch way.Status {
	case tlspolicy.Broken:
		return TLS{State: TLSBroken}
	case tlspolicy.Ready:
		if proof := way.Offers(acceptPKIX); proof != ProofNone {
			return TLS{State: TLSOffered, Proof: proof}
		}
		if way.Failure != tlspolicy.FailureNone {
			return TLS{State: TLSFailed}
		}
		if !acceptPKIX && way.Route.IsZero() {
			return TLS{State: TLSOffered, Proof: ProofPKIX} // not accepted: the reason says so
		}
		return TLS{State: TLSNone}
	case tlspolicy.Later, tlspolicy.Nowhere:
	}
	return TLS{State: TLSUnknown}
}

// carrier: a route that hands our mail to somebody else than the recipient's own server goes through a business associate. A login
// or an agreement says so; else a server outside the recipient's domain does, unless the operator pinned the authority of a
// partner, or called it a server of a network of one's own.
func (g *Gatherer) carrier(ctx context.Context, tx *store.Tx, w *loaded, a *Ask, f *Facts) error {
	way := a.Way
	service, named := a.Service, way.Agreement
	if service == "" && !way.Route.IsZero() && len(way.Hosts) > 0 {
		foreign := way.Proof == ProofRoute && way.Roots == nil && tlspolicy.GroupOf(way.Hosts[0].Name) != tlspolicy.GroupOf(way.Domain)
		if way.Login != nil || !named.IsZero() || foreign {
			service = way.Hosts[0].Name
		}
	}
	if service == "" {
		return nil
	}
	f.Carrier = Carrier{Needed: true, Service: service}
	if w.carried == nil {
		list, err := g.agreements.List(ctx, tx)
		if err != nil {
			return err
		}
		w.carried = list
	}
	for _, x := range w.carried {
		if (named.IsZero() || x.ID == named) && x.Covers(service, law.Day(w.now)) {
			f.Carrier.Covered, f.Carrier.Agreement = true, x.ID
			return nil
		}
	}
	return nil
}

// refill finds the drug among the orders and dispenses: current while an order is active, else lapsed when the last supply ran out.
func (g *Gatherer) refill(ctx context.Context, tx *store.Tx, w *loaded, a *Ask, f *Facts) error {
	facts, err := g.people.Facts(ctx, tx, a.Person, people.FactMedication, people.FactDispense)
	if err != nil {
		return err
	}
	today := law.Day(w.now)
	r := &f.Message.Refill
	*r = Refill{}
	for i := range facts {
		x := &facts[i]
		if !names(x.Codes, a.Drug) || x.State == people.StateError || x.State == people.StateRefuted || x.State == people.StateProposed {
			continue
		}
		r.Known = true
		ends := law.Date(x.End.Date.Days())
		if x.Kind == people.FactMedication && x.State == people.StateActive && (ends == 0 || ends >= today) {
			r.Current = true
		}
		if days, err := strconv.Atoi(x.Text[people.TextDaysSupply]); x.Kind == people.FactDispense && err == nil && days > 0 && days <= 366 {
			ends = law.Date(x.Start.Date.Days()) + law.Date(days)
		}
		if ends <= today {
			r.Lapsed = max(r.Lapsed, ends)
		}
	}
	return nil
}

func names(codes, drug []people.Code) bool {
	for _, c := range codes {
		for _, d := range drug {
			if c.System == d.System && c.Code == d.Code {
				return true
			}
		}
	}
	return false
}

// beneficiary: 42 USC 1320a-7b(b). No coverage on file is not known, and counts as a federal one.
func (g *Gatherer) beneficiary(ctx context.Context, tx *store.Tx, a *Ask, f *Facts) error {
	facts, err := g.people.Facts(ctx, tx, a.Person, people.FactCoverage)
	if err != nil {
		return err
	}
	private := false
	for i := range facts {
		if facts[i].State != people.StateActive {
			continue
		}
		switch strings.ToLower(facts[i].Text[people.TextInsurance]) {
		case "commercial", "self-pay":
			private = true
		default:
			f.Recipient.FederalBeneficiary = true
		}
	}
	f.Recipient.FederalBeneficiary = f.Recipient.FederalBeneficiary || !private
	return nil
}
