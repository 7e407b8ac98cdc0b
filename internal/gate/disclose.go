package gate

import (
	"slices"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
)

// DisclosureFacts is all that Disclose looks at: one person's information on its way to a destination by export or feed.
type DisclosureFacts struct {
	Now            time.Time
	Law            *law.Table // nil is the embedded one
	Purpose        ledger.Purpose
	Destination    Destination
	Person         id.Person
	ToPerson       bool // the person, or the representative, receives it: 45 CFR 164.502(a)(1)(i), 164.524
	Paid           bool // the organisation is paid for it: a sale, 45 CFR 164.502(a)(5)(ii)
	Fields         []string
	Needed         []string // the fields that the purpose needs, as written down for the feed
	Sensitive      []Sensitive
	Part2Notice    bool // 42 CFR 2.32 goes with it
	Authorizations []Authorization
	Part2Consents  []Part2Consent
	Restrictions   []Restriction
}

// Destination is where it goes.
type Destination struct {
	Name       string
	Kind       DestinationKind
	Service    string
	Covered    bool // an agreement in force covers the service
	Agreement  id.Agreement
	Payer      bool // a health plan
	AdAudience bool // an advertising audience: always refused
}

// DestinationKind is what the receiver is to the organisation.
type DestinationKind uint8

// The kinds.
const (
	DestinationUndeclared DestinationKind = 0
	DestinationAssociate  DestinationKind = 1 // acts for us: 45 CFR 160.103 business associate
	DestinationProvider   DestinationKind = 2 // treats the person
	DestinationPlan       DestinationKind = 3 // pays for the person
	DestinationOther      DestinationKind = 4
)

// Disclosure is the answer: whether the person's information goes, which fields, and why.
type Disclosure struct {
	Allowed       bool             `json:"allowed"`
	Reasons       []Reason         `json:"reasons"`
	Fields        []string         `json:"fields,omitempty"` // what may go
	Dropped       []string         `json:"dropped,omitempty"`
	Authorization id.Authorization `json:"authorization,omitzero"`
	Agreement     id.Agreement     `json:"agreement,omitzero"`
	Accountable   bool             `json:"accountable,omitempty"` // 45 CFR 164.528
}

// Explain gives the reasons as lines.
func (d Disclosure) Explain() []Line { return explain(d.Reasons) }

// Detail gives what the ledger entry of the disclosure keeps.
func (d Disclosure) Detail() ledger.Detail {
	detail := ledger.Detail{"allowed": "no", "reasons": joined(d.Reasons)}
	if d.Allowed {
		detail["allowed"] = "yes"
	}
	if !d.Authorization.IsZero() {
		detail["authorization"] = d.Authorization.String()
	}
	if !d.Agreement.IsZero() {
		detail["agreement"] = d.Agreement.String()
	}
	if d.Accountable {
		detail["accountable"] = "yes"
	}
	return detail
}

// Disclose answers for exports and feeds. A hold refuses here: nobody waits at a feed.
func Disclose(f DisclosureFacts) Disclosure {
	v := &verdict{law: f.Law, today: law.Day(f.Now)}
	if v.law == nil {
		v.law = law.Embedded()
	}
	d := &Disclosure{}
	for _, step := range []func(*DisclosureFacts, *verdict, *Disclosure){
		disclosePurpose, discloseAuthorization, discloseRestriction, discloseSensitive, discloseAgreement, discloseFields,
	} {
		step(&f, v, d)
		if v.refused {
			break
		}
	}
	d.Reasons = v.d.Reasons
	d.Allowed = !v.refused && !v.held
	d.Authorization = v.d.Authorization
	if !d.Allowed {
		d.Fields, d.Dropped = nil, nil
	}
	// 45 CFR 164.528(a)(1): treatment, payment and operations, to the person, and by authorization are exempt.
	d.Accountable = d.Allowed && !f.ToPerson && d.Authorization.IsZero() && !isCare(f.Purpose)
	return *d
}

