package delivery_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
	"github.com/carepost/carepost/internal/world"
)

// sink is a receiving server of the tests. script, when set, may answer in place of the usual: "drop" and "hang" are done.
type sink struct {
	cert   *tls.Certificate
	script func(s *sink, conn int, verb, line string) string

	forget bool // counts only

	addr   string
	forgot atomic.Int64
	conns  atomic.Int64
	open   atomic.Int64
	most   atomic.Int64

	mu    sync.Mutex
	took  []mail
	count map[string]int // deliveries by recipient and Message-ID
}

type mail struct {
	to, id, data string
	tls          bool
	conn         int
}

func (s *sink) start(t testing.TB) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr, s.count = l.Addr().String(), map[string]int{}
	done := make(chan struct{})
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.serve(c, done) })
		}
	})
	t.Cleanup(func() { close(done); _ = l.Close(); conns.Wait() })
	return s
}

func (s *sink) mails() []mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mail(nil), s.took...)
}

func (s *sink) duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.count {
		n += c - 1
	}
	return n
}

type dialogue struct {
	s    *sink
	n    int
	c    net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	tls  bool
	from bool
	to   string
	good bool // the last answer
}

func (s *sink) serve(c net.Conn, done chan struct{}) {
	d := &dialogue{s: s, n: int(s.conns.Add(1)), c: c, r: bufio.NewReader(c), w: bufio.NewWriter(c)}
	if n := s.open.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.open.Add(-1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-done:
			_ = c.Close()
		case <-stop:
		}
	}()
	defer func() { _ = d.c.Close(); _ = c.Close() }()
	if !d.say("greeting", "", "220 sink") {
		return
	}
	for d.command() {
	}
}

func (d *dialogue) say(verb, line, usual string) bool {
	if d.s.script != nil {
		if a := d.s.script(d.s, d.n, verb, line); a != "" {
			usual = a
		}
	}
	switch usual {
	case "drop":
		_ = d.w.Flush() // what was answered before is on its way
		return false
	case "hang":
		_ = d.w.Flush()
		_, _ = io.Copy(io.Discard, d.r) // until the other end gives up
		return false
	}
	d.good = usual[0] < '4'
	_, _ = d.w.WriteString(usual + "\r\n")
	if d.r.Buffered() == 0 || strings.HasPrefix(usual, "421") {
		if d.w.Flush() != nil {
			return false
		}
	}
	return !strings.HasPrefix(usual, "421")
}

func (d *dialogue) command() bool {
	line, err := d.r.ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.TrimRight(line, "\r\n")
	verb := strings.ToUpper(strings.Split(line, " ")[0])
	switch verb {
	case "EHLO":
		ext := "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		if d.s.cert != nil && !d.tls {
			ext += "250-STARTTLS\r\n"
		}
		return d.say(verb, line, ext+"250 AUTH PLAIN")
	case "STARTTLS":
		if !d.say(verb, line, "220 go on") {
			return false
		}
		t := tls.Server(d.c, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*d.s.cert}})
		if t.Handshake() != nil {
			return false
		}
		d.c, d.r, d.w, d.tls = t, bufio.NewReader(t), bufio.NewWriter(t), true
		return true
	case "MAIL":
		ok := d.say(verb, line, "250 2.1.0 ok")
		d.from, d.to = d.good, ""
		return ok
	case "RCPT":
		if !d.from {
			return d.say("", line, "503 5.5.1 MAIL first")
		}
		ok := d.say(verb, line, "250 2.1.5 ok")
		if d.good {
			d.to = line[strings.IndexByte(line, '<')+1 : strings.IndexByte(line, '>')]
		}
		return ok
	case "DATA":
		if d.to == "" {
			return d.say("", line, "503 5.5.1 no recipient")
		}
		return d.say(verb, line, "354 go on") && (!d.good || d.data())
	case "QUIT":
		d.say(verb, line, "221 bye")
		return false
	}
	return d.say(verb, line, "250 2.0.0 ok")
}

func (d *dialogue) data() bool {
	var b strings.Builder
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	d.from = false
	m := mail{to: d.to, data: b.String(), tls: d.tls, conn: d.n}
	if i := strings.Index(m.data, "Message-ID: <"); i >= 0 {
		m.id, _, _ = strings.Cut(m.data[i+13:], ">")
	}
	answer := ""
	if d.s.script != nil {
		answer = d.s.script(d.s, d.n, "dot", d.to)
	}
	if d.s.forget {
		d.s.forgot.Add(1)
	} else if answer == "" || answer == "drop" || answer == "hang" { // taken, also when the answer is lost
		d.s.mu.Lock()
		d.s.took = append(d.s.took, m)
		d.s.count[m.to+m.id]++
		d.s.mu.Unlock()
	}
	switch answer {
	case "":
		answer = "250 2.0.0 taken"
	case "drop":
		return false
	case "hang":
		_, _ = io.Copy(io.Discard, d.r)
		return false
	}
	_, _ = d.w.WriteString(answer + "\r\n")
	if d.r.Buffered() == 0 {
		return d.w.Flush() == nil
	}
	return true
}

