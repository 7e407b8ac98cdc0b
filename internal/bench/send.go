package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

// SendOptions say what is sent and whereto.
type SendOptions struct {
	DSN         string
	To, CA      string // a server and the file of its authority; empty: a receiving process of our own
	Messages    int
	Size        int // bytes of a finished message
	Connections int
	Backlog     int // more messages, queued before the clock starts; it stops when Messages are accepted
	Codes       int // urgent messages, handed in one at a time while the others go out
	Profile     string
	Receiver    []string // the command of the receiving process
}

// SendResult says how fast messages went from the first Submit to the last acceptance, and what the sender spent on it.
type SendResult struct {
	Messages     int     `json:"messages"`
	PerS         float64 `json:"per_s"`
	Seconds      float64 `json:"seconds"`
	Lost         int     `json:"lost"`     // neither accepted nor in doubt; with a receiver of our own: or accepted and not there
	InDoubt      int     `json:"in_doubt"` //
	CPUS         float64 `json:"cpu_s"`    // of the sender
	PeakMB       float64 `json:"peak_mb"`  // its resident memory
	SigningShare float64 `json:"signing_share"`

	Codes     int     `json:"codes,omitempty"`
	CodeP50MS float64 `json:"code_p50_ms,omitempty"` // from Submit to acceptance
	CodeP99MS float64 `json:"code_p99_ms,omitempty"`
	Backlog   int     `json:"backlog,omitempty"`
	Bytes     int     `json:"bytes,omitempty"` // of a finished message, as our own receiver counted
}

// Send sends messages from an installation of its own: each to one person, through submission, gate, unsealing, rendering, an RSA-2048
// signature, verified TLS, a durable outcome and the ledger.
func Send(ctx context.Context, o SendOptions) (out SendResult, err error) {
	if o.Messages < 1 || (o.To == "") != (o.CA == "") {
		return out, fault.New(fault.Invalid, "a server is named with its authority, and at least one message is sent").Hint("--to 127.0.0.1:2525 --ca ca.pem")
	}
	to, name, ca, arrived, err := o.receiver(ctx)
	if err != nil {
		return out, err
	}
	stopped := false
	defer func() {
		if !stopped {
			_, _ = arrived() // what went wrong before is the answer
		}
	}()
	x, err := install(ctx, o.DSN, o.Connections)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	if err := x.route(ctx, to, name, ca); err != nil {
		return out, err
	}
	m := &sending{installation: x, o: o}
	if err := m.prepare(ctx); err != nil {
		return out, err
	}
	if out, err = m.measure(ctx); err != nil {
		return out, err
	}
	stopped = true
	there, err := arrived()
	if o.To == "" && there.Messages > 0 {
		out.Bytes = there.Bytes / there.Messages
	}
	if o.To == "" && o.Backlog == 0 && err == nil {
		// What was accepted and is not with the receiver is lost, whatever the outcomes say. Each message has a recipient of its own.
		out.Lost = max(out.Lost, o.Messages+out.Codes-out.InDoubt-there.Recipients)
	}
	return out, err
}

// receiver gives the address of the receiver, its name and authority, and a function that ends it and tells what it took.
func (o SendOptions) receiver(ctx context.Context) (to, name, ca string, arrived func() (took, error), err error) {
	if o.To != "" {
		raw, err := os.ReadFile(o.CA)
		if err != nil {
			err = fault.Wrap(fault.Invalid, err, "the authority's certificate cannot be read").At("--ca")
		}
		return o.To, "", string(raw), func() (took, error) { return took{}, nil }, err
	}
	g, stop, err := startReceiver(ctx, o.Receiver)
	return g.Addr, receiverName, g.CA, stop, err
}

// sending is a measurement under way.
type sending struct {
	*installation
	o        SendOptions
	campaign send.Request
	code     send.Request
	people   []id.Person // first those of the backlog, then those measured, then those of the codes
}

// prepare makes the templates and the people.
func (m *sending) prepare(ctx context.Context) (err error) {
	if m.people, err = m.crowd(ctx, m.o.Backlog+m.o.Messages+m.o.Codes); err != nil {
		return err
	}
	if m.code, err = m.request(ctx, false, "Your doctor is ill: please come at four, not at three."); err != nil {
		return err
	}
	m.campaign, err = m.sized(ctx)
	return err
}

