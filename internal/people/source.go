package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Source is a feed of records. That something never happened is known only of people whose feed delivers such things completely, and
// is alive: silence of a dead feed is no absence.
type Source struct {
	Name     string
	Complete []string             // kinds of events that it delivers completely, sorted: "appointment.*"
	Seen     map[string]time.Time // when each of them was last reported complete
	LastSeen time.Time            // the last sign of life
}

// SourceStaff is the source of what staff enter and of what Carepost itself learns.
const SourceStaff = "carepost"

const maxSourceName = 100

// sourceID gives the number of a source, made when missing; 0 in a transaction that only reads and finds none.
func (p *People) sourceID(ctx context.Context, tx *store.Tx, name string) (int64, error) {
	p.mu.Lock()
	n := p.sources[tx.Organisation()][name]
	p.mu.Unlock()
	if n != 0 {
		return n, nil
	}
	if len(name) > maxSourceName {
		return 0, fault.New(fault.Invalid, "the name of a source is longer than %d bytes", maxSourceName)
	}
	blind, err := p.keys.Blind(ctx, tx, blindSource, name)
	if err != nil {
		return 0, fmt.Errorf("index a source: %w", err)
	}
	n, err = p.storedSource(ctx, tx, blind)
	if err != nil {
		return 0, err
	}
	if n == 0 && !tx.ReadOnly() {
		if n, err = p.makeSource(ctx, tx, name, blind); err != nil {
			return 0, err
		}
	}
	if n != 0 {
		p.localSources(tx).names[n] = name
		org := tx.Organisation()
		tx.OnCommit(func() { p.remember(org, name, n) })
	}
	return n, nil
}

func (p *People) storedSource(ctx context.Context, tx *store.Tx, blind []byte) (n int64, err error) {
	err = tx.QueryRow(ctx, selectSourceByName, tx.Organisation(), blind).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("find a source: %w", err)
	}
	return n, nil
}

func (p *People) makeSource(ctx context.Context, tx *store.Tx, name string, blind []byte) (int64, error) {
	n, err := p.take(ctx, tx, numberSource, 1)
	if err != nil {
		return 0, err
	}
	sealed, err := p.sealSource(ctx, tx, n, &SourceRecord{Name: name})
	if err != nil {
		return 0, err
	}
	made, err := tx.Exec(ctx, insertSource, tx.Organisation(), n, blind, sealed)
	if err != nil {
		return 0, fmt.Errorf("make a source: %w", err)
	}
	if made == 0 {
		return p.storedSource(ctx, tx, blind) // another node was first
	}
	return n, nil
}

func (p *People) remember(org id.Organisation, name string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sources[org] == nil {
		p.sources[org] = map[string]int64{}
	}
	p.sources[org][name] = n
}

func sourceCell(n int64) seal.Cell {
	return seal.Cell{Table: "source", Column: "record", Row: fmt.Append(nil, n)}
}

func (p *People) sealSource(ctx context.Context, tx *store.Tx, n int64, r *SourceRecord) ([]byte, error) {
	plain, err := encode(r)
	if err != nil {
		return nil, err
	}
	return p.keys.Seal(ctx, tx, seal.PurposeSetting, sourceCell(n), plain)
}

type sourceRow struct {
	id     int64
	record *SourceRecord
	seen   time.Time
}

func (p *People) sourceRows(ctx context.Context, tx *store.Tx) ([]sourceRow, error) {
	rows, err := tx.Query(ctx, selectSources, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	var all []sourceRow
	var sealed [][]byte
	err = each(rows, "read sources", func() error {
		var (
			r    sourceRow
			s    []byte
			seen int64
		)
		if err := rows.Scan(&r.id, &s, &seen); err != nil {
			return err
		}
		r.seen = store.Time(seen)
		all, sealed = append(all, r), append(sealed, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		plain, err := p.keys.Open(ctx, tx, sourceCell(all[i].id), sealed[i])
		if err != nil {
			return nil, fmt.Errorf("open source %d: %w", all[i].id, err)
		}
		if all[i].record, err = decode(plain, &SourceRecord{}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// localSources is what a transaction knows of the names of sources.
type localSources struct {
	loaded bool
	names  map[int64]string
}

type localSourcesKey struct{ p *People }

func (p *People) localSources(tx *store.Tx) *localSources {
	return tx.Local(localSourcesKey{p}, func() any { return &localSources{names: map[int64]string{}} }).(*localSources) //nolint:forcetypeassert // made here
}

// sourceNames gives the names of all sources by number.
func (p *People) sourceNames(ctx context.Context, tx *store.Tx) (map[int64]string, error) {
	local := p.localSources(tx)
	if local.loaded {
		return local.names, nil
	}
	rows, err := p.sourceRows(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		local.names[r.id] = r.record.Name
	}
	local.loaded = true
	return local.names, nil
}

// Heartbeat notes that a source is alive, and which kinds of events ("appointment.*", "rx.dispensed") it has just delivered
// completely. Kinds it does not name keep the time at which they were last complete.
func (p *People) Heartbeat(ctx context.Context, tx *store.Tx, source string, complete []string) error {
	n, err := p.sourceID(ctx, tx, source)
	if err != nil {
		return err
	}
	var sealed []byte
	if err := tx.QueryRow(ctx, selectSource, tx.Organisation(), n).Scan(&sealed); err != nil {
		return fmt.Errorf("read a source: %w", err)
	}
	plain, err := p.keys.Open(ctx, tx, sourceCell(n), sealed)
	if err != nil {
		return fmt.Errorf("open source %d: %w", n, err)
	}
	r, err := decode(plain, &SourceRecord{})
	if err != nil {
		return err
	}
	seen := map[string]int64{}
	for _, k := range r.Kinds {
		seen[k.Kind] = k.SeenMs
	}
	for _, k := range complete {
		seen[k] = store.Millis(tx.Now)
	}
	r.Kinds = nil
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		r.Kinds = append(r.Kinds, &SourceKindRecord{Kind: k, SeenMs: seen[k]})
	}
	if sealed, err = p.sealSource(ctx, tx, n, r); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, updateSource, sealed, store.Millis(tx.Now), tx.Organisation(), n); err != nil {
		return fmt.Errorf("write a source: %w", err)
	}
	return nil
}

// Sources gives the feeds of the organisation.
func (p *People) Sources(ctx context.Context, tx *store.Tx) ([]Source, error) {
	rows, err := p.sourceRows(ctx, tx)
	if err != nil {
		return nil, err
	}
	all := make([]Source, 0, len(rows))
	for _, r := range rows {
		s := Source{Name: r.record.Name, LastSeen: r.seen, Seen: map[string]time.Time{}}
		for _, k := range r.record.Kinds {
			s.Complete = append(s.Complete, k.Kind)
			s.Seen[k.Kind] = msTime(k.SeenMs)
		}
		all = append(all, s)
	}
	return all, nil
}
