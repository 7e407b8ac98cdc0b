package tlspolicy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// zone is a resolver of the test: names to answers; a name that it does not have is missing, but the domain "example" itself, which an
// honest resolver knows.
type zone struct {
	mu    sync.Mutex
	mx    map[string][]tlspolicy.MX
	txt   map[string][]string
	addr  map[string]bool
	fail  map[string]bool
	dead  bool
	lying bool // knows nothing at all
	asked int

	tlsa   map[string][]tlspolicy.TLSA // by the name of the server
	signed map[string]bool             // the resolver vouches for the name and what is below
	alias  map[string]string
}

var errDead = errors.New("no answer")

func (z *zone) Lookup(_ context.Context, name string, r tlspolicy.Record) (tlspolicy.Answer, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	if z.dead || z.fail[name] {
		return tlspolicy.Answer{}, errDead
	}
	a := tlspolicy.Answer{TTL: 10 * time.Minute, Name: name}
	if to := z.alias[name]; to != "" && r == tlspolicy.RecordAddr {
		a.Name = to
	}
	for domain := range z.signed {
		a.Secure = a.Secure || name == domain || strings.HasSuffix(name, "."+domain)
	}
	_, hasMX := z.mx[name]
	a.Missing = z.lying || name != "example" && !hasMX && z.txt[name] == nil && !z.addr[name]
	switch r {
	case tlspolicy.RecordTLSA:
		a.TLSA = z.tlsa[strings.TrimPrefix(name, "_25._tcp.")]
	case tlspolicy.RecordMX:
		a.MX = z.mx[name]
	case tlspolicy.RecordTXT:
		a.TXT = z.txt[name]
	case tlspolicy.RecordAddr:
		if z.addr[name] {
			a.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}
	}
	return a, nil
}

func (z *zone) set(fn func(z *zone)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	fn(z)
}

// site serves policy files for any name that its certificate covers.
type site struct {
	server *httptest.Server
	roots  *x509.CertPool
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func newSite(t *testing.T, names ...string) *site {
	t.Helper()
	s := &site{}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked++
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	s.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) says(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func policyText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text))
	}
}

func (s *site) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if !strings.HasSuffix(addr, ":443") {
		return nil, errDead
	}
	var d net.Dialer
	return d.DialContext(ctx, network, s.server.Listener.Addr().String())
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const enforce = "version: STSv1\nmode: enforce\nmx: mx.good.example\nmax_age: 1000000\n"

func TestWaysByDNS(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		z := &zone{
			mx: map[string][]tlspolicy.MX{
				"good.example": {{Preference: 20, Name: "mx2.good.example"}, {Preference: 10, Name: "mx.good.example"}},
				"null.example": {{Name: ""}}, "google.example": {{Preference: 1, Name: "aspmx.l.google.com"}},
				"many.example": manyMX(64), "odd.example": {{Preference: 1, Name: "127.0.0.1"}, {Preference: 2, Name: "localhost"}},
				"none.example": {},
			},
			addr: map[string]bool{"bare.example": true},
			fail: map[string]bool{"ill.example": true},
		}
		s := newSite(t, "mta-sts.good.example")
		w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial, Roots: s.roots})
		for _, c := range []struct {
			domain string
			status tlspolicy.Status
			reason tlspolicy.Reason
			group  string
			hosts  int
		}{
			{"good.example", tlspolicy.Ready, "", "good.example", 2},
			{"GOOD.example.", tlspolicy.Ready, "", "good.example", 2},
			{"google.example", tlspolicy.Ready, "", "google", 1},
			{"bare.example", tlspolicy.Ready, "", "bare.example", 1},
			{"many.example", tlspolicy.Ready, "", "many.example", 10},
			{"gone.example", tlspolicy.Nowhere, tlspolicy.ReasonNoDomain, "", 0},
			{"null.example", tlspolicy.Nowhere, tlspolicy.ReasonNullMX, "", 0},
			{"odd.example", tlspolicy.Nowhere, tlspolicy.ReasonNoAddress, "", 0},
			{"none.example", tlspolicy.Nowhere, tlspolicy.ReasonNoAddress, "", 0},
			{"ill.example", tlspolicy.Later, tlspolicy.ReasonResolver, "", 0},
			{"not a domain", tlspolicy.Nowhere, tlspolicy.ReasonBadName, "", 0},
			{"[192.0.2.1]", tlspolicy.Nowhere, tlspolicy.ReasonBadName, "", 0},
		} {
			r := w.Resolve(t.Context(), 1, c.domain)
			if r.Status != c.status || r.Reason != c.reason || r.Group != c.group || len(r.Hosts) != c.hosts {
				t.Errorf("%s: %+v", c.domain, r)
			}
		}
		if r := w.Resolve(t.Context(), 1, "good.example"); r.Hosts[0].Addr != "mx.good.example:25" {
			t.Errorf("the preferred server is not first: %+v", r.Hosts)
		}
		asked := z.asked
		w.Resolve(t.Context(), 1, "good.example")
		if z.asked != asked {
			t.Error("a fresh answer was asked for again")
		}
	})
}

