package people

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

var errMeanwhile = fault.New(fault.Conflict, "the record was written by another transaction meanwhile").Hint("try again")

// write writes what the batch changed, people in the order of their ids.
func (b *batch) write(ctx context.Context) error {
	if err := b.writeSaid(ctx); err != nil {
		return err
	}
	var changed []*member
	events := 0
	for _, m := range b.sortedMembers() {
		if !m.changed {
			continue
		}
		changed = append(changed, m)
		for i := range m.events {
			if e := &m.events[i]; e.fresh {
				events++
			} else if e.ended {
				events++ // its retraction
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	next, err := b.p.take(ctx, b.tx, numberEvent, events)
	if err != nil {
		return err
	}
	w := &writes{batch: b, nextEvent: next}
	for _, m := range changed {
		if err := w.rowsOf(ctx, m); err != nil {
			return err
		}
	}
	for _, m := range changed { // after all events have their numbers: a survivor's projection holds those of its family
		if err := w.person(ctx, m); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return b.record(ctx, changed)
}

// writes gathers rows: on PostgreSQL each table takes one round trip.
type writes struct {
	*batch
	nextEvent   int64
	identifiers identifierRows
	facts       factRows
	events      eventRows
}

// rowsOf gathers a person's rows of the other tables.
func (w *writes) rowsOf(ctx context.Context, m *member) error {
	if m.fresh {
		var err error
		if m.key, m.wrapped, err = w.p.keys.NewSubject(ctx, w.tx, m.id.UUID()); err != nil {
			return fmt.Errorf("make the key of %s: %w", m.id, err)
		}
		if m.ordinal, err = w.p.ordinal(ctx, w.tx); err != nil {
			return err
		}
	}
	if err := w.factsOf(ctx, m); err != nil {
		return err
	}
	if err := w.eventsOf(ctx, m); err != nil {
		return err
	}
	root := w.root(m)
	root.projectedTo = max(root.projectedTo, m.projectedTo)
	return w.identifiersOf(ctx, m)
}

// person writes a person's row.
func (w *writes) person(ctx context.Context, m *member) error {
	projection, err := sealRecord(m.key, projectionCell(m.id), packProjection(&m.projection))
	if err != nil {
		return err
	}
	org, now := w.tx.Organisation(), store.Millis(w.tx.Now)
	var n int64
	if m.core == m.oldCore && !m.moved {
		n, err = w.tx.Exec(ctx, updateProjection, m.projectedTo, now, projection, org, m.id, m.version)
	} else {
		var core []byte
		if core, err = sealRecord(m.key, coreCell(m.id), m.core); err != nil {
			return err
		}
		if m.fresh {
			n, err = w.tx.Exec(ctx, insertPerson, org, m.id, int64(m.ordinal), m.state, m.mergedInto, m.projectedTo, now, now, m.wrapped, projection, core)
		} else {
			n, err = w.tx.Exec(ctx, updatePerson, m.state, m.mergedInto, m.projectedTo, now, projection, core, org, m.id, m.version)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", m.id, err)
	}
	if n != 1 {
		return errMeanwhile.At("%s", m.id)
	}
	m.version++
	return nil
}

func sealRecord(key seal.Key, c seal.Cell, m proto.Message) ([]byte, error) {
	plain, err := encode(m)
	if err != nil {
		return nil, err
	}
	return key.Seal(c, plain)
}

func (w *writes) factsOf(ctx context.Context, m *member) error {
	for i := range m.facts {
		f := &m.facts[i]
		switch {
		case f.fresh:
			sealed, err := m.key.Seal(factCell(f.id), f.plain)
			if err != nil {
				return err
			}
			w.facts.add(w, m, f, sealed)
		case f.ended:
			n, err := w.tx.Exec(ctx, endFact, factSuperseded, store.Millis(w.tx.Now), w.imp, w.tx.Organisation(), m.id, f.id)
			if err != nil {
				return fmt.Errorf("supersede %s: %w", f.id, err)
			}
			if n != 1 {
				return errMeanwhile.At("%s", f.id)
			}
		}
	}
	return nil
}

func (w *writes) eventsOf(ctx context.Context, m *member) error {
	for i := range m.events {
		e := &m.events[i]
		if !e.fresh && !e.ended {
			continue
		}
		if e.fresh {
			if e.ended {
				w.nextEvent++ // made and taken back within the batch: never written, its number is not used
				continue
			}
			key, err := w.blind(ctx, blindEvent, e.source, e.record.Key)
			if err != nil {
				return err
			}
			e.key = key
			if err := w.events.add(w, m, e, eventStands); err != nil {
				return err
			}
			continue
		}
		n, err := w.tx.Exec(ctx, endEvent, w.tx.Organisation(), e.seq)
		if err != nil {
			return fmt.Errorf("take back %s: %w", e.id, err)
		}
		if n != 1 {
			return errMeanwhile.At("%s", e.id)
		}
		back := eventRow{id: id.New[id.Event](), source: e.source, key: e.key, record: e.record}
		if err := w.events.add(w, m, &back, eventRetracts); err != nil {
			return err
		}
	}
	return nil
}

// identifierSlot is one row of person_identifier, before it is blinded.
type identifierSlot struct {
	kind          int
	blind         string
	source, value string
}

// identifiersIn gives what a person is found by.
func identifiersIn(r *CoreRecord) map[identifierSlot]bool {
	all := map[identifierSlot]bool{}
	for _, s := range r.GetSubjects() {
		all[identifierSlot{kindSubject, blindSubject, s.Source, s.Key}] = true
	}
	for _, x := range r.GetProfile().GetIdentifiers() {
		all[identifierSlot{kindIdentifier, blindIdentifier, "", NormalIdentifier(identifierOf(x))}] = true
	}
	for _, c := range r.GetProfile().GetContacts() {
		switch {
		case c.Normal == "":
		case Channel(c.Channel) == ChannelEmail:
			all[identifierSlot{kindEmail, blindEmail, "", c.Normal}] = true
		case Channel(c.Channel) == ChannelPhone:
			all[identifierSlot{kindPhone, blindPhone, "", c.Normal}] = true
		}
	}
	return all
}

func (w *writes) identifiersOf(ctx context.Context, m *member) error {
	if m.core == m.oldCore {
		return nil
	}
	before, after := identifiersIn(m.oldCore), identifiersIn(m.core)
	for s := range before {
		if after[s] {
			continue
		}
		x, err := w.blind(ctx, s.blind, s.source, s.value)
		if err != nil {
			return err
		}
		if _, err := w.tx.Exec(ctx, deleteIdentifier, w.tx.Organisation(), s.kind, x[:], m.id); err != nil {
			return fmt.Errorf("forget an identifier of %s: %w", m.id, err)
		}
	}
	for s := range after {
		if before[s] {
			continue
		}
		x, err := w.blind(ctx, s.blind, s.source, s.value)
		if err != nil {
			return err
		}
		w.identifiers.add(s.kind, x, m.id)
	}
	return nil
}

// record tells the indexes and the ledger: one entry per person and batch.
func (b *batch) record(ctx context.Context, changed []*member) error {
	touched := make([]id.Person, 0, len(changed))
	var entries []ledger.Keyed
	for _, m := range changed {
		touched = append(touched, m.id)
		if root := b.root(m); root != m {
			touched = append(touched, root.id)
		}
		if b.quiet {
			continue
		}
		if m.counts.facts > 0 || m.counts.events > 0 || m.fresh {
			act := ledger.ActImport
			if b.imp.IsZero() {
				act = ledger.ActChange
			}
			detail := ledger.Detail{"facts": strconv.Itoa(m.counts.facts), "events": strconv.Itoa(m.counts.events)}
			if m.fresh {
				detail["made"] = "1"
			}
			entries = append(entries, ledger.Keyed{
				Entry: ledger.Entry{Act: act, Subject: m.id, SubjectKey: m.key, Object: b.imp.UUID(), Detail: detail}, Key: m.key,
			})
		}
		if m.moved && !m.mergedInto.IsZero() {
			entries = append(entries, ledger.Keyed{
				Entry: ledger.Entry{
					Act: ledger.ActMerge, Subject: m.id, SubjectKey: m.key, Object: m.mergedInto.UUID(),
					Detail: ledger.Detail{"survivor": m.mergedInto.String(), "import": b.imp.String()},
				}, Key: m.key,
			})
		}
	}
	b.applied.People = touched
	if err := b.p.led.AppendAll(ctx, b.tx, entries); err != nil {
		return err
	}
	return b.p.led.TouchAll(ctx, b.tx, touched)
}
