package smtpclient

import (
	"bufio"
	"strings"
	"testing"
)

func TestCutEnhanced(t *testing.T) {
	for s, want := range map[string]string{
		"5.1.1 no": "5.1.1", "4.7.650 x": "4.7.650", "2.0.0": "2.0.0", "5.1.1": "5.1.1", "5.1.1\tno": "5.1.1",
		"5.1.1no": "", "5.1 no": "", "3.1.1 no": "", "5.1234.1 x": "", "55.1.1 x": "", "5..1 x": "", "": "", "5": "", "5.1.": "", "192.0.2.1 x": "",
	} {
		if got, _ := cutEnhanced(s); got != want {
			t.Errorf("%q: %q", s, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add("250-a\r\n250 b\r\n")
	f.Add("550 5.1.1 <a@b>: unknown\n")
	f.Add("220\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		rep, err := readReply(bufio.NewReaderSize(strings.NewReader(s), 64), StageRcpt)
		if err != nil {
			return
		}
		if rep.Code < 200 || rep.Code > 599 || len(rep.Text) > maxReplyBytes+maxReplyLines {
			t.Fatalf("%d %d", rep.Code, len(rep.Text))
		}
		if strings.ContainsAny(rep.Text, "\r\n\x00") {
			t.Fatalf("%q", rep.Text)
		}
		if rep.Enhanced != "" && (rep.Enhanced[0] != byte('0'+rep.Code/100) || strings.Count(rep.Enhanced, ".") != 2) {
			t.Fatalf("%q for %d", rep.Enhanced, rep.Code)
		}
	})
}

func FuzzEnhanced(f *testing.F) {
	f.Add("5.1.1 x")
	f.Fuzz(func(t *testing.T, s string) {
		e, rest := cutEnhanced(s)
		if e == "" && rest != s || len(e) > 9 || e != "" && !strings.HasPrefix(s, e) {
			t.Fatalf("%q: %q %q", s, e, rest)
		}
	})
}
