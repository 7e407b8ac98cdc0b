package gate

import (
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Facts is all that Decide looks at: plain values, built by Gather. The zero value of a field is always the careful answer:
// not declared, not known, not allowed. Lists hold what concerns this recipient; the strictest wins.
type Facts struct {
	Now            time.Time
	Law            *law.Table // nil is the embedded one
	Message        Message
	Recipient      Recipient
	Authorizations []Authorization
	Part2Consents  []Part2Consent
	OptOuts        []OptOut
	OptIns         []OptIn
	Restrictions   []Restriction
	Confidential   []Confidential
	PlainRequests  []PlainRequest
	Keys           Keys
	TLS            TLS
	Carrier        Carrier
	Policy         Policy
	Contacts       Contacts
	Carriage       Carriage  // how its queue ended it, when that was not by this decision
	Previous       *Decision // the decision that this one replaces; never weakened
}

// Message is what its sender declares and what its making found out. HIPAA purpose and mail class are two declarations; one is
// never guessed from the other.
type Message struct {
	ID      id.Message
	Channel people.Channel
	Purpose ledger.Purpose
	Payer   Payer
	Class   Class
	Text    TextClass // for texts
	Topic   string    // the topic's name; empty has none
	Bulk    bool      // a campaign or a journey; false is one message by hand or by API
	Fixed   bool      // from a fixed template of the product, as service mail must be
	Urgent  bool      // cannot wait for morning: a changed appointment today, a result that needs action
	Safety  bool      // a recall or a safety notice: passes opt-outs of topic and of commercial mail
	PHI     bool      // the sender says that it holds health information
	// SelectedByHealth: the audience rule asked for health information, so that receiving the message tells something.
	SelectedByHealth bool
	Sensitive        []Sensitive
	Personal         bool // face to face or a gift of nominal value is claimed as its ground: 45 CFR 164.508(a)(3)(i)
	Offer            bool // a discount, coupon or copay help on something Medicare or Medicaid pays for
	NeedsOptIn       bool // its topic goes to those only who asked for it
	Refill           Refill
	Fundraising      Fundraising
	Elements         Elements
	Material         Material
	Demand           Means // what the sender demands: tls, pickup, pgp, smime; empty leaves it to the gate
	Findings         []Finding
}

// Carriage is why a message's queue ended it before it left, or before anybody knew that it had. A message about to leave has none.
type Carriage string

// The words of carriage. A word that is not among them holds as CarriageUnready does.
const (
	CarriageNone    Carriage = ""
	CarriageRefuses Carriage = "refuses" // receivers refuse it for something of the organisation's
	CarriageProof   Carriage = "proof"   // decided anew for want of a proof, and the new proof was missing as well
	CarriageUnready Carriage = "unready" // it could not be made ready
	CarriageTime    Carriage = "time"    // its time was over
	CarriageNowhere Carriage = "nowhere" // its domain takes no mail
	CarriageDoubt   Carriage = "doubt"   // a restored database does not know whether it left
)

// Class is the CAN-SPAM class of a mail: 15 USC 7702(2), (17).
type Class = organisation.Class

// The classes.
const (
	ClassUndeclared    Class = 0
	ClassTransactional       = organisation.ClassTransactional
	ClassCommercial          = organisation.ClassCommercial
)

// TextClass is the TCPA class of a text: 47 CFR 64.1200.
type TextClass uint8

// The classes of texts.
const (
	TextUndeclared  TextClass = 0
	TextEmergency   TextClass = 1 // (a)(1): emergency purposes
	TextExempt      TextClass = 2 // (a)(9)(iv): the health care exemption, all its conditions
	TextInformation TextClass = 3 // prior express consent
	TextMarketing   TextClass = 4 // prior express written consent: (f)(9)
)

// Payer says who pays for saying this, and how: 45 CFR 164.501 "marketing", 164.508(a)(3)(ii).
type Payer struct {
	Who          PayerKind
	Remuneration Remuneration
	Name         string // a third party's name as the authorization has it; stays in the sealed detail
	Worksheet    bool   // the worksheet of costs is on file
}

// PayerKind is who pays.
type PayerKind uint8

// The payers.
const (
	PayerUndeclared PayerKind = 0
	PayerSelf       PayerKind = 1 // the organisation itself
	PayerThirdParty PayerKind = 2 // somebody whose product or service the message describes
)

// Remuneration is what a third party gives.
type Remuneration uint8

// The remunerations. In kind is not financial remuneration (78 FR 5566).
const (
	RemunerationUnknown   Remuneration = 0
	RemunerationInKind    Remuneration = 1
	RemunerationAtCost    Remuneration = 2 // labour, supplies, postage, overhead of making the message
	RemunerationAboveCost Remuneration = 3
)

// Refill is the drug of a refill reminder.
type Refill struct {
	Known   bool     // the prescription was found
	Current bool     // currently prescribed
	Lapsed  law.Date // the day the prescription ran out; none while current
}

// Fundraising is what 45 CFR 164.514(f) asks of a fundraising message.
type Fundraising struct {
	OnlyPermittedFields bool // demographics, dates of care, department, physician, outcome, insurance status
	NoticeSaysSo        bool // the notice of privacy practices announces it
}

// Elements is what the finished message carries.
type Elements struct {
	OptOut        bool // a working opt-out without fee or sign-in
	PostalAddress bool
	AdLabel       bool // clearly an advertisement
	StopNotice    bool // a text says how to stop
	Part2Notice   bool // 42 CFR 2.32
	Chars         int  // of a text
	Billing       bool // a text speaks of a bill or a debt
	FreeToUser    bool // a text comes from a free-to-end-user short code
}

// Material is the approval of the text: clinical, legal, brand, or a regulator's.
type Material struct {
	Required           bool
	ID                 string
	Approved           bool
	Changed            bool      // the text is no longer the one approved
	From, To           time.Time // window of use; zero is open
	Translated         bool      // machine translation of clinical text
	TranslationChecked bool      // by a qualified person: 45 CFR 92.201(c)(3)
}

// Sensitive is a class of health information that some law protects more.
type Sensitive string

// The sensitive classes.
const (
	SensitivePart2         Sensitive = "part2"               // substance use disorder records: 42 CFR 2
	SensitiveMental        Sensitive = "mental_health"       // state law
	SensitiveHIV           Sensitive = "hiv"                 // state law
	SensitiveGenetic       Sensitive = "genetic"             // state law
	SensitiveReproductive  Sensitive = "reproductive"        // state law
	SensitiveMinorConsent  Sensitive = "minor_consent"       // care that a minor consented to alone: 45 CFR 164.502(g)(3)
	SensitivePsychotherapy Sensitive = "psychotherapy_notes" // 45 CFR 164.508(a)(2)
	SensitiveCounselling   Sensitive = "counselling_notes"   // 42 CFR 2.31(b)
)

// Finding is one finding of the content lint, as a value.
type Finding struct {
	Code   string // the lint's own code
	Effect Effect
}

// Effect is what a finding asks for.
type Effect uint8

// The effects.
const (
	EffectNone    Effect = 0 // for the author to know
	EffectProtect Effect = 1 // it holds health information, whatever was declared
	EffectStrong  Effect = 2 // too telling for a mailbox: pickup, pgp or smime
	EffectHold    Effect = 3 // not fit to send
)

// Recipient is who is written to, at which address.
type Recipient struct {
	Kind     RecipientKind
	Person   id.Person
	Standing people.Kind // patient or prospect
	Deceased bool
	Age      int  // years; meaningful when AgeKnown
	AgeKnown bool // the birth date is known and no placeholder
	OwnCare  bool // a minor who consented alone to the care in question: 45 CFR 164.502(g)(3)
	State    string
	Zones    []*time.Location // of the address, of the phone number: all must be open; none is unknown
	Contact  id.ContactPoint
	Address  AddressState
	Holder   Holder // whose address it is
	Proxy    Proxy
	Shared   bool // others of the organisation have the same address: a household
	// FederalBeneficiary: Medicare, Medicaid, TRICARE: no offers (42 USC 1320a-7b(b), 1320a-7a(a)(5)).
	FederalBeneficiary bool
}

// RecipientKind is the kind of a recipient.
type RecipientKind uint8

// The kinds.
const (
	RecipientUndeclared    RecipientKind = 0
	RecipientPerson        RecipientKind = 1
	RecipientStaff         RecipientKind = 2
	RecipientPostmaster    RecipientKind = 3
	RecipientCorrespondent RecipientKind = 4 // an unknown recipient of the gateway: a colleague, a payer, a relative
)

// AddressState is what is known of the address.
type AddressState uint8

// The states.
const (
	AddressNone     AddressState = 0
	AddressUsable   AddressState = 1
	AddressUnproven AddressState = 2 // bounced or given to somebody else
	AddressInvalid  AddressState = 3
)

// Holder is whose address it is.
type Holder = consent.Holder

// The holders.
const (
	HolderPerson         = consent.HolderPerson         // the person's own
	HolderProxy          = consent.HolderProxy          // a parent, guardian or other proxy
	HolderRepresentative = consent.HolderRepresentative // of a person who died: 45 CFR 164.502(g)(4)
)

// Proxy is the authority of the proxy who is written to.
type Proxy struct {
	Recorded bool // the authority is on file
	Ended    bool
}

// Authorization is a 45 CFR 164.508 authorization as the gate needs it.
type Authorization struct {
	ID                 id.Authorization
	Complete           bool             // every core element and statement of 164.508(c) is there
	Signed             bool             // and dated, by the person or a representative with authority
	Purposes           []ledger.Purpose // what it allows
	Payers             []string         // third parties it names; none names nobody
	StatesRemuneration bool             // 164.508(a)(3)(ii)
	Expires            law.Date         // none: it ends by its event
	EventReached       bool             // the expiry event has happened
	Revoked            bool
}

// Part2Consent is a written consent under 42 CFR 2.31 to tell somebody else.
type Part2Consent struct {
	ID      id.Consent
	Holder  Holder // who may be told
	Expires law.Date
	Revoked bool
}

// OptOut is a suppression or an opt-out that is in force.
type OptOut struct {
	Ref    string // the record: a suppression, or the consent that was refused
	Scope  Scope  // for the report: an unsubscribe holds for the address, a STOP for the number
	Covers Covers
	Topic  string // for CoversTopic
}

// Scope says for what an opt-out holds.
type Scope = consent.Scope

// The scopes.
const (
	ScopeAddress = consent.ScopeAddress
	ScopePerson  = consent.ScopePerson
)

// Covers is what an opt-out stops.
type Covers = consent.Covers

// What an opt-out may cover. The zero value covers everything.
const (
	CoversAddress     = consent.CoversAddress    // the address takes no mail at all: bounced, reassigned
	CoversAll         = consent.CoversAll        // everything but service mail
	CoversCommercial  = consent.CoversCommercial // commercial mail and marketing
	CoversFundraising = consent.CoversFundraising
	CoversTopic       = consent.CoversTopic
	CoversTexts       = consent.CoversTexts // all texts but emergencies
)

// OptIn is a consent given and not withdrawn.
type OptIn struct {
	ID      id.Consent
	Channel people.Channel // 0: by any channel; a text needs one that says text
	Topic   string         // empty: the channel as such
	Written bool           // signed, with the wording of 47 CFR 64.1200(f)(9)
}

// Restriction is an agreed or mandatory restriction: 45 CFR 164.522(a).
type Restriction struct {
	ID      id.Restriction
	Purpose ledger.Purpose // the use it ends; PurposeNone with the others empty ends every use for mail
	Topic   string         // the topic it ends
	Proxy   bool           // do not tell the proxy or the family
	Payer   bool           // do not tell the plan: paid in full out of pocket, (a)(1)(vi); asked by Disclose
}

// Confidential is a request for confidential communications: 45 CFR 164.522(b). No reason may be asked.
type Confidential struct {
	ID       id.Restriction
	PostOnly bool
	Channel  people.Channel  // 0: any
	Contact  id.ContactPoint // unset: any
	Means    Means           // the protection the person wants; empty: any
}

// PlainRequest is the person's documented wish for unencrypted mail after a warning: 45 CFR 164.524(c)(2), 164.522(b).
type PlainRequest struct {
	ID        id.Consent
	Warned    bool // the text of the warning, its date and the answer are on file
	Revoked   bool
	Channel   people.Channel
	Contact   id.ContactPoint  // unset: every address of the channel
	Purposes  []ledger.Purpose // none: all
	Sensitive bool             // the warning spoke of sensitive classes and the person still asked
}

// Keys is what the recipient gave for encryption from end to end.
type Keys struct {
	PGP, SMIME Key
}

// Key is one key or certificate.
type Key struct {
	Available bool
	Trusted   bool // checked by the rules of pgp or smime
	Expired   bool
	ID        string
}

// TLS is what is known of the way to the recipient's domain before a connection is made. Proven is what the connection must
// meet; smtpclient checks it and sends the message back to the gate when it does not.
type TLS struct {
	State TLSState
	Proof Proof
}

// TLSState is the state of that knowledge.
type TLSState uint8

// The states.
const (
	TLSUnknown TLSState = 0 // not asked yet, or the resolver does not answer
	TLSNone    TLSState = 1 // nothing that could be proven
	TLSOffered TLSState = 2 // Proof can be demanded
	TLSFailed  TLSState = 3 // it was demanded and not met
	TLSBroken  TLSState = 4 // the domain fails the policy it enforces itself: RFC 8461 5, RFC 7672 2.2
)

// Proof is what a TLS connection must prove.
type Proof = tlspolicy.Proof

// The proofs.
const (
	ProofNone   = tlspolicy.ProofNone
	ProofRoute  = tlspolicy.ProofRoute  // a configured route with its own CA or pin
	ProofDANE   = tlspolicy.ProofDANE   // RFC 7672
	ProofMTASTS = tlspolicy.ProofMTASTS // RFC 8461, mode enforce
	ProofPKIX   = tlspolicy.ProofPKIX   // a certificate that verifies for the MX name, where the policy accepts it
)

// Carrier is who carries the message for us before it reaches the recipient's server: a smarthost, a text carrier. The
// recipient's own servers are not ours.
type Carrier struct {
	Needed    bool // somebody carries it for us
	Covered   bool // an agreement in force covers the service: 45 CFR 164.308(b), 164.502(e)
	Agreement id.Agreement
	Service   string
}

// Policy is the organisation's own choice within the law.
type Policy struct {
	AcceptPKIX       bool // a certificate that verifies for the MX name is proof enough
	Pickup           bool // pickup may be used
	SensitiveTLS     bool // proven TLS may carry the sensitive classes (never Part 2)
	PlainRequestsOff bool // documented requests for plain mail are not honoured
	ProtectAll       bool // treat every message to a person as holding health information
	CareHours        law.Week
	OtherHours       law.Week
	MailHours        law.Week // for bulk mail; zero is any hour
	BulkPerWeek      int      // bulk messages to one person in 7 days, all departments together; 0 is no limit
}

// Contacts counts what the person received before.
type Contacts struct {
	TextsDay         int // texts and calls in this calendar day
	TextsWeek        int // in 7 days
	SolicitationsDay int // on this subject in 24 hours
	BulkWeek         int // bulk messages in 7 days
}
