package people

import (
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	for _, c := range []struct {
		text string
		want Date
		ok   bool
	}{
		{"1968-02-29", Date{1968, 2, 29}, true},
		{"1990", Date{1990, 0, 0}, true},
		{"1979-11", Date{1979, 11, 0}, true},
		{"2026-11-24T06:00:00Z", Date{2026, 11, 24}, true},
		{"0001-01-01", Date{1, 1, 1}, true},
		{"1968-02-30", Date{}, false},
		{"1967-02-29", Date{}, false},
		{"1979-13", Date{}, false},
		{"1979-00", Date{}, false},
		{"0000", Date{}, false},
		{"79-11-03", Date{}, false},
		{"1979/11/03", Date{}, false},
		{"1979-1-3", Date{}, false},
		{"1979-11-03 ", Date{}, false},
		{"1979-11-03X", Date{}, false},
		{"", Date{}, false},
		{"１９７９", Date{}, false},
	} {
		got, err := ParseDate(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %v %v", c.text, got, err)
		}
	}
}

func TestParseMoment(t *testing.T) {
	for _, c := range []struct {
		text, date string
		unix       int64
		instant    bool
	}{
		{"2026-12-01T09:00:00-06:00", "2026-12-01", 1796137200, true},
		{"2026-12-01T23:30:00-06:00", "2026-12-01", 1796189400, true}, // the next day in UTC, the first of the month where it happened
		{"2026-12-01T09:00:00.123456789Z", "2026-12-01", 1796115600, true},
		{"2026-12-01T09:00Z", "2026-12-01", 1796115600, true},
		{"2026-12-01T09:00:00", "2026-12-01", 1796083200, false}, // nobody's time: the date is kept
		{"2026-12", "2026-12", 1796083200, false},
	} {
		m, err := ParseMoment(c.text)
		if err != nil || m.Date.String() != c.date || m.Unix() != c.unix || m.Time.IsZero() == c.instant {
			t.Errorf("%s: %+v %d %v", c.text, m, m.Unix(), err)
		}
	}
	for _, text := range []string{"2026-12-01T25:00:00Z", "2026-12-01T", "2026-12-01Tx", "noon"} {
		if m, err := ParseMoment(text); err == nil {
			t.Errorf("%s was taken as %+v", text, m)
		}
	}
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		birth, on   string
		least, most int
		known       bool
	}{
		{"1968-02-29", "2026-02-28", 57, 57, true},
		{"1968-02-29", "2026-03-01", 58, 58, true},
		{"1968-02-29", "2024-02-29", 56, 56, true},
		{"2014-05-20", "2026-05-19", 11, 11, true},
		{"2014-05-20", "2026-05-20", 12, 12, true},
		{"1990", "2026-06-01", 35, 36, false},
		{"1990", "2026-12-31", 36, 36, true},
		{"1979-11", "2026-11-15", 46, 47, false},
		{"1979-11", "2026-12-01", 47, 47, true},
		{"2026-11-24", "2026-11-24", 0, 0, true},
	} {
		b, _ := ParseDate(c.birth)
		on, _ := ParseDate(c.on)
		least, most, ok := b.AgeRange(on)
		years, known := b.Age(on)
		if !ok || least != c.least || most != c.most || known != c.known || years != c.least {
			t.Errorf("%s on %s: %d to %d, %d %v", c.birth, c.on, least, most, years, known)
		}
	}
	for _, c := range [][2]Date{{{}, {2026, 1, 1}}, {{2027, 1, 1}, {2026, 1, 1}}, {{1990, 1, 1}, {2026, 1, 0}}} {
		if _, _, known := c[0].AgeRange(c[1]); known {
			t.Errorf("an age of %v on %v", c[0], c[1])
		}
	}
}

func TestPlaceholderBirth(t *testing.T) {
	on := Date{2026, 11, 24}
	for text, want := range map[string]bool{
		"1900-01-01": true, "0001-01-01": true, "1800-01-01": true, "1753-01-01": true, "9999-12-31": true, "2026-11-25": true, "1900": true,
		"2026-11-24": false, "1901-01-01": false, "1920-01-01": false, "1968-02-29": false, "2026-11": false,
	} {
		d, err := ParseDate(text)
		if err != nil || PlaceholderBirth(d, on) != want {
			t.Errorf("%s: want %v", text, want)
		}
	}
}

func TestDateBounds(t *testing.T) {
	for text, want := range map[string][2]string{
		"1990": {"1990-01-01", "1990-12-31"}, "2024-02": {"2024-02-01", "2024-02-29"}, "2026-12": {"2026-12-01", "2026-12-31"}, "2026-12-05": {"2026-12-05", "2026-12-05"},
	} {
		d, _ := ParseDate(text)
		if d.First().String() != want[0] || d.Last().String() != want[1] {
			t.Errorf("%s: %s to %s", text, d.First(), d.Last())
		}
	}
	if DateOf(time.Unix(0, 0).UTC()).Days() == 0 {
		t.Error("the day of the epoch counts as no day")
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"1968-02-29", "1990", "1979-11", "0001-01-01", "9999-12-31", "2026-12-01T09:00:00-06:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDate(text)
		if err != nil {
			if !d.IsZero() {
				t.Errorf("%q gives an error and %v", text, d)
			}
			return
		}
		if again, err := ParseDate(d.String()); err != nil || again != d {
			t.Errorf("%q is %v, which reads as %v", text, d, again)
		}
		if d.Last().Before(d.First()) || unpackDate(packDate(d)) != d {
			t.Errorf("%q is %v, from %v to %v", text, d, d.First(), d.Last())
		}
		if m, err := ParseMoment(text); err == nil && m.Date != d {
			t.Errorf("%q is %v as a date and %v as a moment", text, d, m.Date)
		}
	})
}
