package gate_test

import (
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// TestMain has each property tried on some thousands of made-up facts; -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.checks" })
	if !chosen {
		if err := flag.Set("rapid.checks", "3000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A restriction is a fact that some law, person or sender adds against a message. Adding one never weakens protection.
// Demands stand here as far as they ask for the strongest: a demand for TLS chooses between protections and restricts nothing.
var addedRestrictions = map[string]func(f *gate.Facts){
	"the person died":             func(f *gate.Facts) { f.Recipient.Deceased = true },
	"the person is a minor":       func(f *gate.Facts) { f.Recipient.Age, f.Recipient.AgeKnown, f.Recipient.OwnCare = 9, true, false },
	"the proxy's authority ended": func(f *gate.Facts) { f.Recipient.Proxy.Ended = true },
	"no address":                  func(f *gate.Facts) { f.Recipient.Address = gate.AddressNone },
	"a doubtful address": func(f *gate.Facts) {
		if f.Recipient.Address == gate.AddressUsable {
			f.Recipient.Address = gate.AddressUnproven
		}
	},
	"a shared address":          func(f *gate.Facts) { f.Recipient.Shared = true },
	"health information":        func(f *gate.Facts) { f.Message.PHI = true },
	"chosen by health":          func(f *gate.Facts) { f.Message.SelectedByHealth = true },
	"protect all":               func(f *gate.Facts) { f.Policy.ProtectAll = true },
	"an undeclared payer":       instead(gate.Payer{}),
	"a third party pays":        instead(gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationAboveCost, Name: "Acme"}),
	"an offer":                  func(f *gate.Facts) { f.Message.Offer = true },
	"a federal beneficiary":     func(f *gate.Facts) { f.Recipient.FederalBeneficiary = true },
	"revoked authorizations":    func(f *gate.Facts) { each(f.Authorizations, func(a *gate.Authorization) { a.Revoked = true }) },
	"expired authorizations":    func(f *gate.Facts) { each(f.Authorizations, func(a *gate.Authorization) { a.Expires = 1 }) },
	"an opt-out of everything":  covers(gate.CoversAll, ""),
	"a dead address":            covers(gate.CoversAddress, ""),
	"a commercial opt-out":      covers(gate.CoversCommercial, ""),
	"an opt-out of the topic":   func(f *gate.Facts) { covers(gate.CoversTopic, f.Message.Topic)(f) },
	"an opt-out of fundraising": covers(gate.CoversFundraising, ""),
	"STOP":                      covers(gate.CoversTexts, ""),
	"a topic by opt-in only":    func(f *gate.Facts) { f.Message.NeedsOptIn = true },
	"a restriction of the use":  func(f *gate.Facts) { restrict(gate.Restriction{Purpose: f.Message.Purpose})(f) },
	"a restriction of telling":  restrict(gate.Restriction{Proxy: true}),
	"post only":                 confide(gate.Confidential{PostOnly: true}),
	"another address":           confide(gate.Confidential{Contact: work}),
	"the person wants pickup":   confide(gate.Confidential{Means: gate.MeansPickup}),
	"the person wants PGP":      confide(gate.Confidential{Means: gate.MeansPGP}),
	"substance use records":     holds(gate.SensitivePart2),
	"HIV":                       holds(gate.SensitiveHIV),
	"a minor's own care":        holds(gate.SensitiveMinorConsent),
	"psychotherapy notes":       holds(gate.SensitivePsychotherapy),
	"no agreement":              func(f *gate.Facts) { f.Carrier.Needed, f.Carrier.Covered = true, false },
	"no approval":               func(f *gate.Facts) { f.Message.Material.Required, f.Message.Material.Approved = true, false },
	"an unchecked translation": func(f *gate.Facts) {
		f.Message.Material.Translated, f.Message.Material.TranslationChecked = true, false
	},
	"night": func(f *gate.Facts) { f.Now = f.Now.Add(10 * time.Hour) },
	"a full week": func(f *gate.Facts) {
		f.Contacts = gate.Contacts{TextsDay: 9, TextsWeek: 9, SolicitationsDay: 9, BulkWeek: 9}
	},
	"a demand for pickup":       demands(gate.MeansPickup),
	"a demand for S/MIME":       demands(gate.MeansSMIME),
	"the lint sees PHI":         found(gate.EffectProtect),
	"the lint sees too much":    found(gate.EffectStrong),
	"the lint sees a mistake":   found(gate.EffectHold),
	"plain requests are off":    func(f *gate.Facts) { f.Policy.PlainRequestsOff = true },
	"plain requests withdrawn":  func(f *gate.Facts) { each(f.PlainRequests, func(p *gate.PlainRequest) { p.Revoked = true }) },
	"TLS can prove nothing":     worse(gate.TLSNone),
	"TLS failed":                worse(gate.TLSFailed),
	"the domain breaks its own": func(f *gate.Facts) { f.TLS.State = gate.TLSBroken },
	"no pickup":                 func(f *gate.Facts) { f.Policy.Pickup = false },
	"decided as pickup before":  decided(gate.Decision{Means: gate.MeansPickup}),
	"demanded PGP before":       decided(gate.Decision{Means: gate.MeansPGP, Demanded: true}),
}

// A permission is a fact that allows more. Adding one never adds a restriction.
var addedPermissions = map[string]func(f *gate.Facts){
	"an authorization": func(f *gate.Facts) { f.Authorizations = append(f.Authorizations, authorized()) },
	"an opt-in": func(f *gate.Facts) {
		f.OptIns = append(f.OptIns, gate.OptIn{ID: consent, Channel: f.Message.Channel, Topic: f.Message.Topic})
	},
	"a written opt-in": func(f *gate.Facts) {
		f.OptIns = append(f.OptIns, gate.OptIn{Channel: f.Message.Channel, Written: true})
	},
	"a request for plain mail": func(f *gate.Facts) { f.PlainRequests = append(f.PlainRequests, asked()) },
	"a consent under Part 2": func(f *gate.Facts) {
		f.Part2Consents = append(f.Part2Consents, gate.Part2Consent{Holder: f.Recipient.Holder})
	},
	"an agreement":                 func(f *gate.Facts) { f.Carrier.Covered = true },
	"a carrier no longer needed":   func(f *gate.Facts) { f.Carrier.Needed = false },
	"an approval":                  func(f *gate.Facts) { f.Message.Material = gate.Material{} },
	"a worksheet":                  func(f *gate.Facts) { f.Message.Payer.Worksheet = true },
	"nobody pays":                  func(f *gate.Facts) { f.Message.Payer = gate.Payer{Who: gate.PayerSelf} },
	"a proof of TLS":               func(f *gate.Facts) { f.TLS = gate.TLS{State: gate.TLSOffered, Proof: gate.ProofDANE} },
	"certificates are accepted":    func(f *gate.Facts) { f.Policy.AcceptPKIX = true },
	"sensitive classes by TLS":     func(f *gate.Facts) { f.Policy.SensitiveTLS = true },
	"pickup":                       func(f *gate.Facts) { f.Policy.Pickup = true },
	"plain requests are honoured":  func(f *gate.Facts) { f.Policy.PlainRequestsOff = false },
	"an address of one's own":      func(f *gate.Facts) { f.Recipient.Shared = false },
	"a usable address":             func(f *gate.Facts) { f.Recipient.Address = gate.AddressUsable },
	"a recorded proxy":             func(f *gate.Facts) { f.Recipient.Proxy = gate.Proxy{Recorded: true} },
	"a current prescription":       func(f *gate.Facts) { f.Message.Refill = gate.Refill{Known: true, Current: true} },
	"all elements":                 func(f *gate.Facts) { f.Message.Elements = elements() },
	"a matter that cannot wait":    func(f *gate.Facts) { f.Message.Urgent = true },
	"a safety notice":              func(f *gate.Facts) { f.Message.Safety = true },
	"opt-outs lifted":              func(f *gate.Facts) { f.OptOuts = nil },
	"restrictions lifted":          func(f *gate.Facts) { f.Restrictions = nil },
	"confidential requests lifted": func(f *gate.Facts) { f.Confidential = nil },
	"nothing received before":      func(f *gate.Facts) { f.Contacts = gate.Contacts{} },
}

// worse sets a state of TLS that proves nothing; a domain that breaks its own policy stays broken.
func worse(s gate.TLSState) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		if f.TLS.State != gate.TLSBroken {
			f.TLS.State = s
		}
	}
}

