package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

type templateCommand struct {
	Create   templateCreateCommand   `cmd:"" help:"Store a template, or a new version of the one with this name."`
	List     templateListCommand     `cmd:"" help:"The templates."`
	Preview  templatePreviewCommand  `cmd:"" help:"A template as a person would get it."`
	Withdraw templateWithdrawCommand `cmd:"" help:"Take a template out of use; messages that wait with it are held."`
}

type templateCreateCommand struct {
	Name    string `arg:""`
	File    string `arg:"" help:"JSON: version, variables, variants (docs/templates.md)."`
	Purpose string `required:"" help:"treatment, payment, operations, refill, fundraising, marketing or service."`
	Class   string `required:"" help:"transactional or commercial."`
}

// Run stores and shows what the lint found.
func (c *templateCreateCommand) Run(e *env) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the file cannot be read").At("%s", c.File)
	}
	if !json.Valid(raw) {
		return fault.New(fault.Invalid, "not JSON").At("%s", c.File)
	}
	return e.with(func(cl *client) error {
		var t api.Template
		body := map[string]any{"name": c.Name, "purpose": c.Purpose, "class": c.Class, "content": json.RawMessage(raw)}
		if err := cl.call(e.ctx, http.MethodPost, "/templates", nil, body, &t); err != nil {
			return err
		}
		e.say("%s version %d", t.ID, t.Version)
		for _, f := range t.Findings {
			e.say("  %-5s %s: %s", f.Severity, f.Where, f.Text)
		}
		return e.result(t)
	})
}

type templateListCommand struct{}

// Run lists.
func (*templateListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Templates []api.Template `json:"templates"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/templates", nil, nil, &out); err != nil {
			return err
		}
		for _, t := range out.Templates {
			e.say("%s  v%-3d %s", t.ID, t.Version, t.Name)
		}
		return e.result(out)
	})
}

type templatePreviewCommand struct {
	Name   string `arg:""`
	Person string `help:"As this person would get it; without it, with samples."`
	HTML   bool   `name:"html" help:"The HTML instead of the plain text."`
}

// Run previews.
func (c *templatePreviewCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		q := url.Values{}
		if c.Person != "" {
			q.Set("person", c.Person)
		}
		var out struct {
			Language string `json:"language"`
			Subject  string `json:"subject"`
			Text     string `json:"text"`
			HTML     string `json:"html"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/templates/"+url.PathEscape(c.Name)+"/preview", q, nil, &out); err != nil {
			return err
		}
		if c.HTML {
			e.say("%s", out.HTML)
		} else {
			e.say("Subject: %s\n\n%s", out.Subject, out.Text)
		}
		return e.result(out)
	})
}

type templateWithdrawCommand struct {
	Name string `arg:""`
}

// Run withdraws.
func (c *templateWithdrawCommand) Run(e *env) error {
	return e.change(http.MethodPost, "/templates/"+url.PathEscape(c.Name)+"/withdraw")
}

type sendCommand struct {
	Segment         string   `help:"The segment whose people get it, as of now." xor:"who" required:""`
	Person          []string `help:"Or this person: per_...; may repeat." xor:"who" required:""`
	Template        string   `required:"" help:"By name."`
	Name            string   `help:"Name for staff; the template's when left out."`
	Purpose         string   `required:"" help:"treatment, payment, operations, refill, fundraising, marketing or service. Never guessed."`
	Class           string   `required:"" help:"transactional or commercial. Never guessed from the purpose."`
	PaidBy          string   `help:"Name of the third party that pays for it." placeholder:"NAME"`
	Remuneration    string   `help:"What it gives: in-kind, at-cost or above-cost."`
	Topic           string   `help:"Topic that people may opt out of."`
	Demand          string   `help:"tls or pickup: no other protection may take its place."`
	Sensitive       []string `help:"A class of information in it that a law protects more: part2, mental_health, hiv, genetic, reproductive, minor_consent, psychotherapy_notes, counselling_notes; may repeat." placeholder:"CLASS"`
	Drug            []string `help:"Refill reminder: a code of the drug, as rxnorm:860975; may repeat." placeholder:"CODE"`
	Urgent          bool     `help:"Cannot wait for morning."`
	Safety          bool     `help:"A recall or safety notice."`
	Offer           bool     `help:"A discount or copay help on something that Medicare or Medicaid pays for."`
	PermittedFields bool     `name:"permitted-fields" help:"Fundraising: only the fields of 45 CFR 164.514(f)(1) chose and fill it."`
	NoticeSaysSo    bool     `name:"notice-says-so" help:"Fundraising: the notice of privacy practices announces it."`
	Bulk            bool     `help:"One of a campaign: caps and hours for bulk mail apply."`
	ID              string   `name:"id" help:"Repeat a send that broke off: snd_...; nobody is written to twice." placeholder:"ID"`
	DryRun          bool     `help:"For each person whether it may go, how, and why; nothing is sent."`
}

