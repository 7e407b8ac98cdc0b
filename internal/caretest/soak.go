package caretest

import (
	"os"
	"strconv"
	"testing"
)

// Rounds gives how often a test of bad days repeats itself: usual, or CAREPOST_SOAK where that is set.
func Rounds(t testing.TB, usual int) int {
	t.Helper()
	text := os.Getenv("CAREPOST_SOAK")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CAREPOST_SOAK is %q, and no number of rounds", text)
	}
	return n
}

// Tally is what a test of bad days counted; -1 where the question does not arise.
type Tally struct{ Rounds, Lost, InDoubt, Weaker int }

// Count writes the tally where `make soak` finds it, and fails the test for what must be none.
func (c Tally) Count(t testing.TB) {
	t.Helper()
	if c.Lost > 0 || c.Weaker > 0 {
		t.Errorf("%d lost, %d weaker than decided", c.Lost, c.Weaker)
	}
	t.Logf("soak: rounds=%d lost=%d in_doubt=%d weaker=%d", c.Rounds, c.Lost, c.InDoubt, c.Weaker)
}
