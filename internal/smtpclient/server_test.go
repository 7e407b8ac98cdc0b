package smtpclient_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is an SMTP server of the tests that does what it is told, also what no server should. The zero value offers everything
// but TLS and takes every message.
type receiver struct {
	cert     *tls.Certificate
	ext      []string          // instead of PIPELINING, 8BITMIME, SIZE, SMTPUTF8
	answer   map[string]string // by verb, "greeting", "body" or "dot": instead of the usual; "hang" and "drop" are done
	then     map[string]string // the same from the second time on
	dribble  bool              // answers byte by byte
	behind   string            // sent together with the 220 of STARTTLS
	maxTLS   uint16
	closeAt  int // drops the connection after so many messages
	sayEarly string
	atOnce   bool          // sayEarly together with the 354, else after the first line of the body
	saidIt   chan struct{} // gets one when sayEarly was said after the first line

	onDot  func()   // when a dot has come
	conn   net.Conn // the last one
	rushed int      // commands that came in one flight with the one before, though PIPELINING was not offered

	addr string
	mu   sync.Mutex
	seen map[string]int
	log  []string // commands
	got  []string // bodies as on the wire, dots still doubled
	ends int      // connections
}

func (r *receiver) start(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr, r.seen = l.Addr().String(), map[string]int{}
	var conns sync.WaitGroup
	done := make(chan struct{})
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { r.serve(c, done) })
		}
	})
	t.Cleanup(func() { close(done); _ = l.Close(); conns.Wait() })
	return r
}

func (r *receiver) commands() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, " | ")
}

// hangUp ends the last connection under its conversation.
func (r *receiver) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.conn.Close()
}

func (r *receiver) bodies() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

type talk struct {
	r    *receiver
	c    net.Conn
	br   *bufio.Reader
	done chan struct{}
	msgs int
	said string // last
}

func (r *receiver) serve(c net.Conn, done chan struct{}) {
	defer func() { _ = c.Close() }()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-done:
			_ = c.Close()
		case <-stop:
		}
	}()
	r.mu.Lock()
	r.ends++
	r.conn = c
	r.mu.Unlock()
	k := &talk{r: r, c: c, br: bufio.NewReader(c), done: done}
	if !k.say("greeting", "220 mx.test ESMTP") {
		return
	}
	for k.command() {
	}
}

// say answers with what the test set for the word, else with usual; false ends the connection.
func (k *talk) say(word, usual string) bool {
	k.r.mu.Lock()
	n := k.r.seen[word]
	k.r.seen[word]++
	a, ok := k.r.answer[word]
	if t, two := k.r.then[word]; two && n > 0 {
		a, ok = t, true
	}
	k.r.mu.Unlock()
	if !ok {
		a = usual
	}
	switch a {
	case "hang":
		<-k.done
		return false
	case "drop":
		return false
	}
	k.said = a
	a = strings.ReplaceAll(a, "\n", "\r\n") + "\r\n"
	if k.r.dribble {
		for i := range a {
			if _, err := k.c.Write([]byte{a[i]}); err != nil {
				return false
			}
			time.Sleep(time.Millisecond)
		}
		return true
	}
	_, err := k.c.Write([]byte(a))
	return err == nil && !strings.HasPrefix(a, "421")
}

func (k *talk) command() bool {
	line, err := k.br.ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.TrimRight(line, "\r\n")
	verb := strings.ToUpper(strings.Split(line, " ")[0])
	k.r.mu.Lock()
	k.r.log = append(k.r.log, line)
	rushed := k.r.ext != nil && !slices.Contains(k.r.ext, "PIPELINING") && k.br.Buffered() > 0
	if rushed {
		k.r.rushed++
	}
	k.r.mu.Unlock()
	if rushed { // RFC 2920 3.1: what came behind is not for this receiver
		return k.say("rushed", "421 4.5.1 one command at a time")
	}
	switch verb {
	case "EHLO":
		return k.say(verb, k.ehlo())
	case "STARTTLS":
		return k.startTLS()
	case "DATA":
		usual := "354 go on"
		if k.r.atOnce {
			usual += "\n" + k.r.sayEarly
		}
		if !k.say(verb, usual) {
			return false
		}
		return !strings.HasPrefix(k.said, "354") || k.data()
	case "AUTH":
		return k.say(verb, "235 2.7.0 welcome")
	case "QUIT":
		k.say(verb, "221 bye")
		return false
	}
	return k.say(verb, "250 2.0.0 ok")
}

func (k *talk) ehlo() string {
	ext := k.r.ext
	if ext == nil {
		ext = []string{"PIPELINING", "8BITMIME", "SIZE 1000000", "SMTPUTF8", "AUTH PLAIN LOGIN"}
	}
	if _, already := k.c.(*tls.Conn); k.r.cert != nil && !already {
		ext = append([]string{"STARTTLS"}, ext...)
	}
	all := append([]string{"mx.test"}, ext...)
	for i := range all {
		sep := "-"
		if i == len(all)-1 {
			sep = " "
		}
		all[i] = "250" + sep + all[i]
	}
	return strings.Join(all, "\n")
}

func (k *talk) startTLS() bool {
	if k.r.behind != "" {
		_, _ = k.c.Write([]byte("220 go on\r\n" + k.r.behind))
		<-k.done
		return false
	}
	if !k.say("STARTTLS", "220 go on") {
		return false
	}
	if a := k.r.answer["STARTTLS"]; a != "" && !strings.HasPrefix(a, "220") {
		return true
	}
	if k.r.answer["handshake"] == "drop" {
		return false
	}
	if k.r.answer["handshake"] == "hang" {
		<-k.done
		return false
	}
	t := tls.Server(k.c, &tls.Config{Certificates: []tls.Certificate{*k.r.cert}, MaxVersion: k.r.maxTLS}) // old versions are what a test is about
	if t.Handshake() != nil {
		return false
	}
	k.c, k.br = t, bufio.NewReader(t)
	return true
}

func (k *talk) data() bool {
	var b strings.Builder
	for n := 0; ; n++ {
		line, err := k.br.ReadString('\n')
		if err != nil {
			return false
		}
		if n == 0 && k.r.sayEarly != "" && !k.r.atOnce {
			_, _ = k.c.Write([]byte(k.r.sayEarly + "\r\n"))
			k.r.saidIt <- struct{}{}
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(line)
	}
	k.r.mu.Lock()
	k.r.got = append(k.r.got, b.String())
	k.r.mu.Unlock()
	k.msgs++
	if k.r.onDot != nil {
		k.r.onDot()
	}
	return k.say("dot", "250 2.0.0 taken") && (k.r.closeAt == 0 || k.msgs < k.r.closeAt)
}

// authority signs certificates of the tests.
type authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, roots: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(a.cert)
	return a
}

func (a *authority) issue(t *testing.T, name string, until time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().AddDate(0, 0, -7), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
