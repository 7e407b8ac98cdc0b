package people

import (
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// oldestBirth is the first year that a record may honestly call a birth year; earlier ones are fillers.
const oldestBirth = 1880

// IsZero tells whether no date is known.
func (d Date) IsZero() bool { return d.Year == 0 }

// Full tells whether the date is known to the day.
func (d Date) Full() bool { return d.Year != 0 && d.Month != 0 && d.Day != 0 }

// String gives the date as it is known: "1968-02-29", "1968-02", "1968", or nothing. A date of a person is PHI: for sealed
// records and pages, never for logs.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	text := pad(int(d.Year), 4)
	if d.Month != 0 {
		text += "-" + pad(int(d.Month), 2)
		if d.Day != 0 {
			text += "-" + pad(int(d.Day), 2)
		}
	}
	return text
}

func pad(n, width int) string {
	s := strconv.Itoa(n)
	for len(s) < width {
		s = "0" + s
	}
	return s
}

// First gives the earliest day that the date may be; zero stays zero.
func (d Date) First() Date {
	if d.IsZero() {
		return d
	}
	return Date{d.Year, max(d.Month, 1), max(d.Day, 1)}
}

// Last gives the latest day that the date may be; zero stays zero.
func (d Date) Last() Date {
	switch {
	case d.IsZero(), d.Full():
		return d
	case d.Month == 0:
		return Date{d.Year, 12, 31}
	}
	return DateOf(time.Date(int(d.Year), time.Month(d.Month)+1, 0, 0, 0, 0, 0, time.UTC))
}

// Before tells whether d's first day is before o's first day. No date is before every date.
func (d Date) Before(o Date) bool { return d.First().number() < o.First().number() }

func (d Date) number() int { return int(d.Year)*10000 + int(d.Month)*100 + int(d.Day) }

// Days gives the first day that the date may be as days since 1970-01-01; 0 for no date.
func (d Date) Days() int32 {
	if d.IsZero() {
		return 0
	}
	f := d.First()
	days := time.Date(int(f.Year), time.Month(f.Month), int(f.Day), 0, 0, 0, 0, time.UTC).Unix() / 86400
	if days == 0 {
		days = 1 // 0 says "not known": the day of the epoch itself counts as the day after
	}
	return int32(days)
}

// DateOf gives the civil date of t in t's own zone.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	y, m, d := t.Date()
	return Date{int16(y), uint8(m), uint8(d)}
}

// Age gives the whole years from d to on. It is known only when every day that d may be gives the same age, so that a birth
// year alone answers "35 or older" truthfully or not at all. A birth on 29 February counts from 1 March in a common year.
func (d Date) Age(on Date) (years int, known bool) {
	least, most, known := d.AgeRange(on)
	return least, known && least == most
}

// AgeRange gives the least and the most whole years from d to on; known is false without both dates, or when d is later than on.
func (d Date) AgeRange(on Date) (least, most int, known bool) {
	if d.IsZero() || !on.Full() || on.Before(d) {
		return 0, 0, false
	}
	most = years(d.First(), on)
	least = max(years(d.Last(), on), 0)
	return least, most, true
}

func years(from, to Date) int {
	n := int(to.Year) - int(from.Year)
	if to.Month < from.Month || to.Month == from.Month && to.Day < from.Day {
		n--
	}
	return n
}

// ParseDate reads a FHIR date or the date part of a dateTime: YYYY, YYYY-MM or YYYY-MM-DD (HL7 FHIR R4 2.24.0.1). A day that no
// calendar has is refused, never moved.
func ParseDate(text string) (Date, error) {
	date := text
	if len(text) > 10 && text[10] == 'T' {
		date = text[:10]
	}
	var parts [3]int
	for i, at := range [3][2]int{{0, 4}, {5, 7}, {8, 10}} {
		if len(date) < at[1] || i > 0 && date[at[0]-1] != '-' {
			return Date{}, errDate
		}
		n, ok := digits(date[at[0]:at[1]])
		if !ok || n == 0 {
			return Date{}, errDate
		}
		parts[i] = n
		if len(date) == at[1] {
			break
		}
	}
	if len(date) != 4 && len(date) != 7 && len(date) != 10 {
		return Date{}, errDate
	}
	d := Date{int16(parts[0]), uint8(parts[1]), uint8(parts[2])}
	if d.Month > 12 {
		return Date{}, errImpossible
	}
	if y, m, day := time.Date(parts[0], time.Month(parts[1]), parts[2], 0, 0, 0, 0, time.UTC).Date(); d.Full() && (Date{int16(y), uint8(m), uint8(day)}) != d {
		return Date{}, errImpossible
	}
	return d, nil
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

var (
	errDate       = fault.New(fault.Invalid, "not a date").Hint("write YYYY, YYYY-MM or YYYY-MM-DD")
	errImpossible = fault.New(fault.Invalid, "no calendar has this date")
	errTime       = fault.New(fault.Invalid, "not a time").Hint("write YYYY-MM-DDThh:mm:ss with Z or an offset")
)

// ParseMoment reads a FHIR date, dateTime or instant. The civil date is the one the source wrote, in its own offset; the instant
// is set only when an offset stands there, for a time without one is nobody's time.
func ParseMoment(text string) (Moment, error) {
	d, err := ParseDate(text)
	if err != nil {
		return Moment{}, err
	}
	if len(text) <= 10 {
		return Moment{Date: d}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return Moment{Date: d, Time: t.UTC().Truncate(time.Second)}, nil
	}
	// Without seconds, or without an offset: seen in the field. The second kind keeps its date only.
	if t, err := time.Parse("2006-01-02T15:04Z07:00", text); err == nil {
		return Moment{Date: d, Time: t.UTC()}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if _, err := time.Parse(layout, text); err == nil {
			return Moment{Date: d}, nil
		}
	}
	return Moment{}, errTime
}

// IsZero tells whether nothing is known of the moment.
func (m Moment) IsZero() bool { return m.Date.IsZero() && m.Time.IsZero() }

// Unix gives seconds since 1970: the instant, or the beginning of the first day in UTC when only a date is known; 0 for no moment.
func (m Moment) Unix() int64 {
	switch {
	case !m.Time.IsZero():
		return m.Time.Unix()
	case m.Date.IsZero():
		return 0
	}
	f := m.Date.First()
	return time.Date(int(f.Year), time.Month(f.Month), int(f.Day), 0, 0, 0, 0, time.UTC).Unix()
}

// At gives the moment as a time, as Unix counts it; zero for no moment.
func (m Moment) At() time.Time {
	if m.IsZero() {
		return time.Time{}
	}
	return time.Unix(m.Unix(), 0).UTC()
}

// Days gives the civil date as days since 1970-01-01; 0 for no moment.
func (m Moment) Days() int32 {
	if m.Date.IsZero() && !m.Time.IsZero() {
		return DateOf(m.Time).Days()
	}
	return m.Date.Days()
}

// PlaceholderBirth tells whether a birth date is a filler and not a fact: 1900-01-01 and its like, years before 1880, and days
// after on (the day the record was received).
func PlaceholderBirth(d, on Date) bool {
	if d.IsZero() {
		return false
	}
	if d.Year < oldestBirth || d == (Date{1900, 1, 1}) || d == (Date{1900, 0, 0}) {
		return true
	}
	return on.Full() && on.number() < d.First().number()
}
