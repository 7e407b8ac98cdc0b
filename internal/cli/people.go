package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
)

type importCommand struct {
	Path   string `arg:"" help:"Folder of a FHIR Bulk Data export, or one NDJSON file."`
	Source string `required:"" help:"Name of the feed: the same system is always the same source."`
	DryRun bool   `help:"Count and give reasons; change nothing."`
}

// Run imports and follows until the import has ended; a command that is stopped does not stop a running server's import.
func (c *importCommand) Run(e *env) error {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "not a path")
	}
	return e.with(func(cl *client) error {
		var imp api.Import
		err := cl.call(e.ctx, http.MethodPost, "/imports", nil, map[string]any{"source": c.Source, "path": path, "dry_run": c.DryRun}, &imp)
		if err != nil {
			return err
		}
		err = until(e.ctx, func() (bool, error) {
			if imp.State != "running" {
				return true, nil
			}
			return false, cl.call(e.ctx, http.MethodGet, "/imports/"+imp.ID, nil, nil, &imp)
		})
		if err != nil {
			return err
		}
		c.show(e, imp)
		if err := e.result(imp); err != nil {
			return err
		}
		if imp.State == "failed" {
			return errFailed
		}
		return nil
	})
}

func (c *importCommand) show(e *env, imp api.Import) {
	r := imp.Result
	if r == nil {
		e.say("%s %s: %s", imp.ID, imp.State, imp.Error)
		return
	}
	what := "imported"
	if c.DryRun {
		what = "would be imported"
	}
	e.say("%s: %d lines from %d files", what, r.Lines, r.Files)
	e.say("  people     %d new, %d changed, %d as they were, %d merged", r.People.Created, r.People.Updated, r.People.Unchanged, r.People.Merged)
	e.say("  facts      %d written, %d known, %d older than what is known", r.Facts, r.Same, r.Stale)
	e.say("  events     %d", r.Events)
	for _, k := range sortedKeys(r.Kinds) {
		n := r.Kinds[k]
		e.say("  %-22s %7d read  %7d applied  %6d skipped  %6d put aside", k, n.Read, n.Applied, n.Skipped, n.Quarantined)
	}
	for _, x := range r.Refusals {
		e.say("  put aside: file %d line %d: %s", x.File, x.Line, x.Reason)
	}
	for _, w := range r.Warnings {
		e.say("  left out %d times: %s.%s: %s (first in file %d line %d)", w.Count, w.Kind, w.Field, w.Reason, w.File, w.Line)
	}
	if imp.Error != "" {
		e.say("FAILED: %s", imp.Error)
	}
}

type personCommand struct {
	Find    personFindCommand    `cmd:"" help:"Find people by exact identifier, email address, or the beginning of a name."`
	Show    personShowCommand    `cmd:"" help:"Show a record; the view is written into the ledger."`
	Record  personRecordCommand  `cmd:"" help:"Record consents, authorizations, restrictions and requests from a file of JSON lines."`
	Records personRecordsCommand `cmd:"" help:"What a person allowed, refused and asked for; the view is written into the ledger."`
	End     personEndCommand     `cmd:"" help:"Withdraw, revoke, lift, end or release one record, on the person's word."`
	Answer  personAnswerCommand  `cmd:"" help:"Accept or reject a permit that a source reported."`
}

type personFindCommand struct {
	Identifier string `help:"system|value"`
	Email      string
	Name       string
}

