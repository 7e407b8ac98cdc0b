package tlspolicy

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/carepost/carepost/internal/fault"
)

// Record is a type of DNS record.
type Record uint8

// The records that are asked for.
const (
	RecordMX   Record = iota + 1
	RecordAddr        // A and AAAA together
	RecordTXT
	RecordTLSA
)

// Answer is what the resolver found. An empty answer without Missing is NODATA.
type Answer struct {
	Missing bool   // NXDOMAIN
	Secure  bool   // the resolver validated it (AD), and is one that is believed
	Name    string // the name that aliases led to, without the final dot; empty when not known
	MX      []MX
	Addrs   []netip.Addr
	TXT     []string
	TLSA    []TLSA
	TTL     time.Duration
}

// MX is one mail exchanger.
type MX struct {
	Preference uint16
	Name       string // without the final dot; empty for the null MX
}

// Resolver looks up names. An error is trouble (no answer, SERVFAIL, REFUSED) and says nothing about the name.
type Resolver interface {
	Lookup(ctx context.Context, name string, t Record) (Answer, error)
}

// DNS asks name servers directly, because the system's resolver hides the difference between trouble and absence.
type DNS struct {
	servers []string
	near    bool // every server is on this machine
	trusted bool // its AD bit is believed
	timeout time.Duration
}

// NewDNS makes a resolver over servers given as address:port; without any, over those of /etc/resolv.conf. The AD bit is not believed
// before TrustAD.
func NewDNS(servers ...string) (*DNS, error) {
	if len(servers) == 0 {
		c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, err
		}
		for _, s := range c.Servers {
			servers = append(servers, net.JoinHostPort(s, c.Port))
		}
	}
	d := &DNS{servers: servers, near: true, timeout: 4 * time.Second}
	for _, s := range servers {
		ap, err := netip.ParseAddrPort(s)
		d.near = d.near && err == nil && ap.Addr().IsLoopback()
	}
	if len(servers) == 0 {
		return nil, errors.New("tlspolicy: no name server is configured")
	}
	return d, nil
}

// TrustAD makes the resolver's word count: an answer that it marks as validated (AD) is Secure, and DANE is used. It refuses where a
// server is not on this machine, since anywhere else the way between could set the bit (RFC 6840 5.7, RFC 7672 2.2).
func (d *DNS) TrustAD() error {
	if !d.near {
		return fault.New(fault.Invalid, "a resolver that is not on this machine cannot vouch for DNSSEC").
			Hint("run a validating resolver here and set resolver to its loopback address, or leave resolver-validates off")
	}
	d.trusted = true
	return nil
}

var errTrouble = errors.New("tlspolicy: the resolver gives no answer")

// Lookup asks every server in turn, twice, until one answers without trouble.
func (d *DNS) Lookup(ctx context.Context, name string, t Record) (Answer, error) {
	if t != RecordAddr {
		qtype := dns.TypeMX
		switch t {
		case RecordTXT:
			qtype = dns.TypeTXT
		case RecordTLSA:
			qtype = dns.TypeTLSA
		case RecordMX, RecordAddr:
		}
		return d.ask(ctx, name, qtype)
	}
	four, err := d.ask(ctx, name, dns.TypeA)
	if err != nil || four.Missing {
		return four, err
	}
	six, err := d.ask(ctx, name, dns.TypeAAAA)
	if err != nil {
		if len(four.Addrs) > 0 {
			return four, nil
		}
		return six, err
	}
	four.Addrs = append(four.Addrs, six.Addrs...)
	four.Secure = four.Secure && six.Secure
	return four, nil
}

func (d *DNS) ask(ctx context.Context, name string, qtype uint16) (Answer, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	q.SetEdns0(1232, true)
	q.AuthenticatedData = true
	for range 2 {
		for _, server := range d.servers {
			if ctx.Err() != nil {
				return Answer{}, ctx.Err()
			}
			r, err := d.exchange(ctx, q, server)
			if err != nil || r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
				continue
			}
			return d.read(r, qtype), nil
		}
	}
	return Answer{}, errTrouble
}

func (d *DNS) exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	c := &dns.Client{Timeout: d.timeout}
	r, _, err := c.ExchangeContext(ctx, q, server)
	if err == nil && r.Truncated {
		c.Net = "tcp"
		r, _, err = c.ExchangeContext(ctx, q, server)
	}
	if err == nil && (len(r.Question) != 1 || !strings.EqualFold(r.Question[0].Name, q.Question[0].Name) || r.Question[0].Qtype != q.Question[0].Qtype) {
		return nil, errTrouble
	}
	return r, err
}

func (d *DNS) read(r *dns.Msg, qtype uint16) Answer {
	a := Answer{Missing: r.Rcode == dns.RcodeNameError, Secure: d.trusted && r.AuthenticatedData, Name: aliased(r)}
	ttl := uint32(300) // for absence; RFC 2308 bounds are the resolver's business
	first := true
	for _, rr := range r.Answer {
		if rr.Header().Rrtype != qtype {
			continue
		}
		if first || rr.Header().Ttl < ttl {
			ttl, first = rr.Header().Ttl, false
		}
		switch rr := rr.(type) {
		case *dns.MX:
			a.MX = append(a.MX, MX{rr.Preference, strings.ToLower(strings.TrimSuffix(rr.Mx, "."))})
		case *dns.TXT:
			a.TXT = append(a.TXT, strings.Join(rr.Txt, ""))
		case *dns.TLSA:
			if data, err := hex.DecodeString(rr.Certificate); err == nil {
				a.TLSA = append(a.TLSA, TLSA{rr.Usage, rr.Selector, rr.MatchingType, data})
			}
		case *dns.A:
			if ip, ok := netip.AddrFromSlice(rr.A.To4()); ok {
				a.Addrs = append(a.Addrs, ip)
			}
		case *dns.AAAA:
			if ip, ok := netip.AddrFromSlice(rr.AAAA); ok {
				a.Addrs = append(a.Addrs, ip)
			}
		}
	}
	a.TTL = time.Duration(ttl) * time.Second
	return a
}

// aliased follows the CNAME records of an answer from the name that was asked for.
func aliased(r *dns.Msg) string {
	name := r.Question[0].Name
	for range r.Answer { // each at most once: a ring ends
		i := slices.IndexFunc(r.Answer, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeCNAME && strings.EqualFold(rr.Header().Name, name)
		})
		if i < 0 {
			break
		}
		c, ok := r.Answer[i].(*dns.CNAME)
		if !ok {
			break
		}
		name = c.Target
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