func manyMX(n int) []tlspolicy.MX {
	var all []tlspolicy.MX
	for i := range n {
		all = append(all, tlspolicy.MX{Preference: uint16(i / 8), Name: string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".many.example"})
	}
	return all
}

func newWays(t *testing.T, o tlspolicy.Options) *tlspolicy.Ways {
	t.Helper()
	w, err := tlspolicy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestPolicyOutlivesItsServers: a policy once fetched holds until its age, through restarts, a dead web server and a TXT record that is gone.
func TestPolicyOutlivesItsServers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		c := &clock{now: time.Now()}
		z := &zone{
			mx:  map[string][]tlspolicy.MX{"good.example": {{Preference: 5, Name: "evil.example"}, {Preference: 10, Name: "mx.good.example"}}},
			txt: map[string][]string{"_mta-sts.good.example": {"v=spf1 -all", "v=STSv1; id=20261124;"}},
		}
		s := newSite(t, "mta-sts.good.example")
		s.says(policyText(enforce))
		o := tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial, Roots: s.roots, Now: c.Now}
		w := newWays(t, o)
		strict := func(what string) {
			t.Helper()
			if r := w.Resolve(t.Context(), 1, "good.example"); r.Proof != tlspolicy.ProofMTASTS || !r.Enforced() || len(r.Hosts) != 1 || r.Hosts[0].Name != "mx.good.example" {
				t.Fatalf("%s: %+v", what, r)
			}
		}
		strict("fetched")
		w = newWays(t, o)
		strict("after a restart")
		if s.asked != 1 {
			t.Errorf("fetched %d times, though the id did not change", s.asked)
		}
		for what, h := range map[string]http.HandlerFunc{
			"404": http.NotFound,
			"redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://other.example/", http.StatusFound)
			},
			"html": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte(enforce))
			},
			"too long":       policyText(enforce + strings.Repeat("x: y\n", 20000)),
			"not a policy":   policyText("version: STSv1\n"),
			"another answer": policyText(""),
		} {
			z.set(func(z *zone) { z.txt["_mta-sts.good.example"] = []string{"v=STSv1; id=changed;"} })
			s.says(h)
			w = newWays(t, o)
			strict(what)
		}
		z.set(func(z *zone) { z.txt = nil })
		w = newWays(t, o)
		strict("TXT record gone")
		z.set(func(z *zone) { z.fail = map[string]bool{"_mta-sts.good.example": true} })
		w = newWays(t, o)
		strict("TXT record not answered")
		c.add(12 * 24 * time.Hour)
		w = newWays(t, o)
		if r := w.Resolve(t.Context(), 1, "good.example"); r.Proof != tlspolicy.ProofNone || len(r.Hosts) != 2 {
			t.Errorf("past its age: %+v", r)
		}
		if err := w.Prune(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPolicyModes(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	z := &zone{
		mx: map[string][]tlspolicy.MX{"good.example": {{Preference: 10, Name: "mx.good.example"}}},
	}
	s := newSite(t, "mta-sts.good.example")
	now := &clock{now: time.Now()}
	o := tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial, Roots: s.roots, Now: now.Now}
	for i, c := range []struct {
		name, text string
		status     tlspolicy.Status
		proof      tlspolicy.Proof
		testing    bool
	}{
		{"testing", strings.Replace(enforce, "enforce", "testing", 1), tlspolicy.Ready, tlspolicy.ProofNone, true},
		{"enforced and met", enforce, tlspolicy.Ready, tlspolicy.ProofMTASTS, false},
		{"enforced and broken", strings.Replace(enforce, "mx.good", "other.good", 1), tlspolicy.Broken, tlspolicy.ProofMTASTS, false},
		{"given up", "version: STSv1\nmode: none\nmax_age: 86400\n", tlspolicy.Ready, tlspolicy.ProofNone, false},
	} {
		z.set(func(z *zone) {
			z.txt = map[string][]string{"_mta-sts.good.example": {"v=STSv1; id=" + string(rune('a'+i)) + ";"}}
		})
		s.says(policyText(c.text))
		r := newWays(t, o).Resolve(t.Context(), 1, "good.example")
		if r.Status != c.status || r.Proof != c.proof || r.Testing != c.testing {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	// A certificate for another name is no policy, and the kept one (mode none) stays.
	z.set(func(z *zone) {
		z.mx["wrong.example"] = z.mx["good.example"]
		z.txt["_mta-sts.wrong.example"] = []string{"v=STSv1; id=1;"}
	})
	s.says(policyText(enforce))
	if r := newWays(t, o).Resolve(t.Context(), 1, "wrong.example"); r.Proof != tlspolicy.ProofNone {
		t.Errorf("a policy from a server that does not prove its name: %+v", r)
	}
}

// TestResolverTroubleNeverBounces: a dead resolver gives Later, and one that calls everything missing is not believed for long.
func TestResolverTroubleNeverBounces(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	z := &zone{dead: true}
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: newSite(t, "x.example").dial})
	if r := w.Resolve(t.Context(), 1, "a.example"); r.Status != tlspolicy.Later {
		t.Errorf("dead resolver: %+v", r)
	}
	z.set(func(z *zone) { z.dead, z.lying = false, true })
	for i := range 60 {
		if r := w.Resolve(t.Context(), 1, "d"+string(rune('a'+i%26))+string(rune('a'+i/26))+".example"); r.Status != tlspolicy.Later {
			t.Fatalf("a lying resolver was believed at name %d: %+v", i, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := w.Resolve(ctx, 1, "cancelled.example"); r.Status != tlspolicy.Later {
		t.Errorf("a caller that gave up: %+v", r)
	}
}

// TestAbsenceIsBelievedInTime: a name is missing at once where the resolver knows the domain above; else when it still is after minutes.
func TestAbsenceIsBelievedInTime(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	c := &clock{now: time.Now()}
	z := &zone{mx: map[string][]tlspolicy.MX{"good.example": {{Name: "mx.good.example"}}}}
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: newSite(t, "x.example").dial, Now: c.Now})
	if r := w.Resolve(t.Context(), 1, "gone.example"); r.Reason != tlspolicy.ReasonNoDomain {
		t.Errorf("beside a known domain: %+v", r)
	}
	if r := w.Resolve(t.Context(), 1, "mistyped.exmaple"); r.Status != tlspolicy.Later {
		t.Errorf("with nothing known above, at first sight: %+v", r)
	}
	c.add(time.Minute)
	if r := w.Resolve(t.Context(), 1, "mistyped.exmaple"); r.Status != tlspolicy.Later {
		t.Errorf("a minute later: %+v", r)
	}
	c.add(2 * time.Minute)
	if r := w.Resolve(t.Context(), 1, "mistyped.exmaple"); r.Reason != tlspolicy.ReasonNoDomain {
		t.Errorf("minutes later: %+v", r)
	}
}

// TestShortPolicyIsKeptAlive: a policy that lives an hour is fetched again before its end (RFC 8461 3.3), so that a web server which is away
// for a while takes nothing away.
func TestShortPolicyIsKeptAlive(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	c := &clock{now: time.Now()}
	z := &zone{
		mx:  map[string][]tlspolicy.MX{"good.example": {{Preference: 10, Name: "mx.good.example"}}},
		txt: map[string][]string{"_mta-sts.good.example": {"v=STSv1; id=1;"}},
	}
	s := newSite(t, "mta-sts.good.example")
	s.says(policyText(strings.Replace(enforce, "1000000", "3600", 1)))
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial, Roots: s.roots, Now: c.Now})
	for i := range 12 { // two hours
		if r := w.Resolve(t.Context(), 1, "good.example"); r.Proof != tlspolicy.ProofMTASTS {
			t.Fatalf("after %d minutes: %+v", 10*i, r)
		}
		c.add(10 * time.Minute)
	}
	if s.asked < 3 {
		t.Errorf("fetched %d times in two hours", s.asked)
	}
}

