package gate_test

import (
	"testing"
	"time"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// TestDecide reads like the regulation: one case for each thing that a rule says.
func TestDecide(t *testing.T) {
	n := 0
	for _, group := range decideCases {
		for _, c := range group {
			n++
			t.Run(c.rule, func(t *testing.T) {
				f := c.base()
				if c.change != nil {
					c.change(&f)
				}
				d := gate.Decide(f)
				if d.Means != c.means {
					t.Errorf("%s, want %s: %v", d.Means, c.means, d.Reasons)
				}
				if !inOrder(codes(d.Reasons), c.why) {
					t.Errorf("reasons %v, want among them in order %v", codes(d.Reasons), c.why)
				}
				checkDecision(t, d)
			})
		}
	}
	if n < 80 {
		t.Errorf("%d cases, want 80 or more", n)
	}
}

// again are the reasons that come out of their place: what the lint found is asked of the law again, and a demand may be found to
// be impossible only when nothing else is left.
var again = map[gate.Code]bool{
	gate.ServiceWithPHI: true, gate.CarrierUncovered: true, gate.CarrierCovered: true, gate.TextNotPrivate: true,
	gate.DemandImpossible: true,
}

// checkDecision: what must hold of every decision.
func checkDecision(t interface{ Errorf(string, ...any) }, d gate.Decision) {
	last := gate.Stage(0)
	for _, r := range d.Reasons {
		about := r.Code.About()
		if about.Text == "" || about.Rule == "" {
			t.Errorf("reason %q is not in the table", r.Code)
		}
		if about.Stage < last && !again[r.Code] {
			t.Errorf("reason %q is out of order: %v", r.Code, codes(d.Reasons))
		}
		last = max(last, about.Stage)
	}
	switch {
	case d.Deciding().Code == "":
		t.Errorf("nothing settled the decision: %+v", d)
	case d.Means == gate.MeansTLS && d.Proof == gate.ProofNone, d.Means != gate.MeansTLS && d.Proof != gate.ProofNone:
		t.Errorf("%s with the proof %q", d.Means, d.Proof)
	case d.Means == gate.MeansPlain && d.PHI:
		t.Errorf("health information goes plain")
	case d.Means == gate.MeansPlainRequested && d.Warning.IsZero():
		t.Errorf("plain mail without the record of the warning")
	case d.Means != gate.MeansHeld && !d.NotBefore.IsZero():
		t.Errorf("%s waits for the clock", d.Means)
	}
}

// TestNeighbours sets each stage of the order against the next: the earlier one wins.
func TestNeighbours(t *testing.T) {
	for _, c := range []decideCase{
		{
			"recipient before purpose", care, func(f *gate.Facts) { f.Recipient.Deceased, f.Message.Purpose = true, ledger.PurposeNone },
			gate.MeansRefused, why(gate.DeceasedPerson),
		},
		{
			"purpose before authorization: a valid authorization does not replace a declaration", offer, func(f *gate.Facts) { f.Message.Class = gate.ClassUndeclared },
			gate.MeansHeld, why(gate.ClassMissing, gate.AuthorizationValid),
		},
		{"authorization before opt-out: without it nobody asks further", offer, func(f *gate.Facts) {
			f.Authorizations = nil
			covers(gate.CoversCommercial, "")(f)
		}, gate.MeansRefused, why(gate.AuthorizationMissing)},
		{
			"opt-out after authorization: an authorization does not undo it", offer, covers(gate.CoversCommercial, ""),
			gate.MeansRefused, why(gate.AuthorizationValid, gate.OptedOutCommercial),
		},
		{"opt-out before restriction", newsletter, func(f *gate.Facts) {
			covers(gate.CoversTopic, "news")(f)
			restrict(gate.Restriction{Topic: "news"})(f)
		}, gate.MeansRefused, why(gate.OptedOutTopic)},
		{"restriction before confidential communication: the right address does not lift it", care, func(f *gate.Facts) {
			restrict(gate.Restriction{Purpose: ledger.PurposeTreatment})(f)
			confide(gate.Confidential{Contact: home})(f)
		}, gate.MeansRefused, why(gate.RestrictedUse)},
		{"confidential communication before sensitive class: TLS asked for, and substance use treatment may not go so", care, func(f *gate.Facts) {
			confide(gate.Confidential{Means: gate.MeansTLS})(f)
			holds(gate.SensitivePart2)(f)
		}, gate.MeansHeld, why(gate.ConfidentialMeans, gate.Part2Protected, gate.DemandImpossible)},
		{"sensitive class before agreement: an agreement opens no mailbox", care, func(f *gate.Facts) {
			f.Carrier = gate.Carrier{Needed: true, Covered: true, Agreement: paper}
			holds(gate.SensitiveHIV)(f)
		}, gate.MeansPickup, why(gate.SensitiveProtected, gate.CarrierCovered, gate.UsesPickup)},
		{"agreement before approval of the text", care, func(f *gate.Facts) {
			f.Carrier, f.Message.Material = gate.Carrier{Needed: true}, gate.Material{Required: true}
		}, gate.MeansHeld, why(gate.CarrierUncovered, gate.MaterialUnapproved)},
		{"approval of the text before contact limits: the clock does not approve", newsletter, func(f *gate.Facts) {
			f.Message.Material.Required, f.Policy.BulkPerWeek, f.Contacts.BulkWeek = true, 1, 1
		}, gate.MeansHeld, why(gate.MaterialUnapproved, gate.BulkLimit)},
		{"contact limits before the sender's demand", newsletter, func(f *gate.Facts) {
			f.Policy.BulkPerWeek, f.Contacts.BulkWeek, f.Message.Demand = 1, 1, gate.MeansPickup
		}, gate.MeansHeld, why(gate.BulkLimit, gate.DemandHonoured)},
		{"law before the sender's demand: no TLS for what only the person may open", care, func(f *gate.Facts) {
			f.Message.Demand, f.Recipient.Shared = gate.MeansTLS, true
		}, gate.MeansHeld, why(gate.AddressShared, gate.DemandImpossible)},
		{"the sender's demand before the lint", care, func(f *gate.Facts) {
			f.Message.Demand = gate.MeansTLS
			found(gate.EffectStrong)(f)
		}, gate.MeansTLS, why(gate.DemandHonoured, gate.LintOverruled, gate.TLSByMTASTS)},
		{"the lint before the person's request for plain mail", care, func(f *gate.Facts) {
			f.PlainRequests = []gate.PlainRequest{asked()}
			found(gate.EffectStrong)(f)
		}, gate.MeansPickup, why(gate.LintStrong, gate.PlainYields, gate.UsesPickup)},
		{"the sender's demand before the person's request for plain mail", care, func(f *gate.Facts) {
			f.Message.Demand, f.PlainRequests = gate.MeansTLS, []gate.PlainRequest{asked()}
		}, gate.MeansTLS, why(gate.DemandHonoured, gate.PlainYields, gate.TLSByMTASTS)},
		{"the request for plain mail before the keys", care, func(f *gate.Facts) {
			f.PlainRequests, f.Keys.PGP = []gate.PlainRequest{asked()}, pgpKey()
		}, gate.MeansPlainRequested, why(gate.PlainAsked)},
		{"the keys before proven TLS", care, func(f *gate.Facts) { f.Keys.PGP = pgpKey() }, gate.MeansPGP, why(gate.UsesPGP)},
		{"proven TLS before pickup", care, nil, gate.MeansTLS, why(gate.TLSByMTASTS)},
		{"pickup before nothing", care, func(f *gate.Facts) { f.TLS = gate.TLS{} }, gate.MeansPickup, why(gate.UsesPickup)},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f := c.base()
			if c.change != nil {
				c.change(&f)
			}
			d := gate.Decide(f)
			if d.Means != c.means || !inOrder(codes(d.Reasons), c.why) {
				t.Errorf("%s %v, want %s %v", d.Means, codes(d.Reasons), c.means, c.why)
			}
			checkDecision(t, d)
		})
	}
}

