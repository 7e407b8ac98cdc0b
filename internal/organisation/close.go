package organisation

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

const closeOrganisation = `UPDATE organisation SET state = ?, version = version + 1, changed_at = ? WHERE organisation_id = ? AND state = ?`

// Close ends the transaction's organisation: nothing is sent from it, and nothing runs for it by itself any more. Its row stays for the
// records that name it.
func (o *Organisations) Close(ctx context.Context, tx *store.Tx) error {
	n, err := tx.Exec(ctx, closeOrganisation, Closed, store.Millis(tx.Now), tx.Organisation(), Active)
	if err != nil {
		return fmt.Errorf("close an organisation: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "there is no such organisation, or it was closed before").At("%s", tx.Organisation())
	}
	return o.note(ctx, tx, ledger.ActOrganisation, id.UUID{}, ledger.Detail{"change": "organisation closed"})
}
