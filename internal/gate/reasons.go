package gate

// The reasons. What each says and cites stands in reasonTable.
const (
	RecipientUnclear       Code = "recipient_undeclared"
	StaffServiceOnly       Code = "staff_service_only"
	CorrespondentCareOnly  Code = "correspondent_care_only"
	DeceasedPerson         Code = "deceased"
	DeceasedRepresentative Code = "deceased_representative"
	MinorAlone             Code = "minor_without_proxy"
	ProxyUnproven          Code = "proxy_unproven"
	ProxyEnded             Code = "proxy_ended"
	AddressMissing         Code = "address_missing"
	AddressMissingBulk     Code = "address_missing_unneeded"
	AddressDoubtful        Code = "address_unproven"
	AddressShared          Code = "address_shared"

	PurposeMissing      Code = "purpose_undeclared"
	ClassMissing        Code = "class_undeclared"
	TextClassMissing    Code = "text_class_undeclared"
	PayerMissing        Code = "payer_undeclared"
	ServiceWithPHI      Code = "service_with_phi"
	ServiceNotFixed     Code = "service_not_fixed"
	NoChannel           Code = "channel_by_hand"
	PHIByPurpose        Code = "phi_by_purpose"
	PHIBySelection      Code = "phi_by_selection"
	PHIByPolicy         Code = "phi_by_policy"
	PHIDeclared         Code = "phi_declared"
	InKindOnly          Code = "in_kind_only"
	PaidByThirdParty    Code = "paid_by_third_party"
	MarketingNeedsIt    Code = "marketing_needs_authorization"
	PersonalNotByMail   Code = "personal_not_by_mail"
	RefillAllowed       Code = "refill_allowed"
	RefillUnknown       Code = "refill_drug_unknown"
	RefillLapsed        Code = "refill_lapsed"
	RefillNoWorksheet   Code = "refill_no_worksheet"
	RefillAboveCost     Code = "refill_above_cost"
	FundraisingFields   Code = "fundraising_fields"
	FundraisingNoNotice Code = "fundraising_no_notice"
	FundraisingNoOptOut Code = "fundraising_no_opt_out"
	OfferToBeneficiary  Code = "offer_to_federal_beneficiary"
	CommercialNoOptOut  Code = "commercial_no_opt_out"
	CommercialNoAddress Code = "commercial_no_address"
	CommercialNoLabel   Code = "commercial_no_label"
	ProspectNoConsent   Code = "prospect_no_consent"

	AuthorizationValid      Code = "authorization_valid"
	AuthorizationMissing    Code = "authorization_missing"
	AuthorizationIncomplete Code = "authorization_incomplete"
	AuthorizationUnsigned   Code = "authorization_unsigned"
	AuthorizationExpired    Code = "authorization_expired"
	AuthorizationRevoked    Code = "authorization_revoked"
	AuthorizationPurpose    Code = "authorization_other_purpose"
	AuthorizationPayer      Code = "authorization_other_payer"
	AuthorizationSilent     Code = "authorization_no_remuneration"

	AddressSuppressed   Code = "address_suppressed"
	OptedOutAll         Code = "opted_out_all"
	OptedOutCommercial  Code = "opted_out_commercial"
	OptedOutFundraising Code = "opted_out_fundraising"
	OptedOutTopic       Code = "opted_out_topic"
	OptedOutTexts       Code = "opted_out_texts"
	SafetyPasses        Code = "safety_passes_opt_out"
	OptInMissing        Code = "opt_in_missing"
	OptInFound          Code = "opt_in_found"
	TextConsentMissing  Code = "text_consent_missing"
	TextWrittenMissing  Code = "text_written_consent_missing"
	ExemptNotFree       Code = "text_exempt_not_free"
	ExemptTooLong       Code = "text_exempt_too_long"
	ExemptBilling       Code = "text_exempt_billing"
	TextNoStop          Code = "text_no_stop"

	RestrictedUse   Code = "restricted_use"
	RestrictedProxy Code = "restricted_proxy"

	ConfidentialPost     Code = "confidential_post_only"
	ConfidentialChannel  Code = "confidential_other_channel"
	ConfidentialAddress  Code = "confidential_other_address"
	ConfidentialMeans    Code = "confidential_means"
	ConfidentialHonoured Code = "confidential_honoured"

	PsychotherapyNotes Code = "psychotherapy_notes"
	CounsellingNotes   Code = "counselling_notes"
	MinorsOwnCare      Code = "minors_own_care"
	Part2NoConsent     Code = "part2_no_consent"
	Part2NoNotice      Code = "part2_no_notice"
	Part2Consented     Code = "part2_consented"
	Part2Protected     Code = "part2_protected"
	SensitiveProtected Code = "sensitive_protected"
	SensitiveAccepted  Code = "sensitive_tls_accepted"
	TextNotPrivate     Code = "text_not_private"

	CarrierUncovered Code = "carrier_without_agreement"
	CarrierCovered   Code = "carrier_covered"

	MaterialUnapproved   Code = "material_not_approved"
	MaterialChanged      Code = "material_changed"
	MaterialOutside      Code = "material_outside_window"
	TranslationUnchecked Code = "translation_unchecked"

	QuietHours        Code = "quiet_hours"
	UrgentPasses      Code = "urgent_passes_hours"
	TextDayLimit      Code = "text_day_limit"
	TextWeekLimit     Code = "text_week_limit"
	SolicitationLimit Code = "solicitation_limit"
	BulkLimit         Code = "bulk_limit"

	DemandHonoured   Code = "demand_honoured"
	DemandImpossible Code = "demand_impossible"

	LintNoted     Code = "lint_noted"
	LintPHI       Code = "lint_phi"
	LintStrong    Code = "lint_too_telling"
	LintOverruled Code = "lint_overruled"
	LintHold      Code = "lint_hold"

	NeverWeaker Code = "never_weaker"

	PlainAsked       Code = "plain_requested"
	PlainUnwarned    Code = "plain_request_unwarned"
	PlainRevoked     Code = "plain_request_revoked"
	PlainOutside     Code = "plain_request_outside"
	PlainOff         Code = "plain_request_off"
	PlainYields      Code = "plain_request_yields"
	NothingToProtect Code = "no_phi"

	UsesPGP      Code = "pgp_key"
	UsesSMIME    Code = "smime_certificate"
	KeyUntrusted Code = "key_untrusted"
	KeyExpired   Code = "key_expired"

	TLSByRoute      Code = "tls_route"
	TLSByDANE       Code = "tls_dane"
	TLSByMTASTS     Code = "tls_mta_sts"
	TLSByPKIX       Code = "tls_pkix"
	TLSNotAccepted  Code = "tls_pkix_not_accepted"
	TLSNotOffered   Code = "tls_none"
	TLSNotKnown     Code = "tls_unknown"
	TLSNotMet       Code = "tls_failed"
	TLSPolicyBroken Code = "tls_policy_broken"

	UsesPickup Code = "pickup"
	PickupOff  Code = "pickup_off"
	NoWayLeft  Code = "no_way_left"

	AdAudience         Code = "advertising_audience"
	DestinationUnclear Code = "destination_undeclared"
	ToThePerson        Code = "to_the_person"
	SaleNeedsIt        Code = "sale_needs_authorization"
	OutsideNeedsIt     Code = "outside_needs_authorization"
	RestrictedPayer    Code = "restricted_payer"
	AssociateUncovered Code = "associate_without_agreement"
	AssociateCovered   Code = "associate_covered"
	FieldsDropped      Code = "fields_dropped"
	NothingNeeded      Code = "nothing_needed"

	CarriedRefused  Code = "carriage_refuses_us"
	CarriedUnproven Code = "carriage_proof_missing"
	CarriedUnready  Code = "carriage_not_ready"
	CarriedLate     Code = "carriage_time_over"
	CarriedNowhere  Code = "carriage_no_receiver"
	CarriedDoubtful Code = "carriage_in_doubt"
)

