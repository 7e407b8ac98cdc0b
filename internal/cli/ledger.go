package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
)

type ledgerCommand struct {
	Show        ledgerShowCommand        `cmd:"" help:"The newest checkpoint, the public key and the newest entries."`
	Disclosures ledgerDisclosuresCommand `cmd:"" help:"A person's accounting of disclosures, of six years (45 CFR 164.528)."`
	Disclose    ledgerDiscloseCommand    `cmd:"" help:"Record that health information was disclosed: to whom, what and why."`
	Looked      ledgerLookedCommand      `cmd:"" help:"Who looked at a person's record."`
	Export      ledgerExportCommand      `cmd:"" help:"Write the tree as an archive that verifies offline."`
	Verify      ledgerVerifyCommand      `cmd:"" help:"Verify an archive offline: nothing but the file and the public key is needed."`
	Reopen      ledgerReopenCommand      `cmd:"" help:"Admit that the database was restored, and go on."`
	Witness     ledgerWitnessCommand     `cmd:"" help:"Be the witness of other houses' ledgers: cosign what continues what was seen before."`
}

type ledgerShowCommand struct {
	Person string `help:"Entries about this person only: who looked, what was decided and disclosed."`
	Limit  int    `default:"20"`
}

// Run shows.
func (c *ledgerShowCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		var head struct {
			Organisation string                `json:"organisation"`
			PublicKey    string                `json:"public_key"`
			Checkpoint   string                `json:"checkpoint"`
			Witnesses    []ledger.WitnessState `json:"witnesses"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/ledger", nil, nil, &head); err != nil {
			return err
		}
		q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
		if c.Person != "" {
			q.Set("person", c.Person)
		}
		var page struct {
			Entries []api.Entry `json:"entries"`
			Next    int64       `json:"next"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/ledger/entries", q, nil, &page); err != nil {
			return err
		}
		e.say("public key  %s\n\n%s", head.PublicKey, head.Checkpoint)
		for _, w := range head.Witnesses {
			e.say("%s", witnessed(w))
		}
		for _, x := range page.Entries {
			detail := ""
			for _, k := range sortedKeys(x.Detail) {
				detail += " " + k + "=" + x.Detail[k]
			}
			if x.Gone {
				detail = " (detail destroyed)"
			}
			e.say("%8d  %s  %-20s %-14s%s", x.Number, x.At.Format(time.RFC3339), x.Actor, x.Act, detail)
		}
		return e.result(map[string]any{"public_key": head.PublicKey, "checkpoint": head.Checkpoint, "witnesses": head.Witnesses, "entries": page.Entries, "next": page.Next})
	})
}

type ledgerExportCommand struct {
	File string `arg:"" help:"A new file."`
}

// Run writes the archive; a file that is not whole does not stay.
func (c *ledgerExportCommand) Run(e *env) error {
	return e.with(func(cl *client) (err error) {
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fault.Wrap(fault.Conflict, err, "the file cannot be made").At("%s", c.File).Hint("name a new file in a folder that is there; an export is never overwritten")
		}
		defer func() {
			if err = errors.Join(err, f.Close()); err != nil {
				err = errors.Join(err, os.Remove(c.File))
			}
		}()
		if err := cl.stream(e.ctx, "/ledger/export", nil, f); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write the archive to the disk: %w", err)
		}
		e.say("%s is written. Verify it with: carepost ledger verify %s --key PUBLIC_KEY (`carepost ledger show` gives the key)", c.File, c.File)
		return e.result(map[string]string{"file": c.File})
	})
}

type ledgerVerifyCommand struct {
	File    string   `arg:"" help:"The archive."`
	Key     string   `required:"" help:"The public key, or a file that holds it."`
	Known   string   `help:"A checkpoint that you kept from before: proves that nothing since then was dropped or changed." placeholder:"FILE"`
	Witness []string `help:"Public key of a witness, or a file that holds it, that must have cosigned the archive's checkpoint or the known one. May repeat." placeholder:"KEY" sep:"none"`
}

// Run verifies; it opens no installation.
func (c *ledgerVerifyCommand) Run(e *env) error {
	witnesses := make([]string, len(c.Witness))
	for i, w := range c.Witness {
		witnesses[i] = keyText(w)
	}
	var known []byte
	if c.Known != "" {
		raw, err := os.ReadFile(c.Known)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the known checkpoint cannot be read").At("%s", c.Known)
		}
		known = raw
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the archive cannot be read").At("%s", c.File)
	}
	defer f.Close() //nolint:errcheck // only read
	report, err := ledger.Verify(io.Reader(f), keyText(c.Key), known, witnesses...)
	if err != nil {
		if flaw, ok := errors.AsType[*ledger.FlawError](err); ok {
			e.say("NOT VERIFIED: %s", flaw.Error())
			return errors.Join(e.result(map[string]any{"verified": false, "flaw": flaw.Flaw, "text": flaw.Error()}), errFailed)
		}
		return err
	}
	e.say("verified: %d entries of %s, from %s to %s", report.Entries, report.Origin, report.First.Format(time.RFC3339), report.Last.Format(time.RFC3339))
	for _, act := range sortedKeys(report.Acts) {
		e.say("  %8d  %s", report.Acts[act], act.Text())
	}
	for _, r := range report.Restores {
		e.say("  entry %d admits a restore: %s", r.Entry, lost(r.From, r.To))
	}
	for _, w := range report.Witnesses {
		e.say("%s has cosigned the first %d entries, at %s", w.Witness, w.Size, w.Time.Format(time.RFC3339))
	}
	e.say("%s", report.Latest)
	return e.result(struct {
		Verified bool `json:"verified"`
		ledger.Report
	}{true, report})
}

type ledgerReopenCommand struct{}

// Run reopens.
func (*ledgerReopenCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Trees []api.ReopenedTree `json:"trees"`
		}
		if err := c.call(e.ctx, http.MethodPost, "/ledger/reopen", nil, nil, &out); err != nil {
			return err
		}
		for _, t := range out.Trees {
			e.say("%s: %s; the ledger says so and goes on", t.Organisation, lost(t.From, t.To))
		}
		if len(out.Trees) == 0 {
			e.say("nothing was lost")
		}
		return e.result(out)
	})
}

// lost names the entries from the first up to, and not including, the second.
func lost(from, to int64) string {
	if to <= from {
		return "no entries that we know of were lost"
	}
	return fmt.Sprintf("%d to %d were lost", from, to-1)
}

// keyText gives a public key that stands on the command line or in a file.
func keyText(key string) string {
	if raw, err := os.ReadFile(key); err == nil {
		return strings.TrimSpace(string(raw))
	}
	return key
}

func witnessed(w ledger.WitnessState) string {
	if w.Size == 0 {
		return w.Witness + " has cosigned nothing yet"
	}
	return fmt.Sprintf("%s has cosigned %d entries, at %s; %d since", w.Witness, w.Size, w.Time.Format(time.RFC3339), w.Behind)
}
