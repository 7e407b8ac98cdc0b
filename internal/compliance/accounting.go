package compliance

import (
	"context"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Accounting is the account of disclosures that a person is given (45 CFR 164.528), and what staff should know beside it.
type Accounting struct {
	Since       law.Date    `json:"since"` // the first day that it covers
	Until       law.Date    `json:"until"`
	Disclosures []Accounted `json:"disclosures"` // the newest first
	LeftOut     int         `json:"left_out"`    // that the rule leaves out: treatment, payment, operations, to the person, ...
	Suspended   int         `json:"suspended"`   // kept back for an agency; the person is not told of them
	Closed      int         `json:"closed"`      // whose detail is destroyed
}

// Accounted is one line of it.
type Accounted struct {
	Entry int64 `json:"entry"` // its number in the ledger
	Disclosure
	Rule string `json:"rule"`
}

const (
	pageOf     = 1000
	ledgerSlip = 24 * time.Hour // an entry is written on the day of the disclosure or later; the day is reckoned in UTC
)

// Account gives the account of disclosures about a person since a day; zero asks for all that the rule lets a person ask for, six years.
// It writes the entry that says it was looked at.
func Account(ctx context.Context, tx *store.Tx, led *ledger.Ledger, rules *law.Table, person id.Person, key seal.Key, since law.Date) (a Accounting, err error) {
	today := law.Day(tx.Now)
	first := law.Day(tx.Now.AddDate(-rules.Number(law.AccountingPeriod, today), 0, 0))
	a = Accounting{Since: max(since, first), Until: today, Disclosures: []Accounted{}}
	q := ledger.Query{Acts: []ledger.Act{ledger.ActDisclosure}, From: a.Since.Time().Add(-ledgerSlip), Limit: pageOf}
	for {
		page, err := led.About(ctx, tx, person, key, q)
		if err != nil {
			return a, err
		}
		for _, r := range page.Records {
			if err := a.take(ctx, tx, led, r, key); err != nil {
				return a, err
			}
		}
		if q.Before = page.Next; q.Before == 0 {
			return a, looked(ctx, tx, led, person, key, "accounting of disclosures")
		}
	}
}

// take sorts one entry into the account.
func (a *Accounting) take(ctx context.Context, tx *store.Tx, led *ledger.Ledger, r ledger.Record, key seal.Key) error {
	detail, err := led.OpenDetail(ctx, tx, r, key)
	if fault.Is(err, fault.Sealed) {
		a.Closed++
		return nil
	}
	if err != nil {
		return err
	}
	d := disclosureOf(detail, r)
	b, known := bases[d.Basis]
	switch {
	case d.On < a.Since:
	case known && !b.accounted:
		a.LeftOut++
	case d.Suspended >= a.Until && b.suspends:
		a.Suspended++
	default:
		if d.Purpose == "" {
			d.Purpose = b.rule
		}
		a.Disclosures = append(a.Disclosures, Accounted{Entry: r.Seq, Disclosure: d, Rule: b.rule})
	}
	return nil
}

// disclosureOf reads an entry. One that names no basis is reckoned by its purpose; what neither leaves out stands in the account.
func disclosureOf(detail ledger.Detail, r ledger.Record) Disclosure {
	d := Disclosure{
		On: law.Day(r.Time), Receiver: detail[fieldReceiver], Address: detail[fieldAddress], Description: detail[fieldWhat],
		Basis: Basis(detail[fieldBasis]), Purpose: detail[fieldPurpose],
	}
	if on, err := law.ParseDate(detail[fieldOn]); err == nil && on != 0 {
		d.On = on
	}
	if until, err := law.ParseDate(detail[fieldSuspended]); err == nil {
		d.Suspended = until
	}
	if d.Basis == "" && (r.Purpose == ledger.PurposeTreatment || r.Purpose == ledger.PurposePayment || r.Purpose == ledger.PurposeOperations) {
		d.Basis = Basis(r.Purpose.String())
	}
	return d
}

// Look is one look at a person's record.
type Look struct {
	Entry   int64     `json:"entry"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Act     string    `json:"act"`
	What    string    `json:"what,omitempty"`
	Purpose string    `json:"purpose"`
}

// Looks gives a page of who looked at a person's record, the newest first, and where the next one begins (0: no more): views, emergency
// access, exports, disclosures. A list of people is an entry about the list, not about each person in it. It writes the entry that says
// somebody asked.
func Looks(ctx context.Context, tx *store.Tx, led *ledger.Ledger, person id.Person, key seal.Key, q ledger.Query) (all []Look, next int64, err error) {
	q.Acts = []ledger.Act{ledger.ActView, ledger.ActBreakGlass, ledger.ActExport, ledger.ActDisclosure}
	page, err := led.About(ctx, tx, person, key, q)
	if err != nil {
		return nil, 0, err
	}
	all = []Look{}
	for _, r := range page.Records {
		x := Look{Entry: r.Seq, At: r.Time, Actor: r.Actor.String(), Act: r.Act.String(), Purpose: r.Purpose.String()}
		detail, err := led.OpenDetail(ctx, tx, r, key)
		if err != nil && !fault.Is(err, fault.Sealed) {
			return nil, 0, err
		}
		x.What = detail["what"]
		all = append(all, x)
	}
	return all, page.Next, looked(ctx, tx, led, person, key, "who looked")
}

func looked(ctx context.Context, tx *store.Tx, led *ledger.Ledger, person id.Person, key seal.Key, what string) error {
	return led.Append(ctx, tx, ledger.Entry{
		Act: ledger.ActView, Purpose: ledger.PurposeOperations, Subject: person, SubjectKey: key, Object: person.UUID(), Detail: ledger.Detail{"what": what},
	}, key)
}
