package app

import (
	"context"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// zoneOf gives an organisation's time zone to whoever reckons in its days.
func zoneOf(all *organisation.Organisations) func(context.Context, *store.Tx) (*time.Location, error) {
	return func(ctx context.Context, tx *store.Tx) (*time.Location, error) {
		o, err := all.Get(ctx, tx)
		if err != nil {
			return nil, err
		}
		return o.Profile.Location()
	}
}

// proposer hands what a source says of consents to the consent records: a deny applies at once, a permit waits for a person.
func proposer(to *consent.Consents) func(context.Context, *store.Tx, []people.Proposal) error {
	return func(ctx context.Context, tx *store.Tx, proposals []people.Proposal) error {
		for _, p := range proposals {
			if p.Fact.State == people.StateError || p.Fact.State == people.StateProposed {
				continue
			}
			_, err := to.Propose(ctx, tx, p.Person, consent.Proposal{
				Key: p.Fact.Source + "/" + p.Fact.Resource, Deny: p.Fact.Text["provision"] == "deny", Channel: channelOf(p.Fact), Purpose: purposeOf(p.Fact),
				Evidence: consent.Evidence{How: "source", Source: p.Fact.Source, At: p.Fact.Start.At()},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// channelOf: a consent that names no purpose we know is about being written to at all; email is what we write.
func channelOf(f people.Fact) people.Channel {
	if purposeOf(f) != ledger.PurposeNone {
		return 0
	}
	return people.ChannelEmail
}

// purposeOf reads the HL7 purposes of use that stop something here.
func purposeOf(f people.Fact) ledger.Purpose {
	for code := range strings.SplitSeq(f.Text[people.TextPurpose], ",") {
		switch code {
		case "HMARKT":
			return ledger.PurposeMarketing
		case "HOPERAT":
			return ledger.PurposeOperations
		}
	}
	return ledger.PurposeNone
}
