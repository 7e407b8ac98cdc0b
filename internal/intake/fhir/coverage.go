package fhir

import (
	"strings"

	"github.com/carepost/carepost/internal/people"
)

var coverageStates = map[string]people.FactState{
	"active": people.StateActive, "cancelled": people.StateCancelled, "draft": people.StateProposed, "entered-in-error": people.StateError,
}

func coverage(r *resource, _ *mapping) []people.Fact {
	f := people.Fact{Kind: people.FactCoverage, State: r.state("status", coverageStates), Text: map[string]string{}}
	p := get[period](r, "period")
	f.Start, f.End = r.moment("period", p.Start), r.moment("period", p.End)
	var payors []string
	for _, x := range list[reference](r, "payor") {
		if x.Display != "" {
			payors = append(payors, r.text("payor", x.Display))
		}
	}
	f.Text[people.TextPayor] = strings.Join(payors, ", ")
	typed := get[concept](r, "type")
	f.Codes = r.codes("type", typed)
	f.Text[people.TextLabel] = r.text("type", typed.label())
	f.Text[people.TextInsurance] = insurance(typed, f.Text[people.TextPayor])
	return one(f)
}

// insurance gives the kind of a coverage: by its codes (HL7 ActCode; the source of payment typology of NAHDO, whose first digit is
// the kind), else by words.
func insurance(typed concept, payor string) string {
	for _, c := range typed.Coding {
		if strings.EqualFold(c.Code, "PAY") {
			return "self-pay"
		}
		if strings.Contains(c.System, "2.16.840.1.113883.3.221.5") || strings.Contains(c.System, "nahdo.org/sopt") {
			return typology(c.Code)
		}
	}
	words := strings.ToLower(typed.label() + " " + payor)
	for _, w := range []struct{ word, kind string }{
		{"medicaid", "medicaid"},
		{"medicare", "medicare"},
		{"self pay", "self-pay"},
		{"self-pay", "self-pay"},
		{"no_insurance", "self-pay"},
		{"uninsured", "self-pay"},
	} {
		if strings.Contains(words, w.word) {
			return w.kind
		}
	}
	for _, c := range typed.Coding {
		switch strings.ToUpper(c.Code) {
		case "HIP", "EHCPOL", "HSAPOL", "MCPOL", "HMO", "PPO", "POS":
			return "commercial"
		}
	}
	return "other"
}

func typology(code string) string {
	for _, t := range []struct{ prefix, kind string }{{"1", "medicare"}, {"2", "medicaid"}, {"5", "commercial"}, {"6", "commercial"}, {"81", "self-pay"}} {
		if strings.HasPrefix(code, t.prefix) {
			return t.kind
		}
	}
	return "other"
}

var consentStates = map[string]people.FactState{
	"draft": people.StateProposed, "proposed": people.StateProposed, "active": people.StateActive, "rejected": people.StateInactive,
	"inactive": people.StateInactive, "entered-in-error": people.StateError,
}

type provision struct {
	Type    string   `json:"type"`
	Period  period   `json:"period"`
	Purpose []coding `json:"purpose"`
}

// consent maps a Consent to a proposal: a marketing authorization needs its signed text (45 CFR 164.508(c)), which this is not.
func consent(r *resource, _ *mapping) []people.Fact {
	categories := list[concept](r, "category")
	scope := get[concept](r, "scope")
	f := people.Fact{
		Kind: people.FactConsent, State: r.state("status", consentStates), Codes: r.codes("category", categories...),
		Start: r.moment("dateTime", get[string](r, "dateTime")), Text: map[string]string{people.TextScope: r.text("scope", scope.code())},
	}
	for _, c := range categories {
		if label := r.text("category", c.label()); label != "" {
			f.Text[people.TextLabel] = label
			break
		}
	}
	p := get[provision](r, "provision")
	switch p.Type {
	case "permit", "deny":
		f.Text[people.TextProvision] = p.Type
	case "":
		rule := get[concept](r, "policyRule").code()
		switch {
		case strings.HasPrefix(rule, "optin"):
			f.Text[people.TextProvision] = "permit"
		case strings.HasPrefix(rule, "optout"):
			f.Text[people.TextProvision] = "deny"
		}
	default:
		r.warn("provision.type", reasonCode)
	}
	f.End = r.moment("provision.period", p.Period.End)
	var purposes []string
	for _, x := range p.Purpose {
		purposes = append(purposes, r.text("provision.purpose", x.Code))
	}
	f.Text[people.TextPurpose] = strings.Join(purposes, ",")
	return one(f)
}

// relatedPerson maps somebody who may act for the patient: a fact of the patient's own record.
func relatedPerson(r *resource, m *mapping) []people.Fact {
	f := people.Fact{Kind: people.FactProxy, State: people.StateActive, Text: map[string]string{}}
	p := get[period](r, "period")
	f.Start, f.End = r.moment("period", p.Start), r.moment("period", p.End)
	if active := get[*bool](r, "active"); active != nil && !*active || p.over(m.Received) {
		f.State = people.StateInactive
	}
	for _, n := range r.names(m.Received) {
		f.Text[people.TextName] = strings.TrimSpace(strings.Join(n.Given, " ") + " " + n.Family)
		break
	}
	for _, c := range r.contacts(m.Context) {
		switch {
		case c.State != people.ContactUsable:
		case c.Channel == people.ChannelEmail && f.Text[people.TextEmail] == "":
			f.Text[people.TextEmail] = c.Normal
		case c.Channel == people.ChannelPhone && f.Text[people.TextPhone] == "":
			f.Text[people.TextPhone] = c.Normal
		}
	}
	for _, c := range list[concept](r, "relationship") {
		for _, x := range c.Coding {
			f.Codes = append(f.Codes, r.codes("relationship", concept{Coding: []coding{x}})...)
			if f.Text[people.TextLabel] == "" {
				f.Text[people.TextLabel] = r.text("relationship", x.Code)
			}
		}
		if f.Text[people.TextLabel] == "" {
			f.Text[people.TextLabel] = r.text("relationship", c.Text)
		}
	}
	return one(f)
}
