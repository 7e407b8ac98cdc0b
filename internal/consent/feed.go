package consent

import (
	"context"
	"fmt"
	"strings"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// ProposeFacts takes the consents that a source reports, in the transaction that records them as facts: intake's Propose.
func (r *Consents) ProposeFacts(ctx context.Context, tx *store.Tx, found []people.Proposal) error {
	for _, f := range found {
		of := *r
		of.cause = f.Fact.ID
		if err := of.proposeFact(ctx, tx, f.Person, &f.Fact); err != nil {
			return fmt.Errorf("take a consent of a source: %w", err)
		}
	}
	return nil
}

func (r *Consents) proposeFact(ctx context.Context, tx *store.Tx, person id.Person, f *people.Fact) error {
	today := law.Day(tx.Now)
	if ends := law.Date(f.End.Date.Days()); ends != 0 && ends < today {
		return nil
	}
	key := f.Source + " " + f.Resource
	deny := f.Text[people.TextProvision] == "deny"
	if f.State == people.StateInactive || f.State == people.StateError {
		// A consent that the source took back is a refusal when it was a yes, and nothing to lift when it was a no.
		own, err := r.of(ctx, tx, []id.Person{person})
		if err != nil {
			return err
		}
		yes := false
		for _, p := range own[person].Proposals {
			yes = yes || p.Key == key && !p.Deny
		}
		if !yes {
			return nil
		}
		deny = true
	} else if f.State != people.StateActive {
		return nil // a draft
	}
	if !deny && f.Text[people.TextProvision] != "permit" {
		return nil // neither yes nor no
	}
	evidence := Evidence{How: "source", Source: f.Source, At: f.Start.Time}
	said := meaning(f)
	for i := range said {
		said[i].Deny, said[i].Evidence = deny, evidence
	}
	return r.propose(ctx, tx, person, key, said)
}

// meaning reads what a FHIR Consent is about: its purposes (v3 PurposeOfUse), else the words of its category, else marketing and
// fundraising: what no law lets an organisation do against a general no. Purposes that have nothing to do with messages say nothing here.
func meaning(f *people.Fact) []Proposal {
	var out []Proposal
	if topic := f.Text[people.TextTopic]; topic != "" {
		return []Proposal{{Topic: topic}}
	}
	codes := strings.FieldsFunc(f.Text[people.TextPurpose], func(r rune) bool { return r == ',' })
	for _, code := range codes {
		switch strings.ToUpper(strings.TrimSpace(code)) {
		case "HMARKT":
			out = append(out, Proposal{Purpose: ledger.PurposeMarketing})
		case "HPAYMT":
			out = append(out, Proposal{Purpose: ledger.PurposePayment})
		case "HOPERAT":
			out = append(out, Proposal{Purpose: ledger.PurposeOperations})
		case "TREAT":
			out = append(out, Proposal{Purpose: ledger.PurposeTreatment})
		}
	}
	if len(codes) > 0 {
		return out
	}
	label := strings.ToLower(f.Text[people.TextLabel])
	switch {
	case strings.Contains(label, "texting") || strings.Contains(label, "text message") || strings.Contains(label, "sms"):
		return []Proposal{{Channel: people.ChannelPhone}}
	case strings.Contains(label, "email") || strings.Contains(label, "e-mail"):
		return []Proposal{{Channel: people.ChannelEmail}}
	case strings.Contains(label, "fundrais"):
		return []Proposal{{Purpose: ledger.PurposeFundraising}}
	case strings.Contains(label, "marketing"):
		return []Proposal{{Purpose: ledger.PurposeMarketing}}
	}
	return []Proposal{{Purpose: ledger.PurposeMarketing}, {Purpose: ledger.PurposeFundraising}}
}
