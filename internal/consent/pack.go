package consent

//go:generate protoc --go_out=. --go_opt=paths=source_relative consent.proto

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

func packEvidence(e Evidence, now time.Time) *EvidenceRecord {
	at := e.At
	if at.IsZero() {
		at = now
	}
	return &EvidenceRecord{How: e.How, Words: e.Words, TakenBy: e.By, AtMs: store.Millis(at), Source: e.Source, Document: e.Document}
}

func unpackEvidence(r *EvidenceRecord) Evidence {
	if r == nil {
		return Evidence{}
	}
	return Evidence{How: r.How, Words: r.Words, By: r.TakenBy, At: store.Time(r.AtMs), Source: r.Source, Document: r.Document}
}

func packPurposes(list []ledger.Purpose) []uint32 {
	var out []uint32
	for _, p := range list {
		out = append(out, uint32(p))
	}
	return out
}

func unpackPurposes(list []uint32) []ledger.Purpose {
	var out []ledger.Purpose
	for _, p := range list {
		out = append(out, ledger.Purpose(p))
	}
	return out
}

func packContact(c id.ContactPoint) []byte {
	if c.IsZero() {
		return nil
	}
	return c[:]
}

func unpackContact(b []byte) (c id.ContactPoint) {
	copy(c[:], b)
	return c
}

func (c Consent) pack(now time.Time) proto.Message {
	return &ConsentRecord{
		Evidence: packEvidence(c.Evidence, now), Channel: uint32(c.Channel), Topic: c.Topic, Refused: c.Refused, Written: c.Written,
		Expires: int32(c.Expires),
	}
}

func (a Authorization) pack(now time.Time) proto.Message {
	return &AuthorizationRecord{
		Evidence: packEvidence(a.Evidence, now), Information: a.Information, Discloser: a.Discloser, Receiver: a.Receiver, Purpose: a.Purpose,
		Purposes: packPurposes(a.Purposes), Expires: int32(a.Expires), Event: a.Event, SignedOn: int32(a.SignedOn), Signer: a.Signer,
		Representative: a.Representative, Authority: a.Authority, StatesRevocation: a.StatesRevocation, StatesConditions: a.StatesConditions,
		StatesRedisclosure: a.StatesRedisclosure, PlainLanguage: a.PlainLanguage, CopyGiven: a.CopyGiven, Payers: a.Payers,
		StatesRemuneration: a.StatesRemuneration, Compound: a.Compound,
	}
}

func (r Restriction) pack(now time.Time) proto.Message {
	return &RestrictionRecord{
		Evidence: packEvidence(r.Evidence, now), Purpose: uint32(r.Purpose), Topic: r.Topic, Proxy: r.Proxy, Payer: r.Payer, PaidInFull: r.PaidInFull,
	}
}

func (c Confidential) pack(now time.Time) proto.Message {
	return &ConfidentialRecord{
		Evidence: packEvidence(c.Evidence, now), PostOnly: c.PostOnly, Channel: uint32(c.Channel), Contact: packContact(c.Contact),
		Means: c.Means, Address: c.Address,
	}
}

func (p PlainRequest) pack(now time.Time) proto.Message {
	return &PlainRecord{
		Evidence: packEvidence(p.Evidence, now), Warning: p.Warning, ShownMs: store.Millis(p.Shown), Answer: p.Answer, Channel: uint32(p.Channel),
		Contact: packContact(p.Contact), Purposes: packPurposes(p.Purposes), Sensitive: p.Sensitive,
	}
}

func (p Part2) pack(now time.Time) proto.Message {
	return &Part2Record{Evidence: packEvidence(p.Evidence, now), Holder: uint32(p.Holder), Expires: int32(p.Expires)}
}

func (s Suppression) pack(now time.Time) proto.Message {
	return &SuppressionRecord{
		Evidence: packEvidence(s.Evidence, now), Channel: uint32(s.Channel), Address: s.Address, Covers: uint32(s.Covers), Topic: s.Topic,
		Reason: s.Reason, Rule: s.Rule,
	}
}

func (p Proposal) pack(now time.Time) proto.Message {
	return &ProposalRecord{
		Evidence: packEvidence(p.Evidence, now), Key: p.Key, Deny: p.Deny, Channel: uint32(p.Channel), Topic: p.Topic, Purpose: uint32(p.Purpose),
	}
}

func (p Preferences) pack(now time.Time) proto.Message {
	return &PreferenceRecord{
		Evidence: packEvidence(p.Evidence, now), Channel: uint32(p.Channel), Language: p.Language, BreachNoticeByEmail: p.BreachNoticeByEmail,
		NoMeasuring: p.NoMeasuring,
	}
}