// reasonTable says of each code its stage, its weight, its rule and its text, in the order of the stages.
var reasonTable = []About{
	{RecipientUnclear, StageRecipient, Holds, "Carepost policy", "the kind of recipient was not declared"},
	{StaffServiceOnly, StageRecipient, Refuses, "45 CFR 164.502(b)", "staff and postmasters get service mail only, never a patient's information"},
	{CorrespondentCareOnly, StageRecipient, Refuses, "45 CFR 164.508(a)(3)", "somebody who is no patient of ours gets no marketing and no fundraising"},
	{DeceasedPerson, StageRecipient, Refuses, "45 CFR 164.502(f)", "the person has died"},
	{DeceasedRepresentative, StageRecipient, Notes, "45 CFR 164.502(g)(4)", "the person has died; the personal representative is written to"},
	{MinorAlone, StageRecipient, Holds, "45 CFR 164.502(g)(3)", "the person is a minor and no parent or guardian is written to"},
	{ProxyUnproven, StageRecipient, Holds, "45 CFR 164.502(g), 164.514(h)", "the authority of the proxy is not on file"},
	{ProxyEnded, StageRecipient, Holds, "45 CFR 164.502(g)", "the proxy's authority has ended"},
	{AddressMissing, StageRecipient, Holds, "45 CFR 164.530(c)", "there is no address to write to; care mail needs another way"},
	{AddressMissingBulk, StageRecipient, Refuses, "Carepost policy", "there is no address to write to, and the message is not about care"},
	{AddressDoubtful, StageRecipient, Holds, "45 CFR 164.514(h), 164.530(c)", "mail to the address came back or the address may be somebody else's"},
	{AddressShared, StageRecipient, Limits, "45 CFR 164.530(c)", "other persons use the same address, so only the person may open it"},
	{PurposeMissing, StagePurpose, Holds, "45 CFR 164.502(a)", "the purpose of the message was not declared"},
	{ClassMissing, StagePurpose, Holds, "15 USC 7702(17)", "it was not declared whether the mail is transactional or commercial"},
	{TextClassMissing, StagePurpose, Holds, "47 CFR 64.1200(a)", "the class of the text was not declared"},
	{PayerMissing, StagePurpose, Holds, `45 CFR 164.501 "marketing"`, "it was not declared who pays for the message"},
	{ServiceWithPHI, StagePurpose, Holds, "45 CFR 164.530(c)", "a service message may hold no health information"},
	{ServiceNotFixed, StagePurpose, Holds, "Carepost policy", "a service message must come from a fixed template"},
	{NoChannel, StagePurpose, Holds, "Carepost policy", "this channel has no machine yet: a person sends it"},
	{PHIByPurpose, StagePurpose, Limits, "45 CFR 160.103", "mail about a person's care or bill is health information"},
	{PHIBySelection, StagePurpose, Limits, "45 CFR 160.103, 164.502(b)", "the audience was chosen by health information, so receiving the message tells something"},
	{PHIByPolicy, StagePurpose, Limits, "45 CFR 164.306(a)", "the organisation protects every message to a person"},
	{PHIDeclared, StagePurpose, Limits, "45 CFR 164.312(e)", "the message holds health information"},
	{InKindOnly, StagePurpose, Notes, "78 FR 5566; 45 CFR 164.501", "a third party gives something in kind, which is not financial remuneration"},
	{PaidByThirdParty, StagePurpose, Notes, "45 CFR 164.508(a)(3)(ii)", "a third party pays for the message, so it needs an authorization that says so"},
	{MarketingNeedsIt, StagePurpose, Notes, "45 CFR 164.508(a)(3)(i)", "marketing needs the person's authorization"},
	{PersonalNotByMail, StagePurpose, Refuses, "45 CFR 164.508(a)(3)(i)", "the exceptions for face to face talk and gifts of nominal value are not for mail"},
	{RefillAllowed, StagePurpose, Notes, `45 CFR 164.501 "marketing" (2)(i)`, "a reminder about a current or just lapsed prescription, paid at cost at most"},
	{RefillUnknown, StagePurpose, Holds, "HHS FAQ 1516", "the prescription the reminder speaks of was not found"},
	{RefillLapsed, StagePurpose, Notes, "HHS FAQ 1516", "the prescription lapsed too long ago for a refill reminder, so it needs an authorization"},
	{RefillNoWorksheet, StagePurpose, Holds, `45 CFR 164.501 "marketing" (2)(i)`, "a third party pays and the worksheet of costs is not on file"},
	{RefillAboveCost, StagePurpose, Notes, "HHS FAQ 1514", "the payment exceeds the cost of the reminder, so it needs an authorization"},
	{FundraisingFields, StagePurpose, Holds, "45 CFR 164.514(f)(1)", "fundraising uses more than the permitted information"},
	{FundraisingNoNotice, StagePurpose, Holds, "45 CFR 164.514(f)(2)(i)", "the notice of privacy practices does not announce fundraising"},
	{FundraisingNoOptOut, StagePurpose, Holds, "45 CFR 164.514(f)(2)(ii)", "the fundraising message lacks an opt-out"},
	{OfferToBeneficiary, StagePurpose, Refuses, "42 USC 1320a-7b(b), 1320a-7a(a)(5)", "no offers to persons in a federal health program"},
	{CommercialNoOptOut, StagePurpose, Holds, "15 USC 7704(a)(5)(A)(ii)", "a commercial message needs a working opt-out"},
	{CommercialNoAddress, StagePurpose, Holds, "15 USC 7704(a)(5)(A)(iii)", "a commercial message needs the sender's postal address"},
	{CommercialNoLabel, StagePurpose, Holds, "15 USC 7704(a)(5)(A)(i)", "a commercial message must say that it is an advertisement, save to those who asked for it"},
	{ProspectNoConsent, StagePurpose, Refuses, "RCW 19.373.030 and like laws", "health information of somebody who is no patient was used without consent"},
	{AuthorizationValid, StageAuthorization, Notes, "45 CFR 164.508(a)(3)", "a valid authorization covers the message"},
	{AuthorizationMissing, StageAuthorization, Refuses, "45 CFR 164.508(a)(3)", "there is no authorization"},
	{AuthorizationIncomplete, StageAuthorization, Refuses, "45 CFR 164.508(b)(2)(ii), (c)", "the authorization lacks an element or a statement"},
	{AuthorizationUnsigned, StageAuthorization, Refuses, "45 CFR 164.508(c)(1)(vi)", "the authorization is not signed and dated"},
	{AuthorizationExpired, StageAuthorization, Refuses, "45 CFR 164.508(b)(2)(i)", "the authorization has expired"},
	{AuthorizationRevoked, StageAuthorization, Refuses, "45 CFR 164.508(b)(5)", "the authorization was revoked"},
	{AuthorizationPurpose, StageAuthorization, Refuses, "45 CFR 164.508(c)(1)(iv)", "the authorization is for another purpose"},
	{AuthorizationPayer, StageAuthorization, Refuses, "45 CFR 164.508(c)(1)(iii)", "the authorization names another third party"},
	{AuthorizationSilent, StageAuthorization, Refuses, "45 CFR 164.508(a)(3)(ii)", "the authorization does not state that a third party pays"},
	{AddressSuppressed, StageOptOut, Refuses, "45 CFR 164.530(c)", "the address takes no mail"},
	{OptedOutAll, StageOptOut, Refuses, "Carepost policy", "the person wants no messages"},
	{OptedOutCommercial, StageOptOut, Refuses, "15 USC 7704(a)(4)(A)", "the person opted out of commercial mail"},
	{OptedOutFundraising, StageOptOut, Refuses, "45 CFR 164.514(f)(2)(iv)", "the person opted out of fundraising"},
	{OptedOutTopic, StageOptOut, Refuses, "Carepost policy", "the person opted out of this topic"},
	{OptedOutTexts, StageOptOut, Refuses, "47 CFR 64.1200(a)(10), (a)(9)(iv)(H)", "the person stopped texts"},
	{SafetyPasses, StageOptOut, Notes, "21 CFR 7.49", "a safety notice passes opt-outs of topics and of commercial mail"},
	{OptInMissing, StageOptOut, Refuses, "Carepost policy", "the topic goes to those only who asked for it"},
	{OptInFound, StageOptOut, Notes, "15 USC 7704(a)(5)(B)", "the person asked for it"},
	{TextConsentMissing, StageOptOut, Refuses, "47 CFR 64.1200(a)(1)", "there is no consent to texts"},
	{TextWrittenMissing, StageOptOut, Refuses, "47 CFR 64.1200(a)(2), (f)(9)", "there is no written consent to marketing texts"},
	{ExemptNotFree, StageOptOut, Holds, "47 CFR 64.1200(a)(9)", "the exemption for health texts asks for a number that is free to the person"},
	{ExemptTooLong, StageOptOut, Holds, "47 CFR 64.1200(a)(9)(iv)(E)", "an exempt health text is too long"},
	{ExemptBilling, StageOptOut, Holds, "47 CFR 64.1200(a)(9)(iv)(D)", "an exempt health text may not speak of bills"},
	{TextNoStop, StageOptOut, Holds, "47 CFR 64.1200(a)(9)(iv)(G)", "the text does not say how to stop"},
	{RestrictedUse, StageRestriction, Refuses, "45 CFR 164.522(a)(1)(iii)", "a restriction that was agreed to ends this use"},
	{RestrictedProxy, StageRestriction, Refuses, "45 CFR 164.522(a)(1)", "the person asked not to tell this proxy"},
	{ConfidentialPost, StageConfidential, Holds, "45 CFR 164.522(b)", "the person asked for post only"},
	{ConfidentialChannel, StageConfidential, Holds, "45 CFR 164.522(b)", "the person asked for another channel"},
	{ConfidentialAddress, StageConfidential, Holds, "45 CFR 164.522(b)", "the person asked for another address"},
	{ConfidentialMeans, StageConfidential, Limits, "45 CFR 164.522(b)", "the person asked for this protection"},
	{ConfidentialHonoured, StageConfidential, Notes, "45 CFR 164.522(b)", "the message goes the way the person asked for"},
	{PsychotherapyNotes, StageSensitive, Refuses, "45 CFR 164.508(a)(2)", "psychotherapy notes never go into messages"},
	{CounsellingNotes, StageSensitive, Refuses, "42 CFR 2.31(b)", "substance use counselling notes never go into messages"},
	{MinorsOwnCare, StageSensitive, Refuses, "45 CFR 164.502(g)(3)", "care that the minor consented to alone is not told to a proxy"},
	{Part2NoConsent, StageSensitive, Refuses, "42 CFR 2.31, 2.33", "no consent to tell somebody else of substance use treatment"},
	{Part2NoNotice, StageSensitive, Holds, "42 CFR 2.32", "the notice against redisclosure is missing"},
	{Part2Consented, StageSensitive, Notes, "42 CFR 2.33", "a consent covers telling this recipient"},
	{Part2Protected, StageSensitive, Limits, "42 CFR 2.13(a), 2.16", "substance use records go only so that nobody else reads them"},
	{SensitiveProtected, StageSensitive, Limits, "state law on sensitive classes; 45 CFR 164.306(a)", "a sensitive class goes only so that nobody else reads it"},
	{SensitiveAccepted, StageSensitive, Notes, "45 CFR 164.306(b)", "the organisation lets proven TLS carry this sensitive class"},
	{TextNotPrivate, StageSensitive, Limits, "45 CFR 164.312(e)", "a text message can be kept private only by pickup"},
	{CarrierUncovered, StageAgreement, Holds, "45 CFR 164.502(e), 164.308(b)", "no agreement in force covers the service that carries the message"},
	{CarrierCovered, StageAgreement, Notes, "45 CFR 164.502(e), 164.308(b)", "an agreement covers the service that carries the message"},
	{MaterialUnapproved, StageMaterial, Holds, "42 CFR 422.2261, 438.104; Carepost policy", "the text is not approved"},
	{MaterialChanged, StageMaterial, Holds, "21 CFR 202.1; Carepost policy", "the text was changed after its approval"},
	{MaterialOutside, StageMaterial, Holds, "42 CFR 422.2263; Carepost policy", "the approval of the text does not cover today"},
	{TranslationUnchecked, StageMaterial, Holds, "45 CFR 92.201(c)(3)", "a machine translation was not checked by a qualified person"},
	{QuietHours, StageLimits, Holds, "47 CFR 64.1200(c)(1) and state law", "it is outside the hours in which the person may be contacted"},
	{UrgentPasses, StageLimits, Notes, "47 CFR 64.1200(a)(1)", "the message cannot wait for morning"},
	{TextDayLimit, StageLimits, Holds, "47 CFR 64.1200(a)(9)(iv)(F)", "the exempt health texts of the day are used up"},
	{TextWeekLimit, StageLimits, Holds, "47 CFR 64.1200(a)(9)(iv)(F)", "the exempt health texts of the week are used up"},
	{SolicitationLimit, StageLimits, Holds, "Fla. Stat. 501.616(6) and like laws", "the person was solicited often enough in 24 hours"},
	{BulkLimit, StageLimits, Holds, "Carepost policy", "the person had as many bulk messages this week as the organisation allows"},
	{DemandHonoured, StageDemand, Limits, "Carepost policy", "the sender demands this protection"},
	{DemandImpossible, StageDemand, Holds, "Carepost policy", "the protection that was demanded cannot be had for this recipient"},
	{LintNoted, StageLint, Notes, "Carepost policy", "the content lint left a note for the author"},
	{LintPHI, StageLint, Limits, "45 CFR 160.103", "the content looks like health information"},
	{LintStrong, StageLint, Limits, "45 CFR 164.306(a)", "the content is too telling for a mailbox"},
	{LintOverruled, StageLint, Notes, "Carepost policy", "the sender demanded a protection that outranks the content lint"},
	{LintHold, StageLint, Holds, "Carepost policy", "the content lint found a mistake"},
	{NeverWeaker, StageBefore, Limits, "Carepost policy", "a message once decided never goes by a weaker way, nor by another than was demanded"},
	{PlainAsked, StagePlainRequest, Chooses, "45 CFR 164.524(c)(2), 164.522(b)", "the person asked for plain mail after a warning"},
	{PlainUnwarned, StagePlainRequest, Notes, "78 FR 5634", "the person asked for plain mail but no warning is on file"},
	{PlainRevoked, StagePlainRequest, Notes, "78 FR 5634", "the request for plain mail was withdrawn"},
	{PlainOutside, StagePlainRequest, Notes, "78 FR 5634", "the request for plain mail does not cover this address, purpose or class"},
	{PlainOff, StagePlainRequest, Notes, "Carepost policy", "the organisation does not honour requests for plain mail"},
	{PlainYields, StagePlainRequest, Notes, "Carepost policy", "the request for plain mail yields to what stands above it"},
	{NothingToProtect, StagePlainRequest, Chooses, "45 CFR 160.103", "the message holds no health information"},
	{UsesPGP, StageKeys, Chooses, "RFC 9580; 45 CFR 164.312(e)(2)(ii)", "the person has a PGP key"},
	{UsesSMIME, StageKeys, Chooses, "RFC 8551; 45 CFR 164.312(e)(2)(ii)", "the person has an S/MIME certificate"},
	{KeyUntrusted, StageKeys, Notes, "45 CFR 164.312(d)", "the person's key is not trusted"},
	{KeyExpired, StageKeys, Notes, "RFC 9580; RFC 5280", "the person's key has expired"},
	{TLSByRoute, StageTLS, Chooses, "45 CFR 164.312(e)(1)", "the configured route proves the receiving server"},
	{TLSByDANE, StageTLS, Chooses, "RFC 7672", "DANE proves the receiving server"},
	{TLSByMTASTS, StageTLS, Chooses, "RFC 8461", "MTA-STS proves the receiving server"},
	{TLSByPKIX, StageTLS, Chooses, "45 CFR 164.306(b)", "the certificate must verify for the server's name, which the organisation accepts"},
	{TLSNotAccepted, StageTLS, Notes, "45 CFR 164.306(b)", "a certificate alone is no proof for this organisation"},
	{TLSNotOffered, StageTLS, Notes, "45 CFR 164.312(e)(1)", "the receiving server can prove nothing"},
	{TLSNotKnown, StageTLS, Notes, "RFC 8461 5.1", "what the receiving server can prove is not known yet"},
	{TLSNotMet, StageTLS, Notes, "45 CFR 164.312(e)(1)", "the receiving server did not prove what was demanded"},
	{TLSPolicyBroken, StageTLS, Holds, "RFC 8461 5; RFC 7672 2.2", "the domain fails the policy that it enforces itself, so nothing goes there"},
	{UsesPickup, StagePickup, Chooses, "45 CFR 164.312(e)(1)", "the message is kept here and a notice without health information goes out"},
	{PickupOff, StagePickup, Notes, "Carepost policy", "the organisation does not use pickup"},
	{NoWayLeft, StagePickup, Holds, "45 CFR 164.312(e)(1)", "no protection that is allowed can be had"},
	{AdAudience, StageDestination, Refuses, "45 CFR 164.508(a)(3), 164.502(a)(5)(ii)", "health information never goes into an advertising audience"},
	{DestinationUnclear, StageDestination, Refuses, "45 CFR 164.502(a)", "what the receiver is to the organisation was not declared"},
	{ToThePerson, StageDestination, Notes, "45 CFR 164.502(a)(1)(i), 164.524", "the person receives it"},
	{SaleNeedsIt, StageDestination, Notes, "45 CFR 164.502(a)(5)(ii), 164.508(a)(4)", "the organisation is paid for it, so it needs an authorization that says so"},
	{OutsideNeedsIt, StageDestination, Notes, "45 CFR 164.508(a)(1)", "no other permission covers this receiver, so it needs an authorization"},
	{RestrictedPayer, StageDestination, Refuses, "45 CFR 164.522(a)(1)(vi)", "the person paid in full and the plan is not told"},
	{AssociateUncovered, StageDestination, Refuses, "45 CFR 164.502(e), 164.504(e)", "no agreement in force covers the service that receives it"},
	{AssociateCovered, StageDestination, Notes, "45 CFR 164.502(e), 164.504(e)", "an agreement covers the service that receives it"},
	{FieldsDropped, StageDestination, Notes, "45 CFR 164.502(b), 164.514(d)", "fields that the purpose does not need stay here"},
	{NothingNeeded, StageDestination, Refuses, "45 CFR 164.502(b)", "no field is needed for the purpose"},
	{CarriedRefused, StageCarriage, Holds, "RFC 5321 4.2.1", "receivers refuse the organisation's mail until its reputation, DNS or authentication is mended"},
	{CarriedUnproven, StageCarriage, Holds, "45 CFR 164.312(e)(1)", "it was decided anew for want of a proof, and the new proof was missing as well"},
	{CarriedUnready, StageCarriage, Holds, "Carepost policy", "it could not be made ready to leave"},
	{CarriedLate, StageCarriage, Holds, "RFC 5321 4.5.4.1", "its time was over before it could leave; nothing went"},
	{CarriedNowhere, StageCarriage, Holds, "RFC 5321 5.1; RFC 7505", "its domain takes no mail; nothing went"},
	{CarriedDoubtful, StageCarriage, Holds, "RFC 1047", "the database was restored and does not know whether it left"},
}
