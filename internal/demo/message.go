package demo

import (
	"context"
	_ "embed" // the templates
	"encoding/json"
	"net/url"
	"time"

	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/world"
)

//go:embed content/care.json
var careContent []byte

//go:embed content/offer.json
var offerContent []byte

// campaign is one message of the story to its audience.
type campaign struct {
	name, rule     string // of the segment
	purpose, class string
	payer          map[string]string
	content        []byte

	people, matched, unknown int64 // of the segment

	id       string // of the send
	messages []message
}

func theCare() *campaign {
	return &campaign{
		name: "care", rule: "condition icd10:E11.* and latest lab loinc:4548-4 >= 8.0 within 6m",
		purpose: "treatment", class: "transactional", payer: map[string]string{"who": "self"}, content: careContent,
	}
}

func theOffer() *campaign {
	return &campaign{
		name: "offer", rule: "condition icd10:E11.* and age >= 18", purpose: "marketing", class: "commercial", content: offerContent,
		payer: map[string]string{"who": "third-party", "remuneration": "above-cost", "name": payer},
	}
}

// message is one message as the API shows it, with the person whom the world made up.
type message struct {
	ID     string `json:"id"`
	Person string `json:"person"`
	State  string `json:"state"`
	Means  string `json:"means"`

	made   *world.Person
	to     string // the address that it must have gone to
	reason reason // why it was refused or held
}

type reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Rule string `json:"rule"`
}

// way gives the last decision. A message that ended as held was held, whatever was decided before its receiver turned out to be no good.
func (m *message) way() string {
	if m.State == wayHeld || m.State == wayRefused {
		return m.State
	}
	return m.Means
}

func (m *message) went() bool { return m.State == "accepted" }

// choose saves the segment and counts it.
func (s *story) choose(ctx context.Context, c *campaign) error {
	if err := s.api.post(ctx, "/segments", object{"name": c.name, "rule": c.rule}, nil); err != nil {
		return err
	}
	var tally struct {
		People  int64 `json:"people"`
		Matched int64 `json:"matched"`
		Unknown int64 `json:"unknown"`
	}
	if err := s.api.get(ctx, "/segments/"+url.PathEscape(c.name)+"/count", nil, &tally); err != nil {
		return err
	}
	c.people, c.matched, c.unknown = tally.People, tally.Matched, tally.Unknown
	return nil
}

// send stores the template, hands the messages in, and waits until none of them waits.
func (s *story) send(ctx context.Context, c *campaign) error {
	var stored struct {
		Findings []struct {
			Severity string `json:"severity"`
		} `json:"findings"`
	}
	err := s.api.post(ctx, "/templates", object{"name": c.name, "purpose": c.purpose, "class": c.class, "content": json.RawMessage(c.content)}, &stored)
	if err != nil {
		return err
	}
	for _, f := range stored.Findings {
		s.hold(f.Severity != "block", "the content lint lets the template %s pass", c.name)
	}
	var made struct {
		ID       string `json:"id"`
		Messages int64  `json:"messages"`
	}
	err = s.api.post(ctx, "/sends", object{
		"name": c.name, "segment": c.name, "template": c.name, "purpose": c.purpose, "class": c.class, "payer": c.payer, "bulk": true,
	}, &made)
	if err != nil {
		return err
	}
	s.hold(made.Messages == c.matched, "each of the %d people of the segment %s has a message (%d have)", c.matched, c.name, made.Messages)
	c.id = made.ID
	err = s.until(ctx, 2*time.Minute, "no message waits", func() (bool, error) {
		var at struct {
			Total  int64            `json:"total"`
			States map[string]int64 `json:"states"`
		}
		if err := s.api.get(ctx, "/sends/"+url.PathEscape(c.id), nil, &at); err != nil {
			return false, err
		}
		s.screen.bar(at.Total-at.States["waiting"], at.Total, "messages settled")
		return at.States["waiting"] == 0, nil
	})
	if err != nil {
		return err
	}
	return s.list(ctx, c)
}

// list reads every message of a send, and why it was refused or held.
func (s *story) list(ctx context.Context, c *campaign) error {
	query := url.Values{"send": {c.id}, "limit": {"1000"}}
	for {
		var page struct {
			Messages []message `json:"messages"`
			Next     string    `json:"next"`
		}
		if err := s.api.get(ctx, "/messages", query, &page); err != nil {
			return err
		}
		c.messages = append(c.messages, page.Messages...)
		if page.Next == "" {
			break
		}
		query.Set("before", page.Next)
	}
	for i := range c.messages {
		m := &c.messages[i]
		m.made = s.byID[m.Person]
		if m.way() != wayHeld && m.way() != wayRefused {
			continue
		}
		if err := s.why(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// why asks for a message's decisions and keeps the reason that settled the last one.
func (s *story) why(ctx context.Context, m *message) error {
	var shown struct {
		Decisions []struct {
			Reasons []reason `json:"reasons"`
		} `json:"decisions"`
	}
	if err := s.api.get(ctx, "/messages/"+url.PathEscape(m.ID), nil, &shown); err != nil {
		return err
	}
	weight := map[string]gate.Weight{wayHeld: gate.Holds, wayRefused: gate.Refuses}[m.way()]
	if n := len(shown.Decisions); n > 0 {
		for _, r := range shown.Decisions[n-1].Reasons {
			if gate.Code(r.Code).About().Weight == weight {
				m.reason = r
				return nil
			}
		}
	}
	s.hold(false, "a message that is %s says why (%s does not)", m.way(), m.ID)
	return nil
}

// judge holds what was decided against what the papers say. returned names those whose mail came back before.
func (s *story) judge(c *campaign, returned map[string]bool, expect func(m *message) string) {
	wrong := 0
	for i := range c.messages {
		m := &c.messages[i]
		if m.made == nil {
			continue
		}
		m.to = mailbox(m.made, returned[m.Person])
		if want := expect(m); m.way() != want {
			if wrong++; wrong <= 3 {
				s.hold(false, "%s: message %s goes %s, as the papers say (it is %s, %s)", c.name, m.ID, want, m.way(), m.State)
			}
		}
	}
	s.hold(wrong == 0, "%s: every message is decided as the papers say (%d are not)", c.name, wrong)
}
