package id

import (
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// Organisation is the number of an organisation, dense from 1; 0 is the installation itself. It is the first column of every
// primary key and four bytes of every address token.
type Organisation uint32

// Installation is the scope of claims and of tables that belong to no organisation.
const Installation Organisation = 0

// String gives "org_1".
func (o Organisation) String() string { return "org_" + strconv.FormatUint(uint64(o), 10) }

// ParseOrganisation reads "org_1" or "1".
func ParseOrganisation(text string) (Organisation, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "org_"), 10, 32)
	if err != nil || n == 0 {
		return 0, fault.New(fault.Invalid, "not an organisation").Hint("write org_ and its number, as in org_1")
	}
	return Organisation(n), nil
}

// ActorKind tells what kind of actor acts. The numbers stand in ledger leaves: append only.
type ActorKind uint8

// The kinds of actors.
const (
	ActorSystem    ActorKind = 0 // the program itself: a job, the sequencer
	ActorOperator  ActorKind = 1 // a person at the machine's shell; ID ends in the uid
	ActorUser      ActorKind = 2 // a staff member who signed in
	ActorKey       ActorKind = 3 // an API key
	ActorPerson    ActorKind = 4 // the person the record is about
	ActorSource    ActorKind = 5 // a feed: an EHR export, an HL7 interface
	ActorRecipient ActorKind = 6 // an unproven holder of a link
)

// Actor is who acts: kind and id, never a name.
type Actor struct {
	Kind ActorKind
	ID   UUID
}

// Operator is the actor of the 0600 socket and of commands run in process.
func Operator(uid int) Actor {
	var u UUID
	for i := range 8 {
		u[15-i] = byte(uint64(uid) >> (8 * i))
	}
	return Actor{Kind: ActorOperator, ID: u}
}

// String gives "operator:1000", "system", "user:usr_...".
func (a Actor) String() string {
	switch a.Kind {
	case ActorSystem:
		return "system"
	case ActorOperator:
		var n uint64
		for _, b := range a.ID[8:] {
			n = n<<8 | uint64(b)
		}
		return "operator:" + strconv.FormatUint(n, 10)
	case ActorUser:
		return "user:" + User(a.ID).String()
	case ActorKey:
		return "key:" + APIKey(a.ID).String()
	case ActorPerson:
		return "person:" + Person(a.ID).String()
	case ActorSource:
		return "source:" + Import(a.ID).String()
	case ActorRecipient:
		return "recipient:" + a.ID.String()
	}
	return "unknown:" + a.ID.String()
}

// Scope says in whose name a transaction runs: organisation, actor and the request that asked.
type Scope struct {
	Organisation Organisation
	Actor        Actor
	Request      Request
}

// System is the program's own scope in an organisation.
func System(o Organisation) Scope { return Scope{Organisation: o} }
