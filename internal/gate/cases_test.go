package gate_test

import (
	"time"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

type decideCase struct {
	rule   string // what the rule says
	base   func() gate.Facts
	change func(f *gate.Facts)
	means  gate.Means
	why    []gate.Code // in this order among the reasons
}

func why(codes ...gate.Code) []gate.Code { return codes }

var decideCases = [][]decideCase{recipientCases, purposeCases, authorizationCases, optOutCases, textCases, rightsCases, protectionCases}

var recipientCases = []decideCase{
	{"the kind of recipient is declared", care, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientUndeclared }, gate.MeansHeld, why(gate.RecipientUnclear)},
	{"45 CFR 164.502(b): no patient's information to staff by mail", care, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientStaff }, gate.MeansRefused, why(gate.StaffServiceOnly)},
	{"a staff alarm is service mail and goes", notice, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientStaff }, gate.MeansPlain, why(gate.NothingToProtect)},
	{"a postmaster gets service mail only", newsletter, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientPostmaster }, gate.MeansRefused, why(gate.StaffServiceOnly)},
	{"a colleague outside gets care mail over proven TLS", care, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientCorrespondent }, gate.MeansTLS, why(gate.TLSByMTASTS)},
	{"45 CFR 164.508(a)(3): somebody unknown gets no marketing", offer, func(f *gate.Facts) { f.Recipient.Kind = gate.RecipientCorrespondent }, gate.MeansRefused, why(gate.CorrespondentCareOnly)},
	{"45 CFR 164.502(f): the dead are not written to", care, func(f *gate.Facts) { f.Recipient.Deceased = true }, gate.MeansRefused, why(gate.DeceasedPerson)},
	{"45 CFR 164.502(g)(4): the representative is, about care", care, func(f *gate.Facts) {
		f.Recipient.Deceased, f.Recipient.Holder, f.Recipient.Proxy.Recorded = true, gate.HolderRepresentative, true
	}, gate.MeansTLS, why(gate.DeceasedRepresentative, gate.TLSByMTASTS)},
	{"but gets no offers", offer, func(f *gate.Facts) {
		f.Recipient.Deceased, f.Recipient.Holder, f.Recipient.Proxy.Recorded = true, gate.HolderRepresentative, true
	}, gate.MeansRefused, why(gate.DeceasedPerson)},
	{"45 CFR 164.502(g)(3): a minor alone waits for a person", care, func(f *gate.Facts) { f.Recipient.Age = 17 }, gate.MeansHeld, why(gate.MinorAlone)},
	{"at eighteen one is of age", care, func(f *gate.Facts) { f.Recipient.Age = 18 }, gate.MeansTLS, nil},
	{"in Alabama at nineteen", care, func(f *gate.Facts) { f.Recipient.Age, f.Recipient.State = 18, "AL" }, gate.MeansHeld, why(gate.MinorAlone)},
	{"a placeholder birth date makes nobody a minor", care, func(f *gate.Facts) { f.Recipient.Age, f.Recipient.AgeKnown = 0, false }, gate.MeansTLS, nil},
	{"a minor who consented alone to the care is written to", care, func(f *gate.Facts) { f.Recipient.Age, f.Recipient.OwnCare = 15, true }, gate.MeansTLS, nil},
	{"a minor's mail goes to the parent on file", care, func(f *gate.Facts) {
		f.Recipient.Age, f.Recipient.Holder, f.Recipient.Proxy.Recorded = 9, gate.HolderProxy, true
	}, gate.MeansTLS, nil},
	{"45 CFR 164.514(h): a proxy's authority is on file", care, func(f *gate.Facts) { f.Recipient.Age, f.Recipient.Holder = 9, gate.HolderProxy }, gate.MeansHeld, why(gate.ProxyUnproven)},
	{"an authority that ended counts no more", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy = gate.HolderProxy, gate.Proxy{Recorded: true, Ended: true}
	}, gate.MeansHeld, why(gate.ProxyEnded)},
	{"care mail without an address wants another way", care, func(f *gate.Facts) { f.Recipient.Address = gate.AddressNone }, gate.MeansHeld, why(gate.AddressMissing)},
	{"an offer without an address does not", offer, func(f *gate.Facts) { f.Recipient.Address = gate.AddressInvalid }, gate.MeansRefused, why(gate.AddressMissingBulk)},
	{"an address that bounced is not trusted", care, func(f *gate.Facts) { f.Recipient.Address = gate.AddressUnproven }, gate.MeansHeld, why(gate.AddressDoubtful)},
	{"45 CFR 164.530(c): a household's address gets pickup", care, func(f *gate.Facts) { f.Recipient.Shared = true }, gate.MeansPickup, why(gate.AddressShared, gate.UsesPickup)},
	{"a household's newsletter stays plain", newsletter, func(f *gate.Facts) { f.Recipient.Shared = true }, gate.MeansPlain, why(gate.AddressShared, gate.NothingToProtect)},
}

