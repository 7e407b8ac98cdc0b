package organisation

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxSPFLookups is the limit of RFC 7208 4.6.4; a record that needs more is an error to every receiver.
const maxSPFLookups = 10

func asDNS(err error) (*net.DNSError, bool) { return errors.AsType[*net.DNSError](err) }

// spf evaluates records far enough to say whether an address passes. Macros (RFC 7208 7) are not expanded: a mechanism with one is
// taken for no match.
type spf struct {
	r       Resolver
	lookups int
	trouble bool
	broken  bool
}

func (s Setup) checkSPF(ctx context.Context, r Resolver, c Check) Check {
	for _, a := range s.Sources {
		e := &spf{r: r}
		pass := e.passes(ctx, s.bounceDomain(), a.Unmap())
		switch {
		case pass && !e.broken:
		case e.trouble:
			return c.is(StatusUnknown, "", "")
		case e.broken:
			return c.is(StatusWrong, "the record cannot be evaluated, or asks more than 10 names", "publish it as shown")
		default:
			return c.is(StatusWrong, "an address that we send from is not allowed", "publish it as shown")
		}
	}
	return c.is(StatusOK, "", "")
}

// passes tells whether the first mechanism that matches the address says pass.
func (e *spf) passes(ctx context.Context, domain string, a netip.Addr) bool {
	found, status := texts(ctx, e.r, domain)
	if status != StatusOK {
		e.trouble = e.trouble || status == StatusUnknown
		e.broken = e.broken || status == StatusMissing
		return false
	}
	record := ""
	for _, t := range found {
		if l := strings.ToLower(t); l == "v=spf1" || strings.HasPrefix(l, "v=spf1 ") {
			if record != "" {
				e.broken = true
			}
			record = t
		}
	}
	if record == "" || e.broken {
		e.broken = true
		return false
	}
	redirect := ""
	for _, term := range strings.Fields(record)[1:] {
		qualifier := byte('+')
		if strings.IndexByte("+-~?", term[0]) >= 0 {
			qualifier, term = term[0], term[1:]
		}
		if value, ok := strings.CutPrefix(strings.ToLower(term), "redirect="); ok {
			redirect = value
			continue
		}
		if e.matches(ctx, domain, strings.ToLower(term), a) {
			return qualifier == '+'
		}
		if e.broken || e.trouble {
			return false
		}
	}
	if redirect != "" && e.ask() {
		return e.passes(ctx, redirect, a)
	}
	return false
}

func (e *spf) ask() bool {
	if e.lookups++; e.lookups > maxSPFLookups {
		e.broken = true
	}
	return !e.broken
}

func (e *spf) matches(ctx context.Context, domain, term string, a netip.Addr) bool {
	name, value, _ := strings.Cut(term, ":")
	bits := -1
	if n, mask, ok := strings.Cut(name, "/"); ok && value == "" {
		name = n
		bits = prefixBits(mask, a)
	}
	if v, mask, ok := strings.Cut(value, "/"); ok && name != "ip4" && name != "ip6" {
		value = v
		bits = prefixBits(mask, a)
	}
	if value == "" {
		value = domain
	}
	switch name {
	case "all":
		return true
	case "ip4", "ip6":
		return inNetwork(value, a)
	case "include":
		return e.ask() && e.passes(ctx, value, a)
	case "a":
		return e.ask() && e.hostHas(ctx, value, a, bits)
	case "mx":
		if !e.ask() {
			return false
		}
		found, err := e.r.LookupMX(ctx, value)
		if status := statusOf(err); status != StatusOK {
			e.trouble = e.trouble || status == StatusUnknown
			return false
		}
		for i, mx := range found {
			if i < maxSPFLookups && e.hostHas(ctx, mx.Host, a, bits) {
				return true
			}
		}
	case "exists", "ptr":
		e.ask()
	}
	return false
}

func (e *spf) hostHas(ctx context.Context, host string, a netip.Addr, bits int) bool {
	found, err := e.r.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, "."))
	if statusOf(err) == StatusUnknown {
		e.trouble = true
	}
	for _, f := range found {
		f = f.Unmap()
		if f == a {
			return true
		}
		if bits >= 0 && f.Is4() == a.Is4() {
			if p, err := f.Prefix(bits); err == nil && p.Contains(a) {
				return true
			}
		}
	}
	return false
}

// prefixBits reads "24" or "24//64" for the address's family.
func prefixBits(mask string, a netip.Addr) int {
	four, six, _ := strings.Cut(mask, "//")
	text := four
	if !a.Is4() {
		text = six
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > a.BitLen() {
		return -1
	}
	return n
}

func inNetwork(value string, a netip.Addr) bool {
	if p, err := netip.ParsePrefix(value); err == nil {
		return p.Contains(a)
	}
	one, err := netip.ParseAddr(value)
	return err == nil && one == a
}
