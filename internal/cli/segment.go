package cli

import (
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/fault"
)

type segmentCommand struct {
	Create segmentCreateCommand `cmd:"" help:"Save a rule under a name; the same name again is a new version."`
	List   segmentListCommand   `cmd:"" help:"The saved rules."`
	Count  segmentCountCommand  `cmd:"" help:"How many people a segment, or a rule, matches now."`
	People segmentPeopleCommand `cmd:"" help:"The ids of the people."`
	Left   segmentLeftCommand   `cmd:"" name:"left-out" help:"Who is left out, and by which part of the rule."`
	Why    segmentWhyCommand    `cmd:"" help:"Why a person is in, or not; the view is written into the ledger."`
	Sets   segmentSetsCommand   `cmd:"" help:"The value sets that rules refer to as @valueset:NAME."`
	Set    segmentSetCommand    `cmd:"" help:"Save a value set, or a new version of it."`
}

type segmentCreateCommand struct {
	Name string `arg:""`
	Rule string `arg:"" help:"For example: condition icd10:E11.* and age >= 50"`
	Note string
}

// Run saves.
func (c *segmentCreateCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var s api.Segment
		if err := cl.call(e.ctx, http.MethodPost, "/segments", nil, map[string]string{"name": c.Name, "rule": c.Rule, "note": c.Note}, &s); err != nil {
			return err
		}
		e.say("%s version %d: %s", s.ID, s.Version, s.Rule)
		return e.result(s)
	})
}

type segmentListCommand struct{}

// Run lists.
func (*segmentListCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Segments []api.Segment `json:"segments"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/segments", nil, nil, &out); err != nil {
			return err
		}
		for _, s := range out.Segments {
			e.say("%s  v%-3d %-30s %s", s.ID, s.Version, s.Name, s.Rule)
		}
		return e.result(out)
	})
}

type segmentCountCommand struct {
	Name string `arg:"" optional:""`
	Rule string `help:"A rule instead of a saved segment."`
}

// Run counts.
func (c *segmentCountCommand) Run(e *env) error {
	if (c.Name == "") == (c.Rule == "") {
		return fault.New(fault.Invalid, "name a saved segment, or give a rule with --rule")
	}
	return e.with(func(cl *client) (err error) {
		var t audience.Tally
		if c.Rule != "" {
			err = cl.call(e.ctx, http.MethodPost, "/rules/try", nil, map[string]string{"rule": c.Rule}, &t)
		} else {
			err = cl.call(e.ctx, http.MethodGet, "/segments/"+url.PathEscape(c.Name)+"/count", nil, nil, &t)
		}
		if err != nil {
			return err
		}
		e.say("%d of %d people; %d are neither in nor out, because something is not known", t.Matched, t.People, t.Unknown)
		for _, n := range t.Notes {
			e.say("  note: %s", n)
		}
		return e.result(t)
	})
}

type segmentPeopleCommand struct {
	Name string `arg:""`
}

// Run lists ids.
func (c *segmentPeopleCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out struct {
			People []string `json:"people"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/segments/"+url.PathEscape(c.Name)+"/people", nil, nil, &out); err != nil {
			return err
		}
		for _, p := range out.People {
			e.say("%s", p)
		}
		return e.result(out)
	})
}

type segmentLeftCommand struct {
	Name string `arg:""`
}

// Run explains.
func (c *segmentLeftCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var l audience.LeftOut
		if err := cl.call(e.ctx, http.MethodGet, "/segments/"+url.PathEscape(c.Name)+"/left-out", nil, nil, &l); err != nil {
			return err
		}
		e.say("%d of %d people are in; %d are neither in nor out", l.Matched, l.People, l.Unknown)
		for _, r := range l.Reasons {
			negated := ""
			if r.Negated {
				negated = "not "
			}
			e.say("  %6d would be in but for   %s%s", r.Failed+r.Unknown, negated, r.Leaf)
			if r.Unknown > 0 {
				e.say("         %d of them because it is not known: %s", r.Unknown, r.Missing)
			}
		}
		return e.result(l)
	})
}

type segmentWhyCommand struct {
	Name   string `arg:""`
	Person string `arg:"" help:"per_..."`
}

// Run explains one person.
func (c *segmentWhyCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var x audience.Explanation
		if err := cl.call(e.ctx, http.MethodGet, "/segments/"+url.PathEscape(c.Name)+"/people/"+url.PathEscape(c.Person), nil, nil, &x); err != nil {
			return err
		}
		tell(e, x, 0)
		return e.result(x)
	})
}

func tell(e *env, x audience.Explanation, depth int) {
	because := ""
	if x.Because != "" {
		because = "   (" + x.Because + ")"
	}
	e.say("%s%-8s %s%s", strings.Repeat("  ", depth), x.Result, x.Text, because)
	for _, p := range x.Parts {
		tell(e, p, depth+1)
	}
}

type segmentSetsCommand struct{}

// Run lists.
func (*segmentSetsCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			ValueSets []api.ValueSet `json:"value_sets"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/value-sets", nil, nil, &out); err != nil {
			return err
		}
		for _, s := range out.ValueSets {
			e.say("%-30s v%-3d %d members", s.Name, s.Version, len(s.Members))
		}
		return e.result(out)
	})
}

type segmentSetCommand struct {
	Name    string   `arg:""`
	Members []string `arg:"" optional:"" help:"icd10:E11.*, 60601"`
	File    string   `help:"Or a file with one member a line." placeholder:"FILE"`
}

// Run saves.
func (c *segmentSetCommand) Run(e *env) error {
	if c.File != "" {
		raw, err := os.ReadFile(c.File)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the file cannot be read").At("%s", c.File)
		}
		c.Members = append(c.Members, strings.Fields(string(raw))...)
	}
	return e.with(func(cl *client) error {
		var s api.ValueSet
		if err := cl.call(e.ctx, http.MethodPut, "/value-sets", nil, api.ValueSet{Name: c.Name, Members: c.Members}, &s); err != nil {
			return err
		}
		e.say("%s version %d, %d members: @valueset:%s", s.Name, s.Version, len(s.Members), s.Name)
		return e.result(s)
	})
}
