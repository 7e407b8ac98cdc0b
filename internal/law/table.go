package law

import (
	"cmp"
	_ "embed" // the rows that come with this release
	"slices"
	"sync"

	"github.com/carepost/carepost/internal/fault"
)

// Ids of rows that code asks for.
const (
	OptOut             = "can-spam.opt-out"
	OptOutLink         = "can-spam.opt-out-link"
	RefillLapse        = "hipaa.refill.lapse"
	RetentionSecurity  = "hipaa.retention.security"
	RetentionPrivacy   = "hipaa.retention.privacy"
	Access             = "hipaa.access"
	AccessExtension    = "hipaa.access.extension"
	AccountingPeriod   = "hipaa.accounting.period"
	Part2Consent       = "part2.single-consent"
	BreachIndividuals  = "breach.individuals"
	BreachAssociate    = "breach.associate"
	BreachMedia        = "breach.media.residents"
	BreachHHS          = "breach.hhs.affected"
	BreachState        = "breach.state"
	TextWindow         = "text.window"
	TextExemptChars    = "text.exempt.chars"
	TextExemptDay      = "text.exempt.per-day"
	TextExemptWeek     = "text.exempt.per-week"
	TextRevocation     = "text.revocation"
	TextSolicitPerDay  = "text.solicitation.per-day"
	TextRevokeAll      = "text.revoke-all"
	ReproductiveRule   = "hipaa.reproductive"
	OneToOneConsent    = "text.one-to-one"
	MinorAge           = "minor.age"
	ConsumerHealthData = "consumer-health.consent"
)

// Table is an immutable set of rows, safe to share.
type Table struct {
	asOf     Date
	signer   string
	rows     []Row
	byKey    map[key][]Row
	holidays map[holidayKey]string
}

type key struct{ id, where string }

// Embedded gives the table that came with this release.
var Embedded = sync.OnceValue(func() *Table {
	t, err := parse(embedded)
	if err != nil {
		panic(err) // a test reads the embedded rows
	}
	return t
})

//go:embed law.json
var embedded []byte

// AsOf gives the day of the table.
func (t *Table) AsOf() Date { return t.asOf }

// Signer names the key that signed a loaded table; empty for the embedded one.
func (t *Table) Signer() string { return t.signer }

// Rows gives all rows, by id, state and period.
func (t *Table) Rows() []Row { return slices.Clone(t.rows) }

// On gives the row of the day, whatever its status.
func (t *Table) On(id, where string, at Date) (Row, bool) {
	for _, r := range t.byKey[key{id, where}] {
		if r.Holds(at) {
			return r, true
		}
	}
	return Row{}, false
}

// InForce gives the row that binds on the day.
func (t *Table) InForce(id, where string, at Date) (Row, bool) {
	r, ok := t.On(id, where, at)
	return r, ok && r.Status == InForce
}

// Number gives the federal number in force on the day; 0 when there is none.
func (t *Table) Number(id string, at Date) int {
	r, ok := t.InForce(id, "", at)
	if !ok {
		return 0
	}
	return r.Number()
}

// Window gives the hours in which persons in any of the states may be solicited: the federal hours narrowed by each state's own.
func (t *Table) Window(at Date, states ...string) Week {
	w := AlwaysOpen()
	for _, where := range append([]string{""}, states...) {
		r, ok := t.InForce(TextWindow, where, at)
		if !ok {
			continue
		}
		week, err := ParseWeek(r.Value)
		if err != nil {
			continue // never happens: check has parsed it
		}
		w = w.Narrow(week)
	}
	return w
}

func build(f fileShape) (*Table, error) {
	if f.AsOf == 0 {
		return nil, fault.New(fault.Invalid, "the law table has no as_of")
	}
	t := &Table{asOf: f.AsOf, rows: slices.Clone(f.Rows), byKey: map[key][]Row{}, holidays: map[holidayKey]string{}}
	slices.SortFunc(t.rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Where, b.Where), cmp.Compare(a.From, b.From))
	})
	for _, r := range t.rows {
		if err := r.check(); err != nil {
			return nil, err
		}
		k := key{r.ID, r.Where}
		if n := len(t.byKey[k]); n > 0 && (t.byKey[k][n-1].To == 0 || t.byKey[k][n-1].To >= r.From) {
			return nil, fault.New(fault.Invalid, "two rows overlap").At("row %s %s", r.ID, r.Where).Hint("end the earlier one the day before")
		}
		t.byKey[k] = append(t.byKey[k], r)
	}
	for _, h := range f.Holidays {
		if !isState(h.Where) || h.Date == 0 || h.Name == "" {
			return nil, fault.New(fault.Invalid, "a holiday needs a state, a date and a name")
		}
		t.holidays[holidayKey{h.Where, h.Date}] = h.Name
	}
	return t, nil
}
