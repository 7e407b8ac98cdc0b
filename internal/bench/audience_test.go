package bench_test

import (
	"testing"

	"github.com/carepost/carepost/internal/bench"
	"github.com/carepost/carepost/internal/people/crowd"
)

// TestAudience: the measurement ends with the counts that others gave, and with a figure for each thing.
func TestAudience(t *testing.T) {
	const n = 1_000
	want, _ := crowd.Counts(n)
	r, err := bench.Audience(t.Context(), "", n)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range r.Rules {
		if x.Count != want[i] || x.P50Ms <= 0 || x.P99Ms < x.P50Ms {
			t.Errorf("%+v, want %d people", x, want[i])
		}
	}
	if r.People != n || len(r.Rules) != len(want) || r.BuildS <= 0 || r.RebuildS <= 0 {
		t.Errorf("%+v", r)
	}
}