// instead says that somebody else than the organisation pays.
func instead(p gate.Payer) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		if f.Message.Payer.Who == gate.PayerSelf {
			f.Message.Payer = p
		}
	}
}

// decided adds a decision before this one, where there was none.
func decided(d gate.Decision) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		if f.Previous == nil {
			f.Previous = &d
		}
	}
}

// demands adds a demand; another demand in its place would be a change, not an addition.
func demands(m gate.Means) func(f *gate.Facts) {
	return func(f *gate.Facts) {
		if f.Message.Demand == "" {
			f.Message.Demand = m
		}
	}
}

func elements() gate.Elements {
	return gate.Elements{OptOut: true, PostalAddress: true, AdLabel: true, StopNotice: true, Part2Notice: true, FreeToUser: true}
}

func each[T any](list []T, change func(x *T)) {
	for i := range list {
		change(&list[i])
	}
}

// drawFacts makes facts by taking one of the bases and some of all changes.
func drawFacts(t *rapid.T) gate.Facts {
	f := rapid.SampledFrom([]func() gate.Facts{care, offer, refill, newsletter, gift, notice, text, exempt, sell}).Draw(t, "base")()
	f.Keys.PGP = gate.Key{Available: rapid.Bool().Draw(t, "pgp"), Trusted: rapid.Bool().Draw(t, "trusted")}
	f.Keys.SMIME = gate.Key{Available: rapid.Bool().Draw(t, "smime"), Trusted: true, Expired: rapid.Bool().Draw(t, "expired")}
	f.TLS = gate.TLS{
		State: gate.TLSState(rapid.IntRange(0, 4).Draw(t, "tls")),
		Proof: rapid.SampledFrom([]gate.Proof{gate.ProofNone, gate.ProofRoute, gate.ProofDANE, gate.ProofMTASTS, gate.ProofPKIX}).Draw(t, "proof"),
	}
	f.Policy.Pickup = rapid.Bool().Draw(t, "pickup")
	f.Recipient.Kind = rapid.SampledFrom([]gate.RecipientKind{1, 1, 1, 1, 4, 2}).Draw(t, "kind")
	f.Recipient.Holder = rapid.SampledFrom([]gate.Holder{0, 0, 0, 1, 2}).Draw(t, "holder")
	f.Recipient.State = rapid.SampledFrom([]string{"", "NY", "FL", "AL", "WA"}).Draw(t, "state")
	f.Policy.BulkPerWeek = rapid.IntRange(0, 2).Draw(t, "cap")
	if rapid.Bool().Draw(t, "prospect") {
		f.Recipient.Standing = people.KindProspect
	}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(keys(addedRestrictions)), 0, 4).Draw(t, "restrictions") {
		addedRestrictions[name](&f)
	}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(keys(addedPermissions)), 0, 4).Draw(t, "permissions") {
		addedPermissions[name](&f)
	}
	return f
}

