package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// connect makes sure that the job at the head may leave over the worker's connection. False: it may not for now, and is dealt with.
func (w *worker) connect(ctx context.Context, j *job) bool {
	if w.fits(j) {
		return true
	}
	w.hangUp()
	a := w.attempt(ctx, j)
	if w.conn != nil {
		w.d.shape(w.lane, func(s *shape, _ time.Time) { s.reached() })
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	switch {
	case a.lacked != tlspolicy.FailureNone:
		w.unproven(j, a.lacked)
	case a.reply.Code != 0:
		w.turnedAway(j, a.reply)
	default:
		w.d.shape(w.lane, func(s *shape, now time.Time) { s.unreachable(now, w.e.s.Connect) })
		w.giveBack()
	}
	return false
}

// attempt is what trying a way's hosts came to, when none gave a connection.
type attempt struct {
	lacked tlspolicy.Failure // the last host that was reached lacked this
	reply  smtpclient.Reply  // or refused us with this
}

// attempt tries the hosts of a job's way in order, with the TLS that the job needs; then, where nothing demands TLS, those whose handshake
// failed once more without, each on a new connection: after a failed handshake nobody knows what the two ends think of the old one.
func (w *worker) attempt(ctx context.Context, j *job) attempt {
	var a attempt
	var broken []tlspolicy.Host
	for _, h := range j.way.Hosts {
		if ctx.Err() != nil {
			return a
		}
		level := levelOf(j)
		if level == smtpclient.Opportunistic && w.e.failsAtTLS(h.Addr) {
			level = smtpclient.Never
		}
		err := w.dial(ctx, j, h, level)
		if err == nil {
			return a
		}
		lacked := lacking(err)
		if lacked == tlspolicy.FailureHandshake {
			broken = append(broken, h)
		}
		if lacked != tlspolicy.FailureNone {
			a.lacked = lacked
		}
		if err.Reply.Code != 0 && lacked == tlspolicy.FailureNone {
			a.reply = err.Reply
		}
	}
	for _, h := range broken {
		if j.way.Judge(j.prepared.Need, tlspolicy.Shown{Failure: tlspolicy.FailureHandshake}) != tlspolicy.Plain || ctx.Err() != nil {
			break
		}
		if w.dial(ctx, j, h, smtpclient.Never) == nil {
			w.e.noteFailsAtTLS(h.Addr)
			return a
		}
	}
	return a
}

// levelOf gives the TLS that a job's connection must show.
func levelOf(j *job) smtpclient.Level {
	if j.way.Enforced() || j.prepared.Need != tlspolicy.ProofNone {
		return smtpclient.Verified
	}
	return smtpclient.Opportunistic
}

// dial opens the worker's connection to one host. What it shows is judged again for every message.
func (w *worker) dial(ctx context.Context, j *job, h tlspolicy.Host, level smtpclient.Level) *smtpclient.Error {
	o := smtpclient.Options{
		Addr: h.Addr, Hello: w.e.o.Hello, Dial: w.e.dialer(j.source, !j.way.Route.IsZero()), Timeouts: w.e.o.Timeouts,
		TLS: smtpclient.TLS{Level: level, Implicit: j.way.Implicit, Name: h.Name, Roots: w.e.o.Roots},
	}
	if j.way.Roots != nil {
		o.TLS.Roots = j.way.Roots
	}
	if h.DANE != nil {
		o.TLS.Prove = h.DANE.Prove
	}
	if l := j.way.Login; l != nil {
		o.Login = &smtpclient.Login{User: l.User, Password: l.Password}
	}
	o.TLS.Sessions = w.e.sessions(string(rune(j.source)) + "\x00" + h.Addr + "\x00" + h.Name + "\x00" + j.way.Key())
	c, err := smtpclient.Dial(ctx, o)
	if err != nil {
		e, ok := errors.AsType[*smtpclient.Error](err)
		if !ok {
			e = &smtpclient.Error{Kind: smtpclient.Network, Stage: smtpclient.StageConnect, Err: err}
		}
		return e
	}
	if v := j.way.Judge(j.prepared.Need, shown(c.State())); v != tlspolicy.Send {
		_ = c.Close() // nothing was sent over it
		return &smtpclient.Error{Kind: smtpclient.NoTLS, Stage: smtpclient.StageStartTLS}
	}
	w.conn, w.key = c, j.way.Key()
	return nil
}

// unproven deals with a job whose receiver did not show what it needs. The domain's failure is remembered, so that its next messages
// are decided with it in view.
func (w *worker) unproven(j *job, lacked tlspolicy.Failure) {
	now := w.e.o.Now()
	w.ready = w.ready[1:]
	var n next
	switch j.way.Judge(j.prepared.Need, tlspolicy.Shown{Failure: lacked}) {
	case tlspolicy.Defer:
		n = w.e.s.unmet(j.row, lacked, now)
	case tlspolicy.Redecide:
		w.e.o.Ways.Note(j.domain, lacked)
		n = w.e.s.redecide(j.row, lacked, now)
	case tlspolicy.Send, tlspolicy.Plain: // TLS failed, and without it the host was not reached
		w.ready = append([]*job{j}, w.ready...)
		w.d.shape(w.lane, func(s *shape, now time.Time) { s.unreachable(now, w.e.s.Connect) })
		w.giveBack()
		return
	}
	w.e.finish(record{row: j.row, next: n, group: j.way.Group, note: j.unrecorded(), quiet: n.end == Deferred && n.failure != tlspolicy.FailureNone})
}

// turnedAway deals with a receiver that answered before MAIL: it is about us, never about a message.
func (w *worker) turnedAway(j *job, reply smtpclient.Reply) {
	v := bounce.Classify(bounce.Reply{Stage: bounce.Stage(reply.Stage), Code: reply.Code, Enhanced: reply.Enhanced, Text: reply.Text, Provider: j.way.Group})
	wait := min(v.Wait, w.e.s.Park)
	alone := false
	w.d.shape(w.lane, func(s *shape, now time.Time) {
		s.slow(now)
		// Others are being served: it was one connection too many, not a closed door.
		if alone = w.lane.workers <= 1; alone {
			until := s.unreachable(now, w.e.s.Connect)
			s.park(maxTime(until, now.Add(wait)), v.Rule)
		}
	})
	w.giveBack()
	if alone {
		return
	}
	w.lane.shapeLimit(w.d)
}

// shapeLimit holds a lane at one connection less than it has.
func (l *lane) shapeLimit(d *dispatcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.shape.now.connections = max(1, min(l.shape.now.connections, l.workers-1))
}
