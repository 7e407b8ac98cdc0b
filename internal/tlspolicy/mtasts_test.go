package tlspolicy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/tlspolicy"
)

func TestParsePolicy(t *testing.T) {
	ok := "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
	p, err := tlspolicy.ParsePolicy(ok)
	if err != nil || p.Mode != tlspolicy.ModeEnforce || len(p.MX) != 2 || p.MaxAge != 7*24*time.Hour {
		t.Fatalf("%+v %v", p, err)
	}
	for _, c := range []struct {
		name, text string
		taken      bool
	}{
		{"LF lines", strings.ReplaceAll(ok, "\r", ""), true},
		{"no last line end", strings.TrimSpace(ok), true},
		{"unknown field", ok + "future: thing\n", true},
		{"second mode is passed over", ok + "mode: none\n", true},
		{"none without mx", "version: STSv1\nmode: none\nmax_age: 10\n", true},
		{"longest age is cut", "version: STSv1\nmode: none\nmax_age: 9999999999\n", true},
		{"empty", "", false},
		{"no version", "mode: none\nmax_age: 10\n", false},
		{"other version", strings.Replace(ok, "STSv1", "STSv2", 1), false},
		{"no mode", strings.Replace(ok, "mode", "mood", 1), false},
		{"unknown mode", strings.Replace(ok, "enforce", "maybe", 1), false},
		{"no mx", "version: STSv1\nmode: enforce\nmax_age: 10\n", false},
		{"mx is everything", strings.Replace(ok, "*.example.net", "*", 1), false},
		{"mx with two wildcards", strings.Replace(ok, "*.example.net", "*.*.net", 1), false},
		{"negative age", strings.Replace(ok, "604800", "-1", 1), false},
		{"age in words", strings.Replace(ok, "604800", "1d", 1), false},
		{"html", "<html>\n<body>not found</body>", false},
		{"too long", ok + strings.Repeat("x: y\n", 20000), false},
	} {
		if _, err := tlspolicy.ParsePolicy(c.text); (err == nil) != c.taken {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWildcardIsOneLabel(t *testing.T) {
	p := tlspolicy.Policy{MX: []string{"*.mx.microsoft", "mail.example.com"}}
	for host, want := range map[string]bool{
		"a.mx.microsoft": true, "A.MX.Microsoft.": true, "mail.example.com": true, "MAIL.example.com": true,
		"a.h-v1.mx.microsoft": false, "mx.microsoft": false, "mail2.example.com": false, "x.mail.example.com": false, "": false,
	} {
		if got := p.Allows(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n", "mx.example.com")
	f.Fuzz(func(t *testing.T, text, host string) {
		p, err := tlspolicy.ParsePolicy(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > 366*24*time.Hour || p.Mode != tlspolicy.ModeNone && len(p.MX) == 0 {
			t.Fatalf("%+v", p)
		}
		if p.Allows(host) && !strings.Contains(host, ".") {
			t.Fatalf("allows %q", host)
		}
	})
}
