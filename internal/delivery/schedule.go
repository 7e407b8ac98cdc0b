package delivery

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/carepost/carepost/internal/id"
)

// Schedule is the times of the queue. Zero fields take the product's own.
type Schedule struct {
	Retry   []time.Duration // between attempts; the last one repeats
	Code    []time.Duration // the same for one-time codes
	Connect []time.Duration // pauses of a receiver that cannot be reached, growing
	Route   []time.Duration // pauses of a domain whose servers cannot be found, growing
	Life    map[Kind]time.Duration
	Policy  int           // attempts under a policy that is not met, before a person is asked
	Doubts  int           // times a message of care in doubt is sent again
	Park    time.Duration // longest pause that a receiver's answer can ask for
	Lease   time.Duration
	Poll    time.Duration // how often the table is looked through for what another node or time brought
	Idle    time.Duration // how long a connection waits for more
	Grace   time.Duration // how long connections may finish when the engine stops
}

func (s Schedule) filled() Schedule {
	const m, h = time.Minute, time.Hour
	list := func(l *[]time.Duration, v ...time.Duration) {
		if len(*l) == 0 {
			*l = v
		}
	}
	list(&s.Retry, 5*m, 15*m, 30*m, h, 2*h, 4*h, 6*h)
	list(&s.Code, 10*time.Second, 20*time.Second, 40*time.Second, m)
	list(&s.Connect, m, 2*m, 5*m, 15*m, 30*m)
	list(&s.Route, 30*time.Second, m, 5*m, 15*m)
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&s.Park, 4*h)
	def(&s.Lease, 5*m)
	def(&s.Poll, time.Second)
	def(&s.Idle, 2*time.Second)
	def(&s.Grace, 20*time.Second)
	if s.Policy == 0 {
		s.Policy = 6
	}
	if s.Doubts == 0 {
		s.Doubts = 3
	}
	return s
}

// life is how long a kind is worth sending.
func (s Schedule) life(k Kind) time.Duration {
	if d := s.Life[k]; d > 0 {
		return d
	}
	switch k {
	case Code:
		return 15 * time.Minute
	case Marketing:
		return 24 * time.Hour
	case Care, Service:
	}
	return 48 * time.Hour
}

// retry gives the pause before the attempt after the n-th, 20 % more or less by a hash of message and attempt: the same message always
// waits the same time, and a thousand that failed together do not come back together.
func (s Schedule) retry(k Kind, m id.Message, n int) time.Duration {
	list := s.Retry
	if k == Code {
		list = s.Code
	}
	return jitter(step(list, n), m[:], n)
}

// away is how long rows wait when a part of the program that they need does not answer.
func (s Schedule) away() time.Duration { return min(s.Retry[0], 5*time.Second) }

// step gives the n-th element, counted from 1; the last one repeats.
func step(list []time.Duration, n int) time.Duration {
	return list[min(max(n, 1), len(list))-1]
}

func jitter(d time.Duration, seed []byte, n int) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint32(seed[:len(seed):len(seed)], uint32(n)))
	// FNV's low bits of similar inputs are similar: fold the high ones in.
	x := h.Sum64()
	x ^= x >> 29
	return d + time.Duration(int64(d)/1000*(int64(x%401)-200))
}
