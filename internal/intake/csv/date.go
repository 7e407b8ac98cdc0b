package csv

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// The ways to write dates. ISO 8601 and a month in letters are read in every column: they can mean one thing only.
var formats = map[string]func(text string, year func(yy int) int) (people.Moment, bool){
	"iso":      isoDate,
	"m/d/y":    func(s string, y func(int) int) (people.Moment, bool) { return sliced(s, '/', 1, 0, y) },
	"d/m/y":    func(s string, y func(int) int) (people.Moment, bool) { return sliced(s, '/', 0, 1, y) },
	"d.m.y":    func(s string, y func(int) int) (people.Moment, bool) { return sliced(s, '.', 0, 1, y) },
	"m-d-y":    func(s string, y func(int) int) (people.Moment, bool) { return sliced(s, '-', 1, 0, y) },
	"d-m-y":    func(s string, y func(int) int) (people.Moment, bool) { return sliced(s, '-', 0, 1, y) },
	"y/m/d":    slicedYear,
	"yyyymmdd": compactDate,
	"excel":    excelDate,
	"unix":     unixDate,
}

func formatNames() string {
	names := make([]string, 0, len(formats))
	for n := range formats {
		names = append(names, n)
	}
	slices.Sort(names)
	return "it is one of " + strings.Join(names, ", ")
}

// readDate reads a cell in the column's way. Two-digit years are past for what is past, never in the future.
func readDate(format, text string, received time.Time, past bool) (people.Moment, bool) {
	year := func(yy int) int {
		full := received.Year()/100*100 + yy
		if past && full > received.Year() {
			full -= 100
		}
		return full
	}
	if m, ok := formats[format](text, year); ok {
		if past && people.DateOf(received).Before(m.Date) { // later this year: of two digits it is the century before
			if old, ok := formats[format](text, func(yy int) int { return year(yy) - 100 }); ok {
				return old, true
			}
		}
		return m, true
	}
	if m, ok := isoDate(text, year); ok {
		return m, true
	}
	return letteredDate(text, year)
}

func isoDate(text string, _ func(int) int) (people.Moment, bool) {
	if len(text) < 4 || len(text) > 4 && text[4] != '-' {
		return people.Moment{}, false
	}
	if len(text) > 10 && text[10] == ' ' {
		text = text[:10] + "T" + text[11:]
	}
	if m, err := people.ParseMoment(text); err == nil {
		return m, true
	}
	if t, err := time.Parse("2006-01-02T15:04:05 UTC", text); err == nil {
		return people.Moment{Date: people.DateOf(t), Time: t}, true
	}
	if d, err := people.ParseDate(text); err == nil && len(text) > 10 {
		if _, ok := clock(text[11:]); ok {
			return people.Moment{Date: d}, true
		}
	}
	return people.Moment{}, false
}

// clock tells whether a text is a time of the day, which a date without a zone does not keep.
func clock(text string) (string, bool) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if text == "" {
		return "", true
	}
	for _, layout := range []string{"15:04", "15:04:05", "15:04:05.999", "3:04 PM", "3:04PM", "3:04:05 PM", "3 PM"} {
		if _, err := time.Parse(layout, text); err == nil {
			return text, true
		}
	}
	return "", false
}

func civil(y, m, d int) (people.Moment, bool) {
	if y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 {
		return people.Moment{}, false
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d {
		return people.Moment{}, false
	}
	return people.Moment{Date: people.Date{Year: int16(y), Month: uint8(m), Day: uint8(d)}}, true
}

// sliced reads three numbers with the year last; a time of the day may stand behind.
func sliced(text string, sep byte, day, month int, year func(int) int) (people.Moment, bool) {
	date, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(date, string(sep))
	if len(parts) != 3 {
		return people.Moment{}, false
	}
	if _, ok := clock(rest); !ok {
		return people.Moment{}, false
	}
	d, ok1 := whole(parts[day], 2)
	m, ok2 := whole(parts[month], 2)
	y, ok3 := whole(parts[2], 4)
	if !ok1 || !ok2 || !ok3 || len(parts[2]) != 2 && len(parts[2]) != 4 {
		return people.Moment{}, false
	}
	if len(parts[2]) == 2 {
		y = year(y)
	}
	return civil(y, m, d)
}

func slicedYear(text string, _ func(int) int) (people.Moment, bool) {
	date, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(date, "/")
	if len(parts) != 3 || len(parts[0]) != 4 {
		return people.Moment{}, false
	}
	if _, ok := clock(rest); !ok {
		return people.Moment{}, false
	}
	y, ok1 := whole(parts[0], 4)
	m, ok2 := whole(parts[1], 2)
	d, ok3 := whole(parts[2], 2)
	if !ok1 || !ok2 || !ok3 {
		return people.Moment{}, false
	}
	return civil(y, m, d)
}

func whole(text string, most int) (n int, ok bool) {
	if text == "" || len(text) > most {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, true
}

func compactDate(text string, _ func(int) int) (people.Moment, bool) {
	n, ok := whole(text, 8)
	if !ok || len(text) != 8 {
		return people.Moment{}, false
	}
	return civil(n/10000, n/100%100, n%100)
}

// excelDate reads days since 1899-12-30, as spreadsheets count them after February 1900.
func excelDate(text string, _ func(int) int) (people.Moment, bool) {
	days, part, fraction := strings.Cut(text, ".")
	n, ok := whole(days, 6)
	if _, number := whole(part, 15); !ok || fraction && !number || n < 61 || n > 2958465 {
		return people.Moment{}, false
	}
	return people.Moment{Date: people.DateOf(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n))}, true
}

func unixDate(text string, _ func(int) int) (people.Moment, bool) {
	n, ok := whole(text, 13)
	if !ok || len(text) < 9 {
		return people.Moment{}, false
	}
	if len(text) > 11 {
		n /= 1000
	}
	t := time.Unix(int64(n), 0).UTC()
	return people.Moment{Date: people.DateOf(t), Time: t}, true
}

// letteredDate reads 12-Jan-75, 01-NOV-2025 and Jan 12, 1975.
func letteredDate(text string, year func(int) int) (people.Moment, bool) {
	f := strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == ' ' || r == ',' })
	if len(f) < 3 {
		return people.Moment{}, false
	}
	if _, ok := clock(strings.Join(f[3:], " ")); !ok {
		return people.Moment{}, false
	}
	day, month := f[0], f[1]
	if _, number := whole(day, 2); !number {
		day, month = month, day
	}
	d, ok1 := whole(day, 2)
	m := slices.Index([]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}, strings.ToLower(month[:min(3, len(month))])) + 1
	y, ok2 := whole(f[2], 4)
	if !ok1 || m == 0 || !ok2 || len(f[2]) != 2 && len(f[2]) != 4 {
		return people.Moment{}, false
	}
	if len(month) > 3 && !strings.EqualFold(month, time.Month(m).String()) {
		return people.Moment{}, false
	}
	if len(f[2]) == 2 {
		y = year(y)
	}
	return civil(y, m, d)
}
