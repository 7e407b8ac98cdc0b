package people

import (
	"time"

	"github.com/carepost/carepost/internal/id"
)

// Kind is what a person is to the organisation. Audiences hold patients and prospects only.
type Kind uint8

// The kinds of person.
const (
	KindPatient       Kind = 1
	KindProspect      Kind = 2
	KindCorrespondent Kind = 3 // an unknown recipient of the gateway
)

// Sex is the administrative sex of the record.
type Sex uint8

// The sexes a record may state; SexUnknown matches no rule.
const (
	SexUnknown Sex = 0
	SexFemale  Sex = 1
	SexMale    Sex = 2
	SexOther   Sex = 3
)

// Channel is a way to reach a person.
type Channel uint8

// The channels.
const (
	ChannelEmail Channel = 1
	ChannelPhone Channel = 2 // voice and text
	ChannelPost  Channel = 3
)

// Date is a civil date with its precision: Month or Day 0 is not known. The zero Date is no date.
type Date struct {
	Year       int16
	Month, Day uint8
}

// Moment is a clinical time: a civil date, and the instant when the source gave one.
type Moment struct {
	Date Date
	Time time.Time // zero when the source gave a date only
}

// Person is one record: what the store's row and its sealed core say.
type Person struct {
	ID          id.Person
	Ordinal     uint32 // dense per organisation, never reused: the place in every bitmap
	Version     int64  // grows by one with every write of the core
	ProjectedTo int64  // the last event sequence that the projection holds
	MergedInto  id.Person
	Core        Core
}

// Core is the sealed profile.
type Core struct {
	Kind        Kind
	Names       []Name
	Birth       Date
	Sex         Sex
	Languages   []string // BCP 47, the preferred one first
	Zone        string   // IANA; empty is not known
	Deceased    bool
	DeceasedOn  Date
	Addresses   []Address
	Contacts    []ContactPoint
	Identifiers []Identifier // whitelisted types only; never an SSN
	Proxies     []Proxy
	Custom      map[string]string
	Inactive    bool // no source has the record in use: in no audience
	// Placeholder says which fields hold a source's filler, not a fact: "birth", "name". No age rule and no greeting uses them.
	Placeholder []string
}

// Name is one name of a person. The current official one is first in Core.Names.
type Name struct {
	Use            string // official, usual, old, ...
	Prefix, Suffix string
	Given          []string
	Family         string
}

// Address is a postal address.
type Address struct {
	Use                              string // home, work, old, ...
	Lines                            []string
	City, State, PostalCode, Country string
}

// ContactPoint is an email address or a phone number.
type ContactPoint struct {
	ID      id.ContactPoint
	Channel Channel
	Value   string // as the source gave it, trimmed
	Normal  string // what look-ups use: notes in identifier.go
	Use     string // home, work, mobile, old
	Rank    int    // 1 is preferred; 0 is not said
	State   ContactState
}

// ContactState says whether a contact point may be used.
type ContactState uint8

// The states of a contact point.
const (
	ContactUsable   ContactState = 0
	ContactOld      ContactState = 1 // the source says it is no longer in use
	ContactUnproven ContactState = 2 // bounced or recycled: find another way
	ContactInvalid  ContactState = 3 // cannot be written to: syntax
)

// Identifier is a source's number for the person: system URI, value as given (leading zeros kept), and type (MR, MB, ...).
type Identifier struct {
	System, Value, Type string
}

// Proxy is someone who may act for the person: a parent, a guardian.
type Proxy struct {
	Name         string
	Relationship string
	Email        string
	Phone        string
	Until        Date // zero is open-ended
}
