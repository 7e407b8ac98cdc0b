package cli

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/compliance"
)

type ledgerDisclosuresCommand struct {
	Person string `arg:"" help:"per_..."`
	Since  string `help:"The first day, as 2021-05-31; six years back when left out." placeholder:"DAY"`
}

// Run shows the accounting of disclosures.
func (c *ledgerDisclosuresCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		q := url.Values{}
		if c.Since != "" {
			q.Set("since", c.Since)
		}
		var out compliance.Accounting
		if err := cl.call(e.ctx, http.MethodGet, "/people/"+url.PathEscape(c.Person)+"/disclosures", q, nil, &out); err != nil {
			return err
		}
		e.say("Disclosures from %s to %s (45 CFR 164.528):", out.Since, out.Until)
		for _, d := range out.Disclosures {
			e.say("%8d  %s  %s%s", d.Entry, d.On, d.Receiver, after(", ", d.Address))
			e.say("          %s; %s (%s)", d.Description, d.Purpose, d.Rule)
		}
		if len(out.Disclosures) == 0 {
			e.say("none")
		}
		if n := out.LeftOut + out.Suspended + out.Closed; n > 0 {
			e.say("Not for the person: %d that the rule leaves out, %d suspended for an agency, %d whose detail is destroyed.", out.LeftOut, out.Suspended, out.Closed)
		}
		return e.result(out)
	})
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

type ledgerLookedCommand struct {
	Person string `arg:"" help:"per_..."`
	Before int64  `help:"Looks with a smaller number."`
	Limit  int    `default:"100"`
}

// Run shows who looked.
func (c *ledgerLookedCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		q := url.Values{"limit": {strconv.Itoa(c.Limit)}, "before": {strconv.FormatInt(c.Before, 10)}}
		var out struct {
			Looks []compliance.Look `json:"looks"`
			Next  int64             `json:"next,omitempty"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/people/"+url.PathEscape(c.Person)+"/looks", q, nil, &out); err != nil {
			return err
		}
		for _, x := range out.Looks {
			e.say("%8d  %s  %-20s %-12s %s", x.Entry, x.At.Format(time.RFC3339), x.Actor, x.Act, x.What)
		}
		if len(out.Looks) == 0 {
			e.say("nobody looked")
		}
		if out.Next > 0 {
			e.say("more: --before %d", out.Next)
		}
		return e.result(out)
	})
}

type ledgerDiscloseCommand struct {
	Person      string `arg:"" help:"per_..."`
	On          string `required:"" help:"The day on which it was made, as 2026-05-31." placeholder:"DAY"`
	Receiver    string `required:"" help:"Who received it."`
	Address     string `help:"Of the receiver, if known."`
	Description string `required:"" help:"What was disclosed, in brief."`
	Basis       string `required:"" help:"What permits it: required-by-law, public-health, judicial and so on; a wrong word lists them."`
	Purpose     string `help:"In words; the rule of the basis when left out."`
	Suspended   string `name:"suspended-until" help:"An oversight agency or law enforcement asked in writing that the person be not told until this day." placeholder:"DAY"`
}

// Run records.
func (c *ledgerDiscloseCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		in := map[string]string{"on": c.On, "receiver": c.Receiver, "address": c.Address, "description": c.Description, "basis": c.Basis, "purpose": c.Purpose, "suspended_until": c.Suspended}
		if err := cl.call(e.ctx, http.MethodPost, "/people/"+url.PathEscape(c.Person)+"/disclosures", nil, in, nil); err != nil {
			return err
		}
		e.say("recorded")
		return e.result(map[string]bool{"recorded": true})
	})
}
