package law

import (
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// Status is where a rule stands in the period of its row.
type Status string

// The statuses. Only InForce binds; the others are shown, and never turn anything red.
const (
	InForce  Status = "in_force"
	Proposed Status = "proposed"
	Vacated  Status = "vacated"
	Waived   Status = "waived"
	Delayed  Status = "delayed"
)

// Unit is what the value of a row counts.
type Unit string

// The units. A value is a whole number, except for UnitWindow (see Week) and UnitRule, whose value is a word.
const (
	CalendarDay Unit = "calendar_day"
	BusinessDay Unit = "business_day"
	Year        Unit = "year"
	Month       Unit = "month"
	Hour        Unit = "hour"
	Minute      Unit = "minute"
	Person      Unit = "person"
	Message     Unit = "message"
	Char        Unit = "char"
	USD         Unit = "usd"
	Count       Unit = "count"
	UnitWindow  Unit = "window"
	UnitRule    Unit = "rule"
)

// Row is one number of the law in one period. Rows of the same ID and Where follow each other and do not overlap.
type Row struct {
	ID       string `json:"id"`
	Where    string `json:"where,omitempty"` // two-letter state; empty is federal
	Cite     string `json:"cite"`
	Subject  string `json:"subject"`
	Value    string `json:"value"`
	Unit     Unit   `json:"unit"`
	From     Date   `json:"from"`         // the first day
	To       Date   `json:"to,omitempty"` // the last day; none is open-ended
	Status   Status `json:"status"`
	AsOf     Date   `json:"as_of"`    // the day somebody last looked
	Source   string `json:"source"`   // where it was read
	Verified bool   `json:"verified"` // read in the source; false: compare with the text in force before relying on it
	Note     string `json:"note,omitempty"`
}

// Number gives the value as a whole number; 0 for windows and rules.
func (r Row) Number() int {
	n, err := strconv.Atoi(r.Value)
	if err != nil {
		return 0
	}
	return n
}

// Holds tells whether the day lies in the row's period.
func (r Row) Holds(at Date) bool { return at >= r.From && (r.To == 0 || at <= r.To) }

var (
	statuses = []Status{InForce, Proposed, Vacated, Waived, Delayed}
	counted  = []Unit{CalendarDay, BusinessDay, Year, Month, Hour, Minute, Person, Message, Char, USD, Count}
)

// check refuses a row that no question could use.
func (r Row) check() error {
	switch {
	case !isName(r.ID):
		return fault.New(fault.Invalid, "a row has no usable id").Hint("use a-z, 0-9, dot and dash")
	case r.Where != "" && !isState(r.Where):
		return fault.New(fault.Invalid, "where is not a state").At("row %s", r.ID).Hint("write its two letters, as in CA")
	case strings.TrimSpace(r.Cite) == "" || strings.TrimSpace(r.Subject) == "" || strings.TrimSpace(r.Source) == "":
		return fault.New(fault.Invalid, "a row needs cite, subject and source").At("row %s", r.ID)
	case r.From == 0 || r.AsOf == 0:
		return fault.New(fault.Invalid, "a row needs from and as_of").At("row %s", r.ID)
	case r.To != 0 && r.To < r.From:
		return fault.New(fault.Invalid, "a row ends before it begins").At("row %s", r.ID)
	case !oneOf(r.Status, statuses):
		return fault.New(fault.Invalid, "unknown status").At("row %s", r.ID).Hint("use in_force, proposed, vacated, waived or delayed")
	}
	return r.checkValue()
}

func (r Row) checkValue() error {
	switch {
	case r.Unit == UnitWindow:
		_, err := ParseWeek(r.Value)
		return err
	case r.Unit == UnitRule:
		if r.Value == "" {
			return fault.New(fault.Invalid, "a rule needs a word as its value").At("row %s", r.ID)
		}
	case oneOf(r.Unit, counted):
		if n, err := strconv.Atoi(r.Value); err != nil || n < 0 || strconv.Itoa(n) != r.Value {
			return fault.New(fault.Invalid, "the value is not a whole number").At("row %s", r.ID)
		}
	default:
		return fault.New(fault.Invalid, "unknown unit").At("row %s", r.ID)
	}
	return nil
}

func oneOf[T comparable](x T, list []T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return false
		}
	}
	return s != ""
}

func isState(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
