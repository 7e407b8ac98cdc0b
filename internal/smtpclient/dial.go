package smtpclient

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
)

// DialFunc opens a network connection; addr is a name and a port.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Options say where to connect and what the connection must show.
type Options struct {
	Addr     string   // name:port of the receiver
	Hello    string   // our own name, for EHLO
	TLS      TLS      // the zero value demands a verified certificate
	Login    *Login   // nil: no AUTH
	Dial     DialFunc // nil: the system's resolver and dialer
	Timeouts Timeouts
	Now      func() time.Time // the moment a certificate is judged at; nil: the clock

	// NoPipelining sends command by command also to a receiver that offers PIPELINING: some middle boxes break on it.
	NoPipelining bool
}

// Login is a user and a password for AUTH PLAIN (RFC 4616), which goes out inside verified TLS only.
type Login struct{ User, Password string }

// String hides the password.
func (Login) String() string { return "[sealed]" }

// GoString hides the password.
func (Login) GoString() string { return "[sealed]" }

// Timeouts bound every phase as a whole, so that a receiver that answers byte by byte gains nothing. Zero fields take the
// defaults, which are RFC 5321 4.5.3.2's where that names one.
type Timeouts struct {
	Connect, Greeting, Hello, StartTLS, Auth time.Duration
	Mail, Rcpt, Data                         time.Duration
	Body                                     time.Duration // each 64 KiB of the body
	Dot                                      time.Duration
	Quit                                     time.Duration
}

func (t Timeouts) filled() Timeouts {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&t.Connect, 30*time.Second)
	def(&t.Greeting, 5*time.Minute)
	def(&t.Hello, 5*time.Minute)
	def(&t.StartTLS, 2*time.Minute)
	def(&t.Auth, 2*time.Minute)
	def(&t.Mail, 5*time.Minute)
	def(&t.Rcpt, 5*time.Minute)
	def(&t.Data, 2*time.Minute)
	def(&t.Body, 3*time.Minute)
	def(&t.Dot, 10*time.Minute) // RFC 1047: giving up earlier makes duplicates
	def(&t.Quit, 5*time.Second)
	return t
}

// Kind tells why no connection was made or why it ended.
type Kind string

// The kinds of failure.
const (
	Network     Kind = "network"     // refused, reset, timed out, or the name did not resolve
	Refused     Kind = "refused"     // the receiver answered with a 4xx or 5xx: Reply has it
	NoTLS       Kind = "no_tls"      // verified TLS was demanded and STARTTLS is not offered
	Handshake   Kind = "handshake"   // STARTTLS was offered and did not come about
	Certificate Kind = "certificate" // TLS came about and its certificate does not prove the name
	Protocol    Kind = "protocol"    // the receiver does not speak SMTP, or says something after STARTTLS
)

// Error is a failure to get a usable connection.
type Error struct {
	Kind   Kind
	Stage  Stage
	Reason Reason // for Certificate
	Reply  Reply  // for Refused
	Err    error
}

// Error names stage and kind; no text of the receiver.
func (e *Error) Error() string {
	s := "smtpclient: " + string(e.Kind) + " at " + string(e.Stage)
	if e.Reason != "" {
		s += ": " + string(e.Reason)
	}
	if e.Reply.Code != 0 {
		s += ": " + e.Reply.String()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// State is what the connection showed.
type State struct {
	Addr       string
	TLS        bool
	Verified   bool   // the certificate proves TLS.Name under TLS.Roots
	Unverified Reason // why not, when TLS and not Verified
	Version    string // "TLS 1.3"
	Cipher     string
	Resumed    bool
	Pipelining bool
	Size       int64 // largest message the receiver takes; 0: it did not say
}

// Conn is one connection. One goroutine at a time may use it.
type Conn struct {
	o     Options
	raw   net.Conn // below TLS: deadlines are set here, also by another goroutine
	nc    net.Conn // what is read and written: raw, or TLS over it
	r     *bufio.Reader
	w     *bufio.Writer
	ctx   context.Context //nolint:containedctx // of the call in progress only, set and cleared by attach
	state State
	ext   map[string]string
	open  bool // a transaction was begun and not ended: RSET before the next
	dead  bool
	sent  int
}

// Dial connects, and returns once the receiver is ready for MAIL at the demanded level of TLS. The error is always an *Error.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	o.Timeouts = o.Timeouts.filled()
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	dctx, cancel := context.WithTimeout(ctx, o.Timeouts.Connect)
	nc, err := o.Dial(dctx, "tcp", o.Addr)
	cancel()
	if err != nil {
		return nil, &Error{Kind: Network, Stage: StageConnect, Err: err}
	}
	c := &Conn{o: o, raw: nc, nc: nc, state: State{Addr: o.Addr}}
	c.buffer()
	defer c.attach(ctx)()
	if err := c.begin(); err != nil {
		_ = nc.Close() // the connection is given up; its own error adds nothing
		return nil, err
	}
	return c, nil
}

func (c *Conn) buffer() {
	c.r = bufio.NewReaderSize(c.nc, 8<<10)
	c.w = bufio.NewWriterSize(c.nc, 32<<10)
}

// attach lets the end of ctx end every read and write of the call.
func (c *Conn) attach(ctx context.Context) (detach func()) {
	c.ctx = ctx
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ran); _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if !stop() {
			<-ran // or it would end what the next call has begun under another context
		}
		c.ctx = nil
	}
}

