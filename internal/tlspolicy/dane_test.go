package tlspolicy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// chain is a made-up authority and a server's certificate under it.
type chain struct{ leaf, root *x509.Certificate }

func newChain(t *testing.T, name string, until time.Time) chain {
	t.Helper()
	issue := func(tmpl, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
		raw, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rootKey := key()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	c := chain{root: issue(root, root, rootKey, rootKey)}
	c.leaf = issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().AddDate(0, -1, 0), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, c.root, key(), rootKey)
	return c
}

func association(usage, selector, matching uint8, c *x509.Certificate) tlspolicy.TLSA {
	data := c.Raw
	if selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return tlspolicy.TLSA{Usage: usage, Selector: selector, Matching: matching, Data: data}
}

// TestDANEProves judges chains by each usage, selector and matching type (RFC 7672 3.1).
func TestDANEProves(t *testing.T) {
	now := time.Now()
	good := newChain(t, "mx.good.example", now.AddDate(0, 1, 0))
	old := newChain(t, "mx.good.example", now.AddDate(0, 0, -1))
	other := newChain(t, "other.invalid", now.AddDate(0, 1, 0))
	names := []string{"mx.good.example", "good.example"}
	for usage, of := range map[uint8]func(c chain) *x509.Certificate{
		2: func(c chain) *x509.Certificate { return c.root }, 3: func(c chain) *x509.Certificate { return c.leaf },
	} {
		for selector := range uint8(2) {
			for matching := range uint8(3) {
				for _, x := range []struct {
					what    string
					record  chain // whom the record names
					shows   chain
					present []*x509.Certificate
					want    bool
				}{
					{"as named", good, good, []*x509.Certificate{good.leaf, good.root}, true},
					{"another's", other, good, []*x509.Certificate{good.leaf, good.root}, false},
					{"expired", old, old, []*x509.Certificate{old.leaf, old.root}, usage == 3},
					{"another name", other, other, []*x509.Certificate{other.leaf, other.root}, usage == 3},
					{"without its anchor", good, good, []*x509.Certificate{good.leaf}, usage == 3 || selector == 0 && matching == 0},
					{"an anchor that did not sign", good, good, []*x509.Certificate{other.leaf, good.root}, false},
					{"nothing", good, good, nil, false},
				} {
					d := tlspolicy.DANE{Records: []tlspolicy.TLSA{association(usage, selector, matching, of(x.record))}, Names: names}
					if err := d.Prove(x.present, now); (err == nil) != x.want {
						t.Errorf("%d %d %d %s: %v", usage, selector, matching, x.what, err)
					}
				}
			}
		}
	}
	two := tlspolicy.DANE{Records: []tlspolicy.TLSA{association(3, 1, 1, other.leaf), association(2, 1, 1, good.root)}, Names: names}
	if err := two.Prove([]*x509.Certificate{good.leaf, good.root}, now); err != nil {
		t.Errorf("one of two records matches, as while a key is changed: %v", err)
	}
	selfNamed := tlspolicy.DANE{Records: []tlspolicy.TLSA{association(2, 1, 1, good.leaf)}, Names: names}
	if selfNamed.Prove([]*x509.Certificate{good.leaf, good.root}, now) == nil {
		t.Error("a server's own certificate counts as its trust anchor")
	}
}

// TestWaysUnderDANE is RFC 7672 2 in one table: what signed and unsigned DNS make of a domain.
func TestWaysUnderDANE(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	c := newChain(t, "mx.x.example", time.Now().AddDate(0, 1, 0))
	good := []tlspolicy.TLSA{association(3, 1, 1, c.leaf)}
	const domain, mx, mx2 = "x.example", "mx.x.example", "mx2.x.example"
	both := map[string][]tlspolicy.MX{domain: {{Preference: 1, Name: mx}, {Preference: 2, Name: mx2}}}
	addrs := map[string]bool{mx: true, mx2: true, "host.target.example": true}
	all := map[string]bool{domain: true, "target.example": true}
	for _, x := range []struct {
		name    string
		z       *zone
		status  tlspolicy.Status
		proof   tlspolicy.Proof
		hosts   int
		mustTLS bool
	}{
		{"signed, one server with records", &zone{signed: all, tlsa: map[string][]tlspolicy.TLSA{mx2: good}}, tlspolicy.Ready, tlspolicy.ProofDANE, 1, false},
		{"signed, both", &zone{signed: all, tlsa: map[string][]tlspolicy.TLSA{mx: good, mx2: good}}, tlspolicy.Ready, tlspolicy.ProofDANE, 2, false},
		{"signed, no records", &zone{signed: all}, tlspolicy.Ready, tlspolicy.ProofNone, 2, false},
		{"unsigned MX", &zone{signed: map[string]bool{mx: true}, tlsa: map[string][]tlspolicy.TLSA{mx: good}}, tlspolicy.Ready, tlspolicy.ProofNone, 2, false},
		{"nothing is signed", &zone{tlsa: map[string][]tlspolicy.TLSA{mx: good, mx2: good}}, tlspolicy.Ready, tlspolicy.ProofNone, 2, false},
		{"records of usages that do not count", &zone{signed: all, tlsa: map[string][]tlspolicy.TLSA{mx: {association(1, 1, 1, c.leaf), association(0, 0, 1, c.root)}}}, tlspolicy.Ready, tlspolicy.ProofNone, 2, true},
		{"a record of a bad length", &zone{signed: all, tlsa: map[string][]tlspolicy.TLSA{mx: {{Usage: 3, Selector: 1, Matching: 1, Data: []byte{1}}}}}, tlspolicy.Ready, tlspolicy.ProofNone, 2, true},
		{"TLSA not answered at one", &zone{signed: all, fail: map[string]bool{"_25._tcp." + mx: true}}, tlspolicy.Ready, tlspolicy.ProofNone, 1, false},
		{"TLSA not answered at any", &zone{signed: all, fail: map[string]bool{"_25._tcp." + mx: true, "_25._tcp." + mx2: true}}, tlspolicy.Later, tlspolicy.ProofNone, 2, false},
		{"one proven, one without an answer", &zone{signed: all, tlsa: map[string][]tlspolicy.TLSA{mx: good}, fail: map[string]bool{"_25._tcp." + mx2: true}}, tlspolicy.Ready, tlspolicy.ProofDANE, 1, false},
		{"an alias whose target has the records", &zone{signed: all, alias: map[string]string{mx: "host.target.example"}, tlsa: map[string][]tlspolicy.TLSA{"host.target.example": good}}, tlspolicy.Ready, tlspolicy.ProofDANE, 1, false},
	} {
		z := x.z
		z.mx, z.addr = both, addrs
		w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: newSite(t, "q.example").dial})
		r := w.Resolve(t.Context(), 1, domain)
		if r.Status != x.status || r.Proof != x.proof || len(r.Hosts) != x.hosts || r.MustTLS != x.mustTLS {
			t.Errorf("%s: %s %q %d hosts, must TLS %v", x.name, r.Status, r.Proof, len(r.Hosts), r.MustTLS)
		}
		if x.proof == tlspolicy.ProofDANE && (!r.Enforced() || r.Hosts[0].DANE == nil || r.Key() == "") {
			t.Errorf("%s: %+v", x.name, r)
		}
	}
	// A domain that receives its own mail, without MX.
	z := &zone{signed: all, addr: map[string]bool{domain: true}, tlsa: map[string][]tlspolicy.TLSA{domain: good}}
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: newSite(t, "q.example").dial})
	if r := w.Resolve(t.Context(), 1, domain); r.Proof != tlspolicy.ProofDANE || r.Hosts[0].Name != domain {
		t.Errorf("without MX: %+v", r)
	}
}

