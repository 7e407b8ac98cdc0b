package cli

import (
	"time"

	"github.com/carepost/carepost/internal/bench"
)

type benchCommand struct {
	DSN      string               `name:"dsn" help:"Measure on PostgreSQL, in a schema of its own; the embedded database when left out." placeholder:"DSN"`
	Store    benchStoreCommand    `cmd:"" help:"Durable writes a second, alone and in company."`
	Ledger   benchLedgerCommand   `cmd:"" help:"Entries a second, verified entries a second, bytes of a proof."`
	Send     benchSendCommand     `cmd:"" help:"Messages a second, from submission to acceptance, and what each costs."`
	Intake   benchIntakeCommand   `cmd:"" help:"FHIR resources and rows of a contact list taken in a second, durable and in the ledger."`
	Audience benchAudienceCommand `cmd:"" help:"Eight rules over many people, and the making of the index."`
	Replies  benchRepliesCommand  `cmd:"" help:"How many labelled replies of receivers the rules judge rightly."`
}

type benchStoreCommand struct {
	Each time.Duration `default:"5s" help:"How long each way is measured."`
}

// Run measures the store.
func (c *benchStoreCommand) Run(e *env, all *benchCommand) error {
	r, err := bench.Store(e.ctx, all.DSN, c.Each)
	if err != nil {
		return err
	}
	e.say("%s: %.0f durable writes a second by one caller, %.0f by 512", r.Engine, r.SinglePerS, r.GroupPerS)
	return e.result(r)
}

type benchLedgerCommand struct {
	Entries int `default:"100000" help:"How many entries."`
}

// Run measures the ledger.
func (c *benchLedgerCommand) Run(e *env, all *benchCommand) error {
	r, err := bench.Ledger(e.ctx, all.DSN, c.Entries)
	if err != nil {
		return err
	}
	e.say("%s: %.0f entries a second under a checkpoint, %.0f verified a second, %d bytes prove one of %d", r.Engine, r.PerS, r.VerifyPerS, r.ProofBytes, r.Entries)
	return e.result(r)
}

type benchRepliesCommand struct {
	Corpus string `required:"" help:"Tab-separated: code, enhanced, text, class; stage and provider if there are any." placeholder:"FILE.tsv"`
}

// Run measures the reply rules.
func (c *benchRepliesCommand) Run(e *env) error {
	r, err := bench.Replies(c.Corpus)
	if err != nil {
		return err
	}
	for _, w := range r.Wrong {
		e.say("%s", w)
	}
	hard := r.ByClass["hard_bounce"]
	e.say("%d lines, %.1f %% right; of those called hard_bounce %.1f %% are, of those that are %.1f %% were found; rules of %s", r.Lines, 100*r.Right, 100*hard.Precision, 100*hard.Recall, r.Version)
	return e.result(r)
}