// add reads one opened row into the record.
func (x *Record) add(kind int, row id.UUID, r Row, plain []byte) error {
	switch kind {
	case kindConsent:
		return read(plain, func(p *ConsentRecord) {
			x.Consents = append(x.Consents, Consent{
				Row: r, ID: id.Consent(row), Channel: channel(p.Channel), Topic: p.Topic, Refused: p.Refused, Written: p.Written,
				Expires: law.Date(p.Expires), Evidence: unpackEvidence(p.Evidence),
			})
		})
	case kindAuthorization:
		return read(plain, func(p *AuthorizationRecord) {
			x.Authorizations = append(x.Authorizations, unpackAuthorization(row, r, p))
		})
	case kindRestriction:
		return read(plain, func(p *RestrictionRecord) {
			x.Restrictions = append(x.Restrictions, Restriction{
				Row: r, ID: id.Restriction(row), Purpose: purpose(p.Purpose), Topic: p.Topic, Proxy: p.Proxy, Payer: p.Payer, PaidInFull: p.PaidInFull,
				Evidence: unpackEvidence(p.Evidence),
			})
		})
	case kindConfidential:
		return read(plain, func(p *ConfidentialRecord) {
			x.Confidential = append(x.Confidential, Confidential{
				Row: r, ID: id.Restriction(row), PostOnly: p.PostOnly, Channel: channel(p.Channel), Contact: unpackContact(p.Contact), Means: p.Means,
				Address: p.Address, Evidence: unpackEvidence(p.Evidence),
			})
		})
	case kindPlain:
		return read(plain, func(p *PlainRecord) {
			x.PlainRequests = append(x.PlainRequests, PlainRequest{
				Row: r, ID: id.Consent(row), Warning: p.Warning, Shown: store.Time(p.ShownMs), Answer: p.Answer, Channel: channel(p.Channel),
				Contact: unpackContact(p.Contact), Purposes: unpackPurposes(p.Purposes), Sensitive: p.Sensitive, Evidence: unpackEvidence(p.Evidence),
			})
		})
	}
	return x.addOther(kind, row, r, plain)
}

func (x *Record) addOther(kind int, row id.UUID, r Row, plain []byte) error {
	switch kind {
	case kindPart2:
		return read(plain, func(p *Part2Record) {
			x.Part2 = append(x.Part2, Part2{
				Row: r, ID: id.Consent(row), Holder: Holder(p.Holder), Expires: law.Date(p.Expires),
				Evidence: unpackEvidence(p.Evidence),
			})
		})
	case kindSuppression:
		return read(plain, func(p *SuppressionRecord) {
			x.Suppressions = append(x.Suppressions, unpackSuppression(row, r, ScopePerson, p))
		})
	case kindProposal:
		return read(plain, func(p *ProposalRecord) {
			x.Proposals = append(x.Proposals, Proposal{
				Row: r, ID: id.Consent(row), Key: p.Key, Deny: p.Deny, Channel: channel(p.Channel), Topic: p.Topic, Purpose: purpose(p.Purpose),
				Evidence: unpackEvidence(p.Evidence),
			})
		})
	case kindPreferences:
		return read(plain, func(p *PreferenceRecord) {
			x.Preferences = append(x.Preferences, Preferences{
				Row: r, ID: id.Consent(row), Channel: channel(p.Channel), Language: p.Language, BreachNoticeByEmail: p.BreachNoticeByEmail,
				NoMeasuring: p.NoMeasuring, Evidence: unpackEvidence(p.Evidence),
			})
		})
	}
	// A kind of a newer program may be a restriction that we cannot read: better nothing goes.
	return fault.New(fault.Internal, "a consent record is of a kind that this version does not know").At("%s", row)
}

func unpackAuthorization(row id.UUID, r Row, p *AuthorizationRecord) Authorization {
	return Authorization{
		Row: r, ID: id.Authorization(row), Information: p.Information, Discloser: p.Discloser, Receiver: p.Receiver, Purpose: p.Purpose,
		Purposes: unpackPurposes(p.Purposes), Expires: law.Date(p.Expires), Event: p.Event, SignedOn: law.Date(p.SignedOn), Signer: p.Signer,
		Representative: p.Representative, Authority: p.Authority, StatesRevocation: p.StatesRevocation, StatesConditions: p.StatesConditions,
		StatesRedisclosure: p.StatesRedisclosure, PlainLanguage: p.PlainLanguage, CopyGiven: p.CopyGiven, Payers: p.Payers,
		StatesRemuneration: p.StatesRemuneration, Compound: p.Compound, Evidence: unpackEvidence(p.Evidence),
	}
}

func unpackSuppression(row id.UUID, r Row, scope Scope, p *SuppressionRecord) Suppression {
	return Suppression{
		Row: r, ID: id.Suppression(row), Scope: scope, Channel: channel(p.Channel), Address: p.Address, Topic: p.Topic,
		Covers: Covers(p.Covers), Reason: p.Reason, Rule: p.Rule, Evidence: unpackEvidence(p.Evidence),
	}
}

func channel(n uint32) people.Channel { return people.Channel(n) }
func purpose(n uint32) ledger.Purpose { return ledger.Purpose(n) }

// read decodes a record and gives it to use.
func read[T any, P interface {
	*T
	proto.Message
}](plain []byte, use func(P)) error {
	p := P(new(T))
	if err := proto.Unmarshal(plain, p); err != nil {
		return fmt.Errorf("decode a consent record: %w", err)
	}
	use(p)
	return nil
}
