package delivery

import (
	"testing"
	"time"
)

// TestAStreamPausesAfterAFailedClaim: a database that is away is not asked again at once, and less often each time; one claim that
// comes back ends that.
func TestAStreamPausesAfterAFailedClaim(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	d := &dispatcher{e: &Engine{o: Options{Now: func() time.Time { return now }, Connections: 4}}, lanes: map[int64]*lane{}}
	h := hint{stream{7, PriorityCare, 1}, now.Add(-time.Minute)}
	d.note(h)
	l, k := d.lanes[7], streamKey{PriorityCare, 1}
	for i, pause := range append(claimPauses, 5*time.Second) {
		if _, _, ok := d.pick(l, now, 0); !ok {
			t.Fatalf("failure %d: the stream does not come back", i)
		}
		d.troubled(l, k)
		d.note(h) // a hint, or a look through the table, does not end the pause
		if _, due := l.top(now); due {
			t.Fatalf("failure %d: no pause", i)
		}
		if at, _ := l.earliest(); !at.Equal(now.Add(pause)) {
			t.Errorf("failure %d: looked at again after %s, wanted %s", i, at.Sub(now), pause)
		}
		now = now.Add(pause)
	}
	_, told, _ := d.pick(l, now, 0)
	d.claimed(l, k, told, true, time.Time{})
	if _, due := l.top(now); !due {
		t.Error("the stream pauses although its claim came back")
	}
}
