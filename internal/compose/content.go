package compose

import (
	"bytes"
	"encoding/json"
	"strings"

	"golang.org/x/text/language"

	"github.com/carepost/carepost/internal/fault"
)

// ContentVersion is the version of the JSON of a content. Readers refuse a newer one.
const ContentVersion = 1

// Limits of a content.
const (
	maxContentBytes = 512 << 10
	maxBlocks       = 200
	maxVariants     = 30
	maxVariables    = 100
	maxSourceBytes  = 16 << 10 // of one text with merge fields
	maxListItems    = 200
	maxTableRows    = 200
	maxTableColumns = 8
)

// Content is what a template version says, in every language it has. It is immutable once stored.
type Content struct {
	Version   int        `json:"version"`
	Variables []Variable `json:"variables,omitempty"`
	Variants  []Variant  `json:"variants"` // the first is the original
}

// VariableKind is what a merge field holds.
type VariableKind string

// The kinds of variables.
const (
	KindText   VariableKind = "text"
	KindNumber VariableKind = "number"
	KindFlag   VariableKind = "flag" // true or false, for conditions
	KindDate   VariableKind = "date" // 2026-11-24 or RFC 3339 with the offset to show it in
	KindLink   VariableKind = "link" // a whole https address; the only kind a link may be made of entirely
	KindList   VariableKind = "list" // of records with the fields named in Fields
)

// Variable declares one merge field. What is not declared cannot be used.
type Variable struct {
	Name     string       `json:"name"` // dotted lower-case words: person.first
	Kind     VariableKind `json:"kind"`
	Optional bool         `json:"optional,omitempty"` // may be absent; a required one holds the message when it is
	Clinical bool         `json:"clinical,omitempty"` // says something about health: never in a subject
	Fields   []string     `json:"fields,omitempty"`   // of a list's records
	Sample   any          `json:"sample,omitempty"`   // for previews
}

// Variant is the message in one language.
type Variant struct {
	Language    string       `json:"language"` // BCP 47
	Subject     string       `json:"subject"`
	Preheader   string       `json:"preheader,omitempty"` // the line that clients show beside the subject
	Blocks      Blocks       `json:"blocks"`
	Translation *Translation `json:"translation,omitempty"`
}

// Translation says how a variant that is not the original came to be. 45 CFR 92.201(c)(3): machine translation of critical text is
// reviewed by a qualified human.
type Translation struct {
	Machine    bool   `json:"machine,omitempty"`
	Translator string `json:"translator,omitempty"`
	Reviewer   string `json:"reviewer,omitempty"`
}

// ParseContent reads the JSON strictly and checks all that does not need values.
func ParseContent(data []byte) (Content, error) {
	var c Content
	if len(data) > maxContentBytes {
		return c, fault.New(fault.TooLarge, "the template is larger than %d KiB", maxContentBytes>>10)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, decodeFault(err)
	}
	if d.More() {
		return c, fault.New(fault.Invalid, "the template goes on after its end")
	}
	return c, c.Check()
}

// decodeFault keeps our own faults and tells the others' place, not their values.
func decodeFault(err error) error {
	if fault.CodeOf(err) != fault.Internal {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	return fault.Wrap(fault.Invalid, err, "not a template: %s", text).Hint("docs/templates.md shows the form")
}

// Check holds the content against its own declarations: every block, every merge field, every link, in every language.
func (c Content) Check() error {
	_, err := compile(c)
	return err
}

func (c Content) checkShape() error {
	switch {
	case c.Version != ContentVersion:
		return fault.New(fault.Invalid, "version %d of templates is not known", c.Version).At("version").Hint("write %d", ContentVersion)
	case len(c.Variants) == 0:
		return fault.New(fault.Invalid, "a template says nothing in no language").At("variants").Hint("give at least one variant")
	case len(c.Variants) > maxVariants || len(c.Variables) > maxVariables:
		return fault.New(fault.TooLarge, "more than %d languages or %d variables", maxVariants, maxVariables)
	}
	seen := map[string]bool{}
	for i, v := range c.Variants {
		tag, err := language.Parse(v.Language)
		if err != nil || tag == language.Und {
			return fault.New(fault.Invalid, "not a language").At("variants[%d].language", i).Hint("a BCP 47 tag, as in en, es or zh-Hant")
		}
		if seen[tag.String()] {
			return fault.New(fault.Invalid, "the language stands twice").At("variants[%d].language", i)
		}
		seen[tag.String()] = true
		if strings.TrimSpace(v.Subject) == "" {
			return fault.New(fault.Invalid, "a message has a subject").At("variants[%d].subject", i)
		}
		if len(v.Blocks) == 0 || len(v.Blocks) > maxBlocks {
			return fault.New(fault.Invalid, "a message has 1 to %d blocks", maxBlocks).At("variants[%d].blocks", i)
		}
	}
	return checkVariables(c.Variables)
}
