package csv

import (
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/carepost/carepost/internal/people"
)

// The reasons why a cell is left out. They name no value.
const (
	reasonMangled   = "a number that a spreadsheet has rounded"
	reasonHashes    = "a column that was too narrow: the value is gone"
	reasonFormula   = "a formula"
	reasonDate      = "not a date as the column writes them"
	reasonTwoDigits = "a year of two digits: taken as past"
	reasonPostal    = "a postal code that has lost its zeros, or none"
	reasonPhone     = "cannot be called"
	reasonEmail     = "cannot be written to"
	reasonWord      = "a word that is not known"
	reasonGovern    = "a number that may not be kept"
	reasonCut       = "characters that no name has, or more than is kept"
	reasonJSON      = "not a JSON object"
	reasonCode      = "no code"
	reasonNumber    = "not a number with a unit"
)

// tidy trims a cell and takes the usual word for nothing away. A reason says that the cell cannot be believed.
func tidy(cell string) (text, reason string) {
	text = cell
	if text == "" {
		return "", ""
	}
	if first, last := text[0], text[len(text)-1]; first <= ' ' || last <= ' ' || first >= utf8.RuneSelf || last >= utf8.RuneSelf {
		text = strings.TrimFunc(text, func(r rune) bool { return r <= ' ' || r == '\u00a0' || r == '\ufeff' })
		if text == "" {
			return "", ""
		}
	}
	switch text[0] {
	case '=':
		// ="00123" is how a spreadsheet is kept from eating zeros.
		if len(text) > 3 && text[1] == '"' && text[len(text)-1] == '"' && !strings.ContainsAny(text[2:len(text)-1], `"&(`) {
			return text[2 : len(text)-1], ""
		}
		return "", reasonFormula
	case '@':
		return "", reasonFormula
	case '+', '-':
		if len(text) > 1 && text[1] != '.' && text[1] != ' ' && text[1] != '(' && (text[1] < '0' || text[1] > '9') {
			return "", reasonFormula
		}
	case '#':
		if strings.Trim(text, "#") == "" {
			return "", reasonHashes
		}
	case 'N', 'n', '\\':
		switch strings.ToUpper(text) {
		case "NULL", "N/A", `\N`, "NONE":
			return "", ""
		}
	}
	return text, ""
}

// mangled tells whether digits were rounded: 1.23E+04.
func mangled(text string) bool {
	at := strings.IndexAny(text, "eE")
	if at <= 0 || at+2 >= len(text) || text[at+1] != '+' && text[at+1] != '-' {
		return false
	}
	_, ok := whole(text[at+2:], 3)
	return ok && strings.Trim(text[:at], "0123456789.,-+") == ""
}

var yes = map[string]bool{
	"y": true, "yes": true, "true": true, "t": true, "1": true, "x": true, "deceased": true, "active": true,
	"n": false, "no": false, "false": false, "f": false, "0": false, "alive": false, "inactive": false,
}

func readYes(text string) (value, ok bool) {
	value, ok = yes[strings.ToLower(text)]
	return value, ok
}

var sexWords = map[string]people.Sex{
	"f": people.SexFemale, "female": people.SexFemale, "w": people.SexFemale, "woman": people.SexFemale,
	"m": people.SexMale, "male": people.SexMale, "man": people.SexMale,
	"o": people.SexOther, "other": people.SexOther, "x": people.SexOther, "nonbinary": people.SexOther, "non-binary": people.SexOther,
	"u": people.SexUnknown, "unknown": people.SexUnknown, "unk": people.SexUnknown, "not specified": people.SexUnknown, "declined": people.SexUnknown,
}

// languageWords gives tags by the English names of languages, and by their own.
var languageWords = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	english := display.English.Languages()
	for _, base := range display.Supported.BaseLanguages() {
		if tag, err := language.Parse(base.String()); err == nil {
			all[strings.ToLower(english.Name(tag))] = tag.String()
			all[strings.ToLower(display.Self.Name(tag))] = tag.String()
		}
	}
	for name, tag := range map[string]string{
		"mandarin": "zh", "cantonese": "yue", "farsi": "fa", "tagalog": "fil", "haitian": "ht", "creole": "ht", "haitian creole": "ht",
		"american sign language": "ase", "asl": "ase", "spanish; castilian": "es", "castilian": "es",
	} {
		all[name] = tag
	}
	return all
})

var noLanguage = map[string]bool{"unknown": true, "declined": true, "other": true, "refused": true, "patient declined": true, "und": true}

func readLanguage(text string) (tag string, ok bool) {
	lower := strings.ToLower(text)
	if tag, known := languageWords()[lower]; known {
		return tag, true
	}
	if noLanguage[lower] {
		return "", true
	}
	if len(text) > 35 {
		return "", false
	}
	t, err := language.Parse(text)
	if err != nil || t == language.Und {
		return "", false
	}
	return t.String(), true
}