// TestDANEStandsAboveMTASTS: where both are published DANE is what counts (RFC 8461 2), and its policy file is not even asked for.
func TestDANEStandsAboveMTASTS(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	c := newChain(t, "mx.good.example", time.Now().AddDate(0, 1, 0))
	z := &zone{
		mx: map[string][]tlspolicy.MX{"good.example": {{Preference: 1, Name: "mx1.good.example"}}}, addr: map[string]bool{"mx1.good.example": true},
		txt: map[string][]string{"_mta-sts.good.example": {"v=STSv1; id=1;"}}, signed: map[string]bool{"good.example": true},
		tlsa: map[string][]tlspolicy.TLSA{"mx1.good.example": {association(3, 0, 1, c.leaf)}},
	}
	s := newSite(t, "mta-sts.good.example")
	s.says(policyText(enforce)) // names another server
	w := newWays(t, tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: z, Dial: s.dial, Roots: s.roots})
	if r := w.Resolve(t.Context(), 1, "good.example"); r.Status != tlspolicy.Ready || r.Proof != tlspolicy.ProofDANE || s.asked != 0 {
		t.Errorf("%+v, policy fetched %d times", r, s.asked)
	}
}

// TestJudgeDANE: nothing leaves over a connection that fails the domain's own records, whatever the message was decided on; and nothing
// in the clear where signed DNS says TLS.
func TestJudgeDANE(t *testing.T) {
	dane := tlspolicy.Resolution{Status: tlspolicy.Ready, Proof: tlspolicy.ProofDANE}
	must := tlspolicy.Resolution{Status: tlspolicy.Ready, MustTLS: true}
	verified, unverified := tlspolicy.Shown{TLS: true, Verified: true}, tlspolicy.Shown{TLS: true, Failure: tlspolicy.FailureDANE}
	clear, broken := tlspolicy.Shown{Failure: tlspolicy.FailureNoTLS}, tlspolicy.Shown{Failure: tlspolicy.FailureHandshake}
	for _, x := range []struct {
		r     tlspolicy.Resolution
		need  tlspolicy.Proof
		shown tlspolicy.Shown
		want  tlspolicy.Verdict
	}{
		{dane, tlspolicy.ProofDANE, verified, tlspolicy.Send},
		{dane, tlspolicy.ProofNone, verified, tlspolicy.Send},
		{dane, tlspolicy.ProofDANE, unverified, tlspolicy.Defer},
		{dane, tlspolicy.ProofNone, unverified, tlspolicy.Defer},
		{dane, tlspolicy.ProofNone, clear, tlspolicy.Defer},
		{dane, tlspolicy.ProofNone, broken, tlspolicy.Defer},
		{dane, tlspolicy.ProofMTASTS, verified, tlspolicy.Redecide},
		{must, tlspolicy.ProofNone, unverified, tlspolicy.Send},
		{must, tlspolicy.ProofNone, clear, tlspolicy.Defer},
		{must, tlspolicy.ProofNone, broken, tlspolicy.Defer},
		{must, tlspolicy.ProofPKIX, verified, tlspolicy.Send},
		{must, tlspolicy.ProofPKIX, unverified, tlspolicy.Redecide},
		{must, tlspolicy.ProofDANE, verified, tlspolicy.Redecide},
	} {
		if got := x.r.Judge(x.need, x.shown); got != x.want {
			t.Errorf("%q must=%v need %q %+v: %s, want %s", x.r.Proof, x.r.MustTLS, x.need, x.shown, got, x.want)
		}
	}
}