// TestRefusalEndsIt: nothing is asked after a refusal, and a refusal beats an earlier hold.
func TestRefusalEndsIt(t *testing.T) {
	f := care()
	f.Recipient.Address = gate.AddressUnproven
	covers(gate.CoversAll, "")(&f)
	restrict(gate.Restriction{})(&f)
	d := gate.Decide(f)
	got := codes(d.Reasons)
	if d.Means != gate.MeansRefused || got[len(got)-1] != gate.OptedOutAll {
		t.Errorf("%s %v", d.Means, got)
	}
}

// TestUnknownValues: a value that this version does not know, from a newer one or by mistake, never lets a message go weaker.
func TestUnknownValues(t *testing.T) {
	for name, change := range map[string]func(f *gate.Facts){
		"recipient": func(f *gate.Facts) { f.Recipient.Kind = 99 }, "address": func(f *gate.Facts) { f.Recipient.Address = 99 },
		"channel": func(f *gate.Facts) { f.Message.Channel = 99 }, "no channel": func(f *gate.Facts) { f.Message.Channel = 0 },
		"purpose": func(f *gate.Facts) { f.Message.Purpose = 99 }, "class": func(f *gate.Facts) { f.Message.Class = 99 },
		"payer": func(f *gate.Facts) { f.Message.Payer.Who = 99 }, "holder": func(f *gate.Facts) { f.Recipient.Holder = 99 },
		"demand": func(f *gate.Facts) { f.Message.Demand = "carrier pigeon" }, "a demand for plain": func(f *gate.Facts) { f.Message.Demand = gate.MeansPlain },
		"effect": found(99), "opt-out": covers(99, ""), "means": confide(gate.Confidential{Means: "plain"}),
		"carriage": func(f *gate.Facts) { f.Carriage = "flood" },
		"nothing":  func(f *gate.Facts) { *f = gate.Facts{Now: noon} },
	} {
		f := care()
		change(&f)
		if d := gate.Decide(f); d.Means.Rank() < gate.MeansHeld.Rank() {
			t.Errorf("%s: %s %v", name, d.Means, codes(d.Reasons))
		}
	}
	f := care()
	holds("new_class")(&f)
	if d := gate.Decide(f); d.Means != gate.MeansPickup {
		t.Errorf("%s %v", d.Means, codes(d.Reasons))
	}
	f = care()
	f.TLS.State = 99
	if d := gate.Decide(f); d.Means != gate.MeansPickup {
		t.Errorf("%s %v", d.Means, codes(d.Reasons))
	}
}

