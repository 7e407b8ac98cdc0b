package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// worker owns one connection of one lane: it claims rows, has them prepared, signs them and sends them, until its lane has no more.
type worker struct {
	d    *dispatcher
	e    *Engine
	lane *lane
	hard context.Context //nolint:containedctx // outlives run's by the grace, so that what was begun is finished

	conn  *smtpclient.Conn
	key   string // of the connection: tlspolicy.Resolution.Key
	batch []*row // claimed, not prepared
	ready []*job // prepared, in the order to send
	sent  map[*smtpclient.Message]*job

	each time.Duration // that a message takes on this connection, smoothed
	last time.Time     // when the last one was done with
	away bool          // an intent could not be committed: all goes back
}

// job is a row that is prepared.
type job struct {
	*row
	way      tlspolicy.Resolution
	prepared Prepared
	at       time.Time           // when it was prepared
	mail     *smtpclient.Message // signed; nil before
	intended bool                // its intent is committed
	lost     bool                // its lease is another's
	tries    int                 // connections that ended before it was its turn
}

// Why a dot is not sent.
var (
	errLost  = errors.New("delivery: the lease was lost")
	errStale = errors.New("delivery: the decision is too old")
)

// intentError is an intent that could not be committed: nothing that the receiver did.
type intentError struct {
	message id.Message
	err     error
}

func (e *intentError) Error() string {
	return "delivery: an intent cannot be committed: " + e.err.Error()
}
func (e *intentError) Unwrap() error { return e.err }

// stale tells whether a job's decision is too old to leave by, or its time over: consent and restriction are asked when a message leaves.
func (j *job) stale(now time.Time) bool {
	return now.Sub(j.at) > staleAfter || !j.expires.IsZero() && !now.Before(j.expires)
}

func (w *worker) run(ctx context.Context) {
	w.sent = map[*smtpclient.Message]*job{}
	for ctx.Err() == nil {
		w.ready = slices.DeleteFunc(w.ready, func(j *job) bool { return j.lost })
		w.renew()
		if !w.fill(ctx) {
			if !w.idle(ctx) {
				break
			}
			continue
		}
		if !w.connect(ctx, w.ready[0]) {
			continue
		}
		w.last = w.e.o.Now()
		w.conn.Run(w.hard, smtpclient.Hooks{
			Next: func() *smtpclient.Message { return w.next(ctx) }, BeforeDot: w.intend, Meanwhile: func() { w.ahead(ctx) }, Done: w.done,
		})
		if !w.conn.Usable() || w.full() {
			w.hangUp()
		}
		if w.parked() || w.away {
			break
		}
	}
	w.giveBack()
	w.hangUp()
}

// renew gives back jobs whose decision is too old, to be claimed and decided anew.
func (w *worker) renew() {
	now := w.e.o.Now()
	due := now
	var rows []*row
	w.ready = slices.DeleteFunc(w.ready, func(j *job) bool {
		old := j.stale(now)
		if old && !j.lost {
			rows = append(rows, j.row)
			if j.due.Before(due) {
				due = j.due // they have waited for their turn
			}
		}
		return old
	})
	w.e.releaseAll(rows, sqlRelease, due)
}

func (w *worker) parked() bool {
	parked := false
	w.d.shape(w.lane, func(s *shape, now time.Time) { parked = s.isParked(now) })
	return parked
}

// full tells whether the connection has carried as many messages as the receiver bears.
func (w *worker) full() bool {
	limit := 0
	w.d.shape(w.lane, func(s *shape, _ time.Time) { limit = s.now.messages })
	return limit > 0 && w.conn.Sent()+len(w.sent) >= limit // what is in hand has no dot yet
}

func (w *worker) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close() // nothing depends on how it ends
		w.conn = nil
	}
}

// idle waits with an open connection for more; false: nothing came, or others need the connection.
func (w *worker) idle(ctx context.Context) bool {
	if w.conn == nil || w.d.crowded(w.lane) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.lane.wake:
		return true
	case <-time.After(w.e.s.Idle):
		return false
	}
}

// fill makes sure that a job is ready; false: the lane has none for now.
func (w *worker) fill(ctx context.Context) bool {
	if w.lane.urgent.Swap(false) {
		if rows := w.claim(ctx, PriorityCode); len(rows) > 0 {
			w.ready = append(w.prepare(ctx, rows), w.ready...)
		}
	}
	for len(w.ready) == 0 && ctx.Err() == nil {
		if len(w.batch) == 0 {
			if w.conn != nil && w.d.crowded(w.lane) {
				return false // others have waited for this connection's place
			}
			if w.batch = w.claim(ctx, 0); len(w.batch) == 0 {
				return false
			}
		}
		chunk := w.chunk()
		w.ready = w.prepare(ctx, chunk)
	}
	return len(w.ready) > 0
}

// next gives the connection its next message: the first job that may leave over it.
func (w *worker) next(ctx context.Context) *smtpclient.Message {
	if ctx.Err() != nil || w.full() || w.lane.urgent.Load() || w.parked() || w.away {
		return nil
	}
	w.renew()
	// With a message in hand, whose dot waits, only what is ready goes along; ahead makes more ready while the dot is on its way.
	if len(w.ready) == 0 && (len(w.sent) > 0 || !w.fill(ctx)) {
		return nil
	}
	for i := 0; i < len(w.ready); i++ {
		j := w.ready[i]
		if j.lost || !w.fits(j) {
			continue
		}
		w.ready = slices.Delete(w.ready, i, i+1)
		if !w.sign(ctx, j) {
			i--
			continue
		}
		w.sent[j.mail] = j
		return j.mail
	}
	return nil
}

