package send

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// decideNow decides on a message that cannot be queued, for want of an address: the gate holds or refuses it, with every reason.
func (s *Sends) decideNow(ctx context.Context, tx *store.Tx, sid id.Send, p people.Person, m id.Message, given map[string]any) error {
	d, err := s.draft(ctx, tx, sid, p, m, given)
	if err != nil {
		return err
	}
	if err := s.decide(ctx, tx, d); err != nil {
		return err
	}
	if d.decision.Means.Goes() {
		return fault.New(fault.Internal, "the gate let a message go that has no address").At("%s", m)
	}
	state := Held
	if d.decision.Means == gate.MeansRefused {
		state = Refused
	}
	if _, err := tx.Exec(ctx, endMessage, state, 0, store.Millis(tx.Now), tx.Organisation(), m); err != nil {
		return fmt.Errorf("end %s: %w", m, err)
	}
	return s.recordDecision(ctx, tx, d)
}

// draft makes what Prepare works on outside of a delivery: for a decision at once and for a preview.
func (s *Sends) draft(ctx context.Context, tx *store.Tx, sid id.Send, p people.Person, m id.Message, given map[string]any) (*draft, error) {
	r, err := s.request(ctx, tx, sid)
	if err != nil {
		return nil, err
	}
	return s.draftOf(ctx, tx, r, p, m, given)
}

// Release lets a held message be decided again, as of now: the person who released it has changed what held it, or found another way.
func (s *Sends) Release(ctx context.Context, tx *store.Tx, m id.Message) error {
	msg, err := s.Message(ctx, tx, m)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, reopenMessage, Waiting, tx.Organisation(), m, Held)
	if err != nil {
		return fmt.Errorf("release %s: %w", m, err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the message is %s, not held", msg.State).At("%s", m)
	}
	if err := s.requeue(ctx, tx, msg); err != nil {
		return err
	}
	return s.noteMessage(ctx, tx, msg, ledger.ActRelease, "released")
}

// requeue puts a message back into its queue, or into one for the first time when it had no address before.
func (s *Sends) requeue(ctx context.Context, tx *store.Tx, msg Message) error {
	r, err := s.request(ctx, tx, msg.Send)
	if err != nil {
		return err
	}
	p, err := s.people.Get(ctx, tx, msg.Person)
	if err != nil {
		return err
	}
	to, err := s.address(ctx, tx, p)
	if err != nil {
		return err
	}
	if to.Normal == "" {
		return fault.New(fault.Conflict, "the person has no address that can be written to").At("%s", msg.ID).Hint("record one first")
	}
	err = s.engine.Reopen(ctx, tx, msg.ID, domainOf(to.Normal))
	if fault.Is(err, fault.NotFound) {
		return s.enqueue(ctx, tx, r, msg.ID, msg.Person, to)
	}
	return err
}

// Cancel gives a message up that waits or is held.
func (s *Sends) Cancel(ctx context.Context, tx *store.Tx, m id.Message) error {
	msg, err := s.Message(ctx, tx, m)
	if err != nil {
		return err
	}
	switch msg.State {
	case Waiting:
		if err := s.engine.Cancel(ctx, tx, m, "cancelled"); err != nil {
			return err
		}
	case Held:
	case Accepted, Bounced, Expired, InDoubt, Cancelled, Refused:
		return fault.New(fault.Conflict, "the message is %s", msg.State).At("%s", m)
	}
	if _, err := tx.Exec(ctx, endMessage, Cancelled, msg.Attempts, store.Millis(tx.Now), tx.Organisation(), m); err != nil {
		return fmt.Errorf("cancel %s: %w", m, err)
	}
	return s.noteMessage(ctx, tx, msg, ledger.ActRelease, "cancelled")
}

func (s *Sends) noteMessage(ctx context.Context, tx *store.Tx, msg Message, act ledger.Act, change string) error {
	key, err := s.people.Key(ctx, tx, msg.Person)
	if err != nil {
		return err
	}
	return s.ledger.Append(ctx, tx, ledger.Entry{
		Act: act, Subject: msg.Person, SubjectKey: key, Object: msg.ID.UUID(), Detail: ledger.Detail{"change": change},
	}, key)
}

// Delivery gives what the engine knows of a message; false when it was never queued.
func (s *Sends) Delivery(ctx context.Context, tx *store.Tx, m id.Message) (delivery.Status, bool, error) {
	st, err := s.engine.Status(ctx, tx, m)
	if fault.Is(err, fault.NotFound) {
		return st, false, nil
	}
	return st, err == nil, err
}
