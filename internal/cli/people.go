package cli

import (
	"bufio"
	"bytes"
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
	Run     importRunCommand     `cmd:"" default:"withargs" help:"Import a folder of FHIR Bulk Data, or a CSV file."`
	Mapping importMappingCommand `cmd:"" help:"Print the mapping that a CSV file seems to have: to use, or to change and give back with --map."`
	Undo    importUndoCommand    `cmd:"" help:"Take an import back: what it replaced is current again, what it brought is withdrawn."`
	Remap   importRemapCommand   `cmd:"" help:"Map what was kept of an import again, after a mapping was mended."`
	List    importListCommand    `cmd:"" help:"The newest imports."`
}

// csvFlags are what can be said of a CSV file; the rest is detected.
type csvFlags struct {
	Map      string `help:"CSV: a mapping of the columns, as import mapping prints it." placeholder:"FILE" type:"path"`
	Encoding string `help:"CSV: utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1 or macintosh; detected when left out."`
	Dates    string `help:"CSV: how to read dates that may be read in two ways: m/d/y or d/m/y."`
}

// mapping reads the file of --map.
func (c *csvFlags) mapping() (json.RawMessage, error) {
	if c.Map == "" {
		return nil, nil
	}
	body, err := os.ReadFile(c.Map)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping cannot be read").At("--map")
	}
	if !json.Valid(body) {
		return nil, fault.New(fault.Invalid, "the mapping is no JSON").At("--map")
	}
	return body, nil
}

// body gives the fields of a request about a file.
func (c *csvFlags) body(path string) (map[string]any, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "not a path")
	}
	m, err := c.mapping()
	if err != nil {
		return nil, err
	}
	body := map[string]any{"path": whole}
	for k, v := range map[string]string{"encoding": c.Encoding, "dates": c.Dates} {
		if v != "" {
			body[k] = v
		}
	}
	if m != nil {
		body["mapping"] = m
	}
	return body, nil
}

type importRunCommand struct {
	Path    string `arg:"" help:"Folder of a FHIR Bulk Data export, an NDJSON file, or a CSV file."`
	Source  string `help:"Name of the feed: the same system is always the same source. A known CSV export has a name of its own."`
	DryRun  bool   `help:"Count and give reasons; change nothing."`
	Country string `help:"ISO 3166: of telephone numbers without a prefix." placeholder:"US"`
	csvFlags
}

// Run imports and follows until the import has ended; a command that is stopped does not stop a running server's import.
func (c *importRunCommand) Run(e *env) error {
	body, err := c.body(c.Path)
	if err != nil {
		return err
	}
	body["dry_run"] = c.DryRun
	for k, v := range map[string]string{"source": c.Source, "country": c.Country} {
		if v != "" {
			body[k] = v
		}
	}
	return e.with(func(cl *client) error {
		var imp api.Import
		if err := cl.call(e.ctx, http.MethodPost, "/imports", nil, body, &imp); err != nil {
			return err
		}
		if err := follow(e, cl, &imp); err != nil {
			return err
		}
		what := "imported"
		if c.DryRun {
			what = "would be imported"
		}
		showImport(e, what, imp)
		return ended(e, imp)
	})
}

// follow asks until an import is at an end.
func follow(e *env, cl *client, imp *api.Import) error {
	return until(e.ctx, func() (bool, error) {
		if imp.State != "running" {
			return true, nil
		}
		return false, cl.call(e.ctx, http.MethodGet, "/imports/"+imp.ID, nil, nil, imp)
	})
}

// ended gives the result; an import that failed, or of which nothing could be applied, fails the command.
func ended(e *env, imp api.Import) error {
	if err := e.result(imp); err != nil {
		return err
	}
	if imp.State == "failed" {
		return errFailed
	}
	return nil
}

type importMappingCommand struct {
	File string `arg:"" help:"The CSV file."`
	csvFlags
}

