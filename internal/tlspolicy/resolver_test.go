package tlspolicy_test

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/carepost/carepost/internal/tlspolicy"
)

// nameServer answers over UDP and TCP on one loopback port.
func nameServer(t *testing.T, h dns.HandlerFunc) string {
	t.Helper()
	pc, l := pair(t)
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return pc.LocalAddr().String()
}

// pair gives one port for UDP and TCP. A port that is free for the one may be taken for the other, so several are tried.
func pair(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		_ = pc.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func TestResolverTellsTroubleFromAbsence(t *testing.T) {
	addr := nameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		name := q.Question[0].Name
		_, udp := w.RemoteAddr().(*net.UDPAddr)
		rr := func(line string) {
			r, err := dns.NewRR(line)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, r)
		}
		switch {
		case strings.HasPrefix(name, "servfail."):
			m.Rcode = dns.RcodeServerFailure
		case strings.HasPrefix(name, "refused."):
			m.Rcode = dns.RcodeRefused
		case strings.HasPrefix(name, "missing."):
			m.Rcode = dns.RcodeNameError
		case strings.HasPrefix(name, "long.") && udp:
			m.Truncated = true
		case strings.HasPrefix(name, "other."):
			m.Question[0].Name = "spoof.example."
		case strings.HasPrefix(name, "empty."):
		case q.Question[0].Qtype == dns.TypeMX:
			m.AuthenticatedData = true
			rr(name + " 300 IN MX 10 MX." + name)
			rr(name + " 60 IN MX 20 mx2." + name)
		case q.Question[0].Qtype == dns.TypeTLSA:
			rr(name + " 60 IN CNAME elsewhere.example.")
			rr("elsewhere.example. 60 IN TLSA 3 1 1 " + strings.Repeat("ab", 32))
		case strings.HasPrefix(name, "alias.") && q.Question[0].Qtype == dns.TypeA:
			rr(name + " 60 IN CNAME Target.example.")
			rr("target.example. 60 IN A 192.0.2.1")
		case q.Question[0].Qtype == dns.TypeTXT:
			rr(name + ` 60 IN TXT "v=STSv1; " "id=1;"`)
		case q.Question[0].Qtype == dns.TypeA:
			rr(name + " 60 IN A 192.0.2.1")
		case q.Question[0].Qtype == dns.TypeAAAA:
			rr(name + " 60 IN AAAA 2001:db8::1")
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})
	d, err := tlspolicy.NewDNS(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"servfail.example", "refused.example", "other.example"} {
		if _, err := d.Lookup(t.Context(), name, tlspolicy.RecordMX); err == nil {
			t.Errorf("%s: an answer", name)
		}
	}
	if a, err := d.Lookup(t.Context(), "missing.example", tlspolicy.RecordMX); err != nil || !a.Missing {
		t.Errorf("missing: %+v %v", a, err)
	}
	if a, err := d.Lookup(t.Context(), "empty.example", tlspolicy.RecordMX); err != nil || a.Missing || len(a.MX) != 0 {
		t.Errorf("no data: %+v %v", a, err)
	}
	for _, name := range []string{"a.example", "long.example"} {
		a, err := d.Lookup(t.Context(), name, tlspolicy.RecordMX)
		if err != nil || len(a.MX) != 2 || a.MX[0].Name != "mx."+name || a.TTL.Seconds() != 60 || a.Secure {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	if err := d.TrustAD(); err != nil {
		t.Fatal(err)
	}
	if a, err := d.Lookup(t.Context(), "a.example", tlspolicy.RecordMX); err != nil || !a.Secure {
		t.Errorf("a resolver that is believed: %+v %v", a, err)
	}
	if a, err := d.Lookup(t.Context(), "a.example", tlspolicy.RecordTXT); err != nil || a.Secure {
		t.Errorf("an answer without AD: %+v %v", a, err)
	}
	if a, err := d.Lookup(t.Context(), "_25._tcp.mx.example", tlspolicy.RecordTLSA); err != nil || len(a.TLSA) != 1 || a.TLSA[0].Usage != 3 || len(a.TLSA[0].Data) != 32 {
		t.Errorf("TLSA behind an alias: %+v %v", a, err)
	}
	if a, err := d.Lookup(t.Context(), "alias.example", tlspolicy.RecordAddr); err != nil || a.Name != "target.example" || len(a.Addrs) != 2 {
		t.Errorf("an alias: %+v %v", a, err)
	}
	if far, err := tlspolicy.NewDNS("192.0.2.53:53"); err != nil || far.TrustAD() == nil {
		t.Error("a resolver across the network may vouch for DNSSEC")
	}
	if a, err := d.Lookup(t.Context(), "a.example", tlspolicy.RecordTXT); err != nil || len(a.TXT) != 1 || a.TXT[0] != "v=STSv1; id=1;" {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := d.Lookup(t.Context(), "a.example", tlspolicy.RecordAddr); err != nil || len(a.Addrs) != 2 {
		t.Errorf("%+v %v", a, err)
	}
	dead, err := tlspolicy.NewDNS("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Lookup(t.Context(), "a.example", tlspolicy.RecordMX); err == nil {
		t.Error("a dead server answered")
	}
}