func (c *Conn) arm(d time.Duration) error {
	if err := c.raw.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	return c.ctx.Err() // ended before the line above: the deadline it set must not hide that
}

func (c *Conn) begin() error {
	t := c.o.Timeouts
	if c.o.TLS.Implicit {
		if err := c.handshake(StageConnect); err != nil {
			return err
		}
	}
	if err := c.expect(StageGreeting, t.Greeting, ""); err != nil {
		return err
	}
	if err := c.hello(); err != nil {
		return err
	}
	if !c.state.TLS {
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	return c.login()
}

// expect sends a line, unless it is empty, and wants a 2xx.
func (c *Conn) expect(stage Stage, d time.Duration, line string) error {
	rep, _, err := c.exchange(stage, d, line)
	if err != nil {
		return c.broken(stage, err)
	}
	if !rep.positive() {
		return &Error{Kind: Refused, Stage: stage, Reply: rep}
	}
	return nil
}

func (c *Conn) exchange(stage Stage, d time.Duration, line string) (Reply, []string, error) {
	if err := c.arm(d); err != nil {
		return Reply{Stage: stage}, nil, err
	}
	if line != "" {
		if _, err := c.w.WriteString(line + "\r\n"); err != nil {
			return Reply{Stage: stage}, nil, err
		}
		if err := c.w.Flush(); err != nil {
			return Reply{Stage: stage}, nil, err
		}
	}
	return readLines(c.r, stage)
}

func (c *Conn) broken(stage Stage, err error) *Error {
	c.dead = true
	if errors.Is(err, errReplySyntax) || errors.Is(err, errReplySize) {
		return &Error{Kind: Protocol, Stage: stage, Err: err}
	}
	return &Error{Kind: Network, Stage: stage, Err: err}
}

func (c *Conn) hello() error {
	rep, lines, err := c.exchange(StageHello, c.o.Timeouts.Hello, "EHLO "+c.o.Hello)
	if err != nil {
		return c.broken(StageHello, err)
	}
	c.ext, c.state.Size, c.state.Pipelining = map[string]string{}, 0, false // RFC 3207 4.2: what was said in clear counts no more
	if rep.Code == 500 || rep.Code == 502 {                                 // RFC 5321 3.2: an old receiver
		return c.expect(StageHello, c.o.Timeouts.Hello, "HELO "+c.o.Hello)
	}
	if !rep.positive() {
		return &Error{Kind: Refused, Stage: StageHello, Reply: rep}
	}
	for _, l := range lines[1:] {
		word, arg, _ := strings.Cut(l, " ")
		c.ext[strings.ToUpper(word)] = strings.ToUpper(arg)
	}
	c.state.Size, _ = strconv.ParseInt(c.ext["SIZE"], 10, 64)
	c.state.Pipelining = c.offers("PIPELINING") && !c.o.NoPipelining
	return nil
}

func (c *Conn) offers(word string) bool { _, ok := c.ext[word]; return ok }

// login sends AUTH PLAIN, inside verified TLS only: a password is a secret of the operator's, whatever the message is.
func (c *Conn) login() error {
	if c.o.Login == nil {
		return nil
	}
	if !c.state.Verified {
		return &Error{Kind: NoTLS, Stage: StageAuth}
	}
	if !strings.Contains(" "+c.ext["AUTH"]+" ", " PLAIN ") {
		return &Error{Kind: Protocol, Stage: StageAuth}
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + c.o.Login.User + "\x00" + c.o.Login.Password))
	return c.expect(StageAuth, c.o.Timeouts.Auth, "AUTH PLAIN "+secret)
}

// State tells what the connection showed.
func (c *Conn) State() State { return c.state }

// Usable tells whether another message may be tried on the connection.
func (c *Conn) Usable() bool { return !c.dead }

// Sent counts the final dots of the connection.
func (c *Conn) Sent() int { return c.sent }

// Close says QUIT to a receiver that still listens, without waiting long, and closes.
func (c *Conn) Close() error {
	if !c.dead {
		c.dead = true
		_ = c.raw.SetDeadline(time.Now().Add(c.o.Timeouts.Quit))
		if _, err := c.w.WriteString("QUIT\r\n"); err == nil && c.w.Flush() == nil {
			_, _ = readReply(c.r, StageHello)
		}
	}
	return c.nc.Close()
}
