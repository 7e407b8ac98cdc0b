package send

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// address gives the contact point to write to: the one that a request for confidential communications names (45 CFR 164.522(b)), else
// the preferred one that can be used. A zero Normal says that there is none. Whether it may be used is the gate's to say.
func (s *Sends) address(ctx context.Context, tx *store.Tx, p people.Person) (people.ContactPoint, error) {
	record, err := s.consents.Of(ctx, tx, p.ID)
	if err != nil {
		return people.ContactPoint{}, fmt.Errorf("read what %s asked for: %w", p.ID, err)
	}
	return choose(p.Core.Contacts, record.Confidential), nil
}

func choose(all []people.ContactPoint, requests []consent.Confidential) people.ContactPoint {
	var mails []people.ContactPoint
	for _, c := range all {
		if c.Channel == people.ChannelEmail && c.State != people.ContactInvalid && c.State != people.ContactOld && c.Normal != "" {
			mails = append(mails, c)
		}
	}
	for _, r := range requests {
		if i := slices.IndexFunc(mails, func(c people.ContactPoint) bool { return c.ID == r.Contact }); r.Status == consent.InForce && i >= 0 {
			return mails[i]
		}
	}
	if len(mails) == 0 {
		return people.ContactPoint{}
	}
	return slices.MinFunc(mails, func(a, b people.ContactPoint) int {
		if a.State != b.State {
			return int(a.State) - int(b.State)
		}
		return rank(a) - rank(b)
	})
}

// rank orders contact points: 1 is preferred, and one without a rank comes last (FHIR ContactPoint.rank).
func rank(c people.ContactPoint) int {
	const none = 1 << 20
	if c.Rank == 0 {
		return none
	}
	return c.Rank
}

// draftOf makes a draft outside of a delivery: nothing is known of a way yet.
func (s *Sends) draftOf(ctx context.Context, tx *store.Tx, r Request, p people.Person, m id.Message, given map[string]any) (*draft, error) {
	k, err := s.open(ctx, tx)
	if err != nil {
		return nil, err
	}
	d := &draft{item: delivery.Item{Message: m, Person: p.ID}, person: p, brand: k.brand, policy: k.policy, now: tx.Now}
	if d.key, err = s.people.Key(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	if d.papers, err = s.consents.Of(ctx, tx, p.ID); err != nil {
		return nil, fmt.Errorf("read what %s asked for: %w", p.ID, err)
	}
	o, err := s.declared(ctx, tx, r)
	if err != nil {
		return nil, err
	}
	d.take(o)
	d.values = s.valuesOf(tx.Organisation(), p, m, given)
	return d, nil
}

// declared finds what a request names.
func (s *Sends) declared(ctx context.Context, tx *store.Tx, r Request) (o *ordered, err error) {
	o = &ordered{Request: r}
	if o.sender, err = s.organisations.Sender(ctx, tx, r.Sender); err != nil {
		return nil, err
	}
	if o.sender.State != organisation.Active {
		o.stop("sender_closed")
	}
	if withdrawn, err := s.templates.Withdrawn(ctx, tx, r.Template); err != nil {
		return nil, err
	} else if withdrawn {
		o.stop("template_withdrawn")
	}
	o.version, err = s.templates.Version(ctx, tx, r.Template, r.Version)
	return o, err
}

func (o *ordered) stop(code compose.FindingCode) {
	o.stopped = append(o.stopped, compose.Finding{Code: code, Severity: compose.SeverityBlock})
}

// take gives a draft what its request names, and the address.
func (d *draft) take(o *ordered) {
	d.request, d.sender, d.version, d.stopped = o.Request, o.sender, o.version, slices.Clone(o.stopped)
	d.to = choose(d.person.Core.Contacts, d.papers.Confidential)
}

// stop holds a message for what its sender took back, or what cannot be written, since it was handed in.
func (d *draft) stop(code compose.FindingCode) {
	d.stopped = append(d.stopped, compose.Finding{Code: code, Severity: compose.SeverityBlock})
}

// Values gives what a template may say about a person, for a preview of the template.
func (s *Sends) Values(ctx context.Context, tx *store.Tx, person id.Person) (compose.Values, error) {
	p, err := s.people.Get(ctx, tx, person)
	if err != nil {
		return compose.Values{}, err
	}
	return s.valuesOf(tx.Organisation(), p, id.Message{}, nil), nil
}

// Foreseen is what would become of one recipient.
type Foreseen struct {
	Person id.Person
	gate.Decision
}

// Preview asks the gate about people as if a message were about to leave to each, in one snapshot; nothing is stored and nothing leaves.
// The way to a domain is looked up as for a real message, outside the snapshot.
func (s *Sends) Preview(ctx context.Context, scope id.Scope, r Request, to []id.Person, given map[string]any) ([]Foreseen, error) {
	drafts, err := s.previews(ctx, scope, r, to, given)
	if err != nil {
		return nil, err
	}
	ways := map[string]tlspolicy.Resolution{}
	for _, d := range drafts {
		if d.to.Normal != "" {
			domain := domainOf(d.to.Normal)
			if _, known := ways[domain]; !known {
				ways[domain] = s.ways.Resolve(ctx, scope.Organisation, domain)
			}
			d.item.Way = ways[domain]
		}
	}
	foreseen := make([]Foreseen, len(drafts))
	err = s.store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		for i, d := range drafts {
			if err := s.decide(ctx, tx, d); err != nil {
				return err
			}
			foreseen[i] = Foreseen{Person: d.person.ID, Decision: d.decision}
		}
		return nil
	})
	return foreseen, err
}

