package csv

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// Mapping says how a file is read and what its columns are: data, with a version, kept sealed with the import and good for the next
// file of the same kind. What was detected stands in it; nothing is detected again when it is used.
type Mapping struct {
	Version   int    `json:"version" doc:"1"`
	Name      string `json:"name" doc:"Of the kind of file; part of what tells the profiles of a source apart"`
	Known     string `json:"known,omitempty" doc:"The known export whose header this is"`
	Encoding  string `json:"encoding"`
	Guessed   bool   `json:"guessed,omitempty" doc:"The encoding is a guess: look at a name with an accent"`
	Delimiter string `json:"delimiter"`
	Quote     string `json:"quote,omitempty"`
	Newline   string `json:"newline,omitempty" doc:"cr in files of old Macs"`
	Header    int64  `json:"header" doc:"The line of the column names; 0 is none"`
	Width     int    `json:"width" doc:"How many cells a record has"`
	Short     bool   `json:"short,omitempty" doc:"Records with fewer cells are taken; the missing ones are empty"`
	Kind      string `json:"kind,omitempty" doc:"Of the people: patient, prospect or correspondent"`
	Prefix    string `json:"prefix,omitempty" doc:"Before keys of people, so that two numberings of one source stay apart"`

	Columns  []Column  `json:"columns"`
	Facts    []Fact    `json:"facts,omitempty"`
	Events   []Event   `json:"events,omitempty"`
	Suppress *Suppress `json:"suppress,omitempty" doc:"The file lists addresses that are not to be written to"`
	Ignored  []string  `json:"ignored,omitempty" doc:"Columns that are not read"`
	Refused  []string  `json:"refused,omitempty" doc:"Columns that may not be read: social security and the like"`
}

// Column is one column and the field that its cells fill.
type Column struct {
	Header string            `json:"header" doc:"As the file writes it"`
	At     int               `json:"at,omitempty" doc:"Its place, from 1; found by the header when left out"`
	Field  string            `json:"field"`
	Use    string            `json:"use,omitempty" doc:"Of a phone, address or email: home, work, mobile"`
	System string            `json:"system,omitempty" doc:"Of an identifier, or of codes"`
	Type   string            `json:"type,omitempty" doc:"Of an identifier: MR is a record number, MB a member number"`
	Name   string            `json:"name,omitempty" doc:"Of a custom field"`
	Dates  string            `json:"dates,omitempty" doc:"How the column writes dates; two with a bar between mean that somebody must choose"`
	Split  string            `json:"split,omitempty" doc:"What stands between several values in one cell"`
	JSON   string            `json:"json,omitempty" doc:"The cell is a JSON object; this member of it is the value"`
	Values map[string]string `json:"values,omitempty" doc:"What a cell means, by its text in lower case"`
	In     string            `json:"in,omitempty" doc:"The fact or event that the column belongs to"`
	Topic  string            `json:"topic,omitempty" doc:"Of a consent"`
	To     string            `json:"to,omitempty" doc:"The channel of a consent: email, text, post"`
}

// Fact is a kind of fact that each record states.
type Fact struct {
	Name   string `json:"name"`
	Kind   string `json:"kind" doc:"condition, medication, dispense, observation, procedure, immunization, encounter, appointment, coverage or allergy"`
	State  string `json:"state,omitempty" doc:"When no column says it"`
	System string `json:"system,omitempty"`
	Code   string `json:"code,omitempty" doc:"When no column says it"`
	Class  string `json:"class,omitempty" doc:"Of an encounter: AMB, VR, EMER, IMP"`
	Unit   string `json:"unit,omitempty"`
}

// Event is a kind of event that each record states.
type Event struct {
	Name string `json:"name"`
	Kind string `json:"kind" doc:"email.opened, portal.login, ..."`
}

// Suppress says what the addresses of the file are suppressed for.
type Suppress struct {
	Covers string `json:"covers" doc:"address, all, commercial or fundraising; a column stop may say it record by record"`
	Reason string `json:"reason"`
}

// version is the one that is written; older ones are read.
const version = 1

const (
	maxColumns  = 1000
	maxSettings = 1 << 20
)

