package api

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

type endRecordInput struct {
	Place
	Body struct {
		Person string `json:"person" doc:"per_..."`
		Record string `json:"record" doc:"The id that the person's records show"`
		How    string `json:"how" minLength:"1" maxLength:"50" doc:"form, phone, in person, reply: how we know"`
		Words  string `json:"words,omitempty" maxLength:"1000" doc:"What was said"`
	}
}

// endRecord withdraws a consent, revokes an authorization, lifts a restriction, ends a request or releases a suppression: whatever the
// record is, on the person's word.
func (f *Face) endRecord(ctx context.Context, in *endRecordInput) (*emptyOutput, error) {
	person, err := id.Parse[id.Person](in.Body.Person)
	if err != nil {
		return nil, at(err, "person")
	}
	how := consent.Evidence{How: in.Body.How, Words: in.Body.Words}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		r, err := f.Consents.Of(ctx, tx, person)
		if err != nil {
			return err
		}
		return f.end(ctx, tx, r, in.Body.Record, how)
	})
}

// end finds the record by its id and ends it in the record of the person who made it, which may have been merged since.
func (f *Face) end(ctx context.Context, tx *store.Tx, r consent.Record, text string, how consent.Evidence) error {
	if i := slices.IndexFunc(r.Consents, func(x consent.Consent) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.Withdraw(ctx, tx, r.Consents[i].Person, r.Consents[i].ID, how)
	}
	if i := slices.IndexFunc(r.Authorizations, func(x consent.Authorization) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.Revoke(ctx, tx, r.Authorizations[i].Person, r.Authorizations[i].ID, how)
	}
	if i := slices.IndexFunc(r.Restrictions, func(x consent.Restriction) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.LiftRestriction(ctx, tx, r.Restrictions[i].Person, r.Restrictions[i].ID, how)
	}
	if i := slices.IndexFunc(r.Confidential, func(x consent.Confidential) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.EndConfidential(ctx, tx, r.Confidential[i].Person, r.Confidential[i].ID, how)
	}
	if i := slices.IndexFunc(r.PlainRequests, func(x consent.PlainRequest) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.EndPlain(ctx, tx, r.PlainRequests[i].Person, r.PlainRequests[i].ID, how)
	}
	if i := slices.IndexFunc(r.Part2, func(x consent.Part2) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.RevokePart2(ctx, tx, r.Part2[i].Person, r.Part2[i].ID, how)
	}
	if i := slices.IndexFunc(r.Suppressions, func(x consent.Suppression) bool { return x.ID.String() == text }); i >= 0 {
		return f.Consents.Release(ctx, tx, r.Suppressions[i], how)
	}
	return fault.New(fault.NotFound, "the person has no such record").At("record")
}

type answerProposalInput struct {
	Place
	Body struct {
		Person string `json:"person" doc:"per_..."`
		Record string `json:"record" doc:"The proposal's id"`
		Accept bool   `json:"accept" doc:"The evidence was checked, and it is a consent; else it is rejected"`
		How    string `json:"how" minLength:"1" maxLength:"50" doc:"form, phone, in person: how it was checked"`
	}
}

// answerProposal says yes or no to a permit that a source reported: a code in a feed is no evidence of what somebody signed.
func (f *Face) answerProposal(ctx context.Context, in *answerProposalInput) (*emptyOutput, error) {
	person, err := id.Parse[id.Person](in.Body.Person)
	if err != nil {
		return nil, at(err, "person")
	}
	proposal, err := id.Parse[id.Consent](in.Body.Record)
	if err != nil {
		return nil, at(err, "record")
	}
	how := consent.Evidence{How: in.Body.How}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		r, err := f.Consents.Of(ctx, tx, person)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(r.Proposals, func(x consent.Proposal) bool { return x.ID == proposal })
		if i < 0 {
			return fault.New(fault.NotFound, "the person has no such proposal").At("record")
		}
		if in.Body.Accept {
			_, err = f.Consents.Accept(ctx, tx, r.Proposals[i].Person, proposal, how)
			return err
		}
		return f.Consents.Reject(ctx, tx, r.Proposals[i].Person, proposal, how)
	})
}

// part2 records a written consent under 42 CFR 2.31.
func (f *Face) part2(ctx context.Context, tx *store.Tx, person id.Person, r RecordIn, how consent.Evidence) error {
	document, err := hex.DecodeString(r.Document)
	if err != nil || len(document) != 32 {
		return fault.New(fault.Invalid, "not the SHA-256 of a document").At("document").Hint("64 hexadecimal digits, as sha256sum prints them")
	}
	expires, err := dateOf(r.Expires)
	if err != nil {
		return err
	}
	how.Document = document
	holder := map[string]consent.Holder{"": consent.HolderPerson, "outside": consent.HolderPerson, "proxy": consent.HolderProxy, "representative": consent.HolderRepresentative}[r.Holder]
	_, err = f.Consents.ConsentPart2(ctx, tx, person, consent.Part2{Holder: holder, Expires: expires, Evidence: how})
	return err
}
