package ledger

import (
	"strconv"

	"github.com/carepost/carepost/internal/fault"
)

// Purpose is the HIPAA purpose of a use or disclosure: the one list of the project. The numbers stand in leaves: append only.
type Purpose uint8

// The purposes.
const (
	PurposeNone        Purpose = 0 // the act uses no health information
	PurposeTreatment   Purpose = 1 // 45 CFR 164.501, treatment
	PurposePayment     Purpose = 2 // 45 CFR 164.501, payment
	PurposeOperations  Purpose = 3 // 45 CFR 164.501, health care operations
	PurposeRefill      Purpose = 4 // 45 CFR 164.501, marketing (2)(i): refill reminders and what is currently prescribed
	PurposeFundraising Purpose = 5 // 45 CFR 164.514(f)
	PurposeMarketing   Purpose = 6 // 45 CFR 164.501, marketing; 164.508(a)(3)
	PurposeService     Purpose = 7 // codes, pickup notices, staff alarms: fixed text, no health information
)

var purposes = [...]string{"none", "treatment", "payment", "operations", "refill", "fundraising", "marketing", "service"}

// String gives the purpose's code: "treatment".
func (p Purpose) String() string {
	if int(p) < len(purposes) {
		return purposes[p]
	}
	return "purpose_" + strconv.Itoa(int(p))
}

// Known tells whether the purpose is on the list.
func (p Purpose) Known() bool { return int(p) < len(purposes) }

// ParsePurpose reads a code.
func ParsePurpose(code string) (Purpose, error) {
	for i, c := range purposes {
		if c == code {
			return Purpose(i), nil
		}
	}
	return 0, fault.New(fault.Invalid, "not a purpose").Hint("it is one of treatment, payment, operations, refill, fundraising, marketing, service")
}

// MarshalText gives the code.
func (p Purpose) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a code.
func (p *Purpose) UnmarshalText(text []byte) error {
	q, err := ParsePurpose(string(text))
	if err == nil {
		*p = q
	}
	return err
}