var purposeCases = []decideCase{
	{"the purpose is declared", care, func(f *gate.Facts) { f.Message.Purpose = ledger.PurposeNone }, gate.MeansHeld, why(gate.PurposeMissing)},
	{"a purpose is on the list", care, func(f *gate.Facts) { f.Message.Purpose = 99 }, gate.MeansHeld, why(gate.PurposeMissing)},
	{"the mail class is declared; it is not guessed from the purpose", care, func(f *gate.Facts) { f.Message.Class = gate.ClassUndeclared }, gate.MeansHeld, why(gate.ClassMissing)},
	{"who pays is declared", care, func(f *gate.Facts) { f.Message.Payer.Who = gate.PayerUndeclared }, gate.MeansHeld, why(gate.PayerMissing)},
	{"post has no machine yet", care, func(f *gate.Facts) { f.Message.Channel = people.ChannelPost }, gate.MeansHeld, why(gate.NoChannel)},
	{"a notice goes plain", notice, nil, gate.MeansPlain, why(gate.NothingToProtect)},
	{"a service message holds no health information", notice, func(f *gate.Facts) { f.Message.PHI = true }, gate.MeansHeld, why(gate.ServiceWithPHI)},
	{"a service message has a fixed text", notice, func(f *gate.Facts) { f.Message.Fixed = false }, gate.MeansHeld, why(gate.ServiceNotFixed)},
	{"care mail that holds health information goes over proven TLS", care, nil, gate.MeansTLS, why(gate.PHIDeclared, gate.TLSByMTASTS)},
	{"45 CFR 160.103: care mail is health information whatever is declared", care, func(f *gate.Facts) { f.Message.PHI = false }, gate.MeansTLS, why(gate.PHIByPurpose)},
	{"news to all holds none and goes plain", newsletter, nil, gate.MeansPlain, why(gate.NothingToProtect)},
	{"news to those chosen by a diagnosis does", newsletter, func(f *gate.Facts) { f.Message.SelectedByHealth = true }, gate.MeansTLS, why(gate.PHIBySelection)},
	{"an organisation may protect all mail", newsletter, func(f *gate.Facts) { f.Policy.ProtectAll = true }, gate.MeansTLS, why(gate.PHIByPolicy)},
	{"its notices stay plain", notice, func(f *gate.Facts) { f.Policy.ProtectAll = true }, gate.MeansPlain, nil},
	{"45 CFR 164.508(a)(3)(ii): talk of treatment that somebody pays for needs an authorization", care, func(f *gate.Facts) {
		f.Message.Payer = gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationAtCost, Name: "Acme"}
	}, gate.MeansRefused, why(gate.PaidByThirdParty, gate.AuthorizationMissing)},
	{"78 FR 5566: what is given in kind is no financial remuneration", care, func(f *gate.Facts) {
		f.Message.Payer = gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationInKind}
	}, gate.MeansTLS, why(gate.InKindOnly, gate.TLSByMTASTS)},
	{"45 CFR 164.508(a)(3)(i): face to face is not by mail", offer, func(f *gate.Facts) { f.Message.Personal = true }, gate.MeansRefused, why(gate.PersonalNotByMail)},
	{"45 CFR 164.501: a refill reminder paid at cost needs no authorization", refill, nil, gate.MeansTLS, why(gate.PHIDeclared, gate.RefillAllowed, gate.TLSByMTASTS)},
	{"HHS FAQ 1516: ninety days after the prescription lapsed", refill, func(f *gate.Facts) {
		f.Message.Refill = gate.Refill{Known: true, Lapsed: law.Day(noon) - 90}
	}, gate.MeansTLS, why(gate.RefillAllowed)},
	{"on the ninety-first it is marketing", refill, func(f *gate.Facts) {
		f.Message.Refill = gate.Refill{Known: true, Lapsed: law.Day(noon) - 91}
	}, gate.MeansRefused, why(gate.RefillLapsed, gate.AuthorizationMissing)},
	{"a reminder needs a prescription", refill, func(f *gate.Facts) { f.Message.Refill = gate.Refill{} }, gate.MeansHeld, why(gate.RefillUnknown)},
	{"and the day it lapsed", refill, func(f *gate.Facts) { f.Message.Refill = gate.Refill{Known: true} }, gate.MeansHeld, why(gate.RefillUnknown)},
	{"paid without a worksheet waits", refill, func(f *gate.Facts) { f.Message.Payer.Worksheet = false }, gate.MeansHeld, why(gate.RefillNoWorksheet)},
	{"HHS FAQ 1514: paid above cost needs an authorization", refill, func(f *gate.Facts) { f.Message.Payer.Remuneration = gate.RemunerationAboveCost }, gate.MeansRefused, why(gate.RefillAboveCost, gate.AuthorizationMissing)},
	{"and goes with one", refill, func(f *gate.Facts) {
		f.Message.Payer.Remuneration, f.Authorizations = gate.RemunerationAboveCost, []gate.Authorization{authorized()}
	}, gate.MeansTLS, why(gate.RefillAboveCost, gate.AuthorizationValid)},
	{"45 CFR 164.514(f): fundraising needs no authorization", gift, nil, gate.MeansTLS, why(gate.TLSByMTASTS)},
	{"45 CFR 164.514(f)(1): and uses permitted fields only", gift, func(f *gate.Facts) { f.Message.Fundraising.OnlyPermittedFields = false }, gate.MeansHeld, why(gate.FundraisingFields)},
	{"45 CFR 164.514(f)(2)(i): the notice of privacy practices says so", gift, func(f *gate.Facts) { f.Message.Fundraising.NoticeSaysSo = false }, gate.MeansHeld, why(gate.FundraisingNoNotice)},
	{"45 CFR 164.514(f)(2)(ii): each letter has an opt-out", gift, func(f *gate.Facts) { f.Message.Elements.OptOut = false }, gate.MeansHeld, why(gate.FundraisingNoOptOut)},
	{"42 USC 1320a-7b(b): no coupon to a Medicare beneficiary", offer, func(f *gate.Facts) { f.Message.Offer, f.Recipient.FederalBeneficiary = true, true }, gate.MeansRefused, why(gate.OfferToBeneficiary)},
	{"15 USC 7704(a)(5)(A)(ii): a commercial message has an opt-out", offer, func(f *gate.Facts) { f.Message.Elements.OptOut = false }, gate.MeansHeld, why(gate.CommercialNoOptOut)},
	{"15 USC 7704(a)(5)(A)(iii): and a postal address", offer, func(f *gate.Facts) { f.Message.Elements.PostalAddress = false }, gate.MeansHeld, why(gate.CommercialNoAddress)},
	{"15 USC 7704(a)(5)(A)(i): and says what it is", offer, func(f *gate.Facts) { f.Message.Elements.AdLabel = false }, gate.MeansHeld, why(gate.CommercialNoLabel)},
	{"15 USC 7704(a)(5)(B): save to those who asked for it", offer, func(f *gate.Facts) {
		f.Message.Elements.AdLabel, f.OptIns = false, []gate.OptIn{{ID: consent, Channel: people.ChannelEmail, Topic: "offers"}}
	}, gate.MeansTLS, nil},
	{"an offer to a prospect uses no health information of ours", offer, prospect, gate.MeansPlain, why(gate.NothingToProtect)},
	{"RCW 19.373: unless the prospect was chosen by it", offer, func(f *gate.Facts) { prospect(f); f.Message.SelectedByHealth = true }, gate.MeansRefused, why(gate.ProspectNoConsent)},
	{"and a prospect's offer that a third party pays for needs the authorization", offer, func(f *gate.Facts) {
		prospect(f)
		f.Message.Payer.Who = gate.PayerThirdParty
	}, gate.MeansRefused, why(gate.PaidByThirdParty, gate.MarketingNeedsIt, gate.AuthorizationMissing)},
}

