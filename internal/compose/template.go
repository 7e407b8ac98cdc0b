package compose

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// maxCached bounds the compiled versions in hand; a version never changes, so what is kept is never stale.
const stateWithdrawn = 2

const maxCached = 256

// Templates keeps templates and their versions. It is safe for use by many goroutines.
type Templates struct {
	keys   *seal.Keys
	ledger *ledger.Ledger

	mu    sync.Mutex
	cache map[versionKey]TemplateVersion
}

type versionKey struct {
	org      id.Organisation
	template id.Template
	number   int
}

// NewTemplates makes the keeper of templates.
func NewTemplates(keys *seal.Keys, led *ledger.Ledger) *Templates {
	return &Templates{keys: keys, ledger: led, cache: map[versionKey]TemplateVersion{}}
}

// Template is what a list shows of a template.
type Template struct {
	ID        id.Template
	Name      string
	Withdrawn bool
	Latest    int
	MadeAt    time.Time
}

// Create makes a template with its first version.
func (t *Templates) Create(ctx context.Context, tx *store.Tx, name string, c Content, purpose ledger.Purpose, class organisation.Class) (TemplateVersion, error) {
	if strings.TrimSpace(name) == "" || len(name) > 200 {
		return TemplateVersion{}, fault.New(fault.Invalid, "a template has a name of up to 200 characters").At("name")
	}
	tpl := id.New[id.Template]()
	sealed, err := t.keys.Seal(ctx, tx, seal.PurposeSetting, nameCell(tpl), []byte(name))
	if err != nil {
		return TemplateVersion{}, fmt.Errorf("seal a template: %w", err)
	}
	if _, err := tx.Exec(ctx, insertTemplate, tx.Organisation(), tpl, sealed, store.Millis(tx.Now), store.Millis(tx.Now)); err != nil {
		return TemplateVersion{}, fmt.Errorf("make a template: %w", err)
	}
	return t.Add(ctx, tx, tpl, c, purpose, class)
}

// Add stores a further version. Versions are never changed: what was sent can be shown as it was.
func (t *Templates) Add(ctx context.Context, tx *store.Tx, tpl id.Template, c Content, purpose ledger.Purpose, class organisation.Class) (TemplateVersion, error) {
	if !purpose.Known() || purpose == ledger.PurposeNone {
		return TemplateVersion{}, fault.New(fault.Invalid, "a template declares its purpose").At("purpose").Hint("treatment, payment, operations, refill, fundraising, marketing or service")
	}
	if class != organisation.ClassTransactional && class != organisation.ClassCommercial {
		return TemplateVersion{}, fault.New(fault.Invalid, "a template declares its mail class").At("class").Hint("transactional or commercial")
	}
	v, err := NewVersion(c, purpose, class)
	if err != nil {
		return v, err
	}
	v.Template = tpl
	err = tx.QueryRow(ctx, nextVersion, store.Millis(tx.Now), tx.Organisation(), tpl).Scan(&v.Number)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault.New(fault.NotFound, "there is no template %s in use", tpl)
	}
	if err != nil {
		return v, fmt.Errorf("number a template version: %w", err)
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return v, fmt.Errorf("encode a template version: %w", err)
	}
	sealed, err := t.keys.Seal(ctx, tx, seal.PurposeSetting, contentCell(tpl, v.Number), plain)
	if err != nil {
		return v, fmt.Errorf("seal a template version: %w", err)
	}
	if _, err := tx.Exec(ctx, insertVersion, tx.Organisation(), tpl, v.Number, purpose, class, sealed, store.Millis(tx.Now)); err != nil {
		return v, fmt.Errorf("make a template version: %w", err)
	}
	return v, t.note(ctx, tx, tpl, ledger.Detail{"version": strconv.Itoa(v.Number), "purpose": purpose.String(), "class": class.String()})
}

