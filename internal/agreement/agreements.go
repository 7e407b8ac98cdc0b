package agreement

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Agreements keeps the agreements. It is safe for use by many goroutines.
type Agreements struct {
	keys   *seal.Keys
	ledger *ledger.Ledger

	mu    sync.Mutex
	known map[id.Organisation]opened
}

// mark changes with every write to an organisation's agreements, whichever node wrote it.
type mark struct{ count, changed, versions int64 }

// opened is a register in hand and the mark it was read at, so that asking costs one small look.
type opened struct {
	mark mark
	list []Agreement
}

// New makes a register.
func New(keys *seal.Keys, led *ledger.Ledger) *Agreements {
	return &Agreements{keys: keys, ledger: led, known: map[id.Organisation]opened{}}
}

// Sign records an agreement.
func (r *Agreements) Sign(ctx context.Context, tx *store.Tx, t Terms) (id.Agreement, error) {
	if err := t.Check(); err != nil {
		return id.Agreement{}, err
	}
	a := id.New[id.Agreement]()
	sealed, err := r.seal(ctx, tx, a, t)
	if err != nil {
		return id.Agreement{}, err
	}
	now := store.Millis(tx.Now)
	if _, err := tx.Exec(ctx, insertAgreement, tx.Organisation(), a, now, now, sealed); err != nil {
		return id.Agreement{}, fmt.Errorf("write an agreement: %w", err)
	}
	return a, r.note(ctx, tx, a, "signed")
}

// Amend records changed terms: another list of services, an answer on agency, another last day.
func (r *Agreements) Amend(ctx context.Context, tx *store.Tx, a Agreement, t Terms) error {
	if err := t.Check(); err != nil {
		return err
	}
	if a.State == Ended {
		return fault.New(fault.Conflict, "the agreement has ended").At("%s", a.ID).Hint("record a new one")
	}
	return r.update(ctx, tx, a, Signed, t, "amended")
}

// End ends an agreement with the day on; it covers nothing after it.
func (r *Agreements) End(ctx context.Context, tx *store.Tx, a Agreement, on law.Date) error {
	t := a.Terms
	if on < t.From {
		// It never counted for a day: the last day before the first keeps that exact.
		return fault.New(fault.Invalid, "it ends before it begins").At("until").Hint("its first day is %s", t.From)
	}
	if t.Until == 0 || on < t.Until {
		t.Until = on
	}
	return r.update(ctx, tx, a, Ended, t, "ended")
}

func (r *Agreements) update(ctx context.Context, tx *store.Tx, a Agreement, s State, t Terms, what string) error {
	sealed, err := r.seal(ctx, tx, a.ID, t)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, updateAgreement, s, store.Millis(tx.Now), sealed, tx.Organisation(), a.ID, a.Version)
	if err != nil {
		return fmt.Errorf("change an agreement: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the agreement was changed meanwhile, or is not there").At("%s", a.ID)
	}
	return r.note(ctx, tx, a.ID, what)
}

// List gives all agreements, ended ones too.
func (r *Agreements) List(ctx context.Context, tx *store.Tx) ([]Agreement, error) {
	var m mark
	if err := tx.QueryRow(ctx, newestAgreement, tx.Organisation()).Scan(&m.count, &m.changed, &m.versions); err != nil {
		return nil, fmt.Errorf("look at the agreements: %w", err)
	}
	r.mu.Lock()
	have, ok := r.known[tx.Organisation()]
	r.mu.Unlock()
	if ok && have.mark == m {
		return have.list, nil
	}
	list, err := r.read(ctx, tx)
	if err != nil {
		return nil, err
	}
	keep := func() {
		r.mu.Lock()
		r.known[tx.Organisation()] = opened{m, list}
		r.mu.Unlock()
	}
	// What this transaction wrote itself is true for others only once it is committed.
	if tx.ReadOnly() {
		keep()
	} else {
		tx.OnCommit(keep)
	}
	return list, nil
}

func (r *Agreements) read(ctx context.Context, tx *store.Tx) ([]Agreement, error) {
	rows, err := tx.Query(ctx, selectAgreements, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("read agreements: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var list []Agreement
	var sealed [][]byte
	for rows.Next() {
		var a Agreement
		var record []byte
		var made, changed int64
		if err := rows.Scan(&a.ID, &a.State, &a.Version, &made, &changed, &record); err != nil {
			return nil, fmt.Errorf("read agreements: %w", err)
		}
		a.Made, a.Changed = store.Time(made), store.Time(changed)
		list, sealed = append(list, a), append(sealed, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read agreements: %w", err)
	}
	for i := range list {
		plain, err := r.keys.Open(ctx, tx, cell(list[i].ID), sealed[i])
		if err != nil {
			return nil, fmt.Errorf("open agreement %s: %w", list[i].ID, err)
		}
		if err := json.Unmarshal(plain, &list[i].Terms); err != nil {
			return nil, fmt.Errorf("decode agreement %s: %w", list[i].ID, err)
		}
	}
	return list, nil
}

// Get gives one agreement.
func (r *Agreements) Get(ctx context.Context, tx *store.Tx, a id.Agreement) (Agreement, error) {
	list, err := r.List(ctx, tx)
	if err != nil {
		return Agreement{}, err
	}
	for _, x := range list {
		if x.ID == a {
			return x, nil
		}
	}
	return Agreement{}, fault.New(fault.NotFound, "there is no such agreement").At("%s", a)
}

// Covers tells whether an agreement in force at the time covers the service, and which. Days are counted in at's own location.
func (r *Agreements) Covers(ctx context.Context, tx *store.Tx, service string, at time.Time) (Agreement, bool, error) {
	list, err := r.List(ctx, tx)
	if err != nil {
		return Agreement{}, false, err
	}
	for _, a := range list {
		if a.Covers(service, law.Day(at)) {
			return a, true, nil
		}
	}
	return Agreement{}, false, nil
}

func (r *Agreements) seal(ctx context.Context, tx *store.Tx, a id.Agreement, t Terms) ([]byte, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode an agreement: %w", err)
	}
	sealed, err := r.keys.Seal(ctx, tx, seal.PurposeSetting, cell(a), plain)
	if err != nil {
		return nil, fmt.Errorf("seal an agreement: %w", err)
	}
	return sealed, nil
}

func cell(a id.Agreement) seal.Cell {
	return seal.Cell{Table: "agreement", Column: "record", Row: a[:]}
}

func (r *Agreements) note(ctx context.Context, tx *store.Tx, a id.Agreement, state string) error {
	key, err := r.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return r.ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActAgreement, Object: a.UUID(), Detail: ledger.Detail{"state": state}}, key)
}