// sized finds the text that makes a finished message as large as asked for: its length is all but linear in the text's.
func (m *sending) sized(ctx context.Context) (r send.Request, err error) {
	text := max(m.o.Size/2, 200)
	for range 4 {
		if r, err = m.request(ctx, true, prose(text)); err != nil {
			return r, err
		}
		size, err := m.finished(ctx, r)
		if err != nil || size == m.o.Size {
			return r, err
		}
		next := max(1, text+(m.o.Size-size)*2/5) // it is said twice: as HTML and as text
		if next == text {
			break
		}
		text = next
	}
	return r, err
}

// signatures is about what two DKIM signatures add to a message.
const signatures = 1750

// finished gives the bytes of a message of a request, signed, as Prepare writes it.
func (m *sending) finished(ctx context.Context, r send.Request) (size int, err error) {
	var item delivery.Item
	err = m.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		sid := id.New[id.Send]()
		if err := m.parts.Sends.Open(ctx, tx, sid, r); err != nil {
			return err
		}
		taken, err := m.parts.Sends.Submit(ctx, tx, sid, m.recipients(m.people[:1]))
		if err != nil {
			return err
		}
		item = delivery.Item{Message: taken[0], Person: m.people[0], Kind: delivery.Care, Submitted: tx.Now, Expires: tx.Now.Add(time.Hour)}
		return nil
	})
	if err != nil {
		return 0, err
	}
	item.Way = m.parts.Ways.Resolve(ctx, m.scope.Organisation, theirDomain)
	all, err := m.parts.Sends.Prepare(ctx, m.scope.Organisation, []delivery.Item{item})
	if err != nil {
		return 0, err
	}
	if len(all) != 1 || all[0].Verdict != delivery.Go {
		return 0, fmt.Errorf("the message that is measured does not go: %s", all[0].Reason)
	}
	err = m.write(ctx, func(ctx context.Context, tx *store.Tx) error { return m.parts.Sends.Cancel(ctx, tx, item.Message) })
	return len(all[0].Data) + signatures, err
}

func (m *sending) recipients(all []id.Person) []send.Recipient {
	list := make([]send.Recipient, len(all))
	for i, p := range all {
		list[i] = send.Recipient{Person: p, Values: map[string]any{"account": i}}
	}
	return list
}

// submit hands messages in, as many in a transaction as one Submit takes.
func (m *sending) submit(ctx context.Context, r send.Request, all []id.Person) (id.Send, error) {
	sid := id.New[id.Send]()
	err := m.write(ctx, func(ctx context.Context, tx *store.Tx) error { return m.parts.Sends.Open(ctx, tx, sid, r) })
	for part := range slices.Chunk(all, send.MaxRecipients) {
		if err == nil {
			err = m.write(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, err := m.parts.Sends.Submit(ctx, tx, sid, m.recipients(part))
				return err
			})
		}
	}
	return sid, err
}

// measure runs the installation and hands the messages in.
func (m *sending) measure(ctx context.Context) (out SendResult, err error) {
	sends := []id.Send{}
	if m.o.Backlog > 0 {
		sid, err := m.submit(ctx, m.campaign, m.people[:m.o.Backlog])
		if err != nil {
			return out, err
		}
		sends = append(sends, sid)
	}
	sign, err := signingCost()
	if err != nil {
		return out, err
	}
	debug.FreeOSMemory()
	stop, err := m.profile()
	if err != nil {
		return out, err
	}
	resetPeak()
	cpu := cpuSeconds()
	start := time.Now()
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.app.Run(running) }()
	defer func() { end(); err = errors.Join(err, <-ended) }()
	sid, err := m.submit(ctx, m.campaign, m.people[m.o.Backlog:m.o.Backlog+m.o.Messages])
	if err != nil {
		return out, err
	}
	urgent, err := m.submitCodes(ctx)
	if err != nil {
		return out, err
	}
	last, got, err := m.wait(ctx, append(sends, sid), urgent)
	if err != nil {
		return out, err
	}
	out.CPUS, out.PeakMB = cpuSeconds()-cpu, peakMB()
	stop()
	out.Messages, out.Seconds, out.Backlog = m.o.Messages, last.Sub(start).Seconds(), m.o.Backlog
	out.PerS = float64(min(got.accepted, m.o.Messages)) / out.Seconds
	out.InDoubt, out.Lost = got.doubt, max(0, m.o.Messages-got.accepted-got.doubt)
	out.SigningShare = float64(m.app.Delivery().Written()) * sign / out.CPUS
	return out, m.latencies(ctx, urgent, &out)
}

