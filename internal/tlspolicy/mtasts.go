package tlspolicy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Mode is the mode of an MTA-STS policy.
type Mode string

// The modes of RFC 8461 5.
const (
	ModeEnforce Mode = "enforce"
	ModeTesting Mode = "testing"
	ModeNone    Mode = "none"
)

// Policy is one MTA-STS policy as published.
type Policy struct {
	Mode   Mode
	MX     []string // names and *.names
	MaxAge time.Duration
}

// The bounds of RFC 8461 3.2 and 3.3.
const (
	maxPolicyBytes = 64 << 10
	maxPolicyAge   = 31557600 * time.Second
	maxPolicyMX    = 256
)

var errPolicy = errors.New("tlspolicy: not an MTA-STS policy")

// ParsePolicy reads a policy file (RFC 8461 3.2). Fields it does not know are passed over; of a field given twice the first counts.
func ParsePolicy(text string) (Policy, error) {
	var p Policy
	if len(text) > maxPolicyBytes {
		return p, errPolicy
	}
	seen := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return p, errPolicy
		}
		value = strings.Trim(value, " \t")
		if key == "mx" {
			if len(p.MX) == maxPolicyMX || !validPattern(value) {
				return p, errPolicy
			}
			p.MX = append(p.MX, strings.ToLower(value))
			continue
		}
		if _, dup := seen[key]; !dup {
			seen[key] = value
		}
	}
	p.Mode = Mode(seen["mode"])
	age, err := strconv.ParseUint(seen["max_age"], 10, 34)
	switch {
	case seen["version"] != "STSv1", err != nil, len(seen["max_age"]) > 10:
		return p, errPolicy
	case p.Mode != ModeEnforce && p.Mode != ModeTesting && p.Mode != ModeNone:
		return p, errPolicy
	case p.Mode != ModeNone && len(p.MX) == 0:
		return p, errPolicy
	}
	p.MaxAge = min(time.Duration(age)*time.Second, maxPolicyAge) // 34 bits fit
	return p, nil
}

func validPattern(s string) bool {
	return validName(strings.TrimPrefix(s, "*."))
}

// Allows tells whether the policy names the server. A wildcard stands for exactly one label, the leftmost (RFC 8461 4.1).
func (p Policy) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, m := range p.MX {
		if suffix, wild := strings.CutPrefix(m, "*."); wild {
			if _, rest, ok := strings.Cut(host, "."); ok && rest == suffix {
				return true
			}
		} else if m == host {
			return true
		}
	}
	return false
}

// policyID reads the TXT records of _mta-sts.DOMAIN. Anything but one record means no policy (RFC 8461 3.1).
func policyID(txt []string) (string, bool) {
	found, n := "", 0
	for _, t := range txt {
		version, rest, _ := strings.Cut(t, ";")
		if strings.TrimSpace(version) != "v=STSv1" {
			continue
		}
		n++
		for field := range strings.SplitSeq(rest, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(field), "id="); ok && found == "" {
				found = v
			}
		}
	}
	if n != 1 || found == "" || len(found) > 32 || !alphanumeric(found) {
		return "", false
	}
	return found, true
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		b := s[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') {
			return false
		}
	}
	return true
}

// DialFunc opens a network connection; addr is a name and a port.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// fetcher gets policy files over HTTPS.
type fetcher struct{ client *http.Client }

const fetchTimeout = 20 * time.Second // RFC 8461 3.3 suggests a minute; a message waits meanwhile

func newFetcher(dial DialFunc, roots *x509.CertPool, now func() time.Time) fetcher {
	return fetcher{&http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Time: now},
			MaxResponseHeaderBytes: 16 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
		// RFC 8461 3.3: redirects are not followed; the 3xx then fails as "not 200".
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var errFetch = errors.New("tlspolicy: the MTA-STS policy cannot be fetched")

func (f fetcher) fetch(ctx context.Context, domain string) (Policy, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Policy{}, errFetch
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return Policy{}, errFetch // not wrapped: a URL error quotes the domain
	}
	defer func() { _ = resp.Body.Close() }()
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || err != nil || media != "text/plain" {
		return Policy{}, errFetch
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicyBytes+1))
	if err != nil || len(body) > maxPolicyBytes {
		return Policy{}, errFetch
	}
	return ParsePolicy(string(body))
}
