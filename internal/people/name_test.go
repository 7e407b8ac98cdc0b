package people

import (
	"slices"
	"testing"
)

func TestNormalName(t *testing.T) {
	for text, want := range map[string]string{
		"Okafor-Reyes": "okafor reyes", "O'Brien": "obrien", "  Nguyễn  Thị ": "nguyen thi", "Łukasz": "lukasz", "Đặng": "dang", "ＡＢＣ": "abc", "Müller, Jr.": "muller jr",
		"<script>alert(1)</script>": "script alert 1 script", "": "", "王秀英": "王秀英",
	} {
		if got := NormalName(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestPlaceholderNames(t *testing.T) {
	if !slices.IsSorted(placeholderNames) {
		t.Fatal("the list is not sorted: it is searched by halves")
	}
	for text, want := range map[string]bool{
		"BABYBOY": true, "BabyGirl": true, "Baby Boy": true, "UNKNOWN": true, "TEST": true, "ZZTest": true, "Testa": false, "Boyd": false, "Na": false, "": false, "Smith": false,
	} {
		if PlaceholderName(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestCleanText(t *testing.T) {
	for _, c := range []struct {
		text, want string
		changed    bool
	}{
		{" Amara ", "Amara", false},
		{"=cmd()|'/c calc'!A0", "=cmd()|'/c calc'!A0", false}, // data; who writes it out escapes it
		{"{{name}}", "{{name}}", false},
		{"a\r\nb", "a  b", true},
		{"a\u202eb", "ab", true},
		{"a\x00b", "ab", true},
		{"a\xffb", "ab", true},
		{"می\u200cخواهم", "می\u200cخواهم", false},
		{"0123456789", "01234567", true},
		{"0123456é9", "0123456", true},
	} {
		limit := 8
		if len(c.want) > limit {
			limit = 100
		}
		if got, changed := CleanText(c.text, limit); got != c.want || changed != c.changed {
			t.Errorf("%q: %q %v", c.text, got, changed)
		}
	}
}

func TestJudge(t *testing.T) {
	w := Whitelist{Systems: []string{"urn:own"}}
	for _, c := range []struct {
		name string
		x    Identifier
		want Verdict
	}{
		{"a record number", Identifier{"urn:oid:2.999.1.1", "0012345", "MR"}, IdentifierStrong},
		{"a member number: a family shares it", Identifier{"urn:payer", "W123", "MB"}, IdentifierKept},
		{"a system that the operator named", Identifier{"urn:own", "7", ""}, IdentifierStrong},
		{"any other type", Identifier{"urn:x", "7", "PI"}, IdentifierDropped},
		{"no type", Identifier{"urn:x", "7", ""}, IdentifierDropped},
		{"no system", Identifier{"", "7", "MR"}, IdentifierDropped},
		{"a filler", Identifier{"urn:oid:2.999.1.1", "UNKNOWN", "MR"}, IdentifierDropped},
		{"a social security number by type", Identifier{"urn:x", "1", "SS"}, IdentifierRefused},
		{"by system", Identifier{"http://hl7.org/fhir/sid/us-ssn", "1", "MR"}, IdentifierRefused},
		{"by OID", Identifier{"urn:oid:2.16.840.1.113883.4.1", "1", ""}, IdentifierRefused},
		{"by its shape, as a record number", Identifier{"urn:oid:2.999.1.1", "999-12-3456", "MR"}, IdentifierRefused},
		{"by its shape, in a named system", Identifier{"urn:own", "999 12 3456", ""}, IdentifierRefused},
		{"nine digits are a usual record number", Identifier{"urn:oid:2.999.1.1", "999123456", "MR"}, IdentifierStrong},
		{"a driver licence", Identifier{"urn:oid:2.16.840.1.113883.4.3.25", "S99940903", "DL"}, IdentifierRefused},
		{"a driver licence by OID alone", Identifier{"urn:oid:2.16.840.1.113883.4.3.25", "S99940903", "MR"}, IdentifierRefused},
		{"a passport", Identifier{"urn:x", "X5363", "PPN"}, IdentifierRefused},
	} {
		if got := w.Judge(c.x); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if a, b := (Identifier{" urn:x ", " ab01 ", ""}), (Identifier{"urn:x", "AB01", "MR"}); NormalIdentifier(a) != NormalIdentifier(b) {
		t.Error("spaces and case make another identifier")
	}
	if a, b := (Identifier{"urn:x", "01", ""}), (Identifier{"urn:x", "1", ""}); NormalIdentifier(a) == NormalIdentifier(b) {
		t.Error("leading zeros are lost")
	}
}
