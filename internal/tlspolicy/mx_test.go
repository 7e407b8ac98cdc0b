package tlspolicy

import (
	"testing"
)

func TestGroupOf(t *testing.T) {
	for host, want := range map[string]string{
		"aspmx.l.google.com": "google", "ALT1.ASPMX.L.GOOGLE.COM": "google", "clinic-org.mail.protection.outlook.com": "microsoft-365", "a.h-v1.mx.microsoft": "microsoft-365",
		"hotmail-com.olc.protection.outlook.com": "microsoft-consumer", "mta5.am0.yahoodns.net": "yahoo", "mx01.mail.icloud.com": "apple", "mxa-0001.gslb.pphosted.com": "proofpoint",
		"mx1.clinic.example": "clinic.example", "mx.a.b.co.uk": "b.co.uk", "notgoogle.com": "notgoogle.com", "co.uk": "co.uk",
	} {
		if got := GroupOf(host); got != want {
			t.Errorf("%s: %s, not %s", host, got, want)
		}
	}
}

func TestPolicyID(t *testing.T) {
	for _, c := range []struct {
		txt  []string
		want string
	}{
		{[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{[]string{"v=STSv1;id=1"}, "1"},
		{[]string{"v=spf1 -all", "v=STSv1; id=a; x=y;"}, "a"},
		{nil, ""},
		{[]string{"v=STSv1; id=1;", "v=STSv1; id=2;"}, ""},
		{[]string{"v=STSv1;"}, ""},
		{[]string{"v=STSv2; id=1;"}, ""},
		{[]string{"id=1; v=STSv1;"}, ""},
		{[]string{"v=STSv1; id=not-alphanumeric;"}, ""},
		{[]string{"v=STSv1; id=" + "123456789012345678901234567890123" + ";"}, ""},
	} {
		got, ok := policyID(c.txt)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: %q %v", c.txt, got, ok)
		}
	}
}

// TestPublicOnly: what a stranger's DNS names is not this machine.
func TestPublicOnly(t *testing.T) {
	for addr, want := range map[string]bool{
		"192.0.2.1:25": true, "10.1.2.3:25": true, "[2001:db8::1]:25": true, "127.0.0.1:25": false, "127.9.9.9:25": false, "[::1]:25": false, "[::ffff:127.0.0.1]:25": false,
		"0.0.0.0:25": false, "169.254.169.254:80": false, "[fe80::1%eth0]:25": false, "224.0.0.1:25": false, "mx.example:25": false,
	} {
		if err := PublicOnly("tcp", addr, nil); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func FuzzPolicyID(f *testing.F) {
	f.Add("v=STSv1; id=1;")
	f.Fuzz(func(t *testing.T, txt string) {
		if got, ok := policyID([]string{txt}); ok != alphanumericID(got) {
			t.Fatalf("%q: %q %v", txt, got, ok)
		}
	})
}

func alphanumericID(s string) bool { return s != "" && len(s) <= 32 && alphanumeric(s) }
