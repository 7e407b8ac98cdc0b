package consent

import (
	"context"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// Said is what counts of all answers to one channel and topic.
type Said struct {
	ID      id.Consent
	Channel people.Channel
	Topic   string
	State   string // given, refused, revoked, expired
	Written bool
	Expires law.Date
}

// Said sums the answers up: within one record the last act on a channel and topic counts, across merged records the strictest.
func (x Record) Said(today law.Date) []Said {
	type place struct {
		person  id.Person
		channel people.Channel
		topic   string
	}
	last := map[place]Consent{}
	var order []place
	for _, c := range x.Consents {
		p := place{c.Person, c.Channel, c.Topic}
		old, seen := last[p]
		if !seen {
			order = append(order, p)
		}
		if !seen || later(c, old) {
			last[p] = c
		}
	}
	var all []Said
	for _, p := range order {
		c := last[p]
		s := Said{ID: c.ID, Channel: c.Channel, Topic: c.Topic, State: "given", Written: c.Written, Expires: c.Expires}
		switch {
		case c.Refused:
			s.State = "refused"
		case c.Status != InForce:
			s.State = "revoked"
		case c.Expires != 0 && today > c.Expires:
			s.State = "expired"
		}
		i := slices.IndexFunc(all, func(o Said) bool { return o.Channel == s.Channel && o.Topic == s.Topic })
		switch {
		case i < 0:
			all = append(all, s)
		case strictness[s.State] > strictness[all[i].State]:
			all[i] = s
		}
	}
	return all
}

// later tells that c counts and not old: it was the later act, or of two at one time the refusal.
func later(c, old Consent) bool {
	if a, b := acted(c), acted(old); !a.Equal(b) {
		return a.After(b)
	}
	return c.Refused || c.Status != InForce || !old.Refused && old.Status == InForce
}

var strictness = map[string]int{"given": 1, "expired": 2, "revoked": 3, "refused": 4}

// acted gives the time of the last act on a row: when the person acted, which a form says that is typed in later. What a feed refuses
// counts from when it was heard, because its dates are often those of an older version.
func acted(c Consent) time.Time {
	at := func(e Evidence, taken time.Time) time.Time {
		if e.At.IsZero() || e.At.After(taken) || e.How == "source" && (c.Refused || !c.Ended.IsZero()) {
			return taken
		}
		return e.At
	}
	made := at(c.Evidence, c.Made)
	if ended := at(c.Ending, c.Ended); ended.After(made) {
		return ended
	}
	return made
}

// project tells people's projection what counts of a record, for the rules of audiences.
func (r *Consents) project(ctx context.Context, tx *store.Tx, person id.Person) error {
	own, err := r.of(ctx, tx, []id.Person{person})
	if err != nil {
		return err
	}
	p, err := r.people.Get(ctx, tx, person)
	if err != nil {
		return err
	}
	var at []At
	for _, c := range p.Core.Contacts {
		if c.Normal != "" && (c.Channel == people.ChannelEmail || c.Channel == people.ChannelPhone) {
			at = append(at, At{c.Channel, c.Normal})
		}
	}
	suppressed, err := r.Suppressed(ctx, tx, at)
	if err != nil {
		return err
	}
	x := own[person]
	for _, a := range at {
		x.Suppressions = append(x.Suppressions, suppressed[a]...)
	}
	return r.people.SetConsents(ctx, tx, person, x.projected(law.Day(tx.Now)))
}

// channelNames gives the names under which a channel is projected; 0 is every channel.
func channelNames(c people.Channel) []string {
	switch c {
	case people.ChannelEmail:
		return []string{"channel:email"}
	case people.ChannelPhone:
		return []string{"channel:text"}
	case people.ChannelPost:
		return []string{"channel:post"}
	}
	return []string{"channel:email", "channel:text", "channel:post"}
}

// projected gives one line per name, the strictest: "channel:email", "topic:NAME", "marketing-authorization", "fundraising",
// "restriction", "confidential", "plain-mail".
func (x Record) projected(today law.Date) []people.ProjectedConsent {
	var all projection
	for _, s := range x.Said(today) {
		if s.Topic != "" {
			all.add("topic:"+s.Topic, s.State, s.Expires)
			continue
		}
		for _, name := range channelNames(s.Channel) {
			all.add(name, s.State, s.Expires)
		}
	}
	for _, s := range x.Suppressions {
		if s.Status != InForce {
			continue
		}
		switch s.Covers {
		case CoversTopic:
			all.add("topic:"+s.Topic, "refused", 0)
		case CoversCommercial:
			all.add("commercial", "refused", 0)
		case CoversFundraising:
			all.add("fundraising", "refused", 0)
		case CoversTexts:
			all.add("channel:text", "refused", 0)
		case CoversAll, CoversAddress:
			for _, name := range channelNames(s.Channel) {
				all.add(name, "refused", 0)
			}
		}
	}
	x.projectForms(&all, today)
	return all
}

func (x Record) projectForms(all *projection, today law.Date) {
	valid, ended := projection{}, projection{}
	for _, a := range x.Authorizations {
		for _, p := range a.Purposes {
			name := p.String() + "-authorization"
			switch {
			case a.Status == Ended && !a.EventReached():
				ended.add(name, "revoked", 0)
			case a.Status == Ended || a.Expires != 0 && today > a.Expires:
				ended.add(name, "expired", 0)
			default:
				valid.add(name, "given", a.Expires)
			}
		}
	}
	// A new authorization counts beside an old one that was revoked: the gate asks each by itself.
	for _, c := range valid {
		all.add(c.Name, c.State, law.Date(c.Until))
	}
	for _, c := range ended {
		if !slices.ContainsFunc(valid, func(v people.ProjectedConsent) bool { return v.Name == c.Name }) {
			all.add(c.Name, c.State, 0)
		}
	}
	for _, t := range x.Restrictions {
		if t.Status == InForce {
			all.add("restriction", "given", 0)
			if t.Purpose != ledger.PurposeNone {
				all.add("restriction:"+t.Purpose.String(), "given", 0)
			}
		}
	}
	for _, c := range x.Confidential {
		if c.Status == InForce {
			all.add("confidential", "given", 0)
		}
	}
	for _, p := range x.PlainRequests {
		if p.Status == InForce {
			all.add("plain-mail", "given", 0)
		}
	}
}

type projection []people.ProjectedConsent

// add keeps the strictest of a name; of two that are given, the one that lasts longer.
func (p *projection) add(name, state string, until law.Date) {
	for i := range *p {
		c := &(*p)[i]
		if c.Name != name {
			continue
		}
		longer := state == c.State && c.Until != 0 && (until == 0 || int32(until) > c.Until)
		if strictness[state] > strictness[c.State] || longer {
			c.State, c.Until = state, int32(until)
		}
		return
	}
	*p = append(*p, people.ProjectedConsent{Name: name, State: state, Until: int32(until)})
}
