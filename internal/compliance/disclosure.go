// Package compliance owns what the paperwork of the Privacy Rule asks of the records of others: today what a disclosure says, which of
// them a person is given an account of, and who looked at a record.
//
// It never knows how an entry is kept or sealed, and it has no table: it writes into the ledger and reads from it, under the person's key
// that its caller brings.
//
// 45 CFR 164.528. Read disclosure.go first.
package compliance

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Basis is the rule that permits a disclosure, or says that none did.
type Basis string

// basis says of each where it stands, and whether it belongs into an accounting.
type basis struct {
	rule      string
	accounted bool
	suspends  bool // an agency may have it kept from the person for a time: 45 CFR 164.528(a)(2)
}

// bases: all of 164.528(a)(1) that is left out of an accounting, then what stands in one.
var bases = map[Basis]basis{
	"treatment":         {rule: "45 CFR 164.506"},
	"payment":           {rule: "45 CFR 164.506"},
	"operations":        {rule: "45 CFR 164.506"},
	"individual":        {rule: "45 CFR 164.502(a)(1)(i)"},
	"incidental":        {rule: "45 CFR 164.502(a)(1)(iii)"},
	"authorization":     {rule: "45 CFR 164.508"},
	"directory":         {rule: "45 CFR 164.510"},
	"national-security": {rule: "45 CFR 164.512(k)(2)"},
	"custody":           {rule: "45 CFR 164.512(k)(5)"},
	"limited-data-set":  {rule: "45 CFR 164.514(e)"},

	"required-by-law": {rule: "45 CFR 164.512(a)", accounted: true},
	"public-health":   {rule: "45 CFR 164.512(b)", accounted: true},
	"abuse":           {rule: "45 CFR 164.512(c)", accounted: true},
	"oversight":       {rule: "45 CFR 164.512(d)", accounted: true, suspends: true},
	"judicial":        {rule: "45 CFR 164.512(e)", accounted: true},
	"law-enforcement": {rule: "45 CFR 164.512(f)", accounted: true, suspends: true},
	"decedent":        {rule: "45 CFR 164.512(g)", accounted: true},
	"organ-donation":  {rule: "45 CFR 164.512(h)", accounted: true},
	"research":        {rule: "45 CFR 164.512(i)", accounted: true},
	"threat":          {rule: "45 CFR 164.512(j)", accounted: true},
	"government":      {rule: "45 CFR 164.512(k)", accounted: true},
	"workers-comp":    {rule: "45 CFR 164.512(l)", accounted: true},
	"investigation":   {rule: "45 CFR 164.502(a)(2)(ii)", accounted: true},
	"impermissible":   {rule: "45 CFR 164.402", accounted: true},
}

// Bases gives the words for a basis.
func Bases() []Basis { return slices.Sorted(maps.Keys(bases)) }

// Disclosure is what was told to whom. 45 CFR 164.528(b)(2): date, who received it and the address if known, a brief description,
// and the purpose, which its basis states.
type Disclosure struct {
	On          law.Date `json:"on"`
	Receiver    string   `json:"receiver"`
	Address     string   `json:"address,omitempty"`
	Description string   `json:"description"`
	Basis       Basis    `json:"basis"`
	Purpose     string   `json:"purpose"`                   // in words; the rule of the basis when left out
	Suspended   law.Date `json:"suspended_until,omitempty"` // as the agency asked in writing
}

// The names in the detail of the entry.
const (
	fieldOn        = "on"
	fieldReceiver  = "receiver"
	fieldAddress   = "address"
	fieldWhat      = "description"
	fieldBasis     = "basis"
	fieldPurpose   = "purpose"
	fieldSuspended = "suspended_until"
)

const maxText = 2000 // bytes of one field

func (d Disclosure) check(today law.Date) error {
	b, known := bases[d.Basis]
	for where, text := range map[string]string{fieldReceiver: d.Receiver, fieldWhat: d.Description} {
		if strings.TrimSpace(text) == "" {
			return fault.New(fault.Invalid, "a disclosure without it is not one that can be accounted for").At("%s", where).Hint("say who received what (45 CFR 164.528(b)(2))")
		}
	}
	switch {
	case !known:
		words := make([]string, 0, len(bases))
		for _, w := range Bases() {
			words = append(words, string(w))
		}
		return fault.New(fault.Invalid, "not a basis of a disclosure").At(fieldBasis).Hint("it is one of %s", strings.Join(words, ", "))
	case d.On == 0 || d.On > today:
		return fault.New(fault.Invalid, "not the day of a disclosure").At(fieldOn).Hint("write the day on which it was made, as 2026-05-31; it may not be to come")
	case d.Suspended != 0 && !b.suspends:
		return fault.New(fault.Invalid, "only an oversight agency or law enforcement may have a disclosure kept from the accounting").At(fieldSuspended).Hint("leave it out (45 CFR 164.528(a)(2))")
	case max(len(d.Receiver), len(d.Address), len(d.Description), len(d.Purpose)) > maxText:
		return fault.New(fault.TooLarge, "a text of more than %d bytes", maxText)
	}
	return nil
}

// Record writes a disclosure that was made outside of this program, or by it, into the ledger.
func Record(ctx context.Context, tx *store.Tx, led *ledger.Ledger, person id.Person, key seal.Key, d Disclosure) error {
	if err := d.check(law.Day(tx.Now)); err != nil {
		return err
	}
	detail := ledger.Detail{fieldOn: d.On.String(), fieldReceiver: d.Receiver, fieldWhat: d.Description, fieldBasis: string(d.Basis)}
	for name, text := range map[string]string{fieldAddress: d.Address, fieldPurpose: d.Purpose} {
		if text != "" {
			detail[name] = text
		}
	}
	if d.Suspended != 0 {
		detail[fieldSuspended] = d.Suspended.String()
	}
	purpose, err := ledger.ParsePurpose(string(d.Basis))
	if err != nil {
		purpose = ledger.PurposeNone // the basis says what it was for
	}
	return led.Append(ctx, tx, ledger.Entry{Act: ledger.ActDisclosure, Purpose: purpose, Subject: person, SubjectKey: key, Detail: detail}, key)
}