func disclosePurpose(f *DisclosureFacts, v *verdict, _ *Disclosure) {
	switch {
	case f.Destination.AdAudience:
		v.say(AdAudience, f.Destination.Name)
	case f.Purpose == ledger.PurposeNone || !f.Purpose.Known() || f.Purpose == ledger.PurposeService:
		v.say(PurposeMissing, "")
	case f.Destination.Kind == DestinationUndeclared && !f.ToPerson:
		v.say(DestinationUnclear, "")
	}
	if f.ToPerson {
		v.say(ToThePerson, "")
		return
	}
	if f.Paid {
		v.paid = true
		v.say(SaleNeedsIt, "")
	}
	switch {
	case f.Purpose == ledger.PurposeMarketing:
		v.say(MarketingNeedsIt, "")
	case f.byAuthorization():
		v.say(OutsideNeedsIt, f.Purpose.String())
	}
	v.needs = f.Paid || f.byAuthorization()
}

// byAuthorization tells whether nothing but an authorization permits the disclosure, apart from a payment. 45 CFR 164.506(c), 164.508.
func (f *DisclosureFacts) byAuthorization() bool {
	outside := f.Destination.Kind != DestinationAssociate && f.Destination.Kind != DestinationProvider && f.Destination.Kind != DestinationPlan
	return outside || f.Purpose == ledger.PurposeMarketing || !isCare(f.Purpose) && f.Destination.Kind != DestinationAssociate
}

func discloseAuthorization(f *DisclosureFacts, v *verdict, _ *Disclosure) {
	if !v.needs {
		return
	}
	m := Facts{Authorizations: f.Authorizations}
	m.Message.Purpose, m.Message.Payer.Name = f.Purpose, f.Destination.Name
	authorization(&m, v)
}

func discloseRestriction(f *DisclosureFacts, v *verdict, _ *Disclosure) {
	if f.ToPerson {
		return
	}
	for _, r := range f.Restrictions {
		switch {
		case r.Payer:
			plan := f.Destination.Payer || f.Destination.Kind == DestinationPlan
			// 45 CFR 164.522(a)(1)(vi): binding when paid in full out of pocket, for payment and operations.
			if plan && f.Purpose != ledger.PurposeTreatment {
				v.say(RestrictedPayer, r.ID.String())
			}
		case r.Proxy, r.Topic != "": // about messages
		case r.Purpose == ledger.PurposeNone || r.Purpose == f.Purpose:
			v.say(RestrictedUse, r.ID.String())
		}
	}
}

func discloseSensitive(f *DisclosureFacts, v *verdict, _ *Disclosure) {
	for _, class := range f.Sensitive {
		switch class {
		case SensitivePsychotherapy:
			v.say(PsychotherapyNotes, "")
		case SensitiveCounselling:
			v.say(CounsellingNotes, "")
		case SensitivePart2:
			if f.ToPerson {
				continue // 42 CFR 2.23
			}
			m := Facts{Part2Consents: f.Part2Consents}
			m.Recipient.Kind, m.Message.Elements.Part2Notice = RecipientCorrespondent, f.Part2Notice
			part2(&m, v)
		case SensitiveMental, SensitiveHIV, SensitiveGenetic, SensitiveReproductive, SensitiveMinorConsent:
			// State laws on these differ by receiver: the minimum necessary and the agreement bind.
		}
	}
}

func discloseAgreement(f *DisclosureFacts, v *verdict, d *Disclosure) {
	if f.Destination.Kind != DestinationAssociate || f.ToPerson {
		return
	}
	if !f.Destination.Covered {
		v.say(AssociateUncovered, f.Destination.Service)
		return
	}
	d.Agreement = f.Destination.Agreement
	v.say(AssociateCovered, f.Destination.Agreement.String())
}

// discloseFields: 45 CFR 164.502(b): the minimum necessary, save for treatment by a provider, to the person, or by authorization. An
// authorization that only a payment made necessary widens nothing.
func discloseFields(f *DisclosureFacts, v *verdict, d *Disclosure) {
	treats := f.Purpose == ledger.PurposeTreatment && f.Destination.Kind == DestinationProvider
	if treats || f.ToPerson || !v.d.Authorization.IsZero() && f.byAuthorization() {
		d.Fields = slices.Clone(f.Fields)
		return
	}
	for _, field := range f.Fields {
		if slices.Contains(f.Needed, field) {
			d.Fields = append(d.Fields, field)
			continue
		}
		d.Dropped = append(d.Dropped, field)
	}
	if len(d.Dropped) > 0 {
		v.say(FieldsDropped, "")
	}
	if len(d.Fields) == 0 {
		v.say(NothingNeeded, "")
	}
}
