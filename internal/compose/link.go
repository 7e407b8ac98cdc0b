package compose

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/carepost/carepost/internal/fault"
)

const maxLinkBytes = 2000

// checkLink tells whether a whole address may be a link: https to a named host, mailto or tel. No script, no data, no user in it.
func checkLink(link string) error {
	problem := func(text string) error {
		return fault.New(fault.Invalid, "%s", text).Hint("a link begins with https://, mailto: or tel:")
	}
	if link == "" || len(link) > maxLinkBytes {
		return problem("a link is empty or longer than 2,000 characters")
	}
	if strings.IndexFunc(link, func(r rune) bool {
		return r > unicode.MaxASCII || r <= ' ' || strings.ContainsRune("\"<>\\^`{|}", r) || r == 0x7f
	}) >= 0 {
		return problem("a link holds a character that must be percent-encoded")
	}
	u, err := url.Parse(link)
	if err != nil {
		return problem("a link cannot be read")
	}
	switch u.Scheme {
	case "https":
		if u.Hostname() == "" || u.User != nil || !strings.Contains(u.Hostname(), ".") {
			return problem("a link names a whole host and nobody before it")
		}
	case "mailto", "tel":
		if u.Opaque == "" {
			return problem("a link names an address or a number")
		}
	default:
		return problem("a link of this kind is not allowed")
	}
	return nil
}

// host gives the host of an https link in lower case, "" for others.
func host(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// belongs tells whether the host is one of ours or below one of ours.
func belongs(h string, hosts []string) bool {
	for _, own := range hosts {
		own = strings.ToLower(own)
		if h == own || strings.HasSuffix(h, "."+own) {
			return true
		}
	}
	return false
}
