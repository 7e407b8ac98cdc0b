package people

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxNamePart is the longest part of a name that is kept, in bytes; the longest recorded legal names stay below.
const maxNamePart = 256

// NormalName gives the form that name search uses: NFKD without marks, lower case, letters and digits only, single spaces.
func NormalName(text string) string {
	var b strings.Builder
	space := false
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’':
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(foldLetter(unicode.ToLower(r)))
		default:
			space = true
		}
	}
	return b.String()
}

// foldLetter gives the plain letter of those that NFKD does not take apart.
func foldLetter(r rune) rune {
	switch r {
	case 'ø':
		return 'o'
	case 'ł':
		return 'l'
	case 'đ', 'ð':
		return 'd'
	case 'ı':
		return 'i'
	}
	return r
}

// CleanText gives text as a record keeps it: NFC, trimmed, without controls and without the invisible characters that turn
// text around, cut at max bytes. changed says that something had to go.
func CleanText(text string, maxBytes int) (clean string, changed bool) {
	clean = norm.NFC.String(text)
	if strings.ContainsFunc(clean, unprintable) {
		before := clean
		clean = strings.Map(func(r rune) rune {
			switch {
			case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
				return ' '
			case r == '\u200c' || r == '\u200d':
				return r // the joiners are letters' business in Persian and in Indian scripts
			case unprintable(r):
				return -1
			}
			return r
		}, clean)
		changed = clean != before
	}
	clean = strings.TrimFunc(clean, unicode.IsSpace)
	if len(clean) > maxBytes {
		cut := maxBytes
		for cut > 0 && !utf8.RuneStart(clean[cut]) {
			cut--
		}
		clean, changed = clean[:cut], true
	}
	return clean, changed
}

// placeholderNames are what registration desks write when they know no name. Compared whole, against one part of a name.
var placeholderNames = []string{
	"anonymous", "baby", "baby boy", "baby girl", "babyboy", "babygirl", "boy", "dummy", "girl", "infant", "infant boy",
	"infant girl", "n a", "newborn", "no name", "noname", "not known", "null", "test", "test patient", "testing",
	"testpatient", "unk", "unknown", "xxx", "xxxx", "ztest", "zz", "zztest", "zzz", "zzztest",
}

// PlaceholderName tells whether one part of a name, or an identifier's value, is a filler: BABYBOY, UNKNOWN, TEST.
func PlaceholderName(part string) bool {
	_, found := slices.BinarySearch(placeholderNames, NormalName(part))
	return found
}

// placeholder tells whether a name greets nobody: the family name or the first given name is a filler, or nothing is there.
func (n Name) placeholder() bool {
	if n.Family == "" && len(n.Given) == 0 {
		return true
	}
	return n.Family != "" && PlaceholderName(n.Family) || len(n.Given) > 0 && PlaceholderName(n.Given[0])
}

// Clean gives the name as a record keeps it; changed says that something had to go.
func (n Name) Clean() (clean Name, changed bool) {
	parts := []*string{&n.Use, &n.Prefix, &n.Suffix, &n.Family}
	given := make([]string, 0, len(n.Given))
	for _, g := range n.Given {
		c, was := CleanText(g, maxNamePart)
		changed = changed || was
		if c != "" {
			given = append(given, c)
		}
	}
	n.Given = given
	for _, p := range parts {
		c, was := CleanText(*p, maxNamePart)
		changed = changed || was
		*p = c
	}
	return n, changed
}
