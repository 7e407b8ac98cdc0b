package audience

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Saved is one version of a saved rule.
type Saved struct {
	ID        id.Segment
	Version   int64
	Retired   bool // a newer rule may not name it
	Name      string
	Note      string
	Rule      Rule
	Hash      string // what an approval covers: the rule, and the content of every segment and value set in it
	By        id.Actor
	MadeAt    time.Time // the segment
	ChangedAt time.Time // this version
}

// States of a segment's row.
const (
	segmentInUse   = 1
	segmentRetired = 2
)

// blindSegment and blindSet are the kinds of blind indexes that names are found by.
const (
	blindSegment = "segment name"
	blindSet     = "value set name"
)

const maxNote = 2_000

// segmentRecord is the sealed part of a version.
type segmentRecord struct {
	Name  string          `json:"name"`
	Note  string          `json:"note,omitempty"`
	Rule  json.RawMessage `json:"rule"`
	Hash  string          `json:"hash"`
	Actor id.ActorKind    `json:"actor"`
	By    string          `json:"by"` // the actor's id, in hexadecimal digits
}

// Create saves a rule under a name of its own.
func (a *Audience) Create(ctx context.Context, tx *store.Tx, name, note string, r Rule) (Saved, error) {
	s := Saved{
		ID: id.New[id.Segment](), Version: 1, Name: strings.TrimSpace(name), Note: strings.TrimSpace(note), Rule: r,
		By: tx.Scope.Actor, MadeAt: tx.Now, ChangedAt: tx.Now,
	}
	if err := a.check(ctx, tx, &s); err != nil {
		return s, err
	}
	blind, err := a.o.Keys.Blind(ctx, tx, blindSegment, s.Name)
	if err != nil {
		return s, err
	}
	n, err := tx.Exec(ctx, insertSegment, tx.Organisation(), s.ID, blind, store.Millis(tx.Now), store.Millis(tx.Now))
	if err != nil {
		return s, fmt.Errorf("make a segment: %w", err)
	}
	if n == 0 {
		return s, errTaken()
	}
	return s, a.putVersion(ctx, tx, s, "made")
}

func errTaken() error {
	return fault.New(fault.Conflict, "another segment has this name").At("name")
}

// Update saves a new version of a segment: its name, note, rule and whether it is retired. s.Version is the one that the caller
// read; the new one comes back.
func (a *Audience) Update(ctx context.Context, tx *store.Tx, s Saved) (Saved, error) {
	old, err := a.Segment(ctx, tx, s.ID)
	if err != nil {
		return s, err
	}
	s.Name, s.Note = strings.TrimSpace(s.Name), strings.TrimSpace(s.Note)
	if old.Name != s.Name || s.Retired {
		if err := a.unused(ctx, tx, old.Name); err != nil {
			return s, err
		}
	}
	if err := a.check(ctx, tx, &s); err != nil {
		return s, err
	}
	blind, err := a.o.Keys.Blind(ctx, tx, blindSegment, s.Name)
	if err != nil {
		return s, err
	}
	var others int
	if err := tx.QueryRow(ctx, nameTaken, tx.Organisation(), blind, s.ID).Scan(&others); err != nil {
		return s, fmt.Errorf("look for the name of a segment: %w", err)
	}
	if others > 0 {
		return s, errTaken()
	}
	state, change := segmentInUse, "changed"
	if s.Retired {
		state, change = segmentRetired, "retired"
	}
	n, err := tx.Exec(ctx, updateSegment, blind, state, store.Millis(tx.Now), tx.Organisation(), s.ID, s.Version)
	if err != nil {
		return s, fmt.Errorf("change a segment: %w", err)
	}
	if n == 0 {
		return s, fault.New(fault.Conflict, "the segment was changed in the meantime").At("%s", s.ID).Hint("read it again and change that")
	}
	s.Version++
	s.By, s.MadeAt, s.ChangedAt = tx.Scope.Actor, old.MadeAt, tx.Now
	return s, a.putVersion(ctx, tx, s, change)
}

// unused refuses to take a name away that other segments use.
func (a *Audience) unused(ctx context.Context, tx *store.Tx, name string) error {
	all, err := a.Segments(ctx, tx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if names, _ := References(s.Rule); slices.Contains(names, name) && !s.Retired {
			return fault.New(fault.Conflict, "another segment names this one").At("%s", s.ID).Hint("change that one first")
		}
	}
	return nil
}

// check refuses what cannot be saved and fills in the hash.
func (a *Audience) check(ctx context.Context, tx *store.Tx, s *Saved) error {
	if c := checkSegment(s.Name); c != nil {
		return c.at(s.Name, 0)
	}
	if len(s.Note) > maxNote {
		return fault.New(fault.TooLarge, "a note is at most %d bytes", maxNote).At("note")
	}
	if s.Rule == nil {
		return fault.New(fault.Invalid, "there is no rule").At("rule")
	}
	r, err := Decode(Encode(s.Rule)) // the limits and the one form, however the tree was made
	if err != nil {
		return err
	}
	s.Rule = r
	asked, err := a.asked(ctx, tx, Query{Rule: r})
	if err != nil {
		return err
	}
	asked.Segments[s.Name] = r // so that a rule that names itself is found out
	if _, err := Prepare(r, asked); err != nil {
		return err
	}
	if _, err := Prepare(Segment{s.Name}, asked); err != nil {
		return err
	}
	s.Hash = fingerprint(r, asked)
	return nil
}

