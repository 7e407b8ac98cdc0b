package audience

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// The checks that both forms share: each gives nil or what is wrong, without a place.

func noField(name string) *complaint {
	return expected("a field of the record").didYouMean(name, fieldNames())
}

// checkEvent takes two or more lower-case words joined by dots: email.opened.
func checkEvent(text string) *complaint {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || len(text) > 80 {
		return expected("an event such as email.opened").didYouMean(text, knownEvents)
	}
	for _, p := range parts {
		if !validName(p, false) || p != strings.ToLower(p) {
			return expected("an event such as email.opened").didYouMean(text, knownEvents)
		}
	}
	return nil
}

// checkWindow keeps a count to the time for which single events are kept.
func checkWindow(w Duration) *complaint {
	if w.days() > keptDays {
		return wrong("single events are kept for %d days, so a count reaches no further back", keptDays).
			hinted("use last or never, which know the first and the last ever")
	}
	return nil
}

func checkGap(g Duration) *complaint {
	if _, ok := g.fixed(); !ok {
		return expected("a length in hours, days or weeks, such as 14d").hinted("a month is not always as long")
	}
	return checkWindow(g)
}

// calendarDays refuses hours where days are compared.
func calendarDays(d Duration) *complaint {
	if d.Unit == Hours {
		return expected("a length in days or more, such as 90d").hinted("dates have no hours")
	}
	return nil
}

func countValue(text string, op Op) (int, *complaint) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxCount || text != strconv.Itoa(n) {
		return 0, expected("a whole number, 0 to " + strconv.Itoa(maxCount))
	}
	if n == 0 && (op == OpGte || op == OpLt) {
		return 0, wrong("a count is never below 0").hinted("to ask for any, write > 0; to ask for none, = 0")
	}
	return n, nil
}

// decimal takes a number without exponent and keeps it as written.
func decimal(text string) (string, *complaint) {
	digits := strings.TrimPrefix(text, "-")
	whole, frac, dot := strings.Cut(digits, ".")
	onlyDigits := func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	if len(text) > 24 || !onlyDigits(whole) || dot && !onlyDigits(frac) || len(whole) > 1 && whole[0] == '0' {
		return "", expected("a number such as 8.0")
	}
	return text, nil
}

// number is the decimal as a fraction-free comparison wants it.
func number(text string) float64 {
	f, _, err := big.ParseFloat(text, 10, 64, big.ToNearestEven)
	if err != nil {
		return 0
	}
	v, _ := f.Float64()
	return v
}

var consentStates = []string{"given", "refused", "revoked", "expired", "none"}

func checkState(state string) *complaint {
	if !slices.Contains(consentStates, state) {
		return expected(either(consentStates)).didYouMean(state, consentStates)
	}
	return nil
}

// checkConsent takes a name as topic:recalls, channel:email or marketing-authorization.
func checkConsent(name string) *complaint {
	for _, p := range strings.SplitN(name, ":", 2) {
		if !validName(p, false) {
			return expected("a consent such as topic:recalls or channel:email")
		}
	}
	return nil
}

func checkSegment(name string) *complaint {
	if !validName(name, true) {
		return expected("the name of a segment: letters, digits, dot, dash, underscore and spaces")
	}
	return nil
}