// Run sends, or shows what would become of each.
func (c *sendCommand) Run(e *env) error {
	body := api.SendRequest{
		Name: c.Name, Segment: c.Segment, People: c.Person, Template: c.Template, Purpose: c.Purpose, Class: c.Class, Topic: c.Topic, Demand: c.Demand,
		Bulk: c.Bulk || c.Segment != "", Payer: api.Payer{Who: "self"}, Sensitive: c.Sensitive, Drug: c.Drug, Urgent: c.Urgent, Safety: c.Safety, Offer: c.Offer,
	}
	if c.PermittedFields || c.NoticeSaysSo {
		body.Fundraising = &api.Fundraising{OnlyPermittedFields: c.PermittedFields, NoticeSaysSo: c.NoticeSaysSo}
	}
	if body.Name == "" {
		body.Name = c.Template
	}
	if c.PaidBy != "" {
		body.Payer = api.Payer{Who: "third-party", Name: c.PaidBy, Remuneration: c.Remuneration}
	}
	if c.DryRun {
		return c.preview(e, body)
	}
	// The id is made here, so that it is known whatever becomes of the request: with it the command can be repeated.
	body.ID = c.ID
	if body.ID == "" {
		body.ID = id.New[id.Send]().String()
	}
	return e.with(func(cl *client) error {
		var out struct {
			ID       string `json:"id"`
			Messages int    `json:"messages"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/sends", nil, body, &out); err != nil {
			return brokeOff(err, body.ID)
		}
		e.say("%s: %d messages are handed in. Each is decided when it is about to leave: carepost message list --send %s", out.ID, out.Messages, out.ID)
		if cl.alone {
			e.say("Nothing is sent until `carepost serve` runs.")
		}
		return e.result(out)
	})
}

// brokeOff says how to repeat a send whose way broke; what is wrong with the request itself needs no repeating.
func brokeOff(err error, send string) error {
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
		return fault.Wrap(fault.Unavailable, err, "the send broke off: %s", fault.Text(err)).At("%s", send).
			Hint("the same command with --id %s goes on where it stopped; nobody is written to twice", send)
	}
	return err
}

func (c *sendCommand) preview(e *env, body api.SendRequest) error {
	return e.with(func(cl *client) error {
		var out struct {
			Means  map[string]int `json:"means"`
			People []api.Preview  `json:"people"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/sends/preview", nil, body, &out); err != nil {
			return err
		}
		for _, m := range sortedKeys(out.Means) {
			e.say("%6d  %s", out.Means[m], m)
		}
		for _, p := range out.People {
			e.say("%s  %-8s %s", p.Person, p.Means, codesOf(p.Reasons))
		}
		return e.result(out)
	})
}

func codesOf(reasons []api.Reason) string {
	var codes []string
	for _, r := range reasons {
		codes = append(codes, r.Code)
	}
	return strings.Join(codes, " > ")
}