// Run prints the mapping alone: it is made to be written to a file.
func (c *importMappingCommand) Run(e *env) error {
	body, err := c.body(c.File)
	if err != nil {
		return err
	}
	return e.with(func(cl *client) error {
		var out struct {
			Mapping   json.RawMessage `json:"mapping"`
			Undecided []int           `json:"undecided"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/imports/mapping", nil, body, &out); err != nil {
			return err
		}
		var text bytes.Buffer
		if err := json.Indent(&text, out.Mapping, "", "  "); err != nil {
			return err
		}
		e.say("%s", text.String())
		return e.result(out)
	})
}

type importUndoCommand struct {
	Import string `arg:"" help:"imp_..."`
}

// Run takes an import back and waits for it.
func (c *importUndoCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var imp api.Import
		if err := cl.call(e.ctx, http.MethodPost, "/imports/"+url.PathEscape(c.Import)+"/undo", nil, nil, &imp); err != nil {
			return err
		}
		if err := follow(e, cl, &imp); err != nil {
			return err
		}
		if imp.State == "undone" {
			e.say("%s is undone", imp.ID)
		} else {
			e.say("FAILED: %s", imp.Error)
		}
		return ended(e, imp)
	})
}

type importRemapCommand struct {
	Import string `arg:"" help:"imp_..."`
}

// Run maps an import again and waits for it.
func (c *importRemapCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var imp api.Import
		if err := cl.call(e.ctx, http.MethodPost, "/imports/"+url.PathEscape(c.Import)+"/remap", nil, nil, &imp); err != nil {
			return err
		}
		if err := follow(e, cl, &imp); err != nil {
			return err
		}
		showImport(e, "mapped again", imp)
		return ended(e, imp)
	})
}

type importListCommand struct{}

// Run lists.
func (c *importListCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out struct {
			Imports []api.Import `json:"imports"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/imports", nil, nil, &out); err != nil {
			return err
		}
		for _, x := range out.Imports {
			e.say("%s  %s  %-8s %-6s %s", x.ID, x.Started, x.State, x.Format, x.Source)
		}
		return e.result(out)
	})
}

func showImport(e *env, what string, imp api.Import) {
	r := imp.Result
	if r == nil {
		e.say("%s %s: %s", imp.ID, imp.State, imp.Error)
		return
	}
	e.say("%s: %d lines from %d files", what, r.Lines, r.Files)
	e.say("  people     %d new, %d changed, %d as they were, %d merged", r.People.Created, r.People.Updated, r.People.Unchanged, r.People.Merged)
	e.say("  facts      %d written, %d known, %d older than what is known", r.Facts, r.Same, r.Stale)
	e.say("  events     %d", r.Events)
	if r.Suppressed > 0 {
		e.say("  addresses  %d not to be written to", r.Suppressed)
	}
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
	Merge   personMergeCommand   `cmd:"" help:"Make another record the survivor of one; the strictest consent of both counts."`
	Unmerge personUnmergeCommand `cmd:"" help:"Give a merged record back to itself, exactly."`
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

type personMergeCommand struct {
	Person   string `arg:"" help:"per_...: the record that is merged."`
	Survivor string `arg:"" help:"per_...: the record that stays."`
}

// Run merges.
func (c *personMergeCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out map[string]string
		err := cl.call(e.ctx, http.MethodPost, "/people/"+url.PathEscape(c.Person)+"/merge", nil, map[string]string{"survivor": c.Survivor}, &out)
		if err != nil {
			return err
		}
		e.say("%s is merged into %s", c.Person, c.Survivor)
		return e.result(out)
	})
}

type personUnmergeCommand struct {
	Person string `arg:"" help:"per_...: the record that was merged."`
}

// Run gives a record back.
func (c *personUnmergeCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var out map[string]string
		if err := cl.call(e.ctx, http.MethodPost, "/people/"+url.PathEscape(c.Person)+"/unmerge", nil, nil, &out); err != nil {
			return err
		}
		e.say("%s stands for itself", c.Person)
		return e.result(out)
	})
}
