package organisation

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

var errNoRows = sql.ErrNoRows

// sealRecord seals a setting as JSON: settings are few, and are read by people who mend things.
func (o *Organisations) sealRecord(ctx context.Context, tx *store.Tx, table string, row []byte, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a row of %s: %w", table, err)
	}
	sealed, err := o.keys.Seal(ctx, tx, seal.PurposeSetting, seal.Cell{Table: table, Column: "record", Row: row}, plain)
	if err != nil {
		return nil, fmt.Errorf("seal a row of %s: %w", table, err)
	}
	return sealed, nil
}

func (o *Organisations) openRecord(ctx context.Context, tx *store.Tx, table string, row, sealed []byte, v any) error {
	plain, err := o.keys.Open(ctx, tx, seal.Cell{Table: table, Column: "record", Row: row}, sealed)
	if err != nil {
		return fmt.Errorf("open a row of %s: %w", table, err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode a row of %s: %w", table, err)
	}
	return nil
}

// note writes the ledger entry of a change.
func (o *Organisations) note(ctx context.Context, tx *store.Tx, act ledger.Act, object id.UUID, d ledger.Detail) error {
	key, err := o.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return o.ledger.Append(ctx, tx, ledger.Entry{Act: act, Object: object, Detail: d}, key)
}
