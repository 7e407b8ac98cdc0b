package consent

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Consents keeps the records. It is safe for use by many goroutines.
type Consents struct {
	keys   *seal.Keys
	ledger *ledger.Ledger
	people *people.People

	cause id.Fact   // the fact of a source that this copy writes for
	imp   id.Import // the import that this copy writes for
}

// New makes a register.
func New(keys *seal.Keys, led *ledger.Ledger, ppl *people.People) *Consents {
	return &Consents{keys: keys, ledger: led, people: ppl}
}

// entry is what an act writes into the ledger.
type entry struct {
	act   ledger.Act
	kind  string
	state string
}

// put writes a new row about a person, its ledger entry, and tells the projection.
func (r *Consents) put(ctx context.Context, tx *store.Tx, person id.Person, row id.UUID, kind int, s Status, record proto.Message, e entry) error {
	key, err := r.people.Key(ctx, tx, person)
	if err != nil {
		return err
	}
	plain, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode a consent record: %w", err)
	}
	sealed, err := key.Seal(cell("consent", "record", row), plain)
	if err != nil {
		return fmt.Errorf("seal a consent record: %w", err)
	}
	if _, err := tx.Exec(ctx, insertConsent, tx.Organisation(), person, row, kind, s, store.Millis(tx.Now), sealed, orNull(r.cause)); err != nil {
		return fmt.Errorf("write a consent record: %w", err)
	}
	return r.close(ctx, tx, person, key, row, e)
}

// finish moves a row of a person from one state to the next, with how it ended, and tells ledger and projection.
func (r *Consents) finish(ctx context.Context, tx *store.Tx, person id.Person, row id.UUID, kind int, from, to Status, how Evidence, e entry) error {
	key, err := r.people.Key(ctx, tx, person)
	if err != nil {
		return err
	}
	plain, err := proto.Marshal(packEvidence(how, tx.Now))
	if err != nil {
		return fmt.Errorf("encode the end of a consent record: %w", err)
	}
	sealed, err := key.Seal(cell("consent", "ending", row), plain)
	if err != nil {
		return fmt.Errorf("seal the end of a consent record: %w", err)
	}
	n, err := tx.Exec(ctx, endConsent, to, store.Millis(tx.Now), sealed, orNull(r.cause), tx.Organisation(), person, row, kind, from)
	if err != nil {
		return fmt.Errorf("end a consent record: %w", err)
	}
	if n == 0 {
		return errNotInForce(row)
	}
	return r.close(ctx, tx, person, key, row, e)
}

// orNull gives no value for an id that is not set.
func orNull[T ~[16]byte](x T) []byte {
	if x == (T{}) {
		return nil
	}
	return x[:]
}

func errNotInForce(row id.UUID) error {
	return fault.New(fault.NotFound, "there is no such record in force").At("%s", row)
}

// close ends an act on a person's record: the ledger's entry, and the projection, whose change is also the touch.
func (r *Consents) close(ctx context.Context, tx *store.Tx, person id.Person, key seal.Key, row id.UUID, e entry) error {
	err := r.ledger.Append(ctx, tx, ledger.Entry{
		Act: e.act, Subject: person, SubjectKey: key, Object: row, Detail: ledger.Detail{"kind": e.kind, "state": e.state},
	}, key)
	if err != nil {
		return err
	}
	return r.project(ctx, tx, person)
}

func cell(table, column string, row id.UUID) seal.Cell {
	return seal.Cell{Table: table, Column: column, Row: row[:]}
}

// bounds: what a person says fits into these.
const (
	maxWords = 16 << 10 // bytes of evidence, warning, or any text of a form
	maxTopic = 100
)

// checkText refuses what is no answer of a person but a flood.
func checkText(topic string, texts ...string) error {
	if len(topic) > maxTopic {
		return fault.New(fault.TooLarge, "a topic has at most %d bytes", maxTopic).At("topic")
	}
	for _, t := range texts {
		if len(t) > maxWords {
			return fault.New(fault.TooLarge, "a text of a consent record has at most %d bytes", maxWords)
		}
	}
	return nil
}

func (e Evidence) check() error {
	if e.How == "" {
		return fault.New(fault.Invalid, "how we know is missing").At("evidence").Hint("say form, phone, in person, portal, reply, link, header or source")
	}
	if len(e.Document) != 0 && len(e.Document) != 32 {
		return fault.New(fault.Invalid, "a document is named by its SHA-256").At("evidence")
	}
	return checkText("", e.Words, e.By, e.Source)
}
