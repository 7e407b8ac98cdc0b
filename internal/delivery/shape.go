package delivery

import (
	"strings"
	"time"
)

// caps are the pace that a receiver is known to bear from one source.
type caps struct {
	connections int
	messages    int // on one connection; 0: no limit
}

// pace is the table of caps to start with: large receivers' own pages and the shaping data that KumoMTA publishes. What a receiver
// answers changes them (lane.slow, lane.calm).
var pace = map[string]caps{
	"google": {5, 50}, "microsoft-consumer": {5, 50}, "microsoft-365": {5, 50}, "yahoo": {5, 20}, "apple": {10, 5}, "comcast": {25, 1000},
	"proofpoint": {10, 50}, "mimecast": {10, 100}, "barracuda": {10, 15},
}

// paceOf gives a group's caps. A route of the operator's own is bounded by the engine alone.
func paceOf(group string) caps {
	if c, ok := pace[group]; ok {
		return c
	}
	if strings.HasPrefix(group, "route:") {
		return caps{connections: 20}
	}
	return caps{10, 100}
}

// calmAfter: so long without a complaint gives a lane one connection more.
const calmAfter = 10 * time.Minute

// shape is the pace of one lane: additive increase, multiplicative decrease.
type shape struct {
	full      caps
	now       caps
	changed   time.Time
	failures  int // connections in a row that did not come about
	parked    time.Time
	parkedFor string
}

func newShape(group string) shape {
	c := paceOf(group)
	return shape{full: c, now: c}
}

// slow halves the connections.
func (s *shape) slow(now time.Time) {
	s.now.connections = max(1, s.now.connections/2)
	s.changed = now
}

// calm adds a connection when the receiver has not complained for a while.
func (s *shape) calm(now time.Time) {
	if s.now.connections < s.full.connections && now.Sub(s.changed) >= calmAfter {
		s.now.connections++
		s.changed = now
	}
}

// served remembers after how many messages a receiver ended a connection.
func (s *shape) served(n int) {
	if n > 0 && (s.now.messages == 0 || n < s.now.messages) {
		s.now.messages = n
	}
}

// park stops the lane until a time; an earlier end does not shorten a pause.
func (s *shape) park(until time.Time, why string) {
	if until.After(s.parked) {
		s.parked, s.parkedFor = until, why
	}
}

// unreachable parks the lane for a pause that grows with every failure in a row.
func (s *shape) unreachable(now time.Time, pauses []time.Duration) time.Time {
	s.failures++
	until := now.Add(step(pauses, s.failures))
	s.park(until, "unreachable")
	return until
}

// reached forgets the failures.
func (s *shape) reached() { s.failures = 0 }

func (s *shape) isParked(now time.Time) bool { return now.Before(s.parked) }
