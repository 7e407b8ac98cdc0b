package csv

import (
	"cmp"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/people"
)

// wish is what a record says of one channel and topic: yes or no, since when, and by what evidence.
type wish struct {
	to, topic string
	word      string // permit, deny
	at        people.Moment
	evidence  string
}

type wishes []wish

func (w *wishes) of(c *Column) *wish {
	to := cmp.Or(c.To, "email")
	for i := range *w {
		if (*w)[i].to == to && (*w)[i].topic == c.Topic {
			return &(*w)[i]
		}
	}
	*w = append(*w, wish{to: to, topic: c.Topic})
	return &(*w)[len(*w)-1]
}

// take reads one column. A no outweighs a yes of the same record.
func (w *wishes) take(r *row, c *Column) {
	one := w.of(c)
	switch c.Field {
	case fieldEvidence:
		if text := r.value(c); text != "" {
			one.evidence = strings.TrimSpace(one.evidence + " " + text)
		}
	case fieldConsent:
		text := r.value(c)
		if text == "" {
			return
		}
		if c.Values == nil {
			value, ok := readYes(text)
			if !ok {
				r.warn(c, reasonWord)
				return
			}
			text = map[bool]string{true: "permit", false: "deny"}[value]
		}
		one.say(text, people.Moment{})
	case fieldConsentAt:
		if m, ok := r.moment(c); ok {
			one.say("permit", m)
		}
	case fieldOptOutAt:
		if m, ok := r.moment(c); ok {
			one.say("deny", m)
		} else if r.value(c) != "" {
			one.say("deny", people.Moment{}) // a no whose time cannot be read is a no
		}
	}
}

func (w *wish) say(word string, at people.Moment) {
	if w.word == "deny" && word != "deny" {
		return
	}
	if w.word != word || w.at.IsZero() || !at.IsZero() && at.Unix() > w.at.Unix() {
		w.at = at
	}
	w.word = word
}

// facts makes consents of the wishes, as a source reports them: a no applies at once, a yes waits for a person.
func (w wishes) facts(r *row, change *people.Change) {
	for _, x := range w {
		if x.word != "permit" && x.word != "deny" {
			continue
		}
		f := people.Fact{
			Kind: people.FactConsent, State: people.StateActive, Source: r.c.Source, Start: x.at,
			Resource: "consent/" + r.m.Name + "/" + r.subject + "/" + x.to + "/" + x.topic,
			Text:     map[string]string{people.TextProvision: x.word, people.TextLabel: x.to},
		}
		if x.topic != "" {
			f.Text[people.TextTopic] = x.topic
		}
		if x.evidence != "" {
			f.Text[people.TextReason], _ = people.CleanText(x.evidence, maxCell)
		}
		change.Facts = append(change.Facts, f)
	}
}

// covering is what a word for a suppression means.
type covering struct {
	covers consent.Covers
	reason string
	rule   string
}

var covers = map[string]*covering{
	"address":     {consent.CoversAddress, "bounced", ""},
	"all":         {consent.CoversAll, "asked", ""},
	"commercial":  {consent.CoversCommercial, "unsubscribed", "15 USC 7704(a)(4)"},
	"fundraising": {consent.CoversFundraising, "asked", "45 CFR 164.514(f)(2)(iv)"},
}

// stopOf reads a column that says in the middle of a record that its address is not to be written to.
func (r *row) stopOf(c *Column) {
	word := r.value(c)
	if c.Values == nil && word != "" {
		if stop, ok := readYes(word); ok && stop {
			word = "commercial"
		} else if ok {
			word = ""
		}
	}
	if word == "" || word == "-" {
		return
	}
	stop := covers[word]
	if stop == nil {
		r.warn(c, reasonWord)
		return
	}
	r.suppress(stop, "", time.Time{})
}

// suppress adds a suppression of every address of the record, and tells whether there is one.
func (r *row) suppress(stop *covering, reason string, at time.Time) bool {
	found := false
	for i := range r.m.Columns {
		c := &r.m.Columns[i]
		if c.In != "" || c.Field != fieldEmail && (c.Field != fieldPhone || r.m.has(fieldEmail)) {
			continue
		}
		for _, text := range r.several(c) {
			s := consent.Suppression{
				Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Covers: stop.covers, Reason: cmp.Or(reason, stop.reason), Rule: stop.rule,
				Evidence: consent.Evidence{How: "source", Source: r.c.Source, At: at},
			}
			var err error
			if c.Field == fieldEmail {
				s.Address, err = people.NormalEmail(text)
			} else {
				s.Channel = people.ChannelPhone
				s.Address, err = people.NormalPhone(text, r.c.Country)
			}
			if err == nil {
				r.stops = append(r.stops, s)
				found = true
			}
		}
	}
	return found
}

// suppression reads a record of a list of addresses that are not to be written to.
func (r *row) suppression() ([]consent.Suppression, error) {
	stop, reason := covers[r.m.Suppress.Covers], r.m.Suppress.Reason
	var at time.Time
	for i := range r.m.Columns {
		c := &r.m.Columns[i]
		switch c.Field {
		case fieldStop:
			if x := covers[r.value(c)]; x != nil {
				stop, reason = x, ""
			}
		case fieldOptOutAt:
			if m, ok := r.moment(c); ok && !m.At().After(r.c.Received) {
				at = m.At()
			}
		}
	}
	if !r.suppress(stop, reason, at) {
		return nil, fault.New(fault.Invalid, reasonNoAt)
	}
	return r.stops, nil
}
