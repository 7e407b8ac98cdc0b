package cli

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/organisation"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

type domainCommand struct {
	Add     domainAddCommand     `cmd:"" help:"Make a domain to send from, with its DKIM keys."`
	List    domainListCommand    `cmd:"" help:"The domains."`
	Check   domainCheckCommand   `cmd:"" help:"What DNS says of a domain, and what it should say."`
	Keys    domainKeysCommand    `cmd:"" help:"The DKIM keys of a domain."`
	Rotate  domainRotateCommand  `cmd:"" help:"Make new DKIM keys; publish them, then let them sign with --activate."`
	Route   domainRouteCommand   `cmd:"" help:"Send a recipient domain to a server of your choice."`
	Routes  domainRoutesCommand  `cmd:"" help:"The routes."`
	Unroute domainUnrouteCommand `cmd:"" help:"Remove a route."`
}

type domainAddCommand struct {
	Name string `arg:""`
}

// Run adds.
func (c *domainAddCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out api.Domain
		if err := cl.call(e.ctx, http.MethodPost, "/domains", nil, map[string]string{"name": c.Name}, &out); err != nil {
			return err
		}
		e.say("%s. Publish the records that `carepost domain check %s` lists.", out.Name, out.Name)
		return e.result(out)
	})
}

type domainListCommand struct{}

// Run lists.
func (*domainListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Domains []api.Domain `json:"domains"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/domains", nil, nil, &out); err != nil {
			return err
		}
		for _, d := range out.Domains {
			e.say("%s  %s", d.ID, d.Name)
		}
		return e.result(out)
	})
}

type domainCheckCommand struct {
	Name string `arg:""`
}

// Run checks; what is required and wrong makes the exit status 1.
func (c *domainCheckCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out struct {
			Ready  bool                 `json:"ready"`
			Checks []organisation.Check `json:"checks"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/domains/"+url.PathEscape(c.Name)+"/check", nil, nil, &out); err != nil {
			return err
		}
		for _, k := range out.Checks {
			e.say("%-8s %-12s %-4s %s", k.Status, k.Record.Need, k.Record.Type, k.Record.Name)
			if k.Status != organisation.StatusOK {
				e.say("         should be    %s", k.Record.Value)
				e.say("         because      %s", k.Record.Why)
				if k.Text != "" {
					e.say("         found        %s", k.Text)
				}
				if k.Mend != "" {
					e.say("         mend         %s", k.Mend)
				}
			}
		}
		if err := e.result(out); err != nil {
			return err
		}
		if !out.Ready {
			return errFailed
		}
		return nil
	})
}

type domainRouteCommand struct {
	Domain    string `arg:"" help:"Recipient domain, or * for every domain without a route."`
	Server    string `arg:"" help:"HOST or HOST:PORT"`
	CA        string `name:"ca" help:"PEM file of the only authorities that count." placeholder:"FILE"`
	Name      string `help:"What its certificate must prove; the host when left out."`
	User      string `help:"User to sign in as, inside TLS only."`
	Password  string `help:"File that holds the password." placeholder:"FILE"`
	Implicit  bool   `help:"TLS from the first byte."`
	Unproven  bool   `help:"TLS here proves nothing: a server on this machine or a network of your own."`
	Agreement string `help:"The agreement with who runs the server: agr_..."`
}

// Run sets the route.
func (c *domainRouteCommand) Run(e *env) error {
	r := api.Route{Domain: c.Domain, Host: c.Server, Name: c.Name, User: c.User, Implicit: c.Implicit, Unproven: c.Unproven, Agreement: c.Agreement}
	if host, port, err := net.SplitHostPort(c.Server); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil {
			return fault.New(fault.Invalid, "not a port").At("server")
		}
		r.Host, r.Port = host, n
	}
	for file, to := range map[string]*string{c.CA: &r.CA, c.Password: &r.Password} {
		if file == "" {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the file cannot be read").At("%s", file)
		}
		*to = string(raw)
	}
	return e.with(func(cl *client) error {
		var out map[string]string
		if err := cl.call(e.ctx, http.MethodPost, "/routes", nil, r, &out); err != nil {
			return err
		}
		e.say("%s", out["id"])
		return e.result(out)
	})
}

