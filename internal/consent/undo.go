package consent

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// WithdrawFacts takes back what facts caused that were withdrawn with their import, in the transaction that withdraws them: what they
// made never was, what they ended stands again. What a fact that is current now says in the same words stays, for that one.
func (r *Consents) WithdrawFacts(ctx context.Context, tx *store.Tx, all []people.Withdrawn) error {
	for _, w := range all {
		if w.Now != nil && same(&w.Fact, w.Now) {
			if _, err := tx.Exec(ctx, handOnConsents, w.Now.ID, tx.Organisation(), w.Fact.ID); err != nil {
				return fmt.Errorf("hand on what a fact caused: %w", err)
			}
			continue
		}
		gone, err := tx.Exec(ctx, withdrawConsents, store.Millis(tx.Now), tx.Organisation(), w.Fact.ID)
		if err != nil {
			return fmt.Errorf("withdraw what a fact caused: %w", err)
		}
		back, err := tx.Exec(ctx, reopenConsents, tx.Organisation(), w.Fact.ID)
		if err != nil {
			return fmt.Errorf("reopen what a fact ended: %w", err)
		}
		if gone+back == 0 {
			continue
		}
		key, err := r.people.Key(ctx, tx, w.Person)
		if err != nil {
			return err
		}
		if err := r.close(ctx, tx, w.Person, key, w.Fact.ID.UUID(), entry{ledger.ActConsent, "what a source said", "withdrawn with its import"}); err != nil {
			return err
		}
	}
	return nil
}

// same tells whether two versions of a source's consent say the same.
func same(a, b *people.Fact) bool {
	for _, key := range []string{people.TextProvision, people.TextTopic, people.TextPurpose, people.TextLabel} {
		if a.Text[key] != b.Text[key] {
			return false
		}
	}
	return a.State == b.State && a.End.Date == b.End.Date
}

// SuppressAll takes the addresses of an import that must not be written to, and gives how many were not suppressed so by the import
// before. Each import stands for itself, so that undoing one leaves what another says.
func (r *Consents) SuppressAll(ctx context.Context, tx *store.Tx, all []Suppression, imp id.Import) (int, error) {
	of := *r
	of.imp = imp
	made := 0
	for _, s := range all {
		if err := s.check(); err != nil {
			return made, err
		}
		_, fresh, err := of.suppressAddress(ctx, tx, s)
		if err != nil {
			return made, err
		}
		if fresh {
			made++
		}
	}
	return made, nil
}

// undoneAtOnce is how many suppressions are withdrawn in one transaction.
const undoneAtOnce = 200

// WithdrawImport takes back the suppressions of an import, some at a time, and tells whether there are more. What the same addresses are
// suppressed for by others stays.
func (r *Consents) WithdrawImport(ctx context.Context, tx *store.Tx, imp id.Import) (more bool, err error) {
	rows, err := tx.Query(ctx, selectImportedSuppressions, tx.Organisation(), imp, undoneAtOnce)
	if err != nil {
		return false, fmt.Errorf("read the suppressions of an import: %w", err)
	}
	type found struct {
		address []byte
		id      id.Suppression
		record  []byte
	}
	var all []found
	for rows.Next() {
		var f found
		var state, made, ended int64
		if err := rows.Scan(&f.address, &f.id, &state, &made, &ended, &f.record); err != nil {
			return false, fmt.Errorf("read the suppressions of an import: %w", closed(rows.Close, err))
		}
		all = append(all, f)
	}
	if err := closed(rows.Close, rows.Err()); err != nil {
		return false, fmt.Errorf("read the suppressions of an import: %w", err)
	}
	for _, f := range all {
		plain, err := r.keys.Open(ctx, tx, cell("suppression", "record", f.id.UUID()), f.record)
		if err != nil {
			return false, fmt.Errorf("open suppression %s: %w", f.id, err)
		}
		var p SuppressionRecord
		if err := proto.Unmarshal(plain, &p); err != nil {
			return false, fault.Wrap(fault.Sealed, err, "a suppression does not decode").At("%s", f.id)
		}
		if _, err := tx.Exec(ctx, withdrawSuppression, store.Millis(tx.Now), tx.Organisation(), f.address, f.id); err != nil {
			return false, fmt.Errorf("withdraw a suppression: %w", err)
		}
		s := unpackSuppression(f.id.UUID(), Row{}, ScopeAddress, &p)
		if err := r.closeAddress(ctx, tx, s, f.id, "withdrawn with its import"); err != nil {
			return false, err
		}
	}
	return len(all) == undoneAtOnce, nil
}

func closed(shut func() error, err error) error {
	if e := shut(); err == nil {
		return e
	}
	return err
}
