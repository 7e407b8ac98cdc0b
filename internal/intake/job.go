package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// job is an import at work: what its row says.
type job struct {
	id      id.Import
	state   State
	version int64
	file    int // index of the file being read
	offset  int64
	line    int64
	seq     int64 // the last of raw
	turn    int64 // the last group applied
	subject []byte
	done    int64
	refused int64 // the last of quarantine
	started time.Time
	changed time.Time
	record  jobRecord
}

// jobRecord is the sealed part of a job. It is about a source and its files, not about a person: JSON.
type jobRecord struct {
	Source   string   `json:"source"`
	Format   string   `json:"format"`
	Files    []File   `json:"files"`
	Country  string   `json:"country,omitempty"`
	Systems  []string `json:"systems,omitempty"`
	Complete []string `json:"complete,omitempty"`
	Settings []byte   `json:"settings,omitempty"`
	Refused  int64    `json:"refused"`
	Result   *Result  `json:"result"`
}

func (j *job) clone() *job {
	c := *j
	c.subject = slices.Clone(j.subject)
	c.record.Files = slices.Clone(j.record.Files)
	for i := range c.record.Files {
		c.record.Files[i].Kinds = slices.Clone(c.record.Files[i].Kinds)
	}
	c.record.Result = j.record.Result.clone()
	return &c
}

func importCell(imp id.Import) seal.Cell {
	return seal.Cell{Table: "import", Column: "record", Row: imp[:]}
}

func (in *Intake) saveJob(ctx context.Context, tx *store.Tx, j *job) error {
	j.record.Refused = j.refused
	sealed, err := in.sealJob(ctx, tx, j)
	if err != nil {
		return err
	}
	if j.subject == nil {
		j.subject = []byte{}
	}
	n, err := tx.Exec(ctx, updateImport, int64(j.state), j.file, j.offset, j.line, j.seq, j.turn, j.subject, j.done, store.Millis(tx.Now), sealed,
		tx.Organisation(), j.id, j.version)
	if err != nil {
		return fmt.Errorf("write %s: %w", j.id, err)
	}
	if n != 1 {
		return fault.New(fault.Conflict, "another process works on the import").At("%s", j.id).Hint("let it finish")
	}
	j.version++
	return nil
}

func (in *Intake) sealJob(ctx context.Context, tx *store.Tx, j *job) ([]byte, error) {
	plain, err := json.Marshal(&j.record)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", j.id, err)
	}
	return in.Keys.Seal(ctx, tx, seal.PurposeRaw, importCell(j.id), plain)
}

func (in *Intake) loadJob(ctx context.Context, scope id.Scope, imp id.Import) (*job, error) {
	var j *job
	err := in.Store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
		j, err = in.readJob(ctx, tx, imp)
		return err
	})
	return j, err
}

func (in *Intake) readJob(ctx context.Context, tx *store.Tx, imp id.Import) (*job, error) {
	rows, err := tx.Query(ctx, selectImport, tx.Organisation(), imp)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", imp, err)
	}
	var sealed []byte
	j := &job{}
	err = each(rows, func() (err error) {
		j.id = imp
		sealed, err = j.scan(rows.Scan)
		return err
	})
	if err != nil {
		return nil, err
	}
	if j.id.IsZero() {
		return nil, fault.New(fault.NotFound, "there is no such import").At("%s", imp)
	}
	return j, in.openJob(ctx, tx, j, sealed)
}

func (j *job) scan(scan func(...any) error) (sealed []byte, err error) {
	var state, started, changed int64
	err = scan(&state, &j.version, &j.file, &j.offset, &j.line, &j.seq, &j.turn, &j.subject, &j.done, &started, &changed, &sealed)
	j.state, j.started, j.changed = State(state), store.Time(started), store.Time(changed)
	return sealed, err
}

func (in *Intake) openJob(ctx context.Context, tx *store.Tx, j *job, sealed []byte) error {
	plain, err := in.Keys.Open(ctx, tx, importCell(j.id), sealed)
	if err != nil {
		return fmt.Errorf("open %s: %w", j.id, err)
	}
	if err := json.Unmarshal(plain, &j.record); err != nil {
		return fault.Wrap(fault.Sealed, err, "the record of an import does not decode").At("%s", j.id)
	}
	j.refused = j.record.Refused
	return nil
}
