package people

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/carepost/carepost/internal/fault"
)

// RFC 5321 4.5.3.1: octets of a local part, of a domain, and of a path without its angle brackets.
const (
	maxLocal  = 64
	maxDomain = 253
	maxEmail  = 254
)

var (
	errEmail  = fault.New(fault.Invalid, "not an email address")
	errPhone  = fault.New(fault.Invalid, "not a telephone number")
	errDomain = fault.New(fault.Invalid, "the domain of the email address cannot be looked up")
)

// NormalEmail gives the form of an email address that look-ups use: trimmed, NFC, the local part in lower case, the domain in
// lower-case A-labels (RFC 5891 section 5). Dots and +tags stay: they are another mailbox for all we know. What cannot be
// written to is refused; the caller keeps it as ContactInvalid.
func NormalEmail(text string) (string, error) {
	text = norm.NFC.String(strings.TrimFunc(text, unicode.IsSpace))
	if !utf8.ValidString(text) || len(text) > 2*maxEmail || strings.ContainsFunc(text, unprintable) {
		return "", errEmail
	}
	at := strings.LastIndexByte(text, '@')
	if at <= 0 {
		return "", errEmail
	}
	local, err := normalLocal(text[:at])
	if err != nil {
		return "", err
	}
	domain, err := NormalDomain(text[at+1:])
	if err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > maxEmail {
		return "", errEmail
	}
	return local + "@" + domain, nil
}

// unprintable finds what never belongs into an address and is dangerous in a header: controls (CR and LF among them), line and
// paragraph separators, and the invisible format characters that turn text around.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r)
}

// normalLocal reads a dot-atom (RFC 5322 3.2.3, RFC 6532 for UTF-8) or a quoted string; a quoted string that needs no quotes
// loses them, so that both spellings are found as one.
func normalLocal(local string) (string, error) {
	if strings.HasPrefix(local, `"`) {
		inner, ok := unquoteLocal(local)
		if !ok {
			return "", errEmail
		}
		if !dotAtom(inner) {
			local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.ToLower(inner)) + `"`
			if len(local) > maxLocal {
				return "", errEmail
			}
			return local, nil
		}
		local = inner
	}
	local = norm.NFC.String(strings.ToLower(local))
	if !dotAtom(local) || len(local) > maxLocal {
		return "", errEmail
	}
	return local, nil
}

func unquoteLocal(local string) (string, bool) {
	if len(local) < 3 || local[len(local)-1] != '"' {
		return "", false
	}
	var b strings.Builder
	body := local[1 : len(local)-1]
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(body) {
				return "", false
			}
		}
		b.WriteByte(body[i])
	}
	return b.String(), b.Len() > 0
}

func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>[]:;@\,"`, r) || r > 0x7f && unicode.IsSpace(r)
	})
}

// NormalDomain gives a mail domain in lower-case A-labels, without the root's dot. A domain has at least two labels and is no
// address literal: such a recipient is no patient's.
func NormalDomain(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	domain, err := idna.Lookup.ToASCII(text)
	if err != nil || len(domain) > maxDomain || !strings.Contains(domain, ".") {
		return "", errDomain
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notLDH) {
			return "", errDomain
		}
	}
	if _, err := netip.ParseAddr(domain); err == nil {
		return "", errDomain
	}
	if last := domain[strings.LastIndexByte(domain, '.')+1:]; !strings.ContainsFunc(last, unicode.IsLetter) {
		return "", errDomain // no top-level domain is all digits (RFC 3696 2)
	}
	return domain, nil
}

// notLDH finds what no host name holds; the underscore is left out on purpose: no MX has it.
func notLDH(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
}

// NormalPhone gives a telephone number as E.164, "+12125550143", without its extension. country is the ISO 3166 code that a
// number without a prefix belongs to; empty is US.
func NormalPhone(text, country string) (string, error) {
	number, _, err := SplitPhone(text, country)
	return number, err
}

// SplitPhone gives the number as E.164 and the extension apart.
func SplitPhone(text, country string) (number, extension string, err error) {
	text = strings.TrimSpace(text)
	text = strings.TrimPrefix(text, "tel:") // RFC 3966
	if len(text) > 64 || strings.ContainsFunc(text, unprintable) {
		return "", "", errPhone
	}
	if country == "" {
		country = "US"
	}
	if number, extension, ok := nanp(text, country); ok {
		return number, extension, nil
	}
	p, err := phonenumbers.Parse(text, strings.ToUpper(country))
	if err != nil || !phonenumbers.IsPossibleNumber(p) || p.GetCountryCode() == 1 && p.GetNationalNumber() < 2_000_000_000 {
		return "", "", errPhone // seven digits are possible within a town, and nobody's from outside
	}
	return phonenumbers.Format(p, phonenumbers.E164), p.GetExtension(), nil
}

// nanp is the fast way for the North American plan, which is nearly every number here and 45 times quicker than the general
// parser: ten digits after an optional +1 or 1, area and exchange not beginning with 0 or 1.
func nanp(text, country string) (number, extension string, ok bool) {
	home := country == "US" || country == "CA"
	if !strings.HasPrefix(text, "+1") && (strings.HasPrefix(text, "+") || !home) {
		return "", "", false
	}
	var buf [11]byte
	d := buf[:0]
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			if len(d) == len(buf) {
				return "", "", false
			}
			d = append(d, c)
		case c == '+' && i == 0, c == ' ', c == '-', c == '.', c == '(', c == ')', c == '/':
		case c == 'x' || c == 'X':
			extension = strings.TrimSpace(text[i+1:])
			if _, all := digits(extension); extension == "" || len(extension) > 7 || !all {
				return "", "", false
			}
			i = len(text)
		default:
			return "", "", false
		}
	}
	if len(d) == 11 && d[0] == '1' {
		d = d[1:]
	}
	if len(d) != 10 || d[0] < '2' || d[3] < '2' {
		return "", "", false
	}
	return "+1" + string(d), extension, true
}
