package bounce

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// How much of a text is read: a reply line has 512 octets (RFC 5321 4.5.3.1.5), and many lines may be joined.
const (
	maxText  = 4 << 10
	maxWords = 400
)

// stop stands between sentences; no pattern reaches over it.
const stop = "."

// text is a reply made ready for the rules.
type text struct {
	Reply
	words  []string
	status string // "1.1" of the enhanced code, given or found in the text
	soft   bool   // 4xx
	has    map[string]bool
	live   map[*list][]pattern
	found  map[spot]uint64 // where lists stand, as far as it was asked
}

func prepare(r Reply) text {
	t := text{Reply: r, words: normal(r.Text), has: map[string]bool{}, live: map[*list][]pattern{}, found: map[spot]uint64{}}
	for _, w := range t.words {
		t.has[w] = true
	}
	status := r.Enhanced
	if status == "" {
		status = embedded(r.Text)
	}
	if class, rest, ok := strings.Cut(status, "."); ok {
		t.status = rest
		t.soft = r.Code == 0 && class == "4"
	}
	t.soft = t.soft || r.Code/100 == 4
	return t
}

// normal turns a text into words, so that the rules speak in plain phrases and cannot stumble over punctuation: lower case, without accents
// and apostrophes; "addr" for a mail address, "ip" for an IP address. Names are kept apart from words, since a domain may be called
// anything: of a domain come "%dom" and its labels as "@label", of a URL "%url", its labels and its path as "/part". Enhanced codes are left out.
func normal(s string) []string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	plain, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), s)
	if err != nil {
		plain = s
	}
	var words []string
	for field := range strings.FieldsSeq(plain) {
		if len(words) > maxWords {
			break
		}
		words = spell(words, field)
	}
	return words
}

func spell(words []string, field string) []string {
	bare := strings.Trim(field, "[]()<>{}.,;:!?'\"*-=")
	low := strings.ToLower(bare)
	end := strings.HasSuffix(field, ".") || strings.HasSuffix(field, ";") || strings.HasSuffix(field, "!")
	switch {
	case bare == "", strings.HasPrefix(low, "relay="): // a log's field, of sendmail's
		return words
	case isURL(low):
		words = link(words, low)
	case isAddress(low):
		words = append(words, "addr")
		if _, rest, ok := strings.Cut(low, ":"); ok { // "a@b.example:blocked"
			words = split(words, rest)
		}
	case isIP(low):
		words = append(words, "ip")
	case isStatus(low):
		return words
	case isDomain(bare):
		words = labels(words, low)
	default:
		words = split(words, bare)
	}
	if end {
		words = append(words, stop)
	}
	return words
}

// split cuts at whatever is neither letter nor digit; a full stop within is the end of a sentence that lacks its space.
func split(words []string, s string) []string {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			words = append(words, b.String())
			b.Reset()
		}
	}
	for _, r := range strings.ToLower(s) {
		switch {
		case r == '\'' || r == '`' || r == '’':
		case r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case r == '.' || r == ';':
			flush()
			words = append(words, stop)
		default:
			flush()
		}
	}
	flush()
	return words
}

func isURL(low string) bool { return strings.Contains(low, "://") || strings.HasPrefix(low, "www.") }

func link(words []string, low string) []string {
	if _, rest, ok := strings.Cut(low, "://"); ok {
		low = rest
	}
	host, path, _ := strings.Cut(low, "/")
	words = labels(append(words, "%url"), host)
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		words = append(words, "/"+part)
	}
	return words
}

func labels(words []string, domain string) []string {
	words = append(words, "%dom")
	for _, l := range strings.FieldsFunc(domain, func(r rune) bool { return r == '.' || r == ':' || r == '/' }) {
		words = append(words, "@"+l)
	}
	return words
}

func isAddress(field string) bool {
	at := strings.IndexByte(field, '@')
	return at > 0 && at < len(field)-1
}

// isDomain takes names with a dot, of letters, digits and hyphens, with a last label of letters. "blocked.For" is two sentences.
func isDomain(s string) bool {
	if i := strings.IndexByte(s, ':'); i > 0 { // a port
		s = s[:i]
	}
	all := strings.Split(s, ".")
	last := all[len(all)-1]
	if len(all) < 2 || len(last) < 2 {
		return false
	}
	for i, l := range all {
		if l == "" || i > 0 && len(l) > 1 && l[0] >= 'A' && l[0] <= 'Z' && l[1] >= 'a' && l[1] <= 'z' {
			return false
		}
		for _, c := range []byte(l) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (i == len(all)-1 || !digit(c) && c != '-' && c != '_') {
				return false
			}
		}
	}
	return true
}

func isIP(field string) bool {
	dots, colons, digits := 0, 0, 0
	for i := range len(field) {
		switch c := field[i]; {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case digit(c):
			digits++
		case c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return dots == 3 && digits >= 4 && colons <= 1 || colons > 1 && digits+colons > 2
}

func isStatus(field string) bool {
	field = strings.TrimLeft(field, "#")
	if field == "" || field[0] != '4' && field[0] != '5' {
		return false
	}
	end, ok := statusEnd(field, 0)
	return ok && end == len(field)
}

// embedded finds an enhanced code that stands in the text: "(#5.1.1)", "smtp; 550 5.7.1 ...".
func embedded(s string) string {
	for i := 0; i+4 < len(s); i++ {
		if (s[i] != '4' && s[i] != '5') || i > 0 && (digit(s[i-1]) || s[i-1] == '.' || s[i-1] == '-') {
			continue
		}
		end, ok := statusEnd(s, i)
		if ok && (end == len(s) || s[end] != '.' && s[end] != '-' && !digit(s[end])) {
			return s[i:end]
		}
	}
	return ""
}

func statusEnd(s string, i int) (end int, ok bool) {
	i++
	for range 2 {
		if i >= len(s) || s[i] != '.' {
			return i, false
		}
		i++
		start := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if n := i - start; n == 0 || n > 3 {
			return i, false
		}
	}
	return i, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
