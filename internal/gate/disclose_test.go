package gate_test

import (
	"slices"
	"testing"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/ledger"
)

// feed is a feed of outcomes to a business associate, with an agreement.
func feed() gate.DisclosureFacts {
	return gate.DisclosureFacts{
		Now: noon, Purpose: ledger.PurposeOperations,
		Destination: gate.Destination{Name: "Warehouse", Kind: gate.DestinationAssociate, Service: "warehouse", Covered: true, Agreement: paper},
		Fields:      []string{"person", "opened"}, Needed: []string{"person", "opened"},
	}
}

// referral is a summary to another provider who treats the person.
func referral() gate.DisclosureFacts {
	f := feed()
	f.Purpose, f.Destination, f.Needed = ledger.PurposeTreatment, gate.Destination{Name: "Clinic", Kind: gate.DestinationProvider}, nil
	return f
}

// own is the person's own export.
func own() gate.DisclosureFacts {
	f := referral()
	f.Purpose, f.Destination, f.ToPerson = ledger.PurposeOperations, gate.Destination{}, true
	return f
}

type discloseCase struct {
	rule        string
	base        func() gate.DisclosureFacts
	change      func(f *gate.DisclosureFacts)
	allowed     bool
	accountable bool
	why         []gate.Code
}

func allow(a gate.Authorization) []gate.Authorization { return []gate.Authorization{a} }

var discloseCases = []discloseCase{
	{"45 CFR 164.502(e): an associate with an agreement receives it", feed, nil, true, false, why(gate.AssociateCovered)},
	{"and without one does not", feed, func(f *gate.DisclosureFacts) { f.Destination.Covered = false }, false, false, why(gate.AssociateUncovered)},
	{"45 CFR 164.506(c)(2): a provider receives it for treatment", referral, nil, true, false, nil},
	{"the purpose is declared", feed, func(f *gate.DisclosureFacts) { f.Purpose = ledger.PurposeNone }, false, false, why(gate.PurposeMissing)},
	{"what the receiver is is declared", feed, func(f *gate.DisclosureFacts) { f.Destination.Kind = gate.DestinationUndeclared }, false, false, why(gate.DestinationUnclear)},
	{"45 CFR 164.524: the person receives it all", own, nil, true, false, why(gate.ToThePerson)},
	{"no advertising audience, whatever is signed", feed, func(f *gate.DisclosureFacts) {
		f.Destination.AdAudience, f.Authorizations = true, allow(authorized())
	}, false, false, why(gate.AdAudience)},
	{"45 CFR 164.508(a)(3): marketing needs an authorization", feed, func(f *gate.DisclosureFacts) { f.Purpose = ledger.PurposeMarketing }, false, false, why(gate.MarketingNeedsIt, gate.AuthorizationMissing)},
	{"and goes with one", feed, func(f *gate.DisclosureFacts) {
		f.Purpose, f.Authorizations = ledger.PurposeMarketing, allow(authorized())
	}, true, false, why(gate.AuthorizationValid)},
	{"45 CFR 164.502(a)(5)(ii): a sale needs an authorization", feed, func(f *gate.DisclosureFacts) { f.Paid = true }, false, false, why(gate.SaleNeedsIt, gate.AuthorizationMissing)},
	{"45 CFR 164.508(a)(4): that says so", feed, func(f *gate.DisclosureFacts) {
		a := authorized()
		a.Purposes, a.Payers, a.StatesRemuneration = []ledger.Purpose{ledger.PurposeOperations}, []string{"Warehouse"}, false
		f.Paid, f.Authorizations = true, allow(a)
	}, false, false, why(gate.AuthorizationSilent)},
	{"an authorization for marketing opens nothing else", feed, func(f *gate.DisclosureFacts) {
		a := authorized()
		a.Payers = []string{"Warehouse"}
		f.Paid, f.Authorizations = true, allow(a)
	}, false, false, why(gate.AuthorizationPurpose)},
	{"45 CFR 164.508(a)(1): who is neither provider nor plan nor associate needs one", feed, func(f *gate.DisclosureFacts) {
		f.Destination = gate.Destination{Name: "Friend", Kind: gate.DestinationOther}
	}, false, false, why(gate.OutsideNeedsIt, gate.AuthorizationMissing)},
	{"45 CFR 164.528: fundraising by an associate is accounted for", feed, func(f *gate.DisclosureFacts) { f.Purpose = ledger.PurposeFundraising }, true, true, why(gate.AssociateCovered)},
	{"45 CFR 164.522(a)(1)(vi): the plan is not told what was paid in full", referral, func(f *gate.DisclosureFacts) {
		f.Purpose, f.Destination.Kind, f.Needed = ledger.PurposePayment, gate.DestinationPlan, f.Fields
		f.Restrictions = []gate.Restriction{{ID: record, Payer: true}}
	}, false, false, why(gate.RestrictedPayer)},
	{"the treating provider is", referral, func(f *gate.DisclosureFacts) { f.Restrictions = []gate.Restriction{{ID: record, Payer: true}} }, true, false, nil},
	{"45 CFR 164.522(a)(1)(iii): an agreed restriction binds feeds", feed, func(f *gate.DisclosureFacts) {
		f.Restrictions = []gate.Restriction{{ID: record, Purpose: ledger.PurposeOperations}}
	}, false, false, why(gate.RestrictedUse)},
	{"and nothing to the person", own, func(f *gate.DisclosureFacts) { f.Restrictions = []gate.Restriction{{ID: record}} }, true, false, nil},
	{"45 CFR 164.508(a)(2): psychotherapy notes stay", referral, func(f *gate.DisclosureFacts) { f.Sensitive = []gate.Sensitive{gate.SensitivePsychotherapy} }, false, false, why(gate.PsychotherapyNotes)},
	{"42 CFR 2.31(b): counselling notes too", referral, func(f *gate.DisclosureFacts) { f.Sensitive = []gate.Sensitive{gate.SensitiveCounselling} }, false, false, why(gate.CounsellingNotes)},
	{"42 CFR 2.33: substance use records need consent", feed, func(f *gate.DisclosureFacts) { f.Sensitive = []gate.Sensitive{gate.SensitivePart2} }, false, false, why(gate.Part2NoConsent)},
	{"42 CFR 2.32: and the notice", feed, func(f *gate.DisclosureFacts) {
		f.Sensitive, f.Part2Consents = []gate.Sensitive{gate.SensitivePart2}, []gate.Part2Consent{{ID: consent}}
	}, false, false, why(gate.Part2Consented, gate.Part2NoNotice)},
	{"with both they go", feed, func(f *gate.DisclosureFacts) {
		f.Sensitive, f.Part2Consents, f.Part2Notice = []gate.Sensitive{gate.SensitivePart2}, []gate.Part2Consent{{ID: consent}}, true
	}, true, false, why(gate.Part2Consented)},
	{"42 CFR 2.23: the patient needs neither", own, func(f *gate.DisclosureFacts) { f.Sensitive = []gate.Sensitive{gate.SensitivePart2} }, true, false, nil},
	{"45 CFR 164.502(b): what is not needed stays", feed, func(f *gate.DisclosureFacts) { f.Needed = []string{"person"} }, true, false, why(gate.FieldsDropped)},
	{"and where nothing is needed nothing goes", feed, func(f *gate.DisclosureFacts) { f.Needed = nil }, false, false, why(gate.FieldsDropped, gate.NothingNeeded)},
}

