package compose

import (
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

// TemplateVersion is one immutable version of a template: what it says, and what it is declared to be. Purpose and Class are two
// independent declarations; neither is guessed from the other.
type TemplateVersion struct {
	Template id.Template
	Number   int
	Purpose  ledger.Purpose
	Class    organisation.Class
	Content  Content

	compiled *compiled
}

// NewVersion checks and compiles a content that no row holds: the program's own fixed texts, a preview, a one-off message.
func NewVersion(c Content, purpose ledger.Purpose, class organisation.Class) (TemplateVersion, error) {
	v := TemplateVersion{Purpose: purpose, Class: class, Content: c}
	var err error
	v.compiled, err = compile(c)
	return v, err
}

// Variables lists what the version reads of its caller's values, declared ones first to last.
func (v TemplateVersion) Variables() []Variable { return v.Content.Variables }

// Samples gives the declared samples, for previews.
func (v TemplateVersion) Samples() map[string]any {
	out := map[string]any{}
	for _, d := range v.Content.Variables {
		if d.Sample != nil {
			out[d.Name] = d.Sample
		}
	}
	return out
}
