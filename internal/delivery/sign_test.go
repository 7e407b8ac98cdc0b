package delivery

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
)

const letter = "From: Clinic <care@clinic.example>\r\nTo: p@example.org\r\nSubject: a folded\r\n  subject \t here\r\n" +
	"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@clinic.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"List-Unsubscribe: <https://x.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n" +
	"Hello  \t there \r\n\r\n.dots\r\n trailing\t\r\n\r\n\r\n"

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keyRecord gives the TXT record of a key.
func keyRecord(t *testing.T, pub crypto.PublicKey) string {
	t.Helper()
	switch p := pub.(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(p)
	default:
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			t.Fatal(err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
}

// verify gives how many signatures go-msgauth finds good, and how many there are.
func verify(t *testing.T, msg []byte, txt map[string]string) (good, all int) {
	t.Helper()
	vs, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{txt[name]}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if v.Err == nil {
			good++
		}
	}
	return good, len(vs)
}

func TestSignaturesVerify(t *testing.T) {
	r := rsaKey(t, 2048)
	pub, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []SigningKey{{"clinic.example", "r1", r}, {"clinic.example", "e1", ed}}
	txt := map[string]string{"r1._domainkey.clinic.example": keyRecord(t, r.Public()), "e1._domainkey.clinic.example": keyRecord(t, pub)}
	for name, msg := range map[string]string{
		"usual": letter, "empty body": letter[:strings.Index(letter, "\r\n\r\n")+4], "only blank lines": letter[:strings.Index(letter, "\r\n\r\n")+4] + "\r\n \t\r\n\r\n",
		"long lines": letter + strings.Repeat("x", 990) + "\r\n", "odd header": "X-Odd  :  a\r\n" + letter,
	} {
		signed, err := sign([]byte(msg), keys, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(signed, []byte(msg)) {
			t.Errorf("%s: the message was changed", name)
		}
		for line := range strings.SplitSeq(string(signed[:len(signed)-len(msg)]), "\r\n") {
			if len(line) > 78 {
				t.Errorf("%s: a line of %d bytes", name, len(line))
			}
		}
		if good, all := verify(t, signed, txt); good != 2 || all != 2 {
			t.Errorf("%s: %d of %d verify", name, good, all)
		}
	}
}

// TestNobodyAddsAHeader: signed names are signed once more than they occur.
func TestNobodyAddsAHeader(t *testing.T) {
	r := rsaKey(t, 2048)
	txt := map[string]string{"r1._domainkey.clinic.example": keyRecord(t, r.Public())}
	signed, err := sign([]byte(letter), []SigningKey{{"clinic.example", "r1", r}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range []string{"From: Evil <x@evil.example>", "Subject: other", "Reply-To: x@evil.example", "To: y@example.org", "Cc: z@example.org", "Content-Type: text/html", "Sender: x@evil.example"} {
		if good, _ := verify(t, append([]byte(add+"\r\n"), signed...), txt); good != 0 {
			t.Errorf("%s was added and the signature stands", add)
		}
	}
	if good, _ := verify(t, bytes.Replace(signed, []byte(".dots"), []byte(".dotz"), 1), txt); good != 0 {
		t.Error("the body was changed and the signature stands")
	}
	if good, _ := verify(t, append([]byte("X-Spam: no\r\n"), signed...), txt); good != 1 {
		t.Error("an unsigned header breaks the signature")
	}
}

func TestWhatIsNotSigned(t *testing.T) {
	good := []SigningKey{{"clinic.example", "r1", rsaKey(t, 2048)}}
	for name, c := range map[string]struct {
		msg  string
		keys []SigningKey
	}{
		"no From":     {strings.Replace(letter, "From:", "X-From:", 1), good},
		"two From":    {"From: x@y.example\r\n" + letter, good},
		"no body":     {"From: x@y.example\r\n", good},
		"RSA of 1024": {letter, []SigningKey{{"clinic.example", "r1", rsaKey(t, 1024)}}},
	} {
		if _, err := sign([]byte(c.msg), c.keys, time.Now()); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// TestOutsideVerifiersAgree asks OpenDKIM and dkimpy, whichever is installed, with a name server of the test.
func TestOutsideVerifiersAgree(t *testing.T) {
	r := rsaKey(t, 2048)
	signed, err := sign([]byte(letter), []SigningKey{{"clinic.example", "r1", r}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(signed, []byte(".dots"), []byte(".dotz"), 1)
	txt := keyRecord(t, r.Public())
	asked := 0
	for name, verify := range map[string]func(t *testing.T, msg []byte, txt string) (bool, string){"opendkim-testmsg": openDKIM, "dkimpy": dkimpy} {
		t.Run(name, func(t *testing.T) {
			if ok, said := verify(t, signed, txt); !ok {
				t.Errorf("the signature is not good: %s", said)
			}
			if ok, _ := verify(t, changed, txt); ok {
				t.Error("a changed message is good")
			}
			asked++
		})
	}
	if asked == 0 && os.Getenv("CI") == "true" {
		t.Error("no outside verifier is installed (apt-get install opendkim-tools, or python3-dkim)")
	}
}

// openDKIM runs opendkim-testmsg, which says nothing of a good message, in a mount namespace whose resolver is the test's.
func openDKIM(t *testing.T, msg []byte, txt string) (bool, string) {
	bin := "/usr/sbin/opendkim-testmsg"
	if _, err := os.Stat(bin); err != nil || os.Getuid() != 0 {
		t.Skip("skipped: wants root and opendkim-testmsg (apt-get install opendkim-tools)")
	}
	server := "127.83.7.1"
	defer nameServer(t, server+":53", txt)()
	dir := t.TempDir()
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+server+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && exec "$2" -t "$3"`, "sh", conf, bin, dir)
	cmd.Stdin = bytes.NewReader(msg)
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "unshare") || strings.Contains(string(out), "mount:") {
		t.Skip("skipped: no mount namespace here: ", string(out))
	}
	return err == nil, string(out)
}

func nameServer(t *testing.T, addr, txt string) (stop func()) {
	t.Helper()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Skip("skipped: port 53 is taken: ", err)
	}
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeTXT {
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}}
			for rest := txt; rest != ""; {
				n := min(len(rest), 200)
				rr.Txt = append(rr.Txt, rest[:n])
				rest = rest[n:]
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(answer)}
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	done := make(chan error, 1)
	go func() { done <- s.ActivateAndServe() }()
	<-started
	return func() { _ = s.Shutdown(); <-done }
}

func dkimpy(t *testing.T, msg []byte, txt string) (bool, string) {
	const py = "/usr/bin/python3"
	if exec.CommandContext(t.Context(), py, "-c", "import dkim").Run() != nil {
		t.Skip("skipped: python3-dkim is not installed")
	}
	cmd := exec.CommandContext(t.Context(), py, "-c",
		"import sys, dkim; print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: sys.argv[1].encode()))", txt)
	cmd.Stdin = bytes.NewReader(msg)
	out, err := cmd.CombinedOutput()
	return err == nil && strings.TrimSpace(string(out)) == "True", string(out)
}