// profile writes a CPU profile of what is measured, if asked to.
func (m *sending) profile() (stop func(), err error) {
	if m.o.Profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(m.o.Profile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the profile cannot be written").At("--profile")
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// reached is how many messages have ended how.
type reached struct{ accepted, doubt, waiting int }

// wait waits until every message has ended, or as many are accepted as are measured while more wait. It gives the moment of the last
// outcome.
func (m *sending) wait(ctx context.Context, sends []id.Send, urgent codes) (last time.Time, got reached, err error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	want, written, looked := int64(m.o.Messages+len(urgent.at)), int64(0), time.Time{}
	pause := 20 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return last, got, context.Cause(ctx)
		case now := <-tick.C:
			n := m.app.Delivery().Written()
			if n != written {
				written, last = n, now
			}
			if n < want || now.Sub(looked) < pause {
				continue
			}
			if got, err = m.count(ctx, sends); err != nil {
				return last, got, err
			}
			late := reached{}
			if len(urgent.at) > 0 {
				if late, err = m.count(ctx, []id.Send{urgent.send}); err != nil {
					return last, got, err
				}
			}
			looked = time.Now()
			pause = max(pause, 10*looked.Sub(now))
			if late.waiting == 0 && (got.waiting == 0 || m.o.Backlog > 0 && got.accepted >= m.o.Messages) {
				return last, got, nil
			}
		}
	}
}

func (m *sending) count(ctx context.Context, sends []id.Send) (got reached, err error) {
	err = m.read(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, sid := range sends {
			s, err := m.parts.Sends.Get(ctx, tx, sid)
			if err != nil {
				return err
			}
			got.accepted += int(s.States[send.Accepted])
			got.doubt += int(s.States[send.InDoubt])
			got.waiting += int(s.States[send.Waiting])
		}
		return nil
	})
	return got, err
}

// codes are urgent messages, and when each was handed in.
type codes struct {
	send id.Send
	at   map[id.Message]time.Time
}

// codeEvery is the pause between two codes.
const codeEvery = 50 * time.Millisecond

// submitCodes hands in urgent messages, one after another, while the others go out.
func (m *sending) submitCodes(ctx context.Context) (codes, error) {
	all := codes{send: id.New[id.Send](), at: map[id.Message]time.Time{}}
	if m.o.Codes == 0 {
		return all, nil
	}
	err := m.write(ctx, func(ctx context.Context, tx *store.Tx) error { return m.parts.Sends.Open(ctx, tx, all.send, m.code) })
	for _, p := range m.people[m.o.Backlog+m.o.Messages:] {
		if err != nil {
			return all, err
		}
		at := time.Now()
		err = m.write(ctx, func(ctx context.Context, tx *store.Tx) error {
			taken, err := m.parts.Sends.Submit(ctx, tx, all.send, m.recipients([]id.Person{p}))
			for _, one := range taken {
				all.at[one] = at
			}
			return err
		})
		time.Sleep(codeEvery)
	}
	return all, err
}

// latencies reads how long each code took.
func (m *sending) latencies(ctx context.Context, all codes, out *SendResult) error {
	var ms []float64
	err := m.read(ctx, func(ctx context.Context, tx *store.Tx) error {
		for one, at := range all.at {
			msg, err := m.parts.Sends.Message(ctx, tx, one)
			if err != nil {
				return err
			}
			if msg.State == send.Accepted {
				ms = append(ms, float64(msg.DoneAt.Sub(at).Microseconds())/1000)
			}
		}
		return nil
	})
	if err != nil || len(ms) == 0 {
		return err
	}
	slices.Sort(ms)
	out.Codes, out.CodeP50MS, out.CodeP99MS = len(ms), ms[len(ms)/2], ms[len(ms)*99/100]
	return nil
}
