package api

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/csv"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/store"
)

// Import is an import as it travels.
type Import struct {
	ID      string         `json:"id"`
	State   string         `json:"state" enum:"running,done,failed,undone"`
	Source  string         `json:"source,omitempty"`
	Format  string         `json:"format,omitempty"`
	Started string         `json:"started,omitempty"`
	Error   string         `json:"error,omitempty"`
	Result  *intake.Result `json:"result,omitempty"`
}

// ImportIn says what to import. The fields from format on are about CSV files; what they leave open is detected.
type ImportIn struct {
	Source   string       `json:"source,omitempty" maxLength:"100" doc:"Name of the feed: the same system is always the same source. Of a CSV file the name of its mapping, when left out"`
	Path     string       `json:"path" maxLength:"4096" doc:"A folder or file on this machine, by its absolute path"`
	DryRun   bool         `json:"dry_run,omitempty" doc:"Count and give reasons; change nothing"`
	Country  string       `json:"country,omitempty" maxLength:"2" doc:"ISO 3166: of telephone numbers without a prefix; US when left out"`
	Complete []string     `json:"complete,omitempty" maxItems:"50" doc:"Kinds of events that the source delivers completely, on your word"`
	Format   string       `json:"format,omitempty" enum:"fhir,csv" doc:"By the file's name when left out"`
	Encoding string       `json:"encoding,omitempty" maxLength:"20"`
	Dates    string       `json:"dates,omitempty" maxLength:"10" doc:"Of columns whose dates may be read in two ways: m/d/y or d/m/y"`
	Mapping  *csv.Mapping `json:"mapping,omitempty" doc:"Of a CSV file; proposed by its header when left out"`
}

type createImportInput struct {
	Place
	Body ImportIn
}

type importOutput struct{ Body Import }

// options says what an import is to do. A CSV file gets its mapping here, before anything is read.
func (in *ImportIn) options() (intake.Options, error) {
	o := intake.Options{Source: in.Source, Format: in.Format, DryRun: in.DryRun, Country: in.Country, Complete: in.Complete}
	if !filepath.IsAbs(in.Path) {
		return o, fault.New(fault.Invalid, "not an absolute path").At("path")
	}
	if o.Format == "" && (in.Mapping != nil || csv.Is(in.Path)) {
		o.Format = csv.Mapper{}.Format()
	}
	if o.Format == "" {
		o.Format = fhir.Mapper{}.Format()
	}
	var err error
	if o.Format == (csv.Mapper{}).Format() {
		m, err := csv.Propose(in.Path, csv.Asked{Encoding: in.Encoding, Dates: in.Dates, Mapping: in.Mapping})
		if err != nil {
			return o, err
		}
		o.Files, o.Source = []intake.File{{Path: in.Path}}, cmp.Or(in.Source, m.Name)
		o.Settings, err = m.Settings()
		return o, err
	}
	if in.Source == "" {
		return o, fault.New(fault.Invalid, "the source has no name").At("source").Hint("name the system that the files come from")
	}
	if o.Files, err = fhir.Files(in.Path); err != nil {
		return o, at(err, "path")
	}
	return o, nil
}

// createImport answers as soon as the import has its row, and goes on with it; a dry run answers when it is done.
func (f *Face) createImport(ctx context.Context, in *createImportInput) (*importOutput, error) {
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	o, err := in.Body.options()
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		r, err := f.Intake.Import(ctx, s, o)
		if err != nil {
			return nil, err
		}
		out := &importOutput{Import{State: "done", Source: o.Source, Format: o.Format, Result: r}}
		out.Body.judge()
		return out, nil
	}
	imp, err := f.Intake.Begin(ctx, s, o)
	if err != nil {
		return nil, err
	}
	f.goOn(imp, func(ctx context.Context) error {
		_, err := f.Intake.Resume(ctx, s, imp, nil)
		return err
	})
	return &importOutput{Import{ID: imp.String(), State: "running", Source: o.Source, Format: o.Format}}, nil
}

