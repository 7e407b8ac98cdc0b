package organisation

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Algorithm is a DKIM signature algorithm. The numbers are stored: append only.
type Algorithm uint8

// The algorithms: every message carries both signatures.
const (
	RSA     Algorithm = 1 // rsa-sha256: RFC 6376 3.3, RFC 8301 3.2
	Ed25519 Algorithm = 2 // ed25519-sha256: RFC 8463
)

// String gives the name that the k= tag has.
func (a Algorithm) String() string {
	if a == Ed25519 {
		return "ed25519"
	}
	return "rsa"
}

const (
	rsaBits = 2048
	// rotateAfter is half a year: a key that leaks is of use for so long at most.
	rotateAfter = 182 * 24 * time.Hour
	// linger is how long an old key's record stays published: mail in queues is verified late.
	linger = 14 * 24 * time.Hour
)

// NewKey is a key that no row holds yet. It prints nothing of itself.
type NewKey struct {
	Selector  string
	Algorithm Algorithm
	private   crypto.Signer
}

// String prints no key.
func (NewKey) String() string { return "[sealed]" }

// GoString prints no key.
func (NewKey) GoString() string { return "[sealed]" }

// Format prints no key, whatever the verb.
func (NewKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[sealed]")) }

// LogValue logs no key.
func (NewKey) LogValue() slog.Value { return slog.StringValue("[sealed]") }

// NewKeys makes a pair of keys, RSA-2048 and Ed25519. Their selectors carry the month and are never used twice.
func NewKeys(now time.Time) ([]NewKey, error) {
	r, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("make a DKIM key: %w", err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a DKIM key: %w", err)
	}
	suffix := make([]byte, 2)
	if _, err := rand.Read(suffix); err != nil {
		return nil, fmt.Errorf("make a DKIM key: %w", err)
	}
	stem := "cp" + now.UTC().Format("0601") + hex.EncodeToString(suffix)
	return []NewKey{{stem + "r", RSA, r}, {stem + "e", Ed25519, e}}, nil
}

// KeyState is what a DKIM key is used for. The numbers are stored: append only.
type KeyState uint8

// The states of a DKIM key.
const (
	KeyPublished KeyState = 1 // its record should be in DNS; it does not sign yet
	KeySigning   KeyState = 2
	KeyRetired   KeyState = 3 // signs no more; its record stays while mail is on its way
	KeyDestroyed KeyState = 4
)

// DKIMKey is the public side of a key and its place in the rotation.
type DKIMKey struct {
	Selector  string
	Algorithm Algorithm
	State     KeyState
	Public    crypto.PublicKey
	MadeAt    time.Time
	ActiveAt  time.Time
	RotateAt  time.Time
	EndedAt   time.Time
}

// Due tells whether the key has signed for half a year.
func (k DKIMKey) Due(now time.Time) bool { return k.State == KeySigning && !now.Before(k.RotateAt) }

// Signer signs for a domain. It prints nothing of its key.
type Signer struct {
	Domain    string
	Selector  string
	Algorithm Algorithm
	Key       crypto.Signer
}

// String prints no key.
func (s Signer) String() string { return s.Selector + "._domainkey." + s.Domain }

// GoString prints no key.
func (s Signer) GoString() string { return s.String() }

// Format prints no key, whatever the verb.
func (s Signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue logs no key.
func (s Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes no key.
func (s Signer) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

type keyRow struct {
	org      id.Organisation
	domain   id.Domain
	selector string
}

func keyCell(d id.Domain, selector string) seal.Cell {
	return seal.Cell{Table: "dkim_key", Column: "private", Row: append(append([]byte{}, d[:]...), selector...)}
}

// AddKeys stores keys that are published first and sign later: a rotation has two steps, days apart, because DNS is slow.
func (o *Organisations) AddKeys(ctx context.Context, tx *store.Tx, d id.Domain, keys []NewKey) error {
	for _, k := range keys {
		private, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return fmt.Errorf("encode a DKIM key: %w", err)
		}
		public, err := x509.MarshalPKIXPublicKey(k.private.Public())
		if err != nil {
			return fmt.Errorf("encode a DKIM key: %w", err)
		}
		sealed, err := o.keys.Seal(ctx, tx, seal.PurposeSetting, keyCell(d, k.Selector), private)
		clear(private)
		if err != nil {
			return fmt.Errorf("seal a DKIM key: %w", err)
		}
		if _, err := tx.Exec(ctx, insertKey, tx.Organisation(), d, k.Selector, k.Algorithm, KeyPublished, public, sealed, store.Millis(tx.Now), 0, 0, 0); err != nil {
			return fmt.Errorf("make a DKIM key: %w", err)
		}
		if err := o.note(ctx, tx, ledger.ActKeyMade, d.UUID(), ledger.Detail{"key": "dkim", "selector": k.Selector, "algorithm": k.Algorithm.String()}); err != nil {
			return err
		}
	}
	return nil
}

// ActivateKeys has the published keys sign from now on and retires those that did.
func (o *Organisations) ActivateKeys(ctx context.Context, tx *store.Tx, d id.Domain) error {
	keys, err := o.Keys(ctx, tx, d)
	if err != nil {
		return err
	}
	ready := false
	for _, k := range keys {
		ready = ready || k.State == KeyPublished
	}
	if !ready {
		return fault.New(fault.Conflict, "no published key waits to sign").Hint("make new keys first: carepost domain rotate DOMAIN")
	}
	if _, err := tx.Exec(ctx, retireKeys, store.Millis(tx.Now), tx.Organisation(), d); err != nil {
		return fmt.Errorf("retire DKIM keys: %w", err)
	}
	if _, err := tx.Exec(ctx, activateKeys, store.Millis(tx.Now), store.Millis(tx.Now.Add(rotateAfter)), tx.Organisation(), d); err != nil {
		return fmt.Errorf("activate DKIM keys: %w", err)
	}
	return o.note(ctx, tx, ledger.ActOrganisation, d.UUID(), ledger.Detail{"change": "dkim keys sign"})
}

// DestroyKeys forgets the private side of keys that were retired long enough ago.
func (o *Organisations) DestroyKeys(ctx context.Context, tx *store.Tx, d id.Domain) (int64, error) {
	n, err := tx.Exec(ctx, destroyKeys, tx.Organisation(), d, store.Millis(tx.Now.Add(-linger)))
	if err != nil || n == 0 {
		return n, err
	}
	return n, o.note(ctx, tx, ledger.ActKeyDestroyed, d.UUID(), ledger.Detail{"key": "dkim"})
}

// Keys lists the keys of a domain.
func (o *Organisations) Keys(ctx context.Context, tx *store.Tx, d id.Domain) ([]DKIMKey, error) {
	rows, err := tx.Query(ctx, selectKeys, tx.Organisation(), d)
	if err != nil {
		return nil, fmt.Errorf("list DKIM keys: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []DKIMKey
	for rows.Next() {
		var k DKIMKey
		var public []byte
		var made, active, rotate, ended int64
		if err := rows.Scan(&k.Selector, &k.Algorithm, &k.State, &public, &made, &active, &rotate, &ended); err != nil {
			return nil, fmt.Errorf("list DKIM keys: %w", err)
		}
		if k.Public, err = x509.ParsePKIXPublicKey(public); err != nil {
			return nil, fmt.Errorf("read a DKIM key: %w", err)
		}
		k.MadeAt, k.ActiveAt, k.RotateAt, k.EndedAt = store.Time(made), store.Time(active), store.Time(rotate), store.Time(ended)
		all = append(all, k)
	}
	return all, rows.Err()
}

// Signers gives what signs for a domain of the organisation now, RSA first. Private keys are opened once in a process.
func (o *Organisations) Signers(ctx context.Context, tx *store.Tx, name string) ([]Signer, error) {
	d, err := o.Domain(ctx, tx, name)
	if err != nil {
		return nil, err
	}
	keys, err := o.Keys(ctx, tx, d.ID)
	if err != nil {
		return nil, err
	}
	var all []Signer
	for _, algorithm := range []Algorithm{RSA, Ed25519} {
		for _, k := range keys {
			if k.State != KeySigning || k.Algorithm != algorithm {
				continue
			}
			s, err := o.signer(ctx, tx, d, k)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "no key signs for the domain %s", d.ID).Hint("carepost domain rotate DOMAIN makes keys")
	}
	return all, nil
}

func (o *Organisations) signer(ctx context.Context, tx *store.Tx, d Domain, k DKIMKey) (Signer, error) {
	at := keyRow{tx.Organisation(), d.ID, k.Selector}
	o.mu.Lock()
	s, ok := o.signers[at]
	o.mu.Unlock()
	if ok {
		return s, nil
	}
	var sealed []byte
	if err := tx.QueryRow(ctx, selectPrivate, tx.Organisation(), d.ID, k.Selector).Scan(&sealed); err != nil {
		return s, fmt.Errorf("read a DKIM key: %w", err)
	}
	private, err := o.keys.Open(ctx, tx, keyCell(d.ID, k.Selector), sealed)
	if err != nil {
		return s, fmt.Errorf("open a DKIM key: %w", err)
	}
	defer clear(private)
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return s, fmt.Errorf("read a DKIM key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return s, fault.New(fault.Internal, "a DKIM key is no signing key")
	}
	s = Signer{d.Name, k.Selector, k.Algorithm, key}
	tx.OnCommit(func() {
		o.mu.Lock()
		o.signers[at] = s
		o.mu.Unlock()
	})
	return s, nil
}

// record gives the key's TXT value: RFC 6376 3.6.1, RFC 8463 4.
func (k DKIMKey) record() (string, error) {
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("encode a DKIM key: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	return "", fault.New(fault.Internal, "not a DKIM key")
}
