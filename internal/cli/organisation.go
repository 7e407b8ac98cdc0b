package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
)

type organisationCommand struct {
	List    organisationListCommand    `cmd:"" help:"The organisations of the installation."`
	Create  organisationCreateCommand  `cmd:"" help:"Make another organisation."`
	Profile organisationProfileCommand `cmd:"" help:"What the organisation says of itself; change it with a file."`
	Senders senderListCommand          `cmd:"" help:"The sender identities."`
	Sender  senderAddCommand           `cmd:"" help:"Make a sender identity on a domain of yours."`
	Close   senderCloseCommand         `cmd:"" help:"Close a sender identity; messages that name it are held."`
}

type organisationListCommand struct{}

// Run lists.
func (*organisationListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Organisations []api.Organisation `json:"organisations"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/organisations", nil, nil, &out); err != nil {
			return err
		}
		for _, o := range out.Organisations {
			e.say("%-8s %s", o.ID, o.Host)
		}
		return e.result(out)
	})
}

type organisationCreateCommand struct {
	Host string `arg:"" help:"Public host name of its pages: care.example.org."`
	File string `arg:"" help:"JSON: name, display, zone, languages, phone, postal."`
}

// Run makes.
func (c *organisationCreateCommand) Run(e *env) error {
	profile, err := jsonFile(c.File)
	if err != nil {
		return err
	}
	return e.with(func(cl *client) error {
		var out api.Organisation
		if err := cl.call(e.ctx, http.MethodPost, "/organisations", nil, map[string]any{"host": c.Host, "profile": profile}, &out); err != nil {
			return err
		}
		e.say("%s. It needs a domain and senders: carepost --organisation %s domain add DOMAIN", out.ID, out.ID)
		return e.result(out)
	})
}

// jsonFile reads a file whose shape another package checks.
func jsonFile(path string) (json.RawMessage, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the file cannot be read").At("%s", path)
	}
	if !json.Valid(raw) {
		return nil, fault.New(fault.Invalid, "not JSON").At("%s", path)
	}
	return raw, nil
}

type organisationProfileCommand struct {
	File string `arg:"" optional:"" help:"JSON to put in its place; the profile is shown when left out."`
}

// Run shows the profile, or changes it.
func (c *organisationProfileCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var p api.Profile
		if err := cl.call(e.ctx, http.MethodGet, "/profile", nil, nil, &p); err != nil {
			return err
		}
		if c.File != "" {
			profile, err := jsonFile(c.File)
			if err != nil {
				return err
			}
			p.Profile = profile
			if err := cl.call(e.ctx, http.MethodPut, "/profile", nil, p, &p); err != nil {
				return err
			}
		}
		e.say("%s", p.Profile)
		return e.result(p)
	})
}

type senderListCommand struct{}

// Run lists.
func (*senderListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Senders []api.Sender `json:"senders"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/senders", nil, nil, &out); err != nil {
			return err
		}
		for _, s := range out.Senders {
			closed := ""
			if !s.Open {
				closed = "  closed"
			}
			e.say("%s  %-14s %-10s %s <%s>%s", s.ID, s.Class, s.Stream, s.Name, s.Address, closed)
		}
		return e.result(out)
	})
}

type senderAddCommand struct {
	Address string `arg:"" help:"On a domain of the organisation."`
	Name    string `required:"" help:"What the recipient sees beside it."`
	Class   string `required:"" help:"transactional or commercial: each keeps its own reputation."`
	Stream  string `required:"" help:"A short word for reputation and statistics: care, news."`
	ReplyTo string `name:"reply-to" help:"Where replies go."`
}

// Run makes.
func (c *senderAddCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out api.Sender
		in := api.Sender{Address: c.Address, Name: c.Name, Class: c.Class, Stream: c.Stream, ReplyTo: c.ReplyTo}
		if err := cl.call(e.ctx, http.MethodPost, "/senders", nil, in, &out); err != nil {
			return err
		}
		e.say("%s", out.ID)
		return e.result(out)
	})
}

type senderCloseCommand struct {
	Sender string `arg:"" help:"sid_..."`
}

// Run closes.
func (c *senderCloseCommand) Run(e *env) error {
	return e.change(http.MethodDelete, "/senders/"+url.PathEscape(c.Sender))
}

type agreementCommand struct {
	List agreementListCommand `cmd:"" help:"The agreements, ended ones too."`
	Sign agreementSignCommand `cmd:"" help:"Record a signed agreement from a file, or changed terms with --amend."`
	End  agreementEndCommand  `cmd:"" help:"End an agreement; it covers nothing after its last day."`
}

type agreementListCommand struct{}

// Run lists.
func (*agreementListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Agreements []api.Agreement `json:"agreements"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/agreements", nil, nil, &out); err != nil {
			return err
		}
		for _, a := range out.Agreements {
			until := "open"
			if a.Terms.Until != 0 {
				until = a.Terms.Until.String()
			}
			e.say("%s  %-30s %s to %s  %v", a.ID, a.Terms.Counterparty, a.Terms.From, until, a.Terms.Services)
		}
		return e.result(out)
	})
}

type agreementSignCommand struct {
	File  string `arg:"" help:"JSON: counterparty, services, from, until, agent, document, clauses (45 CFR 164.504(e))."`
	Amend string `help:"The agreement whose terms these are now: agr_..." placeholder:"ID"`
}

// Run records.
func (c *agreementSignCommand) Run(e *env) error {
	raw, err := jsonFile(c.File)
	if err != nil {
		return err
	}
	var terms agreement.Terms
	if err := json.Unmarshal(raw, &terms); err != nil {
		return fault.Wrap(fault.Invalid, err, "not the terms of an agreement").At("%s", c.File).Hint("docs/openapi.json lists the fields")
	}
	return e.with(func(cl *client) error {
		method, path := http.MethodPost, "/agreements"
		if c.Amend != "" {
			method, path = http.MethodPut, path+"/"+url.PathEscape(c.Amend)
		}
		var out api.Agreement
		if err := cl.call(e.ctx, method, path, nil, api.Agreement{Terms: terms}, &out); err != nil {
			return err
		}
		e.say("%s", out.ID)
		return e.result(out)
	})
}

type agreementEndCommand struct {
	Agreement string `arg:"" help:"agr_..."`
	On        string `help:"Its last day; today when left out." placeholder:"YYYY-MM-DD"`
}

// Run ends.
func (c *agreementEndCommand) Run(e *env) error {
	if c.On == "" {
		c.On = time.Now().Format(time.DateOnly)
	}
	return e.changeBy("/agreements/"+url.PathEscape(c.Agreement)+"/end", map[string]string{"on": c.On})
}
