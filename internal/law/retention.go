package law

import "time"

// KeptUntil gives the day from which documentation made at a moment need no longer be kept (45 CFR 164.530(j)(2)): a state's law, a
// contract or a hold may ask for more.
func (t *Table) KeptUntil(made time.Time) time.Time {
	return made.UTC().AddDate(t.Number(RetentionPrivacy, Day(made)), 0, 0)
}
