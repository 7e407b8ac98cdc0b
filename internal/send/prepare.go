package send

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
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
	number   int        // of decisions that are recorded
	papers   consent.Record
	rendered compose.Rendered
	stopped  []compose.Finding // what holds it whatever the gate says
	decision gate.Decision
	pickup   id.Pickup
	now      time.Time

	carriage gate.Carriage // why the queue ended it, when it did
	end      delivery.End  // and how
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
	out := make([]delivery.Prepared, 0, len(items))
	known := map[id.Message]bool{}
	for _, d := range drafts {
		p, err := s.protect(org, d)
		if err != nil {
			// What cannot be written today cannot be written tomorrow: a person must look at it.
			slog.ErrorContext(ctx, "a message cannot be written; it is held", "message", d.item.Message, "error", err)
			p, err = s.unwritable(ctx, org, d)
		}
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", d.item.Message, err)
		}
		known[p.Message] = true
		out = append(out, p)
	}
	for _, it := range items {
		if !known[it.Message] {
			// Its row, its person or the person's key is gone: there is nothing to say and nobody to say it to.
			out = append(out, delivery.Prepared{Message: it.Message, Verdict: delivery.Hold, Reason: reasonGone})
		}
	}
	return out, nil
}

const reasonGone = "record_gone"

// unwritable decides again on a message whose bytes cannot be made.
func (s *Sends) unwritable(ctx context.Context, org id.Organisation, d *draft) (p delivery.Prepared, err error) {
	d.stop("message_unwritable")
	err = s.store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error { return s.decide(ctx, tx, d) })
	if err != nil {
		return p, err
	}
	return s.protect(org, d)
}

