package people

import (
	"slices"
	"strings"
)

// Whitelist says which identifiers of a source are kept at all. Everything else (social security, driver licence, passport
// numbers) is dropped before it is stored in a record: 45 CFR 164.502(b), the minimum necessary.
type Whitelist struct {
	Systems []string // identifier systems that the operator named for the source: kept, and good for matching
}

// The identifier types of HL7 table 0203 that are kept without being named. A member number is kept for look-up only: a family
// shares one.
const (
	TypeRecord = "MR"
	TypeMember = "MB"
)

// ssnSystems are the systems of the US social security number: its FHIR URI and the OIDs of SSA.
var ssnSystems = []string{
	"http://hl7.org/fhir/sid/us-ssn", "http://hl7.org/fhir/sid/us-itin", "urn:oid:2.16.840.1.113883.4.1", "urn:oid:2.16.840.1.113883.4.2",
}

// Verdict says what becomes of one identifier.
type Verdict uint8

// The verdicts.
const (
	IdentifierDropped Verdict = iota // not on the list
	IdentifierRefused                // a government number, or looks like one
	IdentifierKept                   // for look-up
	IdentifierStrong                 // for look-up and for matching
)

// Judge says what becomes of an identifier.
func (w Whitelist) Judge(x Identifier) Verdict {
	value := strings.TrimSpace(x.Value)
	switch {
	case forbiddenIdentifier(x):
		return IdentifierRefused
	case value == "" || strings.TrimSpace(x.System) == "" || len(value) > 128 || PlaceholderName(value):
		return IdentifierDropped
	case slices.Contains(w.Systems, strings.TrimSpace(x.System)):
		return IdentifierStrong
	case x.Type == TypeRecord:
		return IdentifierStrong
	case x.Type == TypeMember:
		return IdentifierKept
	}
	return IdentifierDropped
}

// forbiddenIdentifier finds numbers that may not be kept under any name. Apply asks it again, whatever a mapping let through.
func forbiddenIdentifier(x Identifier) bool {
	switch strings.ToUpper(x.Type) {
	case "SS", "SB", "DL", "PPN", "TAX", "NNUSA", "CZ":
		return true
	}
	system := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(x.System), "/"))
	return slices.Contains(ssnSystems, system) || strings.HasPrefix(system, "urn:oid:2.16.840.1.113883.4.3.") || looksLikeSSN(x.Value)
}

// looksLikeSSN finds 999-99-9999 in any dashes or spaces. Nine bare digits are a usual record number and pass.
func looksLikeSSN(value string) bool {
	value = strings.TrimSpace(value)
	if len(value) != 11 {
		return false
	}
	for i := range len(value) {
		sep := i == 3 || i == 6
		if sep != (value[i] == '-' || value[i] == ' ' || value[i] == '.') || !sep && (value[i] < '0' || value[i] > '9') {
			return false
		}
	}
	return true
}

// NormalIdentifier gives the form that look-ups use: system and value, trimmed, the value in upper case, leading zeros kept.
func NormalIdentifier(x Identifier) string {
	return strings.TrimSpace(x.System) + "\x00" + strings.ToUpper(strings.TrimSpace(x.Value))
}
