package organisation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// Domain is a domain that the organisation sends from.
type Domain struct {
	ID     id.Domain
	Name   string // lower-case A-labels
	State  State
	MadeAt time.Time
}

type domainRecord struct {
	Name string `json:"name"`
}

// blindDomain is the kind of blind index that domains are found by.
const blindDomain = "organisation domain"

// AddDomain makes a domain with its first keys, which NewKeys made before the transaction: making an RSA key takes long. The keys
// sign at once: a new domain has nothing older, and the check of the domain says when their records are there.
func (o *Organisations) AddDomain(ctx context.Context, tx *store.Tx, name string, keys []NewKey) (Domain, error) {
	ascii, err := normalDomain(name)
	if err != nil {
		return Domain{}, err
	}
	d := Domain{ID: id.New[id.Domain](), Name: ascii, State: Active, MadeAt: tx.Now}
	blind, err := o.keys.Blind(ctx, tx, blindDomain, ascii)
	if err != nil {
		return d, err
	}
	record, err := o.sealRecord(ctx, tx, "domain", d.ID[:], domainRecord{ascii})
	if err != nil {
		return d, err
	}
	n, err := tx.Exec(ctx, insertDomain, tx.Organisation(), d.ID, blind, Active, record, store.Millis(tx.Now))
	if err != nil {
		return d, fmt.Errorf("make a domain: %w", err)
	}
	if n == 0 {
		return d, fault.New(fault.Conflict, "the organisation has this domain already").At("domain")
	}
	if err := o.note(ctx, tx, ledger.ActOrganisation, d.ID.UUID(), ledger.Detail{"change": "domain made"}); err != nil {
		return d, err
	}
	if err := o.AddKeys(ctx, tx, d.ID, keys); err != nil {
		return d, err
	}
	return d, o.ActivateKeys(ctx, tx, d.ID)
}

// Domain finds a domain by its name.
func (o *Organisations) Domain(ctx context.Context, tx *store.Tx, name string) (Domain, error) {
	ascii, err := normalDomain(name)
	if err != nil {
		return Domain{}, err
	}
	blind, err := o.keys.Blind(ctx, tx, blindDomain, ascii)
	if err != nil {
		return Domain{}, err
	}
	d, sealed, err := scanDomain(tx.QueryRow(ctx, selectDomain, tx.Organisation(), blind))
	if errors.Is(err, errNoRows) {
		return d, fault.New(fault.NotFound, "the organisation does not send from this domain").At("domain").Hint("carepost domain add DOMAIN makes it")
	}
	if err != nil {
		return d, fmt.Errorf("read a domain: %w", err)
	}
	return o.openDomain(ctx, tx, d, sealed)
}

// Domains lists the domains.
func (o *Organisations) Domains(ctx context.Context, tx *store.Tx) ([]Domain, error) {
	rows, err := tx.Query(ctx, selectDomains, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Domain
	var sealed [][]byte
	for rows.Next() {
		d, record, err := scanDomain(rows)
		if err != nil {
			return nil, fmt.Errorf("list domains: %w", err)
		}
		all, sealed = append(all, d), append(sealed, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	for i := range all {
		if all[i], err = o.openDomain(ctx, tx, all[i], sealed[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func scanDomain(row scanner) (d Domain, record []byte, err error) {
	var made int64
	err = row.Scan(&d.ID, &d.State, &record, &made)
	d.MadeAt = store.Time(made)
	return d, record, err
}

func (o *Organisations) openDomain(ctx context.Context, tx *store.Tx, d Domain, sealed []byte) (Domain, error) {
	var r domainRecord
	if err := o.openRecord(ctx, tx, "domain", d.ID[:], sealed, &r); err != nil {
		return d, err
	}
	d.Name = r.Name
	return d, nil
}
