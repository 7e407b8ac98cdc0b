package audience

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// Feed is one source of records: which kinds of events it delivers completely (appointment.missed, appointment.*, *), and when it
// last did.
type Feed struct {
	Name     string
	Complete map[string]time.Time
}

// Feeds says from which silence something follows. Absence is known of a person for a kind of event when one of the person's feeds
// delivers that kind completely, and all of the person's feeds that do are fresh.
type Feeds struct {
	List  []Feed
	Fresh time.Duration // how long a complete delivery holds
}

// FreshFor is how long a feed counts as fresh after a complete delivery: a nightly export may fail once.
const FreshFor = 48 * time.Hour

// own are the events that the product makes itself: nobody else could know better.
var own = []string{"email.", "sms.", "pickup.", "message."}

// claim is what one kind of event needs of a person's feeds.
type claim struct {
	name  string // the kinds
	own   bool
	fresh map[string]bool // by the name of a feed that delivers the kind: is it fresh
}

// claim gives what the absence of the kinds needs: a feed that delivers one of them completely says so for all.
func (f Feeds) claim(now time.Time, kinds ...string) claim {
	c := claim{name: strings.Join(kinds, " "), fresh: map[string]bool{}}
	for _, k := range kinds {
		c.own = c.own || slices.ContainsFunc(own, func(prefix string) bool { return strings.HasPrefix(k, prefix) })
		for _, feed := range f.List {
			for pattern, last := range feed.Complete {
				if delivers(pattern, k) {
					c.fresh[feed.Name] = c.fresh[feed.Name] || now.Sub(last) <= f.Fresh
				}
			}
		}
	}
	return c
}

func delivers(pattern, kind string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(kind, prefix)
	}
	return pattern == kind
}

// of tells whether absence is known of the person.
func (c claim) of(p *people.Projection) bool {
	some := c.own
	for _, s := range p.Sources {
		fresh, claims := c.fresh[s]
		if claims && !fresh {
			return c.own
		}
		some = some || claims
	}
	return some
}

// stale names the person's feeds that deliver the kind and are silent.
func (c claim) stale(p *people.Projection) []string {
	var list []string
	for _, s := range p.Sources {
		if fresh, claims := c.fresh[s]; claims && !fresh {
			list = append(list, s)
		}
	}
	return list
}
