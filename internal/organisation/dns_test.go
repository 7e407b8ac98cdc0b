package organisation_test

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/organisation"
)

// zone answers from a map: "TXT name", "MX name", "IP name". A name of "dead" zones does not answer.
type zone map[string][]string

func (z zone) get(kind, name string) ([]string, error) {
	name = strings.TrimSuffix(name, ".")
	if got, ok := z[kind+" "+name]; ok {
		if len(got) == 1 && got[0] == "SERVFAIL" {
			return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
		}
		return got, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) { return z.get("TXT", name) }

func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	got, err := z.get("MX", name)
	var all []*net.MX
	for _, h := range got {
		all = append(all, &net.MX{Host: h + ".", Pref: 10})
	}
	return all, err
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	got, err := z.get("IP", host)
	var all []netip.Addr
	for _, a := range got {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, err
}

func setup() organisation.Setup {
	return organisation.Setup{
		Domain: "riverside.example", Host: "mail.riverside.example", Sources: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")},
		Keys: []organisation.DKIMKey{{Selector: "cp2611e", Algorithm: organisation.Ed25519, State: organisation.KeySigning, Public: ed25519.PublicKey(make([]byte, 32))}},
	}
}

// published is the zone that holds exactly what Records asks for.
func published(t *testing.T) zone {
	t.Helper()
	records, err := setup().Records()
	if err != nil {
		t.Fatal(err)
	}
	z := zone{}
	for _, r := range records {
		value := r.Value
		if r.Type == "MX" {
			value = strings.TrimSuffix(strings.TrimPrefix(value, "10 "), ".")
		}
		z[r.Type+" "+r.Name] = []string{value}
	}
	return z
}

func TestCheckDomain(t *testing.T) {
	const bounce = "bounce.riverside.example"
	for _, c := range []struct {
		name   string
		change func(zone)
		record string // the name and type whose check is looked at
		want   organisation.Status
		ready  bool
	}{
		{"as published", func(zone) {}, "TXT " + bounce, organisation.StatusOK, true},
		{"no SPF", func(z zone) { delete(z, "TXT "+bounce) }, "TXT " + bounce, organisation.StatusMissing, false},
		{"SPF of others only", func(z zone) { z["TXT "+bounce] = []string{"google-site-verification=x"} }, "TXT " + bounce, organisation.StatusMissing, false},
		{"two SPF", func(z zone) { z["TXT "+bounce] = append(z["TXT "+bounce], "v=spf1 -all") }, "TXT " + bounce, organisation.StatusWrong, false},
		{"SPF without our address", func(z zone) { z["TXT "+bounce] = []string{"v=spf1 ip4:198.51.100.0/24 -all"} }, "TXT " + bounce, organisation.StatusWrong, false},
		{"SPF soft fail", func(z zone) { z["TXT "+bounce] = []string{"v=spf1 ~all"} }, "TXT " + bounce, organisation.StatusWrong, false},
		{"SPF by networks", func(z zone) { z["TXT "+bounce] = []string{"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all"} }, "TXT " + bounce, organisation.StatusOK, true},
		{"SPF by include", func(z zone) {
			z["TXT "+bounce] = []string{"v=spf1 include:spf.riverside.example -all"}
			z["TXT spf.riverside.example"] = []string{"v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"}
		}, "TXT " + bounce, organisation.StatusOK, true},
		{"SPF by redirect", func(z zone) {
			z["TXT "+bounce] = []string{"v=spf1 redirect=spf.riverside.example"}
			z["TXT spf.riverside.example"] = []string{"v=spf1 a:mail.riverside.example/24 mx:riverside.example -all"}
			z["IP mail.riverside.example"] = []string{"192.0.2.77"}
			z["MX riverside.example"] = []string{"mx.riverside.example"}
			z["IP mx.riverside.example"] = []string{"2001:db8::10"}
		}, "TXT " + bounce, organisation.StatusOK, true},
		{"SPF that includes itself", func(z zone) { z["TXT "+bounce] = []string{"v=spf1 include:" + bounce + " -all"} }, "TXT " + bounce, organisation.StatusWrong, false},
		{"SPF includes nothing", func(z zone) {
			z["TXT "+bounce] = []string{"v=spf1 include:gone.example ip4:192.0.2.10 ip6:2001:db8::10"}
		}, "TXT " + bounce, organisation.StatusWrong, false},
		{"resolver is dead", func(z zone) { z["TXT "+bounce] = []string{"SERVFAIL"} }, "TXT " + bounce, organisation.StatusUnknown, false},
		{"include is dead", func(z zone) {
			z["TXT "+bounce] = []string{"v=spf1 include:spf.riverside.example -all"}
			z["TXT spf.riverside.example"] = []string{"SERVFAIL"}
		}, "TXT " + bounce, organisation.StatusUnknown, false},
		{"DKIM missing", func(z zone) { delete(z, "TXT cp2611e._domainkey.riverside.example") }, "TXT cp2611e._domainkey.riverside.example", organisation.StatusMissing, false},
		{"DKIM of another key", func(z zone) { z["TXT cp2611e._domainkey.riverside.example"] = []string{"v=DKIM1; k=ed25519; p=AAAA"} }, "TXT cp2611e._domainkey.riverside.example", organisation.StatusWrong, false},
		{"DKIM revoked", func(z zone) { z["TXT cp2611e._domainkey.riverside.example"] = []string{"v=DKIM1; p="} }, "TXT cp2611e._domainkey.riverside.example", organisation.StatusWrong, false},
		{"DMARC none", func(z zone) { z["TXT _dmarc.riverside.example"] = []string{"v=DMARC1; p=none"} }, "TXT _dmarc.riverside.example", organisation.StatusOK, true},
		{"DMARC without a policy", func(z zone) { z["TXT _dmarc.riverside.example"] = []string{"v=DMARC1; rua=mailto:x@y.example"} }, "TXT _dmarc.riverside.example", organisation.StatusWrong, false},
		{"MX elsewhere", func(z zone) { z["MX "+bounce] = []string{"mx.other.example"} }, "MX " + bounce, organisation.StatusWrong, false},
		{"no MX", func(z zone) { delete(z, "MX "+bounce) }, "MX " + bounce, organisation.StatusMissing, false},
		{"no TLS-RPT is no obstacle", func(z zone) { delete(z, "TXT _smtp._tls."+bounce) }, "TXT _smtp._tls." + bounce, organisation.StatusMissing, true},
		{"MTA-STS without id", func(z zone) { z["TXT _mta-sts."+bounce] = []string{"v=STSv1;"} }, "TXT _mta-sts." + bounce, organisation.StatusWrong, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := published(t)
			c.change(z)
			all, err := organisation.CheckDomain(t.Context(), z, setup())
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, check := range all {
				if check.Record.Type+" "+check.Record.Name == c.record {
					found = true
					if check.Status != c.want {
						t.Errorf("%s is %s (%s), want %s", c.record, check.Status, check.Text, c.want)
					}
					if check.Status != organisation.StatusOK && check.Mend == "" {
						t.Error("nothing says how to mend it")
					}
				}
			}
			if !found || organisation.Ready(all) != c.ready {
				t.Errorf("ready %v, want %v", organisation.Ready(all), c.ready)
			}
		})
	}
}

func TestRecordsAreRefusedForWhatIsNoDomain(t *testing.T) {
	for _, domain := range []string{"", "localhost", "a b.example", "x.example; rm", "-a.example"} {
		s := setup()
		s.Domain = domain
		if _, err := s.Records(); err == nil {
			t.Errorf("%q has records", domain)
		}
	}
}

func FuzzCheckDomain(f *testing.F) {
	f.Add("v=spf1 include:a.example a/24 mx//64 ip4:1.2.3.4/33 exists:%{i} redirect=b.example", "v=DMARC1; p=none; =; ;")
	f.Add("v=spf1 - + ?all", "")
	f.Fuzz(func(t *testing.T, spf, other string) {
		z := zone{
			"TXT bounce.riverside.example": {spf}, "TXT a.example": {spf}, "TXT _dmarc.riverside.example": {other},
			"TXT cp2611e._domainkey.riverside.example": {other},
		}
		if _, err := organisation.CheckDomain(t.Context(), z, setup()); err != nil {
			t.Error(err)
		}
	})
}
