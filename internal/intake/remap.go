package intake

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Remap maps and applies a finished import again: after a mapping was mended. What says the same as before changes nothing.
func (in *Intake) Remap(ctx context.Context, scope id.Scope, imp id.Import, progress func(Progress)) (*Result, error) {
	j, err := in.loadJob(ctx, scope, imp)
	if err != nil {
		return nil, err
	}
	mapper, err := in.mapper(j.record.Format, j.record.Settings)
	if err != nil {
		return nil, err
	}
	if j.state != StateDone && j.state != StateRemap {
		return nil, fault.New(fault.Conflict, "the import is %s", j.state).At("%s", imp).Hint("only a finished import can be mapped again")
	}
	w := &worker{Intake: in, scope: scope, mapper: mapper, job: j, progress: progress, again: true}
	if w.progress == nil {
		w.progress = func(Progress) {}
	}
	if err := w.splitAgain(ctx); err != nil {
		return nil, err
	}
	err = w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		next.state, next.turn, next.subject, next.done = StateApplying, 0, nil, 0
		old := next.record.Result
		r := newResult(next.id, next.record.Source)
		r.Files, r.Lines, r.Blank = old.Files, old.Lines, old.Blank
		for k, n := range old.Kinds {
			r.kind(k).Read, r.kind(k).Skipped = n.Read, n.Skipped
		}
		next.record.Result = r
		// What the mapping set aside is settled, or set aside anew.
		if _, err := tx.Exec(ctx, settleMapped, tx.Organisation(), next.id, tx.Organisation(), next.id); err != nil {
			return fmt.Errorf("settle what was set aside: %w", err)
		}
		return w.refuseAgain(ctx, tx, r, next.id)
	})
	if err != nil {
		return nil, err
	}
	if err := w.apply(ctx); err != nil {
		return nil, err
	}
	return w.job.record.Result, nil
}

// refuseAgain counts what is still refused before mapping: lines that cannot be split.
func (w *worker) refuseAgain(ctx context.Context, tx *store.Tx, r *Result, imp id.Import) error {
	for after := int64(0); ; {
		page, err := w.Quarantine(ctx, tx, imp, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, q := range page {
			after = q.Seq
			r.refuse(Refusal{File: q.File, Line: q.Line, Kind: q.Kind, Reason: q.Reason})
		}
	}
}

// splitAgain tries the lines that could not be split once more: a mended mapper may take them.
func (w *worker) splitAgain(ctx context.Context) error {
	return w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		rows, err := w.unsplit(ctx, tx, next.id)
		if err != nil {
			return err
		}
		for _, q := range rows {
			m, line, err := w.rawAt(ctx, tx, next.id, q.raw)
			if err != nil {
				return err
			}
			messages, err := w.mapper.Split(m.Body)
			if m.Turn != TurnNone || err != nil || len(messages) != 1 || messages[0].Turn == TurnNone {
				continue
			}
			subject, err := w.blind(ctx, tx, next.record.Source, messages[0].Subject)
			if err != nil {
				return err
			}
			kept := &messages[0]
			if kept.Turn == TurnOrder {
				subject = make([]byte, seal.BlindSize)
				kept = &Message{Kind: blockKind, Body: packBlock(nil, &staged{Message: *kept, line: line})}
			}
			sealed, err := w.Keys.Seal(ctx, tx, purpose, rawCell(next.id, q.raw), packRaw(kept))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, turnRaw, int64(messages[0].Turn), subject, sealed, tx.Organisation(), next.id, q.raw); err != nil {
				return fmt.Errorf("turn a message: %w", err)
			}
			next.record.Result.kind(unknownKind).Read--
			next.record.Result.kind(messages[0].Kind).Read++
		}
		return nil
	})
}

type waiting struct {
	imp      id.Import
	seq, raw int64
}

func (in *Intake) unsplit(ctx context.Context, tx *store.Tx, imp id.Import) ([]waiting, error) {
	rows, err := tx.Query(ctx, selectUnsplit, tx.Organisation(), imp)
	if err != nil {
		return nil, fmt.Errorf("list what was set aside: %w", err)
	}
	var all []waiting
	return all, each(rows, func() error {
		w := waiting{imp: imp}
		err := rows.Scan(&w.seq, &w.raw)
		all = append(all, w)
		return err
	})
}

// settlePage is how many waiting messages are tried in one transaction.
const settlePage = 200

// Settle tries the messages of a source that wait for another one: nobody had the identifier they name, or what they refer to was
// not there. It is called at the end of each import.
func (in *Intake) Settle(ctx context.Context, scope id.Scope, source string) error {
	after := waiting{}
	for {
		var page []waiting
		err := in.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
			if page, err = in.waitingAfter(ctx, tx, after); err != nil {
				return err
			}
			return in.settle(ctx, tx, source, page)
		})
		if err != nil {
			return err
		}
		if len(page) < settlePage {
			return nil
		}
		after = page[len(page)-1]
	}
}

func (in *Intake) waitingAfter(ctx context.Context, tx *store.Tx, after waiting) ([]waiting, error) {
	rows, err := tx.Query(ctx, selectWaiting, tx.Organisation(), after.imp[:], after.seq, settlePage)
	if err != nil {
		return nil, fmt.Errorf("list what waits: %w", err)
	}
	var all []waiting
	return all, each(rows, func() error {
		var w waiting
		err := rows.Scan(&w.imp, &w.seq, &w.raw)
		all = append(all, w)
		return err
	})
}

func (in *Intake) settle(ctx context.Context, tx *store.Tx, source string, page []waiting) error {
	jobs := map[id.Import]*job{}
	for _, q := range page {
		j := jobs[q.imp]
		if j == nil {
			var err error
			if j, err = in.readJob(ctx, tx, q.imp); err != nil {
				return err
			}
			jobs[q.imp] = j
		}
		if j.record.Source != source || in.mappers[j.record.Format] == nil || j.state != StateDone {
			continue
		}
		done, err := in.settleOne(ctx, tx, j, q)
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		if _, err := tx.Exec(ctx, settleQuarantine, tx.Organisation(), q.imp, q.seq); err != nil {
			return fmt.Errorf("settle a message: %w", err)
		}
	}
	return nil
}

func (in *Intake) settleOne(ctx context.Context, tx *store.Tx, j *job, q waiting) (done bool, err error) {
	m, err := in.Raw(ctx, tx, q.imp, q.raw)
	if err != nil {
		return false, err
	}
	mapper, err := in.mapper(j.record.Format, j.record.Settings)
	if err != nil {
		return false, err
	}
	w := &worker{Intake: in}
	look := w.looker(ctx, tx, j.record.Source)
	u := mapOne(mapper, &Context{
		Source: j.record.Source, Received: j.started, Country: j.record.Country, Whitelist: people.Whitelist{Systems: j.record.Systems}, Look: look.find,
	}, &rawRow{message: m})
	if u.reason != "" || u.waits || look.err != nil {
		return false, look.err
	}
	a, err := in.People.Apply(ctx, tx, u.changes, q.imp)
	if err == nil && in.Propose != nil && len(a.Consents) > 0 {
		err = in.Propose(ctx, tx, a.Consents)
	}
	return len(a.Unresolved) == 0, err
}
