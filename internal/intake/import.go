package intake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Needs is what an Intake works with.
type Needs struct {
	Store   *store.Store
	Keys    *seal.Keys
	Ledger  *ledger.Ledger
	People  *people.People
	Mappers []Mapper // one per format

	// Chunk is how many messages are committed at once; 0: 512. The same number, doubled, is applied at once.
	Chunk int

	// Propose hears of the consents that a source reports, in the transaction that records them. A denial applies at once; anything
	// else is a proposal (45 CFR 164.508 wants the signed text). Nil: they stay facts.
	Propose func(ctx context.Context, tx *store.Tx, proposals []people.Proposal) error
	// Suppress hears of the addresses that a source says must not be written to, in the transaction of their messages, and gives how
	// many were not suppressed so before. Nil: they are left out.
	Suppress func(ctx context.Context, tx *store.Tx, all []consent.Suppression, imp id.Import) (int, error)
	// Withdraw and WithdrawSuppressions take back what these two took, when the import is undone: in the transaction that withdraws the
	// facts, and some addresses at a time. Nil: nothing is taken back.
	Withdraw             func(ctx context.Context, tx *store.Tx, gone []people.Withdrawn) error
	WithdrawSuppressions func(ctx context.Context, tx *store.Tx, imp id.Import) (more bool, err error)
}

// Intake takes source messages in. All its methods may be called at the same time; one import is worked on by one caller.
type Intake struct {
	Needs
	mappers map[string]Mapper
}

// New makes the owner of source messages.
func New(n Needs) *Intake {
	in := &Intake{Needs: n, mappers: map[string]Mapper{}}
	if in.Chunk <= 0 {
		in.Chunk = chunkMessages
	}
	for _, m := range n.Mappers {
		in.mappers[m.Format()] = m
	}
	return in
}

// Options say what to import and how.
type Options struct {
	Source   string   // the name of the feed, as the operator calls it
	Format   string   // "fhir"
	Files    []File   // in any order
	Country  string   // of telephone numbers without a prefix; empty is US
	Systems  []string // identifier systems of the source to keep and to match by, beside record numbers
	Complete []string // kinds of events that the operator vouches for, in place of what the files show
	Settings []byte   // of a format that takes some: the mapping of a CSV file
	DryRun   bool     // count, and change nothing
	Progress func(Progress)
}

// Progress is how far an import is. The callback is called a few times a second at most, from one goroutine at a time.
type Progress struct {
	Phase        string // "read", "apply"
	File, Files  int    // from 1
	Lines        int64
	Applied      int64 // messages
	ToApply      int64
	Bytes, Total int64 // of the files as they lie on disk; 0 when not known
}

// State is where an import is. The numbers are stored: append only.
type State uint8

// The states.
const (
	StateReading  State = 1
	StateApplying State = 2
	StateDone     State = 3
	StateFailed   State = 4
	StateUndone   State = 5
	StateUndoing  State = 6
	StateRemap    State = 7 // to be mapped again
)

// String gives "done".
func (s State) String() string {
	return [...]string{"unknown", "reading", "applying", "done", "failed", "undone", "undoing", "mapped again"}[min(s, 7)]
}

// Import is an import as it is listed.
type Import struct {
	ID      id.Import
	State   State
	Source  string
	Format  string
	Files   []File
	Started time.Time
	Changed time.Time
	Result  *Result
}

// Import takes files in: every line is committed sealed as it came, then mapped and applied, the messages of one person together. It
// may be stopped at any moment, also by the end of the process; Resume goes on where the last commit stood.
func (in *Intake) Import(ctx context.Context, scope id.Scope, o Options) (*Result, error) {
	mapper, err := in.check(&o)
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		return in.dryRun(ctx, scope, mapper, o)
	}
	j, err := in.begin(ctx, scope, o)
	if err != nil {
		return nil, err
	}
	return in.work(ctx, scope, mapper, j, o.Progress)
}

// Begin checks an import and gives it its row; Resume does the work. A caller who need not wait takes these two in the place of Import.
func (in *Intake) Begin(ctx context.Context, scope id.Scope, o Options) (id.Import, error) {
	if _, err := in.check(&o); err != nil {
		return id.Import{}, err
	}
	j, err := in.begin(ctx, scope, o)
	if err != nil {
		return id.Import{}, err
	}
	return j.id, nil
}

func (in *Intake) begin(ctx context.Context, scope id.Scope, o Options) (*job, error) {
	j := &job{id: id.New[id.Import](), state: StateReading, version: 1, record: jobRecord{
		Source: o.Source, Format: o.Format, Files: o.Files, Country: o.Country, Systems: o.Systems, Complete: o.Complete, Settings: o.Settings,
	}}
	j.record.Result = newResult(j.id, o.Source)
	j.record.Result.Files = len(o.Files)
	return j, in.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		j.started = tx.Now
		sealed, err := in.sealJob(ctx, tx, j)
		if err != nil {
			return err
		}
		now := store.Millis(tx.Now)
		if _, err = tx.Exec(ctx, insertImport, tx.Organisation(), j.id, int64(j.state), []byte{}, now, now, sealed); err != nil {
			return fmt.Errorf("begin an import: %w", err)
		}
		return nil
	})
}

// Get gives one import.
func (in *Intake) Get(ctx context.Context, tx *store.Tx, imp id.Import) (Import, error) {
	j, err := in.readJob(ctx, tx, imp)
	if err != nil {
		return Import{}, err
	}
	return j.listed(), nil
}

func (j *job) listed() Import {
	return Import{
		ID: j.id, State: j.state, Source: j.record.Source, Format: j.record.Format, Files: j.record.Files, Started: j.started, Changed: j.changed,
		Result: j.record.Result,
	}
}

const maxFiles = 60_000

