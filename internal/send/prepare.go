package send

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// draft is one message on its way through Prepare.
type draft struct {
	item     delivery.Item
	send     id.Send
	request  Request
	person   people.Person
	key      seal.Key
	to       people.ContactPoint
	sender   organisation.Sender
	brand    compose.Brand
	policy   organisation.Policy
	version  compose.TemplateVersion
	values   compose.Values
	kept     *frozen    // what an earlier Prepare froze
	before   gate.Means // of the last decision that is recorded; empty: none yet
	rendered compose.Rendered
	decision gate.Decision
	pickup   id.Pickup
	now      time.Time
}

// Prepare is called by delivery with messages that are about to leave: it gathers, renders, asks the gate, and protects. What it
// decided is recorded by delivery in the transaction of the intent, or of the end. One bad message never stops the others.
func (s *Sends) Prepare(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
	drafts, err := s.gather(ctx, org, items)
	if err != nil {
		return nil, err
	}
	if err := s.keep(ctx, org, drafts); err != nil {
		return nil, err
	}
	out := make([]delivery.Prepared, 0, len(drafts))
	for _, d := range drafts {
		p, err := s.protect(org, d)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", d.item.Message, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// gather reads what each message needs and decides, in one snapshot.
func (s *Sends) gather(ctx context.Context, org id.Organisation, items []delivery.Item) (drafts []*draft, err error) {
	err = s.store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		drafts, err = s.drafts(ctx, tx, items)
		if err != nil {
			return err
		}
		for _, d := range drafts {
			if err := s.decide(ctx, tx, d); err != nil {
				return fmt.Errorf("decide on %s: %w", d.item.Message, err)
			}
		}
		return nil
	})
	return drafts, err
}