func prospect(f *gate.Facts) {
	f.Recipient.Standing, f.Message.PHI, f.Authorizations = people.KindProspect, false, nil
	f.Message.Payer = gate.Payer{Who: gate.PayerSelf}
}

var authorizationCases = []decideCase{
	{"45 CFR 164.508(a)(3): marketing goes with an authorization", offer, nil, gate.MeansTLS, why(gate.PaidByThirdParty, gate.MarketingNeedsIt, gate.AuthorizationValid, gate.TLSByMTASTS)},
	{"and not without", offer, func(f *gate.Facts) { f.Authorizations = nil }, gate.MeansRefused, why(gate.AuthorizationMissing)},
	{"own marketing needs one too", offer, func(f *gate.Facts) { f.Message.Payer, f.Authorizations = gate.Payer{Who: gate.PayerSelf}, nil }, gate.MeansRefused, why(gate.MarketingNeedsIt, gate.AuthorizationMissing)},
	{"own marketing asks for no statement of remuneration", offer, func(f *gate.Facts) {
		f.Message.Payer = gate.Payer{Who: gate.PayerSelf}
		f.Authorizations[0].StatesRemuneration, f.Authorizations[0].Payers = false, nil
	}, gate.MeansTLS, why(gate.AuthorizationValid)},
	{"45 CFR 164.508(c): every element is there", offer, func(f *gate.Facts) { f.Authorizations[0].Complete = false }, gate.MeansRefused, why(gate.AuthorizationIncomplete)},
	{"45 CFR 164.508(c)(1)(vi): it is signed", offer, func(f *gate.Facts) { f.Authorizations[0].Signed = false }, gate.MeansRefused, why(gate.AuthorizationUnsigned)},
	{"45 CFR 164.508(b)(2)(i): it counts on its last day", offer, func(f *gate.Facts) { f.Authorizations[0].Expires = law.Day(noon) }, gate.MeansTLS, why(gate.AuthorizationValid)},
	{"and not on the next", offer, func(f *gate.Facts) { f.Authorizations[0].Expires = law.Day(noon) - 1 }, gate.MeansRefused, why(gate.AuthorizationExpired)},
	{"or after its event", offer, func(f *gate.Facts) { f.Authorizations[0].EventReached = true }, gate.MeansRefused, why(gate.AuthorizationExpired)},
	{"45 CFR 164.508(b)(5): it ends with its revocation", offer, func(f *gate.Facts) { f.Authorizations[0].Revoked = true }, gate.MeansRefused, why(gate.AuthorizationRevoked)},
	{"45 CFR 164.508(c)(1)(iv): it is for this purpose", offer, func(f *gate.Facts) { f.Authorizations[0].Purposes = []ledger.Purpose{ledger.PurposeTreatment} }, gate.MeansRefused, why(gate.AuthorizationPurpose)},
	{"45 CFR 164.508(c)(1)(iii): it names who pays", offer, func(f *gate.Facts) { f.Authorizations[0].Payers = []string{"Other"} }, gate.MeansRefused, why(gate.AuthorizationPayer)},
	{"45 CFR 164.508(a)(3)(ii): and says that they pay", offer, func(f *gate.Facts) { f.Authorizations[0].StatesRemuneration = false }, gate.MeansRefused, why(gate.AuthorizationSilent)},
	{"a valid one counts beside an invalid one", offer, func(f *gate.Facts) {
		bad := authorized()
		bad.Revoked = true
		f.Authorizations = []gate.Authorization{bad, authorized(), bad}
	}, gate.MeansTLS, why(gate.AuthorizationValid)},
	{"of two that fail, the nearest miss is told", offer, func(f *gate.Facts) {
		f.Authorizations[0].Purposes = nil
		late := authorized()
		late.Expires = law.Day(noon) - 1
		f.Authorizations = append(f.Authorizations, late)
	}, gate.MeansRefused, why(gate.AuthorizationExpired)},
}

func covers(c gate.Covers, topic string) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		f.OptOuts = append(f.OptOuts, gate.OptOut{Ref: stop.String(), Scope: gate.ScopeAddress, Covers: c, Topic: topic})
	}
}

