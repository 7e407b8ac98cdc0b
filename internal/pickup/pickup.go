package pickup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// State is where a waiting message stands. The numbers are stored: append only.
type State uint8

// The states.
const (
	Waiting   State = 1
	Opened    State = 2
	Unread    State = 3 // the sender was told; the recipient may still open it
	Withdrawn State = 4 // by its sender; the content is gone
)

// Options are what Pickups needs.
type Options struct {
	Keys   *seal.Keys
	Ledger *ledger.Ledger
	// Base is the address of the patient pages, "https://care.example.org". It comes from the configuration, never from a request: a
	// forged Host header must not end up in anybody's mail.
	Base string
	// PersonKey gives a person's key.
	PersonKey func(ctx context.Context, tx *store.Tx, person id.Person) (seal.Key, error)
}

// Pickups keeps waiting messages. It is safe for use by many goroutines.
type Pickups struct{ o Options }

// Path is where the patient face shows a link's message.
const Path = "/m/"

// New makes the keeper of waiting messages.
func New(o Options) (*Pickups, error) {
	u, err := url.Parse(o.Base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, fault.New(fault.Invalid, "not the address of the patient pages").At("base").Hint("write it as https://care.example.org")
	}
	o.Base = strings.TrimSuffix(o.Base, "/")
	return &Pickups{o}, nil
}

// Waiter is a message to keep.
type Waiter struct {
	Message   id.Message
	Person    id.Person // zero: the recipient is no person, and the month's key seals the content
	Purpose   ledger.Purpose
	Content   Content
	Wait      time.Duration   // how long before the sender is told
	Reminders []time.Duration // after which the recipient is reminded, growing
}

// Create keeps a message. A message that is kept already, because its first notice was in doubt, keeps its place: the link of the
// second notice opens the same.
func (p *Pickups) Create(ctx context.Context, tx *store.Tx, w Waiter) (id.Pickup, error) {
	if err := w.check(); err != nil {
		return id.Pickup{}, err
	}
	var kept id.Pickup
	err := tx.QueryRow(ctx, selectByMessage, tx.Organisation(), w.Message).Scan(&kept)
	if err == nil {
		return kept, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return kept, fmt.Errorf("look for a waiting message: %w", err)
	}
	kept = id.New[id.Pickup]()
	key, err := p.key(ctx, tx, w.Person)
	if err != nil {
		return kept, err
	}
	sealed, err := key.Seal(cell(kept), w.Content.encode())
	if err != nil {
		return kept, fmt.Errorf("seal a waiting message: %w", err)
	}
	tell := tx.Now.Add(w.Wait)
	due := tell
	if len(w.Reminders) > 0 {
		due = tx.Now.Add(w.Reminders[0])
	}
	_, err = tx.Exec(ctx, insertPickup, tx.Organisation(), kept, w.Message, w.Person, Waiting, w.Purpose, sealed,
		store.Millis(tx.Now), store.Millis(due), store.Millis(tell), joinDurations(w.Reminders))
	if err != nil {
		return kept, fmt.Errorf("keep a waiting message: %w", err)
	}
	return kept, nil
}

func (w Waiter) check() error {
	switch {
	case w.Message.IsZero():
		return fault.New(fault.Internal, "a waiting message belongs to a message")
	case !w.Purpose.Known():
		return fault.New(fault.Internal, "a waiting message has a purpose")
	case w.Wait < time.Hour:
		return fault.New(fault.Internal, "a message waits an hour at least")
	}
	last := time.Duration(0)
	for _, r := range w.Reminders {
		if r <= last || r >= w.Wait {
			return fault.New(fault.Internal, "reminders grow and end before the sender is told")
		}
		last = r
	}
	return nil
}

// key gives what seals the content: the person's own key, so that shredding the person shreds it.
func (p *Pickups) key(ctx context.Context, tx *store.Tx, person id.Person) (seal.Key, error) {
	if person.IsZero() {
		return p.o.Keys.Month(ctx, tx, seal.PurposeMessage)
	}
	key, err := p.o.PersonKey(ctx, tx, person)
	if err != nil {
		return key, fmt.Errorf("key of the recipient %s: %w", person, err)
	}
	return key, nil
}

// Link gives the address that a notice carries. It holds an opaque token only; two links of one message differ, and both open it.
func (p *Pickups) Link(org id.Organisation, kept id.Pickup) string {
	return p.o.Base + Path + p.o.Keys.MintToken(seal.TokenPickup, org, kept.UUID(), nil)
}

// Token reads a link's token: whose it is, so that the caller can begin a transaction there. It proves nothing about the holder.
func (p *Pickups) Token(token string) (id.Organisation, id.Pickup, error) {
	org, object, _, err := p.o.Keys.OpenToken(seal.TokenPickup, token)
	return org, id.Pickup(object), err
}

// Status is what may be shown before anybody asked to read: nothing of the content.
type Status struct {
	ID      id.Pickup
	Message id.Message
	Person  id.Person
	State   State
	Purpose ledger.Purpose
	MadeAt  time.Time
	ReadAt  time.Time // first; zero is never
	SeenAt  time.Time // last
	Opens   int
}

// Look gives a message's status by its link's token. It changes nothing and may run in a read.
func (p *Pickups) Look(ctx context.Context, tx *store.Tx, token string) (Status, error) {
	org, kept, err := p.Token(token)
	if err != nil {
		return Status{}, err
	}
	if org != tx.Organisation() {
		return Status{}, errUnknown
	}
	return p.Get(ctx, tx, kept)
}

var errUnknown = fault.New(fault.NotFound, "no message waits under this link").Hint("ask the sender to send it again")

