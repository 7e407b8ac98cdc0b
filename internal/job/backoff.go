package job

import "time"

// Backoff is how long to wait before the next attempt: First, then twice as long each time, at most Max, plus or minus Jitter of it.
type Backoff struct {
	First, Max time.Duration
	Jitter     float64 // 0 to 1: the part of the wait that chance decides
}

// After gives the wait after the attempt with this number, counted from 1. spread is chance, from 0 to 1, given by the caller so
// that the same input gives the same answer.
func (b Backoff) After(attempt int, spread float64) time.Duration {
	wait := b.First
	for ; attempt > 1 && wait < b.Max; attempt-- {
		wait *= 2
	}
	wait = min(wait, b.Max)
	return wait + time.Duration(float64(wait)*b.Jitter*(2*spread-1))
}