func TestDisclose(t *testing.T) {
	for _, c := range discloseCases {
		t.Run(c.rule, func(t *testing.T) {
			f := c.base()
			if c.change != nil {
				c.change(&f)
			}
			d := gate.Disclose(f)
			if d.Allowed != c.allowed || d.Accountable != c.accountable || !inOrder(codes(d.Reasons), c.why) {
				t.Errorf("allowed %v, accountable %v, %v; want %v %v %v", d.Allowed, d.Accountable, codes(d.Reasons), c.allowed, c.accountable, c.why)
			}
			for _, r := range d.Reasons {
				if !r.Code.Known() {
					t.Errorf("reason %q is not in the table", r.Code)
				}
			}
			if !d.Allowed && (len(d.Fields) > 0 || len(d.Dropped) > 0) {
				t.Error("a refusal gives fields")
			}
			if d.Allowed && d.Detail()["allowed"] != "yes" {
				t.Error(d.Detail())
			}
		})
	}
}

// TestMinimumNecessary: what goes is what the purpose needs; treatment, the person and an authorization ask for no less than all.
func TestMinimumNecessary(t *testing.T) {
	f := feed()
	f.Fields = []string{"person", "opened", "diagnosis"}
	if d := gate.Disclose(f); !slices.Equal(d.Fields, []string{"person", "opened"}) || !slices.Equal(d.Dropped, []string{"diagnosis"}) {
		t.Errorf("%v %v", d.Fields, d.Dropped)
	}
	r := referral()
	r.Fields = f.Fields
	if d := gate.Disclose(r); len(d.Fields) != 3 || len(d.Dropped) != 0 {
		t.Errorf("%v %v", d.Fields, d.Dropped)
	}
}
