package law

import "time"

// Holiday is a day that a state's statutes exclude from business days, beside the federal ones.
type Holiday struct {
	Where string `json:"where"`
	Date  Date   `json:"date"`
	Name  string `json:"name"`
}

type holidayKey struct {
	where string
	day   Date
}

// AddBusinessDays gives the last day of a term of n business days that begins with a receipt on the day from. The day of
// receipt does not count. Holidays are the federal ones (5 USC 6103) and those the table lists for the state.
func (t *Table) AddBusinessDays(from Date, n int, where string) Date {
	d := from
	for n > 0 {
		d++
		if t.BusinessDay(d, where) {
			n--
		}
	}
	return d
}

// BusinessDay tells whether the day is neither a weekend nor a holiday.
func (t *Table) BusinessDay(d Date, where string) bool {
	if w := d.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	if _, listed := t.holidays[holidayKey{where, d}]; listed {
		return false
	}
	return FederalHoliday(d) == ""
}

// FederalHoliday names the federal holiday that is observed on the day, or gives nothing. A holiday on a Saturday is observed
// on the Friday before, one on a Sunday on the Monday after: 5 USC 6103(b); Executive Order 11582.
func FederalHoliday(d Date) string {
	if name := fixedHoliday(d); name != "" && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
		return name
	}
	if d.Weekday() == time.Friday && fixedHoliday(d+1) != "" {
		return fixedHoliday(d + 1)
	}
	if d.Weekday() == time.Monday && fixedHoliday(d-1) != "" {
		return fixedHoliday(d - 1)
	}
	return floatingHoliday(d)
}

func fixedHoliday(d Date) string {
	year, month, day := d.Time().Date()
	switch {
	case month == time.January && day == 1:
		return "New Year's Day"
	case month == time.June && day == 19 && year >= 2021:
		return "Juneteenth"
	case month == time.July && day == 4:
		return "Independence Day"
	case month == time.November && day == 11:
		return "Veterans Day"
	case month == time.December && day == 25:
		return "Christmas Day"
	}
	return ""
}

func floatingHoliday(d Date) string {
	_, month, day := d.Time().Date()
	week := (day-1)/7 + 1 // the how-manyth of its weekday in the month
	switch w := d.Weekday(); {
	case w == time.Monday && month == time.January && week == 3:
		return "Birthday of Martin Luther King, Jr."
	case w == time.Monday && month == time.February && week == 3:
		return "Washington's Birthday"
	case w == time.Monday && month == time.May && day > 24:
		return "Memorial Day"
	case w == time.Monday && month == time.September && week == 1:
		return "Labor Day"
	case w == time.Monday && month == time.October && week == 2:
		return "Columbus Day"
	case w == time.Thursday && month == time.November && week == 4:
		return "Thanksgiving Day"
	}
	return ""
}