func TestRoutes(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		s := newSite(t, "mx.partner.example")
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.TLS.Certificates[0].Certificate[0]})
		z := &zone{mx: map[string][]tlspolicy.MX{"other.example": {{Name: "mx.other.example"}}}}
		w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial})
		write := func(fn func(ctx context.Context, tx *store.Tx) error) error {
			return st.Write(t.Context(), id.System(1), fn)
		}
		agreement := id.New[id.Agreement]()
		var first id.Route
		set := func(r tlspolicy.Route) error {
			return write(func(ctx context.Context, tx *store.Tx) (err error) { first, err = w.SetRoute(ctx, tx, r); return err })
		}
		for what, r := range map[string]tlspolicy.Route{
			"no domain":             {Host: "mx.example"},
			"no host":               {Domain: "a.example"},
			"bad port":              {Domain: "a.example", Host: "mx.example", Port: 70000},
			"bad CA":                {Domain: "a.example", Host: "mx.example", CA: []byte("x")},
			"password in the clear": {Domain: "a.example", Host: "mx.example", Unproven: true, Login: &tlspolicy.Login{User: "u", Password: "p"}},
		} {
			if err := set(r); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		r := tlspolicy.Route{
			Domain: "Partner.Example", Host: "10.0.0.5", Port: 2525, Name: "mx.partner.example", CA: ca, Agreement: agreement,
			Login: &tlspolicy.Login{User: "u", Password: "secret"},
		}
		if err := set(r); err != nil {
			t.Fatal(err)
		}
		got := w.Resolve(t.Context(), 1, "partner.example")
		if got.Proof != tlspolicy.ProofRoute || got.Hosts[0] != (tlspolicy.Host{Name: "mx.partner.example", Addr: "10.0.0.5:2525"}) ||
			got.Roots == nil || got.Agreement != agreement || got.Login.Password != "secret" || got.Group != "route:"+first.String() {
			t.Errorf("%+v", got)
		}
		if other := w.Resolve(t.Context(), 2, "partner.example"); other.Status == tlspolicy.Ready {
			t.Error("another organisation goes by this one's route")
		}
		if err := set(tlspolicy.Route{Domain: tlspolicy.Every, Host: "smart.example", Unproven: true}); err != nil {
			t.Fatal(err)
		}
		every := first
		if got := w.Resolve(t.Context(), 1, "other.example"); got.Proof != tlspolicy.ProofNone || got.Hosts[0].Addr != "smart.example:25" {
			t.Errorf("%+v", got)
		}
		if err := write(func(ctx context.Context, tx *store.Tx) error { return w.RemoveRoute(ctx, tx, every) }); err != nil {
			t.Fatal(err)
		}
		if got := w.Resolve(t.Context(), 1, "other.example"); got.Hosts[0].Addr != "mx.other.example:25" {
			t.Errorf("%+v", got)
		}
		err := write(func(ctx context.Context, tx *store.Tx) error {
			all, err := w.Routes(ctx, tx)
			if len(all) != 1 || !slices.Equal(all[0].CA, ca) {
				t.Errorf("%d routes", len(all))
			}
			return errors.Join(err, w.RemoveRoute(ctx, tx, every))
		})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func TestFailureIsRememberedForAnHour(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	c := &clock{now: time.Now()}
	z := &zone{mx: map[string][]tlspolicy.MX{"a.example": {{Name: "mx.a.example"}}}}
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: newSite(t, "x.example").dial, Now: c.Now})
	w.Note("A.example", tlspolicy.FailureExpired)
	if r := w.Resolve(t.Context(), 1, "a.example"); r.Failure != tlspolicy.FailureExpired || r.Offers(true) != tlspolicy.ProofNone {
		t.Errorf("%+v", r)
	}
	c.add(61 * time.Minute)
	if r := w.Resolve(t.Context(), 1, "a.example"); r.Failure != "" || r.Offers(true) != tlspolicy.ProofPKIX {
		t.Errorf("%+v", r)
	}
}
