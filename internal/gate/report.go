package gate

import (
	"strings"

	"github.com/carepost/carepost/internal/ledger"
)

// Line is a reason as staff read it.
type Line struct {
	Stage  string `json:"stage"`
	Code   Code   `json:"code"`
	Weight string `json:"weight"`
	Text   string `json:"text"`
	Rule   string `json:"rule"`
	Ref    string `json:"ref,omitempty"`
}

// Explain gives the reasons of the decision as lines, in the order they were settled.
func (d Decision) Explain() []Line { return explain(d.Reasons) }

func explain(reasons []Reason) []Line {
	lines := make([]Line, 0, len(reasons))
	for _, r := range reasons {
		a := r.Code.About()
		lines = append(lines, Line{Stage: a.Stage.String(), Code: r.Code, Weight: a.Weight.String(), Text: a.Text, Rule: a.Rule, Ref: r.Ref})
	}
	return lines
}

// Detail gives what the ledger entry of the decision keeps: the means, the reasons with their records, the proof asked for.
func (d Decision) Detail() ledger.Detail {
	detail := ledger.Detail{"means": string(d.Means), "reasons": joined(d.Reasons)}
	if d.Proof != ProofNone {
		detail["proof"] = string(d.Proof)
	}
	if !d.Warning.IsZero() {
		detail["warning"] = d.Warning.String()
	}
	if !d.Authorization.IsZero() {
		detail["authorization"] = d.Authorization.String()
	}
	if !d.Agreement.IsZero() {
		detail["agreement"] = d.Agreement.String()
	}
	if d.Accountable {
		detail["accountable"] = "yes"
	}
	return detail
}

// joined writes reasons as "code=ref code code".
func joined(reasons []Reason) string {
	var b strings.Builder
	for i, r := range reasons {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(r.Code))
		if r.Ref != "" {
			b.WriteString("=" + r.Ref)
		}
	}
	return b.String()
}

// Deciding gives the reason that settled the decision: the last that refuses, holds or chooses as the means say.
func (d Decision) Deciding() Reason {
	want := Chooses
	if d.Means == MeansHeld {
		want = Holds
	}
	if d.Means == MeansRefused {
		want = Refuses
	}
	for i := len(d.Reasons) - 1; i >= 0; i-- {
		if d.Reasons[i].Code.About().Weight == want {
			return d.Reasons[i]
		}
	}
	return Reason{}
}
