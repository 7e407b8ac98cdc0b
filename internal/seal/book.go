package seal

import (
	"context"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Event is an act upon keys, as the ledger records it. Detail holds ids, numbers and dates.
type Event struct {
	Kind   EventKind
	Object id.UUID           // the certificate
	Detail map[string]string // sealed by whoever records it
}

// EventKind says what happened to keys.
type EventKind uint8

// The kinds of events.
const (
	KeysMade      EventKind = 1 // an epoch began, a key took over from another
	KeysDestroyed EventKind = 2
)

// Book is the hand that writes acts upon keys down and signs certificates: the ledger's, which stands above this package.
type Book struct {
	// Origin names the signer.
	Origin string
	// Ready tells why an organisation's acts cannot be recorded now.
	Ready func(org id.Organisation) error
	// Record writes an event into the act's own transaction.
	Record func(ctx context.Context, tx *store.Tx, e Event) error
	// Sign gives a statement with its signature, as C2SP signed-note has it.
	Sign func(text string) ([]byte, error)
}

// KeepBook gives the keys their book; the ledger does so when it is opened. Without one rotation goes on unrecorded, which tests and the
// tools that make databases want, and nothing is shredded.
func (k *Keys) KeepBook(b Book) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.book = &b
}

func (k *Keys) written() *Book {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.book
}

// record writes an event down, when there is a book.
func (k *Keys) record(ctx context.Context, tx *store.Tx, e Event) error {
	b := k.written()
	if b == nil {
		return nil
	}
	return b.Record(ctx, tx, e)
}

// recordable refuses an act that could not be recorded, before it is begun.
func (k *Keys) recordable(org id.Organisation) error {
	b := k.written()
	if b == nil {
		return nil
	}
	return b.Ready(org)
}
