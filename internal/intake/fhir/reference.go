package fhir

import (
	"net/url"
	"strings"

	"github.com/carepost/carepost/internal/people"
)

// target is what a reference names: a resource by its key, or somebody by an identifier.
type target struct {
	key        string // "Patient/p1"
	identifier people.Identifier
}

// resolve reads a reference: "Patient/p1", an absolute URL, "urn:uuid:...", "Patient?identifier=system|value" (as Synthea writes) or a
// logical one by identifier. kind is the type that belongs there; a reference to another type names nobody.
func (x reference) resolve(kind string) (t target, ok bool) {
	ref := strings.TrimSpace(x.Reference)
	switch {
	case ref == "":
		if x.Identifier == nil || strings.TrimSpace(x.Identifier.Value) == "" || x.Type != "" && x.Type != kind {
			return target{}, false
		}
		return target{identifier: people.Identifier{System: x.Identifier.System, Value: x.Identifier.Value}}, true
	case strings.HasPrefix(ref, "urn:uuid:"):
		return keyed(kind, kind, ref[len("urn:uuid:"):])
	case strings.HasPrefix(ref, "urn:oid:"):
		return keyed(kind, kind, ref[len("urn:oid:"):])
	case strings.Contains(ref, "?"):
		return conditional(ref, kind)
	}
	path, _, _ := strings.Cut(ref, "/_history/")
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return target{}, false
	}
	return keyed(kind, parts[len(parts)-2], parts[len(parts)-1])
}

func keyed(want, kind, id string) (target, bool) {
	if kind != want || !validID(id) {
		return target{}, false
	}
	return target{key: kind + "/" + id}, true
}

func conditional(ref, kind string) (target, bool) {
	path, query, _ := strings.Cut(ref, "?")
	if path[strings.LastIndexByte(path, '/')+1:] != kind {
		return target{}, false
	}
	// Synthea does not escape the bar or the system's colons; QueryUnescape takes both forms.
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name != "identifier" {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		system, id, ok := strings.Cut(value, "|")
		if !ok || id == "" {
			return target{}, false
		}
		return target{identifier: people.Identifier{System: system, Value: id}}, true
	}
	return target{}, false
}

// validID takes FHIR's ids (A-Z a-z 0-9 - . up to 64) and the underscores and lengths that servers in the field add.
func validID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
