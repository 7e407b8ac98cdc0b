package delivery

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Kind of a message: how long it is worth sending, how it is retried, and what happens when it is in doubt.
type Kind uint8

// The kinds. The numbers stand in rows.
const (
	Care      Kind = 1 // treatment, payment, operations: two days; in doubt: again
	Service   Kind = 2 // notices, staff alarms: two days; in doubt: again
	Code      Kind = 3 // one-time codes: a quarter of an hour; in doubt: again
	Marketing Kind = 4 // a day; in doubt: not again
)

// String gives the kind's word.
func (k Kind) String() string {
	switch k {
	case Care:
		return "care"
	case Service:
		return "service"
	case Code:
		return "code"
	case Marketing:
		return "marketing"
	}
	return "unknown"
}

// Priority orders what waits in a lane: a smaller number goes first. 0 takes the kind's own.
type Priority uint8

// The kinds' own priorities.
const (
	PriorityCode      Priority = 1
	PriorityCare      Priority = 2
	PriorityMarketing Priority = 3
)

// Row is a message to one recipient as it is handed in.
type Row struct {
	Message  id.Message
	Person   id.Person      // whom it is about; zero for staff and postmasters
	Purpose  ledger.Purpose // for the entries of the ledger
	Domain   string         // of the recipient; sealed
	Kind     Kind
	Priority Priority
	Source   uint8     // which of Options.Sources it leaves from
	Size     int       // about how many bytes it will have; 0: not known
	Due      time.Time // zero: now
	Expires  time.Time // zero: by kind
}

// Item is a row about to leave, as Prepare gets it.
type Item struct {
	Message   id.Message
	Person    id.Person
	Kind      Kind
	Attempt   int // attempts before this one
	Submitted time.Time
	Expires   time.Time
	Way       tlspolicy.Resolution // always Ready
	Failure   tlspolicy.Failure    // the last connection did not prove what the decision relied on: decide anew
	Doubted   bool                 // it may have arrived already: Frozen must be used
	Frozen    []byte               // what an earlier Prepare gave to keep
}

// Verdict is what Prepare says of an item.
type Verdict uint8

// The verdicts.
const (
	Go     Verdict = iota + 1 // send it
	Hold                      // a person must decide; it ends as held
	Refuse                    // it may not go; it ends as refused
	Later                     // not now: at Due
)

// Prepared is what Prepare makes of an item.
type Prepared struct {
	Message id.Message
	Verdict Verdict
	Reason  string    // a code, for Hold and Refuse
	Due     time.Time // for Later

	From, To string          // the envelope
	Data     []byte          // the whole message, CRLF lines, unsigned
	Signer   string          // the domain whose keys sign it; empty: unsigned
	Need     tlspolicy.Proof // what the decision relied on
	Frozen   []byte          // to be kept with the row and given back, sealed by who gives it; nil keeps what is there

	// Decision is what Options.Record is given to write; nil: nothing.
	Decision any
}

// Prepare decides, renders and protects messages of one organisation that are about to leave. It gives one Prepared per item, in any
// order; an item without one, or an error, is tried again later. It runs outside any transaction and may take its own.
type Prepare func(ctx context.Context, org id.Organisation, items []Item) ([]Prepared, error)

// SigningKey is one DKIM key.
type SigningKey struct {
	Domain, Selector string
	Signer           crypto.Signer // RSA of 2048 bits or more, or Ed25519
}

// KeySource gives the keys that sign for a domain of an organisation: one, or an RSA and an Ed25519 key. What it gives is used for
// half a minute.
type KeySource func(ctx context.Context, org id.Organisation, domain string) ([]SigningKey, error)

// End is how a row ended. The numbers stand in rows.
type End uint8

// The ends.
const (
	Deferred  End = 0 // it has not ended: it is tried again
	Accepted  End = 1 // the receiver has it
	Bounced   End = 2 // refused for good
	Expired   End = 3 // nobody took it in time; says nothing about the address
	Held      End = 4 // waits for a person
	InDoubt   End = 5 // perhaps accepted; not sent again
	Cancelled End = 6
	Refused   End = 7 // Prepare said that it may not go
)

// String gives the end's word.
func (e End) String() string {
	words := [...]string{"deferred", "accepted", "bounced", "expired", "held", "in_doubt", "cancelled", "refused"}
	if int(e) < len(words) {
		return words[e]
	}
	return "unknown"
}

// Outcome is what happened to a message, told in the transaction that writes it.
type Outcome struct {
	Message  id.Message
	Person   id.Person
	Kind     Kind
	End      End
	Attempt  int  // attempts so far, since a person last released it
	Doubted  bool // this attempt ended in doubt; with End Deferred it is sent again
	Class    bounce.Class
	Rule     string // which rule of classification
	Suppress bool   // the address is not to be written to again
	Reason   string // a code: of Prepare's verdict, of a failed policy, of an expiry

	Code     int // of the reply; 0: none
	Enhanced string
	Stage    smtpclient.Stage
	Text     string // the receiver's words; may quote the address, so it is kept sealed or not at all

	Proof tlspolicy.Proof // that the connection gave, when accepted
	TLS   string          // "TLS 1.3", when accepted over TLS
	Group string          // the receiver
	// Domain of the recipient, where the end is about it and not about what was prepared: the person's record may name another by now.
	Domain string
	Next   time.Time // of the next attempt, when Deferred
}

// Options are what an Engine needs. Store to Prepare are needed.
type Options struct {
	Store   *store.Store
	Keys    *seal.Keys
	Ledger  *ledger.Ledger
	Ways    *tlspolicy.Ways
	Prepare Prepare

	Signing KeySource // nil: nothing is signed
	// Record writes the decisions behind several messages of one organisation, in the transaction that commits their intents, or the end that
	// Verdict asks for. It may run more than once (store). nil: nothing is written.
	Record func(ctx context.Context, tx *store.Tx, all []Prepared) error
	// Outcome hears of every outcome, in its transaction (one organisation's). nil: nobody does.
	Outcome func(ctx context.Context, tx *store.Tx, outcomes []Outcome) error
	// PersonKeys gives people's keys for the entries about them, but for those that are gone; nil: the month's key seals the entries and they have
	// no subject.
	PersonKeys func(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person]seal.Key, error)

	Hello       string   // our name for EHLO
	Sources     []string // local addresses to send from; empty: the system's choice
	Connections int      // at once, over all lanes; 0: 64
	// Owns tells whether this node works a lane; nil: all. It is asked before every claim, so it answers from memory. Two nodes that work one lane
	// share its rows and double its pace.
	Owns func(lane int64) bool

	// Set by the demo, benchmarks and tests only.
	Dial     smtpclient.DialFunc
	Roots    *x509.CertPool
	Timeouts smtpclient.Timeouts
	Schedule Schedule
	Now      func() time.Time
}
