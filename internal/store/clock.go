package store

import (
	"sync"
	"time"
)

// steadyClock is the machine's clock, but it never goes back while the process lives: when somebody sets the machine's clock back, this
// one goes on at its pace, so that nothing that is due waits for the time to come round again. It follows a jump ahead, as after a sleep.
type steadyClock struct {
	read func() (wall time.Time, since time.Duration) // since a moment that does not matter, by a clock that nobody sets

	mu    sync.Mutex
	last  time.Time     // what was given last
	since time.Duration // what was read then
}

func (c *steadyClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, since := c.read()
	if !c.last.IsZero() {
		if ours := c.last.Add(since - c.since); now.Before(ours) {
			now = ours
		}
	}
	c.last, c.since = now, since
	return now
}

var started = time.Now()

// machineClock reads the clock on the wall, and the monotonic one beside it.
func machineClock() (wall time.Time, since time.Duration) {
	now := time.Now()
	return now.Round(0), now.Sub(started)
}

// Millis gives the milliseconds since 1970 that a time column holds; the zero time is 0.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time reads a time column: UTC; 0 is the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