type domainRoutesCommand struct{}

// Run lists.
func (*domainRoutesCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Routes []api.Route `json:"routes"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/routes", nil, nil, &out); err != nil {
			return err
		}
		for _, r := range out.Routes {
			pinned := ""
			if r.CA != "" {
				pinned = "  pinned CA"
			}
			e.say("%s  %-30s -> %s:%d%s", r.ID, r.Domain, r.Host, r.Port, pinned)
		}
		return e.result(out)
	})
}

type domainKeysCommand struct {
	Name string `arg:""`
}

// Run lists.
func (c *domainKeysCommand) Run(e *env) error {
	return c.keys(e, http.MethodGet, "/keys")
}

func (c *domainKeysCommand) keys(e *env, method, way string) error {
	return e.with(func(cl *client) error {
		var out struct {
			Keys []api.DomainKey `json:"keys"`
		}
		if err := cl.call(e.ctx, method, "/domains/"+url.PathEscape(c.Name)+way, nil, nil, &out); err != nil {
			return err
		}
		for _, k := range out.Keys {
			e.say("%-30s %-8s %-10s made %s", k.Selector, k.Algorithm, k.State, k.MadeAt.Format(time.DateOnly))
		}
		return e.result(out)
	})
}

type domainRotateCommand struct {
	Name     string `arg:""`
	Activate bool   `help:"The new keys are published: let them sign, and retire those that did."`
}

// Run makes keys, or has them sign.
func (c *domainRotateCommand) Run(e *env) error {
	k := domainKeysCommand{Name: c.Name}
	if c.Activate {
		return k.keys(e, http.MethodPost, "/keys/activate")
	}
	if err := k.keys(e, http.MethodPost, "/keys"); err != nil {
		return err
	}
	if !e.json {
		e.say("Publish what `carepost domain check %s` shows, wait until it is seen, then: carepost domain rotate %s --activate", c.Name, c.Name)
	}
	return nil
}

type domainUnrouteCommand struct {
	Route string `arg:"" help:"The route's id, as domain routes shows it."`
}

// Run removes.
func (c *domainUnrouteCommand) Run(e *env) error {
	return e.change(http.MethodDelete, "/routes/"+url.PathEscape(c.Route))
}

type policyCommand struct {
	AcceptPKIX   *bool `name:"accept-pkix" negatable:"" help:"A certificate that verifies for the MX name is proof enough of TLS."`
	Pickup       *bool `negatable:"" help:"Messages may wait here for their recipient."`
	SensitiveTLS *bool `name:"sensitive-tls" negatable:"" help:"Proven TLS may carry the sensitive classes."`
	ProtectAll   *bool `name:"protect-all" negatable:"" help:"Every message counts as holding health information."`
	BulkPerWeek  *int  `name:"bulk-per-week" help:"Bulk messages to one person in 7 days; 0 is no limit."`
}

// Run shows the policy, and first changes what a flag names.
func (c *policyCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var p api.Policy
		if err := cl.call(e.ctx, http.MethodGet, "/policy", nil, nil, &p); err != nil {
			return err
		}
		changed := false
		for from, to := range map[*bool]*bool{c.AcceptPKIX: &p.AcceptPKIX, c.Pickup: &p.Pickup, c.SensitiveTLS: &p.SensitiveTLS, c.ProtectAll: &p.ProtectAll} {
			if from != nil {
				*to, changed = *from, true
			}
		}
		if c.BulkPerWeek != nil {
			p.BulkPerWeek, changed = *c.BulkPerWeek, true
		}
		if changed {
			if err := cl.call(e.ctx, http.MethodPut, "/policy", nil, p, &p); err != nil {
				return err
			}
		}
		e.say("version %d: accept-pkix %t, pickup %t, sensitive-tls %t, protect-all %t, bulk-per-week %d",
			p.Version, p.AcceptPKIX, p.Pickup, p.SensitiveTLS, p.ProtectAll, p.BulkPerWeek)
		return e.result(p)
	})
}
