package ledger

import (
	"context"

	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// keyBook records what happens to keys, and signs what was destroyed.
func (l *Ledger) keyBook() seal.Book {
	return seal.Book{Origin: l.signer.origin, Ready: l.refuses, Record: l.recordKeys, Sign: l.SignStatement}
}

// recordKeys writes an act upon keys into its own transaction. After an organisation was shredded its detail is the first thing under a
// new key.
func (l *Ledger) recordKeys(ctx context.Context, tx *store.Tx, e seal.Event) error {
	act := ActKeyMade
	if e.Kind == seal.KeysDestroyed {
		act = ActKeyDestroyed
	}
	key, err := l.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return l.Append(ctx, tx, Entry{Act: act, Object: e.Object, Detail: Detail(e.Detail)}, key)
}
