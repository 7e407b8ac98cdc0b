package send

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Filter picks messages, newest first. The zero value picks all.
type Filter struct {
	State  State
	Send   id.Send
	Person id.Person
	Before id.Message // zero: from the newest
	Limit  int        // 0: 100; at most 1000
}

// Get gives one send with its counts.
func (s *Sends) Get(ctx context.Context, tx *store.Tx, sid id.Send) (Send, error) {
	r, made, err := s.stored(ctx, tx, sid)
	if err != nil {
		return Send{}, err
	}
	out := Send{ID: sid, Request: r, MadeAt: made, States: map[State]int64{}, Means: map[gate.Means]int64{}}
	rows, err := tx.Query(ctx, countStates, tx.Organisation(), sid)
	if err != nil {
		return out, fmt.Errorf("count the messages of %s: %w", sid, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	for rows.Next() {
		var state State
		var means gate.Means
		var deferred, n int64
		if err := rows.Scan(&state, &means, &deferred, &n); err != nil {
			return out, fmt.Errorf("count the messages of %s: %w", sid, err)
		}
		out.States[state] += n
		out.Total += n
		if means != "" {
			out.Means[means] += n
		}
		if state == Accepted && deferred == 1 {
			out.Deferred += n
		}
	}
	return out, rows.Err()
}

// List gives the newest sends before one.
func (s *Sends) List(ctx context.Context, tx *store.Tx, before id.Send, limit int) ([]Send, error) {
	if before.IsZero() {
		before = id.Send{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	ids, err := column[id.Send](ctx, tx, selectSends, tx.Organisation(), before, bounded(limit))
	if err != nil {
		return nil, err
	}
	var all []Send
	for _, sid := range ids {
		one, err := s.Get(ctx, tx, sid)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Page is how many messages a page of the filter holds at most.
func (f Filter) Page() int { return bounded(f.Limit) }

// Messages gives a page of messages, without their decisions.
func (s *Sends) Messages(ctx context.Context, tx *store.Tx, f Filter) ([]Message, error) {
	before := f.Before
	if before.IsZero() {
		before = id.Message{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	rows, err := tx.Query(ctx, selectMessages, tx.Organisation(), f.State, f.State, !f.Send.IsZero(), f.Send, !f.Person.IsZero(), f.Person, before, f.Page())
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Message
	for rows.Next() {
		var m Message
		if err := rows.Scan(&m.ID, &m.Send, &m.Person, &m.State, &m.Means); err != nil {
			return nil, fmt.Errorf("list messages: %w", err)
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// Message gives one message with every decision on it.
func (s *Sends) Message(ctx context.Context, tx *store.Tx, m id.Message) (Message, error) {
	out := Message{ID: m}
	var made, decided, done int64
	err := tx.QueryRow(ctx, selectMessage, tx.Organisation(), m).
		Scan(&out.Send, &out.Person, &out.State, &out.Means, &out.Attempts, &out.Deferred, &made, &decided, &done)
	if err != nil {
		return out, missing(err, "there is no such message")
	}
	out.MadeAt, out.DecidedAt, out.DoneAt = store.Time(made), store.Time(decided), store.Time(done)
	sealed, err := decisionRows(ctx, tx, m)
	if err != nil || len(sealed) == 0 {
		return out, err
	}
	key, err := s.people.Key(ctx, tx, out.Person)
	if err != nil {
		return out, err
	}
	for _, d := range sealed {
		raw, err := key.Open(decisionCell(m, d.Number), d.sealed)
		if err != nil {
			return out, fmt.Errorf("open decision %d on %s: %w", d.Number, m, err)
		}
		var about decidedAbout
		if err := json.Unmarshal(raw, &about); err != nil {
			return out, fmt.Errorf("read decision %d on %s: %w", d.Number, m, err)
		}
		d.Decision, d.To = about.Decision, about.To
		out.Decisions = append(out.Decisions, d.Decided)
	}
	return out, nil
}

type sealedDecision struct {
	Decided
	sealed []byte
}

func decisionRows(ctx context.Context, tx *store.Tx, m id.Message) ([]sealedDecision, error) {
	rows, err := tx.Query(ctx, selectDecision, tx.Organisation(), m)
	if err != nil {
		return nil, fmt.Errorf("read the decisions on %s: %w", m, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []sealedDecision
	for rows.Next() {
		var d sealedDecision
		var at int64
		if err := rows.Scan(&d.Number, &at, &d.sealed); err != nil {
			return nil, fmt.Errorf("read the decisions on %s: %w", m, err)
		}
		d.At = store.Time(at)
		all = append(all, d)
	}
	return all, rows.Err()
}

func bounded(limit int) int {
	const usual, most = 100, 1000
	if limit <= 0 {
		return usual
	}
	return min(limit, most)
}

func column[T ~[16]byte](ctx context.Context, tx *store.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []T
	for rows.Next() {
		var u id.UUID
		if err := rows.Scan(&u); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		all = append(all, T(u))
	}
	return all, rows.Err()
}

func missing(err error, text string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "%s", text)
	}
	return err
}