var optOutCases = []decideCase{
	{"an address that takes no mail gets none, not even a notice", notice, covers(gate.CoversAddress, ""), gate.MeansRefused, why(gate.AddressSuppressed)},
	{"who wants no messages gets none", care, covers(gate.CoversAll, ""), gate.MeansRefused, why(gate.OptedOutAll)},
	{"but the code that was asked for", notice, covers(gate.CoversAll, ""), gate.MeansPlain, nil},
	{"15 USC 7704(a)(4): no commercial mail after an opt-out", offer, covers(gate.CoversCommercial, ""), gate.MeansRefused, why(gate.OptedOutCommercial)},
	{"care mail goes on", care, covers(gate.CoversCommercial, ""), gate.MeansTLS, nil},
	{"marketing by HIPAA is stopped also when it is transactional by CAN-SPAM", offer, func(f *gate.Facts) {
		f.Message.Class = gate.ClassTransactional
		covers(gate.CoversCommercial, "")(f)
	}, gate.MeansRefused, why(gate.OptedOutCommercial)},
	{"commercial mail is stopped also when it is operations by HIPAA", newsletter, func(f *gate.Facts) {
		f.Message.Class, f.Message.Elements = gate.ClassCommercial, gate.Elements{OptOut: true, PostalAddress: true, AdLabel: true}
		covers(gate.CoversCommercial, "")(f)
	}, gate.MeansRefused, why(gate.OptedOutCommercial)},
	{"45 CFR 164.514(f)(2)(iv): no fundraising after an opt-out", gift, covers(gate.CoversFundraising, ""), gate.MeansRefused, why(gate.OptedOutFundraising)},
	{"news goes on", newsletter, covers(gate.CoversFundraising, ""), gate.MeansPlain, nil},
	{"an opt-out of a topic ends the topic", newsletter, covers(gate.CoversTopic, "news"), gate.MeansRefused, why(gate.OptedOutTopic)},
	{"and no other", newsletter, covers(gate.CoversTopic, "classes"), gate.MeansPlain, nil},
	{"a recall passes the opt-out of its topic", newsletter, func(f *gate.Facts) {
		f.Message.Safety = true
		covers(gate.CoversTopic, "news")(f)
	}, gate.MeansPlain, why(gate.SafetyPasses)},
	{"an offer does not become a recall by its name", offer, func(f *gate.Facts) {
		f.Message.Safety = true
		covers(gate.CoversTopic, "offers")(f)
	}, gate.MeansRefused, why(gate.OptedOutTopic)},
	{"a topic for those who asked", newsletter, func(f *gate.Facts) { f.Message.NeedsOptIn = true }, gate.MeansRefused, why(gate.OptInMissing)},
	{"goes to those who asked", newsletter, func(f *gate.Facts) {
		f.Message.NeedsOptIn, f.OptIns = true, []gate.OptIn{{ID: consent, Channel: people.ChannelEmail, Topic: "news"}}
	}, gate.MeansPlain, why(gate.OptInFound)},
	{"by whatever channel, when they named none", newsletter, func(f *gate.Facts) {
		f.Message.NeedsOptIn, f.OptIns = true, []gate.OptIn{{ID: consent, Topic: "news"}}
	}, gate.MeansPlain, why(gate.OptInFound)},
	{"by the channel they asked for", newsletter, func(f *gate.Facts) {
		f.Message.NeedsOptIn, f.OptIns = true, []gate.OptIn{{ID: consent, Channel: people.ChannelPhone, Topic: "news"}}
	}, gate.MeansRefused, why(gate.OptInMissing)},
}

