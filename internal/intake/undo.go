package intake

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// undoPage is how many people are undone in one transaction.
const undoPage = 100

// Undo takes an import back: what it replaced is current again, what it brought is withdrawn, and later imports stay as they are. It
// may be stopped and called again. The raw messages stay, sealed. It gives the number of people concerned.
func (in *Intake) Undo(ctx context.Context, scope id.Scope, imp id.Import) (people int, err error) {
	j, err := in.loadJob(ctx, scope, imp)
	if err != nil {
		return 0, err
	}
	if j.state == StateUndone {
		return 0, fault.New(fault.Conflict, "the import was undone before").At("%s", imp)
	}
	w := &worker{Intake: in, scope: scope, job: j}
	var after id.Person
	for {
		page, err := w.undoPage(ctx, after)
		people += len(page)
		if err != nil {
			return people, err
		}
		if len(page) < undoPage {
			break
		}
		after = page[len(page)-1]
	}
	return people, w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
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

func (w *worker) undoPage(ctx context.Context, after id.Person) (page []id.Person, err error) {
	for try := range maxTries {
		err = w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) (err error) {
			page, err = w.People.Undo(ctx, tx, w.job.id, after, undoPage)
			return err
		})
		if !fault.Is(err, fault.Conflict) || try == maxTries-1 {
			break
		}
	}
	return page, err
}
