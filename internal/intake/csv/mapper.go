package csv

import (
	"io"
	"strings"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/people"
)

// Mapper maps records by a Mapping. It implements intake.Cutting; the zero Mapper takes the settings of an import.
type Mapper struct {
	m      *Mapping
	blocks bool
	kind   string
}

var _ intake.Cutting = Mapper{}

// format is the name of the format in the rows of imports.
const format = "csv"

// Format names the mapper.
func (Mapper) Format() string { return format }

// Set reads a mapping.
func (Mapper) Set(settings []byte) (intake.Cutting, error) {
	if len(settings) == 0 {
		return nil, fault.New(fault.Invalid, "a CSV file needs a mapping").At("mapping").Hint("carepost import mapping FILE proposes one")
	}
	m, err := Read(settings)
	if err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return Mapper{m: m, blocks: m.aboutPeople() || m.Suppress != nil, kind: m.kindOf()}, nil
}

// aboutPeople tells whether a record says more of a person than whom it is about: then each is about another person.
func (m *Mapping) aboutPeople() bool {
	for i := range m.Columns {
		if c := &m.Columns[i]; c.In == "" && c.Field != fieldKey && c.Field != fieldUpdated && c.Field != fieldIdentifier {
			return true
		}
	}
	return len(m.Facts) == 0 && len(m.Events) == 0
}

// kindOf names the messages of the file.
func (m *Mapping) kindOf() string {
	switch {
	case m.Suppress != nil:
		return "suppression"
	case m.aboutPeople():
		return "person"
	case len(m.Facts) > 0:
		return m.Facts[0].Kind
	}
	return "event"
}

// Blocks tells that each record is about a person of its own.
func (x Mapper) Blocks() bool { return x.blocks }

// Complete says nothing: a table does not tell what it leaves out. The operator may vouch for it.
func (Mapper) Complete([]string) []string { return nil }

// Cut reads records.
func (x Mapper) Cut(r io.Reader, number, offset int64) intake.Cutter {
	return newCutter(r, x.m, number, offset)
}

// The reasons why a record is refused. They name no value.
const (
	reasonShort  = "fewer cells than the header has: a line broken in two?"
	reasonLong   = "more cells than the header has"
	reasonNobody = "nothing says whom the record is about"
	reasonTotal  = "a line of totals"
	reasonNoAt   = "no address that could be written to"
)

// Split tells what a record is: of a file about people a part of a block, else the message of a person.
func (x Mapper) Split(record []byte) ([]intake.Message, error) {
	m := intake.Message{Kind: x.kind, Turn: intake.TurnOrder, Body: record}
	if empty(record) {
		m.Turn = intake.TurnNone
		return []intake.Message{m}, nil
	}
	if x.blocks {
		return []intake.Message{m}, nil
	}
	r := &row{m: x.m}
	if err := r.read(record); err != nil {
		return []intake.Message{m}, err
	}
	if r.total() {
		m.Turn = intake.TurnNone
		return []intake.Message{m}, nil
	}
	r.find("")
	if r.subject == "" {
		return []intake.Message{m}, fault.New(fault.Invalid, reasonNobody)
	}
	m.Turn, m.Subject = intake.TurnPerson, r.subject
	return []intake.Message{m}, nil
}

// empty tells whether nothing but delimiters, quotes and blanks stands in a record.
func empty(record []byte) bool {
	for _, b := range record {
		switch b {
		case ' ', '\t', ',', ';', '|', '"', 0, '\r', '\n':
		default:
			return false
		}
	}
	return true
}

// Map gives what a record says of people.
func (x Mapper) Map(m *intake.Message, c *intake.Context) ([]people.Change, error) {
	changes, _, err := x.Say(m, c)
	return changes, err
}

// Say gives what a record says of people, and of addresses that are not to be written to.
func (x Mapper) Say(m *intake.Message, c *intake.Context) ([]people.Change, []consent.Suppression, error) {
	r := &row{m: x.m, c: c}
	if err := r.read(m.Body); err != nil {
		return nil, nil, err
	}
	if r.total() {
		return []people.Change{{Source: c.Source, Warnings: []people.Warning{{Resource: ofRecord, Field: "record", Reason: reasonTotal}}}}, nil, nil
	}
	if x.m.Suppress != nil {
		stop, err := r.suppression()
		if err != nil {
			return nil, nil, err
		}
		return nil, stop, nil
	}
	r.find(c.Source)
	if r.subject == "" {
		return nil, nil, fault.New(fault.Invalid, reasonNobody)
	}
	change := people.Change{Source: c.Source, Subject: r.subject, Active: true}
	if x.blocks {
		r.profile(&change)
	}
	r.facts(&change)
	r.events(&change)
	change.Warnings = r.warnings
	return []people.Change{change}, r.stops, nil
}

// row is a record at work.
type row struct {
	m        *Mapping
	c        *intake.Context
	cells    []string
	room     [40]string
	subject  string
	warnings []people.Warning
	stops    []consent.Suppression
}

