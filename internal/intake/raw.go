package intake

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// blindKind is the kind of the blind indexes that group raw messages.
const blindKind = "intake"

func rowOf(imp id.Import, seq int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), imp[:]...), uint64(seq))
}

func rawCell(imp id.Import, seq int64) seal.Cell {
	return seal.Cell{Table: "raw", Column: "record", Row: rowOf(imp, seq)}
}

func quarantineCell(imp id.Import, seq int64) seal.Cell {
	return seal.Cell{Table: "quarantine", Column: "record", Row: rowOf(imp, seq)}
}

// packRaw frames a message: kind and key with their lengths, then the bytes as they came.
func packRaw(m *Message) []byte {
	b := make([]byte, 0, 8+len(m.Kind)+len(m.Key)+len(m.Body))
	for _, s := range []string{m.Kind, m.Key} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, m.Body...)
}

func unpackRaw(b []byte) (m Message, err error) {
	for _, s := range []*string{&m.Kind, &m.Key} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return m, fault.New(fault.Sealed, "a raw message does not decode")
		}
		*s = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	m.Body = b
	return m, nil
}

// rawRow is a row of raw.
type rawRow struct {
	seq     int64
	turn    Turn
	subject [seal.BlindSize]byte
	file    int // from 0
	line    int64
	sealed  []byte
	message Message
}

// rawRows gathers rows to insert.
type rawRows struct {
	seqs, turns, lines []int64
	subjects, records  [][]byte
	file               int
}

func (in *Intake) blind(ctx context.Context, tx *store.Tx, source, subject string) ([]byte, error) {
	x, err := in.Keys.Blind(ctx, tx, blindKind, source+"\x00"+subject)
	if err != nil {
		return nil, fmt.Errorf("index a message: %w", err)
	}
	return x, nil
}

func (r *rawRows) insert(ctx context.Context, tx *store.Tx, imp id.Import) error {
	if len(r.seqs) == 0 {
		return nil
	}
	if tx.Engine() == store.PostgreSQL {
		if _, err := tx.Exec(ctx, insertRaws, tx.Organisation(), imp, r.file, r.seqs, r.turns, r.subjects, r.lines, r.records); err != nil {
			return fmt.Errorf("keep messages: %w", err)
		}
		return nil
	}
	for i, seq := range r.seqs {
		if _, err := tx.Exec(ctx, insertRaw, tx.Organisation(), imp, seq, r.turns[i], r.subjects[i], r.file, r.lines[i], r.records[i]); err != nil {
			return fmt.Errorf("keep messages: %w", err)
		}
	}
	return nil
}

// referred gives the newest message of a key that others refer to.
func (in *Intake) referred(ctx context.Context, tx *store.Tx, source, key string) ([]byte, bool, error) {
	x, err := in.blind(ctx, tx, source, key)
	if err != nil {
		return nil, false, err
	}
	var (
		imp    id.Import
		seq    int64
		sealed []byte
	)
	err = tx.QueryRow(ctx, selectReferred, tx.Organisation(), x).Scan(&imp, &seq, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find a message: %w", err)
	}
	m, err := in.openRaw(ctx, tx, imp, seq, sealed)
	return m.Body, err == nil, err
}

func (in *Intake) openRaw(ctx context.Context, tx *store.Tx, imp id.Import, seq int64, sealed []byte) (Message, error) {
	plain, err := in.Keys.Open(ctx, tx, rawCell(imp, seq), sealed)
	if err != nil {
		return Message{}, fmt.Errorf("open message %d of %s: %w", seq, imp, err)
	}
	return unpackRaw(plain)
}

// each reads rows to their end.
func each(rows *sql.Rows, fn func() error) error {
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// purpose is what raw messages are sealed for.
const purpose = seal.PurposeRaw