func keys(m map[string]func(f *gate.Facts)) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// clone copies what the changes touch, so that a change to one set of facts is none to another.
func clone(f gate.Facts) gate.Facts {
	f.Authorizations, f.OptOuts, f.OptIns = slices.Clone(f.Authorizations), slices.Clone(f.OptOuts), slices.Clone(f.OptIns)
	f.Restrictions, f.Confidential, f.PlainRequests = slices.Clone(f.Restrictions), slices.Clone(f.Confidential), slices.Clone(f.PlainRequests)
	f.Message.Sensitive, f.Message.Findings = slices.Clone(f.Message.Sensitive), slices.Clone(f.Message.Findings)
	f.Part2Consents = slices.Clone(f.Part2Consents)
	return f
}

func TestRestrictionNeverWeakens(t *testing.T) {
	names := keys(addedRestrictions)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		name := rapid.SampledFrom(names).Draw(t, "add")
		less := gate.Decide(f)
		g := clone(f)
		addedRestrictions[name](&g)
		more := gate.Decide(g)
		checkDecision(t, more)
		if more.Means.Rank() < less.Means.Rank() {
			t.Fatalf("%q turns %s into %s\nbefore %v\nafter  %v", name, less.Means, more.Means, codes(less.Reasons), codes(more.Reasons))
		}
	})
}

func TestPermissionNeverRestricts(t *testing.T) {
	names := keys(addedPermissions)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		name := rapid.SampledFrom(names).Draw(t, "add")
		less := gate.Decide(f)
		g := clone(f)
		addedPermissions[name](&g)
		more := gate.Decide(g)
		checkDecision(t, more)
		if more.Means.Rank() > less.Means.Rank() {
			t.Fatalf("%q turns %s into %s\nbefore %v\nafter  %v", name, less.Means, more.Means, codes(less.Reasons), codes(more.Reasons))
		}
	})
}

// TestKeyNeverWeakens: a key that the recipient gives may raise protection and never lowers it.
func TestKeyNeverWeakens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		without := gate.Decide(f)
		f.Keys.PGP = pgpKey()
		if with := gate.Decide(f); with.Means.Goes() && without.Means.Goes() && with.Means.Rank() < without.Means.Rank() {
			t.Fatalf("a key turns %s into %s", without.Means, with.Means)
		}
	})
}

// TestRedecideNeverWeakens: whatever else has changed meanwhile, what failed never goes by a weaker way, and never by TLS or plain.
func TestRedecideNeverWeakens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := gate.Decide(drawFacts(t))
		second := gate.Redecide(drawFacts(t), first)
		checkDecision(t, second)
		if !first.Means.Goes() || !second.Means.Goes() {
			return
		}
		if second.Means.Rank() < first.Means.Rank() || first.Means != second.Means && second.Means.Rank() < gate.MeansPickup.Rank() && first.Means == gate.MeansTLS {
			t.Fatalf("%s becomes %s", first.Means, second.Means)
		}
		if first.Demanded && first.Means != second.Means {
			t.Fatalf("%s was demanded and becomes %s", first.Means, second.Means)
		}
	})
}