// Version gives one version, compiled. Number 0 is the latest.
func (t *Templates) Version(ctx context.Context, tx *store.Tx, tpl id.Template, number int) (TemplateVersion, error) {
	if number == 0 {
		err := tx.QueryRow(ctx, selectLatest, tx.Organisation(), tpl).Scan(&number)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return TemplateVersion{}, fmt.Errorf("read a template: %w", err)
		}
	}
	at := versionKey{tx.Organisation(), tpl, number}
	t.mu.Lock()
	v, ok := t.cache[at]
	t.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := t.read(ctx, tx, tpl, number)
	if err != nil {
		return v, err
	}
	// After the commit only: a number that is rolled back comes again with another content.
	tx.OnCommit(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.cache) >= maxCached {
			clear(t.cache)
		}
		t.cache[at] = v
	})
	return v, nil
}

func (t *Templates) read(ctx context.Context, tx *store.Tx, tpl id.Template, number int) (TemplateVersion, error) {
	var purpose ledger.Purpose
	var class organisation.Class
	var sealed []byte
	err := tx.QueryRow(ctx, selectVersion, tx.Organisation(), tpl, number).Scan(&purpose, &class, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return TemplateVersion{}, fault.New(fault.NotFound, "there is no version %d of template %s", number, tpl)
	}
	if err != nil {
		return TemplateVersion{}, fmt.Errorf("read a template version: %w", err)
	}
	plain, err := t.keys.Open(ctx, tx, contentCell(tpl, number), sealed)
	if err != nil {
		return TemplateVersion{}, fmt.Errorf("open version %d of template %s: %w", number, tpl, err)
	}
	var c Content
	if err := json.Unmarshal(plain, &c); err != nil {
		return TemplateVersion{}, fmt.Errorf("decode version %d of template %s: %w", number, tpl, err)
	}
	v, err := NewVersion(c, purpose, class)
	v.Template, v.Number = tpl, number
	return v, err
}

// List lists the templates.
func (t *Templates) List(ctx context.Context, tx *store.Tx) ([]Template, error) {
	rows, err := tx.Query(ctx, selectTemplates, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []Template
	var sealed [][]byte
	for rows.Next() {
		var one Template
		var state int
		var made int64
		var record []byte
		if err := rows.Scan(&one.ID, &state, &one.Latest, &record, &made); err != nil {
			return nil, fmt.Errorf("list templates: %w", err)
		}
		one.Withdrawn, one.MadeAt = state == 2, store.Time(made)
		all, sealed = append(all, one), append(sealed, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	for i := range all {
		name, err := t.keys.Open(ctx, tx, nameCell(all[i].ID), sealed[i])
		if err != nil {
			return nil, fmt.Errorf("open template %s: %w", all[i].ID, err)
		}
		all[i].Name = string(name)
	}
	return all, nil
}

// Withdraw ends a template: it takes no further version. Messages that froze one of its versions still find it.
func (t *Templates) Withdraw(ctx context.Context, tx *store.Tx, tpl id.Template) error {
	n, err := tx.Exec(ctx, withdraw, store.Millis(tx.Now), tx.Organisation(), tpl)
	if err != nil {
		return fmt.Errorf("withdraw a template: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "there is no template %s in use", tpl)
	}
	return t.note(ctx, tx, tpl, ledger.Detail{"change": "withdrawn"})
}

// Withdrawn tells whether a template was taken out of use.
func (t *Templates) Withdrawn(ctx context.Context, tx *store.Tx, tpl id.Template) (bool, error) {
	var state int
	err := tx.QueryRow(ctx, selectState, tx.Organisation(), tpl).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, fault.New(fault.NotFound, "there is no template %s", tpl)
	}
	if err != nil {
		return false, fmt.Errorf("read a template: %w", err)
	}
	return state == stateWithdrawn, nil
}

func (t *Templates) note(ctx context.Context, tx *store.Tx, tpl id.Template, d ledger.Detail) error {
	key, err := t.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return t.ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActTemplate, Object: tpl.UUID(), Detail: d}, key)
}

func nameCell(tpl id.Template) seal.Cell {
	return seal.Cell{Table: "template", Column: "record", Row: tpl[:]}
}

func contentCell(tpl id.Template, number int) seal.Cell {
	return seal.Cell{Table: "template_version", Column: "content", Row: append(tpl[:], strconv.Itoa(number)...)}
}