var textCases = []decideCase{
	{"47 CFR 64.1200(a)(1): a text goes with consent", text, nil, gate.MeansPlain, nil},
	{"and not without", text, func(f *gate.Facts) { f.OptIns = nil }, gate.MeansRefused, why(gate.TextConsentMissing)},
	{"a consent that names no channel is none to texts", text, func(f *gate.Facts) { f.OptIns[0].Channel = 0 }, gate.MeansRefused, why(gate.TextConsentMissing)},
	{"the class of a text is declared", text, func(f *gate.Facts) { f.Message.Text = gate.TextUndeclared }, gate.MeansHeld, why(gate.TextClassMissing)},
	{"47 CFR 64.1200(a)(2): marketing asks for written consent", sell, nil, gate.MeansPlain, nil},
	{"47 CFR 64.1200(f)(9): a spoken one is not enough", sell, func(f *gate.Facts) { f.OptIns[0].Written = false }, gate.MeansRefused, why(gate.TextWrittenMissing)},
	{"47 CFR 64.1200(a)(9)(iv): the exemption needs no consent", exempt, nil, gate.MeansPlain, nil},
	{"but a number that is free to the person", exempt, func(f *gate.Facts) { f.Message.Elements.FreeToUser = false }, gate.MeansHeld, why(gate.ExemptNotFree)},
	{"(E): no more than 160 characters", exempt, func(f *gate.Facts) { f.Message.Elements.Chars = 161 }, gate.MeansHeld, why(gate.ExemptTooLong)},
	{"(D): no bills", exempt, func(f *gate.Facts) { f.Message.Elements.Billing = true }, gate.MeansHeld, why(gate.ExemptBilling)},
	{"(G): how to stop", exempt, func(f *gate.Facts) { f.Message.Elements.StopNotice = false }, gate.MeansHeld, why(gate.TextNoStop)},
	{"(F): one a day", exempt, func(f *gate.Facts) { f.Contacts.TextsDay = 1 }, gate.MeansHeld, why(gate.TextDayLimit)},
	{"(F): three a week", exempt, func(f *gate.Facts) { f.Contacts.TextsWeek = 3 }, gate.MeansHeld, why(gate.TextWeekLimit)},
	{"(H): STOP ends texts", text, covers(gate.CoversTexts, ""), gate.MeansRefused, why(gate.OptedOutTexts)},
	{"save emergencies", text, func(f *gate.Facts) {
		f.Message.Text = gate.TextEmergency
		covers(gate.CoversTexts, "")(f)
	}, gate.MeansPlain, nil},
	{"STOP ends no mail", newsletter, covers(gate.CoversTexts, ""), gate.MeansPlain, nil},
	{"47 CFR 64.1200(c)(1): nothing at night", text, func(f *gate.Facts) { f.Now = noon.Add(10 * time.Hour) }, gate.MeansHeld, why(gate.QuietHours)},
	{"what cannot wait does not", text, func(f *gate.Facts) { f.Now, f.Message.Urgent = noon.Add(10*time.Hour), true }, gate.MeansPlain, why(gate.UrgentPasses)},
	{"an offer can always wait", sell, func(f *gate.Facts) { f.Now, f.Message.Urgent = noon.Add(10*time.Hour), true }, gate.MeansHeld, why(gate.QuietHours)},
	{"a zone that is not known waits for Hawaii", text, func(f *gate.Facts) { f.Recipient.Zones = nil }, gate.MeansHeld, why(gate.QuietHours)},
	{"Florida stops at eight", sell, func(f *gate.Facts) {
		f.Recipient.State, f.Now = "FL", noon.Add(8*time.Hour+30*time.Minute)
		f.Policy.OtherHours = law.AlwaysOpen()
	}, gate.MeansHeld, why(gate.QuietHours)},
	{"Fla. Stat. 501.616(6): three a day on one subject", sell, func(f *gate.Facts) { f.Recipient.State, f.Contacts.SolicitationsDay = "FL", 3 }, gate.MeansHeld, why(gate.SolicitationLimit)},
	{"New York has no such number", sell, func(f *gate.Facts) { f.Contacts.SolicitationsDay = 3 }, gate.MeansPlain, nil},
	{"45 CFR 164.312(e): a text with health information is picked up", text, func(f *gate.Facts) { f.Message.PHI = true }, gate.MeansPickup, why(gate.TextNotPrivate, gate.UsesPickup)},
	{"42 CFR 2: and never holds substance use treatment", text, func(f *gate.Facts) {
		f.Message.Sensitive = []gate.Sensitive{gate.SensitivePart2}
		request := asked()
		request.Channel, request.Sensitive = people.ChannelPhone, true
		f.PlainRequests = []gate.PlainRequest{request}
	}, gate.MeansPickup, why(gate.Part2Protected, gate.TextNotPrivate, gate.PlainYields, gate.UsesPickup)},
}

func restrict(r gate.Restriction) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		r.ID = record
		f.Restrictions = append(f.Restrictions, r)
	}
}

func confide(c gate.Confidential) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		c.ID = record
		f.Confidential = append(f.Confidential, c)
	}
}

func holds(classes ...gate.Sensitive) func(f *gate.Facts) {
	return func(f *gate.Facts) { f.Message.Sensitive = append(f.Message.Sensitive, classes...) }
}

