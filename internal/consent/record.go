package consent

import (
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// Status is the state of a row. The numbers are stored: append only.
type Status uint8

// The states of rows.
const (
	InForce  Status = 1
	Ended    Status = 2 // withdrawn, revoked, lifted, released, or its event was reached
	Proposed Status = 3 // a source says so; a person must agree
	Rejected Status = 4
)

// Row is what every record has in the clear.
type Row struct {
	Person id.Person // whose record holds it; of a merged person the record that was merged
	Status Status
	Made   time.Time
	Ended  time.Time // zero while it has not ended
	Ending Evidence  // how it ended

	cause id.Fact   // the fact of a source that says so
	imp   id.Import // the import that says so
}

// Evidence says how we know of an act.
type Evidence struct {
	How      string    // form, phone, in person, portal, reply, link, header, source, event
	Words    string    // what was shown or said
	By       string    // who took it down
	At       time.Time // when the person acted; zero: the time of the transaction
	Source   string    // the feed, for what a feed said
	Document []byte    // SHA-256 of the document
}

// Consent is an answer to being written to: by a channel, about a topic, or both.
type Consent struct {
	Row
	ID       id.Consent
	Channel  people.Channel // 0: every channel
	Topic    string         // empty: the channel as such
	Refused  bool           // the answer was no
	Written  bool           // signed, with the wording of 47 CFR 64.1200(f)(9)
	Expires  law.Date
	Evidence Evidence
}

// Authorization is an authorization under 45 CFR 164.508. All of it must be there; Missing tells what is not.
type Authorization struct {
	Row
	ID id.Authorization
	// Core elements: 45 CFR 164.508(c)(1).
	Information    string // (i) a specific description of what may be used
	Discloser      string // (ii) who may disclose or use it
	Receiver       string // (iii) to whom
	Purpose        string // (iv) in the form's words; "at the request of the individual" will do
	Purposes       []ledger.Purpose
	Expires        law.Date // (v) an expiry date,
	Event          string   // or an event
	SignedOn       law.Date // (vi)
	Signer         string   // (vi)
	Representative bool     // (vi) somebody signed for the person
	Authority      string   // (vi) the representative's authority
	// Statements: 45 CFR 164.508(c)(2) to (4).
	StatesRevocation   bool // (c)(2)(i) the right to revoke in writing, its exceptions and how
	StatesConditions   bool // (c)(2)(ii) no conditioning, or the consequences of refusing
	StatesRedisclosure bool // (c)(2)(iii)
	PlainLanguage      bool // (c)(3)
	CopyGiven          bool // (c)(4)
	// Remuneration: 45 CFR 164.508(a)(3)(ii), (a)(4).
	Payers             []string // the third parties who pay, by name
	StatesRemuneration bool
	Compound           bool // joined with another permission: 45 CFR 164.508(b)(3)
	Evidence           Evidence
}

// Restriction is a restriction of uses and disclosures: 45 CFR 164.522(a).
type Restriction struct {
	Row
	ID         id.Restriction
	Purpose    ledger.Purpose // the use it ends; PurposeNone: every use
	Topic      string
	Proxy      bool // do not tell the proxy or the family
	Payer      bool // do not tell the plan
	PaidInFull bool // (a)(1)(vi): with Payer it must be agreed to
	Evidence   Evidence
}

// Confidential is a request for confidential communications: 45 CFR 164.522(b). A reason is not asked and has no field.
type Confidential struct {
	Row
	ID       id.Restriction
	PostOnly bool
	Channel  people.Channel  // 0: any
	Contact  id.ContactPoint // unset: any
	Means    string          // tls, pickup, pgp, smime; empty: any
	Address  string          // for post
	Evidence Evidence
}

// PlainRequest is a person's answer to the warning about plain mail: 45 CFR 164.524(c)(2), 164.522(b); 78 FR 5634.
type PlainRequest struct {
	Row
	ID        id.Consent
	Warning   string    // the text that was shown
	Shown     time.Time // when
	Answer    string
	Channel   people.Channel
	Contact   id.ContactPoint  // unset: every address of the channel
	Purposes  []ledger.Purpose // none: all
	Sensitive bool             // the warning spoke of sensitive classes
	Evidence  Evidence
}

// Warned tells whether the record proves the warning.
func (p PlainRequest) Warned() bool { return p.Warning != "" && !p.Shown.IsZero() && p.Answer != "" }

// Part2 is a written consent under 42 CFR 2.31 to tell somebody else.
type Part2 struct {
	Row
	ID       id.Consent
	Holder   Holder // who may be told
	Expires  law.Date
	Evidence Evidence
}

// Holder is whose address a message goes to. The numbers are stored: append only.
type Holder uint8

// The holders.
const (
	HolderPerson         Holder = 0 // the person's own; for a consent under Part 2: somebody outside
	HolderProxy          Holder = 1 // a parent, guardian or other proxy
	HolderRepresentative Holder = 2 // of a person who died: 45 CFR 164.502(g)(4)
)

// Covers is what a suppression stops. The numbers are stored: append only. The zero value covers everything.
type Covers uint8

// What a suppression may cover.
const (
	CoversAddress     Covers = 0 // the address takes no mail at all: bounced, reassigned
	CoversAll         Covers = 1 // everything but service mail
	CoversCommercial  Covers = 2 // commercial mail and marketing
	CoversFundraising Covers = 3
	CoversTopic       Covers = 4
	CoversTexts       Covers = 5 // all texts but emergencies
)

// Scope says for what a suppression holds.
type Scope uint8

// The scopes.
const (
	ScopeAddress Scope = 1 // the address, whoever has it; it outlives the person's record
	ScopePerson  Scope = 2 // the person, at every address
)

// Suppression is an address or a person not to be written to, and why.
type Suppression struct {
	Row
	ID       id.Suppression
	Scope    Scope
	Channel  people.Channel
	Address  string // the normal form, for ScopeAddress
	Covers   Covers
	Topic    string // for CoversTopic
	Reason   string // unsubscribed, complained, bounced, reassigned, asked
	Rule     string // by which rule: "15 USC 7704(a)(4)", "47 CFR 64.1200(a)(10)"
	Evidence Evidence
}

// Proposal is what a source says of a person's consent, as in FHIR Consent. A deny applies at once; a permit waits for a person.
type Proposal struct {
	Row
	ID       id.Consent
	Key      string // the source's key of the record; the same key again is the same record
	Deny     bool
	Channel  people.Channel
	Topic    string
	Purpose  ledger.Purpose
	Evidence Evidence
}

// Preferences are wishes that bind nobody by law, and two flags that do.
type Preferences struct {
	Row
	ID                  id.Consent
	Channel             people.Channel
	Language            string
	BreachNoticeByEmail bool // 45 CFR 164.404(d)(1)(i): agreed to, apart from every other consent
	NoMeasuring         bool // no opens and clicks are measured
	Evidence            Evidence
}

// Record is all that is known of a person, of every merged record.
type Record struct {
	Consents       []Consent
	Authorizations []Authorization
	Restrictions   []Restriction
	Confidential   []Confidential
	PlainRequests  []PlainRequest
	Part2          []Part2
	Suppressions   []Suppression // of the person
	Proposals      []Proposal
	Preferences    []Preferences // the last is the one that counts
}