// The fields of columns.
const (
	fieldKey        = "key"
	fieldIdentifier = "identifier"
	fieldName       = "name"
	fieldFamily     = "family"
	fieldGiven      = "given"
	fieldMiddle     = "middle"
	fieldPrefix     = "prefix"
	fieldSuffix     = "suffix"
	fieldBirth      = "birth"
	fieldSex        = "sex"
	fieldLanguage   = "language"
	fieldZone       = "zone"
	fieldDeceased   = "deceased"
	fieldDied       = "died"
	fieldActive     = "active"
	fieldEmail      = "email"
	fieldPhone      = "phone"
	fieldLine       = "line"
	fieldCity       = "city"
	fieldState      = "state"
	fieldPostal     = "postal"
	fieldCountry    = "country"
	fieldCustom     = "custom"
	fieldUpdated    = "updated"
	fieldConsent    = "consent"
	fieldConsentAt  = "consent_at"
	fieldOptOutAt   = "opt_out_at"
	fieldEvidence   = "evidence"
	fieldStop       = "stop"
	fieldID         = "id"
	fieldCode       = "code"
	fieldDisplay    = "display"
	fieldSystem     = "system"
	fieldStart      = "start"
	fieldEnd        = "end"
	fieldStatus     = "status"
	fieldValue      = "value"
	fieldUnit       = "unit"
	fieldClass      = "class"
	fieldKindOf     = "type"
	fieldPayor      = "payor"
	fieldAt         = "at"
)

// ofPerson and ofFact say which fields may stand where.
var (
	ofPerson = []string{
		fieldKey, fieldIdentifier, fieldName, fieldFamily, fieldGiven, fieldMiddle, fieldPrefix, fieldSuffix, fieldBirth, fieldSex, fieldLanguage,
		fieldZone, fieldDeceased, fieldDied, fieldActive, fieldEmail, fieldPhone, fieldLine, fieldCity, fieldState, fieldPostal, fieldCountry,
		fieldCustom, fieldUpdated, fieldConsent, fieldConsentAt, fieldOptOutAt, fieldEvidence, fieldStop,
	}
	ofFact = []string{
		fieldID, fieldCode, fieldDisplay, fieldSystem, fieldStart, fieldEnd, fieldStatus, fieldValue, fieldUnit, fieldClass, fieldKindOf, fieldPayor,
	}
	dated = []string{fieldBirth, fieldDied, fieldUpdated, fieldConsentAt, fieldOptOutAt, fieldStart, fieldEnd, fieldAt}
)

// Read reads a mapping. A field that it does not know is an error: it might be a misspelt one.
func Read(settings []byte) (*Mapping, error) {
	m := &Mapping{}
	if len(settings) > maxSettings {
		return nil, fault.New(fault.TooLarge, "a mapping of more than 1 MiB").At("mapping")
	}
	d := json.NewDecoder(bytes.NewReader(settings))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "not a mapping").At("mapping").Hint("carepost import mapping FILE prints one")
	}
	if d.More() {
		return nil, fault.New(fault.Invalid, "more than one mapping").At("mapping")
	}
	return m, nil
}

// check refuses a mapping that cannot be used as it is.
func (m *Mapping) check() error {
	at := func(where string, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, format, args...).At("%s", where)
	}
	switch {
	case m.Version != version:
		return at("version", "not a version of mappings that is known").Hint("it is %d", version)
	case !slices.Contains(encodings, m.Encoding):
		return errEncoding
	case len(m.Delimiter) != 1 || !strings.Contains(",;\t|", m.Delimiter):
		return at("delimiter", "not a delimiter").Hint(`it is one of , ; | and \t`)
	case m.Quote != "" && m.Quote != `"` && m.Quote != "'":
		return at("quote", "not a quote")
	case m.Newline != "" && m.Newline != "cr" && m.Newline != "lf":
		return at("newline", "not a line end").Hint("it is lf or cr")
	case m.Header < 0 || m.Header > 1000:
		return at("header", "not a line of a header")
	case m.Width < 1 || m.Width > maxColumns:
		return at("width", "a file of %d columns: at most %d are read", m.Width, maxColumns)
	case len(m.Columns) == 0 || len(m.Columns) > maxColumns:
		return at("columns", "no column, or more than %d", maxColumns)
	case m.Name == "" || len(m.Name) > 60 || len(m.Prefix) > 60:
		return at("name", "no name, or one of more than 60 bytes")
	case m.Kind != "" && kinds[m.Kind] == 0:
		return at("kind", "not a kind of person").Hint("it is patient, prospect or correspondent")
	case m.Suppress != nil && covers[m.Suppress.Covers] == nil:
		return at("suppress", "not what a suppression covers").Hint("it is address, all, commercial or fundraising")
	}
	for i := range m.Facts {
		if f := &m.Facts[i]; f.Name == "" || factKinds[f.Kind] == 0 || f.State != "" && states[f.State] == 0 {
			return at("facts", "fact %d has no name, or a kind or state that is not known", i+1)
		}
	}
	for i := range m.Events {
		if e := &m.Events[i]; e.Name == "" || e.Kind == "" || len(e.Kind) > 60 {
			return at("events", "event %d has no name or no kind", i+1)
		}
	}
	for i := range m.Columns {
		if err := m.checkColumn(i); err != nil {
			return err
		}
	}
	if m.Suppress == nil && !m.has(fieldKey) && !m.has(fieldIdentifier) && !m.has(fieldEmail) && !m.has(fieldPhone) {
		return at("columns", "no column says whom a record is about").Hint("map a key, an identifier, an email address or a telephone number")
	}
	return nil
}

