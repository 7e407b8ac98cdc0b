package world

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Temper is how a receiving mail server behaves. The zero Temper offers STARTTLS with a good certificate, has no policy and takes everything.
type Temper struct {
	NoTLS            bool   // offers no STARTTLS
	Expired          bool   // its certificate ended yesterday
	WrongName        bool   // its certificate is for another name
	Partner          bool   // its certificate is the partner's, which no root vouches for
	NoMX             bool   // no MX record: reached by a route only
	Policy           string // MTA-STS mode: enforce, testing, none; empty is no policy
	PolicyNamesOther bool   // the policy names another host than the MX: the domain breaks its own policy
	DANE             string // its domain is signed and has a TLSA record: "good" for the server's own certificate, "other" for another's
	BusyOnce         bool   // answers 451 to each recipient the first time
	Gone             bool   // answers 550 5.1.1 to every recipient
	CountOnly        bool   // keeps no message, only counts
}

// Receiver is a mail server of the world. It keeps what it took and every byte that went over its wires, as they were on the wire.
type Receiver struct {
	Domain, Host, Addr string

	temper Temper
	server *smtp.Server
	cert   []byte // of the server, as TLSA records name it

	mu       sync.Mutex
	messages []Received
	count    int
	seen     map[string]bool
	wire     bytes.Buffer
}

// Received is one message that a receiver took.
type Received struct {
	From, To string
	TLS      bool
	At       time.Time
	Data     []byte
}

func startReceiver(ctx context.Context, domain, host string, t Temper, w *World) (*Receiver, error) {
	r := &Receiver{Domain: domain, Host: host, temper: t, seen: map[string]bool{}}
	r.server = smtp.NewServer(smtp.BackendFunc(r.session))
	r.server.Domain = host
	r.server.ReadTimeout, r.server.WriteTimeout = time.Minute, time.Minute
	r.server.MaxMessageBytes, r.server.MaxRecipients = 40<<20, 100
	r.server.ErrorLog = log.New(io.Discard, "", 0)
	if !t.NoTLS {
		cert, err := r.certificate(w)
		if err != nil {
			return nil, err
		}
		r.cert = cert.Certificate[0]
		r.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	r.Addr = l.Addr().String()
	go func() { _ = r.server.Serve(&tap{l, r}) }() // ends with Close
	return r, nil
}

func (r *Receiver) certificate(w *World) (tls.Certificate, error) {
	a, name, until := w.Authority, r.Host, w.now().AddDate(0, 1, 0)
	if r.temper.Expired {
		until = w.now().AddDate(0, 0, -1)
	}
	if r.temper.WrongName {
		name = "other.invalid"
	}
	if r.temper.Partner {
		a = w.Partner
	}
	return a.Issue(until, name)
}

// Messages gives what was taken so far.
func (r *Receiver) Messages() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Received(nil), r.messages...)
}

// Count gives how many messages were taken.
func (r *Receiver) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Wire gives every byte of every connection, both ways, as it was on the wire: ciphertext where TLS was spoken.
func (r *Receiver) Wire() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.wire.Bytes())
}

// Plant writes bytes into the record of the wire, for a scan to prove that it looks.
func (r *Receiver) Plant(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wire.Write(b)
}

func (r *Receiver) close() error {
	if err := r.server.Close(); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (r *Receiver) session(c *smtp.Conn) (smtp.Session, error) {
	return &session{receiver: r, conn: c}, nil
}

type session struct {
	receiver *Receiver
	conn     *smtp.Conn
	from     string
	to       []string
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	r := s.receiver
	if r.temper.Gone {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.temper.BusyOnce && !r.seen[to] {
		r.seen[to] = true
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, try again later"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	_, secure := s.conn.TLSConnectionState()
	r := s.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, to := range s.to {
		r.count++
		if !r.temper.CountOnly {
			r.messages = append(r.messages, Received{s.from, to, secure, time.Now(), raw})
		}
	}
	return nil
}

// tap copies what passes a receiver's connections into its record.
type tap struct {
	net.Listener
	r *Receiver
}

func (t *tap) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil || t.r.temper.CountOnly {
		return c, err
	}
	return &tapped{c, t.r}, nil
}

type tapped struct {
	net.Conn
	r *Receiver
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.Plant(b[:n])
	return n, err
}

func (c *tapped) Write(b []byte) (int, error) {
	c.r.Plant(b)
	return c.Conn.Write(b)
}
