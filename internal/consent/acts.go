package consent

import (
	"context"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// Answer records a person's yes or no to a channel, a topic, or both. Of several answers to the same the last act counts.
func (r *Consents) Answer(ctx context.Context, tx *store.Tx, person id.Person, c Consent) (id.Consent, error) {
	if c.Channel == 0 && c.Topic == "" {
		return id.Consent{}, fault.New(fault.Invalid, "a consent is to a channel or a topic").At("consent")
	}
	if c.Channel > people.ChannelPost {
		return id.Consent{}, fault.New(fault.Invalid, "not a channel").At("channel")
	}
	if err := firstOf(c.Evidence.check(), checkText(c.Topic)); err != nil {
		return id.Consent{}, err
	}
	e := entry{ledger.ActConsent, "consent", "given"}
	if c.Refused {
		e.state = "refused"
	}
	row := id.New[id.Consent]()
	return row, r.put(ctx, tx, person, row.UUID(), kindConsent, InForce, c.pack(tx.Now), e)
}

// Withdraw takes back a consent that was given.
func (r *Consents) Withdraw(ctx context.Context, tx *store.Tx, person id.Person, c id.Consent, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, c.UUID(), kindConsent, InForce, Ended, how, entry{ledger.ActConsent, "consent", "withdrawn"})
}

// Authorize records an authorization. One that lacks an element is no authorization and is refused: 45 CFR 164.508(b)(2).
func (r *Consents) Authorize(ctx context.Context, tx *store.Tx, person id.Person, a Authorization) (id.Authorization, error) {
	if missing := a.Missing(); len(missing) > 0 {
		return id.Authorization{}, fault.New(fault.Invalid, "the authorization lacks %s (%s)", missing[0].What, missing[0].Cite).
			At("%s", missing[0].Field).Hint("an authorization that lacks an element is not valid: 45 CFR 164.508(b)(2)")
	}
	err := firstOf(a.Evidence.check(), checkText("", a.Information, a.Discloser, a.Receiver, a.Purpose, a.Event, a.Signer, a.Authority), checkText("", a.Payers...))
	if err != nil {
		return id.Authorization{}, err
	}
	row := id.New[id.Authorization]()
	return row, r.put(ctx, tx, person, row.UUID(), kindAuthorization, InForce, a.pack(tx.Now), entry{ledger.ActAuthorization, "authorization", "signed"})
}

// Revoke ends an authorization for everything sent after this transaction: 45 CFR 164.508(b)(5).
func (r *Consents) Revoke(ctx context.Context, tx *store.Tx, person id.Person, a id.Authorization, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, a.UUID(), kindAuthorization, InForce, Ended, how, entry{ledger.ActAuthorization, "authorization", "revoked"})
}

// howEvent marks the end of an authorization by its event.
const howEvent = "event"

// ReachEvent ends an authorization because its expiry event has happened: 45 CFR 164.508(c)(1)(v).
func (r *Consents) ReachEvent(ctx context.Context, tx *store.Tx, person id.Person, a id.Authorization, words string) error {
	if err := checkText("", words); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, a.UUID(), kindAuthorization, InForce, Ended, Evidence{How: howEvent, Words: words},
		entry{ledger.ActAuthorization, "authorization", "expired by its event"})
}

// EventReached tells whether the authorization ended by its event, not by a revocation.
func (a Authorization) EventReached() bool { return a.Status == Ended && a.Ending.How == howEvent }

// Restrict records a restriction that was agreed to, or must be: 45 CFR 164.522(a).
func (r *Consents) Restrict(ctx context.Context, tx *store.Tx, person id.Person, x Restriction) (id.Restriction, error) {
	if x.PaidInFull && !x.Payer {
		return id.Restriction{}, fault.New(fault.Invalid, "paid in full is about what a plan is told").At("paid_in_full")
	}
	if !x.Purpose.Known() {
		return id.Restriction{}, fault.New(fault.Invalid, "not a purpose").At("purpose")
	}
	if err := firstOf(x.Evidence.check(), checkText(x.Topic)); err != nil {
		return id.Restriction{}, err
	}
	row := id.New[id.Restriction]()
	return row, r.put(ctx, tx, person, row.UUID(), kindRestriction, InForce, x.pack(tx.Now), entry{ledger.ActRestriction, "restriction", "agreed"})
}

// LiftRestriction ends a restriction: 45 CFR 164.522(a)(2).
func (r *Consents) LiftRestriction(ctx context.Context, tx *store.Tx, person id.Person, x id.Restriction, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, x.UUID(), kindRestriction, InForce, Ended, how, entry{ledger.ActRestriction, "restriction", "lifted"})
}

