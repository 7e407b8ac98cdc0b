package gate

import (
	"strings"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/organisation"
)

// FindingsOf reads what the content lint found as values. What blocks is held; what looks like health information is protected.
func FindingsOf(all []compose.Finding) []Finding {
	var out []Finding
	for _, x := range all {
		f := Finding{Code: string(x.Code)}
		switch {
		case x.Severity >= compose.SeverityBlock:
			f.Effect = EffectHold
		case x.Code == compose.FindSubjectTopic:
			f.Effect = EffectProtect
		case x.Severity < compose.SeverityWarn:
			continue // a note for the author's eyes in the editor
		}
		out = append(out, f)
	}
	return out
}

// ElementsOf tells what a rendered mail really carries: it looks for the links and lines in the text, not for the intent.
func ElementsOf(class organisation.Class, links compose.Links, brand compose.Brand, r compose.Rendered) Elements {
	e := Elements{OptOut: links.Unsubscribe != "" && strings.Contains(r.Text, links.Unsubscribe)}
	for _, line := range brand.Postal {
		if line != "" && strings.Contains(r.Text, line) {
			e.PostalAddress = true
		}
	}
	// Rendering puts the identification into every commercial message: 15 USC 7704(a)(5)(A)(i).
	e.AdLabel = class == organisation.ClassCommercial && r.Text != ""
	return e
}
