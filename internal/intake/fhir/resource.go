package fhir

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/people"
)

// resource is one JSON object taken apart at its first level. Each field is decoded by itself, so that a bad one spoils nothing
// but itself; fields that nobody asks for are never decoded.
type resource struct {
	kind     string
	fields   []field
	warnings []people.Warning
}

type field struct {
	name string
	raw  json.RawMessage
	bad  string // why it must not be read; empty when it may
}

// The reasons for leaving a field out.
const (
	reasonTwice     = "occurs twice"
	reasonUTF8      = "is not UTF-8"
	reasonType      = "is not of the type that FHIR gives it"
	reasonNotList   = "is one object where a list belongs: read as one"
	reasonCode      = "has a code that is not in its value set"
	reasonDate      = "is not a date"
	reasonCalendar  = "is a date that no calendar has"
	reasonCut       = "held characters that may not be kept, or was too long"
	reasonReference = "is a reference that cannot be read"
)

// whose values decide who a message is about: such a field must not be there twice.
var identifying = map[string]bool{
	"resourceType": true, "id": true, "subject": true, "patient": true, "beneficiary": true, "participant": true, "identifier": true, "link": true,
}

// parse takes an object apart. Names count exactly as written (encoding/json alone would take any case); of duplicates none is taken.
func parse(body []byte) (*resource, error) {
	if !json.Valid(body) {
		return nil, syntaxFault(body)
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return nil, fault.New(fault.Invalid, "not a JSON object")
	}
	r := &resource{fields: make([]field, 0, 24)}
	for i := 1; ; {
		i = skipSpace(body, i)
		if body[i] == '}' {
			break
		}
		if body[i] == ',' {
			i++
			continue
		}
		end := skipString(body, i)
		name := string(body[i+1 : end-1])
		if bytes.IndexByte(body[i:end], '\\') >= 0 {
			if err := json.Unmarshal(body[i:end], &name); err != nil {
				return nil, syntaxFault(body)
			}
		}
		i = skipSpace(body, skipSpace(body, end)+1) // over the colon
		end = skipValue(body, i)
		if err := r.add(name, body[i:end:end]); err != nil {
			return nil, err
		}
		i = end
	}
	if err := r.decode("resourceType", &r.kind); err != nil || r.kind == "" {
		return nil, fault.New(fault.Invalid, "no resourceType")
	}
	return r, nil
}

func syntaxFault(body []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	if se, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // as encoding/json gives it
		if se.Offset >= int64(len(body)) {
			return fault.New(fault.Invalid, "JSON that is cut short")
		}
		return fault.New(fault.Invalid, "not JSON, at byte %d", se.Offset)
	}
	return fault.New(fault.Invalid, "not JSON")
}

// maxFields is the most fields of one object: R4's largest resource has about a hundred with all its extensions.
const maxFields = 1000

func (r *resource) add(name string, raw []byte) error {
	if len(r.fields) == maxFields {
		return fault.New(fault.Invalid, "more than %d fields in one object", maxFields)
	}
	for i := range r.fields {
		if r.fields[i].name != name {
			continue
		}
		if identifying[name] {
			return fault.New(fault.Invalid, "the field %s occurs twice", name)
		}
		r.fields[i].bad = reasonTwice
		return nil
	}
	f := field{name: name, raw: raw}
	if !utf8.Valid(raw) {
		f.bad = reasonUTF8
	}
	r.fields = append(r.fields, f)
	return nil
}

// The skippers go over what json.Valid has found to be JSON.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch b[i] {
			case '"':
				i = skipString(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] != ' ' && b[i] != '\t' && b[i] != '\n' && b[i] != '\r' {
		i++
	}
	return i
}

// raw gives a field's bytes when it may be read.
func (r *resource) raw(name string) json.RawMessage {
	for i := range r.fields {
		if f := &r.fields[i]; f.name == name {
			if f.bad != "" {
				r.warn(name, f.bad)
				return nil
			}
			if string(f.raw) == "null" {
				return nil
			}
			return f.raw
		}
	}
	return nil
}

func (r *resource) decode(name string, into any) error {
	raw := r.raw(name)
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		r.warn(name, reasonType)
		return err
	}
	return nil
}

// get decodes a field; the zero value when it is not there or not of the type.
func get[T any](r *resource, name string) T {
	var v, none T
	if err := r.decode(name, &v); err != nil {
		return none // half a value is none
	}
	return v
}

// list decodes a list element by element, so that one bad element costs only itself.
func list[T any](r *resource, name string) []T {
	raw := r.raw(name)
	if raw == nil {
		return nil
	}
	if raw[0] == '{' {
		r.warn(name, reasonNotList)
		var v T
		if json.Unmarshal(raw, &v) != nil {
			return nil
		}
		return []T{v}
	}
	if raw[0] != '[' {
		r.warn(name, reasonType)
		return nil
	}
	var all []T
	for i, n := 1, 0; ; n++ {
		for i = skipSpace(raw, i); raw[i] == ','; i = skipSpace(raw, i+1) {
		}
		if raw[i] == ']' {
			return all
		}
		end := skipValue(raw, i)
		var v T
		if err := json.Unmarshal(raw[i:end], &v); err != nil {
			r.warn(name+"["+strconv.Itoa(n)+"]", reasonType)
		} else {
			all = append(all, v)
		}
		i = end
	}
}

// warn notes a part that was left out; a part is named once.
func (r *resource) warn(name, reason string) {
	for _, w := range r.warnings {
		if w.Field == name && w.Reason == reason {
			return
		}
	}
	r.warnings = append(r.warnings, people.Warning{Resource: r.kind, Field: name, Reason: reason})
}

// text cleans a text that is kept, and warns when something had to go.
func (r *resource) text(name, s string) string {
	clean, changed := people.CleanText(s, maxText)
	if changed {
		r.warn(name, reasonCut)
	}
	return clean
}

// maxText is the longest single text that is kept, in bytes.
const maxText = 1024
