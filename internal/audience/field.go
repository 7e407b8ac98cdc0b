package audience

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// fieldKind is what a field holds.
type fieldKind uint8

const (
	fieldText   fieldKind = iota // a word of the record
	fieldFlag                    // true or false
	fieldNumber                  // whole years
	fieldDay                     // a civil date
)

// field is one field that a rule can ask: how it is called, what it holds, which values it takes, and where a projection has it.
type field struct {
	name   string
	kind   fieldKind
	ops    []Op
	enum   []string                          // the only values, where there are only these
	normal func(string) string               // the written form of a value in a rule
	keys   func(record string) []string      // the values of a rule, in lower case, that a record's value answers to; nil: the value itself
	below  func(rule string) string          // the beginning of the records that answer to a value of a rule, beside the value itself
	text   func(p *people.Projection) string // fieldText: the record's value; empty is unknown
	flag   func(p *people.Projection) bool   // fieldFlag
	about  string                            // one line for docs/rules.md
}

// customPrefix begins the names of fields of an organisation's own.
const customPrefix = "custom."

var fields = []*field{
	{name: "sex", kind: fieldText, ops: opsText, enum: []string{"female", "male", "other"}, text: sexText, about: "administrative sex of the record: female, male, other"},
	{name: "age", kind: fieldNumber, ops: opsNumber, about: "whole years today, in the organisation's zone"},
	{name: "birth_date", kind: fieldDay, ops: opsDay, about: "date of birth"},
	{
		name: "language", kind: fieldText, ops: opsText, normal: strings.ToLower, keys: languageKeys, below: languageBelow,
		text: func(p *people.Projection) string { return p.Language }, about: "preferred language, BCP 47; en also matches en-US",
	},
	{
		name: "zip", kind: fieldText, ops: opsText, normal: strings.ToUpper, keys: zipKeys, below: zipBelow,
		text: func(p *people.Projection) string { return zipOf(p.Postal) }, about: "postal code, ZIP+4 cut to five digits; 606* matches what begins with 606",
	},
	{
		name: "state", kind: fieldText, ops: opsText, normal: strings.ToUpper,
		text: func(p *people.Projection) string { return p.State }, about: "state or province of the home address",
	},
	{
		name: "country", kind: fieldText, ops: opsText, normal: strings.ToUpper,
		text: func(p *people.Projection) string { return p.Country }, about: "country of the home address",
	},
	{
		name: "zone", kind: fieldText, ops: opsText,
		text: func(p *people.Projection) string { return p.Zone }, about: "the person's time zone, as America/Chicago",
	},
	{
		name: "insurance", kind: fieldText, ops: opsText, normal: strings.ToLower,
		text: func(p *people.Projection) string { return p.Insurance }, about: "kind of the current coverage: medicare, medicaid, commercial, self-pay, other",
	},
	{name: "kind", kind: fieldText, ops: opsText, enum: []string{"patient", "prospect"}, text: kindText, about: "patient or prospect"},
	{name: "deceased", kind: fieldFlag, ops: opsFlag, flag: func(p *people.Projection) bool { return p.Deceased }, about: "the record says so"},
	{name: "has_email", kind: fieldFlag, ops: opsFlag, flag: func(p *people.Projection) bool { return p.HasEmail }, about: "has a usable email address"},
	{name: "has_phone", kind: fieldFlag, ops: opsFlag, flag: func(p *people.Projection) bool { return p.HasPhone }, about: "has a usable phone number"},
	{name: "in_hospital", kind: fieldFlag, ops: opsFlag, flag: func(p *people.Projection) bool { return p.InPatient }, about: "is an in-patient now"},
	{name: "opt_out", kind: fieldFlag, ops: opsFlag, flag: optedOut, about: "has refused email, or all commercial mail"},
	{name: "last_visit", kind: fieldDay, ops: opsDay, about: "day of the last visit that took place"},
}

