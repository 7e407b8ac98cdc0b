package pickup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// Step is what is due for a message that waits.
type Step uint8

// The steps.
const (
	StepNone   Step = 0
	StepRemind Step = 1 // send the recipient another notice
	StepTell   Step = 2 // tell the sender that it was not read
)

// Plan is the times of one waiting message.
type Plan struct {
	MadeAt    time.Time
	TellAt    time.Time
	Reminders []time.Duration
	Reminded  int
}

// Next decides what is due now and when the next step is due. It is pure. Reminders that were missed, because the program stood
// still, are one reminder, not several at once.
func (p Plan) Next(now time.Time) (step Step, reminded int, due time.Time) {
	reminded = p.Reminded
	for reminded < len(p.Reminders) && !now.Before(p.MadeAt.Add(p.Reminders[reminded])) {
		reminded++
		step = StepRemind
	}
	if !now.Before(p.TellAt) {
		return StepTell, reminded, time.Time{}
	}
	if reminded < len(p.Reminders) {
		return step, reminded, p.MadeAt.Add(p.Reminders[reminded])
	}
	return step, reminded, p.TellAt
}

// DueRow names a message for which a step is due.
type DueRow struct {
	Organisation id.Organisation
	ID           id.Pickup
}

// Due lists messages for which a step is due; in the installation's scope.
func (p *Pickups) Due(ctx context.Context, tx *store.Tx, limit int) ([]DueRow, error) {
	if tx.Organisation() != id.Installation {
		return nil, fault.New(fault.Internal, "due messages are listed in the installation's scope")
	}
	rows, err := tx.Query(ctx, selectDue, store.Millis(tx.Now), limit)
	if err != nil {
		return nil, fmt.Errorf("list due messages: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []DueRow
	for rows.Next() {
		var d DueRow
		if err := rows.Scan(&d.Organisation, &d.ID); err != nil {
			return nil, fmt.Errorf("list due messages: %w", err)
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// Advance takes the step that is due for a message, in its organisation's scope; the caller sends the notice in the same transaction.
// A message that was read in the meantime has none.
func (p *Pickups) Advance(ctx context.Context, tx *store.Tx, kept id.Pickup) (Step, Status, error) {
	var made, due, tell int64
	var remind string
	var plan Plan
	err := tx.QueryRow(ctx, selectPlan, tx.Organisation(), kept, Waiting).Scan(&made, &due, &tell, &remind, &plan.Reminded)
	if errors.Is(err, sql.ErrNoRows) {
		return StepNone, Status{}, nil
	}
	if err != nil {
		return StepNone, Status{}, fmt.Errorf("read a waiting message: %w", err)
	}
	plan.MadeAt, plan.TellAt = store.Time(made), store.Time(tell)
	if plan.Reminders, err = splitDurations(remind); err != nil {
		return StepNone, Status{}, err
	}
	step, reminded, next := plan.Next(tx.Now)
	if step == StepNone {
		return step, Status{}, nil
	}
	state := Waiting
	if step == StepTell {
		state = Unread
	}
	n, err := tx.Exec(ctx, updatePlan, state, store.Millis(next), reminded, tx.Organisation(), kept, Waiting, due)
	if err != nil {
		return StepNone, Status{}, fmt.Errorf("go on with a waiting message: %w", err)
	}
	if n == 0 {
		return StepNone, Status{}, nil // another node was first
	}
	s, err := p.Get(ctx, tx, kept)
	if err != nil || step != StepTell {
		return step, s, err
	}
	key, err := p.key(ctx, tx, s.Person)
	if err != nil {
		return step, s, err
	}
	return step, s, p.o.Ledger.Append(ctx, tx, ledger.Entry{
		Act: ledger.ActHold, Purpose: s.Purpose, Subject: s.Person, Object: s.Message.UUID(),
		Detail: ledger.Detail{"pickup": kept.String(), "reason": "not read", "reminders": strconv.Itoa(reminded)},
	}, key)
}
