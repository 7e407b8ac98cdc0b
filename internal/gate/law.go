package gate

import (
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// recipient: to whom anything may be said at all.
func recipient(f *Facts, v *verdict) {
	r, p := &f.Recipient, f.Message.Purpose
	service := p == ledger.PurposeService
	switch r.Kind {
	case RecipientPerson:
		standing(f, v)
	case RecipientStaff, RecipientPostmaster:
		if !service {
			v.say(StaffServiceOnly, "")
		}
	case RecipientCorrespondent:
		if p == ledger.PurposeMarketing || p == ledger.PurposeFundraising || f.Message.Class == ClassCommercial {
			v.say(CorrespondentCareOnly, "")
		}
	case RecipientUndeclared:
		fallthrough
	default:
		v.say(RecipientUnclear, "")
	}
}

// standing: the dead, minors and those who act for them. 45 CFR 164.502(f), (g).
func standing(f *Facts, v *verdict) {
	r := &f.Recipient
	if r.Deceased {
		if r.Holder != HolderRepresentative || !isCare(f.Message.Purpose) && f.Message.Purpose != ledger.PurposeService {
			v.say(DeceasedPerson, "")
			return
		}
		v.say(DeceasedRepresentative, "")
	}
	if r.AgeKnown && r.Age < majority(v, r.State) && r.Holder == HolderPerson && !r.OwnCare && f.Message.Purpose != ledger.PurposeService {
		v.say(MinorAlone, "")
	}
	if r.Holder != HolderPerson {
		switch {
		case !r.Proxy.Recorded:
			v.say(ProxyUnproven, "")
		case r.Proxy.Ended:
			v.say(ProxyEnded, "")
		}
	}
}

func majority(v *verdict, state string) int {
	if row, ok := v.law.InForce(law.MinorAge, state, v.today); ok {
		return row.Number()
	}
	return v.law.Number(law.MinorAge, v.today)
}

// address: whether there is one, and whether it is the recipient's alone.
func address(f *Facts, v *verdict) {
	r := &f.Recipient
	switch r.Address {
	case AddressUsable:
	case AddressUnproven:
		v.say(AddressDoubtful, r.Contact.String())
	case AddressNone, AddressInvalid:
		fallthrough
	default:
		if p := f.Message.Purpose; p == ledger.PurposeMarketing || p == ledger.PurposeFundraising {
			v.say(AddressMissingBulk, "")
			return
		}
		v.say(AddressMissing, "")
	}
	if r.Shared {
		v.limit(AddressShared, r.Contact.String(), setStrong|setPlain)
	}
}

// declarations: HIPAA purpose, who pays, and mail or text class are declared, or nothing goes.
func declarations(f *Facts, v *verdict) {
	m := &f.Message
	if m.Purpose == ledger.PurposeNone || !m.Purpose.Known() {
		v.say(PurposeMissing, "")
	}
	switch m.Channel {
	case people.ChannelEmail:
		if m.Class != ClassTransactional && m.Class != ClassCommercial {
			v.say(ClassMissing, "")
		}
	case people.ChannelPhone:
		if m.Text == TextUndeclared || m.Text > TextMarketing {
			v.say(TextClassMissing, "")
		}
	case people.ChannelPost:
		fallthrough
	default:
		v.say(NoChannel, "")
	}
	if m.Purpose == ledger.PurposeService {
		if m.PHI || m.SelectedByHealth || len(m.Sensitive) > 0 {
			v.say(ServiceWithPHI, "")
		}
		if !m.Fixed {
			v.say(ServiceNotFixed, "")
		}
	} else if m.Payer.Who != PayerSelf && m.Payer.Who != PayerThirdParty {
		v.say(PayerMissing, "")
	}
	if m.Personal {
		v.say(PersonalNotByMail, "")
	}
}

// information: whether the message holds health information. 45 CFR 160.103: that somebody is a patient is enough.
func information(f *Facts, v *verdict) {
	m := &f.Message
	switch {
	case m.PHI:
		v.protect(PHIDeclared, "")
	case m.Purpose == ledger.PurposeTreatment || m.Purpose == ledger.PurposePayment || m.Purpose == ledger.PurposeRefill:
		v.protect(PHIByPurpose, m.Purpose.String())
	case m.SelectedByHealth:
		v.protect(PHIBySelection, "")
	case f.Policy.ProtectAll && m.Purpose != ledger.PurposeService:
		v.protect(PHIByPolicy, "")
	}
}

// remuneration: who pays decides whether talk of treatment is marketing. 45 CFR 164.501 "marketing", 164.508(a)(3).
func remuneration(f *Facts, v *verdict) {
	m := &f.Message
	third := m.Payer.Who == PayerThirdParty
	if third && m.Payer.Remuneration == RemunerationInKind {
		v.say(InKindOnly, "")
		third = false
	}
	switch m.Purpose {
	case ledger.PurposeMarketing:
		v.marketing = true
		if third {
			v.paid = true
			v.say(PaidByThirdParty, "")
		}
		// A prospect's address that holds no health information of ours is no use of PHI.
		if v.needs = v.paid || f.Recipient.Standing != people.KindProspect || v.d.PHI && m.PHI; v.needs {
			v.say(MarketingNeedsIt, "")
		}
	case ledger.PurposeRefill:
		refill(f, v, third)
	case ledger.PurposeTreatment, ledger.PurposeOperations:
		if third {
			v.paid, v.needs, v.marketing = true, true, true
			v.say(PaidByThirdParty, "")
		}
	case ledger.PurposeNone, ledger.PurposePayment, ledger.PurposeFundraising, ledger.PurposeService:
	}
}

// refill: 45 CFR 164.501 "marketing" (2)(i); HHS FAQ 1514, 1516: current, or lapsed 90 days at most, and paid at cost at most.
func refill(f *Facts, v *verdict, third bool) {
	r, pay := &f.Message.Refill, &f.Message.Payer
	switch {
	case !r.Known || !r.Current && r.Lapsed == 0:
		v.say(RefillUnknown, "")
	case !r.Current && int(v.today-r.Lapsed) > v.law.Number(law.RefillLapse, v.today):
		v.needs, v.marketing = true, true
		v.say(RefillLapsed, "")
	}
	if third {
		switch {
		case pay.Remuneration == RemunerationAboveCost:
			v.paid, v.needs, v.marketing = true, true, true
			v.say(RefillAboveCost, "")
		case pay.Remuneration != RemunerationAtCost || !pay.Worksheet:
			v.say(RefillNoWorksheet, "")
		}
	}
	if !v.needs && !v.held {
		v.say(RefillAllowed, "")
	}
}

// special: fundraising, offers, and prospects, each with a rule of its own.
func special(f *Facts, v *verdict) {
	m, r := &f.Message, &f.Recipient
	if m.Purpose == ledger.PurposeFundraising {
		if !m.Fundraising.OnlyPermittedFields {
			v.say(FundraisingFields, "")
		}
		if !m.Fundraising.NoticeSaysSo {
			v.say(FundraisingNoNotice, "")
		}
		if !m.Elements.OptOut {
			v.say(FundraisingNoOptOut, "")
		}
	}
	if m.Offer && r.FederalBeneficiary {
		v.say(OfferToBeneficiary, "")
	}
	if r.Standing == people.KindProspect && m.SelectedByHealth {
		if _, asked := optIn(f, m.Topic); !asked {
			v.say(ProspectNoConsent, "")
		}
	}
}

// commercial: 15 USC 7704(a)(5).
func commercial(f *Facts, v *verdict) {
	m := &f.Message
	if m.Class != ClassCommercial || m.Channel != people.ChannelEmail {
		return
	}
	if !m.Elements.OptOut {
		v.say(CommercialNoOptOut, "")
	}
	if !m.Elements.PostalAddress {
		v.say(CommercialNoAddress, "")
	}
	if _, asked := optIn(f, m.Topic); !asked && !m.Elements.AdLabel {
		v.say(CommercialNoLabel, "")
	}
}

// misses lists why an authorization does not count, the farthest from valid first; the nearest miss is the reason given.
var misses = []Code{
	AuthorizationMissing, AuthorizationPurpose, AuthorizationPayer, AuthorizationSilent, AuthorizationIncomplete, AuthorizationUnsigned,
	AuthorizationRevoked, AuthorizationExpired, AuthorizationValid,
}

// authorization: 45 CFR 164.508.
func authorization(f *Facts, v *verdict) {
	if !v.needs {
		return
	}
	best, ref := 0, ""
	for i := range f.Authorizations {
		a := &f.Authorizations[i]
		code := a.covers(f.Message.Purpose, f.Message.Payer.Name, v)
		for n, c := range misses {
			if c == code && n > best {
				best, ref = n, a.ID.String()
				if code == AuthorizationValid {
					v.d.Authorization = a.ID
				}
			}
		}
	}
	v.say(misses[best], ref)
}

func (a *Authorization) covers(p ledger.Purpose, payer string, v *verdict) Code {
	forPurpose := contains(a.Purposes, p) || v.marketing && contains(a.Purposes, ledger.PurposeMarketing)
	switch {
	case !forPurpose:
		return AuthorizationPurpose
	case v.paid && !contains(a.Payers, payer):
		return AuthorizationPayer
	case v.paid && !a.StatesRemuneration:
		return AuthorizationSilent
	case !a.Complete:
		return AuthorizationIncomplete
	case !a.Signed:
		return AuthorizationUnsigned
	case a.Revoked:
		return AuthorizationRevoked
	case a.EventReached || a.Expires != 0 && v.today > a.Expires:
		return AuthorizationExpired
	}
	return AuthorizationValid
}
