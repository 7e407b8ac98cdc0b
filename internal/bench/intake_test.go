package bench_test

import (
	"testing"

	"github.com/carepost/carepost/internal/bench"
)

// TestIntake: the measurement takes in all that it made.
func TestIntake(t *testing.T) {
	r, err := bench.Intake(t.Context(), "", 100, 100)
	if err != nil || r.ResourcesPerS <= 0 || r.CSVRowsPerS <= 0 || r.Resources != 84 || r.CSVRows != 100 {
		t.Errorf("%+v %v", r, err)
	}
}