// TestNotBefore: what only the clock holds is released by it; what a person must settle is not.
func TestNotBefore(t *testing.T) {
	night := text()
	night.Now = noon.Add(10 * time.Hour) // ten in the evening in New York
	if d := gate.Decide(night); !d.NotBefore.Equal(time.Date(2026, time.November, 25, 14, 0, 0, 0, time.UTC)) {
		t.Errorf("not before %v", d.NotBefore)
	}
	night.Message.Material.Required = true
	if d := gate.Decide(night); !d.NotBefore.IsZero() {
		t.Errorf("the clock releases what a person must settle, at %v", d.NotBefore)
	}
	late := care()
	late.Message.Channel, late.Message.Text, late.Message.Purpose = people.ChannelPhone, gate.TextInformation, ledger.PurposeTreatment
	late.OptIns = []gate.OptIn{{Channel: people.ChannelPhone}}
	late.Recipient.Zones = []*time.Location{newYork, time.FixedZone("", -8*3600)}
	if d := gate.Decide(late); d.Means != gate.MeansPickup { // noon in New York is nine in Los Angeles
		t.Errorf("%s %v", d.Means, d.Reasons)
	}
	late.Now = noon.Add(-2 * time.Hour)
	if d := gate.Decide(late); !d.NotBefore.Equal(noon.Add(-time.Hour)) { // care hours begin at eight, the western zone's
		t.Errorf("not before %v", d.NotBefore)
	}
}

// TestRedecide: a proof that was not met.
func TestRedecide(t *testing.T) {
	first := gate.Decide(care())
	if first.Means != gate.MeansTLS || first.Proof != gate.ProofMTASTS {
		t.Fatalf("%+v", first)
	}
	if d := gate.Redecide(care(), first); d.Means != gate.MeansPickup {
		t.Errorf("%s %v", d.Means, d.Reasons)
	}
	f := care()
	f.Message.Demand = gate.MeansTLS
	if d := gate.Redecide(f, gate.Decide(f)); d.Means != gate.MeansHeld {
		t.Errorf("%s %v", d.Means, d.Reasons)
	}
}

// TestDetail: what the ledger keeps names the records and no values.
func TestDetail(t *testing.T) {
	d := gate.Decide(offer())
	detail := d.Detail()
	if detail["means"] != "tls" || detail["proof"] != "mta_sts" || detail["authorization"] != signed.String() {
		t.Errorf("%v", detail)
	}
	want := "phi_declared paid_by_third_party marketing_needs_authorization authorization_valid=" + signed.String() + " tls_mta_sts"
	if detail["reasons"] != want {
		t.Errorf("%s\nwant %s", detail["reasons"], want)
	}
	for i, line := range d.Explain() {
		if line.Text == "" || line.Rule == "" || line.Stage == "" || line.Weight == "" || line.Code != d.Reasons[i].Code {
			t.Errorf("%+v", line)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := offer()
	for b.Loop() {
		gate.Decide(f)
	}
}
