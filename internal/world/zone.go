package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// zone answers DNS from the records it was given; it is authoritative for everything, so an unknown name is NXDOMAIN.
type zone struct {
	addr string
	fail atomic.Bool

	mu      sync.Mutex
	records map[string][]dns.RR // by lower-case owner name
	signed  map[string]bool     // domains whose answers the zone calls validated, as a validating resolver would
	ips     int
	servers []*dns.Server
}

func startZone(ctx context.Context) (*zone, error) {
	z := &zone{records: map[string][]dns.RR{}, signed: map[string]bool{}}
	packets, stream, err := listenPair(ctx)
	if err != nil {
		return nil, err
	}
	z.addr = packets.LocalAddr().String()
	z.servers = []*dns.Server{
		{PacketConn: packets, Handler: dns.HandlerFunc(z.answer)},
		{Listener: stream, Handler: dns.HandlerFunc(z.answer)},
	}
	for _, s := range z.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
		<-started
	}
	return z, nil
}

// listenPair gives one port for UDP and TCP. A port that is free for the one may be taken for the other, so several are tried.
func listenPair(ctx context.Context) (net.PacketConn, net.Listener, error) {
	var lc net.ListenConfig
	var last error
	for range 50 {
		packets, err := lc.ListenPacket(ctx, "udp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, fmt.Errorf("listen for DNS: %w", err)
		}
		stream, err := lc.Listen(ctx, "tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, stream, nil
		}
		last = errors.Join(err, packets.Close())
	}
	return nil, nil, fmt.Errorf("listen for DNS over TCP: %w", last)
}

func (z *zone) nextIP() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ips++
	return fmt.Sprintf("127.1.%d.%d", z.ips/250, z.ips%250+1)
}

// add panics on a line that is no record: zones are written in code.
func (z *zone) add(line string) {
	rr, err := dns.NewRR(line)
	if err != nil {
		panic(fmt.Sprintf("zone line %q: %v", line, err))
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	name := strings.ToLower(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
}

func (z *zone) sign(domain string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.signed[strings.ToLower(domain)+"."] = true
}

func (z *zone) answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative, m.RecursionAvailable = true, true
	switch {
	case z.fail.Load():
		m.Rcode = dns.RcodeServerFailure
	case len(q.Question) == 1:
		z.fill(m, q.Question[0])
	default:
		m.Rcode = dns.RcodeFormatError
	}
	_ = w.WriteMsg(m) // the asker is gone: nothing to do
}

func (z *zone) fill(m *dns.Msg, q dns.Question) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := strings.ToLower(q.Name)
	for domain := range z.signed {
		m.AuthenticatedData = m.AuthenticatedData || name == domain || strings.HasSuffix(name, "."+domain)
	}
	all, known := z.records[name]
	for _, rr := range all {
		if rr.Header().Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if !known && !z.below(name) {
		m.Rcode = dns.RcodeNameError
	}
}

// below tells whether a record stands under the name: then the name exists, without data (RFC 8020).
func (z *zone) below(name string) bool {
	for owner := range z.records {
		if strings.HasSuffix(owner, "."+name) {
			return true
		}
	}
	return false
}

func (z *zone) close() error {
	var errs []error
	for _, s := range z.servers {
		errs = append(errs, s.Shutdown())
	}
	return errors.Join(errs...)
}
