package internal_test

import (
	"regexp"
	"strings"
	"testing"
)

// A log call takes ids, counts, codes and errors. These names of fields hold what a record says.
var logsPHI = regexp.MustCompile(`slog\.(?:Debug|Info|Warn|Error|Log|With)[A-Za-z]*\(.*\.(?:Names?|Family|Given|Birth|Value|Normal|Email|Phone|Address(?:es)?|Subject|Body|Lines)\b`)

// TestNoPHIInLogs reads every log call of the product. The stories of the whole program look into the log itself for planted names.
func TestNoPHIInLogs(t *testing.T) {
	walkGo(t, func(file string, src []byte) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		for n, line := range strings.Split(string(src), "\n") {
			if logsPHI.MatchString(line) {
				t.Errorf("%s:%d logs a field of a record", file, n+1)
			}
		}
	})
}

var forbiddenCalls = map[string]*regexp.Regexp{
	"time.Now in a decision": regexp.MustCompile(`\btime\.Now\(`),
	"http.DefaultClient":     regexp.MustCompile(`\bhttp\.(DefaultClient|Get|Post|Head)\b\(?`),
	"math/rand":              regexp.MustCompile(`"math/rand`),
}

// TestForbiddenCalls keeps the clock out of the packages that decide, and default clients and weak randomness out of all.
func TestForbiddenCalls(t *testing.T) {
	decides := regexp.MustCompile(`^(gate|audience|law|compose|bounce)/`)
	walkGo(t, func(file string, src []byte) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		for what, re := range forbiddenCalls {
			if what == "time.Now in a decision" && !decides.MatchString(file) {
				continue
			}
			if what == "math/rand" && regexp.MustCompile(`^(world|bench)/`).Match([]byte(file)) {
				continue // made-up people want a seed
			}
			if re.Match(src) {
				t.Errorf("%s uses %s", file, what)
			}
		}
	})
}
