package compose

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/carepost/carepost/internal/fault"
)

// Mailbox is an address with a display name. Its fields are filled by NewMailbox only, so that no header ever holds an address that
// was not checked.
type Mailbox struct {
	name   string
	local  string
	domain string // lower-case A-labels
}

// domains is the look-up profile of RFC 5891 with the lengths of DNS held.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// NewMailbox checks an address. The name is cleaned to one line; the domain becomes A-labels; a local part beyond ASCII needs SMTPUTF8.
func NewMailbox(name, address string) (Mailbox, error) {
	bad := fault.New(fault.Invalid, "not an email address").Hint("write it as name@example.org")
	if len(address) > 254 || !utf8.ValidString(address) || strings.ContainsFunc(address, unwanted) {
		return Mailbox{}, bad
	}
	parsed, err := mail.ParseAddress("<" + address + ">")
	if err != nil || parsed.Name != "" {
		return Mailbox{}, bad
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	if at <= 0 || at > 64 {
		return Mailbox{}, bad
	}
	// RFC 5891; a domain literal is nobody's address here.
	domain, err := domains.ToASCII(parsed.Address[at+1:])
	if err != nil || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "[]:") {
		return Mailbox{}, bad
	}
	return Mailbox{name: strings.TrimSpace(Clean(name)), local: parsed.Address[:at], domain: strings.ToLower(domain)}, nil
}

// IsZero tells whether there is no address.
func (m Mailbox) IsZero() bool { return m.domain == "" }

// Address gives local@domain, the local part quoted when it must be.
func (m Mailbox) Address() string {
	if dotAtom(m.local) {
		return m.local + "@" + m.domain
	}
	return quoted(m.local) + "@" + m.domain
}

// NeedsUTF8 tells whether the address can travel under SMTPUTF8 only (RFC 6531).
func (m Mailbox) NeedsUTF8() bool { return !ascii(m.local) }

// Domain gives the domain in A-labels.
func (m Mailbox) Domain() string { return m.domain }

// String hides the address: it may be a patient's.
func (m Mailbox) String() string { return "[sealed]" }

// GoString hides the address.
func (m Mailbox) GoString() string { return "[sealed]" }

const atomSpecials = "!#$%&'*+-/=?^_`{|}~"

// dotAtom is RFC 5322 3.2.3, with RFC 6532's UTF-8.
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if r != '.' && !atomRune(r) {
			return false
		}
	}
	return true
}

func atomRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= utf8.RuneSelf || strings.ContainsRune(atomSpecials, r)
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