// goOn works on an import behind the answer, and keeps why it stopped.
func (f *Face) goOn(imp id.Import, work func(ctx context.Context) error) {
	f.stopped.forget(imp)
	f.Go(func(ctx context.Context) {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			f.stopped.note(imp, fault.Text(err))
			slog.ErrorContext(ctx, "an import stopped", "import", imp, "error", err)
		}
	})
}

// judge calls an import failed of which nothing could be applied.
func (i *Import) judge() {
	if i.State == "done" && i.Result != nil && i.Result.Nothing() {
		i.State, i.Error = "failed", "nothing of it could be applied"
	}
}

type proposeMappingInput struct {
	Place
	Body struct {
		Path     string       `json:"path" maxLength:"4096" doc:"A file on this machine, by its absolute path"`
		Encoding string       `json:"encoding,omitempty" maxLength:"20"`
		Dates    string       `json:"dates,omitempty" maxLength:"10"`
		Mapping  *csv.Mapping `json:"mapping,omitempty" doc:"What stands in it is not detected"`
	}
}

// Proposal is what a CSV file seems to be.
type Proposal struct {
	Mapping   *csv.Mapping `json:"mapping"`
	Undecided []int        `json:"undecided" doc:"Places of columns whose dates may be read in two ways: somebody must choose"`
}

type proposeMappingOutput struct{ Body Proposal }

// proposeMapping reads a file and changes nothing.
func (f *Face) proposeMapping(ctx context.Context, in *proposeMappingInput) (*proposeMappingOutput, error) {
	if _, err := f.scope(ctx, in); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(in.Body.Path) {
		return nil, fault.New(fault.Invalid, "not an absolute path").At("path")
	}
	m, err := csv.Propose(in.Body.Path, csv.Asked{Encoding: in.Body.Encoding, Dates: in.Body.Dates, Mapping: in.Body.Mapping})
	if err != nil {
		return nil, err
	}
	out := &proposeMappingOutput{Proposal{Mapping: m, Undecided: m.Undecided()}}
	if out.Body.Undecided == nil {
		out.Body.Undecided = []int{}
	}
	return out, nil
}

type listImportsInput struct {
	Place
	Limit int `query:"limit" minimum:"0" maximum:"200"`
}

type listImportsOutput struct {
	Body struct {
		Imports []Import `json:"imports"`
	}
}

func (f *Face) listImports(ctx context.Context, in *listImportsInput) (*listImportsOutput, error) {
	out := &listImportsOutput{}
	out.Body.Imports = []Import{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Intake.Imports(ctx, tx, cmp.Or(in.Limit, 50))
		for i := range all {
			out.Body.Imports = append(out.Body.Imports, f.importOf(&all[i]))
		}
		return err
	})
}

func (f *Face) importOf(st *intake.Import) Import {
	out := Import{ID: st.ID.String(), State: "running", Source: st.Source, Format: st.Format, Started: st.Started.Format(time.RFC3339), Result: st.Result}
	switch st.State {
	case intake.StateDone:
		out.State = "done"
	case intake.StateUndone:
		out.State = "undone"
	case intake.StateFailed:
		out.State = "failed"
	case intake.StateReading, intake.StateApplying, intake.StateUndoing, intake.StateRemap:
	}
	if why, ok := f.stopped.why(st.ID); ok {
		out.State, out.Error = "failed", why
	}
	out.judge()
	return out
}

// undoImport takes an import back, behind the answer.
func (f *Face) undoImport(ctx context.Context, in *importInput) (*importOutput, error) {
	return f.again(ctx, in, "undone", func(ctx context.Context, s id.Scope, imp id.Import) error {
		_, err := f.Intake.Undo(ctx, s, imp)
		return err
	})
}

