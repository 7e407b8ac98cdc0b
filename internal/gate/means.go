package gate

import "github.com/carepost/carepost/internal/fault"

// Means is how a message goes, or that it does not.
type Means string

// The means.
const (
	MeansPlain          Means = "plain"           // no health information in it
	MeansPlainRequested Means = "plain_requested" // the person asked for it, after a warning: 45 CFR 164.524(c)(2), 164.522(b)
	MeansTLS            Means = "tls"             // to the receiving server over a proven connection
	MeansPickup         Means = "pickup"          // kept here, a notice without health information goes out
	MeansPGP            Means = "pgp"
	MeansSMIME          Means = "smime"
	MeansHeld           Means = "held"    // waits for a person, or for the clock (Decision.NotBefore)
	MeansRefused        Means = "refused" // the law says no
)

// All lists the means, the weakest first.
var All = []Means{MeansPlain, MeansPlainRequested, MeansTLS, MeansPickup, MeansPGP, MeansSMIME, MeansHeld, MeansRefused}

// Rank orders the means: refused > held > pickup = pgp = smime > tls > plain_requested > plain. A restriction never lowers it.
func (m Means) Rank() int {
	switch m {
	case MeansPlain:
		return 0
	case MeansPlainRequested:
		return 1
	case MeansTLS:
		return 2
	case MeansPickup, MeansPGP, MeansSMIME:
		return 3
	case MeansHeld:
		return 4
	case MeansRefused:
		return 5
	}
	return 5 // whatever is not known goes nowhere
}

// Goes tells whether a message leaves by these means.
func (m Means) Goes() bool { return m.Rank() <= 3 }

// ParseMeans reads a sender's demand: one of the means that protect, or empty for none. Plain is not a thing to demand.
func ParseMeans(text string) (Means, error) {
	if m := Means(text); m == "" || setPrivate.has(m) {
		return m, nil
	}
	return "", fault.New(fault.Invalid, "not a protection that a sender may demand").Hint("it is one of tls, pickup, pgp, smime")
}

// set is a set of means that may still be chosen.
type set uint8

const (
	setPlain set = 1 << iota
	setPlainRequested
	setTLS
	setPickup
	setPGP
	setSMIME
	setAll     = setPlain | setPlainRequested | setTLS | setPickup | setPGP | setSMIME
	setStrong  = setPickup | setPGP | setSMIME // nobody between the two ends reads it
	setPrivate = setStrong | setTLS
	setText    = setPlain | setPlainRequested | setPickup // what a text message can be
)

func (s set) has(m Means) bool { return s&only(m) != 0 }

func only(m Means) set {
	switch m {
	case MeansPlain:
		return setPlain
	case MeansPlainRequested:
		return setPlainRequested
	case MeansTLS:
		return setTLS
	case MeansPickup:
		return setPickup
	case MeansPGP:
		return setPGP
	case MeansSMIME:
		return setSMIME
	case MeansHeld, MeansRefused:
	}
	return 0
}
