package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// States of a row. The numbers stand in the table.
const (
	stateRouting = 0
	stateReady   = 1
	stateSending = 2
	stateDone    = 3
)

// row is a row of the table as the engine works on it.
type row struct {
	org       id.Organisation
	message   id.Message
	person    id.Person
	purpose   ledger.Purpose
	kind      Kind
	priority  Priority
	source    uint8
	size      int
	lane      int64
	submitted time.Time
	due       time.Time
	expires   time.Time
	attempt   int
	doubt     int
	lease     int64
	intent    bool
	failure   tlspolicy.Failure
	reason    string
	sealed    []byte // domain
	domain    string
	frozen    []byte

	doubtsBefore int // in lives before a person released it
}

func (k Kind) priority() Priority {
	switch k {
	case Code:
		return PriorityCode
	case Care, Service:
		return PriorityCare
	case Marketing:
	}
	return PriorityMarketing
}

// Enqueue writes a message's row in the caller's transaction; it asks no network. Its organisation is the transaction's.
func (e *Engine) Enqueue(ctx context.Context, tx *store.Tx, r Row) error {
	return e.EnqueueAll(ctx, tx, []Row{r})
}

// EnqueueAll writes the rows of several messages.
func (e *Engine) EnqueueAll(ctx context.Context, tx *store.Tx, all []Row) error {
	if len(all) == 0 {
		return nil
	}
	rows := make([][]any, len(all))
	told := map[hint]bool{}
	unrouted := map[Priority]bool{}
	for i := range all {
		args, h, err := e.enqueued(ctx, tx, all[i])
		if err != nil {
			return err
		}
		rows[i] = args
		if h.lane != 0 {
			told[h] = true
		} else if !h.due.After(tx.Now) {
			unrouted[h.priority] = true
		}
	}
	if _, err := tx.ExecEach(ctx, sqlEnqueue, rows); err != nil {
		return fmt.Errorf("enqueue message %s and those behind it: %w", all[0].Message, err)
	}
	tx.OnCommit(func() {
		for h := range told {
			e.tell(h)
		}
		if len(unrouted) > 0 {
			e.wakeRouter()
		}
	})
	return nil
}

// enqueued gives the arguments of a row, and the hint to give once it is there; a hint without a lane is the router's.
func (e *Engine) enqueued(ctx context.Context, tx *store.Tx, r Row) (args []any, h hint, err error) {
	if r.Kind < Care || r.Kind > Marketing || r.Message.IsZero() || r.Domain == "" {
		return nil, h, fault.New(fault.Internal, "a message to deliver lacks its id, kind or domain")
	}
	due, expires := r.Due, r.Expires
	if due.IsZero() {
		due = tx.Now
	}
	if expires.IsZero() {
		expires = due.Add(e.s.life(r.Kind))
	}
	if r.Priority == 0 {
		r.Priority = r.Kind.priority()
	}
	sealed, err := e.o.Keys.Seal(ctx, tx, seal.PurposeMessage, domainCell(r.Message), []byte(r.Domain))
	if err != nil {
		return nil, h, err
	}
	h = hint{stream{0, r.Priority, tx.Organisation()}, due}
	state := stateRouting
	if group, ok := e.o.Ways.KnownGroup(tx.Organisation(), r.Domain); ok {
		if n, ok := e.knownLane(r.Source, group); ok {
			state, h.lane = stateReady, n
		}
	}
	return []any{
		tx.Organisation(), r.Message, r.Person, int64(r.Purpose), int64(r.Kind), int64(r.Priority), int64(r.Source), r.Size, state,
		h.lane, store.Millis(tx.Now), store.Millis(due), store.Millis(expires), sealed,
	}, h, nil
}

