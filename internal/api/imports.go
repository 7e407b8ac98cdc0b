package api

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/store"
)

// Import is an import as it travels.
type Import struct {
	ID     string         `json:"id"`
	State  string         `json:"state" enum:"running,done,failed"`
	Error  string         `json:"error,omitempty"`
	Result *intake.Result `json:"result,omitempty"`
}

type createImportInput struct {
	Place
	Body struct {
		Source string `json:"source" minLength:"1" maxLength:"100" doc:"Name of the feed: the same system is always the same source"`
		Path   string `json:"path" maxLength:"4096" doc:"A folder or file on this machine, by its absolute path"`
		DryRun bool   `json:"dry_run,omitempty" doc:"Count and give reasons; change nothing"`
	}
}

type importOutput struct{ Body Import }

// createImport answers as soon as the import has its row, and goes on with it; a dry run answers when it is done.
func (f *Face) createImport(ctx context.Context, in *createImportInput) (*importOutput, error) {
	if !filepath.IsAbs(in.Body.Path) {
		return nil, fault.New(fault.Invalid, "not an absolute path").At("path")
	}
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	files, err := fhir.Files(in.Body.Path)
	if err != nil {
		return nil, at(err, "path")
	}
	o := intake.Options{Source: in.Body.Source, Format: fhir.Mapper{}.Format(), Files: files, DryRun: in.Body.DryRun}
	if o.DryRun {
		r, err := f.Intake.Import(ctx, s, o)
		if err != nil {
			return nil, err
		}
		return &importOutput{Import{State: "done", Result: r}}, nil
	}
	imp, err := f.Intake.Begin(ctx, s, o)
	if err != nil {
		return nil, err
	}
	f.Go(func(ctx context.Context) {
		if _, err := f.Intake.Resume(ctx, s, imp, nil); err != nil && ctx.Err() == nil {
			f.stopped.note(imp, fault.Text(err))
			slog.ErrorContext(ctx, "an import stopped", "import", imp, "error", err)
		}
	})
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
		out.Body = Import{ID: imp.String(), State: "running", Result: st.Result}
		switch st.State {
		case intake.StateDone, intake.StateUndone:
			out.Body.State = "done"
		case intake.StateFailed:
			out.Body.State = "failed"
		case intake.StateReading, intake.StateApplying:
		}
		if why, ok := f.stopped.why(imp); ok {
			out.Body.State, out.Body.Error = "failed", why
		}
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
