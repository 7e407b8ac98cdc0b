package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// done takes a message's result.
func (w *worker) done(m *smtpclient.Message, res smtpclient.Result) {
	j := w.sent[m]
	delete(w.sent, m)
	now := w.e.o.Now()
	state := w.conn.State()
	if res.Class != smtpclient.NotTried {
		w.took(now)
	}
	switch {
	case j.lost:
		return
	case res.Class == smtpclient.NotTried && w.unintended(j, res.Err, now):
		return
	case farewell(res, w.conn.Sent()):
		n := w.conn.Sent()
		w.d.shape(w.lane, func(s *shape, _ time.Time) { s.served(n) })
		res = smtpclient.Result{Class: smtpclient.NotTried}
	}
	if res.Class == smtpclient.NotTried {
		w.again(j)
		return
	}
	if res.Local && res.Reply.Code != 0 {
		slog.Warn("delivery: a message cannot be sent as it is", "message", j.message.String(), "reply", res.Reply.String(), "error", res.Err)
	}
	n := w.e.s.after(j.row, res, judge(res, j.way.Group), now)
	r := record{row: j.row, next: n, reply: res.Reply, group: j.way.Group, note: j.unrecorded()}
	if n.end == Accepted {
		r.proof, r.tls = given(j.way, state), state.Version
	}
	w.d.shape(w.lane, func(s *shape, now time.Time) { adapt(s, n, now) })
	w.e.finish(r)
}

// took smooths what a message takes on this connection.
func (w *worker) took(now time.Time) {
	d := max(now.Sub(w.last), time.Nanosecond)
	if w.last = now; w.each == 0 {
		w.each = d
	}
	w.each += (d - w.each) / 4
}

// unintended deals with a message whose dot was not sent for something of ours; false: it was not that.
func (w *worker) unintended(j *job, err error, now time.Time) bool {
	failed, ok := errors.AsType[*intentError](err)
	switch {
	case errors.Is(err, errStale) && j.stale(now):
		w.e.release(j.row, sqlRelease, j.due)
	case !ok && !errors.Is(err, errStale), ok && failed.message != j.message: // or it was another's
		return false
	case !ok:
		w.ready = append([]*job{j}, w.ready...)
	case fault.Is(err, fault.Unavailable) || w.hard.Err() != nil:
		w.e.release(j.row, sqlRelease, now.Add(w.e.s.away()))
	default: // its own record is what fails
		n := w.e.s.again(j.row, now, 0, ReasonPrepare)
		n.verdict = bounce.Verdict{Class: bounce.Other, Rule: ReasonPrepare}
		w.e.finish(record{row: j.row, next: n})
	}
	return true
}

// adapt changes a lane's pace by what followed from an answer.
func adapt(s *shape, n next, now time.Time) {
	if n.slow {
		s.slow(now)
	} else if n.end == Accepted {
		s.calm(now)
	}
	if n.park > 0 {
		s.park(now.Add(n.park), n.verdict.Rule)
	}
}

// given is the proof that a connection gave.
func given(way tlspolicy.Resolution, s smtpclient.State) tlspolicy.Proof {
	switch {
	case !s.Verified:
		return tlspolicy.ProofNone
	case way.Enforced():
		return way.Proof
	}
	return tlspolicy.ProofPKIX
}

// again puts back a job whose connection ended before its turn. Its attempt is not counted; but a connection that ends so twice is no better
// than none.
func (w *worker) again(j *job) {
	if j.tries++; j.tries <= 2 || w.away {
		w.ready = append([]*job{j}, w.ready...)
		return
	}
	w.d.shape(w.lane, func(s *shape, now time.Time) { s.unreachable(now, w.e.s.Connect) })
	w.e.release(j.row, sqlRelease, w.e.o.Now())
}

// giveBack releases what was claimed and not sent.
func (w *worker) giveBack() {
	var rows []*row
	for _, j := range w.ready {
		if !j.lost {
			rows = append(rows, j.row)
		}
	}
	rows = append(rows, w.batch...)
	w.ready, w.batch = nil, nil
	w.e.releaseAll(rows, sqlRelease, w.e.o.Now())
}

func (e *Engine) release(r *row, statement string, due time.Time) {
	e.releaseAll([]*row{r}, statement, due)
}

// releaseAll gives rows back as they were, to be claimed or routed again at due.
func (e *Engine) releaseAll(rows []*row, statement string, due time.Time) {
	by := map[int64][]*row{}
	for _, r := range rows {
		by[r.lease] = append(by[r.lease], r)
	}
	ctx := context.Background() // also while the engine stops
	for lease, rows := range by {
		err := e.o.Store.Write(ctx, id.System(rows[0].org), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, statement, store.Millis(due), tx.Organisation(), lease, store.Blobs(messages(rows)))
			return err
		})
		if err != nil {
			warn(ctx, "rows cannot be given back yet", err)
			for _, r := range rows {
				e.results <- record{row: r, next: next{due: due}, back: statement, quiet: true}
			}
			continue
		}
		e.open.done(lease, len(rows))
		if statement == sqlRelease {
			for _, r := range rows {
				e.tell(hint{stream{r.lane, r.priority, r.org}, due})
			}
		}
	}
}