// Cancel ends a message that waits. One that is being sent, or has ended, is a fault.Conflict.
func (e *Engine) Cancel(ctx context.Context, tx *store.Tx, m id.Message, reason string) error {
	n, err := tx.Exec(ctx, sqlCancel, int64(Cancelled), reason, store.Millis(tx.Now), tx.Organisation(), m)
	if err != nil {
		return fmt.Errorf("cancel message %s: %w", m, err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the message is being sent or has ended").At("%s", m)
	}
	return nil
}

// Reopen puts a held message back, with a life as of now: a person has decided that it may be tried again, at a domain that may be
// another than before. Prepare decides anew.
func (e *Engine) Reopen(ctx context.Context, tx *store.Tx, m id.Message, domain string) error {
	s, err := e.Status(ctx, tx, m)
	if err != nil {
		return err
	}
	expires := tx.Now.Add(e.s.life(s.Kind))
	sealed, err := e.o.Keys.Seal(ctx, tx, seal.PurposeMessage, domainCell(m), []byte(domain))
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, sqlReopen, sealed, store.Millis(tx.Now), store.Millis(expires), tx.Organisation(), m, int64(Held))
	if err != nil {
		return fmt.Errorf("reopen message %s: %w", m, err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the message is not held").At("%s", m)
	}
	tx.OnCommit(e.wakeRouter)
	return nil
}

// Status is what is known of a message's delivery.
type Status struct {
	State     string // routing, ready, redecide, sending, done
	End       End    // when done
	Reason    string
	Kind      Kind
	Submitted time.Time
	Due       time.Time // of the next attempt
	Expires   time.Time
	Done      time.Time
	Attempts  int
	Doubts    int // attempts of which nobody knows whether they arrived
	Failure   tlspolicy.Failure
	Class     string // of the last refusal
	Code      int
	Enhanced  string
	Proof     tlspolicy.Proof // by which it was accepted
	TLS       string
	Reply     string // the receiver's words; may quote the address
}

// Status reads what is known of a message's delivery.
func (e *Engine) Status(ctx context.Context, tx *store.Tx, m id.Message) (Status, error) {
	var s Status
	var state int
	var ending, kind, submitted, due, expires, done, intent int64
	var sealed []byte
	err := tx.QueryRow(ctx, sqlStatus, tx.Organisation(), m).Scan(&state, &ending, &s.Reason, &kind, &submitted, &due, &expires, &done, &s.Attempts, &s.Doubts,
		&intent, &s.Failure, &s.Class, &s.Code, &s.Enhanced, &s.Proof, &s.TLS, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fault.New(fault.NotFound, "no such message in the queue").At("%s", m)
	}
	if err != nil {
		return s, fmt.Errorf("read message %s: %w", m, err)
	}
	s.End, s.Kind = End(ending), Kind(kind)
	s.Submitted, s.Due, s.Expires, s.Done = store.Time(submitted), store.Time(due), store.Time(expires), store.Time(done)
	s.State = [...]string{"routing", "ready", "sending", "done"}[state&3]
	if state == stateReady && s.Failure != tlspolicy.FailureNone {
		s.State = "redecide"
	}
	if len(sealed) > 0 {
		plain, err := e.o.Keys.Open(ctx, tx, replyCell(m), sealed)
		if err != nil && !fault.Is(err, fault.Sealed) {
			return s, err
		}
		s.Reply = string(plain)
	}
	return s, nil
}

// Counts are an organisation's rows by state and end.
type Counts struct {
	Routing, Ready, Sending int
	Ended                   map[End]int
	Doubts                  int // attempts of which nobody knows whether they arrived
}

// Counts counts the organisation's rows.
func (e *Engine) Counts(ctx context.Context, tx *store.Tx) (Counts, error) {
	c := Counts{Ended: map[End]int{}}
	rows, err := tx.Query(ctx, sqlCounts, tx.Organisation())
	if err != nil {
		return c, fmt.Errorf("count messages: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	for rows.Next() {
		var state, n, doubts int
		var ending uint8
		if err := rows.Scan(&state, &ending, &n, &doubts); err != nil {
			return c, fmt.Errorf("count messages: %w", err)
		}
		c.Doubts += doubts
		switch state {
		case stateRouting:
			c.Routing += n
		case stateReady:
			c.Ready += n
		case stateSending:
			c.Sending += n
		case stateDone:
			c.Ended[End(ending)] += n
		}
	}
	return c, rows.Err()
}

// dialFrom connects from a local address. Names that DNS gave do not lead to this machine; an operator's route may.
func dialFrom(local string, routed bool) smtpclient.DialFunc {
	if routed || local != "" {
		d := net.Dialer{Control: nil}
		if local != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
		}
		if !routed {
			d.Control = tlspolicy.PublicOnly
		}
		return d.DialContext
	}
	return tlspolicy.PublicDial
}