// fingerprint names a rule with all that it refers to.
func fingerprint(r Rule, asked Asked) string {
	all := Encode(r)
	segments, sets := References(r)
	for _, name := range segments {
		all = fmt.Appendf(all, "\nsegment %s %s", name, fingerprint(asked.Segments[name], asked))
	}
	for _, name := range sets {
		all = fmt.Appendf(all, "\nset %s %x", name, asked.Sets[name].Hash())
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// Hash gives what an approval of a rule covers now: it changes when the rule, a segment or a value set in it does.
func (a *Audience) Hash(ctx context.Context, tx *store.Tx, r Rule) (string, error) {
	asked, err := a.asked(ctx, tx, Query{Rule: r})
	if err != nil {
		return "", err
	}
	if _, err := Prepare(r, asked); err != nil {
		return "", err
	}
	return fingerprint(r, asked), nil
}

func versionCell(s id.Segment, version int64) seal.Cell {
	return seal.Cell{Table: "segment_version", Column: "record", Row: strconv.AppendInt(slices.Clone(s[:]), version, 10)}
}

func (a *Audience) putVersion(ctx context.Context, tx *store.Tx, s Saved, change string) error {
	plain, err := json.Marshal(segmentRecord{
		Name: s.Name, Note: s.Note, Rule: Encode(s.Rule), Hash: s.Hash, Actor: s.By.Kind, By: hex.EncodeToString(s.By.ID[:]),
	})
	if err != nil {
		return fmt.Errorf("encode a segment: %w", err)
	}
	sealed, err := a.o.Keys.Seal(ctx, tx, seal.PurposeSetting, versionCell(s.ID, s.Version), plain)
	if err != nil {
		return fmt.Errorf("seal a segment: %w", err)
	}
	if _, err := tx.Exec(ctx, insertVersion, tx.Organisation(), s.ID, s.Version, sealed, store.Millis(tx.Now)); err != nil {
		return fmt.Errorf("write a segment: %w", err)
	}
	return a.note(ctx, tx, ledger.ActSegment, s.ID.UUID(), ledger.Detail{
		"change": "segment " + change, "version": strconv.FormatInt(s.Version, 10), "hash": s.Hash,
	})
}

func (a *Audience) note(ctx context.Context, tx *store.Tx, act ledger.Act, object id.UUID, d ledger.Detail) error {
	key, err := a.o.Keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return a.o.Ledger.Append(ctx, tx, ledger.Entry{Act: act, Object: object, Detail: d}, key)
}

// Segment gives the newest version of a segment.
func (a *Audience) Segment(ctx context.Context, tx *store.Tx, s id.Segment) (Saved, error) {
	return a.oneSegment(ctx, tx, s.String(), selectSegment, tx.Organisation(), s)
}

// SegmentVersion gives one version of a segment.
func (a *Audience) SegmentVersion(ctx context.Context, tx *store.Tx, s id.Segment, version int64) (Saved, error) {
	return a.oneSegment(ctx, tx, s.String(), selectSegmentVersion, version, tx.Organisation(), s)
}

// SegmentNamed gives the newest version of the segment with a name.
func (a *Audience) SegmentNamed(ctx context.Context, tx *store.Tx, name string) (Saved, error) {
	blind, err := a.o.Keys.Blind(ctx, tx, blindSegment, name)
	if err != nil {
		return Saved{}, err
	}
	return a.oneSegment(ctx, tx, "segment", selectSegmentNamed, tx.Organisation(), blind)
}

func (a *Audience) oneSegment(ctx context.Context, tx *store.Tx, where, query string, args ...any) (Saved, error) {
	var r segmentRow
	err := r.scan(tx.QueryRow(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return Saved{}, fault.New(fault.NotFound, "there is no such segment").At("%s", where)
	}
	if err != nil {
		return Saved{}, fmt.Errorf("read a segment: %w", err)
	}
	return a.openSegment(ctx, tx, &r)
}

// Segments gives the newest version of every segment, retired ones too, in the order of their making.
func (a *Audience) Segments(ctx context.Context, tx *store.Tx) ([]Saved, error) {
	rows, err := tx.Query(ctx, selectSegments, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var found []segmentRow
	for rows.Next() {
		var r segmentRow
		if err := r.scan(rows); err != nil {
			return nil, fmt.Errorf("read segments: %w", err)
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	all := make([]Saved, 0, len(found))
	for i := range found {
		s, err := a.openSegment(ctx, tx, &found[i])
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// segmentRow is a row before it is opened.
type segmentRow struct {
	saved         Saved
	state         int
	made, changed int64
	sealed        []byte
}

func (r *segmentRow) scan(from interface{ Scan(dest ...any) error }) error {
	return from.Scan(&r.saved.ID, &r.state, &r.saved.Version, &r.made, &r.changed, &r.sealed)
}

func (a *Audience) openSegment(ctx context.Context, tx *store.Tx, r *segmentRow) (Saved, error) {
	s := r.saved
	plain, err := a.o.Keys.Open(ctx, tx, versionCell(s.ID, s.Version), r.sealed)
	if err != nil {
		return s, fmt.Errorf("open segment %s: %w", s.ID, err)
	}
	var record segmentRecord
	if err := json.Unmarshal(plain, &record); err != nil {
		return s, fmt.Errorf("decode segment %s: %w", s.ID, err)
	}
	if s.Rule, err = Decode(record.Rule); err != nil {
		return s, fmt.Errorf("decode segment %s: %w: %w", s.ID, errNoRule, err)
	}
	s.Name, s.Note, s.Hash, s.Retired = record.Name, record.Note, record.Hash, r.state == segmentRetired
	s.MadeAt, s.ChangedAt, s.By.Kind = store.Time(r.made), store.Time(r.changed), record.Actor
	raw, err := hex.DecodeString(record.By)
	if err != nil || len(raw) != len(s.By.ID) {
		return s, fmt.Errorf("decode segment %s: %w", s.ID, errNoRule)
	}
	copy(s.By.ID[:], raw)
	return s, nil
}