var rightsCases = []decideCase{
	{"45 CFR 164.522(a)(1)(iii): an agreed restriction of a use binds", newsletter, restrict(gate.Restriction{Purpose: ledger.PurposeOperations}), gate.MeansRefused, why(gate.RestrictedUse)},
	{"and of no other use", care, restrict(gate.Restriction{Purpose: ledger.PurposeOperations}), gate.MeansTLS, nil},
	{"a restriction of a topic binds the topic", newsletter, restrict(gate.Restriction{Topic: "news"}), gate.MeansRefused, why(gate.RestrictedUse)},
	{"a restriction of everything binds everything", care, restrict(gate.Restriction{}), gate.MeansRefused, why(gate.RestrictedUse)},
	{"but no notice: it uses no health information", notice, restrict(gate.Restriction{}), gate.MeansPlain, nil},
	{"a plan that is not told is no matter of mail to the person", care, restrict(gate.Restriction{Payer: true}), gate.MeansTLS, nil},
	{"a proxy who is not told is not written to", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy.Recorded = gate.HolderProxy, true
		restrict(gate.Restriction{Proxy: true})(f)
	}, gate.MeansRefused, why(gate.RestrictedProxy)},
	{"the person still is", care, restrict(gate.Restriction{Proxy: true}), gate.MeansTLS, nil},
	{"45 CFR 164.522(b): post only is held", care, confide(gate.Confidential{PostOnly: true}), gate.MeansHeld, why(gate.ConfidentialPost)},
	{"and so is the notice", notice, confide(gate.Confidential{PostOnly: true}), gate.MeansHeld, why(gate.ConfidentialPost)},
	{"another channel", care, confide(gate.Confidential{Channel: people.ChannelPhone}), gate.MeansHeld, why(gate.ConfidentialChannel)},
	{"another address", care, confide(gate.Confidential{Contact: work}), gate.MeansHeld, why(gate.ConfidentialAddress)},
	{"this address", care, confide(gate.Confidential{Channel: people.ChannelEmail, Contact: home}), gate.MeansTLS, why(gate.ConfidentialHonoured)},
	{"pickup only", care, confide(gate.Confidential{Means: gate.MeansPickup}), gate.MeansPickup, why(gate.ConfidentialMeans, gate.UsesPickup)},
	{"PGP only, and no key: it waits", care, confide(gate.Confidential{Means: gate.MeansPGP}), gate.MeansHeld, why(gate.ConfidentialMeans, gate.DemandImpossible)},
	{"45 CFR 164.508(a)(2): psychotherapy notes never go", care, holds(gate.SensitivePsychotherapy), gate.MeansRefused, why(gate.PsychotherapyNotes)},
	{"42 CFR 2.31(b): nor do counselling notes", care, holds(gate.SensitiveCounselling), gate.MeansRefused, why(gate.CounsellingNotes)},
	{"a minor's own care is not told to a parent", care, func(f *gate.Facts) {
		f.Recipient.Age, f.Recipient.Holder, f.Recipient.Proxy.Recorded = 15, gate.HolderProxy, true
		holds(gate.SensitiveMinorConsent)(f)
	}, gate.MeansRefused, why(gate.MinorsOwnCare)},
	{"42 CFR 2.23: the patient is told without consent, by pickup", care, holds(gate.SensitivePart2), gate.MeansPickup, why(gate.Part2Protected, gate.UsesPickup)},
	{"42 CFR 2.31: a proxy is not", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy.Recorded = gate.HolderProxy, true
		holds(gate.SensitivePart2)(f)
	}, gate.MeansRefused, why(gate.Part2NoConsent)},
	{"42 CFR 2.32: with consent the notice goes along", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy.Recorded = gate.HolderProxy, true
		f.Part2Consents = []gate.Part2Consent{{ID: consent, Holder: gate.HolderProxy}}
		holds(gate.SensitivePart2)(f)
	}, gate.MeansHeld, why(gate.Part2Consented, gate.Part2NoNotice)},
	{"42 CFR 2.33: and then it goes", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy.Recorded, f.Message.Elements.Part2Notice = gate.HolderProxy, true, true
		f.Part2Consents = []gate.Part2Consent{{ID: consent, Holder: gate.HolderProxy, Expires: law.Day(noon)}}
		holds(gate.SensitivePart2)(f)
	}, gate.MeansPickup, why(gate.Part2Consented, gate.Part2Protected)},
	{"a consent that ended yesterday is none", care, func(f *gate.Facts) {
		f.Recipient.Holder, f.Recipient.Proxy.Recorded, f.Message.Elements.Part2Notice = gate.HolderProxy, true, true
		f.Part2Consents = []gate.Part2Consent{{ID: consent, Holder: gate.HolderProxy, Expires: law.Day(noon) - 1}}
		holds(gate.SensitivePart2)(f)
	}, gate.MeansRefused, why(gate.Part2NoConsent)},
	{"a sensitive class is picked up", care, holds(gate.SensitiveHIV), gate.MeansPickup, why(gate.SensitiveProtected, gate.UsesPickup)},
	{"unless the organisation lets proven TLS carry it", care, func(f *gate.Facts) {
		f.Policy.SensitiveTLS = true
		holds(gate.SensitiveMental)(f)
	}, gate.MeansTLS, why(gate.SensitiveAccepted, gate.TLSByMTASTS)},
	{"but never substance use treatment", care, func(f *gate.Facts) {
		f.Policy.SensitiveTLS = true
		holds(gate.SensitivePart2)(f)
	}, gate.MeansPickup, why(gate.Part2Protected)},
	{"a sensitive class is health information whatever is declared", newsletter, holds(gate.SensitiveGenetic), gate.MeansPickup, why(gate.SensitiveProtected)},
	{"45 CFR 164.308(b): no carrier without an agreement", care, func(f *gate.Facts) { f.Carrier = gate.Carrier{Needed: true} }, gate.MeansHeld, why(gate.CarrierUncovered)},
	{"with one it carries", care, func(f *gate.Facts) { f.Carrier = gate.Carrier{Needed: true, Covered: true, Agreement: paper} }, gate.MeansTLS, why(gate.CarrierCovered)},
	{"what holds no health information needs none", newsletter, func(f *gate.Facts) { f.Carrier = gate.Carrier{Needed: true} }, gate.MeansPlain, nil},
	{"45 CFR 164.502(e): sealed mail needs one too", care, func(f *gate.Facts) {
		f.Carrier, f.Keys.PGP = gate.Carrier{Needed: true}, pgpKey()
	}, gate.MeansHeld, why(gate.CarrierUncovered)},
	{"42 CFR 422.2261: a text that needs approval has it", newsletter, func(f *gate.Facts) { f.Message.Material.Required = true }, gate.MeansHeld, why(gate.MaterialUnapproved)},
	{"21 CFR 202.1: and is the one that was approved", newsletter, func(f *gate.Facts) {
		f.Message.Material = gate.Material{Required: true, Approved: true, Changed: true}
	}, gate.MeansHeld, why(gate.MaterialChanged)},
	{"and in its time", newsletter, func(f *gate.Facts) {
		f.Message.Material = gate.Material{Required: true, Approved: true, To: noon}
	}, gate.MeansHeld, why(gate.MaterialOutside)},
	{"not before it", newsletter, func(f *gate.Facts) {
		f.Message.Material = gate.Material{Required: true, Approved: true, From: noon.Add(time.Second)}
	}, gate.MeansHeld, why(gate.MaterialOutside)},
	{"45 CFR 92.201(c)(3): a machine translation is checked", care, func(f *gate.Facts) { f.Message.Material.Translated = true }, gate.MeansHeld, why(gate.TranslationUnchecked)},
	{"mail hours of the organisation bind bulk mail", newsletter, func(f *gate.Facts) {
		f.Policy.MailHours, _ = law.ParseWeek("mon-fri 14:00-18:00")
	}, gate.MeansHeld, why(gate.QuietHours)},
	{"and no single message", care, func(f *gate.Facts) {
		f.Policy.MailHours, _ = law.ParseWeek("mon-fri 14:00-18:00")
	}, gate.MeansTLS, nil},
	{"the organisation's cap binds bulk mail", newsletter, func(f *gate.Facts) { f.Policy.BulkPerWeek, f.Contacts.BulkWeek = 2, 2 }, gate.MeansHeld, why(gate.BulkLimit)},
}

