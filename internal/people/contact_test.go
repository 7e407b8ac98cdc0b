package people

import (
	"strings"
	"testing"
)

func TestNormalEmail(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Amara.Okafor@Example.com ", "amara.okafor@example.com"},
		{"a+tag@example.org", "a+tag@example.org"},
		{"a.b.c@example.org.", "a.b.c@example.org"},
		{"jürgen@bücher.example", "jürgen@xn--bcher-kva.example"},
		{"u\u0308ber@example.org", "über@example.org"}, // NFC
		{`"john.doe"@example.org`, "john.doe@example.org"},
		{`"john doe"@example.org`, `"john doe"@example.org`},
		{`"a\"b"@example.org`, `"a\"b"@example.org`},
		{`"a@b"@example.org`, `"a@b"@example.org`},
		{"o'brien@example.org", "o'brien@example.org"},
		{"{{name}}@example.org", "{{name}}@example.org"},
		{"用户@例え.jp", "用户@xn--r8jz45g.jp"},
		{"A@EXAMPLE.ORG", "a@example.org"},
	} {
		if got, err := NormalEmail(c.text); err != nil || got != c.want {
			t.Errorf("%q: %q %v", c.text, got, err)
		}
	}
	for _, text := range []string{
		"", "@", "a@", "@example.org", "a", "a@localhost", "a@example..org", "a..b@example.org", ".a@example.org", "a.@example.org", "a b@example.org",
		"a@exa mple.org", "a@example.org\r\nBcc: b@example.org", "a\r\n@example.org", "a\x00@example.org", "a@[192.0.2.1]", "a@192.0.2.1", "a@example.123",
		"Amara <a@example.org>", "a@example.org, b@example.org", "a@example.org;b@example.org", "mailto:a@example.org@", `"unclosed@example.org`, `""@example.org`,
		`"a"b@example.org`, strings.Repeat("a", 65) + "@example.org", "a@" + strings.Repeat("a", 64) + ".org", "a@" + strings.Repeat("a.", 130) + "org",
		"a\u202e@example.org", "a\u200b@example.org", "a@-example.org", "a@exa_mple.org", "a\xff@example.org", "a(comment)@example.org", "a@b@c.org",
	} {
		if got, err := NormalEmail(text); err == nil {
			t.Errorf("%q was taken as %q", text, got)
		}
	}
}

func TestNormalPhone(t *testing.T) {
	for _, c := range []struct{ text, country, want, ext string }{
		{"(212) 555-0143", "US", "+12125550143", ""},
		{"2125550199 x12", "US", "+12125550199", "12"},
		{"212.555.0143", "", "+12125550143", ""},
		{"1-212-555-0143", "US", "+12125550143", ""},
		{"12125550143", "US", "+12125550143", ""},
		{"+12125550143", "", "+12125550143", ""},
		{"+1 (212) 555-0143", "DE", "+12125550143", ""},
		{"tel:+1-212-555-0143", "US", "+12125550143", ""},
		{"212-555-0143 ext. 7", "US", "+12125550143", "7"},
		{"+44 20 7946 0958", "US", "+442079460958", ""},
		{"020 7946 0958", "GB", "+442079460958", ""},
		{"030 901820", "DE", "+4930901820", ""},
		{"555-810-7203", "US", "+15558107203", ""},
	} {
		got, ext, err := SplitPhone(c.text, c.country)
		if err != nil || got != c.want || ext != c.ext {
			t.Errorf("%q in %q: %q %q %v", c.text, c.country, got, ext, err)
		}
	}
	for _, text := range []string{"", "none", "123", "555-0143", "212555014", "212555014399", "+1212555014", "call me", "212-555\r\n-0143", "0000000000x"} {
		if got, err := NormalPhone(text, "US"); err == nil {
			t.Errorf("%q was taken as %q", text, got)
		}
	}
}

// FuzzNormalEmail: a normal form is stable, is one address, and holds nothing that could break a header.
func FuzzNormalEmail(f *testing.F) {
	for _, s := range []string{"a@example.org", `"a b"@example.org`, "jürgen@bücher.example", "a@example.org\r\nx", `"a\\"@example.org`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := NormalEmail(text)
		if err != nil {
			return
		}
		if again, err := NormalEmail(n); err != nil || again != n {
			t.Errorf("%q is %q, which is %q (%v)", text, n, again, err)
		}
		if strings.ContainsAny(n, "\r\n\x00") || strings.ContainsFunc(n, unprintable) || len(n) > 254 {
			t.Errorf("%q is %q", text, n)
		}
	})
}

func FuzzNormalPhone(f *testing.F) {
	for _, s := range []string{"(212) 555-0143", "+44 20 7946 0958", "2125550199 x12"} {
		f.Add(s, "US")
	}
	f.Fuzz(func(t *testing.T, text, country string) {
		n, err := NormalPhone(text, country)
		if err != nil {
			return
		}
		if again, err := NormalPhone(n, "US"); err != nil || again != n {
			t.Errorf("%q is %q, which is %q (%v)", text, n, again, err)
		}
	})
}

func BenchmarkNormalPhone(b *testing.B) {
	for b.Loop() {
		if _, err := NormalPhone("(212) 555-0143", "US"); err != nil {
			b.Fatal(err)
		}
	}
}
