package intake

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// undoPage is how many people are undone in one transaction.
const undoPage = 100

// Undo takes an import back: what it replaced is current again, what it brought is withdrawn, and later imports stay as they are. It
// may be stopped and called again. The raw messages stay, sealed. It gives the number of people concerned.
func (in *Intake) Undo(ctx context.Context, scope id.Scope, imp id.Import) (concerned int, err error) {
	j, err := in.loadJob(ctx, scope, imp)
	if err != nil {
		return 0, err
	}
	if j.state == StateUndone {
		return 0, fault.New(fault.Conflict, "the import was undone before").At("%s", imp)
	}
	if j.state == StateReading || j.state == StateApplying {
		return 0, fault.New(fault.Conflict, "the import is still %s", j.state).At("%s", imp).Hint("let it finish")
	}
	w := &worker{Intake: in, scope: scope, job: j}
	if err := w.mark(ctx, StateUndoing); err != nil {
		return 0, err
	}
	var after id.Person
	for {
		page, err := w.undoPage(ctx, after)
		concerned += len(page)
		if err != nil {
			return concerned, err
		}
		if len(page) < undoPage {
			break
		}
		after = page[len(page)-1]
	}
	if err := w.undoRest(ctx); err != nil {
		return concerned, err
	}
	return concerned, w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		next.state = StateUndone
		key, err := w.Keys.Month(ctx, tx, seal.PurposeLedger)
		if err != nil {
			return err
		}
		if err := w.Ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActUndo, Object: imp.UUID()}, key); err != nil {
			return fmt.Errorf("note the undoing: %w", err)
		}
		return nil
	})
}

// Mark notes that a finished import is to be undone, or to be mapped again: whoever asked can see it at once, and after a stop it is
// gone on with.
func (in *Intake) Mark(ctx context.Context, scope id.Scope, imp id.Import, undo bool) error {
	j, err := in.loadJob(ctx, scope, imp)
	if err != nil {
		return err
	}
	to := StateRemap
	if undo {
		to = StateUndoing
	}
	return (&worker{Intake: in, scope: scope, job: j}).mark(ctx, to)
}

func (w *worker) mark(ctx context.Context, to State) error {
	if w.job.state == to {
		return nil
	}
	return w.commit(ctx, func(_ context.Context, _ *store.Tx, next *job) error {
		next.state = to
		return nil
	})
}

// undoRest takes back what is about addresses, and forgets what the import said as others did.
func (w *worker) undoRest(ctx context.Context) error {
	for more := w.WithdrawSuppressions != nil; more; {
		err := w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) (err error) {
			more, err = w.WithdrawSuppressions(ctx, tx, w.job.id)
			return err
		})
		if err != nil {
			return err
		}
	}
	for more := true; more; {
		err := w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) (err error) {
			more, err = w.People.ForgetSaid(ctx, tx, w.job.id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) undoPage(ctx context.Context, after id.Person) (page []id.Person, err error) {
	for try := range maxTries {
		err = w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
			var (
				gone []people.Withdrawn
				err  error
			)
			if page, gone, err = w.People.Undo(ctx, tx, w.job.id, after, undoPage); err != nil || w.Withdraw == nil {
				return err
			}
			return w.Withdraw(ctx, tx, gone)
		})
		if !fault.Is(err, fault.Conflict) || try == maxTries-1 {
			break
		}
	}
	return page, err
}
