package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// The states of quarantined messages. The numbers are stored: append only.
const (
	quarantineRefused = 1
	quarantineWaits   = 2 // 3 is settled: the statements write it
)

// ReasonTooLong is why a line was passed over.
const ReasonTooLong = "a line of more than 16 MiB: passed over, not kept"

// ReasonWaits is the reason of a warning that says: what the message refers to is not there yet. The message is applied without it,
// and mapped again after the next imports of the source.
const ReasonWaits = "names a resource that is not there yet"

// Quarantined is a message that was set aside, or waits for another.
type Quarantined struct {
	Import id.Import
	Seq    int64
	File   int // from 1
	Line   int64
	Waits  bool
	Kind   string
	Reason string
	Kept   bool // the message itself is kept, sealed
	At     time.Time
}

type quarantineRecord struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

// setAside writes a row of quarantine.
func (in *Intake) setAside(ctx context.Context, tx *store.Tx, j *job, x Refusal, rawSeq int64, state int) error {
	plain, err := json.Marshal(quarantineRecord{x.Kind, x.Reason})
	if err != nil {
		return fmt.Errorf("encode a refusal: %w", err)
	}
	j.refused++
	sealed, err := in.Keys.Seal(ctx, tx, seal.PurposeRaw, quarantineCell(j.id, j.refused), plain)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertQuarantine, tx.Organisation(), j.id, j.refused, rawSeq, x.File, x.Line, state, store.Millis(tx.Now), sealed)
	if err != nil {
		return fmt.Errorf("set a message aside: %w", err)
	}
	return nil
}

// Quarantine lists what of an import was set aside and is not settled, after a number.
func (in *Intake) Quarantine(ctx context.Context, tx *store.Tx, imp id.Import, after int64, limit int) ([]Quarantined, error) {
	rows, err := tx.Query(ctx, selectQuarantine, tx.Organisation(), imp, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list what was set aside: %w", err)
	}
	var all []Quarantined
	var sealed [][]byte
	err = each(rows, func() error {
		var (
			q                 = Quarantined{Import: imp}
			rawSeq, state, at int64
			s                 []byte
		)
		err := rows.Scan(&q.Seq, &rawSeq, &q.File, &q.Line, &state, &at, &s)
		q.Kept, q.Waits, q.At = rawSeq != 0, state == quarantineWaits, store.Time(at)
		all, sealed = append(all, q), append(sealed, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what was set aside: %w", err)
	}
	for i := range all {
		plain, err := in.Keys.Open(ctx, tx, quarantineCell(imp, all[i].Seq), sealed[i])
		if err != nil {
			return nil, fmt.Errorf("open what was set aside: %w", err)
		}
		var r quarantineRecord
		if err := json.Unmarshal(plain, &r); err != nil {
			return nil, fault.Wrap(fault.Sealed, err, "a row of quarantine does not decode")
		}
		all[i].Kind, all[i].Reason = r.Kind, r.Reason
	}
	return all, nil
}

// Raw gives a message as it came, by its place in raw: for the person who settles it. The caller writes the view into the ledger.
func (in *Intake) Raw(ctx context.Context, tx *store.Tx, imp id.Import, rawSeq int64) (Message, error) {
	m, _, err := in.rawAt(ctx, tx, imp, rawSeq)
	return m, err
}

// RawLine gives a message as it came that stands with many others in one row of raw: a record of a CSV file.
func (in *Intake) RawLine(ctx context.Context, tx *store.Tx, imp id.Import, rawSeq, line int64) (found Message, err error) {
	m, _, err := in.rawAt(ctx, tx, imp, rawSeq)
	if err != nil || m.Turn != TurnOrder {
		return m, err
	}
	err = unpackBlock(m.Body, func(at int64, one Message) error {
		if at == line {
			found = one
		}
		return nil
	})
	if err == nil && found.Body == nil {
		err = fault.New(fault.NotFound, "there is no such message").At("%s", imp)
	}
	return found, err
}

func (in *Intake) rawAt(ctx context.Context, tx *store.Tx, imp id.Import, rawSeq int64) (Message, int64, error) {
	var (
		turn, file, line int64
		subject, sealed  []byte
	)
	if err := tx.QueryRow(ctx, selectRaw, tx.Organisation(), imp, rawSeq).Scan(&turn, &subject, &file, &line, &sealed); err != nil {
		return Message{}, 0, fault.Wrap(fault.NotFound, err, "there is no such message").At("%s", imp)
	}
	m, err := in.openRaw(ctx, tx, imp, rawSeq, sealed)
	m.Turn = Turn(turn)
	return m, line, err
}