// remapImport maps what was kept of an import once more, behind the answer.
func (f *Face) remapImport(ctx context.Context, in *importInput) (*importOutput, error) {
	return f.again(ctx, in, "mapped again", func(ctx context.Context, s id.Scope, imp id.Import) error {
		_, err := f.Intake.Remap(ctx, s, imp, nil)
		return err
	})
}

func (f *Face) again(ctx context.Context, in *importInput, what string, work func(ctx context.Context, s id.Scope, imp id.Import) error) (*importOutput, error) {
	imp, err := id.Parse[id.Import](in.ID)
	if err != nil {
		return nil, err
	}
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	err = f.Store.Read(ctx, s, func(ctx context.Context, tx *store.Tx) error {
		st, err := f.Intake.Get(ctx, tx, imp)
		if err == nil && st.State != intake.StateDone && (what != "undone" || st.State == intake.StateUndone) {
			return fault.New(fault.Conflict, "the import is %s and cannot be %s", st.State, what).At("%s", imp)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := f.Intake.Mark(ctx, s, imp, what == "undone"); err != nil {
		return nil, err
	}
	f.goOn(imp, func(ctx context.Context) error { return work(ctx, s, imp) })
	return &importOutput{Import{ID: imp.String(), State: "running"}}, nil
}

// stopped keeps why the last imports of this process stopped. The texts are safe to show.
type stopped struct {
	mu    sync.Mutex
	texts map[id.Import]string
	order []id.Import
}

func (s *stopped) note(imp id.Import, text string) {
	const most = 100
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts == nil {
		s.texts = map[id.Import]string{}
	}
	if _, known := s.texts[imp]; !known {
		s.order = append(s.order, imp)
	}
	s.texts[imp] = text
	if len(s.order) > most {
		delete(s.texts, s.order[0])
		s.order = s.order[1:]
	}
}

func (s *stopped) forget(imp id.Import) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.texts[imp]; known {
		delete(s.texts, imp)
		s.order = slices.DeleteFunc(s.order, func(x id.Import) bool { return x == imp })
	}
}

func (s *stopped) why(imp id.Import) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.texts[imp]
	return text, ok
}

type importInput struct {
	Place
	ID string `path:"id"`
}

func (f *Face) getImport(ctx context.Context, in *importInput) (*importOutput, error) {
	imp, err := id.Parse[id.Import](in.ID)
	if err != nil {
		return nil, err
	}
	out := &importOutput{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		st, err := f.Intake.Get(ctx, tx, imp)
		if err != nil {
			return err
		}
		out.Body = f.importOf(&st)
		return nil
	})
}

type quarantineInput struct {
	Place
	ID    string `path:"id"`
	After int64  `query:"after" minimum:"0"`
}

// QuarantineLine is a line that was put aside.
type QuarantineLine struct {
	Number int64  `json:"number"`
	File   int    `json:"file"`
	Line   int64  `json:"line"`
	Kind   string `json:"kind,omitempty"`
	Reason string `json:"reason"`
	Waits  bool   `json:"waits,omitempty" doc:"Applied in part; the rest when what it refers to comes"`
}

type quarantineOutput struct {
	Body struct {
		Lines []QuarantineLine `json:"lines"`
	}
}

func (f *Face) listQuarantine(ctx context.Context, in *quarantineInput) (*quarantineOutput, error) {
	imp, err := id.Parse[id.Import](in.ID)
	if err != nil {
		return nil, err
	}
	out := &quarantineOutput{}
	out.Body.Lines = []QuarantineLine{}
	const page = 200
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		if _, err := f.Intake.Get(ctx, tx, imp); err != nil {
			return err
		}
		all, err := f.Intake.Quarantine(ctx, tx, imp, in.After, page)
		for _, q := range all {
			out.Body.Lines = append(out.Body.Lines, QuarantineLine{q.Seq, q.File, q.Line, q.Kind, q.Reason, q.Waits})
		}
		return err
	})
}
