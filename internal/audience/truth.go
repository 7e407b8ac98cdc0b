package audience

// Truth is what a rule says of one person. Unknown is what a missing fact leaves; it matches nothing, and neither does its opposite.
type Truth uint8

// The three values, in their order: all is the least of its rules, any the greatest (strong Kleene logic).
const (
	False   Truth = 0
	Unknown Truth = 1
	True    Truth = 2
)

// Not gives the opposite; unknown stays.
func (t Truth) Not() Truth { return True - t }

// String gives true, unknown or false.
func (t Truth) String() string {
	switch t {
	case True:
		return "true"
	case False:
		return "false"
	case Unknown:
	}
	return "unknown"
}

func truth(yes bool) Truth {
	if yes {
		return True
	}
	return False
}

// absent is what the absence of something says: false from a complete and fresh feed, else nothing.
func absent(complete bool) Truth {
	if complete {
		return False
	}
	return Unknown
}

// spans are disjoint ranges of whole numbers, both ends included, in order and with gaps between them: days or seconds.
type spans [][2]int64

// of tells whether a value that lies somewhere from lo to hi is inside.
func (s spans) of(lo, hi int64) Truth {
	for _, r := range s {
		if r[0] <= lo && hi <= r[1] {
			return True
		}
		if lo <= r[1] && r[0] <= hi {
			return Unknown
		}
	}
	return False
}

const (
	farPast   = -1 << 40
	farFuture = 1 << 40
)

// complement gives what lies outside.
func (s spans) complement() spans {
	var out spans
	from := int64(farPast)
	for _, r := range s {
		if from < r[0] {
			out = append(out, [2]int64{from, r[0] - 1})
		}
		from = r[1] + 1
	}
	if from <= farFuture {
		out = append(out, [2]int64{from, farFuture})
	}
	return out
}