// read takes a record apart.
func (r *row) read(record []byte) error {
	text, reason := decode(r.m.Encoding, record)
	if reason != "" {
		return fault.New(fault.Invalid, "%s", reason)
	}
	var quote byte
	if r.m.Quote != "" {
		quote = r.m.Quote[0]
	}
	r.cells = cells(text, r.m.Delimiter[0], quote, r.room[:0])
	for len(r.cells) > r.m.Width && strings.TrimSpace(r.cells[len(r.cells)-1]) == "" {
		r.cells = r.cells[:len(r.cells)-1]
	}
	switch {
	case len(r.cells) > r.m.Width:
		return fault.New(fault.Invalid, reasonLong)
	case len(r.cells) < r.m.Width && !r.m.Short && !r.total():
		return fault.New(fault.Invalid, reasonShort)
	}
	return nil
}

var totals = []string{"total", "grand total", "count", "number of", "end of", "records", "rows", "report", "page "}

// total finds the line below a report: one cell alone, or the first two, that speaks of totals.
func (r *row) total() bool {
	if r.m.Width < 3 || len(r.cells) == 0 {
		return false
	}
	filled := 0
	for _, c := range r.cells {
		if strings.TrimSpace(c) != "" {
			filled++
		}
	}
	if filled == 0 || filled > 2 {
		return false
	}
	first := strings.ToLower(strings.TrimSpace(r.cells[0]))
	for _, t := range totals {
		if strings.HasPrefix(first, t) {
			return true
		}
	}
	return false
}

func (r *row) warn(c *Column, reason string) {
	r.warnings = append(r.warnings, people.Warning{Resource: ofRecord, Field: "column " + itoa(c.At), Reason: reason})
}

// ofRecord says that a warning is of the mapping.
const ofRecord = "record"

func itoa(n int) string {
	if n < len(numbers) {
		return numbers[n]
	}
	return numbers[0]
}

// numbers saves a text per warning.
var numbers = func() (all [maxColumns + 1]string) {
	for i := range all {
		text := ""
		for n := i; n > 0; n /= 10 {
			text = string(rune('0'+n%10)) + text
		}
		all[i] = text
	}
	return all
}()

// value gives the text of a column, tidied and with its values looked up; empty when it says nothing or cannot be believed.
func (r *row) value(c *Column) string {
	if c.At > len(r.cells) {
		return ""
	}
	text, reason := tidy(r.cells[c.At-1])
	if reason != "" {
		r.warn(c, reason)
		return ""
	}
	if text == "" {
		return ""
	}
	if c.JSON != "" {
		inner, ok := member(text, c.JSON)
		if !ok {
			r.warn(c, reasonJSON)
			return ""
		}
		if text, reason = tidy(inner); reason != "" {
			r.warn(c, reason)
			return ""
		}
	}
	if c.Values != nil {
		if v, known := c.Values[strings.ToLower(text)]; known {
			return v
		}
		if v, rest := c.Values["*"]; rest {
			return v
		}
		r.warn(c, reasonWord)
		return ""
	}
	return text
}

// number gives a value that may be a number which a spreadsheet rounded: then it is left out.
func (r *row) number(c *Column) string {
	text := r.value(c)
	if mangled(text) {
		r.warn(c, reasonMangled)
		return ""
	}
	return text
}

// several gives the values of a cell that holds more than one.
func (r *row) several(c *Column) []string {
	text := r.value(c)
	if text == "" {
		return nil
	}
	if c.Split == "" || !strings.Contains(text, c.Split) {
		return []string{text}
	}
	var all []string
	for part := range strings.SplitSeq(text, c.Split) {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

func (r *row) moment(c *Column) (people.Moment, bool) {
	text := r.value(c)
	if text == "" {
		return people.Moment{}, false
	}
	received := r.c.Received
	m, ok := readDate(c.Dates, text, received, c.Field != fieldStart && c.Field != fieldEnd)
	if !ok {
		r.warn(c, reasonDate)
	}
	return m, ok
}

// find says whom the record is about: the source's key, else a record number, else an address.
func (r *row) find(string) {
	prefix := r.m.Prefix
	if prefix == "" {
		prefix = "csv:"
	}
	kept := len(r.warnings)
	defer func() { r.warnings = r.warnings[:kept] }() // they are given when the fields are read
	for _, field := range []string{fieldKey, fieldIdentifier, fieldEmail, fieldPhone} {
		for i := range r.m.Columns {
			c := &r.m.Columns[i]
			if c.Field != field || c.In != "" {
				continue
			}
			if key := r.key(c); key != "" {
				if field == fieldKey {
					r.subject = prefix + key
				} else {
					r.subject = prefix + field + ":" + key
				}
				return
			}
		}
	}
}

func (r *row) key(c *Column) string {
	text := r.number(c)
	if text == "" || looksLikeSSN(text) || len(text) > 128 {
		return ""
	}
	switch c.Field {
	case fieldEmail:
		if c.Split != "" {
			text, _, _ = strings.Cut(text, c.Split)
		}
		normal, err := people.NormalEmail(text)
		if err != nil {
			return ""
		}
		return normal
	case fieldPhone:
		country := ""
		if r.c != nil {
			country = r.c.Country
		}
		normal, err := people.NormalPhone(text, country)
		if err != nil {
			return ""
		}
		return normal
	}
	if people.PlaceholderName(text) {
		return ""
	}
	return text
}
