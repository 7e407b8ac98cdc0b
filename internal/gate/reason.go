package gate

import "slices"

// Code names a reason. Codes stand in ledger details and reports: append only, never reuse one.
type Code string

// Reason is one step of a decision: what was found, and the record that says so.
type Reason struct {
	Code Code   `json:"code"`
	Ref  string `json:"ref,omitempty"` // the text of an id, a finding's code, a proof: never a value of the record
}

// Stage is a place in the gate's order.
type Stage uint8

// The stages, in their order. The first ten are the law.
const (
	StageRecipient     Stage = 1
	StagePurpose       Stage = 2
	StageAuthorization Stage = 3
	StageOptOut        Stage = 4
	StageRestriction   Stage = 5
	StageConfidential  Stage = 6
	StageSensitive     Stage = 7
	StageAgreement     Stage = 8
	StageMaterial      Stage = 9
	StageLimits        Stage = 10
	StageDemand        Stage = 11
	StageLint          Stage = 12
	StageBefore        Stage = 13 // the decision that this one replaces
	StagePlainRequest  Stage = 14
	StageKeys          Stage = 15
	StageTLS           Stage = 16
	StagePickup        Stage = 17
	StageDestination   Stage = 18 // exports and feeds
	StageCarriage      Stage = 19 // what the queue found
)

var stageNames = map[Stage]string{
	StageRecipient: "law: the recipient", StagePurpose: "law: purpose and payer", StageAuthorization: "law: authorization",
	StageOptOut: "law: opt-out", StageRestriction: "law: restriction", StageConfidential: "law: confidential communication",
	StageSensitive: "law: sensitive class", StageAgreement: "law: agreement of the carrier", StageMaterial: "law: approval of the text",
	StageLimits: "law: contact limits", StageDemand: "the sender's demand", StageLint: "content lint",
	StageBefore: "the decision before", StagePlainRequest: "plain mail asked for after a warning", StageKeys: "the recipient's keys", StageTLS: "proven TLS",
	StagePickup: "pickup", StageDestination: "exports and feeds", StageCarriage: "the queue",
}

// String names the stage.
func (s Stage) String() string { return stageNames[s] }

// Weight is what a reason does to the decision.
type Weight uint8

// The weights.
const (
	Notes   Weight = 1 // recorded; changes nothing by itself
	Limits  Weight = 2 // takes means away
	Chooses Weight = 3 // settles the means
	Holds   Weight = 4
	Refuses Weight = 5
)

var weightNames = map[Weight]string{Notes: "notes", Limits: "limits", Chooses: "chooses", Holds: "holds", Refuses: "refuses"}

// String names the weight.
func (w Weight) String() string { return weightNames[w] }

// About is what the table of reasons says of one code.
type About struct {
	Code   Code
	Stage  Stage
	Weight Weight
	Rule   string // the law, the RFC or the policy it follows
	Text   string // for staff
}

// About gives the code's line of the table; the zero About for an unknown code.
func (c Code) About() About { return reasonOf[c] }

// Text says the reason to staff.
func (c Code) Text() string { return reasonOf[c].Text }

// Rule cites the rule.
func (c Code) Rule() string { return reasonOf[c].Rule }

// Reasons lists every reason there is, in the order of the stages.
func Reasons() []About { return slices.Clone(reasonTable) }

var reasonOf = func() map[Code]About {
	m := make(map[Code]About, len(reasonTable))
	for _, a := range reasonTable {
		m[a.Code] = a
	}
	return m
}()

// Known tells whether the code is in the table.
func (c Code) Known() bool { _, ok := reasonOf[c]; return ok }
