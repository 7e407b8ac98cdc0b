package gate_test

import (
	"slices"
	"time"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// A Tuesday at noon in New York.
var noon = time.Date(2026, time.November, 24, 17, 0, 0, 0, time.UTC)

var (
	newYork = time.FixedZone("", -5*3600)
	home    = id.From[id.ContactPoint](noon)
	work    = id.From[id.ContactPoint](noon)
	warning = id.From[id.Consent](noon)
	consent = id.From[id.Consent](noon)
	signed  = id.From[id.Authorization](noon)
	record  = id.From[id.Restriction](noon)
	stop    = id.From[id.Suppression](noon)
	paper   = id.From[id.Agreement](noon)
)

// care is care instructions to an adult patient at an own address, over a domain that enforces MTA-STS: it goes by TLS.
func care() gate.Facts {
	return gate.Facts{
		Now: noon,
		Message: gate.Message{
			Channel: people.ChannelEmail, Purpose: ledger.PurposeTreatment, Class: gate.ClassTransactional,
			Payer: gate.Payer{Who: gate.PayerSelf}, PHI: true,
		},
		Recipient: gate.Recipient{
			Kind: gate.RecipientPerson, Standing: people.KindPatient, Age: 40, AgeKnown: true, Address: gate.AddressUsable, Contact: home,
			Zones: []*time.Location{newYork}, State: "NY",
		},
		TLS:    gate.TLS{State: gate.TLSOffered, Proof: gate.ProofMTASTS},
		Policy: gate.Policy{Pickup: true},
	}
}

// offer is a commercial message paid by a third party, with a valid authorization: it goes by TLS.
func offer() gate.Facts {
	f := care()
	f.Message.Purpose, f.Message.Class, f.Message.Bulk, f.Message.Topic = ledger.PurposeMarketing, gate.ClassCommercial, true, "offers"
	f.Message.Payer = gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationAboveCost, Name: "Acme"}
	f.Message.Elements = gate.Elements{OptOut: true, PostalAddress: true, AdLabel: true}
	f.Authorizations = []gate.Authorization{authorized()}
	return f
}

func authorized() gate.Authorization {
	return gate.Authorization{
		ID: signed, Complete: true, Signed: true, Purposes: []ledger.Purpose{ledger.PurposeMarketing}, Payers: []string{"Acme"},
		StatesRemuneration: true, Expires: law.On(2027, time.June, 30),
	}
}

// refill is a reminder about a current prescription, paid at cost: it goes by TLS.
func refill() gate.Facts {
	f := care()
	f.Message.Purpose = ledger.PurposeRefill
	f.Message.Payer = gate.Payer{Who: gate.PayerThirdParty, Remuneration: gate.RemunerationAtCost, Name: "Acme", Worksheet: true}
	f.Message.Refill = gate.Refill{Known: true, Current: true}
	return f
}

// newsletter is general news to all, without health information: it goes plain.
func newsletter() gate.Facts {
	f := care()
	f.Message.Purpose, f.Message.PHI, f.Message.Bulk, f.Message.Topic = ledger.PurposeOperations, false, true, "news"
	return f
}

// gift is a fundraising letter: it goes by TLS.
func gift() gate.Facts {
	f := care()
	f.Message.Purpose, f.Message.Bulk = ledger.PurposeFundraising, true
	f.Message.Fundraising = gate.Fundraising{OnlyPermittedFields: true, NoticeSaysSo: true}
	f.Message.Elements.OptOut = true
	return f
}

// notice is a pickup notice.
func notice() gate.Facts {
	f := care()
	f.Message = gate.Message{Channel: people.ChannelEmail, Purpose: ledger.PurposeService, Class: gate.ClassTransactional, Fixed: true}
	return f
}

// text is a reminder without health information by text, with consent: it goes plain.
func text() gate.Facts {
	f := newsletter()
	f.Message.Channel, f.Message.Text, f.Message.Bulk = people.ChannelPhone, gate.TextInformation, false
	f.OptIns = []gate.OptIn{{ID: consent, Channel: people.ChannelPhone}}
	f.TLS = gate.TLS{}
	return f
}

// exempt is a text under the health care exemption.
func exempt() gate.Facts {
	f := text()
	f.OptIns = nil
	f.Message.Text, f.Message.Elements = gate.TextExempt, gate.Elements{FreeToUser: true, StopNotice: true, Chars: 160}
	return f
}

// sell is a marketing text with written consent and authorization.
func sell() gate.Facts {
	f := offer()
	f.Message.Channel, f.Message.Text, f.Message.PHI = people.ChannelPhone, gate.TextMarketing, false
	f.Message.Elements.StopNotice = true
	f.OptIns = []gate.OptIn{{ID: consent, Channel: people.ChannelPhone, Topic: "offers", Written: true}}
	f.TLS = gate.TLS{}
	return f
}

func pgpKey() gate.Key { return gate.Key{Available: true, Trusted: true, ID: "key-1"} }

func asked() gate.PlainRequest {
	return gate.PlainRequest{ID: warning, Warned: true, Channel: people.ChannelEmail}
}

func codes(reasons []gate.Reason) []gate.Code {
	var all []gate.Code
	for _, r := range reasons {
		all = append(all, r.Code)
	}
	return all
}

// inOrder tells whether want is a subsequence of got.
func inOrder(got, want []gate.Code) bool {
	for _, w := range want {
		i := slices.Index(got, w)
		if i < 0 {
			return false
		}
		got = got[i+1:]
	}
	return true
}
