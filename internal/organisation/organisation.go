package organisation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// State is the state of an organisation, location, domain or sender. The numbers are stored: append only.
type State uint8

// The states.
const (
	Active State = 1
	Closed State = 2 // kept for the records that name it; nothing is sent from it
)

// Organisation is one covered entity or business associate that sends.
type Organisation struct {
	Number  id.Organisation
	Host    string // of patient pages and links
	State   State
	Version int64
	MadeAt  time.Time
	Profile Profile
}

// Profile is what an organisation says of itself. It is sealed.
type Profile struct {
	Name      string   `json:"name"`      // legal name
	Display   string   `json:"display"`   // the name patients know; stands in notices
	Zone      string   `json:"zone"`      // IANA
	Languages []string `json:"languages"` // BCP 47, the first is the default
	Phone     string   `json:"phone,omitempty"`
	Postal    Postal   `json:"postal"`
	Hosts     []string `json:"hosts,omitempty"` // further hosts of its own, which links may go to
	Theme     []byte   `json:"theme,omitempty"` // colours of messages and pages, as compose reads them
}

// Postal is a postal address in the sense of 16 CFR 316.2(p): a street address, a post office box or a private mailbox.
type Postal struct {
	Lines      []string `json:"lines"`
	City       string   `json:"city"`
	State      string   `json:"state,omitempty"`
	PostalCode string   `json:"postal_code,omitempty"`
	Country    string   `json:"country"` // ISO 3166-1 alpha-2
}

// IsZero tells whether there is no address.
func (p Postal) IsZero() bool { return len(p.Lines) == 0 && p.City == "" }

// Text gives the lines as they stand below a message.
func (p Postal) Text() []string {
	if p.IsZero() {
		return nil
	}
	town := p.City
	if p.State != "" {
		town += ", " + p.State
	}
	if p.PostalCode != "" {
		town += " " + p.PostalCode
	}
	out := append(slices.Clone(p.Lines), town)
	if p.Country != "US" {
		out = append(out, p.Country)
	}
	return out
}

// Location gives the time zone.
func (p Profile) Location() (*time.Location, error) { return time.LoadLocation(p.Zone) }

// Check tells what is wrong with a profile.
func (p Profile) Check() error {
	switch {
	case strings.TrimSpace(p.Name) == "" || len(p.Name) > 200:
		return fault.New(fault.Invalid, "an organisation has a name").At("name")
	case strings.TrimSpace(p.Display) == "" || len(p.Display) > 100 || strings.ContainsAny(p.Display, "\r\n\x00"):
		return fault.New(fault.Invalid, "an organisation has a name that patients know").At("display")
	case len(p.Languages) == 0:
		return fault.New(fault.Invalid, "an organisation has a language").At("languages").Hint("write en, es or another BCP 47 tag")
	}
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "" || p.Zone == "Local" {
		return fault.New(fault.Invalid, "not a time zone").At("zone").Hint("an IANA name, as in America/Chicago")
	}
	for _, l := range p.Languages {
		if tag, err := language.Parse(l); err != nil || tag == language.Und {
			return fault.New(fault.Invalid, "not a language").At("languages").Hint("a BCP 47 tag, as in en or es")
		}
	}
	for _, h := range p.Hosts {
		if err := CheckHost(h); err != nil {
			return err
		}
	}
	if !p.Postal.IsZero() && (p.Postal.City == "" || len(p.Postal.Lines) == 0 || len(p.Postal.Lines) > 4 || len(p.Postal.Country) != 2) {
		return fault.New(fault.Invalid, "not a whole postal address").At("postal").Hint("give 1 to 4 lines, a city and a country of two letters")
	}
	return nil
}

// CheckHost wants a lower-case name of labels, as DNS and certificates have it.
func CheckHost(h string) error {
	bad := fault.New(fault.Invalid, "not a host name").At("host").Hint("lower-case letters, digits, dots and hyphens, as in care.example.org")
	if len(h) > 253 || !strings.Contains(h, ".") {
		return bad
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return bad
		}
	}
	return nil
}

// Organisations keeps organisations and their settings. It is safe for use by many goroutines.
type Organisations struct {
	store  *store.Store
	keys   *seal.Keys
	ledger *ledger.Ledger

	mu       sync.Mutex
	profiles map[id.Organisation]versioned[Profile]
	policies map[id.Organisation]versioned[Policy]
	signers  map[keyRow]Signer
}

// versioned is a record in hand, and the version of the row it came from: a look at the version's column finds out a newer one,
// whichever node wrote it.
type versioned[T any] struct {
	version int64
	value   T
}

