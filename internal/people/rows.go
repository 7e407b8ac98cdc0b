package people

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// The columns of rows to insert, gathered. SQLite takes them one by one, without a network between; PostgreSQL as arrays at once.
type identifierRows struct {
	kinds           []int64
	blinds, persons [][]byte
}

type factRows struct {
	persons, ids, resources, imports, records [][]byte
	sources, states, ended                    []int64
}

type eventRows struct {
	seqs, sources, states                []int64
	persons, ids, keys, imports, records [][]byte
}

func (r *identifierRows) add(kind int, x blind, person id.Person) {
	r.kinds, r.blinds, r.persons = append(r.kinds, int64(kind)), append(r.blinds, x[:]), append(r.persons, person[:])
}

func (r *factRows) add(w *writes, m *member, f *factRow, sealed []byte) {
	state, ended := int64(factCurrent), int64(0)
	if f.ended {
		state, ended = factSuperseded, store.Millis(w.tx.Now)
	}
	r.persons, r.ids, r.resources = append(r.persons, m.id[:]), append(r.ids, f.id[:]), append(r.resources, f.resource[:])
	r.sources, r.states, r.ended = append(r.sources, w.sourceIDs[f.source]), append(r.states, state), append(r.ended, ended)
	r.imports, r.records = append(r.imports, f.imported[:]), append(r.records, sealed)
}

func (r *eventRows) add(w *writes, m *member, e *eventRow, state int64) error {
	sealed, err := sealRecord(m.key, eventCell(e.id), e.record)
	if err != nil {
		return err
	}
	e.seq = w.nextEvent
	w.nextEvent++
	m.projectedTo = max(m.projectedTo, e.seq)
	r.seqs, r.sources, r.states = append(r.seqs, e.seq), append(r.sources, w.sourceIDs[e.source]), append(r.states, state)
	r.persons, r.ids, r.keys = append(r.persons, m.id[:]), append(r.ids, bytesOf(e.id)), append(r.keys, bytesOf(e.key))
	r.imports, r.records = append(r.imports, importOf(e)), append(r.records, sealed)
	return nil
}

// flush writes the gathered rows. Fewer rows than were given: another transaction wrote one of them first.
func (w *writes) flush(ctx context.Context) error {
	flush := w.flushEach
	if w.tx.Engine() == store.PostgreSQL {
		flush = w.flushArrays
	}
	n, err := flush(ctx)
	if err != nil {
		return err
	}
	if n != int64(len(w.identifiers.kinds)+len(w.facts.ids)+len(w.events.ids)) {
		return errMeanwhile
	}
	return nil
}

func (w *writes) flushEach(ctx context.Context) (written int64, err error) {
	org, now := w.tx.Organisation(), store.Millis(w.tx.Now)
	exec := func(what, query string, args ...any) {
		if err != nil {
			return
		}
		var n int64
		if n, err = w.tx.Exec(ctx, query, args...); err != nil {
			err = fmt.Errorf("write %s: %w", what, err)
		}
		written += n
	}
	for i, kind := range w.identifiers.kinds {
		exec("identifiers", insertIdentifier, org, kind, w.identifiers.blinds[i], w.identifiers.persons[i])
	}
	f := &w.facts
	for i := range f.ids {
		exec("facts", insertFact, org, f.persons[i], f.ids[i], f.sources[i], f.resources[i], f.states[i], f.imports[i], now, f.ended[i], f.records[i])
	}
	e := &w.events
	for i := range e.ids {
		exec("events", insertEvent, org, e.seqs[i], e.persons[i], e.ids[i], e.sources[i], e.keys[i], e.states[i], e.imports[i], now, e.records[i])
	}
	return written, err
}

func (w *writes) flushArrays(ctx context.Context) (written int64, err error) {
	org, now := w.tx.Organisation(), store.Millis(w.tx.Now)
	exec := func(what string, rows int, query string, args ...any) {
		if err != nil || rows == 0 {
			return
		}
		var n int64
		if n, err = w.tx.Exec(ctx, query, args...); err != nil {
			err = fmt.Errorf("write %s: %w", what, err)
		}
		written += n
	}
	exec("identifiers", len(w.identifiers.kinds), insertIdentifiers, org, w.identifiers.kinds, w.identifiers.blinds, w.identifiers.persons)
	f := &w.facts
	exec("facts", len(f.ids), insertFacts, org, now, f.persons, f.ids, f.sources, f.resources, f.states, f.imports, f.ended, f.records)
	e := &w.events
	exec("events", len(e.ids), insertEvents, org, now, e.seqs, e.persons, e.ids, e.sources, e.keys, e.states, e.imports, e.records)
	return written, err
}

// importOf gives the import of a row; nil for what no import says by itself.
func importOf(e *eventRow) []byte {
	if e.imported.IsZero() {
		return nil
	}
	return bytesOf(e.imported)
}

// writeSaid notes which rows of earlier imports this one says too.
func (b *batch) writeSaid(ctx context.Context) error {
	if len(b.said) == 0 {
		return nil
	}
	rows := make([][]any, 0, len(b.said))
	for _, x := range b.said {
		rows = append(rows, []any{b.tx.Organisation(), b.imp, x})
	}
	if _, err := b.tx.ExecEach(ctx, insertSaid, rows); err != nil {
		return fmt.Errorf("note what an import says too: %w", err)
	}
	return nil
}