type messageCommand struct {
	List    messageListCommand    `cmd:"" help:"Messages by send, state or person."`
	Show    messageShowCommand    `cmd:"" help:"Why this way, and everything that happened; the view is written into the ledger."`
	Sends   messageSendsCommand   `cmd:"" help:"The newest sends with their counts."`
	Release messageReleaseCommand `cmd:"" help:"Let a held message be decided again."`
	Cancel  messageCancelCommand  `cmd:"" help:"Give a message up."`
}

type messageListCommand struct {
	Send   string `help:"snd_..."`
	State  string `help:"waiting, accepted, bounced, expired, held, in_doubt, cancelled or refused."`
	Person string `help:"per_..."`
	Limit  int    `default:"100"`
}

// Run lists.
func (c *messageListCommand) Run(e *env) error {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for k, v := range map[string]string{"send": c.Send, "state": c.State, "person": c.Person} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return e.with(func(cl *client) error {
		var out struct {
			Messages []api.MessageLine `json:"messages"`
			Next     string            `json:"next,omitempty"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/messages", q, nil, &out); err != nil {
			return err
		}
		for _, m := range out.Messages {
			e.say("%s  %-9s %-15s %s", m.ID, m.State, m.Means, m.Person)
		}
		return e.result(out)
	})
}

type messageShowCommand struct {
	Message string `arg:"" help:"msg_..."`
}

// Run shows.
func (c *messageShowCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var m api.Message
		if err := cl.call(e.ctx, http.MethodGet, "/messages/"+url.PathEscape(c.Message), nil, nil, &m); err != nil {
			return err
		}
		e.say("%s to %s: %s", m.ID, m.Person, m.State)
		e.say("  %s; purpose %s, class %s; handed in %s", m.Name, m.Purpose, m.Class, m.MadeAt.Format(time.RFC3339))
		for i, d := range m.Decisions {
			proof := ""
			if d.Proof != "" {
				proof = ", which must be proven by " + d.Proof
			}
			e.say("  decision %d, %s: %s%s", i+1, d.At.Format(time.RFC3339), d.Means, proof)
			for _, r := range d.Reasons {
				e.say("    - %s", strings.TrimSpace(r.Text+" ["+r.Rule+"] "+r.Ref))
			}
		}
		if d := m.Delivery; d != nil {
			e.say("  delivery: %s, %d attempts %s", strings.TrimSpace(d.State+" "+d.End), d.Attempts, d.Reason)
			if d.Proof != "" || d.TLS != "" {
				e.say("    accepted over %s, proven by %s", d.TLS, d.Proof)
			}
			if d.Failure != "" {
				e.say("    the connection lacked: %s", d.Failure)
			}
			if d.Code != 0 {
				e.say("    the receiver said %d %s: %s", d.Code, d.Enhanced, d.Class)
			}
			if d.State != "done" {
				e.say("    next attempt %s, given up %s", d.Due.Format(time.RFC3339), d.Expires.Format(time.RFC3339))
			}
		}
		return e.result(m)
	})
}

type messageSendsCommand struct{}

// Run lists sends.
func (*messageSendsCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Sends []api.Send `json:"sends"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/sends", nil, nil, &out); err != nil {
			return err
		}
		for _, s := range out.Sends {
			e.say("%s  %s  %-30s %d", s.ID, s.MadeAt.Format(time.RFC3339), s.Name, s.Total)
			for _, k := range sortedKeys(s.States) {
				e.say("    %6d %s", s.States[k], k)
			}
		}
		return e.result(out)
	})
}

type messageReleaseCommand struct {
	Message string `arg:"" help:"msg_..."`
}

// Run releases.
func (c *messageReleaseCommand) Run(e *env) error {
	return e.change(http.MethodPost, "/messages/"+url.PathEscape(c.Message)+"/release")
}

type messageCancelCommand struct {
	Message string `arg:"" help:"msg_..."`
}

// Run cancels.
func (c *messageCancelCommand) Run(e *env) error {
	return e.change(http.MethodPost, "/messages/"+url.PathEscape(c.Message)+"/cancel")
}