func (m *Mapping) checkColumn(i int) error {
	c := &m.Columns[i]
	where := "columns"
	switch {
	case c.At < 1 || c.At > m.Width:
		return fault.New(fault.Invalid, "column %d has no place in the file", i+1).At("%s", where)
	case c.In == "" && !slices.Contains(ofPerson, c.Field), c.In != "" && !m.fieldOf(c):
		return fault.New(fault.Invalid, "column %d has a field that is not known", i+1).At("%s", where)
	case forbiddenHeader(c.Header):
		return fault.New(fault.Forbidden, "column %d holds numbers that may not be kept", i+1).At("%s", where).Hint("leave it out: 45 CFR 164.502(b)")
	case c.Field == fieldIdentifier && c.System == "":
		return fault.New(fault.Invalid, "column %d: an identifier needs a system", i+1).At("%s", where).Hint("a URI that names who gives the numbers")
	case c.Field == fieldCustom && c.Name == "":
		return fault.New(fault.Invalid, "column %d: a custom field needs a name", i+1).At("%s", where)
	case slices.Contains(dated, c.Field):
		if strings.Contains(c.Dates, "|") {
			return fault.New(fault.Invalid, "column %d: its dates may be read in two ways: %s", c.At, c.Dates).At("%s", where).
				Hint("choose one and put it in the mapping, or say --dates")
		}
		if _, known := formats[c.Dates]; !known {
			return fault.New(fault.Invalid, "column %d: not a way to write dates", c.At).At("%s", where).Hint("%s", formatNames())
		}
	}
	return nil
}

func (m *Mapping) fieldOf(c *Column) bool {
	for i := range m.Facts {
		if m.Facts[i].Name == c.In {
			return slices.Contains(ofFact, c.Field)
		}
	}
	return slices.ContainsFunc(m.Events, func(e Event) bool { return e.Name == c.In }) && (c.Field == fieldAt || c.Field == fieldID)
}

func (m *Mapping) has(field string) bool {
	return slices.ContainsFunc(m.Columns, func(c Column) bool { return c.Field == field && c.In == "" })
}

// bind finds the places of columns by their headers: of equal ones in their order.
func (m *Mapping) bind(header []string) error {
	used := map[int]bool{}
	for i := range m.Columns {
		c := &m.Columns[i]
		if c.At > 0 {
			used[c.At] = true
		}
	}
	for i := range m.Columns {
		c := &m.Columns[i]
		if c.At > 0 {
			if c.Header != "" && c.At <= len(header) && plainHeader(header[c.At-1]) != plainHeader(c.Header) {
				return fault.New(fault.Invalid, "column %d has another header than the mapping says", c.At).At("columns").Hint("is it the mapping of this kind of file?")
			}
			continue
		}
		for at, h := range header {
			if plainHeader(h) == plainHeader(c.Header) && !used[at+1] {
				c.At = at + 1
				used[c.At] = true
				break
			}
		}
		if c.At == 0 {
			return fault.New(fault.Invalid, "the file lacks column %d of the mapping", i+1).At("columns").Hint("is it the mapping of this kind of file?")
		}
	}
	return nil
}

// plainHeader gives the letters and digits of a header, in lower case.
func plainHeader(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 0x7f && r != '\ufeff':
			return r
		}
		return -1
	}, text)
}
