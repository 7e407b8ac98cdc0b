package tlspolicy

import (
	"context"
	"hash/fnv"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// maxHosts bounds how many servers of a domain are tried; RFC 5321 5.1 wants two at least.
const maxHosts = 10

const smtpPort = "25"

// mailServers finds the servers of a domain by RFC 5321 5.1, and what signed DNS demands of them. Other policies come after.
func mailServers(ctx context.Context, r Resolver, domain string) (Resolution, time.Duration) {
	res, ttl, secure := unproven(ctx, r, domain)
	if res.Status != Ready || !secure {
		return res, ttl
	}
	res, life := underDANE(ctx, r, res)
	return res, min(ttl, life)
}

// unproven finds the servers; secure tells whether the resolver vouches for the answer that named them.
func unproven(ctx context.Context, r Resolver, domain string) (_ Resolution, ttl time.Duration, secure bool) {
	res := Resolution{Domain: domain}
	a, err := r.Lookup(ctx, domain, RecordMX)
	switch {
	case err != nil:
		return res.not(Later, ReasonResolver), 0, false
	case a.Missing:
		return res.not(Nowhere, ReasonNoDomain), 0, false
	case len(a.MX) == 0:
		res, ttl = implicitServer(ctx, r, res)
		return res, ttl, a.Secure
	case len(a.MX) == 1 && a.MX[0].Name == "":
		return res.not(Nowhere, ReasonNullMX), 0, false
	}
	hosts := ordered(domain, a.MX)
	if len(hosts) == 0 {
		return res.not(Nowhere, ReasonNoAddress), 0, false
	}
	res.Status, res.Hosts, res.Group = Ready, hosts, GroupOf(hosts[0].Name)
	return res, a.TTL, a.Secure
}

// implicitServer: a domain with an address and no MX receives its own mail (RFC 5321 5.1).
func implicitServer(ctx context.Context, r Resolver, res Resolution) (Resolution, time.Duration) {
	a, err := r.Lookup(ctx, res.Domain, RecordAddr)
	switch {
	case err != nil:
		return res.not(Later, ReasonResolver), 0
	case len(a.Addrs) == 0:
		return res.not(Nowhere, ReasonNoAddress), 0
	}
	res.Status, res.Group = Ready, GroupOf(res.Domain)
	res.Hosts = []Host{{Name: res.Domain, Addr: net.JoinHostPort(res.Domain, smtpPort)}}
	return res, a.TTL
}

func (r Resolution) not(s Status, why Reason) Resolution {
	r.Status, r.Reason = s, why
	return r
}

// ordered sorts by preference. Servers of equal preference share the load by a hash over domain and name: stable for one domain,
// spread over many (RFC 5321 5.1 wants them randomised).
func ordered(domain string, mx []MX) []Host {
	weight := func(name string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(domain + "\x00" + name))
		return h.Sum64()
	}
	mx = slices.Clone(mx)
	slices.SortStableFunc(mx, func(a, b MX) int {
		if a.Preference != b.Preference {
			return int(a.Preference) - int(b.Preference)
		}
		return cmpUint(weight(a.Name), weight(b.Name))
	})
	var hosts []Host
	for _, m := range mx {
		if len(hosts) == maxHosts {
			break
		}
		if validName(m.Name) && !slices.ContainsFunc(hosts, func(h Host) bool { return h.Name == m.Name }) {
			hosts = append(hosts, Host{Name: m.Name, Addr: net.JoinHostPort(m.Name, smtpPort)})
		}
	}
	return hosts
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// validName takes host names of two labels or more, of letters, digits, hyphens and underscores.
func validName(name string) bool {
	if len(name) == 0 || len(name) > 253 || !strings.Contains(name, ".") || net.ParseIP(name) != nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			b := label[i]
			if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return false
			}
		}
	}
	return true
}

// providers are receivers that many domains share, by the end of their servers' names.
var providers = []struct{ suffix, group string }{
	{".google.com", "google"},
	{".googlemail.com", "google"},
	{".olc.protection.outlook.com", "microsoft-consumer"},
	{".mail.protection.outlook.com", "microsoft-365"},
	{".mx.microsoft", "microsoft-365"},
	{".yahoodns.net", "yahoo"},
	{".icloud.com", "apple"},
	{".comcast.net", "comcast"},
	{".pphosted.com", "proofpoint"},
	{".ppe-hosted.com", "proofpoint"},
	{".mimecast.com", "mimecast"},
	{".barracudanetworks.com", "barracuda"},
}

// GroupOf names who stands behind a mail server: a known provider, else the registered domain of its name.
func GroupOf(host string) string {
	host = strings.ToLower(host)
	for _, p := range providers {
		if strings.HasSuffix(host, p.suffix) {
			return p.group
		}
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}