func (s *Sends) drafts(ctx context.Context, tx *store.Tx, items []delivery.Item) ([]*draft, error) {
	in, err := inputs(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	ids := make([]id.Person, 0, len(in))
	for _, x := range in {
		ids = append(ids, x.person)
	}
	persons, err := s.people.GetAll(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	keys, err := s.people.Keys(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	byID := map[id.Person]people.Person{}
	for _, p := range persons {
		byID[p.ID] = p
	}
	org, err := s.organisations.Get(ctx, tx)
	if err != nil {
		return nil, err
	}
	policy, err := s.organisations.Policy(ctx, tx)
	if err != nil {
		return nil, err
	}
	all := make([]*draft, 0, len(in))
	for _, x := range in {
		d := &draft{item: x.item, send: x.send, person: byID[x.person], key: keys[x.person], brand: compose.BrandOf(org), policy: policy, before: x.means, now: tx.Now}
		if err := s.fill(ctx, tx, d, x.vars); err != nil {
			return nil, fmt.Errorf("read %s: %w", x.item.Message, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// fill opens what was frozen and what the caller gave, and finds the address, the template and the sender.
func (s *Sends) fill(ctx context.Context, tx *store.Tx, d *draft, sealedVars []byte) (err error) {
	if d.request, err = s.request(ctx, tx, d.send); err != nil {
		return err
	}
	if err := s.declared(ctx, tx, d); err != nil {
		return err
	}
	if len(d.item.Frozen) > 0 {
		raw, err := d.key.Open(frozenCell(d.item.Message), d.item.Frozen)
		if err != nil {
			return fmt.Errorf("open what was frozen: %w", err)
		}
		d.kept = &frozen{}
		if err := json.Unmarshal(raw, d.kept); err != nil {
			return fmt.Errorf("read what was frozen: %w", err)
		}
	}
	raw, err := d.key.Open(messageCell("vars", d.item.Message), sealedVars)
	if err != nil {
		return fmt.Errorf("open the caller's values: %w", err)
	}
	var given map[string]any
	if err := json.Unmarshal(raw, &given); err != nil {
		return fmt.Errorf("read the caller's values: %w", err)
	}
	d.values = s.valuesOf(tx.Organisation(), d.person, d.item.Message, given)
	return nil
}

// decide renders, because the gate asks what the lint found, and then asks the gate.
func (s *Sends) decide(ctx context.Context, tx *store.Tx, d *draft) error {
	if d.kept != nil {
		d.values.Languages, d.values.Vars = d.kept.Languages, d.kept.Vars
	}
	rendered, err := compose.Render(d.version, d.values, d.brand)
	if err != nil {
		// A value that is missing holds this one message, with its place; it is no reason to stop the others.
		rendered.Findings = append(rendered.Findings, compose.Finding{Code: compose.FindMergeInvalid, Severity: compose.SeverityBlock, Text: fault.Text(err)})
	}
	d.rendered = rendered
	facts, err := s.facts(ctx, tx, d)
	if err != nil {
		return err
	}
	if d.item.Way.Domain != "" && domainOf(d.to.Normal) != d.item.Way.Domain {
		// The address was changed after the row got its way; sending it down that way would reach a stranger's server.
		facts.Recipient.Address = gate.AddressUnproven
	}
	if d.kept != nil && d.item.Failure != tlspolicy.FailureNone {
		d.decision = gate.Redecide(facts, gate.Decision{Means: d.kept.Means, Proof: d.kept.Proof})
	} else {
		d.decision = gate.Decide(facts)
	}
	return nil
}

// keep stores the messages that wait here for their recipient, before their notices are written. It is idempotent by message.
func (s *Sends) keep(ctx context.Context, org id.Organisation, drafts []*draft) error {
	var waits []*draft
	for _, d := range drafts {
		if d.decision.Means == gate.MeansPickup {
			waits = append(waits, d)
		}
	}
	if len(waits) == 0 {
		return nil
	}
	return s.store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		for _, d := range waits {
			d.pickup, err = s.pickup.Create(ctx, tx, pickup.Waiter{
				Message: d.item.Message, Person: d.person.ID, Purpose: d.request.Purpose, Wait: d.policy.Wait(), Reminders: d.policy.Reminders(),
				Content: pickup.Content{
					From: d.sender.Name, Subject: d.rendered.Subject, Language: d.rendered.Language, HTML: d.rendered.HTML, Text: d.rendered.Text,
					Files: d.rendered.Files,
				},
			})
			if err != nil {
				return fmt.Errorf("keep %s: %w", d.item.Message, err)
			}
		}
		return nil
	})
}

// protect makes of a decided draft what delivery carries.
func (s *Sends) protect(org id.Organisation, d *draft) (delivery.Prepared, error) {
	p := delivery.Prepared{Message: d.item.Message, Record: s.record(d)}
	switch d.decision.Means {
	case gate.MeansRefused:
		p.Verdict, p.Reason = delivery.Refuse, lastCode(d.decision)
		return p, nil
	case gate.MeansHeld:
		if !d.decision.NotBefore.IsZero() && d.decision.NotBefore.Before(d.item.Expires) {
			p.Verdict, p.Due = delivery.Later, d.decision.NotBefore
			return p, nil
		}
		p.Verdict, p.Reason = delivery.Hold, lastCode(d.decision)
		return p, nil
	case gate.MeansTLS, gate.MeansPickup, gate.MeansPlain, gate.MeansPlainRequested:
	case gate.MeansPGP, gate.MeansSMIME:
		return p, fault.New(fault.Internal, "the gate chose %s and no key store offers it", d.decision.Means)
	}
	f := d.freeze()
	data, err := s.bytes(org, d, f)
	if err != nil {
		return p, err
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return p, fmt.Errorf("freeze: %w", err)
	}
	if p.Frozen, err = d.key.Seal(frozenCell(d.item.Message), raw); err != nil {
		return p, fmt.Errorf("seal what is frozen: %w", err)
	}
	p.Verdict, p.Data, p.Signer, p.To = delivery.Go, data, d.sender.DomainName(), f.To
	p.From = "b+" + s.keys.MintAddress(seal.AddressBounce, org, d.item.Message.UUID()) + "@bounce." + d.sender.DomainName()
	if d.decision.Means == gate.MeansTLS {
		p.Need = tlspolicy.Proof(d.decision.Proof)
	}
	return p, nil
}

// freeze gives what this attempt uses and the next ones shall use: what an earlier one froze, unless the decision is another.
func (d *draft) freeze() frozen {
	f := frozen{
		Means: d.decision.Means, Proof: d.decision.Proof, To: d.to.Normal, MessageID: compose.MessageID(d.item.Message, d.sender.DomainName()),
		Date: d.now.Truncate(time.Second), Languages: d.values.Languages, Vars: d.values.Vars, Pickup: d.pickup,
	}
	if d.kept != nil && d.kept.Means == f.Means {
		f.Date, f.To = d.kept.Date, d.kept.To
	}
	return f
}

// bytes writes the mail: the message itself, or the notice of one that waits here.
func (s *Sends) bytes(org id.Organisation, d *draft, f frozen) ([]byte, error) {
	from, err := compose.NewMailbox(d.sender.Name, d.sender.Address)
	if err != nil {
		return nil, err
	}
	to, err := compose.NewMailbox("", f.To)
	if err != nil {
		return nil, err
	}
	feedback := d.send.String() + ":" + org.String() + ":" + d.sender.Stream + ":carepost"
	if d.decision.Means == gate.MeansPickup {
		n := pickup.Notice{
			From: from, To: to, Brand: d.brand, Languages: f.Languages, Link: s.pickup.Link(org, d.pickup), ID: f.MessageID, Date: f.Date, Feedback: feedback,
		}
		m, err := n.Message()
		if err != nil {
			return nil, err
		}
		return m.Bytes()
	}
	m := compose.Message{
		From: from, To: []compose.Mailbox{to}, Subject: d.rendered.Subject, Date: f.Date, ID: f.MessageID, Language: d.rendered.Language,
		Text: d.rendered.Text, HTML: d.rendered.HTML, FeedbackID: feedback, Automatic: d.request.Bulk,
	}
	if d.sender.ReplyTo != "" {
		if m.ReplyTo, err = compose.NewMailbox("", d.sender.ReplyTo); err != nil {
			return nil, err
		}
	}
	if d.request.Class == organisation.ClassCommercial {
		m.Unsubscribe = d.values.Links.Unsubscribe
	}
	return m.Bytes()
}

// record writes the decision where it is new: the row that staff read, and the ledger entry under the person's key.
func (s *Sends) record(d *draft) func(context.Context, *store.Tx) error {
	if d.before == d.decision.Means && d.item.Failure == tlspolicy.FailureNone {
		return nil // a retry of what was decided before
	}
	return func(ctx context.Context, tx *store.Tx) error {
		return s.recordDecision(ctx, tx, d.item.Message, d.request.Purpose, d.person.ID, d.key, d.decision)
	}
}

func (s *Sends) recordDecision(ctx context.Context, tx *store.Tx, m id.Message, p ledger.Purpose, person id.Person, key seal.Key, decision gate.Decision) error {
	var number int
	if err := tx.QueryRow(ctx, decideMessage, decision.Means, store.Millis(tx.Now), tx.Organisation(), m).Scan(&number); err != nil {
		return missing(err, "there is no such message")
	}
	raw, err := json.Marshal(decision)
	if err != nil {
		return fmt.Errorf("write the decision on %s: %w", m, err)
	}
	sealed, err := key.Seal(decisionCell(m, number), raw)
	if err != nil {
		return fmt.Errorf("seal the decision on %s: %w", m, err)
	}
	if _, err := tx.Exec(ctx, insertDecision, tx.Organisation(), m, number, decision.Means, store.Millis(tx.Now), sealed); err != nil {
		return fmt.Errorf("store the decision on %s: %w", m, err)
	}
	act := ledger.ActDecision
	if decision.Means == gate.MeansHeld {
		act = ledger.ActHold
	}
	return s.ledger.Append(ctx, tx, ledger.Entry{
		Act: act, Purpose: p, Subject: person, SubjectKey: key, Object: m.UUID(),
		Detail: ledger.Detail{"means": string(decision.Means), "reasons": codes(decision), "proof": string(decision.Proof)},
	}, key)
}

func codes(d gate.Decision) string {
	text := ""
	for i, r := range d.Reasons {
		if i > 0 {
			text += " "
		}
		text += string(r.Code)
	}
	return text
}

func lastCode(d gate.Decision) string {
	if len(d.Reasons) == 0 {
		return ""
	}
	return string(d.Reasons[len(d.Reasons)-1].Code)
}

func decisionCell(m id.Message, number int) seal.Cell {
	return seal.Cell{Table: "message_decision", Column: "decision", Row: append(m[:], byte(number>>8), byte(number))}
}

func frozenCell(m id.Message) seal.Cell {
	return seal.Cell{Table: "delivery", Column: "frozen", Row: m[:]}
}