// readPostal refuses a US code that has lost its zeros; codes of other countries are taken as they are.
func readPostal(text, country string) (string, bool) {
	digits := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '-' || c == ' ':
		default:
			return text, len(text) <= 12 // not of the United States
		}
	}
	if country != "" && country != "US" {
		return text, len(text) <= 12
	}
	return text, digits == 5 || digits == 9
}

// looksLikeSSN finds 999-99-9999.
func looksLikeSSN(text string) bool {
	if len(text) != 11 || text[3] != '-' && text[3] != ' ' || text[6] != text[3] {
		return false
	}
	for i := range len(text) {
		if i != 3 && i != 6 && (text[i] < '0' || text[i] > '9') {
			return false
		}
	}
	return true
}

// fullName takes "LAST, FIRST MIDDLE", "LAST, JR., FIRST" or "First Middle Last" apart.
func fullName(text string) (n people.Name) {
	if !strings.Contains(text, ",") {
		words := strings.Fields(text)
		if len(words) > 1 && suffixes[strings.ToLower(strings.Trim(words[len(words)-1], "."))] {
			n.Suffix, words = words[len(words)-1], words[:len(words)-1]
		}
		if len(words) > 0 {
			n.Family, n.Given = words[len(words)-1], words[:len(words)-1]
		}
		return n
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if last := parts[len(parts)-1]; len(parts) == 2 && suffixes[strings.ToLower(strings.Trim(last, "."))] { // Mary-Jo Smith, Jr.
		n = fullName(parts[0])
		n.Suffix = last
		return n
	}
	n.Family = parts[0]
	for _, p := range parts[1:] {
		if suffixes[strings.ToLower(strings.Trim(p, "."))] {
			n.Suffix = p
			continue
		}
		n.Given = append(n.Given, strings.Fields(p)...)
	}
	return n
}

var suffixes = map[string]bool{"jr": true, "sr": true, "ii": true, "iii": true, "iv": true, "v": true, "md": true, "phd": true, "esq": true}

// member gives a member of a cell that is a JSON object, as text.
func member(text, name string) (string, bool) {
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&object) != nil {
		return "", false
	}
	switch v := object[name].(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", true
}

// readCode finds a code in a cell: alone, or in brackets behind its words, as reports write it: "Essential hypertension (I10)".
func readCode(text, system string) (people.Code, bool) {
	c := people.Code{System: system}
	if at := strings.LastIndexByte(text, '('); at >= 0 && strings.HasSuffix(text, ")") {
		c.Code, c.Display = strings.TrimSpace(text[at+1:len(text)-1]), strings.TrimSpace(text[:at])
	} else {
		c.Code = text
	}
	if s, code, cut := strings.Cut(c.Code, ":"); cut && len(s) < 12 && !strings.ContainsAny(s, " /") {
		c.System, c.Code = strings.ToLower(s), code
	}
	if c.System == "" || c.Code == "" || len(c.Code) > 40 || strings.ContainsAny(c.Code, " \t") || mangled(c.Code) {
		return c, false
	}
	switch c.System {
	case "icd10cm", "icd9cm", "icd10pcs":
		c.Code = strings.ToUpper(strings.ReplaceAll(c.Code, ".", ""))
		if c.System == "icd10cm" && !icd10(c.Code) {
			return c, false // 10-Dec is what a spreadsheet makes of a code
		}
	}
	return c, true
}

// icd10 tells whether a text has the shape of an ICD-10-CM code: a letter, a digit, and up to five more.
func icd10(code string) bool {
	if len(code) < 3 || len(code) > 7 || code[0] < 'A' || code[0] > 'Z' || code[1] < '0' || code[1] > '9' {
		return false
	}
	for i := 2; i < len(code); i++ {
		if (code[i] < '0' || code[i] > '9') && (code[i] < 'A' || code[i] > 'Z') {
			return false
		}
	}
	return true
}

// readQuantity takes "8.0%", ">14 mg/dL" and "120" apart.
func readQuantity(text, unit string) (q people.Quantity, ok bool) {
	number := strings.TrimLeft(text, "<>=")
	q.Comparator = text[:len(text)-len(number)]
	number = strings.TrimSpace(number)
	end := 0
	for end < len(number) && (number[end] >= '0' && number[end] <= '9' || number[end] == '.' || end == 0 && number[end] == '-') {
		end++
	}
	q.Value, q.Unit = number[:end], strings.TrimSpace(number[end:])
	if q.Unit == "" {
		q.Unit = unit
	}
	switch q.Comparator {
	case "", "<", "<=", ">", ">=":
	default:
		return q, false
	}
	return q, q.Value != "" && q.Value != "-" && strings.Count(q.Value, ".") <= 1 && len(q.Value) <= 20 && len(q.Unit) <= 20
}
