package people

import (
	"time"

	"github.com/carepost/carepost/internal/id"
)

// FactKind is what a clinical or administrative fact is. The numbers are stored: append only.
type FactKind uint8

// The kinds of facts.
const (
	FactCondition    FactKind = 1
	FactMedication   FactKind = 2 // an order: MedicationRequest
	FactDispense     FactKind = 3
	FactObservation  FactKind = 4
	FactProcedure    FactKind = 5
	FactImmunization FactKind = 6
	FactEncounter    FactKind = 7
	FactAppointment  FactKind = 8
	FactCoverage     FactKind = 9
	FactConsent      FactKind = 10 // a proposal to the consent records, never a consent
	FactAllergy      FactKind = 11
	FactProxy        FactKind = 12 // a RelatedPerson; becomes Core.Proxies
	FactProfile      FactKind = 13 // what a source says of the person as such; becomes the core
)

// FactState is a fact's state in our words. The numbers are stored: append only.
type FactState uint8

// The states of facts.
const (
	StateUnknown   FactState = 0
	StateActive    FactState = 1 // active, recurring, in progress, in force, on order
	StateInactive  FactState = 2 // resolved, in remission, ended
	StateCompleted FactState = 3 // final, finished, handed over, given
	StateCancelled FactState = 4
	StateRefuted   FactState = 5
	StateError     FactState = 6 // entered in error: retracts what it once said
	StateBooked    FactState = 7
	StateMissed    FactState = 8
	StateKept      FactState = 9
	StateNotDone   FactState = 10 // refused, not given
	StateProposed  FactState = 11 // plan, proposal, preliminary, registered
)

// Code is one coding. System is a short alias (icd10cm, rxnorm, loinc, cvx, snomed, ndc, cpt, ...) or, unknown to us, its URI;
// Code is upper-case without the dot for icd10cm ("E1165"), as given else.
type Code struct {
	System, Code, Display string
}

// Quantity is a measured value. Comparator is "", "<", "<=", ">=" or ">"; Value is the decimal as given.
type Quantity struct {
	Comparator, Value, Unit string
}

// Fact is one source resource about a person, in our words. A newer version supersedes, never overwrites.
type Fact struct {
	ID       id.Fact
	Kind     FactKind
	State    FactState
	Source   string // the name of the feed
	Resource string // the source's key: "Condition/123"; unique per source among current facts
	Version  string
	Updated  time.Time // the source's last change; an older one never replaces a newer one
	Codes    []Code
	Start    Moment
	End      Moment
	Value    Quantity
	Text     map[string]string // what a kind has beyond these; the keys are the constants Text...
	Import   id.Import
}

// The keys of Fact.Text.
const (
	TextLabel       = "label"       // the source's own words for the thing
	TextCategory    = "category"    // laboratory, vital-signs, encounter-diagnosis, ...
	TextClass       = "class"       // of an encounter: AMB, VR, HH, EMER, IMP, ...
	TextType        = "type"        // of an appointment, in the source's words
	TextReason      = "reason"      // why it was cancelled, refused, not done
	TextPayor       = "payor"       // of a coverage
	TextInsurance   = "insurance"   // its kind: medicare, medicaid, commercial, self-pay, other
	TextRequest     = "request"     // of a dispense: the resource of the order
	TextDaysSupply  = "daysSupply"  // whole days
	TextMade        = "made"        // when the source made it: an appointment's booking, a result's issue (RFC 3339)
	TextPriorStart  = "priorStart"  // of a moved appointment: where it stood before (RFC 3339)
	TextValue       = "value"       // a value that is no quantity
	TextInterpreted = "interpreted" // H, L, A, ...
	TextMinutes     = "minutes"     // how long an appointment is
	TextScope       = "scope"       // of a consent
	TextTopic       = "topic"       // of a consent to a topic
	TextProvision   = "provision"   // permit or deny
	TextPurpose     = "purpose"     // codes, comma-separated
	TextName        = "name"        // of a proxy
	TextEmail       = "email"
	TextPhone       = "phone"
	// TextComponent and an alias:code is the prefix of a part's value, as in a blood pressure: "component.loinc:8480-6" = "140 mm[Hg]".
	TextComponent = "component."
)

// Event is something that happened to or by a person. Events are appended, never changed; a retraction is an event too.
type Event struct {
	ID       id.Event
	Kind     string    // "appointment.missed", "rx.dispensed", "email.opened": the vocabulary of events.go
	At       time.Time // when it happened, to the second
	Source   string
	Key      string // unique per source: the same key again is the same event
	Machine  bool   // made by a machine: counts only where a rule says so
	Retracts bool   // takes back the event of the same source and key
	Text     map[string]string
	Import   id.Import

	resource string // of the fact that says it
}

// Change is what one source message says about one person: the output of mapping, the input of Apply.
// Nil or empty parts say nothing; Delete lists what the source took back.
type Change struct {
	Source     string
	Subject    string       // the source's key of the person: "Patient/p1"
	Match      []Identifier // strong identifiers to find the person by, besides Subject
	Profile    *Core        // the whole profile as this source knows it, or as one kind of its files does
	Part       string       // which kind of file the profile is of, when the source has several: each is a version of its own
	Active     bool         // the source calls the record active; false with ReplacedBy is a merged one
	ReplacedBy string       // the source's key of the survivor
	Updated    time.Time
	Facts      []Fact
	Events     []Event
	Delete     []string // resources that the source took back: "Appointment/a6", or the Subject itself
	Warnings   []Warning
}

// Warning is a part of a source message that was left out, and why. It holds no value of the record.
type Warning struct {
	Resource string // the source's type and place, "Patient line 12": no id that a source might fill with a name
	Field    string
	Reason   string
}
