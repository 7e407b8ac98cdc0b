package cli

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/tlspolicy"
)

type initCommand struct {
	Name    string   `required:"" help:"Legal name of the organisation."`
	Display string   `help:"Name that patients know; the legal name when left out."`
	Domain  string   `required:"" help:"Domain to send from."`
	Zone    string   `default:"America/New_York" help:"IANA time zone."`
	Street  []string `required:"" help:"Line of the postal address; may repeat." sep:"none"`
	City    string   `required:""`
	State   string   `required:""`
	Postal  string   `required:"" name:"postal-code"`
	Phone   string   `help:"Telephone that patients may call."`
	Spanish bool     `help:"Also write Spanish." default:"true" negatable:""`
}

// Run makes the folders and keys, then the organisation, its domain and its two senders: care and news have their own reputation.
func (c *initCommand) Run(e *env) error {
	p := organisation.Profile{
		Name: c.Name, Display: c.Display, Zone: c.Zone, Languages: []string{"en"}, Phone: c.Phone,
		Postal: organisation.Postal{Lines: c.Street, City: c.City, State: c.State, PostalCode: c.Postal, Country: "US"},
	}
	if p.Display == "" {
		p.Display = c.Name
	}
	if c.Spanish {
		p.Languages = append(p.Languages, "es")
	}
	if err := c.check(e.config, p); err != nil {
		return err
	}
	if err := app.Init(e.config, time.Now()); err != nil {
		return err
	}
	return e.with(func(cl *client) error {
		var made api.Organisation
		if err := cl.call(e.ctx, http.MethodPost, "/organisations", nil, map[string]any{"host": e.config.Host, "profile": p}, &made); err != nil {
			return err
		}
		cl.organisation = made.ID
		if err := cl.call(e.ctx, http.MethodPost, "/domains", nil, map[string]any{"name": c.Domain}, nil); err != nil {
			return err
		}
		for _, s := range []api.Sender{
			{Address: "care@" + c.Domain, Name: p.Display, Class: "transactional", Stream: "care"},
			{Address: "news@" + c.Domain, Name: p.Display, Class: "commercial", Stream: "news"},
		} {
			if err := cl.call(e.ctx, http.MethodPost, "/senders", nil, s, nil); err != nil {
				return err
			}
		}
		e.say("%s is made.", made.ID)
		e.say("  data  %s", e.config.Data)
		e.say("  keys  %s   copy this folder to two officers, on other machines: without it nothing can be read", e.config.Keys)
		e.say("Next: carepost domain check %s, then carepost serve.", c.Domain)
		return e.result(made)
	})
}

// check refuses what the organisation would be refused for, before anything is made: a half-made installation helps nobody.
func (c *initCommand) check(to config.Config, p organisation.Profile) error {
	if err := organisation.CheckHost(to.Host); err != nil {
		return fault.Wrap(fault.Invalid, err, "the setting host is not the public name of this installation").At("host").
			Hint("set it, as in --set host=care.example.org, CAREPOST_HOST or the settings file")
	}
	if _, ok := tlspolicy.Normal(c.Domain); !ok {
		return fault.New(fault.Invalid, "not a domain to send from").At("--domain").Hint("write it as example.org")
	}
	return p.Check()
}

type serveCommand struct{}

// Run serves until a signal.
func (*serveCommand) Run(e *env) error {
	a, err := app.Open(e.ctx, app.Options{Config: e.config})
	if err != nil {
		return err
	}
	return errors.Join(a.Run(e.ctx), a.Close())
}

type doctorCommand struct{}