func (in *Intake) check(o *Options) (Mapper, error) {
	mapper, err := in.mapper(o.Format, o.Settings)
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(o.Source) == "" || len(o.Source) > 100:
		return nil, fault.New(fault.Invalid, "the source has no name, or one of more than 100 bytes").Hint("name the system that the files come from")
	case o.Source == people.SourceStaff:
		return nil, fault.New(fault.Invalid, "the name %q is taken", o.Source).Hint("name the system that the files come from")
	case len(o.Files) == 0:
		return nil, fault.New(fault.Invalid, "no file to import")
	case len(o.Files) > maxFiles:
		return nil, fault.New(fault.TooLarge, "an import takes at most %d files", maxFiles)
	}
	o.Files = slices.Clone(o.Files)
	for i := range o.Files {
		if err := o.Files[i].inspect(); err != nil {
			return nil, err
		}
	}
	return mapper, nil
}

// mapper gives the mapper of a format with the settings of an import.
func (in *Intake) mapper(format string, settings []byte) (Mapper, error) {
	m := in.mappers[format]
	if m == nil {
		return nil, fault.New(fault.Invalid, "no format %q", format).Hint("the formats are %s", strings.Join(slices.Sorted(maps.Keys(in.mappers)), ", "))
	}
	if c, is := m.(Cutting); is {
		return c.Set(settings)
	}
	return m, nil
}

// Resume goes on with an import that was stopped.
func (in *Intake) Resume(ctx context.Context, scope id.Scope, imp id.Import, progress func(Progress)) (*Result, error) {
	j, err := in.loadJob(ctx, scope, imp)
	if err != nil {
		return nil, err
	}
	switch j.state {
	case StateReading, StateApplying, StateFailed:
	case StateDone:
		return j.record.Result, nil
	case StateUndoing:
		_, err := in.Undo(ctx, scope, imp)
		return j.record.Result, err
	case StateRemap:
		return in.Remap(ctx, scope, imp, progress)
	case StateUndone:
		return nil, fault.New(fault.Conflict, "the import was undone").At("%s", imp)
	}
	if j.state == StateFailed {
		j.state = StateReading
	}
	mapper, err := in.mapper(j.record.Format, j.record.Settings)
	if err != nil {
		return nil, err
	}
	return in.work(ctx, scope, mapper, j, progress)
}

// work goes on with an import, on one node at a time.
func (in *Intake) work(ctx context.Context, scope id.Scope, mapper Mapper, j *job, progress func(Progress)) (result *Result, err error) {
	led, err := in.Store.TryLead(ctx, "import "+j.id.String(), func(ctx context.Context, _ int64) (err error) {
		result, err = in.workAlone(ctx, scope, mapper, j, progress)
		return err
	})
	if err == nil && !led {
		return nil, fault.New(fault.Conflict, "another process works on the import").At("%s", j.id).Hint("let it finish")
	}
	return result, err
}

func (in *Intake) workAlone(ctx context.Context, scope id.Scope, mapper Mapper, j *job, progress func(Progress)) (*Result, error) {
	w := &worker{Intake: in, scope: scope, mapper: mapper, job: j, progress: progress}
	if w.progress == nil {
		w.progress = func(Progress) {}
	}
	if j.state == StateReading {
		if err := w.read(ctx); err != nil {
			return nil, w.failed(ctx, err)
		}
	}
	if err := w.apply(ctx); err != nil {
		return nil, err
	}
	return w.job.record.Result, nil
}

// worker is one caller's work on one import.
type worker struct {
	*Intake
	scope    id.Scope
	mapper   Mapper
	job      *job
	progress func(Progress)
	told     time.Time
	again    bool // mapped again: the counts are of this time, not of the import as a whole
}

// failed notes an import whose files cannot be read on; what was committed stays, and Resume tries again.
func (w *worker) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
		return err
	}
	return errors.Join(err, w.commit(ctx, func(_ context.Context, _ *store.Tx, next *job) error {
		next.state = StateFailed
		return nil
	}))
}

// commit runs one step of the work in a transaction with the job's row, on a copy of the job that counts only when it is committed.
func (w *worker) commit(ctx context.Context, step func(ctx context.Context, tx *store.Tx, next *job) error) error {
	var next *job
	err := w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
		next = w.job.clone()
		if err := step(ctx, tx, next); err != nil {
			return err
		}
		return w.saveJob(ctx, tx, next)
	})
	if err == nil {
		w.job = next
	}
	return err
}

// Imports lists the organisation's imports, the newest first.
func (in *Intake) Imports(ctx context.Context, tx *store.Tx, limit int) ([]Import, error) {
	rows, err := tx.Query(ctx, selectImports, tx.Organisation(), limit)
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	var jobs []*job
	var sealed [][]byte
	err = each(rows, func() error {
		j := &job{}
		s, err := j.scan(func(to ...any) error { return rows.Scan(append([]any{&j.id}, to...)...) })
		jobs, sealed = append(jobs, j), append(sealed, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]Import, 0, len(jobs))
	for i, j := range jobs {
		if err := in.openJob(ctx, tx, j, sealed[i]); err != nil {
			return nil, err
		}
		all = append(all, j.listed())
	}
	return all, nil
}

// Unfinished gives the organisation's imports that were stopped in the middle, the oldest first: Resume goes on with them.
func (in *Intake) Unfinished(ctx context.Context, tx *store.Tx) ([]id.Import, error) {
	rows, err := tx.Query(ctx, selectUnfinished, tx.Organisation()) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return nil, fmt.Errorf("list unfinished imports: %w", err)
	}
	var all []id.Import
	return all, each(rows, func() error {
		var imp id.Import
		err := rows.Scan(&imp)
		all = append(all, imp)
		return err
	})
}