// Get gives a message's status by its id.
func (p *Pickups) Get(ctx context.Context, tx *store.Tx, kept id.Pickup) (Status, error) {
	s := Status{ID: kept}
	var made, opened, seen int64
	err := tx.QueryRow(ctx, selectStatus, tx.Organisation(), kept).Scan(&s.Message, &s.Person, &s.State, &s.Purpose, &made, &opened, &seen, &s.Opens)
	if errors.Is(err, sql.ErrNoRows) {
		return s, errUnknown
	}
	if err != nil {
		return s, fmt.Errorf("read a waiting message: %w", err)
	}
	s.MadeAt, s.ReadAt, s.SeenAt = store.Time(made), store.Time(opened), store.Time(seen)
	return s, nil
}

// OfMessage gives the status of the waiting form of a message; fault.NotFound when it has none.
func (p *Pickups) OfMessage(ctx context.Context, tx *store.Tx, m id.Message) (Status, error) {
	var kept id.Pickup
	err := tx.QueryRow(ctx, selectByMessage, tx.Organisation(), m).Scan(&kept)
	if errors.Is(err, sql.ErrNoRows) {
		return Status{}, fault.New(fault.NotFound, "the message does not wait here")
	}
	if err != nil {
		return Status{}, fmt.Errorf("look for a waiting message: %w", err)
	}
	return p.Get(ctx, tx, kept)
}

// Open gives the content to the holder of a link and records it: the first time the message is read, and every view. The caller asked
// the holder for what the organisation's rule asks for, and calls this for a deliberate request only, never for a GET.
func (p *Pickups) Open(ctx context.Context, tx *store.Tx, token string) (Status, Content, error) {
	s, err := p.Look(ctx, tx, token)
	if err != nil {
		return s, Content{}, err
	}
	if s.State == Withdrawn {
		return s, Content{}, fault.New(fault.NotFound, "the sender took the message back").Hint("ask the sender")
	}
	var sealed []byte
	if err := tx.QueryRow(ctx, selectContent, tx.Organisation(), s.ID).Scan(&sealed); err != nil {
		return s, Content{}, fmt.Errorf("read a waiting message: %w", err)
	}
	plain, key, err := p.unseal(ctx, tx, s, sealed)
	if err != nil {
		return s, Content{}, err
	}
	content, err := decodeContent(plain)
	if err != nil {
		return s, content, err
	}
	now := store.Millis(tx.Now)
	if _, err := tx.Exec(ctx, markOpened, Opened, now, now, tx.Organisation(), s.ID); err != nil {
		return s, content, fmt.Errorf("mark a waiting message as read: %w", err)
	}
	err = p.o.Ledger.Append(ctx, tx, ledger.Entry{
		Act: ledger.ActPickup, Purpose: s.Purpose, Subject: s.Person, Object: s.Message.UUID(),
		Detail: ledger.Detail{"pickup": s.ID.String(), "open": strconv.Itoa(s.Opens + 1)},
	}, key)
	if s.ReadAt.IsZero() {
		s.ReadAt = tx.Now
	}
	s.State, s.SeenAt, s.Opens = Opened, tx.Now, s.Opens+1
	return s, content, err
}

// unseal gives the content and the key that the ledger entry's detail is sealed under.
func (p *Pickups) unseal(ctx context.Context, tx *store.Tx, s Status, sealed []byte) ([]byte, seal.Key, error) {
	if s.Person.IsZero() {
		plain, err := p.o.Keys.Open(ctx, tx, cell(s.ID), sealed)
		if err != nil {
			return nil, seal.Key{}, fmt.Errorf("open waiting message %s: %w", s.ID, err)
		}
		key, err := p.o.Keys.Month(ctx, tx, seal.PurposeLedger)
		return plain, key, err
	}
	key, err := p.key(ctx, tx, s.Person)
	if err != nil {
		return nil, key, err
	}
	plain, err := key.Open(cell(s.ID), sealed)
	if err != nil {
		return nil, key, fmt.Errorf("open waiting message %s: %w", s.ID, err)
	}
	return plain, key, nil
}

// Withdraw takes a message back that nobody opened yet; its content is gone at once.
func (p *Pickups) Withdraw(ctx context.Context, tx *store.Tx, kept id.Pickup) error {
	s, err := p.Get(ctx, tx, kept)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, withdrawPickup, Withdrawn, tx.Organisation(), kept, Waiting, Unread)
	if err != nil {
		return fmt.Errorf("withdraw a waiting message: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the message was read or withdrawn before")
	}
	key, err := p.key(ctx, tx, s.Person)
	if err != nil {
		return err
	}
	return p.o.Ledger.Append(ctx, tx, ledger.Entry{
		Act: ledger.ActChange, Purpose: s.Purpose, Subject: s.Person, Object: s.Message.UUID(), Detail: ledger.Detail{"change": "waiting message withdrawn", "pickup": kept.String()},
	}, key)
}

func cell(kept id.Pickup) seal.Cell {
	return seal.Cell{Table: "pickup", Column: "content", Row: kept[:]}
}

func joinDurations(all []time.Duration) string {
	parts := make([]string, len(all))
	for i, d := range all {
		parts[i] = strconv.FormatInt(d.Milliseconds(), 10)
	}
	return strings.Join(parts, ",")
}

func splitDurations(text string) ([]time.Duration, error) {
	if text == "" {
		return nil, nil
	}
	var all []time.Duration
	for part := range strings.SplitSeq(text, ",") {
		ms, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the reminders of a waiting message cannot be read")
		}
		all = append(all, time.Duration(ms)*time.Millisecond)
	}
	return all, nil
}