// names is the resolver and the network of the tests: a domain's server is mx.DOMAIN, unless hosts says otherwise.
type names struct {
	mu    sync.Mutex
	hosts map[string][]string // domain -> servers
	txt   map[string]string
	addr  map[string]string // server's name -> loopback address
	dead  atomic.Bool

	asked   atomic.Int64 // while dead
	refused atomic.Int64 // connections to servers that are not there
}

var errDead = errors.New("no answer")

func (n *names) add(domain string, s *sink) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts, n.addr = map[string][]string{}, map[string]string{}
	}
	n.hosts[domain] = []string{"mx." + domain}
	n.addr["mx."+domain+":25"] = s.addr
}

func (n *names) Lookup(_ context.Context, name string, r tlspolicy.Record) (tlspolicy.Answer, error) {
	if n.dead.Load() {
		n.asked.Add(1)
		return tlspolicy.Answer{}, errDead
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a := tlspolicy.Answer{TTL: time.Hour}
	switch r {
	case tlspolicy.RecordMX:
		for i, h := range n.hosts[name] {
			a.MX = append(a.MX, tlspolicy.MX{Preference: uint16(i), Name: h})
		}
		a.Missing = n.hosts[name] == nil
	case tlspolicy.RecordTXT:
		if t := n.txt[name]; t != "" {
			a.TXT = []string{t}
		}
	case tlspolicy.RecordAddr:
	}
	return a, nil
}

func (n *names) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	to := n.addr[addr]
	n.mu.Unlock()
	if to == "" {
		n.refused.Add(1)
		return nil, errDead
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// kit is an engine with all that it needs.
type kit struct {
	t      testing.TB
	st     *store.Store
	keys   *seal.Keys
	led    *ledger.Ledger
	ways   *tlspolicy.Ways
	ca     *world.Authority
	names  *names
	engine *delivery.Engine
	o      delivery.Options

	mu       sync.Mutex
	need     map[string]tlspolicy.Proof // by domain: what the messages were decided on
	data     func(i delivery.Item) []byte
	outcomes []delivery.Outcome
	prepared []delivery.Item
	failing  bool
}

// fast is a schedule for tests.
var fast = delivery.Schedule{
	Retry: []time.Duration{30 * time.Millisecond, 60 * time.Millisecond}, Code: []time.Duration{20 * time.Millisecond},
	Connect: []time.Duration{40 * time.Millisecond, 80 * time.Millisecond}, Route: []time.Duration{30 * time.Millisecond},
	Park: 50 * time.Millisecond, Poll: 50 * time.Millisecond, Idle: 100 * time.Millisecond, Grace: 2 * time.Second, Policy: 3,
}

// calm bounds no phase that a receiver of the tests gets through, however busy the machine is.
var calm = smtpclient.Timeouts{
	Connect: patience, Greeting: patience, Hello: patience, StartTLS: patience, Mail: patience, Rcpt: patience, Data: patience, Body: patience, Dot: patience,
	Quit: 10 * time.Second,
}

// impatient gives up soon on the phase in which a receiver is told to hang.
func impatient(verb, answer string) func(o *delivery.Options) {
	return func(o *delivery.Options) {
		t := calm
		if answer == "hang" {
			*map[string]*time.Duration{"greeting": &t.Greeting, "RCPT": &t.Rcpt, "dot": &t.Dot}[verb] = 700 * time.Millisecond
		}
		o.Timeouts = t
	}
}

func newKit(t testing.TB, st *store.Store, change func(o *delivery.Options)) *kit {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	k := newKitOn(t, st, keys, led)
	if change != nil {
		change(&k.o)
		k.renew()
	}
	return k
}

func newKitOn(t testing.TB, st *store.Store, keys *seal.Keys, led *ledger.Ledger) *kit {
	t.Helper()
	k := &kit{t: t, st: st, keys: keys, led: led, names: &names{}, need: map[string]tlspolicy.Proof{}}
	var err error
	if k.ca, err = world.NewAuthority("test"); err != nil {
		t.Fatal(err)
	}
	k.ways = k.newWays()
	k.o = delivery.Options{
		Store: st, Keys: k.keys, Ledger: k.led, Ways: k.ways, Prepare: k.prepare, Outcome: k.outcome, Hello: "carepost.test", Dial: k.names.dial, Roots: k.ca.Pool(),
		Timeouts: calm, Schedule: fast,
	}
	k.renew()
	return k
}

// newWays makes ways that remember only what the table does.
func (k *kit) newWays() *tlspolicy.Ways { k.t.Helper(); return k.newWaysAt(nil) }

func (k *kit) newWaysAt(now func() time.Time) *tlspolicy.Ways {
	k.t.Helper()
	ways, err := tlspolicy.New(tlspolicy.Options{Store: k.st, Keys: k.keys, Ledger: k.led, Resolver: k.names, Dial: k.names.dial, Roots: k.ca.Pool(), Now: now})
	if err != nil {
		k.t.Fatal(err)
	}
	return ways
}

func (k *kit) prepare(_ context.Context, _ id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failing {
		return nil, errDead
	}
	k.prepared = append(k.prepared, items...)
	var all []delivery.Prepared
	for _, i := range items {
		p := delivery.Prepared{Message: i.Message, Verdict: delivery.Go, From: "b@bounce.carepost.test", To: "p@" + i.Way.Domain, Need: k.need[i.Way.Domain]}
		if i.Failure != "" || i.Way.Failure != "" { // as the gate does: a notice without PHI instead
			p.Need = tlspolicy.ProofNone
		}
		word := "notice"
		if p.Need != tlspolicy.ProofNone {
			word = "secret"
		}
		p.Data = fmt.Appendf(nil, "From: a@carepost.test\r\nTo: %s\r\nSubject: s\r\nMessage-ID: <%s@carepost.test>\r\n\r\n%s\r\n", p.To, i.Message, word)
		if k.data != nil {
			p.Data = k.data(i)
		}
		all = append(all, p)
	}
	return all, nil
}

func (k *kit) outcome(_ context.Context, tx *store.Tx, outcomes []delivery.Outcome) error {
	tx.OnCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.outcomes = append(k.outcomes, outcomes...)
	})
	return nil
}