// ahead makes the next job ready while the receiver thinks about the last one: at the pace of a distant receiver that is most of the time.
func (w *worker) ahead(ctx context.Context) {
	if ctx.Err() != nil || w.lane.urgent.Load() || w.full() || w.parked() || w.away || len(w.ready) == 0 && !w.fill(ctx) {
		return
	}
	for i, j := range w.ready {
		if !j.lost && w.fits(j) {
			if !w.sign(ctx, j) {
				w.ready = slices.Delete(w.ready, i, i+1)
			}
			return
		}
	}
}

// fits tells whether a job may leave over the connection at hand: it leads to one of its hosts, and shows what the job needs.
func (w *worker) fits(j *job) bool {
	if w.conn == nil || !w.conn.Usable() || w.key != j.way.Key() {
		return false
	}
	s := w.conn.State()
	return slices.ContainsFunc(j.way.Hosts, func(h tlspolicy.Host) bool { return h.Addr == s.Addr }) && j.way.Judge(j.prepared.Need, shown(s)) == tlspolicy.Send
}

// sign makes the bytes that are sent; false: it cannot, and the job is dealt with.
func (w *worker) sign(ctx context.Context, j *job) bool {
	if j.mail != nil {
		return true
	}
	now := w.e.o.Now()
	data, err := j.prepared.Data, error(nil)
	if j.prepared.Signer != "" && w.e.o.Signing != nil {
		var keys []SigningKey
		if keys, err = w.e.signers(ctx, j.org, j.prepared.Signer); err == nil {
			data, err = sign(data, keys, now)
		}
	}
	if err != nil {
		warn(ctx, "a message cannot be signed", fmt.Errorf("message %s: %w", j.message, err))
		w.e.finish(record{row: j.row, next: w.e.s.again(j.row, now, 0, ReasonPrepare)})
		return false
	}
	j.mail = &smtpclient.Message{From: j.prepared.From, To: j.prepared.To, Data: data}
	return true
}

// intend commits the intent of the message in hand and of those that will follow it on this connection.
func (w *worker) intend(ctx context.Context, m *smtpclient.Message) error {
	j := w.sent[m]
	if j == nil || j.lost {
		return errLost
	}
	if j.stale(w.e.o.Now()) {
		return errStale
	}
	if j.intended {
		return nil
	}
	group := []*job{j}
	for _, o := range w.ready {
		if len(group) == intentRows {
			break
		}
		if o.org == j.org && !o.intended && !o.lost && w.fits(o) {
			group = append(group, o)
		}
	}
	for _, o := range w.sent { // the one whose envelope rides along
		if o != j && o.org == j.org && !o.intended && !o.lost && len(group) < intentRows {
			group = append(group, o)
		}
	}
	err := w.e.intend(ctx, j.org, group, false)
	if err != nil {
		// What is not sent now goes back: perhaps only the commit's answer was lost, and the next decision sees what was recorded.
		w.away = true
		if len(group) > 1 && !fault.Is(err, fault.Unavailable) && ctx.Err() == nil { // another's record may stand in the way
			err = w.e.intend(ctx, j.org, group[:1], true)
		}
	}
	if err != nil {
		warn(ctx, "an intent cannot be committed", err)
		return &intentError{j.message, err}
	}
	if j.lost {
		return errLost
	}
	return nil
}

// intend commits intents and what the decisions record. Again: an earlier try failed, and may have been committed all the same.
func (e *Engine) intend(ctx context.Context, org id.Organisation, group []*job, again bool) error {
	return e.o.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		lost := make([]bool, len(group))
		ours, err := e.intendAll(ctx, tx, group, lost, again)
		if err == nil && e.o.Record != nil && len(ours) > 0 {
			err = e.o.Record(ctx, tx, ours)
		}
		if err != nil {
			return fmt.Errorf("intent of message %s and those behind it: %w", group[0].message, err)
		}
		tx.OnCommit(func() {
			for i, j := range group {
				if j.intended, j.lost = !lost[i], lost[i]; j.lost {
					e.open.done(j.lease, 1)
				}
			}
		})
		return nil
	})
}

// intendAll writes the intents, and gives the messages whose leases are still ours and whose decisions are to be recorded with them.
func (e *Engine) intendAll(ctx context.Context, tx *store.Tx, group []*job, lost []bool, again bool) (ours []Prepared, err error) {
	rows := make([][]any, len(group))
	recorded := make([]bool, len(group))
	for i, j := range group {
		if again {
			var at int64
			err := tx.QueryRow(ctx, sqlIntended, tx.Organisation(), j.message, j.lease).Scan(&at)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return nil, err
			}
			recorded[i] = at != 0
		}
		rows[i] = []any{store.Millis(tx.Now), j.prepared.Frozen, tx.Organisation(), j.message, j.lease}
	}
	n, err := tx.ExecEach(ctx, sqlIntent, rows)
	if err != nil {
		return nil, err
	}
	for i, j := range group {
		if n < int64(len(group)) { // one or more of them: which? An intent may be written twice
			one, err := tx.Exec(ctx, sqlIntent, rows[i]...)
			if err != nil {
				return nil, err
			}
			lost[i] = one == 0
		}
		if !lost[i] && !recorded[i] && j.prepared.Decision != nil {
			ours = append(ours, j.prepared)
		}
	}
	return ours, nil
}

// unrecorded gives what the decision has to record, while no intent has recorded it: a message that is refused before its last dot was
// decided on all the same.
func (j *job) unrecorded() *Prepared {
	if j.intended || j.prepared.Decision == nil {
		return nil
	}
	return &j.prepared
}
