package api

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// Template is a template as it travels.
type Template struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Version   int               `json:"version"`
	Withdrawn bool              `json:"withdrawn,omitempty"`
	Findings  []compose.Finding `json:"findings,omitempty"`
}

type templatesInput struct{ Place }

type templatesOutput struct {
	Body struct {
		Templates []Template `json:"templates"`
	}
}

func (f *Face) listTemplates(ctx context.Context, in *templatesInput) (*templatesOutput, error) {
	out := &templatesOutput{}
	out.Body.Templates = []Template{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Templates.List(ctx, tx)
		for _, t := range all {
			out.Body.Templates = append(out.Body.Templates, Template{ID: t.ID.String(), Name: t.Name, Version: t.Latest, Withdrawn: t.Withdrawn})
		}
		return err
	})
}

type createTemplateInput struct {
	Place
	Body struct {
		Name    string          `json:"name" minLength:"1" maxLength:"200"`
		Purpose string          `json:"purpose" doc:"treatment, payment, operations, refill, fundraising, marketing or service"`
		Class   string          `json:"class" enum:"transactional,commercial"`
		Content json.RawMessage `json:"content" doc:"Version, variables and variants: docs/templates.md"`
	}
}

type templateOutput struct{ Body Template }

// createTemplate stores a new template, or a new version of the one with this name.
func (f *Face) createTemplate(ctx context.Context, in *createTemplateInput) (*templateOutput, error) {
	purpose, class, err := declared(in.Body.Purpose, in.Body.Class)
	if err != nil {
		return nil, err
	}
	content, err := compose.ParseContent(in.Body.Content)
	if err != nil {
		return nil, err
	}
	out := &templateOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		old, err := f.template(ctx, tx, in.Body.Name)
		var v compose.TemplateVersion
		switch {
		case err == nil:
			v, err = f.Templates.Add(ctx, tx, old, content, purpose, class)
		case fault.Is(err, fault.NotFound):
			v, err = f.Templates.Create(ctx, tx, in.Body.Name, content, purpose, class)
		}
		if err != nil {
			return err
		}
		org, err := f.Organisations.Get(ctx, tx)
		out.Body = Template{ID: v.Template.String(), Name: in.Body.Name, Version: v.Number, Findings: compose.Lint(content, purpose, class, compose.BrandOf(org))}
		return err
	})
}

func declared(purpose, class string) (ledger.Purpose, organisation.Class, error) {
	p, err := ledger.ParsePurpose(purpose)
	if err != nil {
		return 0, 0, err
	}
	c, err := organisation.ParseClass(class)
	return p, c, err
}

// template finds a template by its id or its name.
func (f *Face) template(ctx context.Context, tx *store.Tx, text string) (id.Template, error) {
	if t, err := id.Parse[id.Template](text); err == nil {
		return t, nil
	}
	all, err := f.Templates.List(ctx, tx)
	if err != nil {
		return id.Template{}, err
	}
	for _, t := range all {
		if t.Name == text && !t.Withdrawn {
			return t.ID, nil
		}
	}
	return id.Template{}, fault.New(fault.NotFound, "there is no template of this name").Hint("carepost template list shows them")
}

type withdrawTemplateInput struct {
	Place
	Name string `path:"name"`
}

func (f *Face) withdrawTemplate(ctx context.Context, in *withdrawTemplateInput) (*emptyOutput, error) {
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		t, err := f.template(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		return f.Templates.Withdraw(ctx, tx, t)
	})
}

type previewTemplateInput struct {
	Place
	Name   string `path:"name"`
	Person string `query:"person" doc:"As this person would get it; without it, with the template's own samples"`
}

type previewTemplateOutput struct {
	Body struct {
		Language string            `json:"language"`
		Subject  string            `json:"subject"`
		Text     string            `json:"text"`
		HTML     string            `json:"html"`
		Findings []compose.Finding `json:"findings"`
	}
}

func (f *Face) previewTemplate(ctx context.Context, in *previewTemplateInput) (*previewTemplateOutput, error) {
	out := &previewTemplateOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		t, err := f.template(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		v, err := f.Templates.Version(ctx, tx, t, 0)
		if err != nil {
			return err
		}
		r, err := f.rendered(ctx, tx, v, in.Person)
		out.Body.Language, out.Body.Subject, out.Body.Text, out.Body.HTML, out.Body.Findings = r.Language, r.Subject, r.Text, r.HTML, r.Findings
		return err
	})
}

func (f *Face) rendered(ctx context.Context, tx *store.Tx, v compose.TemplateVersion, person string) (compose.Rendered, error) {
	org, err := f.Organisations.Get(ctx, tx)
	if err != nil {
		return compose.Rendered{}, err
	}
	if person == "" {
		return compose.Render(v, compose.Values{Vars: v.Samples(), Links: compose.Links{Unsubscribe: "https://" + org.Host + "/u/sample"}}, compose.BrandOf(org))
	}
	p, err := id.Parse[id.Person](person)
	if err != nil {
		return compose.Rendered{}, err
	}
	values, err := f.Sends.Values(ctx, tx, p)
	if err != nil {
		return compose.Rendered{}, err
	}
	if err := f.viewed(ctx, tx, p, v.Template.UUID(), "preview"); err != nil {
		return compose.Rendered{}, err
	}
	// What only the caller of a send gives has its sample's value; what is said of the person is the person's own.
	for name, sample := range v.Samples() {
		if name != "person" && !strings.HasPrefix(name, "person.") {
			values.Vars[name] = sample
		}
	}
	return compose.Render(v, values, compose.BrandOf(org))
}
