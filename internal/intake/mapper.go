package intake

import (
	"time"

	"github.com/carepost/carepost/internal/people"
)

// Mapper turns the messages of one format into changes of people's records. It is pure: the same message and context give the same
// changes, so that a mapping that was mended can be run again over what is kept.
type Mapper interface {
	// Format names the mapper in the rows of imports: "fhir".
	Format() string
	// Split tells what a line is. An error refuses the line; its text is shown and holds no value of the line.
	Split(line []byte) ([]Message, error)
	// Map gives what a message says. An error sets the message aside; good parts with bad neighbours come with warnings instead.
	Map(m *Message, c *Context) ([]people.Change, error)
	// Complete gives the kinds of events that an import delivers completely when it holds all messages of these kinds.
	Complete(kinds []string) []string
}

// Turn is when a message is applied. The numbers are stored: append only.
type Turn uint8

// The turns.
const (
	TurnNone       Turn = 0 // kept and counted, never applied
	TurnReferred   Turn = 1 // applied to nobody; other messages refer to it
	TurnPerson     Turn = 2 // grouped by the person it names
	TurnIdentifier Turn = 3 // names its person by an identifier: after all those that bring identifiers
	TurnDelete     Turn = 4 // takes something back: last
	TurnOrder      Turn = 5 // in the order of the file: each is about a person of its own
)

// Message is one message of a source: a line, or one entry of a bundle in a line.
type Message struct {
	Kind    string // "Patient"; a name from the format's own list, never the sender's free text
	Key     string // the source's key of the resource: "Condition/c1"
	Subject string // what groups messages of one person: the source's key of the person, or the identifier
	Turn    Turn
	Body    []byte
}

// Context is what a mapping needs beside the message.
type Context struct {
	Source    string
	Received  time.Time // when the import began: what "now" means for this message, also when it is mapped again
	Country   string    // ISO 3166: of telephone numbers without a prefix; empty is US
	Whitelist people.Whitelist
	// Look gives the newest message of the source with a key ("Medication/m1"), for references to other messages.
	Look func(key string) (body []byte, ok bool)
}