func found(effect gate.Effect) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		f.Message.Findings = append(f.Message.Findings, gate.Finding{Code: "finding-1", Effect: effect})
	}
}

func before(m gate.Means, demanded bool) func(f *gate.Facts) {
	return func(f *gate.Facts) { f.Previous = &gate.Decision{Means: m, Demanded: demanded} }
}

var protectionCases = []decideCase{
	{"the sender may demand pickup", care, func(f *gate.Facts) { f.Message.Demand = gate.MeansPickup }, gate.MeansPickup, why(gate.DemandHonoured, gate.UsesPickup)},
	{"also for news", newsletter, func(f *gate.Facts) { f.Message.Demand = gate.MeansPickup }, gate.MeansPickup, why(gate.DemandHonoured, gate.UsesPickup)},
	{"a demand that cannot be met waits", care, func(f *gate.Facts) { f.Message.Demand = gate.MeansSMIME }, gate.MeansHeld, why(gate.DemandHonoured, gate.DemandImpossible)},
	{"TLS demanded where none is proven waits", care, func(f *gate.Facts) { f.Message.Demand, f.TLS = gate.MeansTLS, gate.TLS{State: gate.TLSNone} }, gate.MeansHeld, why(gate.TLSNotOffered, gate.DemandImpossible)},
	{"a note of the lint changes nothing", care, found(gate.EffectNone), gate.MeansTLS, why(gate.LintNoted)},
	{"content that looks like health information is protected", newsletter, found(gate.EffectProtect), gate.MeansTLS, why(gate.LintPHI, gate.TLSByMTASTS)},
	{"and asks for the carrier's agreement after all", newsletter, func(f *gate.Facts) {
		f.Carrier.Needed = true
		found(gate.EffectProtect)(f)
	}, gate.MeansHeld, why(gate.LintPHI, gate.CarrierUncovered)},
	{"a text that looks like it is picked up", text, found(gate.EffectProtect), gate.MeansPickup, why(gate.LintPHI, gate.TextNotPrivate, gate.UsesPickup)},
	{"a notice that looks like it waits", notice, found(gate.EffectProtect), gate.MeansHeld, why(gate.LintPHI, gate.ServiceWithPHI)},
	{"content too telling for a mailbox is picked up", care, found(gate.EffectStrong), gate.MeansPickup, why(gate.LintStrong, gate.UsesPickup)},
	{"unless the sender demanded TLS and so knew", care, func(f *gate.Facts) {
		f.Message.Demand = gate.MeansTLS
		found(gate.EffectStrong)(f)
	}, gate.MeansTLS, why(gate.DemandHonoured, gate.LintOverruled, gate.TLSByMTASTS)},
	{"a mistake in the content waits", newsletter, found(gate.EffectHold), gate.MeansHeld, why(gate.LintHold)},
	{"45 CFR 164.524(c)(2): plain mail for whoever asked after a warning", care, func(f *gate.Facts) { f.PlainRequests = []gate.PlainRequest{asked()} }, gate.MeansPlainRequested, why(gate.PlainAsked)},
	{"78 FR 5634: not without the warning", care, plain(func(p *gate.PlainRequest) { p.Warned = false }), gate.MeansTLS, why(gate.PlainUnwarned)},
	{"not after it was withdrawn", care, plain(func(p *gate.PlainRequest) { p.Revoked = true }), gate.MeansTLS, why(gate.PlainRevoked)},
	{"not to another address", care, plain(func(p *gate.PlainRequest) { p.Contact = work }), gate.MeansTLS, why(gate.PlainOutside)},
	{"not by another channel", care, plain(func(p *gate.PlainRequest) { p.Channel = people.ChannelPhone }), gate.MeansTLS, why(gate.PlainOutside)},
	{"not for another purpose", care, plain(func(p *gate.PlainRequest) { p.Purposes = []ledger.Purpose{ledger.PurposePayment} }), gate.MeansTLS, why(gate.PlainOutside)},
	{"not when the organisation does not honour it", care, func(f *gate.Facts) {
		f.Policy.PlainRequestsOff, f.PlainRequests = true, []gate.PlainRequest{asked()}
	}, gate.MeansTLS, why(gate.PlainOff)},
	{"a sensitive class only when the warning spoke of it", care, func(f *gate.Facts) {
		f.Policy.SensitiveTLS, f.PlainRequests = true, []gate.PlainRequest{asked()}
		holds(gate.SensitiveMental)(f)
	}, gate.MeansTLS, why(gate.PlainOutside, gate.TLSByMTASTS)},
	{"a household's plain request yields", care, func(f *gate.Facts) { f.Recipient.Shared, f.PlainRequests = true, []gate.PlainRequest{asked()} }, gate.MeansPickup, why(gate.AddressShared, gate.PlainYields, gate.UsesPickup)},
	{"a PGP key is used", care, func(f *gate.Facts) { f.Keys.PGP = pgpKey() }, gate.MeansPGP, why(gate.UsesPGP)},
	{"an S/MIME certificate is used", care, func(f *gate.Facts) { f.Keys.SMIME = pgpKey() }, gate.MeansSMIME, why(gate.UsesSMIME)},
	{"an untrusted key is not", care, func(f *gate.Facts) { f.Keys.PGP = gate.Key{Available: true} }, gate.MeansTLS, why(gate.KeyUntrusted, gate.TLSByMTASTS)},
	{"an expired one neither", care, func(f *gate.Facts) { f.Keys.SMIME = gate.Key{Available: true, Trusted: true, Expired: true} }, gate.MeansTLS, why(gate.KeyExpired)},
	{"RFC 7672: DANE proves the server", care, func(f *gate.Facts) { f.TLS.Proof = gate.ProofDANE }, gate.MeansTLS, why(gate.TLSByDANE)},
	{"a route with its own CA proves it", care, func(f *gate.Facts) { f.TLS.Proof = gate.ProofRoute }, gate.MeansTLS, why(gate.TLSByRoute)},
	{"a certificate alone proves nothing by itself", care, func(f *gate.Facts) { f.TLS.Proof = gate.ProofPKIX }, gate.MeansPickup, why(gate.TLSNotAccepted, gate.UsesPickup)},
	{"45 CFR 164.306(b): unless the organisation accepts it", care, func(f *gate.Facts) { f.TLS.Proof, f.Policy.AcceptPKIX = gate.ProofPKIX, true }, gate.MeansTLS, why(gate.TLSByPKIX)},
	{"no STARTTLS, so pickup", care, func(f *gate.Facts) { f.TLS = gate.TLS{State: gate.TLSNone} }, gate.MeansPickup, why(gate.TLSNotOffered, gate.UsesPickup)},
	{"a proof without a name is none", care, func(f *gate.Facts) { f.TLS.Proof = gate.ProofNone }, gate.MeansPickup, why(gate.TLSNotOffered, gate.UsesPickup)},
	{"nothing known, so pickup", care, func(f *gate.Facts) { f.TLS = gate.TLS{} }, gate.MeansPickup, why(gate.TLSNotKnown, gate.UsesPickup)},
	{"RFC 8461 5: a domain that breaks its own policy gets nothing", care, func(f *gate.Facts) { f.TLS.State = gate.TLSBroken }, gate.MeansHeld, why(gate.TLSPolicyBroken)},
	{"no notice either", notice, func(f *gate.Facts) { f.TLS.State = gate.TLSBroken }, gate.MeansHeld, why(gate.TLSPolicyBroken)},
	{"no plain mail either", care, func(f *gate.Facts) {
		f.TLS.State, f.PlainRequests = gate.TLSBroken, []gate.PlainRequest{asked()}
	}, gate.MeansHeld, why(gate.PlainAsked, gate.TLSPolicyBroken)},
	{"without pickup what is not proven waits", care, func(f *gate.Facts) { f.Policy.Pickup, f.TLS.State = false, gate.TLSNone }, gate.MeansHeld, why(gate.TLSNotOffered, gate.PickupOff, gate.NoWayLeft)},
	{"TLS that was not met becomes pickup", care, func(f *gate.Facts) {
		f.TLS.State = gate.TLSFailed
		before(gate.MeansTLS, false)(f)
	}, gate.MeansPickup, why(gate.NeverWeaker, gate.TLSNotMet, gate.UsesPickup)},
	{"or waits when it was demanded", care, func(f *gate.Facts) {
		f.TLS.State = gate.TLSFailed
		before(gate.MeansTLS, true)(f)
	}, gate.MeansHeld, why(gate.NeverWeaker, gate.TLSNotMet, gate.DemandImpossible)},
	{"a broken key becomes pickup, not TLS", care, before(gate.MeansPGP, false), gate.MeansPickup, why(gate.NeverWeaker, gate.UsesPickup)},
	{"or waits where there is no pickup", care, func(f *gate.Facts) {
		f.Policy.Pickup = false
		before(gate.MeansPGP, false)(f)
	}, gate.MeansHeld, why(gate.NeverWeaker, gate.PickupOff, gate.NoWayLeft)},
	{"TLS that failed does not become plain by a request that came later", care, func(f *gate.Facts) {
		f.TLS.State, f.PlainRequests = gate.TLSFailed, []gate.PlainRequest{asked()}
		before(gate.MeansTLS, false)(f)
	}, gate.MeansPickup, why(gate.NeverWeaker, gate.PlainYields, gate.UsesPickup)},
	{"a hold that was settled is decided afresh", care, before(gate.MeansHeld, false), gate.MeansTLS, nil},
	{"what receivers refuse for the organisation's sake waits", care, ended(gate.CarriageRefuses), gate.MeansHeld, why(gate.CarriedRefused)},
	{"a proof that was missing twice waits", care, ended(gate.CarriageProof), gate.MeansHeld, why(gate.CarriedUnproven)},
	{"what could not be made ready waits", newsletter, ended(gate.CarriageUnready), gate.MeansHeld, why(gate.CarriedUnready)},
	{"what never left in its time was not sent by any means", newsletter, ended(gate.CarriageTime), gate.MeansHeld, why(gate.CarriedLate)},
	{"nor what had no receiver", care, ended(gate.CarriageNowhere), gate.MeansHeld, why(gate.CarriedNowhere)},
	{"nor what a restored database does not know of", newsletter, ended(gate.CarriageDoubt), gate.MeansHeld, why(gate.CarriedDoubtful)},
}

func ended(how gate.Carriage) func(f *gate.Facts) { return func(f *gate.Facts) { f.Carriage = how } }

func plain(change func(p *gate.PlainRequest)) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		p := asked()
		change(&p)
		f.PlainRequests = []gate.PlainRequest{p}
	}
}
