package consent

import (
	"context"
	"slices"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// propose takes all that a source says now under one key of its own. A deny applies at once, in this transaction; a permit is kept as
// a proposal that a person must accept, because a code in a feed is no evidence of what somebody signed. The same record again changes
// nothing; a permit after a deny lifts nothing; what the source no longer says and nobody accepted is rejected.
func (r *Consents) propose(ctx context.Context, tx *store.Tx, person id.Person, key string, said []Proposal) error {
	if key == "" {
		return fault.New(fault.Invalid, "the source's key of the consent is missing").At("key")
	}
	own, err := r.of(ctx, tx, []id.Person{person})
	if err != nil {
		return err
	}
	before := own[person].Proposals
	for _, old := range before {
		if old.Key != key || old.Status != Proposed || slices.ContainsFunc(said, old.repeats) {
			continue
		}
		how := Evidence{How: "source", Words: "the source says something else now", Source: old.Evidence.Source}
		if err := r.Reject(ctx, tx, person, old.ID, how); err != nil {
			return err
		}
	}
	for _, p := range said {
		p.Key = key
		if newest(before, p).repeats(p) {
			continue
		}
		if err := r.take(ctx, tx, person, p); err != nil {
			return err
		}
	}
	return nil
}

// newest gives the last thing that the source said under the key about the same matter, or nothing.
func newest(before []Proposal, p Proposal) (last Proposal) {
	for _, old := range before { // in the order of their making
		if old.Key == p.Key && old.matter() == p.matter() {
			last = old
		}
	}
	return last
}

// repeats tells that another says the same of the same matter.
func (p Proposal) repeats(o Proposal) bool {
	return p.Key != "" && p.Deny == o.Deny && p.matter() == o.matter()
}

type matter struct {
	channel people.Channel
	topic   string
	purpose ledger.Purpose
}

func (p Proposal) matter() matter { return matter{p.Channel, p.Topic, p.Purpose} }

func (r *Consents) take(ctx context.Context, tx *store.Tx, person id.Person, p Proposal) error {
	if p.matter() == (matter{}) {
		return fault.New(fault.Invalid, "the consent names no channel, topic or purpose").At("consent")
	}
	if err := firstOf(p.Evidence.check(), checkText(p.Topic, p.Key)); err != nil {
		return err
	}
	state, e := Proposed, entry{ledger.ActConsent, "proposal", "permit waits"}
	if p.Deny {
		state, e.state = InForce, "deny applies"
		if err := r.deny(ctx, tx, person, p); err != nil {
			return err
		}
	}
	return r.put(ctx, tx, person, id.New[id.Consent]().UUID(), kindProposal, state, p.pack(tx.Now), e)
}

// deny applies what the source refuses: a refusal of channel and topic, a suppression of marketing or fundraising, else a restriction.
func (r *Consents) deny(ctx context.Context, tx *store.Tx, person id.Person, p Proposal) error {
	if p.Purpose == ledger.PurposeNone {
		_, err := r.Answer(ctx, tx, person, Consent{Channel: p.Channel, Topic: p.Topic, Refused: true, Evidence: p.Evidence})
		return err
	}
	s := Suppression{Scope: ScopePerson, Row: Row{Person: person}, Channel: p.Channel, Reason: "asked", Evidence: p.Evidence}
	if p.Purpose != ledger.PurposeMarketing && p.Purpose != ledger.PurposeFundraising {
		_, err := r.Restrict(ctx, tx, person, Restriction{Purpose: p.Purpose, Topic: p.Topic, Evidence: p.Evidence})
		return err
	}
	s.Covers, s.Rule = CoversCommercial, "45 CFR 164.508(b)(5)"
	if p.Purpose == ledger.PurposeFundraising {
		s.Covers, s.Rule = CoversFundraising, "45 CFR 164.514(f)(2)(iv)"
	}
	_, err := r.Suppress(ctx, tx, s)
	return err
}

// Accept makes a consent of a proposal, on the evidence of a person who checked it. A proposal for a purpose that needs an
// authorization cannot be accepted so: only its form will do.
func (r *Consents) Accept(ctx context.Context, tx *store.Tx, person id.Person, proposal id.Consent, how Evidence) (id.Consent, error) {
	own, err := r.of(ctx, tx, []id.Person{person})
	if err != nil {
		return id.Consent{}, err
	}
	for _, p := range own[person].Proposals {
		if p.ID != proposal || p.Status != Proposed {
			continue
		}
		if p.Purpose != ledger.PurposeNone {
			return id.Consent{}, fault.New(fault.Conflict, "a permit for a purpose takes the signed form").At("%s", proposal).
				Hint("record the authorization with its elements: 45 CFR 164.508(c)")
		}
		if err := how.check(); err != nil {
			return id.Consent{}, err
		}
		err := r.finish(ctx, tx, person, proposal.UUID(), kindProposal, Proposed, Ended, how, entry{ledger.ActConsent, "proposal", "accepted"})
		if err != nil {
			return id.Consent{}, err
		}
		return r.Answer(ctx, tx, person, Consent{Channel: p.Channel, Topic: p.Topic, Evidence: how})
	}
	return id.Consent{}, errNotInForce(proposal.UUID())
}

// Reject closes a proposal without effect.
func (r *Consents) Reject(ctx context.Context, tx *store.Tx, person id.Person, proposal id.Consent, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, proposal.UUID(), kindProposal, Proposed, Rejected, how, entry{ledger.ActConsent, "proposal", "rejected"})
}