// gather reads in one snapshot what the messages need, then opens, renders and decides. What is gone has no draft.
func (s *Sends) gather(ctx context.Context, org id.Organisation, items []delivery.Item) (drafts []*draft, err error) {
	var facts []gate.Facts
	err = s.store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		if drafts, err = s.drafts(ctx, tx, items); err != nil {
			return err
		}
		facts, err = s.facts(ctx, tx, drafts)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, d := range drafts {
		d.render()
		d.answer(facts[i])
	}
	return drafts, nil
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
	persons, err := s.people.Letters(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	papers, err := s.consents.OfAll(ctx, tx, known(ids, persons))
	if err != nil {
		return nil, err
	}
	desk, err := s.open(ctx, tx)
	if err != nil {
		return nil, err
	}
	all := make([]*draft, 0, len(in))
	for _, x := range in {
		p, found := persons[x.person]
		if !found {
			continue
		}
		d := &draft{
			item: x.item, send: x.send, person: p.Person, key: p.Key, papers: papers[x.person], brand: desk.brand, policy: desk.policy, before: x.means,
			number: x.number, now: tx.Now,
		}
		err := s.fill(ctx, tx, desk, d, x.vars)
		if gone(err) {
			slog.WarnContext(ctx, "what a message needs is gone; it is held", "message", x.item.Message, "error", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", x.item.Message, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func known(ids []id.Person, persons map[id.Person]people.Letter) []id.Person {
	var there []id.Person
	for _, x := range ids {
		if _, ok := persons[x]; ok {
			there = append(there, x)
		}
	}
	return there
}

// desk is what the messages of one transaction share.
type desk struct {
	brand    compose.Brand
	policy   organisation.Policy
	requests map[id.Send]*ordered
}

// ordered is a request with what it names.
type ordered struct {
	Request
	sender  organisation.Sender
	version compose.TemplateVersion
	stopped []compose.Finding // what was taken back since
}

func (s *Sends) open(ctx context.Context, tx *store.Tx) (*desk, error) {
	org, err := s.organisations.Get(ctx, tx)
	if err != nil {
		return nil, err
	}
	policy, err := s.organisations.Policy(ctx, tx)
	return &desk{compose.BrandOf(org), policy, map[id.Send]*ordered{}}, err
}

// fill opens what was frozen and what the caller gave, and finds the address, the template and the sender.
func (s *Sends) fill(ctx context.Context, tx *store.Tx, k *desk, d *draft, sealedVars []byte) (err error) {
	o := k.requests[d.send]
	if o == nil {
		r, err := s.request(ctx, tx, d.send)
		if err != nil {
			return err
		}
		if o, err = s.declared(ctx, tx, r); err != nil {
			return err
		}
		k.requests[d.send] = o
	}
	d.take(o)
	if len(d.item.Frozen) > 0 {
		raw, err := d.key.Open(frozenCell(d.item.Message), d.item.Frozen)
		if err != nil {
			return fmt.Errorf("open what was frozen: %w", err)
		}
		d.kept = &frozen{}
		if err := decode(raw, d.kept); err != nil {
			return fmt.Errorf("read what was frozen: %w", err)
		}
		d.kept.Vars = plain(d.kept.Vars)
	}
	given, err := openValues(d.key, d.item.Message, sealedVars)
	if err != nil {
		return err
	}
	d.values = s.valuesOf(tx.Organisation(), d.person, d.item.Message, given)
	return nil
}

// decide decides on one draft in the transaction at hand.
func (s *Sends) decide(ctx context.Context, tx *store.Tx, d *draft) error {
	facts, err := s.facts(ctx, tx, []*draft{d})
	if err != nil {
		return err
	}
	d.render()
	d.answer(facts[0])
	return nil
}

// render makes the message before the gate is asked, because the gate asks what the lint found.
func (d *draft) render() {
	if d.kept != nil {
		d.values.Languages, d.values.Vars, d.values.Links = d.kept.Languages, d.kept.Vars, d.kept.Links
	}
	rendered, err := compose.Render(d.version, d.values, d.brand)
	if err != nil {
		// A value that is missing holds this one message, with its place; it is no reason to stop the others.
		rendered.Findings = append(rendered.Findings, compose.Finding{Code: compose.FindMergeInvalid, Severity: compose.SeverityBlock, Text: fault.Text(err)})
	}
	d.rendered = rendered
}

// answer has the gate decide on the facts and on what rendering found.
func (d *draft) answer(facts gate.Facts) {
	facts.Message.Findings = gate.FindingsOf(slices.Concat(d.stopped, d.rendered.Findings))
	facts.Message.Elements = gate.ElementsOf(d.request.Class, d.values.Links, d.brand, d.rendered)
	facts.Carriage = d.carriage
	if d.to.Normal != "" && d.item.Way.Domain != "" && domainOf(d.to.Normal) != d.item.Way.Domain {
		// The address was changed after the row got its way; sending it down that way would reach a stranger's server.
		facts.Recipient.Address = gate.AddressUnproven
	}
	d.decision = d.ask(facts)
}

// noticed tells that the person may have the notice of this message, or will have: the message itself does not go after it, whatever the
// receiver proves by now. Only a person's release ends that, and not even that when the notice may have arrived.
func (d *draft) noticed() bool {
	return d.kept != nil && d.kept.Means == gate.MeansPickup && (d.before == gate.MeansPickup || d.item.Doubted)
}

// ask asks the gate. A connection that did not prove what was relied on is failed TLS, also when nothing was frozen yet, and when the
// program was started anew since and no longer remembers that the domain failed.
func (d *draft) ask(facts gate.Facts) gate.Decision {
	switch {
	case d.noticed():
		facts.Previous = &gate.Decision{Means: gate.MeansPickup}
		return gate.Decide(facts)
	case d.item.Failure == tlspolicy.FailureNone:
		return gate.Decide(facts)
	case d.kept != nil:
		return gate.Redecide(facts, gate.Decision{Means: d.kept.Means, Proof: d.kept.Proof})
	case d.before.Goes() && d.before != "":
		return gate.Redecide(facts, gate.Decision{Means: d.before})
	}
	facts.TLS.State = gate.TLSFailed
	return gate.Decide(facts)
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
	p := delivery.Prepared{Message: d.item.Message}
	dec, err := d.decided()
	if err != nil {
		return p, err
	}
	switch d.decision.Means {
	case gate.MeansRefused:
		p.Verdict, p.Reason, p.Decision = delivery.Refuse, string(d.decision.Deciding().Code), dec
		return p, nil
	case gate.MeansHeld:
		if !d.decision.NotBefore.IsZero() && d.decision.NotBefore.Before(d.item.Expires) {
			p.Verdict, p.Due = delivery.Later, d.decision.NotBefore
			if d.before != gate.MeansHeld { // else it waits on, for the same clock
				p.Decision = dec
			}
			return p, nil
		}
		p.Verdict, p.Reason, p.Decision = delivery.Hold, string(d.decision.Deciding().Code), dec
		return p, nil
	case gate.MeansTLS, gate.MeansPickup, gate.MeansPlain, gate.MeansPlainRequested:
	case gate.MeansPGP, gate.MeansSMIME:
		return p, fault.New(fault.Internal, "the gate chose %s and no key store offers it", d.decision.Means)
	}
	f := s.freeze(org, d)
	if p.Data, err = s.bytes(org, d, f); err != nil {
		return p, err
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return p, fmt.Errorf("freeze: %w", err)
	}
	if p.Frozen, err = d.key.Seal(frozenCell(d.item.Message), raw); err != nil {
		return p, fmt.Errorf("seal what is frozen: %w", err)
	}
	p.Verdict, p.Signer, p.To = delivery.Go, d.sender.DomainName(), f.To
	p.From = "b+" + s.keys.MintAddress(seal.AddressBounce, org, d.item.Message.UUID()) + "@bounce." + d.sender.DomainName()
	if d.decision.Means == gate.MeansTLS {
		p.Need = d.decision.Proof
	}
	if !d.repeats() {
		p.Decision = dec
	}
	return p, nil
}

// repeats tells that this attempt repeats what was decided and recorded before.
func (d *draft) repeats() bool {
	return d.kept != nil && d.before == d.decision.Means && d.kept.Means == d.decision.Means && d.kept.Proof == d.decision.Proof && d.kept.To == d.to.Normal
}

// freeze gives what this attempt uses and the next ones shall use: what an earlier one froze, unless the decision is another.
func (s *Sends) freeze(org id.Organisation, d *draft) frozen {
	f := frozen{
		Means: d.decision.Means, Proof: d.decision.Proof, To: d.to.Normal, MessageID: compose.MessageID(d.item.Message, d.sender.DomainName()),
		Date: d.now.Truncate(time.Second), Languages: d.values.Languages, Vars: d.values.Vars, Links: d.values.Links, Pickup: d.pickup,
	}
	same := d.kept != nil && d.kept.Means == f.Means && d.kept.To == f.To
	if same {
		f.Date, f.Notice = d.kept.Date, d.kept.Notice
	}
	if f.Means == gate.MeansPickup && f.Notice == "" {
		f.Notice = s.pickup.Link(org, d.pickup)
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
			From: from, To: to, Brand: d.brand, Languages: f.Languages, Link: f.Notice, ID: f.MessageID, Date: f.Date, Feedback: feedback,
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

// decided is a decision that is to be recorded: sealed beforehand, so that the transaction only writes.
type decided struct {
	message id.Message
	person  id.Person
	key     seal.Key
	act     ledger.Act
	purpose ledger.Purpose
	means   gate.Means
	number  int
	sealed  []byte
	detail  ledger.Detail
}

func (d *draft) decided() (*decided, error) {
	m, number := d.item.Message, d.number+1
	raw, err := json.Marshal(decidedAbout{d.decision, d.to.Normal})
	if err != nil {
		return nil, fmt.Errorf("write the decision on %s: %w", m, err)
	}
	sealed, err := d.key.Seal(decisionCell(m, number), raw)
	if err != nil {
		return nil, fmt.Errorf("seal the decision on %s: %w", m, err)
	}
	act := ledger.ActDecision
	if d.decision.Means == gate.MeansHeld && (d.end == delivery.Deferred || d.end == delivery.Held) {
		act = ledger.ActHold
	}
	return &decided{m, d.person.ID, d.key, act, d.request.Purpose, d.decision.Means, number, sealed, d.decision.Detail()}, nil
}

// Record writes decisions, in the transaction of the intent or of the end: the rows that staff read, and the ledger entries under the
// persons' keys.
func (s *Sends) Record(ctx context.Context, tx *store.Tx, prepared []delivery.Prepared) error {
	all := make([]*decided, 0, len(prepared))
	for _, p := range prepared {
		if d, ok := p.Decision.(*decided); ok {
			all = append(all, d)
		}
	}
	return s.recordAll(ctx, tx, all)
}

func (s *Sends) recordDecision(ctx context.Context, tx *store.Tx, d *draft) error {
	dec, err := d.decided()
	if err != nil {
		return err
	}
	return s.recordAll(ctx, tx, []*decided{dec})
}

func (s *Sends) recordAll(ctx context.Context, tx *store.Tx, all []*decided) error {
	updates, inserts := make([][]any, len(all)), make([][]any, len(all))
	entries := make([]ledger.Keyed, len(all))
	for i, d := range all {
		updates[i] = []any{d.means, d.number, store.Millis(tx.Now), tx.Organisation(), d.message, d.number - 1}
		inserts[i] = []any{tx.Organisation(), d.message, d.number, d.means, store.Millis(tx.Now), d.sealed}
		entries[i] = ledger.Keyed{Key: d.key, Entry: ledger.Entry{
			Act: d.act, Purpose: d.purpose, Subject: d.person, SubjectKey: d.key, Object: d.message.UUID(), Detail: d.detail,
		}}
	}
	if len(all) == 0 {
		return nil
	}
	n, err := tx.ExecEach(ctx, decideMessage, updates)
	if err != nil {
		return fmt.Errorf("note decisions: %w", err)
	}
	if n != int64(len(all)) {
		return fault.New(fault.Conflict, "another decision on the message was recorded meanwhile, or the message is gone").At("%s", all[0].message)
	}
	if _, err := tx.ExecEach(ctx, insertDecision, inserts); err != nil {
		return fmt.Errorf("store decisions: %w", err)
	}
	return s.ledger.AppendAll(ctx, tx, entries)
}

// decidedAbout is a decision as it is sealed: with the address it was about.
type decidedAbout struct {
	gate.Decision
	To string `json:"to,omitempty"`
}

func decisionCell(m id.Message, number int) seal.Cell {
	return seal.Cell{Table: "message_decision", Column: "decision", Row: append(m[:], byte(number>>8), byte(number))}
}

func frozenCell(m id.Message) seal.Cell {
	return seal.Cell{Table: "delivery", Column: "frozen", Row: m[:]}
}
