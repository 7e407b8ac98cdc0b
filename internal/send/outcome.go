package send

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// ends maps how a delivery ended to where the message stands.
var ends = map[delivery.End]State{
	delivery.Accepted: Accepted, delivery.Bounced: Bounced, delivery.Expired: Expired, delivery.Held: Held,
	delivery.InDoubt: InDoubt, delivery.Cancelled: Cancelled, delivery.Refused: Refused,
}

// Outcome hears what happened to messages, in the transaction that writes it. It must not fail for what is gone: an outcome that cannot
// be written is an acceptance forgotten, and the message would be sent again.
func (s *Sends) Outcome(ctx context.Context, tx *store.Tx, outcomes []delivery.Outcome) error {
	for _, o := range outcomes {
		if err := s.outcome(ctx, tx, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sends) outcome(ctx context.Context, tx *store.Tx, o delivery.Outcome) error {
	if o.End == delivery.Deferred {
		if _, err := tx.Exec(ctx, deferMessage, o.Attempt, tx.Organisation(), o.Message); err != nil {
			return fmt.Errorf("note that %s was put off: %w", o.Message, err)
		}
		return nil
	}
	state := ends[o.End]
	if d, err := s.undecided(ctx, tx, o); err != nil {
		return err
	} else if d == gate.MeansRefused {
		state = Refused
	}
	if _, err := tx.Exec(ctx, endMessage, state, o.Attempt, store.Millis(tx.Now), tx.Organisation(), o.Message); err != nil {
		return fmt.Errorf("end %s: %w", o.Message, err)
	}
	if o.Suppress && !o.Person.IsZero() {
		if err := s.unproven(ctx, tx, o); err != nil {
			return err
		}
	}
	return s.happened(ctx, tx, o)
}

// carriage says in the gate's words how the queue ended a message that Prepare did not end.
func carriage(o delivery.Outcome) gate.Carriage {
	switch o.End {
	case delivery.Held:
		switch o.Reason {
		case delivery.ReasonPolicy: // the gate's own reason says it
			return gate.CarriageNone
		case delivery.ReasonOurs:
			return gate.CarriageRefuses
		case delivery.ReasonProof:
			return gate.CarriageProof
		}
		return gate.CarriageUnready
	case delivery.Expired:
		return gate.CarriageTime
	case delivery.Bounced:
		return gate.CarriageNowhere
	case delivery.InDoubt:
		return gate.CarriageDoubt
	case delivery.Deferred, delivery.Accepted, delivery.Cancelled, delivery.Refused:
	}
	return gate.CarriageUnready
}

// undecided has the gate decide on a message that ended before it was ever prepared, and on one that its queue holds for what it found
// since: no message ends without a decision that says why.
func (s *Sends) undecided(ctx context.Context, tx *store.Tx, o delivery.Outcome) (gate.Means, error) {
	msg, err := s.Message(ctx, tx, o.Message)
	if gone(err) {
		return "", nil // the row or the person is destroyed: nothing is left to decide on, and nothing to seal it with
	}
	if err != nil {
		return "", err
	}
	if msg.Means != "" && (o.End != delivery.Held || msg.Means == gate.MeansHeld) {
		return msg.Means, nil
	}
	p, err := s.people.Get(ctx, tx, msg.Person)
	if gone(err) {
		return msg.Means, nil
	}
	if err != nil {
		return "", err
	}
	given, err := s.given(ctx, tx, o.Message, p.ID)
	if gone(err) {
		return msg.Means, nil
	}
	if err != nil {
		return "", err
	}
	d, err := s.draft(ctx, tx, msg.Send, p, o.Message, given)
	if gone(err) {
		return msg.Means, nil
	}
	if err != nil {
		return "", err
	}
	d.end = o.End
	if d.carriage = carriage(o); d.carriage == gate.CarriageNone {
		d.item.Way = tlspolicy.Resolution{Domain: domainOf(d.to.Normal), Status: tlspolicy.Broken}
	}
	if err := s.decide(ctx, tx, d); err != nil {
		return "", err
	}
	return d.decision.Means, s.recordDecision(ctx, tx, d)
}

// given opens the caller's values of a message.
func (s *Sends) given(ctx context.Context, tx *store.Tx, m id.Message, person id.Person) (map[string]any, error) {
	in, err := inputs(ctx, tx, []delivery.Item{{Message: m}})
	if err != nil || len(in) == 0 {
		return nil, err
	}
	key, err := s.people.Key(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	return openValues(key, m, in[0].vars)
}

// gone tells that an error says of a record or its key that it is not there any more.
func gone(err error) bool { return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Sealed) }

// happened tells the person's events, which rules can ask for.
func (s *Sends) happened(ctx context.Context, tx *store.Tx, o delivery.Outcome) error {
	kind := map[delivery.End]string{delivery.Accepted: "email.accepted", delivery.Bounced: "email.bounced"}[o.End]
	if kind == "" || o.Person.IsZero() {
		return nil
	}
	e := people.Event{ID: id.New[id.Event](), Kind: kind, At: tx.Now, Source: people.SourceStaff, Key: o.Message.String(), Machine: true}
	if err := s.people.AddEvents(ctx, tx, o.Person, []people.Event{e}); !gone(err) {
		return err
	}
	return nil
}

// unproven suppresses the address that a receiver called gone. Only what is said of the recipient does that; a policy, a reputation or
// a full mailbox never does.
func (s *Sends) unproven(ctx context.Context, tx *store.Tx, o delivery.Outcome) error {
	if o.Class != bounce.HardBounce {
		return nil
	}
	if err := s.suppress(ctx, tx, o); !gone(err) {
		return err
	}
	return nil
}
