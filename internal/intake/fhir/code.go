package fhir

import (
	"strings"

	"github.com/carepost/carepost/internal/people"
)

// systems brings the URIs and OIDs of code systems to our aliases (terminology.hl7.org; the OIDs are HL7's registry). Keys are in
// lower case without a trailing slash and with https as http.
var systems = map[string]string{
	"http://hl7.org/fhir/sid/icd-10-cm":                       "icd10cm",
	"urn:oid:2.16.840.1.113883.6.90":                          "icd10cm",
	"http://hl7.org/fhir/sid/icd-9-cm":                        "icd9cm",
	"urn:oid:2.16.840.1.113883.6.103":                         "icd9cm",
	"urn:oid:2.16.840.1.113883.6.104":                         "icd9cm",
	"http://www.cms.gov/medicare/coding/icd10":                "icd10pcs",
	"urn:oid:2.16.840.1.113883.6.4":                           "icd10pcs",
	"http://www.nlm.nih.gov/research/umls/rxnorm":             "rxnorm",
	"urn:oid:2.16.840.1.113883.6.88":                          "rxnorm",
	"http://loinc.org":                                        "loinc",
	"urn:oid:2.16.840.1.113883.6.1":                           "loinc",
	"http://hl7.org/fhir/sid/cvx":                             "cvx",
	"urn:oid:2.16.840.1.113883.12.292":                        "cvx",
	"http://hl7.org/fhir/sid/mvx":                             "mvx",
	"urn:oid:2.16.840.1.113883.12.227":                        "mvx",
	"http://snomed.info/sct":                                  "snomed",
	"urn:oid:2.16.840.1.113883.6.96":                          "snomed",
	"http://hl7.org/fhir/sid/ndc":                             "ndc",
	"urn:oid:2.16.840.1.113883.6.69":                          "ndc",
	"http://www.ama-assn.org/go/cpt":                          "cpt",
	"urn:oid:2.16.840.1.113883.6.12":                          "cpt",
	"http://www.cms.gov/medicare/coding/hcpcsreleasecodesets": "hcpcs",
	"urn:oid:2.16.840.1.113883.6.285":                         "hcpcs",
	"http://www.ada.org/cdt":                                  "cdt",
	"urn:oid:2.16.840.1.113883.6.13":                          "cdt",
}

// alias gives our name of a code system, or its URI when we have none.
func alias(uri string) string {
	uri = strings.TrimSpace(uri)
	key := strings.TrimSuffix(strings.ToLower(uri), "/")
	if rest, ok := strings.CutPrefix(key, "https:"); ok {
		key = "http:" + rest
	}
	if a, ok := systems[key]; ok {
		return a
	}
	if strings.HasPrefix(key, "http://snomed.info/sct/") {
		return "snomed" // an edition
	}
	return uri
}

// codes gives the codings of concepts, each once, in our form.
func (r *resource) codes(name string, all ...concept) []people.Code {
	var out []people.Code
	seen := map[[2]string]bool{}
	for _, c := range all {
		for _, x := range c.Coding {
			system := alias(x.System)
			code := canonical(system, strings.TrimSpace(x.Code))
			if code == "" || system == "" || len(code) > 64 || len(system) > 256 {
				continue
			}
			if clean, changed := people.CleanText(code, 64); changed || clean != code {
				r.warn(name, reasonCut)
				continue
			}
			if seen[[2]string{system, code}] {
				continue
			}
			seen[[2]string{system, code}] = true
			out = append(out, people.Code{System: system, Code: code, Display: r.text(name, x.Display)})
		}
	}
	return out
}

// canonical gives the one form of a code: ICD without the dot, NDC in eleven digits.
func canonical(system, code string) string {
	switch system {
	case "icd10cm", "icd9cm", "icd10pcs":
		return strings.ToUpper(strings.ReplaceAll(code, ".", ""))
	case "hcpcs":
		return strings.ToUpper(code)
	case "ndc":
		return ndc(code)
	}
	return code
}

// ndc brings a national drug code to 5-4-2 without dashes (45 CFR 162.1002: the form that transactions use): the labels' 4-4-2,
// 5-3-2 and 5-4-1 get their zero. Ten bare digits could be any of the three and stay.
func ndc(code string) string {
	parts := strings.Split(code, "-")
	if len(parts) != 3 {
		return code
	}
	for i, width := range [3]int{5, 4, 2} {
		if len(parts[i]) > width || len(parts[i]) < width-1 || strings.ContainsFunc(parts[i], func(c rune) bool { return c < '0' || c > '9' }) {
			return code
		}
		if len(parts[i]) < width {
			parts[i] = "0" + parts[i]
		}
	}
	return strings.Join(parts, "")
}