// serve adds a domain with a receiver whose certificate is good.
func (k *kit) serve(domain string, s *sink) *sink {
	k.t.Helper()
	cert, err := k.ca.Issue(time.Now().AddDate(0, 1, 0), "mx."+domain)
	if err != nil {
		k.t.Fatal(err)
	}
	s.cert = &cert
	return k.servePlain(domain, s)
}

// servePlain adds a domain with a receiver as it is.
func (k *kit) servePlain(domain string, s *sink) *sink {
	k.t.Helper()
	s.start(k.t)
	k.names.add(domain, s)
	return s
}

func (k *kit) enqueue(rows ...delivery.Row) []id.Message {
	k.t.Helper()
	var ids []id.Message
	err := k.st.Write(k.t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		ids = ids[:0]
		for _, r := range rows {
			if r.Message.IsZero() {
				r.Message = id.New[id.Message]()
			}
			if r.Kind == 0 {
				r.Kind = delivery.Care
			}
			ids = append(ids, r.Message)
			if err := k.engine.Enqueue(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return ids
}

// run runs the engine until the test or stop ends it.
func (k *kit) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.engine.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				k.t.Errorf("run: %v", err)
			}
		})
	}
	k.t.Cleanup(stop)
	return stop
}

func (k *kit) status(m id.Message) delivery.Status {
	k.t.Helper()
	var s delivery.Status
	err := k.st.Read(context.Background(), id.System(1), func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = k.engine.Status(ctx, tx, m)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (k *kit) counts() delivery.Counts { k.t.Helper(); return k.countsOf(1) }

func (k *kit) countsOf(org id.Organisation) delivery.Counts {
	k.t.Helper()
	var c delivery.Counts
	err := k.st.Read(context.Background(), id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = k.engine.Counts(ctx, tx)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// patience is how long a test waits for what takes milliseconds on an idle machine.
const patience = 60 * time.Second

// until waits for a condition.
func (k *kit) until(what string, ok func() bool) {
	k.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			c := k.counts()
			k.t.Fatalf("%s: not within the time; %+v", what, c)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ended waits until no row is open.
func (k *kit) ended() delivery.Counts {
	k.t.Helper()
	var c delivery.Counts
	k.until("all rows end", func() bool { c = k.counts(); return c.Routing+c.Ready+c.Sending == 0 })
	return c
}

func (k *kit) last(m id.Message) delivery.Outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.outcomes) - 1; i >= 0; i-- {
		if k.outcomes[i].Message == m {
			return k.outcomes[i]
		}
	}
	return delivery.Outcome{}
}

// setPrepare and setRoots make the engine anew with another Prepare or other roots.
func (k *kit) setPrepare(p delivery.Prepare) { k.o.Prepare = p; k.renew() }

func (k *kit) setRoots(pool *x509.CertPool) { k.o.Roots = pool; k.renew() }

func (k *kit) renew() {
	k.t.Helper()
	var err error
	if k.engine, err = delivery.New(k.o); err != nil {
		k.t.Fatal(err)
	}
}
