package tlspolicy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// TLSA is one certificate association (RFC 6698 2.1).
type TLSA struct {
	Usage    uint8 // 2: a trust anchor; 3: the server's own certificate; 0 and 1 mean nothing for SMTP (RFC 7672 3.1.3)
	Selector uint8 // 0: the certificate; 1: its public key
	Matching uint8 // 0: all of it; 1: SHA-256; 2: SHA-512
	Data     []byte
}

// The usages of RFC 7218.
const (
	daneTA = 2
	daneEE = 3
)

func (t TLSA) usable() bool {
	if t.Usage != daneTA && t.Usage != daneEE || t.Selector > 1 {
		return false
	}
	switch t.Matching {
	case 0:
		if t.Selector == 0 {
			_, err := x509.ParseCertificate(t.Data)
			return err == nil
		}
		_, err := x509.ParsePKIXPublicKey(t.Data)
		return err == nil
	case 1:
		return len(t.Data) == sha256.Size
	case 2:
		return len(t.Data) == sha512.Size
	}
	return false
}

func (t TLSA) matches(c *x509.Certificate) bool {
	what := c.Raw
	if t.Selector == 1 {
		what = c.RawSubjectPublicKeyInfo
	}
	switch t.Matching {
	case 1:
		sum := sha256.Sum256(what)
		what = sum[:]
	case 2:
		sum := sha512.Sum512(what)
		what = sum[:]
	}
	return bytes.Equal(what, t.Data)
}

// DANE is what a server's certificate must match by the domain's signed DNS.
type DANE struct {
	Records []TLSA   // usable ones, at least one
	Names   []string // what a certificate under a trust anchor must name one of (RFC 7672 3.2.2)
}

var (
	errNoChain  = errors.New("tlspolicy: no certificate to match")
	errNoTLSA   = errors.New("tlspolicy: the certificate matches none of the domain's TLSA records")
	errDANEName = errors.New("tlspolicy: the certificate is the trust anchor's and names another server")
)

// Prove judges a server's chain as it presented it, its own certificate first, at a moment.
func (d *DANE) Prove(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return errNoChain
	}
	err := errNoTLSA
	for _, t := range d.Records {
		switch t.Usage {
		case daneEE: // neither name nor dates matter (RFC 7672 3.1.1)
			if t.matches(chain[0]) {
				return nil
			}
		case daneTA:
			if e := d.underAnchor(t, chain, now); e == nil {
				return nil
			} else if !errors.Is(e, errNoTLSA) {
				err = e
			}
		}
	}
	return err
}

// underAnchor wants a path from the server's certificate to one that the record names.
func (d *DANE) underAnchor(t TLSA, chain []*x509.Certificate, now time.Time) error {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, c := range chain[1:] { // never the server's own certificate: that would be usage 3 with a name to check
		between.AddCert(c)
		if t.matches(c) {
			anchors.AddCert(c)
			found = true
		}
	}
	if t.Matching == 0 && t.Selector == 0 && !found { // the record holds the anchor, so the server may leave it out (RFC 7671 5.2.1)
		if c, err := x509.ParseCertificate(t.Data); err == nil {
			anchors.AddCert(c)
			found = true
		}
	}
	if !found {
		return errNoTLSA
	}
	err := errDANEName
	for _, name := range d.Names {
		_, e := chain[0].Verify(x509.VerifyOptions{
			DNSName: name, Roots: anchors, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if e == nil {
			return nil
		}
		if _, wrong := errors.AsType[x509.HostnameError](e); !wrong {
			err = e
		}
	}
	return err
}

// key tells apart what different connections prove.
func (d *DANE) key() string {
	h := sha256.New()
	for _, t := range d.Records {
		h.Write([]byte{t.Usage, t.Selector, t.Matching, byte(len(t.Data) >> 8), byte(len(t.Data))})
		h.Write(t.Data)
		if t.Usage == daneTA {
			h.Write([]byte(strings.Join(d.Names, "\x00")))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// strongest takes out SHA-256 associations beside SHA-512 ones of the same kind (RFC 7671 9), so that the weaker cannot be chosen for us.
func strongest(all []TLSA) []TLSA {
	return slices.DeleteFunc(slices.Clone(all), func(t TLSA) bool {
		return t.Matching == 1 && slices.ContainsFunc(all, func(o TLSA) bool { return o.Matching == 2 && o.Usage == t.Usage && o.Selector == t.Selector })
	})
}

// secured is what signed DNS says of one host.
type secured struct {
	host    Host
	dane    bool
	mustTLS bool // there are signed TLSA records and none is usable: TLS, whatever it proves (RFC 7672 2.2)
	trouble bool // no answer: the host is not used, or whoever suppresses answers could take its protection away (RFC 7672 2.1)
	ttl     time.Duration
}

// underDANE asks for the TLSA records of a domain's servers. It is called only where the resolver vouches for the answer that named them.
// A domain with usable records has those servers only that have them: a message does not leave by the one that an attacker would choose.
func underDANE(ctx context.Context, r Resolver, res Resolution) (Resolution, time.Duration) {
	found := make([]secured, len(res.Hosts))
	var wg sync.WaitGroup
	for i, h := range res.Hosts {
		wg.Go(func() { found[i] = lookTLSA(ctx, r, res.Domain, h) })
	}
	wg.Wait()
	var proven, others []Host
	ttl := maxLife
	for _, s := range found {
		ttl = min(ttl, s.ttl)
		switch {
		case s.trouble:
		case s.dane:
			proven = append(proven, s.host)
		default:
			others = append(others, s.host)
			res.MustTLS = res.MustTLS || s.mustTLS
		}
	}
	switch {
	case len(proven) > 0:
		res.Hosts, res.Proof, res.MustTLS = proven, ProofDANE, false
	case len(others) > 0:
		res.Hosts = others
	default:
		return res.not(Later, ReasonResolver), troubleLife
	}
	return res, ttl
}

func lookTLSA(ctx context.Context, r Resolver, domain string, h Host) secured {
	s := secured{host: h, ttl: maxLife}
	addr, err := r.Lookup(ctx, h.Name, RecordAddr)
	if err != nil {
		s.trouble = true
		return s
	}
	if !addr.Secure || addr.Missing { // unsigned: no TLSA record would be believed, so none is asked for (RFC 7672 2.2.2)
		return s
	}
	s.ttl = min(s.ttl, addr.TTL)
	bases := []string{h.Name}
	if addr.Name != "" && addr.Name != h.Name { // an alias: its target first (RFC 7672 2.2.2)
		bases = []string{addr.Name, h.Name}
	}
	for _, base := range bases {
		a, err := r.Lookup(ctx, "_25._tcp."+base, RecordTLSA)
		if err != nil {
			s.trouble = true
			return s
		}
		if !a.Secure || len(a.TLSA) == 0 {
			continue
		}
		s.ttl = min(s.ttl, a.TTL)
		usable := slices.DeleteFunc(slices.Clone(a.TLSA), func(t TLSA) bool { return !t.usable() })
		if len(usable) == 0 {
			s.mustTLS = true
			return s
		}
		s.dane = true
		s.host.Name = base // what SNI asks for (RFC 7672 8.1)
		s.host.DANE = &DANE{Records: strongest(usable), Names: slices.Compact([]string{base, domain})}
		return s
	}
	return s
}