// TestPlainHoldsNothing: no set of facts sends health information plain, save what the person asked for after a warning.
func TestPlainHoldsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		d := gate.Decide(f)
		holdsPHI := f.Message.PHI || f.Message.SelectedByHealth || len(f.Message.Sensitive) > 0 || f.Message.Purpose == ledger.PurposeTreatment
		if d.Means == gate.MeansPlain && holdsPHI {
			t.Fatalf("%v", codes(d.Reasons))
		}
		if d.Means == gate.MeansPlainRequested && (len(f.PlainRequests) == 0 || f.Policy.PlainRequestsOff) {
			t.Fatalf("nobody asked: %v", codes(d.Reasons))
		}
		if again := gate.Decide(f); again.Means != d.Means || !slices.Equal(again.Reasons, d.Reasons) {
			t.Fatal("the same facts are decided twice in two ways")
		}
	})
}

// TestDisclosureLattice: for disclosures too, a restriction never opens and a permission never closes, and no field goes that is not asked.
func TestDisclosureLattice(t *testing.T) {
	restrictions := []func(f *gate.DisclosureFacts){
		func(f *gate.DisclosureFacts) { f.Destination.Covered = false },
		func(f *gate.DisclosureFacts) { f.Destination.AdAudience = true },
		func(f *gate.DisclosureFacts) { f.Paid = true },
		func(f *gate.DisclosureFacts) { f.Restrictions = append(f.Restrictions, gate.Restriction{Payer: true}) },
		func(f *gate.DisclosureFacts) {
			f.Restrictions = append(f.Restrictions, gate.Restriction{Purpose: f.Purpose})
		},
		func(f *gate.DisclosureFacts) { f.Sensitive = append(f.Sensitive, gate.SensitivePart2) },
		func(f *gate.DisclosureFacts) { f.Sensitive = append(f.Sensitive, gate.SensitivePsychotherapy) },
		func(f *gate.DisclosureFacts) { f.Needed = nil },
		func(f *gate.DisclosureFacts) { f.Part2Notice = false },
	}
	permissions := []func(f *gate.DisclosureFacts){
		func(f *gate.DisclosureFacts) { f.Destination.Covered = true },
		func(f *gate.DisclosureFacts) { f.Paid = false },
		func(f *gate.DisclosureFacts) { f.Restrictions, f.Sensitive = nil, nil },
		func(f *gate.DisclosureFacts) {
			f.Part2Notice, f.Part2Consents = true, []gate.Part2Consent{{ID: consent}}
		},
		func(f *gate.DisclosureFacts) { f.Needed = f.Fields },
		func(f *gate.DisclosureFacts) {
			a := authorized()
			a.Purposes, a.Payers = []ledger.Purpose{f.Purpose}, []string{f.Destination.Name}
			f.Authorizations = append(f.Authorizations, a)
		},
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]func() gate.DisclosureFacts{feed, referral, own}).Draw(t, "base")()
		f.Purpose = rapid.SampledFrom([]ledger.Purpose{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "purpose")
		f.Destination.Kind = rapid.SampledFrom([]gate.DestinationKind{0, 1, 2, 3, 4}).Draw(t, "kind")
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(restrictions)-1), 0, 2).Draw(t, "restrictions") {
			restrictions[i](&f)
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(permissions)-1), 0, 2).Draw(t, "permissions") {
			permissions[i](&f)
		}
		before := gate.Disclose(f)
		less, more := f, f
		less.Restrictions, less.Sensitive = slices.Clone(f.Restrictions), slices.Clone(f.Sensitive)
		restrictions[rapid.IntRange(0, len(restrictions)-1).Draw(t, "restrict")](&less)
		permissions[rapid.IntRange(0, len(permissions)-1).Draw(t, "permit")](&more)
		if d := gate.Disclose(less); d.Allowed && !before.Allowed {
			t.Fatalf("a restriction opens: %v, before %v", codes(d.Reasons), codes(before.Reasons))
		}
		if d := gate.Disclose(more); !d.Allowed && before.Allowed {
			t.Fatalf("a permission closes: %v, before %v", codes(d.Reasons), codes(before.Reasons))
		}
		for _, field := range before.Fields {
			if !slices.Contains(f.Fields, field) {
				t.Fatalf("field %q goes and nobody asked", field)
			}
		}
	})
}
