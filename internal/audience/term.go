package audience

import (
	"strings"
)

// Term names codes: one code, a code with its descendants, or a value set.
type Term struct {
	ValueSet    string // the name, when it is a set; the others are empty then
	System      string // icd10, rxnorm, loinc, cvx, snomed, ndc, cpt, ...
	Code        string // as projections hold it: upper-case without the dot for icd10
	Descendants bool   // with all codes below it
}

// setPrefix begins a value set in text.
const setPrefix = "@valueset:"

// whats are the kinds of facts that Has asks, and whether they have a status.
var whats = map[string]bool{"condition": true, "medication": true, "allergy": true, "procedure": false, "immunization": false}

var whatNames = []string{"condition", "medication", "procedure", "immunization", "allergy"}

// systems maps what people write to our alias, and to the alias that people's codes carry.
var systems = map[string]string{
	"icd10": "icd10", "icd10cm": "icd10", "icd-10": "icd10", "icd-10-cm": "icd10",
	"icd9": "icd9", "icd9cm": "icd9", "icd-9": "icd9", "icd-9-cm": "icd9",
	"rxnorm": "rxnorm", "loinc": "loinc", "cvx": "cvx", "snomed": "snomed", "snomedct": "snomed", "sct": "snomed",
	"ndc": "ndc", "cpt": "cpt", "hcpcs": "hcpcs", "cdt": "cdt", "icd10pcs": "icd10pcs",
}

// hierarchical systems are those whose code is the beginning of the codes below it.
var hierarchical = map[string]bool{"icd10": true, "icd9": true}

// stored gives the alias that people's codes carry.
func stored(system string) string {
	switch system {
	case "icd10":
		return "icd10cm"
	case "icd9":
		return "icd9cm"
	}
	return system
}

// parseTerm reads icd10:E11.65, icd10:E11.*, rxnorm:6809 or @valueset:name.
func parseTerm(text string) (Term, *complaint) {
	if name, ok := strings.CutPrefix(text, setPrefix); ok {
		if !validName(name, false) {
			return Term{}, expected("a value set such as @valueset:chronic-30")
		}
		return Term{ValueSet: name}, nil
	}
	system, code, ok := strings.Cut(text, ":")
	if !ok || code == "" {
		return Term{}, expected("a code with its system, such as icd10:E11.65 or icd10:E11.*, or @valueset:name")
	}
	alias, ok := systems[strings.ToLower(system)]
	if !ok {
		return Term{}, expected("a code system: icd10, rxnorm, loinc, cvx, snomed, ndc, cpt").didYouMean(system, systemNames())
	}
	if len(code) > 64 {
		return Term{}, wrong("a code is at most 64 characters")
	}
	t := Term{System: alias, Code: code}
	if t.Code, t.Descendants = strings.CutSuffix(code, "*"); t.Descendants {
		t.Code = strings.TrimSuffix(t.Code, ".")
	}
	return t.checked()
}

// checked brings the code to its stored form and refuses what is none.
func (t Term) checked() (Term, *complaint) {
	if t.Descendants && !hierarchical[t.System] {
		if t.System == "rxnorm" {
			return t, wrong("codes of this system have no descendants").hinted("write the ingredient without a star: it covers its products")
		}
		return t, wrong("codes of this system have no descendants").hinted("name the codes, or use a value set")
	}
	if hierarchical[t.System] {
		t.Code = strings.ReplaceAll(strings.ToUpper(t.Code), ".", "")
	}
	if t.Code == "" || strings.ContainsFunc(t.Code, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '.'
	}) {
		return t, expected("a code of letters and digits")
	}
	if t.System == "icd10" && (len(t.Code) > 7 || t.Code[0] < 'A' || t.Code[0] > 'Z') {
		return t, expected("an ICD-10-CM code: a letter and two to six characters, such as E11.65")
	}
	if t.System == "icd10" && !t.Descendants && len(t.Code) < 3 {
		return t, expected("an ICD-10-CM code of three characters or more").hinted("for a whole chapter write a star after it, as E1*")
	}
	return t, nil
}

// String gives the written form, ICD codes with their dot.
func (t Term) String() string {
	if t.ValueSet != "" {
		return setPrefix + t.ValueSet
	}
	return t.bare() + t.star()
}

// bare is the code with its system, without the star.
func (t Term) bare() string {
	code := t.Code
	if hierarchical[t.System] && len(code) > 3 {
		code = code[:3] + "." + code[3:]
	}
	return t.System + ":" + code
}

func (t Term) star() string {
	switch {
	case !t.Descendants:
		return ""
	case len(t.Code) == 3:
		return ".*"
	}
	return "*"
}

func systemNames() []string {
	return []string{"icd10", "icd9", "rxnorm", "loinc", "cvx", "snomed", "ndc", "cpt", "hcpcs", "cdt", "icd10pcs"}
}
