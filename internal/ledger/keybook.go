package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/carepost/carepost/internal/fault"
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

// PlaceSigner writes a recovered key as a new file that only its owner reads.
func PlaceSigner(path string, key []byte) error {
	if _, ok := parseSigner(strings.TrimSpace(string(key))); !ok {
		return fault.New(fault.Invalid, "not a ledger key").Hint("it is one line that begins with %s", signerHead)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "the ledger's key cannot be put in place").At("%s", path)
	}
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the ledger's key: %w", err)
	}
	return syncDir(filepath.Dir(path))
}
