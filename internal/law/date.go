package law

import (
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// Date is a civil day, counted from 1970-01-01. Its text is "2026-02-16"; the zero Date is no date and has empty text, so no
// rule can begin on 1970-01-01.
type Date int32

const dateLayout = "2006-01-02"

// Day gives the civil day of t in t's own location.
func Day(t time.Time) Date {
	y, m, d := t.Date()
	return On(y, m, d)
}

// On gives the civil day of a year, month and day.
func On(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDate reads "2026-02-16"; empty text is no date.
func ParseDate(text string) (Date, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(dateLayout, text)
	if err != nil || t.Year() < 1971 {
		return 0, fault.New(fault.Invalid, "not a date after 1970").Hint("write it as 2026-02-16")
	}
	return Day(t), nil
}

// Time gives midnight UTC of the day.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Weekday gives the day of the week.
func (d Date) Weekday() time.Weekday { return d.Time().Weekday() }

// String gives "2026-02-16", or nothing for no date.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(dateLayout)
}

// MarshalText gives the text of the day.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text of a day.
func (d *Date) UnmarshalText(text []byte) error {
	v, err := ParseDate(string(text))
	*d = v
	return err
}