// findField gives the field of a name, or nil. Fields of an organisation's own are custom.NAME.
func findField(name string) *field {
	for _, f := range fields {
		if f.name == name {
			return f
		}
	}
	if key, ok := strings.CutPrefix(name, customPrefix); ok && validName(key, false) {
		return &field{
			name: name, kind: fieldText, ops: opsText,
			text: func(p *people.Projection) string { return p.Custom[key] },
		}
	}
	return nil
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// answers gives the values of a rule, in lower case, that the record's value matches.
func (f *field) answers(record string) []string {
	record = strings.ToLower(record)
	if f.keys == nil {
		return []string{record}
	}
	return f.keys(record)
}

// value checks one value of a rule and gives its one written form.
func (f *field) value(text string) (string, *complaint) {
	switch f.kind {
	case fieldFlag:
		switch v := strings.ToLower(text); v {
		case "true", "false":
			return v, nil
		case "yes":
			return "true", nil
		case "no":
			return "false", nil
		}
		return "", expected("true or false")
	case fieldNumber:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 150 {
			return "", expected("an age in whole years, 0 to 150")
		}
		return strconv.Itoa(n), nil
	case fieldDay:
		at, err := time.Parse(time.DateOnly, text)
		if err != nil || at.Year() < 1800 || at.Year() > 2200 {
			return "", expected("a date such as 2026-01-31")
		}
		return text, nil
	case fieldText:
	}
	return f.word(text)
}

func (f *field) word(text string) (string, *complaint) {
	if set, ok := strings.CutPrefix(text, setPrefix); ok {
		if !validName(set, false) {
			return "", expected("a value set such as @valueset:county-flu-alert")
		}
		return text, nil
	}
	if c := checkWord(text); c != nil {
		return "", c
	}
	if f.enum != nil {
		if v := strings.ToLower(text); slices.Contains(f.enum, v) {
			return v, nil
		}
		return "", expected(either(f.enum)).didYouMean(text, f.enum)
	}
	if f.normal != nil {
		text = f.normal(text)
	}
	if f.name == "zip" && !validZIP(text) {
		return "", expected("a postal code such as 60601, or its beginning and a star, as 606*")
	}
	return text, nil
}

func sexText(p *people.Projection) string {
	switch p.Sex {
	case people.SexFemale:
		return "female"
	case people.SexMale:
		return "male"
	case people.SexOther:
		return "other"
	case people.SexUnknown:
	}
	return ""
}

func kindText(p *people.Projection) string {
	switch p.Kind {
	case people.KindPatient:
		return "patient"
	case people.KindProspect:
		return "prospect"
	case people.KindCorrespondent:
	}
	return ""
}

// languageKeys are the ranges that a tag is in (RFC 4647 3.3.1): en-us is in en-us and en.
func languageKeys(tag string) []string {
	list := []string{tag}
	for i := len(tag) - 1; i > 0; i-- {
		if tag[i] == '-' {
			list = append(list, tag[:i])
		}
	}
	return list
}

// zipKeys are the code and all its beginnings with a star.
func zipKeys(zip string) []string {
	list := []string{zip}
	for i := 1; i <= len(zip); i++ {
		list = append(list, zip[:i]+"*")
	}
	return list
}

func languageBelow(rule string) string { return rule + "-" }

func zipBelow(rule string) string {
	if prefix, ok := strings.CutSuffix(rule, "*"); ok {
		return prefix
	}
	return ""
}

// under gives the beginning of the other records that a rule's value matches; empty is none.
func (f *field) under(rule string) string {
	if f.below == nil {
		return ""
	}
	return f.below(rule)
}

// zipOf cuts a ZIP+4 to its five digits; other countries' codes stay as they are.
func zipOf(postal string) string {
	digits := 0
	for digits < len(postal) && postal[digits] >= '0' && postal[digits] <= '9' {
		digits++
	}
	if digits == 9 && len(postal) == 9 || digits == 5 && len(postal) == 10 && postal[5] == '-' {
		return postal[:5]
	}
	return postal
}

func validZIP(text string) bool {
	core := strings.TrimSuffix(text, "*")
	if core == "" || len(core) > 10 || zipOf(core) != core {
		return false
	}
	for _, c := range core {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// checkWord refuses what no value of a rule may hold.
func checkWord(text string) *complaint {
	switch {
	case text == "":
		return expected("a value").hinted("to ask whether the record has one, write exists")
	case len(text) > maxWord:
		return wrong("a value is at most %d bytes", maxWord)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return wrong("a value holds no control characters")
	case strings.HasPrefix(text, "@"):
		return expected("a value, or a value set such as @valueset:name")
	}
	return nil
}

// validName tells whether text can name an event's part, a value set, a custom field or, with spaces, a segment.
func validName(text string, spaces bool) bool {
	if text == "" || len(text) > 80 || text[0] == ' ' || text[len(text)-1] == ' ' {
		return false
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		case c == ' ' && spaces:
		default:
			return false
		}
	}
	return true
}
