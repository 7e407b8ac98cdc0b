package send

import (
	"context"
	"fmt"
	"time"

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
	standing, err := s.standing(ctx, tx, outcomes)
	if err != nil {
		return err
	}
	var deferred, ended [][]any
	events := map[id.Person][]people.Event{}
	for _, o := range outcomes {
		if o.End == delivery.Deferred {
			deferred = append(deferred, []any{o.Attempt, tx.Organisation(), o.Message})
			continue
		}
		state, err := s.endOf(ctx, tx, o, standing[o.Message])
		if err != nil {
			return err
		}
		ended = append(ended, []any{state, o.Attempt, store.Millis(tx.Now), tx.Organisation(), o.Message})
		if e, ok := happened(o, tx.Now); ok {
			events[o.Person] = append(events[o.Person], e)
		}
	}
	if _, err := tx.ExecEach(ctx, deferMessage, deferred); err != nil {
		return fmt.Errorf("note that messages were put off: %w", err)
	}
	if _, err := tx.ExecEach(ctx, endMessage, ended); err != nil {
		return fmt.Errorf("end messages: %w", err)
	}
	for _, o := range outcomes {
		if o.End != delivery.Deferred && o.Suppress && !o.Person.IsZero() {
			if err := s.unproven(ctx, tx, o); err != nil {
				return err
			}
		}
	}
	return s.happenAll(ctx, tx, events)
}

// stand is what was decided on a message so far.
type stand struct {
	there  bool
	means  gate.Means
	number int
}

// standing reads what was decided on the messages that ended.
func (s *Sends) standing(ctx context.Context, tx *store.Tx, outcomes []delivery.Outcome) (map[id.Message]stand, error) {
	var ids []id.Message
	for _, o := range outcomes {
		if o.End != delivery.Deferred {
			ids = append(ids, o.Message)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, selectMeans, tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return nil, fmt.Errorf("read what was decided: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	all := make(map[id.Message]stand, len(ids))
	for rows.Next() {
		var m id.Message
		st := stand{there: true}
		if err := rows.Scan(&m, &st.means, &st.number); err != nil {
			return nil, fmt.Errorf("read what was decided: %w", err)
		}
		all[m] = st
	}
	return all, rows.Err()
}

// endOf gives where a message stands that ended. One that ended before it was ever prepared is decided on now, and so is one that its queue
// holds for what it found since: no message ends without a decision that says why.
func (s *Sends) endOf(ctx context.Context, tx *store.Tx, o delivery.Outcome, st stand) (State, error) {
	means := st.means
	if st.there && (means == "" || o.End == delivery.Held && means != gate.MeansHeld) {
		var err error
		if means, err = s.undecided(ctx, tx, o, st); err != nil {
			return 0, err
		}
	}
	if means == gate.MeansRefused {
		return Refused, nil
	}
	return ends[o.End], nil
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

// undecided has the gate decide on a message that the queue ended.
func (s *Sends) undecided(ctx context.Context, tx *store.Tx, o delivery.Outcome, st stand) (gate.Means, error) {
	msg, err := s.Message(ctx, tx, o.Message)
	if gone(err) {
		return st.means, nil // the row or the person is destroyed: nothing is left to decide on, and nothing to seal it with
	}
	if err != nil {
		return "", err
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
	d.end, d.number = o.End, st.number
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

// happened gives the person's event, which rules can ask for.
func happened(o delivery.Outcome, now time.Time) (people.Event, bool) {
	kind := map[delivery.End]string{delivery.Accepted: "email.accepted", delivery.Bounced: "email.bounced"}[o.End]
	if kind == "" || o.Person.IsZero() {
		return people.Event{}, false
	}
	return people.Event{ID: id.New[id.Event](), Kind: kind, At: now, Source: people.SourceStaff, Key: o.Message.String(), Machine: true}, true
}

// happenAll tells people's events; when one of them is gone, of the others one by one.
func (s *Sends) happenAll(ctx context.Context, tx *store.Tx, events map[id.Person][]people.Event) error {
	if len(events) == 0 {
		return nil
	}
	err := s.people.AddEventsAll(ctx, tx, events)
	if !gone(err) {
		return err
	}
	for p, list := range events {
		if err := s.people.AddEvents(ctx, tx, p, list); err != nil && !gone(err) {
			return err
		}
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