// Run finds.
func (c *personFindCommand) Run(e *env) error {
	q := api.Search{Identifier: c.Identifier, Email: c.Email, Name: c.Name}
	return e.with(func(cl *client) error {
		var out struct {
			People []string `json:"people"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/people/find", nil, q, &out); err != nil {
			return err
		}
		for _, p := range out.People {
			e.say("%s", p)
		}
		return e.result(out)
	})
}

type personShowCommand struct {
	Person string `arg:"" help:"per_..."`
}

// Run shows.
func (c *personShowCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var p api.Person
		if err := cl.call(e.ctx, http.MethodGet, "/people/"+url.PathEscape(c.Person), nil, nil, &p); err != nil {
			return err
		}
		e.say("%s  %s  born %s  %s", p.ID, first(p.Names), p.Birth, p.Sex)
		for _, k := range p.Contacts {
			e.say("  %-6s %-40s %s", k.Channel, k.Value, k.State)
		}
		for _, x := range p.Identifiers {
			e.say("  %-6s %s  %s", x.Type, x.Value, x.System)
		}
		for _, f := range p.Facts {
			e.say("  %-16s %-12s %-14s %s %s %s", f.Kind, f.State, first(f.Codes), f.Start, f.Value, f.Display)
		}
		return e.result(p)
	})
}

func first(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

type personRecordCommand struct {
	File string `arg:"" help:"One JSON object a line: person or identifier, kind, and the fields of that kind."`
}

// Run records: a part of 500 lines is one transaction.
func (c *personRecordCommand) Run(e *env) error {
	f, err := os.Open(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the file cannot be read").At("%s", c.File)
	}
	defer f.Close() //nolint:errcheck // only read
	const part = 500
	return e.with(func(cl *client) error {
		total, line := 0, 0
		var records []json.RawMessage
		flush := func() error {
			if len(records) == 0 {
				return nil
			}
			var out map[string]int
			if err := cl.call(e.ctx, http.MethodPost, "/records", nil, map[string]any{"records": records}, &out); err != nil {
				return fmt.Errorf("lines %d to %d: %w", line-len(records)+1, line, err)
			}
			total, records = total+out["recorded"], nil
			return nil
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line++
			if len(lines.Bytes()) == 0 {
				continue
			}
			if !json.Valid(lines.Bytes()) {
				return fault.New(fault.Invalid, "not a JSON object").At("%s line %d", c.File, line)
			}
			if records = append(records, append(json.RawMessage(nil), lines.Bytes()...)); len(records) == part {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := lines.Err(); err != nil {
			return fault.Wrap(fault.Invalid, err, "a line cannot be read").At("%s line %d", c.File, line+1)
		}
		if err := flush(); err != nil {
			return err
		}
		e.say("%d recorded", total)
		return e.result(map[string]int{"recorded": total})
	})
}

type personRecordsCommand struct {
	Person string `arg:"" help:"per_..."`
}

// Run lists.
func (c *personRecordsCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out struct {
			Records []api.RecordLine `json:"records"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/people/"+url.PathEscape(c.Person)+"/records", nil, nil, &out); err != nil {
			return err
		}
		for _, r := range out.Records {
			state := map[bool]string{true: "in force", false: "ended"}[r.InForce]
			if r.Waits {
				state = "waits for an answer"
			}
			e.say("%s  %-14s %-20s %s", r.ID, r.Kind, state, r.MadeAt.Format(time.RFC3339))
			for _, m := range r.Missing {
				e.say("  lacks %s", m)
			}
		}
		return e.result(out)
	})
}

type personEndCommand struct {
	Person string `arg:"" help:"per_..."`
	Record string `arg:"" help:"The record's id, as person records shows it."`
	How    string `required:"" help:"How we know: form, phone, in person, reply."`
	Words  string `help:"What was said."`
}

// Run ends.
func (c *personEndCommand) Run(e *env) error {
	return e.changeBy("/records/end", map[string]any{"person": c.Person, "record": c.Record, "how": c.How, "words": c.Words})
}

type personAnswerCommand struct {
	Person string `arg:"" help:"per_..."`
	Record string `arg:"" help:"The proposal's id, as person records shows it."`
	How    string `required:"" help:"How it was checked: form, phone, in person."`
	Reject bool   `help:"It is not what the person said."`
}

// Run answers.
func (c *personAnswerCommand) Run(e *env) error {
	return e.changeBy("/records/answer", map[string]any{"person": c.Person, "record": c.Record, "how": c.How, "accept": !c.Reject})
}