func (s *Sends) previews(ctx context.Context, scope id.Scope, r Request, to []id.Person, given map[string]any) (drafts []*draft, err error) {
	err = s.store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		if err := s.check(ctx, tx, &r); err != nil {
			return err
		}
		given = plain(given)
		recipients := make([]Recipient, len(to))
		for i, p := range to {
			recipients[i].Person = p
		}
		persons, _, err := s.recipients(ctx, tx, recipients)
		if err != nil {
			return err
		}
		drafts = nil
		for _, p := range persons {
			d, err := s.draftOf(ctx, tx, r, p, id.New[id.Message](), given)
			if err != nil {
				return err
			}
			drafts = append(drafts, d)
		}
		return nil
	})
	return drafts, err
}

// facts has the gate's facts gathered for drafts. What only rendering finds out is not among them yet.
func (s *Sends) facts(ctx context.Context, tx *store.Tx, drafts []*draft) ([]gate.Facts, error) {
	var limited []id.Person
	for _, d := range drafts {
		if d.policy.BulkPerWeek > 0 {
			limited = append(limited, d.person.ID)
		}
	}
	bulk, err := s.bulkWeek(ctx, tx, limited)
	if err != nil {
		return nil, err
	}
	asks := make([]gate.Ask, len(drafts))
	for i, d := range drafts {
		asks[i] = gate.Ask{
			Message: d.message(), Person: d.person.ID, Contact: d.to.ID, Way: d.item.Way, Contacts: gate.Contacts{BulkWeek: bulk[d.person.ID]}, Drug: d.request.Drug,
			Known: &d.person, Record: &d.papers,
		}
	}
	return s.gatherer.GatherAll(ctx, tx, asks)
}

// message gives what was declared of the message.
func (d *draft) message() gate.Message {
	r := d.request
	return gate.Message{
		ID: d.item.Message, Channel: people.ChannelEmail, Purpose: r.Purpose, Payer: r.Payer, Class: r.Class, Topic: r.Topic, Bulk: r.Bulk,
		Urgent: r.Urgent, Safety: r.Safety, PHI: !r.NoPHI, SelectedByHealth: r.SelectedByHealth, Sensitive: r.Sensitive, Fundraising: r.Fundraising, Offer: r.Offer,
		Demand: r.Demand,
	}
}

// bulkWeek counts the bulk messages of the last 7 days to each person, all departments together.
func (s *Sends) bulkWeek(ctx context.Context, tx *store.Tx, persons []id.Person) (map[id.Person]int, error) {
	if len(persons) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, countBulk, tx.Organisation(), store.Blobs(persons), store.Millis(tx.Now.AddDate(0, 0, -7)))
	if err != nil {
		return nil, fmt.Errorf("count what people got this week: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	all := map[id.Person]int{}
	for rows.Next() {
		var p id.Person
		var n int
		if err := rows.Scan(&p, &n); err != nil {
			return nil, fmt.Errorf("count what people got this week: %w", err)
		}
		all[p] = n
	}
	return all, rows.Err()
}

// written gives the address that a message went to, as its last decision says: the person's record may name another one by now.
func (s *Sends) written(ctx context.Context, tx *store.Tx, m id.Message) (string, error) {
	msg, err := s.Message(ctx, tx, m)
	if err != nil || len(msg.Decisions) == 0 {
		return "", err
	}
	return msg.Decisions[len(msg.Decisions)-1].To, nil
}

// suppress stops mail to an address that its receiver called gone: until somebody finds another way to reach the person.
func (s *Sends) suppress(ctx context.Context, tx *store.Tx, o delivery.Outcome) error {
	p, err := s.people.Get(ctx, tx, o.Person)
	if err != nil {
		return err
	}
	to, err := s.written(ctx, tx, o.Message)
	if err != nil || to == "" || o.Domain != "" && !strings.EqualFold(domainOf(to), o.Domain) {
		return err // nothing was said of the address that the record names by now
	}
	for _, c := range p.Core.Contacts {
		if c.Channel == people.ChannelEmail && c.Normal == to {
			if err := s.people.SetContactState(ctx, tx, o.Person, c.ID, people.ContactUnproven); err != nil {
				return err
			}
		}
	}
	_, err = s.consents.Suppress(ctx, tx, consent.Suppression{
		Row: consent.Row{Person: o.Person}, Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: to, Covers: consent.CoversAddress,
		Reason: "bounced", Rule: o.Rule, Evidence: consent.Evidence{How: "event"},
	})
	return err
}