// Run shows every finding; a finding that is not as it should be makes the exit status 1.
func (*doctorCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Healthy  bool          `json:"healthy"`
			Findings []api.Finding `json:"findings"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/doctor", nil, nil, &out); err != nil {
			return err
		}
		for _, f := range out.Findings {
			mark := "ok  "
			if !f.OK {
				mark = "MEND"
			}
			e.say("%s  %-22s %s", mark, f.What, f.Text)
			if f.Mend != "" {
				e.say("      %-22s %s", "", f.Mend)
			}
		}
		if err := e.result(out); err != nil {
			return err
		}
		if !out.Healthy {
			return errFailed
		}
		return nil
	})
}

type settingsCommand struct {
	What string `arg:"" optional:"" enum:"show,example,docs" default:"show" help:"show, example or docs."`
}

// Run prints.
func (c *settingsCommand) Run(e *env) error {
	text := map[string]func() string{"show": e.config.Show, "example": config.Example, "docs": config.Document}[c.What]()
	_, err := e.out.Write([]byte(text))
	return err
}

type backupCommand struct {
	File string `arg:"" help:"A new file."`
}

// Run writes a backup.
func (c *backupCommand) Run(e *env) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "not a path")
	}
	return e.with(func(cl *client) error {
		var out struct {
			Format    string `json:"format"`
			Bytes     int64  `json:"bytes"`
			Migration string `json:"migration"`
			Tables    int    `json:"tables"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/backups", nil, map[string]string{"path": path}, &out); err != nil {
			return err
		}
		e.say("%s: %d bytes, %d tables, verified. It opens with the key ring of the next 35 days only: copy the ring too.", c.File, out.Bytes, out.Tables)
		return e.result(out)
	})
}

type restoreCommand struct {
	File string `arg:"" help:"The backup."`
}

// Run restores into the data folder or database of the settings, which must be fresh.
func (c *restoreCommand) Run(e *env) error {
	if err := os.MkdirAll(e.config.Data, 0o700); err != nil {
		return fault.Wrap(fault.Invalid, err, "the data folder cannot be made").At("%s", e.config.Data)
	}
	if err := app.Restore(e.ctx, e.config, c.File); err != nil {
		return err
	}
	e.say("Restored. This database is a fork of the one that was backed up: what was done after the backup is not in it.")
	e.say("Nothing is sent until you admit that: carepost ledger reopen.")
	return e.result(map[string]bool{"restored": true})
}

type userCommand struct {
	List   userListCommand   `cmd:"" help:"The users and their roles."`
	Add    userAddCommand    `cmd:"" help:"Make a user."`
	Grant  userGrantCommand  `cmd:"" help:"Grant a role."`
	Revoke userRevokeCommand `cmd:"" help:"Take a role away."`
	End    userEndCommand    `cmd:"" help:"End a user: every role at once."`
}

type userListCommand struct{}

// Run lists.
func (*userListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Users []api.User `json:"users"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/users", nil, nil, &out); err != nil {
			return err
		}
		for _, u := range out.Users {
			e.say("%s  %-30s %-24s %s", u.ID, u.Email, u.Name, strings.Join(u.Roles, ", "))
		}
		return e.result(out)
	})
}

type userAddCommand struct {
	Email string   `arg:""`
	Name  string   `required:""`
	Role  []string `help:"administrator, compliance-officer, marketer, clinician, developer or auditor; may repeat."`
}

// Run adds.
func (c *userAddCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out api.User
		if c.Role == nil {
			c.Role = []string{}
		}
		if err := cl.call(e.ctx, http.MethodPost, "/users", nil, map[string]any{"email": c.Email, "name": c.Name, "roles": c.Role}, &out); err != nil {
			return err
		}
		e.say("%s", out.ID)
		return e.result(out)
	})
}

type userGrantCommand struct {
	User string `arg:"" help:"usr_..."`
	Role string `arg:""`
}

// Run grants.
func (c *userGrantCommand) Run(e *env) error {
	return e.change(http.MethodPut, "/users/"+url.PathEscape(c.User)+"/roles/"+url.PathEscape(c.Role))
}

type userRevokeCommand struct {
	User string `arg:"" help:"usr_..."`
	Role string `arg:""`
}

// Run revokes.
func (c *userRevokeCommand) Run(e *env) error {
	return e.change(http.MethodDelete, "/users/"+url.PathEscape(c.User)+"/roles/"+url.PathEscape(c.Role))
}

type userEndCommand struct {
	User string `arg:"" help:"usr_..."`
}

// Run ends.
func (c *userEndCommand) Run(e *env) error {
	return e.change(http.MethodDelete, "/users/"+url.PathEscape(c.User))
}

// change makes a request that has no answer but its success.
func (e *env) change(method, path string) error { return e.request(method, path, nil) }

// changeBy posts a body and expects nothing but its success.
func (e *env) changeBy(path string, body any) error { return e.request(http.MethodPost, path, body) }

func (e *env) request(method, path string, body any) error {
	return e.with(func(c *client) error {
		if err := c.call(e.ctx, method, path, nil, body, nil); err != nil {
			return err
		}
		e.say("done")
		return e.result(map[string]bool{"done": true})
	})
}
