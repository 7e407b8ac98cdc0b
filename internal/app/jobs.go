package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// runner is what runs by itself while the program runs.
type runner struct {
	name string
	run  func(ctx context.Context) error
}

// jobs is the table of what runs by itself: name and function of its owner.
func (a *App) jobs() []runner {
	return []runner{
		{"ledger", a.parts.Ledger.Run},
		{"witnesses", a.askWitnesses},
		{"delivery", a.unforked(a.delivery.Run)},
		{"audience", a.audience.Run},
		{"imports", a.unforked(a.resumeImports)},
		{"keys", a.leading("keys", a.every(tendEvery, a.tendKeys))},
		{"dropped keys", a.every(obeyEvery, a.dropKeys)},
		{"changes", a.every(passEvery, a.pass)},
		{"chores", a.chores},
	}
}

// unforked starts a job only when the database is the one that the ledger signed over: a restored one may have sent before what it
// holds as unsent, until an operator reopens the ledger.
func (a *App) unforked(run func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for {
			_, forked, err := a.parts.Ledger.CheckFork(ctx)
			switch {
			case err != nil && !fault.Is(err, fault.Unavailable): // a database that does not answer now is asked again
				return err
			case err == nil && !forked:
				return run(ctx)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
		}
	}
}

func (a *App) every(d time.Duration, run func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				slog.ErrorContext(ctx, "a periodic job failed; it runs again", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
		}
	}
}

// organisations lists the numbers of all organisations; an error is logged by whoever needs the list next.
func (a *App) organisations(ctx context.Context) (all []id.Organisation) {
	err := a.parts.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		orgs, err := a.parts.Organisations.All(ctx, tx)
		for _, o := range orgs {
			if o.State == organisation.Active {
				all = append(all, o.Number)
			}
		}
		return err
	})
	if err != nil {
		slog.ErrorContext(ctx, "the organisations could not be listed", "error", err)
	}
	return all
}

// askWitnesses has the ledger's trees cosigned by the witnesses in the settings, if there are any: one node for all. Two that ask at
// once would do no harm: the later one is told the size that the witness has seen by then.
func (a *App) askWitnesses(ctx context.Context) error {
	if a.config.Witnesses == "" {
		<-ctx.Done()
		return nil
	}
	return a.parts.Store.Lead(ctx, "witnesses", func(ctx context.Context, _ int64) error {
		return a.parts.Ledger.RunWitnesses(ctx, a.config.WitnessEach)
	})
}

// RunLedger numbers and signs while a command works on an installation that nobody serves.
func (a *App) RunLedger(ctx context.Context) error { return a.parts.Ledger.Run(ctx) }
