package gate

import (
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// Decision is the gate's answer for one message to one recipient.
type Decision struct {
	Means         Means            `json:"means"`
	Reasons       []Reason         `json:"reasons"`             // in the order they were settled
	Proof         Proof            `json:"proof,omitempty"`     // MeansTLS: what the connection must prove
	NotBefore     time.Time        `json:"not_before,omitzero"` // MeansHeld: the clock releases it; zero: a person does
	Demanded      bool             `json:"demanded,omitempty"`  // no other means may take its place
	PHI           bool             `json:"phi"`                 // treated as holding health information
	Warning       id.Consent       `json:"warning,omitzero"`    // MeansPlainRequested: the record of the warning
	Authorization id.Authorization `json:"authorization,omitzero"`
	Agreement     id.Agreement     `json:"agreement,omitzero"`    // of the carrier
	Accountable   bool             `json:"accountable,omitempty"` // belongs into an accounting of disclosures: 45 CFR 164.528
}

// steps is the gate's order. Each step is settled before the next; a refusal ends it.
var steps = []func(f *Facts, v *verdict){
	recipient, address, declarations, information, remuneration, special, commercial, // 1 and 2
	authorization, optOuts, consents, // 3 and 4
	restrictions, confidential, sensitive, carrier, material, // 5 to 9
	hours, counts, // 10
	demand, lint, before, carriage, // 11 to 13, and 19
	choose, // 14 to 17
}

// Decide answers. It is a function of its argument only.
func Decide(f Facts) Decision {
	v := newVerdict(&f)
	for _, step := range steps {
		step(&f, v)
		if v.refused {
			break
		}
	}
	return v.decision(&f)
}

// Redecide answers again after the proof of TLS that prev asked for was not met: pickup, or hold; never weaker than prev.
func Redecide(f Facts, prev Decision) Decision {
	f.Previous = &prev
	if f.TLS.State != TLSBroken {
		f.TLS.State = TLSFailed
	}
	return Decide(f)
}

// verdict is a decision in the making: means that are still allowed, and what has been said.
type verdict struct {
	law       *law.Table
	today     law.Date
	allowed   set
	chosen    Means
	held      bool
	byHand    bool // at least one hold is not the clock's
	refused   bool
	needs     bool // an authorization
	paid      bool // by a third party, in money: 45 CFR 164.501 "financial remuneration"
	marketing bool // as HIPAA means it
	d         Decision
}

func newVerdict(f *Facts) *verdict {
	v := &verdict{law: f.Law, today: law.Day(f.Now), allowed: setAll}
	if v.law == nil {
		v.law = law.Embedded()
	}
	return v
}

// say records a reason and does what its weight says; the means that a limit takes away are the caller's to give.
func (v *verdict) say(c Code, ref string) {
	v.d.Reasons = append(v.d.Reasons, Reason{Code: c, Ref: ref})
	switch c.About().Weight {
	case Holds:
		v.held, v.byHand = true, true
	case Refuses:
		v.refused = true
	case Notes, Limits, Chooses:
	}
}

func (v *verdict) said(c Code) bool {
	for _, r := range v.d.Reasons {
		if r.Code == c {
			return true
		}
	}
	return false
}

// limit records a reason and leaves only the given means.
func (v *verdict) limit(c Code, ref string, keep set) {
	v.say(c, ref)
	v.allowed &= keep
}

// until records a hold that the clock ends; without a time a person must.
func (v *verdict) until(c Code, t time.Time) {
	byHand := v.byHand
	v.say(c, "")
	if t.IsZero() {
		return
	}
	v.byHand = byHand
	if t.After(v.d.NotBefore) {
		v.d.NotBefore = t
	}
}

// pick settles the means.
func (v *verdict) pick(m Means, c Code, ref string) {
	v.say(c, ref)
	v.chosen = m
}

// protect marks the message as holding health information.
func (v *verdict) protect(c Code, ref string) {
	v.limit(c, ref, v.allowed&^setPlain)
	v.d.PHI = true
}

func (v *verdict) decision(f *Facts) Decision {
	d := v.d
	switch {
	case v.refused:
		d.Means = MeansRefused
	case v.held || v.chosen == "":
		d.Means = MeansHeld
	default:
		d.Means = v.chosen
	}
	if d.Means != MeansHeld || v.byHand {
		d.NotBefore = time.Time{}
	}
	if d.Means != MeansTLS {
		d.Proof = ProofNone
	}
	if d.Means != MeansPlainRequested {
		d.Warning = id.Consent{}
	}
	// 45 CFR 164.528(a)(1): what goes to the person, by authorization, or for treatment, payment and operations is exempt.
	d.Accountable = d.Means.Goes() && d.PHI && f.Recipient.Kind == RecipientCorrespondent && d.Authorization.IsZero() &&
		!isCare(f.Message.Purpose)
	return d
}

// isCare tells whether the purpose is treatment, payment or operations.
func isCare(p ledger.Purpose) bool {
	return p == ledger.PurposeTreatment || p == ledger.PurposePayment || p == ledger.PurposeOperations
}

// demand: the sender may ask for a protection, and above the law only in so far as the law leaves it.
func demand(f *Facts, v *verdict) {
	m := f.Message.Demand
	if m == "" {
		return
	}
	v.d.Demanded = true
	if v.allowed &= only(m); v.allowed == 0 {
		v.say(DemandImpossible, string(m))
		return
	}
	v.say(DemandHonoured, string(m))
}

// lint: what the content says against the declaration.
func lint(f *Facts, v *verdict) {
	was := v.d.PHI
	for _, x := range f.Message.Findings {
		switch x.Effect {
		case EffectHold:
			fallthrough
		default:
			v.say(LintHold, x.Code)
		case EffectStrong:
			v.d.PHI = true
			v.allowed &^= setPlain
			if v.d.Demanded && f.Message.Demand == MeansTLS {
				v.say(LintOverruled, x.Code)
				continue
			}
			v.limit(LintStrong, x.Code, setStrong)
		case EffectProtect:
			v.protect(LintPHI, x.Code)
		case EffectNone:
			v.say(LintNoted, x.Code)
		}
	}
	if v.d.PHI && !was {
		found(f, v)
	}
}

// found asks again what only health information is asked, when the lint found it against the declaration.
func found(f *Facts, v *verdict) {
	if f.Message.Purpose == ledger.PurposeService {
		v.say(ServiceWithPHI, "")
	}
	carrier(f, v)
	private(f, v)
}

var carried = map[Carriage]Code{
	CarriageRefuses: CarriedRefused, CarriageProof: CarriedUnproven, CarriageTime: CarriedLate, CarriageNowhere: CarriedNowhere, CarriageDoubt: CarriedDoubtful,
}

// carriage: what its queue ended is not decided as if it were about to leave.
func carriage(f *Facts, v *verdict) {
	if f.Carriage == CarriageNone {
		return
	}
	code, known := carried[f.Carriage]
	if !known {
		code = CarriedUnready
	}
	v.say(code, "")
}

// choose: of what is still allowed, first what the person asked for, then what the person can open, then what can be proven.
func choose(f *Facts, v *verdict) {
	if f.Carriage != CarriageNone {
		return // nothing is about to leave
	}
	if !v.d.PHI && v.allowed.has(MeansPlain) {
		v.pick(MeansPlain, NothingToProtect, "")
	} else {
		plainRequests(f, v)
	}
	if v.chosen == "" {
		key(v, MeansPGP, UsesPGP, f.Keys.PGP)
	}
	if v.chosen == "" {
		key(v, MeansSMIME, UsesSMIME, f.Keys.SMIME)
	}
	tls(f, v)
	if v.chosen == "" {
		pickup(f, v)
	}
}

func plainRequests(f *Facts, v *verdict) {
	for _, p := range f.PlainRequests {
		code := plainRequest(f, &p)
		if code == PlainAsked && !v.allowed.has(MeansPlainRequested) {
			code = PlainYields
		}
		if code == PlainAsked {
			v.d.Warning = p.ID
			v.pick(MeansPlainRequested, code, p.ID.String())
			return
		}
		v.say(code, p.ID.String())
	}
}

// plainRequest tells whether the request counts here. 45 CFR 164.524(c)(2), 164.522(b); 78 FR 5634: the person is warned first.
func plainRequest(f *Facts, p *PlainRequest) Code {
	m := &f.Message
	switch {
	case p.Revoked:
		return PlainRevoked
	case !p.Warned:
		return PlainUnwarned
	case f.Policy.PlainRequestsOff:
		return PlainOff
	case p.Channel != m.Channel || !p.Contact.IsZero() && p.Contact != f.Recipient.Contact,
		len(p.Purposes) > 0 && !contains(p.Purposes, m.Purpose),
		len(m.Sensitive) > 0 && !p.Sensitive,
		f.Recipient.Holder != HolderPerson:
		return PlainOutside
	}
	return PlainAsked
}

func key(v *verdict, m Means, c Code, k Key) {
	switch {
	case !k.Available || !v.allowed.has(m):
	case !k.Trusted:
		v.say(KeyUntrusted, k.ID)
	case k.Expired:
		v.say(KeyExpired, k.ID)
	default:
		v.pick(m, c, k.ID)
	}
}

var provenBy = map[Proof]Code{ProofRoute: TLSByRoute, ProofDANE: TLSByDANE, ProofMTASTS: TLSByMTASTS, ProofPKIX: TLSByPKIX}

// tls: a domain that fails its own policy gets nothing, neither message nor notice (RFC 8461 5, RFC 7672 2.2).
func tls(f *Facts, v *verdict) {
	if f.Message.Channel != people.ChannelEmail {
		return
	}
	if f.TLS.State == TLSBroken {
		v.say(TLSPolicyBroken, "")
		return
	}
	if v.chosen != "" || !v.allowed.has(MeansTLS) {
		return
	}
	code, known := provenBy[f.TLS.Proof]
	switch {
	case f.TLS.State == TLSFailed:
		v.say(TLSNotMet, string(f.TLS.Proof))
	case f.TLS.State == TLSUnknown:
		v.say(TLSNotKnown, "")
	case f.TLS.State != TLSOffered || !known:
		v.say(TLSNotOffered, "")
	case f.TLS.Proof == ProofPKIX && !f.Policy.AcceptPKIX:
		v.say(TLSNotAccepted, "")
	default:
		v.d.Proof = f.TLS.Proof
		v.pick(MeansTLS, code, "")
	}
}

// pickup is what is left when nothing else protects: never plain.
func pickup(f *Facts, v *verdict) {
	switch {
	case v.allowed.has(MeansPickup) && f.Policy.Pickup:
		v.pick(MeansPickup, UsesPickup, "")
		return
	case v.allowed.has(MeansPickup):
		v.say(PickupOff, "")
	}
	switch {
	case !v.d.Demanded:
		v.say(NoWayLeft, "")
	case !v.said(DemandImpossible):
		v.say(DemandImpossible, string(f.Message.Demand))
	}
}

// before: pgp, smime and tls may become pickup, or hold; nothing ever becomes tls or plain by failure.
func before(f *Facts, v *verdict) {
	p := f.Previous
	if p == nil || !p.Means.Goes() || p.Means == MeansPlain {
		return
	}
	keep := setAll
	for _, m := range All {
		if m.Rank() < p.Means.Rank() {
			keep &^= only(m)
		}
	}
	if p.Demanded {
		v.d.Demanded = true
		keep = only(p.Means)
	}
	v.limit(NeverWeaker, string(p.Means), keep)
}

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}
