package audience

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// setRecord is the sealed part of a version of a value set.
type setRecord struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
}

// builtIn are value sets that every organisation has until it saves one of the same name.
var builtIn = map[string][]string{
	// ICD-10-CM: diabetes mellitus, and in pregnancy; ICD-9-CM 250 for old records.
	"diabetes":     {"icd10:E08.*", "icd10:E09.*", "icd10:E10.*", "icd10:E11.*", "icd10:E13.*", "icd10:O24.*", "icd9:250.*"},
	"hypertension": {"icd10:I10.*", "icd10:I11.*", "icd10:I12.*", "icd10:I13.*", "icd10:I15.*", "icd10:I16.*"},
	"asthma":       {"icd10:J45.*"},
	// Hemoglobin A1c in blood: percent, by calculation, by HPLC and by electrophoresis.
	"a1c": {"loinc:4548-4", "loinc:17855-8", "loinc:17856-6", "loinc:4549-2"},
}

// PutValueSet saves a value set, or a new version of it.
func (a *Audience) PutValueSet(ctx context.Context, tx *store.Tx, name string, members []string) (ValueSet, error) {
	s, err := NewValueSet(strings.TrimSpace(name), members)
	if err != nil {
		return s, err
	}
	blind, err := a.o.Keys.Blind(ctx, tx, blindSet, s.Name)
	if err != nil {
		return s, err
	}
	if err := tx.QueryRow(ctx, newestSet, tx.Organisation(), blind).Scan(&s.Version); err != nil {
		return s, fmt.Errorf("look for a value set: %w", err)
	}
	s.Version++
	plain, err := json.Marshal(setRecord{s.Name, s.Members})
	if err != nil {
		return s, fmt.Errorf("encode a value set: %w", err)
	}
	sealed, err := a.o.Keys.Seal(ctx, tx, seal.PurposeSetting, setCell(blind, s.Version), plain)
	if err != nil {
		return s, fmt.Errorf("seal a value set: %w", err)
	}
	if _, err := tx.Exec(ctx, insertSet, tx.Organisation(), blind, s.Version, sealed, store.Millis(tx.Now)); err != nil {
		return s, fmt.Errorf("write a value set: %w", err)
	}
	return s, a.note(ctx, tx, ledger.ActSetting, id.UUID{}, ledger.Detail{
		"change": "value set", "version": strconv.Itoa(s.Version), "hash": fmt.Sprintf("%x", s.Hash()),
	})
}

func setCell(blind []byte, version int) seal.Cell {
	return seal.Cell{Table: "value_set", Column: "record", Row: strconv.AppendInt(append([]byte(nil), blind...), int64(version), 10)}
}

// ValueSet gives the newest version of a value set by its name: the organisation's own, or a built-in one.
func (a *Audience) ValueSet(ctx context.Context, tx *store.Tx, name string) (ValueSet, error) {
	blind, err := a.o.Keys.Blind(ctx, tx, blindSet, name)
	if err != nil {
		return ValueSet{}, err
	}
	var version int
	var sealed []byte
	err = tx.QueryRow(ctx, selectSet, tx.Organisation(), blind).Scan(&version, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		if members, ok := builtIn[name]; ok {
			return ValueSet{Name: name, Members: members}, nil
		}
		return ValueSet{}, fault.New(fault.NotFound, "there is no such value set")
	}
	if err != nil {
		return ValueSet{}, fmt.Errorf("read a value set: %w", err)
	}
	return a.openSet(ctx, tx, blind, version, sealed)
}

func (a *Audience) openSet(ctx context.Context, tx *store.Tx, blind []byte, version int, sealed []byte) (ValueSet, error) {
	plain, err := a.o.Keys.Open(ctx, tx, setCell(blind, version), sealed)
	if err != nil {
		return ValueSet{}, fmt.Errorf("open a value set: %w", err)
	}
	var r setRecord
	if err := json.Unmarshal(plain, &r); err != nil {
		return ValueSet{}, fmt.Errorf("decode a value set: %w", err)
	}
	return ValueSet{Name: r.Name, Version: version, Members: r.Members}, nil
}

// ValueSets gives the newest version of every value set that the organisation saved.
func (a *Audience) ValueSets(ctx context.Context, tx *store.Tx) ([]ValueSet, error) {
	rows, err := tx.Query(ctx, selectSets, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("read value sets: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	type row struct {
		blind, sealed []byte
		version       int
	}
	var found []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.blind, &r.version, &r.sealed); err != nil {
			return nil, fmt.Errorf("read value sets: %w", err)
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read value sets: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read value sets: %w", err)
	}
	var all []ValueSet
	for _, r := range found {
		s, err := a.openSet(ctx, tx, r.blind, r.version, r.sealed)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
