package agreement

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
)

// State is the state of an agreement's row. The numbers are stored: append only.
type State uint8

// The states.
const (
	Signed State = 1 // in force between its days
	Ended  State = 2 // ended before its time; Until says when
)

// Agency says whether the counterparty is an agent under the federal common law of agency. It decides when the clock of a breach
// starts: 45 CFR 164.404(a)(2).
type Agency string

// The answers. Unknown shows both clocks, and alarms on the earlier.
const (
	AgencyUnknown Agency = "unknown"
	AgencyYes     Agency = "yes"
	AgencyNo      Agency = "no"
)

// Agreement is one agreement.
type Agreement struct {
	ID      id.Agreement
	State   State
	Version int64
	Made    time.Time
	Changed time.Time
	Terms
}

// Terms is what the document says. It is sealed.
type Terms struct {
	Counterparty string   `json:"counterparty"`
	Services     []string `json:"services"` // exactly what is covered, each by the name the settings use: "smtp.example.net", "sms:twilio"
	From         law.Date `json:"from"`
	Until        law.Date `json:"until,omitempty"` // the last day; none is open-ended
	Agent        Agency   `json:"agent"`
	// IncidentHours is how soon the counterparty reports a security incident, by contract; 0: the contract names no hours, and the
	// law's ceiling counts (45 CFR 164.410(b)).
	IncidentHours int      `json:"incident_hours,omitempty"`
	Document      []byte   `json:"document"`            // SHA-256 of the signed document
	Delegated     []Duty   `json:"delegated,omitempty"` // duties of ours that the counterparty does for us
	Clauses       []Clause `json:"clauses"`             // that the document has
	ListedOn      law.Date `json:"listed_on,omitempty"` // the day the vendor's list of covered services was read
	Subject       string   `json:"subject,omitempty"`   // what they do, for the register
}

// Duty is a duty of a covered entity that an agreement may delegate.
type Duty string

// The duties: 45 CFR 164.404, 164.406, 164.408.
const (
	DutyTellPersons Duty = "tell_persons"
	DutyTellMedia   Duty = "tell_media"
	DutyTellHHS     Duty = "tell_hhs"
)

// Clause is a clause that an agreement must have.
type Clause string

// The clauses: 45 CFR 164.504(e)(2), 164.314(a)(2)(i).
const (
	ClauseUses           Clause = "uses"           // permitted and required uses: (e)(2)(i)
	ClauseNoOther        Clause = "no_other"       // no other use: (ii)(A)
	ClauseSafeguards     Clause = "safeguards"     // and Subpart C: (ii)(B), 164.314(a)(2)(i)(A)
	ClauseReport         Clause = "report"         // incidents and breaches: (ii)(C), 164.314(a)(2)(i)(C)
	ClauseSubcontractors Clause = "subcontractors" // flow down: (ii)(D), 164.314(a)(2)(i)(B)
	ClauseAccess         Clause = "access"         // (ii)(E)
	ClauseAmendment      Clause = "amendment"      // (ii)(F)
	ClauseAccounting     Clause = "accounting"     // (ii)(G)
	ClauseDelegated      Clause = "delegated"      // obligations carried out for us: (ii)(H)
	ClauseBooks          Clause = "books"          // open to the Secretary: (ii)(I)
	ClauseReturn         Clause = "return"         // return or destroy at the end: (ii)(J)
	ClauseTermination    Clause = "termination"    // for a material breach: (e)(2)(iii)
)

// Clauses lists what an agreement must have.
var Clauses = []Clause{
	ClauseUses, ClauseNoOther, ClauseSafeguards, ClauseReport, ClauseSubcontractors, ClauseAccess, ClauseAmendment, ClauseAccounting,
	ClauseDelegated, ClauseBooks, ClauseReturn, ClauseTermination,
}

// Missing lists the clauses that the agreement lacks. An agreement with a gap is no agreement: Covers says no.
func (t Terms) Missing() []Clause {
	var missing []Clause
	for _, c := range Clauses {
		if !slices.Contains(t.Clauses, c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// bounds of a register that a person keeps by hand.
const (
	maxServices = 100
	maxName     = 300 // bytes
	hashSize    = 32
)

// Check tells what is wrong with terms. Missing clauses are no fault of the record: they are recorded as missing.
func (t Terms) Check() error {
	switch {
	case strings.TrimSpace(t.Counterparty) == "" || len(t.Counterparty) > maxName:
		return fault.New(fault.Invalid, "an agreement is with somebody").At("counterparty")
	case len(t.Services) == 0 || len(t.Services) > maxServices:
		return fault.New(fault.Invalid, "an agreement covers 1 to %d services", maxServices).At("services").Hint("name each as the settings do")
	case t.From == 0:
		return fault.New(fault.Invalid, "the first day is missing").At("from")
	case t.Until != 0 && t.Until < t.From:
		return fault.New(fault.Invalid, "it ends before it begins").At("until")
	case t.Agent != AgencyUnknown && t.Agent != AgencyYes && t.Agent != AgencyNo:
		return fault.New(fault.Invalid, "not an answer").At("agent").Hint("yes, no or unknown")
	case t.IncidentHours < 0 || t.IncidentHours > 60*24:
		return fault.New(fault.Invalid, "the law's ceiling is 60 days").At("incident_hours")
	case len(t.Document) != hashSize:
		return fault.New(fault.Invalid, "the signed document is named by its SHA-256").At("document")
	}
	for _, s := range t.Services {
		if s == "" || s != normal(s) || len(s) > maxName {
			return fault.New(fault.Invalid, "not the name of a service").At("services").Hint("lower case, without spaces around")
		}
	}
	for _, c := range t.Clauses {
		if !slices.Contains(Clauses, c) {
			return fault.New(fault.Invalid, "not a clause").At("clauses")
		}
	}
	for _, d := range t.Delegated {
		if d != DutyTellPersons && d != DutyTellMedia && d != DutyTellHHS {
			return fault.New(fault.Invalid, "not a duty").At("delegated")
		}
	}
	return nil
}

func normal(service string) string { return strings.ToLower(strings.TrimSpace(service)) }

// InForce tells whether the agreement binds on the day and has every clause.
func (a Agreement) InForce(on law.Date) bool {
	return on >= a.From && (a.Until == 0 || on <= a.Until) && len(a.Missing()) == 0
}

// Covers tells whether the agreement binds on the day for the service.
func (a Agreement) Covers(service string, on law.Date) bool {
	return a.InForce(on) && slices.Contains(a.Services, normal(service))
}