// Confide records a request for confidential communications: 45 CFR 164.522(b). It holds from this transaction; nobody decides on it.
func (r *Consents) Confide(ctx context.Context, tx *store.Tx, person id.Person, c Confidential) (id.Restriction, error) {
	switch c.Means {
	case "", "tls", "pickup", "pgp", "smime":
	default:
		return id.Restriction{}, fault.New(fault.Invalid, "not a protection").At("means").Hint("it is one of tls, pickup, pgp, smime")
	}
	if !c.PostOnly && c.Channel == 0 && c.Contact.IsZero() && c.Means == "" {
		return id.Restriction{}, fault.New(fault.Invalid, "the request names no channel, address or protection").At("confidential")
	}
	if err := firstOf(c.Evidence.check(), checkText("", c.Address)); err != nil {
		return id.Restriction{}, err
	}
	row := id.New[id.Restriction]()
	return row, r.put(ctx, tx, person, row.UUID(), kindConfidential, InForce, c.pack(tx.Now),
		entry{ledger.ActRestriction, "confidential communication", "asked"})
}

// EndConfidential ends a request for confidential communications, on the person's word.
func (r *Consents) EndConfidential(ctx context.Context, tx *store.Tx, person id.Person, c id.Restriction, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, c.UUID(), kindConfidential, InForce, Ended, how,
		entry{ledger.ActRestriction, "confidential communication", "ended"})
}

// AskPlain records a person's wish for plain mail: what warning was shown, when, and what the person answered.
// 45 CFR 164.524(c)(2); 78 FR 5634.
func (r *Consents) AskPlain(ctx context.Context, tx *store.Tx, person id.Person, p PlainRequest) (id.Consent, error) {
	switch {
	case !p.Warned():
		return id.Consent{}, fault.New(fault.Invalid, "the warning, its time and the answer belong to a request for plain mail").At("warning").
			Hint("show the warning first: 78 FR 5634")
	case p.Shown.After(tx.Now):
		return id.Consent{}, fault.New(fault.Invalid, "the warning was not shown yet").At("shown")
	case p.Channel != people.ChannelEmail && p.Channel != people.ChannelPhone:
		return id.Consent{}, fault.New(fault.Invalid, "not a channel for plain mail").At("channel")
	}
	if err := firstOf(p.Evidence.check(), checkText("", p.Warning, p.Answer)); err != nil {
		return id.Consent{}, err
	}
	row := id.New[id.Consent]()
	return row, r.put(ctx, tx, person, row.UUID(), kindPlain, InForce, p.pack(tx.Now), entry{ledger.ActWarning, "plain mail", "asked"})
}

// EndPlain takes back a wish for plain mail.
func (r *Consents) EndPlain(ctx context.Context, tx *store.Tx, person id.Person, p id.Consent, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, p.UUID(), kindPlain, InForce, Ended, how, entry{ledger.ActWarning, "plain mail", "withdrawn"})
}

// ConsentPart2 records a written consent to tell somebody else of substance use treatment: 42 CFR 2.31.
func (r *Consents) ConsentPart2(ctx context.Context, tx *store.Tx, person id.Person, p Part2) (id.Consent, error) {
	if len(p.Evidence.Document) == 0 {
		return id.Consent{}, fault.New(fault.Invalid, "a consent under Part 2 is in writing").At("evidence").Hint("give the SHA-256 of the document: 42 CFR 2.31")
	}
	if p.Holder > HolderRepresentative {
		return id.Consent{}, fault.New(fault.Invalid, "not a receiver").At("holder")
	}
	if err := p.Evidence.check(); err != nil {
		return id.Consent{}, err
	}
	row := id.New[id.Consent]()
	return row, r.put(ctx, tx, person, row.UUID(), kindPart2, InForce, p.pack(tx.Now), entry{ledger.ActConsent, "part 2", "given"})
}

// RevokePart2 ends a consent under Part 2: 42 CFR 2.31(a)(6).
func (r *Consents) RevokePart2(ctx context.Context, tx *store.Tx, person id.Person, p id.Consent, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	return r.finish(ctx, tx, person, p.UUID(), kindPart2, InForce, Ended, how, entry{ledger.ActConsent, "part 2", "revoked"})
}

// Prefer records preferences; the last ones count, all of them together.
func (r *Consents) Prefer(ctx context.Context, tx *store.Tx, person id.Person, p Preferences) (id.Consent, error) {
	if err := firstOf(p.Evidence.check(), checkText(p.Language)); err != nil {
		return id.Consent{}, err
	}
	row := id.New[id.Consent]()
	return row, r.put(ctx, tx, person, row.UUID(), kindPreferences, InForce, p.pack(tx.Now), entry{ledger.ActConsent, "preferences", "set"})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
