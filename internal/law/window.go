package law

import (
	"fmt"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// Week says, for each day of the week (Sunday is 0), from which minute until which minute people may be contacted. From equal
// to To is a closed day.
type Week [7]struct{ From, To int }

const minutesPerDay = 24 * 60

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// AlwaysOpen is the week without quiet hours.
func AlwaysOpen() Week {
	var w Week
	for d := range w {
		w[d].To = minutesPerDay
	}
	return w
}

// ParseWeek reads "08:00-21:00" for every day, or parts such as "mon-fri 09:00-18:00; sat 10:00-17:00"; days not named are closed.
func ParseWeek(text string) (Week, error) {
	var w Week
	var seen [7]bool
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Fields(part)
		first, last := 0, 6
		if len(fields) == 2 {
			var ok bool
			if first, last, ok = parseDays(fields[0]); !ok {
				return Week{}, badWeek()
			}
			fields = fields[1:]
		}
		if len(fields) != 1 {
			return Week{}, badWeek()
		}
		from, to, ok := parseHours(fields[0])
		if !ok {
			return Week{}, badWeek()
		}
		for d := first; ; d = (d + 1) % 7 {
			if seen[d] {
				return Week{}, badWeek()
			}
			seen[d] = true
			w[d].From, w[d].To = from, to
			if d == last {
				break
			}
		}
	}
	return w, nil
}

func badWeek() error {
	return fault.New(fault.Invalid, "not the hours of a week").Hint(`write "08:00-21:00" or "mon-sat 09:00-21:00; sun 12:00-21:00"`)
}

func parseDays(text string) (first, last int, ok bool) {
	a, b, ranged := strings.Cut(text, "-")
	if !ranged {
		b = a
	}
	first, last = dayIndex(a), dayIndex(b)
	return first, last, first >= 0 && last >= 0
}

func dayIndex(name string) int {
	for d, n := range dayNames {
		if n == name {
			return d
		}
	}
	return -1
}

func parseHours(text string) (from, to int, ok bool) {
	a, b, found := strings.Cut(text, "-")
	from, okA := parseMinute(a)
	to, okB := parseMinute(b)
	return from, to, found && okA && okB && from < to
}

// parseMinute reads "08:00"; "24:00" is the end of the day.
func parseMinute(text string) (int, bool) {
	if len(text) != 5 || text[2] != ':' {
		return 0, false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	h, m := int(text[0]-'0')*10+int(text[1]-'0'), int(text[3]-'0')*10+int(text[4]-'0')
	return h*60 + m, m < 60 && h*60+m <= minutesPerDay
}

// Narrow gives the hours that both weeks allow.
func (w Week) Narrow(v Week) Week {
	for d := range w {
		w[d].From, w[d].To = max(w[d].From, v[d].From), min(w[d].To, v[d].To)
		if w[d].From >= w[d].To {
			w[d].From, w[d].To = 0, 0
		}
	}
	return w
}

// Open tells whether the local wall clock of t lies in the hours.
func (w Week) Open(t time.Time) bool {
	day, minute := w[t.Weekday()], t.Hour()*60+t.Minute()
	return minute >= day.From && minute < day.To
}

// Next gives the next moment, t itself when it is open, at which the hours are open; the zero time when they never are.
func (w Week) Next(t time.Time) time.Time {
	if w.Open(t) {
		return t
	}
	for ahead := range 8 {
		y, m, d := t.Date()
		day := w[time.Weekday((int(t.Weekday())+ahead)%7)]
		if day.From == day.To {
			continue
		}
		open := time.Date(y, m, d+ahead, day.From/60, day.From%60, 0, 0, t.Location())
		if open.After(t) && w.Open(open) {
			return open
		}
	}
	return time.Time{}
}

// String gives the text that ParseWeek reads, one part for each day that is open.
func (w Week) String() string {
	var parts []string
	same := true
	for d := range w {
		same = same && w[d] == w[0]
	}
	for d, h := range w {
		if h.From == h.To {
			continue
		}
		hours := fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
		if same {
			return hours
		}
		parts = append(parts, dayNames[d]+" "+hours)
	}
	return strings.Join(parts, "; ")
}
