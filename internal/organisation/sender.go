package organisation

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// Sender is an identity that messages come from: one address, one class, one stream. A stream has its own reputation at receivers, so
// that what happens to the newsletter never delays a result.
type Sender struct {
	ID      id.SenderIdentity
	Domain  id.Domain
	State   State
	Class   Class
	Address string // local@domain, the domain in lower-case A-labels
	Name    string // what clients show
	ReplyTo string // empty: answers come back to the platform
	Stream  string // of the Feedback-ID: care, news, ...
}

// DomainName is the part of the address after the @.
func (s Sender) DomainName() string { return s.Address[strings.LastIndexByte(s.Address, '@')+1:] }

type senderRecord struct {
	Address string `json:"address"`
	Name    string `json:"name"`
	ReplyTo string `json:"reply_to,omitempty"`
	Stream  string `json:"stream"`
}

// AddSender makes a sender identity; its domain must be the organisation's. ID, Domain and State are filled in.
func (o *Organisations) AddSender(ctx context.Context, tx *store.Tx, s Sender) (Sender, error) {
	if err := s.check(); err != nil {
		return s, err
	}
	address, err := normalAddress(s.Address)
	if err != nil {
		return s, err
	}
	s.Address = address
	d, err := o.Domain(ctx, tx, s.DomainName())
	if err != nil {
		return s, err
	}
	s.ID, s.Domain, s.State = id.New[id.SenderIdentity](), d.ID, Active
	record, err := o.sealRecord(ctx, tx, "sender_identity", s.ID[:], senderRecord{s.Address, s.Name, s.ReplyTo, s.Stream})
	if err != nil {
		return s, err
	}
	if _, err := tx.Exec(ctx, insertSender, tx.Organisation(), s.ID, s.Domain, s.Class, s.State, record, store.Millis(tx.Now)); err != nil {
		return s, fmt.Errorf("make a sender identity: %w", err)
	}
	return s, o.note(ctx, tx, ledger.ActOrganisation, s.ID.UUID(), ledger.Detail{"change": "sender made", "class": s.Class.String()})
}

