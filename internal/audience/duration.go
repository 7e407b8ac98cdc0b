package audience

import (
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in one unit. Years and months follow the calendar; weeks, days and hours are whole seconds where
// events are meant, and weeks and days are calendar days where dates are meant.
type Duration struct {
	N    int
	Unit Unit
}

// Unit is the unit of a Duration.
type Unit byte

// The units, by their letters in text.
const (
	Hours  Unit = 'h'
	Days   Unit = 'd'
	Weeks  Unit = 'w'
	Months Unit = 'm'
	Years  Unit = 'y'
)

// IsZero tells whether no length was given.
func (d Duration) IsZero() bool { return d == Duration{} }

// String gives the text form: 90d, 12m, 2y.
func (d Duration) String() string { return strconv.Itoa(d.N) + string(rune(d.Unit)) }

// ISO gives the form that JSON uses, ISO 8601: P90D, P12M, PT6H.
func (d Duration) ISO() string {
	letter := strings.ToUpper(string(rune(d.Unit)))
	if d.Unit == Hours {
		return "PT" + strconv.Itoa(d.N) + letter
	}
	return "P" + strconv.Itoa(d.N) + letter
}

// days is the length at most, to hold it against keptDays.
func (d Duration) days() int {
	switch d.Unit {
	case Hours:
		return (d.N + 23) / 24
	case Weeks:
		return d.N * 7
	case Months:
		return (d.N/12)*366 + (d.N%12)*31
	case Years:
		return d.N * 366
	case Days:
	}
	return d.N
}

// fixed gives the length in seconds of a unit that has one.
func (d Duration) fixed() (seconds int64, ok bool) {
	switch d.Unit {
	case Hours:
		return int64(d.N) * 3600, true
	case Days:
		return int64(d.N) * 86400, true
	case Weeks:
		return int64(d.N) * 7 * 86400, true
	case Months, Years:
	}
	return 0, false
}

// before is the instant that lies the length before at: seconds for hours to weeks, the calendar of the zone for months and years.
func (d Duration) before(at time.Time) time.Time {
	if s, ok := d.fixed(); ok {
		return at.Add(-time.Duration(s) * time.Second)
	}
	return shift(at, -d.calendarMonths())
}

// after is the instant that lies the length after at.
func (d Duration) after(at time.Time) time.Time {
	if s, ok := d.fixed(); ok {
		return at.Add(time.Duration(s) * time.Second)
	}
	return shift(at, d.calendarMonths())
}

func (d Duration) calendarMonths() int {
	if d.Unit == Years {
		return d.N * 12
	}
	return d.N
}

// shift moves by calendar months and keeps to the last day of a shorter month: a year before 29 February is 28 February.
func shift(at time.Time, months int) time.Time {
	y, m, day := at.Date()
	first := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, at.Location())
	if last := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day(); day > last {
		day = last
	}
	return time.Date(first.Year(), first.Month(), day, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), at.Location())
}

const wantDuration = "a length of time such as 90d, 12m or 2y"

// parseDuration reads the text form.
func parseDuration(text string) (Duration, *complaint) {
	if text == "" {
		return Duration{}, expected(wantDuration)
	}
	unit := Unit(text[len(text)-1] | 0x20)
	return makeDuration(text[:len(text)-1], unit, "a whole number and h, d, w, m or y, as in 90d")
}

// parseISO reads the form of JSON.
func parseISO(text string) (Duration, *complaint) {
	const want = "one ISO 8601 length such as P90D, P12M or P2Y"
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" {
		return Duration{}, expected(want)
	}
	hours, isTime := strings.CutPrefix(rest, "T")
	if isTime {
		rest = hours
	}
	if rest == "" || isTime != (rest[len(rest)-1] == 'H') || rest[len(rest)-1] < 'A' || rest[len(rest)-1] > 'Z' {
		return Duration{}, expected(want)
	}
	return makeDuration(rest[:len(rest)-1], Unit(rest[len(rest)-1]|0x20), want)
}

func makeDuration(number string, unit Unit, want string) (Duration, *complaint) {
	limit := map[Unit]int{Hours: 24 * keptDays, Days: 36_525, Weeks: 5_218, Months: 1_200, Years: 100}[unit]
	n, err := strconv.Atoi(number)
	if err != nil || limit == 0 || number != strconv.Itoa(n) {
		return Duration{}, expected(want)
	}
	if n < 1 || n > limit {
		return Duration{}, wrong("a length of time is 1 to %d in this unit", limit)
	}
	return Duration{n, unit}, nil
}
