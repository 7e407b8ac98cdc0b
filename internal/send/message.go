// Package send owns the message: one thing said to one recipient, from the moment it is handed in until its outcome.
//
// It never knows a queue, a socket or a page. Submit writes one durable row per recipient with frozen inputs and gives the rows to
// delivery in the same transaction; Prepare, called by delivery when a message is about to leave, asks the gate, renders and protects;
// Outcome hears what happened. Consent, authorization and restriction are asked in Prepare, not when the list is built. Read
// submit.go, then prepare.go.
package send

import (
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
)

// State is where a message stands. The numbers are stored: append only.
type State uint8

// The states of a message.
const (
	Waiting   State = 1 // for its turn, its retry or its first decision
	Accepted  State = 2 // the receiving server has it; for pickup: has the notice
	Bounced   State = 3
	Expired   State = 4 // nobody took it in time
	Held      State = 5 // a person must decide
	InDoubt   State = 6 // perhaps accepted; not sent again
	Cancelled State = 7
	Refused   State = 8 // the gate said no
)

var stateWords = [...]string{"unknown", "waiting", "accepted", "bounced", "expired", "held", "in_doubt", "cancelled", "refused"}

// String gives the state's word.
func (s State) String() string {
	if int(s) < len(stateWords) {
		return stateWords[s]
	}
	return stateWords[0]
}

// ParseState reads a state's word.
func ParseState(text string) (State, error) {
	for i, w := range stateWords[1:] {
		if w == text {
			return State(i + 1), nil
		}
	}
	return 0, fault.New(fault.Invalid, "not a state of a message").Hint("it is one of waiting, accepted, bounced, expired, held, in_doubt, cancelled, refused")
}

// Request is what a sender declares, the same for every recipient of a send. Purpose and class are two declarations; one is never
// guessed from the other.
type Request struct {
	Name     string // for staff; sealed
	Template id.Template
	Version  int // of the template; Open fixes the newest when it is 0
	Sender   id.SenderIdentity
	Purpose  ledger.Purpose
	Class    organisation.Class
	Payer    gate.Payer
	Topic    string
	Bulk     bool
	Urgent   bool
	Safety   bool
	NoPHI    bool // the sender says that it holds no health information; the gate may know better
	// SelectedByHealth: its audience was chosen by health information, so that receiving it tells something.
	SelectedByHealth bool
	Sensitive        []gate.Sensitive
	Offer            bool          // a discount, coupon or copay help on something Medicare or Medicaid pays for
	Drug             []people.Code // of a refill reminder: codes of the drug, any of which will do
	Fundraising      gate.Fundraising
	Demand           gate.Means
	Expires          time.Time // zero: by kind
}

// Recipient is one person to write to, with the caller's own values for the template.
type Recipient struct {
	Person id.Person
	Values map[string]any
}

// Send is one stored request with its counts.
type Send struct {
	ID      id.Send
	Request Request
	MadeAt  time.Time
	States  map[State]int64
	Means   map[gate.Means]int64 // of the last decision; messages not yet decided are not in it
	// Deferred counts the accepted messages that a receiver put off at least once.
	Deferred int64
	Total    int64
}

// Message is one message as staff see it.
type Message struct {
	ID        id.Message
	Send      id.Send
	Person    id.Person
	State     State
	Means     gate.Means
	Attempts  int
	Deferred  bool
	MadeAt    time.Time
	DecidedAt time.Time
	DoneAt    time.Time
	Decisions []Decided
}

// Decided is one decision of the gate on a message, and when.
type Decided struct {
	Number int
	At     time.Time
	gate.Decision
	// To is the address that it was about; the record of the person may name another one by now.
	To string
}

// frozen is what the first Prepare keeps with the row: retries use it, byte for byte; a new decision replaces it. It is sealed under
// the person's key.
type frozen struct {
	Means     gate.Means     `json:"means"`
	Proof     gate.Proof     `json:"proof,omitempty"`
	To        string         `json:"to"`
	MessageID string         `json:"message_id"`
	Links     compose.Links  `json:"links,omitzero"`   // their tokens differ each time they are made
	Notice    string         `json:"notice,omitempty"` // the link of a pickup notice
	Date      time.Time      `json:"date"`
	Languages []string       `json:"languages,omitempty"`
	Vars      map[string]any `json:"vars,omitempty"`
	Pickup    id.Pickup      `json:"pickup,omitzero"`
}

// LogValue prints nothing of it.
func (frozen) LogValue() slog.Value { return slog.StringValue("[sealed]") }