func (s Sender) check() error {
	switch {
	case s.Class != ClassTransactional && s.Class != ClassCommercial:
		return fault.New(fault.Invalid, "a sender has a mail class").At("class").Hint("transactional or commercial")
	case strings.TrimSpace(s.Name) == "" || len(s.Name) > 100 || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fault.New(fault.Invalid, "a sender has a name that recipients know, on one line").At("name")
	case s.Stream == "" || len(s.Stream) > 30 || strings.Trim(s.Stream, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fault.New(fault.Invalid, "a sender has a stream").At("stream").Hint("lower-case letters, digits and hyphens, as in care or news")
	}
	if s.ReplyTo != "" {
		if _, err := normalAddress(s.ReplyTo); err != nil {
			return err
		}
	}
	return nil
}

// normalAddress checks an address of ours, which is ASCII, and puts its domain into lower-case A-labels.
func normalAddress(text string) (string, error) {
	bad := fault.New(fault.Invalid, "not an address of a sender").At("address").Hint("write it as care@example.org")
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Name != "" || parsed.Address != text {
		return "", bad
	}
	at := strings.LastIndexByte(text, '@')
	local := text[:at]
	if len(local) > 64 || strings.Trim(local, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-") != "" {
		return "", bad
	}
	name, err := normalDomain(text[at+1:])
	if err != nil {
		return "", err
	}
	return local + "@" + name, nil
}

func normalDomain(name string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || CheckHost(ascii) != nil {
		return "", fault.New(fault.Invalid, "not a domain").At("domain").Hint("write it as example.org")
	}
	return ascii, nil
}

// Sender gives one sender identity.
func (o *Organisations) Sender(ctx context.Context, tx *store.Tx, sender id.SenderIdentity) (Sender, error) {
	s, sealed, err := scanSender(tx.QueryRow(ctx, selectSender, tx.Organisation(), sender))
	if errors.Is(err, errNoRows) {
		return s, fault.New(fault.NotFound, "there is no sender %s", sender)
	}
	if err != nil {
		return s, fmt.Errorf("read a sender identity: %w", err)
	}
	return o.openSender(ctx, tx, s, sealed)
}

// Senders lists the sender identities, closed ones too.
func (o *Organisations) Senders(ctx context.Context, tx *store.Tx) ([]Sender, error) {
	rows, err := tx.Query(ctx, selectSenders, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list sender identities: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Sender
	var sealed [][]byte
	for rows.Next() {
		s, record, err := scanSender(rows)
		if err != nil {
			return nil, fmt.Errorf("list sender identities: %w", err)
		}
		all, sealed = append(all, s), append(sealed, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sender identities: %w", err)
	}
	for i := range all {
		if all[i], err = o.openSender(ctx, tx, all[i], sealed[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// SenderFor gives the first active sender of a class: what a message without a named sender comes from.
func (o *Organisations) SenderFor(ctx context.Context, tx *store.Tx, c Class) (Sender, error) {
	all, err := o.Senders(ctx, tx)
	if err != nil {
		return Sender{}, err
	}
	for _, s := range all {
		if s.Class == c && s.State == Active {
			return s, nil
		}
	}
	return Sender{}, fault.New(fault.NotFound, "the organisation has no active sender for %s mail", c).Hint("carepost domain add makes a domain and its senders")
}

// CloseSender ends a sender identity; messages that name it are held.
func (o *Organisations) CloseSender(ctx context.Context, tx *store.Tx, sender id.SenderIdentity) error {
	n, err := tx.Exec(ctx, closeSender, Closed, store.Millis(tx.Now), tx.Organisation(), sender, Active)
	if err != nil {
		return fmt.Errorf("close a sender identity: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "there is no active sender %s", sender)
	}
	return o.note(ctx, tx, ledger.ActOrganisation, sender.UUID(), ledger.Detail{"change": "sender closed"})
}

type scanner interface{ Scan(dest ...any) error }

func scanSender(row scanner) (s Sender, record []byte, err error) {
	err = row.Scan(&s.ID, &s.Domain, &s.Class, &s.State, &record)
	return s, record, err
}

func (o *Organisations) openSender(ctx context.Context, tx *store.Tx, s Sender, sealed []byte) (Sender, error) {
	var r senderRecord
	if err := o.openRecord(ctx, tx, "sender_identity", s.ID[:], sealed, &r); err != nil {
		return s, err
	}
	s.Address, s.Name, s.ReplyTo, s.Stream = r.Address, r.Name, r.ReplyTo, r.Stream
	return s, nil
}

// Place is a location of the organisation: a clinic, a laboratory.
type Place struct {
	ID    id.Location
	State State
	Name  string
	Phone string
	Zone  string // IANA; empty is the organisation's
	Post  Postal
}

type placeRecord struct {
	Name  string `json:"name"`
	Phone string `json:"phone,omitempty"`
	Zone  string `json:"zone,omitempty"`
	Post  Postal `json:"postal"`
}

// AddLocation makes a location.
func (o *Organisations) AddLocation(ctx context.Context, tx *store.Tx, p Place) (id.Location, error) {
	if strings.TrimSpace(p.Name) == "" {
		return id.Location{}, fault.New(fault.Invalid, "a location has a name").At("name")
	}
	p.ID = id.New[id.Location]()
	record, err := o.sealRecord(ctx, tx, "location", p.ID[:], placeRecord{p.Name, p.Phone, p.Zone, p.Post})
	if err != nil {
		return p.ID, err
	}
	if _, err := tx.Exec(ctx, insertPlace, tx.Organisation(), p.ID, Active, record, store.Millis(tx.Now)); err != nil {
		return p.ID, fmt.Errorf("make a location: %w", err)
	}
	return p.ID, o.note(ctx, tx, ledger.ActOrganisation, p.ID.UUID(), ledger.Detail{"change": "location made"})
}

// Locations lists the locations.
func (o *Organisations) Locations(ctx context.Context, tx *store.Tx) ([]Place, error) {
	rows, err := tx.Query(ctx, selectPlaces, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list locations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Place
	var sealed [][]byte
	for rows.Next() {
		var p Place
		var record []byte
		if err := rows.Scan(&p.ID, &p.State, &record); err != nil {
			return nil, fmt.Errorf("list locations: %w", err)
		}
		all, sealed = append(all, p), append(sealed, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list locations: %w", err)
	}
	for i := range all {
		var r placeRecord
		if err := o.openRecord(ctx, tx, "location", all[i].ID[:], sealed[i], &r); err != nil {
			return nil, err
		}
		all[i].Name, all[i].Phone, all[i].Zone, all[i].Post = r.Name, r.Phone, r.Zone, r.Post
	}
	return all, nil
}