// New makes the keeper of organisations.
func New(st *store.Store, keys *seal.Keys, led *ledger.Ledger) *Organisations {
	return &Organisations{
		store: st, keys: keys, ledger: led,
		profiles: map[id.Organisation]versioned[Profile]{}, policies: map[id.Organisation]versioned[Policy]{}, signers: map[keyRow]Signer{},
	}
}

// Create makes an organisation with the next number and the default policy. It writes twice: the number in the installation's scope,
// then the organisation in its own, so that its keys are its own from the first byte. A number whose second step fails is not used again.
func (o *Organisations) Create(ctx context.Context, by id.Actor, host string, p Profile) (id.Organisation, error) {
	if err := CheckHost(host); err != nil {
		return 0, err
	}
	if err := p.Check(); err != nil {
		return 0, err
	}
	var number id.Organisation
	err := o.store.Write(ctx, id.Scope{Actor: by}, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, nextNumber, tx.Organisation()).Scan(&number)
	})
	if err != nil {
		return 0, fmt.Errorf("give an organisation its number: %w", err)
	}
	err = o.store.Write(ctx, id.Scope{Organisation: number, Actor: by}, func(ctx context.Context, tx *store.Tx) error {
		record, err := o.sealRecord(ctx, tx, "organisation", nil, p)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, insertOrganisation, number, host, Active, record, store.Millis(tx.Now), store.Millis(tx.Now))
		if err != nil {
			return fmt.Errorf("make an organisation: %w", err)
		}
		if n == 0 {
			return fault.New(fault.Conflict, "another organisation has this host name").At("host")
		}
		if _, err := o.SetPolicy(ctx, tx, DefaultPolicy()); err != nil {
			return err
		}
		return o.note(ctx, tx, ledger.ActOrganisation, id.UUID{}, ledger.Detail{"change": "organisation made"})
	})
	return number, err
}

// Get gives the transaction's organisation.
func (o *Organisations) Get(ctx context.Context, tx *store.Tx) (Organisation, error) {
	org := Organisation{Number: tx.Organisation()}
	var made int64
	err := tx.QueryRow(ctx, selectOrganisation, tx.Organisation()).Scan(&org.Host, &org.State, &org.Version, &made)
	if errors.Is(err, errNoRows) {
		return org, fault.New(fault.NotFound, "there is no organisation %s", tx.Organisation()).Hint("carepost init makes one")
	}
	if err != nil {
		return org, fmt.Errorf("read an organisation: %w", err)
	}
	org.MadeAt = store.Time(made)
	org.Profile, err = remembered(o, tx, o.profiles, org.Version, func() (p Profile, err error) {
		var record []byte
		if err := tx.QueryRow(ctx, selectProfile, tx.Organisation()).Scan(&record); err != nil {
			return p, fmt.Errorf("read an organisation: %w", err)
		}
		return p, o.openRecord(ctx, tx, "organisation", nil, record, &p)
	})
	return org, err
}

// SetProfile changes what an organisation says of itself. version is the one that the caller read.
func (o *Organisations) SetProfile(ctx context.Context, tx *store.Tx, p Profile, version int64) error {
	if err := p.Check(); err != nil {
		return err
	}
	record, err := o.sealRecord(ctx, tx, "organisation", nil, p)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, updateProfile, record, store.Millis(tx.Now), tx.Organisation(), version)
	if err != nil {
		return fmt.Errorf("change an organisation: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the organisation was changed in the meantime").Hint("read it again and change that")
	}
	return o.note(ctx, tx, ledger.ActOrganisation, id.UUID{}, ledger.Detail{"change": "profile"})
}

// Summary is what the installation knows of an organisation without opening anything.
type Summary struct {
	Number id.Organisation
	Host   string
	State  State
}

// All lists the organisations; in the installation's scope.
func (o *Organisations) All(ctx context.Context, tx *store.Tx) ([]Summary, error) {
	if tx.Organisation() != id.Installation {
		return nil, fault.New(fault.Internal, "organisations are listed in the installation's scope")
	}
	rows, err := tx.Query(ctx, selectAll)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Summary
	for rows.Next() {
		var s Summary
		if err := rows.Scan(&s.Number, &s.Host, &s.State); err != nil {
			return nil, fmt.Errorf("list organisations: %w", err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// remembered gives the record in hand when it is of the version, else reads it. What was read is kept after the commit only: a version
// that is rolled back may come again with another content.
func remembered[T any](o *Organisations, tx *store.Tx, cache map[id.Organisation]versioned[T], version int64, read func() (T, error)) (T, error) {
	org := tx.Organisation()
	o.mu.Lock()
	have, ok := cache[org]
	o.mu.Unlock()
	if ok && have.version == version {
		return have.value, nil
	}
	value, err := read()
	if err == nil {
		tx.OnCommit(func() {
			o.mu.Lock()
			cache[org] = versioned[T]{version, value}
			o.mu.Unlock()
		})
	}
	return value, err
}
