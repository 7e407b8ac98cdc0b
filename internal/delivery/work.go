package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/bounce"
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
	key   string // of the connection: route and pinned CA
	batch []*row // claimed, not prepared
	ready []*job // prepared, in the order to send
	sent  map[*smtpclient.Message]*job
}

// job is a row that is prepared.
type job struct {
	*row
	way      tlspolicy.Resolution
	prepared Prepared
	mail     *smtpclient.Message // signed; nil before
	intended bool                // its intent is committed
	lost     bool                // its lease is another's
	tries    int                 // connections that ended before it was its turn
}

var errLost = errors.New("delivery: the lease was lost")

func (w *worker) run(ctx context.Context) {
	w.sent = map[*smtpclient.Message]*job{}
	for ctx.Err() == nil {
		w.ready = slices.DeleteFunc(w.ready, func(j *job) bool { return j.lost })
		if !w.fill(ctx) {
			if !w.idle(ctx) {
				break
			}
			continue
		}
		if !w.connect(ctx, w.ready[0]) {
			continue
		}
		w.conn.Run(w.hard, smtpclient.Hooks{
			Next: func() *smtpclient.Message { return w.next(ctx) }, BeforeDot: w.intend, Meanwhile: func() { w.ahead(ctx) }, Done: w.done,
		})
		if !w.conn.Usable() || w.full() {
			w.hangUp()
		}
		if w.parked() {
			break
		}
	}
	w.giveBack()
	w.hangUp()
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

// chunk cuts rows off the batch, as many as may be rendered at once.
func (w *worker) chunk() []*row {
	n, bytes := 0, 0
	for n < len(w.batch) && n < chunkRows && (n == 0 || bytes+w.batch[n].size <= chunkBytes) {
		bytes += w.batch[n].size
		n++
	}
	chunk := w.batch[:n]
	w.batch = w.batch[n:]
	return chunk
}

// claim leases due rows of the lane.
func (w *worker) claim(ctx context.Context, only Priority) []*row {
	k, told, ok := w.d.pick(w.lane, w.e.o.Now(), only)
	if !ok {
		return nil
	}
	lease := newLease()
	var rows []*row
	var due int64
	err := w.e.o.Store.Write(ctx, id.System(k.org), func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = w.e.claim(ctx, tx, w.lane.number, k, lease)
		if err != nil || len(rows) == claimRows {
			return err
		}
		// The stream ends here for now: when is its next row due?
		err = tx.QueryRow(ctx, sqlNextDue, w.lane.number, int64(k.priority), tx.Organisation(), store.Millis(tx.Now)).Scan(&due)
		return err
	})
	if err != nil {
		warn(ctx, "rows cannot be claimed", err)
		return nil
	}
	w.d.claimed(w.lane, k, told, len(rows) == claimRows, store.Time(due))
	if len(rows) == 0 {
		return nil
	}
	if len(rows) == claimRows {
		w.d.more(ctx, w.hard, w.lane)
	}
	return rows
}

func (e *Engine) claim(ctx context.Context, tx *store.Tx, lane int64, k streamKey, lease int64) ([]*row, error) {
	now := store.Millis(tx.Now)
	got, err := tx.Query(ctx, sqlClaim, lane, int64(k.priority), tx.Organisation(), now, now, claimRows, lease, e.holder, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("claim rows: %w", err)
	}
	defer got.Close() //nolint:errcheck // read to the end, whose error is checked
	var rows []*row
	for got.Next() {
		r := &row{org: k.org, priority: k.priority, lane: lane, lease: lease}
		var submitted, due, expires int64
		err := got.Scan(&r.message, &r.person, &r.purpose, &r.kind, &r.source, &r.size, &submitted, &due, &expires, &r.attempt, &r.doubt, &r.failure, &r.reason, &r.sealed, &r.frozen)
		if err != nil {
			return nil, fmt.Errorf("claim rows: %w", err)
		}
		r.submitted, r.due, r.expires = store.Time(submitted), store.Time(due), store.Time(expires)
		rows = append(rows, r)
	}
	if err := got.Err(); err != nil {
		return nil, fmt.Errorf("claim rows: %w", err)
	}
	slices.SortFunc(rows, func(a, b *row) int { return a.due.Compare(b.due) })
	return rows, e.openDomains(ctx, tx, rows)
}

// prepare finds the ways of rows and has Prepare make messages of them. Rows that do not go are dealt with.
func (w *worker) prepare(ctx context.Context, rows []*row) []*job {
	org := rows[0].org
	ways := map[string]tlspolicy.Resolution{}
	var items []Item
	by := map[id.Message]*job{}
	for _, r := range rows {
		way, ok := ways[r.domain]
		if !ok {
			rctx, cancel := context.WithTimeout(ctx, routeTimeout)
			way = w.e.o.Ways.Resolve(rctx, org, r.domain)
			cancel()
			ways[r.domain] = way
		}
		if !w.onWay(ctx, r, way) {
			continue
		}
		by[r.message] = &job{row: r, way: way}
		items = append(items, Item{
			Message: r.message, Person: r.person, Kind: r.kind, Attempt: r.attempt, Submitted: r.submitted, Expires: r.expires,
			Way: way, Failure: r.failure, Doubted: r.doubt > 0, Frozen: r.frozen,
		})
	}
	if len(items) == 0 {
		return nil
	}
	return w.settle(ctx, items, by, w.ask(ctx, org, items))
}

// onWay tells whether a row can leave by this lane now, and deals with it when not.
func (w *worker) onWay(ctx context.Context, r *row, way tlspolicy.Resolution) bool {
	now := w.e.o.Now()
	switch way.Status {
	case tlspolicy.Ready:
		lane, err := w.e.laneOf(ctx, r.source, way.Group)
		if err != nil {
			warn(ctx, "a lane has no number", err)
			w.e.release(r, sqlRelease, now)
			return false
		}
		if lane != w.lane.number { // the domain has moved to another receiver
			w.e.release(r, sqlBackToRouting, now)
			w.e.wakeRouter()
			return false
		}
		w.d.meet(w.lane, way.Group)
		return true
	case tlspolicy.Later:
		w.e.release(r, sqlBackToRouting, now.Add(w.e.s.Route[0]))
	case tlspolicy.Nowhere:
		w.e.finish(record{row: r, next: nowhere(r, way.Reason)})
	case tlspolicy.Broken:
		w.e.finish(record{row: r, next: w.e.s.unmet(r, tlspolicy.Failure(way.Reason), now), group: way.Group})
	}
	return false
}

// ask calls Prepare; when it fails for many, each is asked for alone, so that one does not stand in the way of the others.
func (w *worker) ask(ctx context.Context, org id.Organisation, items []Item) []Prepared {
	all, err := w.e.o.Prepare(ctx, org, items)
	if err == nil {
		return all
	}
	if len(items) == 1 {
		warn(ctx, "a message cannot be prepared", fmt.Errorf("message %s: %w", items[0].Message, err))
		return nil
	}
	all = nil
	for i := range items {
		all = append(all, w.ask(ctx, org, items[i:i+1])...)
	}
	return all
}

// settle makes jobs of what Prepare gave, and deals with the rest.
func (w *worker) settle(ctx context.Context, items []Item, by map[id.Message]*job, prepared []Prepared) []*job {
	now := w.e.o.Now()
	for _, p := range prepared {
		if j := by[p.Message]; j != nil {
			j.prepared = p
		}
	}
	var jobs []*job
	for i := range items {
		j := by[items[i].Message]
		p := &j.prepared
		n := next{attempt: j.attempt, doubt: j.doubt, reason: p.Reason}
		switch p.Verdict {
		case Go:
			if d, ok := tlspolicy.Normal(p.To[strings.LastIndexByte(p.To, '@')+1:]); ok && d == j.way.Domain {
				jobs = append(jobs, j)
				continue
			}
			slog.Error("delivery: a message was prepared for another domain than it was queued for", "message", j.message.String())
			n = w.e.s.again(j.row, now, 0, reasonPrepare)
			w.e.finish(record{row: j.row, next: n})
		case Hold:
			n.end = Held
			w.e.finish(record{row: j.row, next: n, note: p.Record})
		case Refuse:
			n.end = Refused
			w.e.finish(record{row: j.row, next: n, note: p.Record})
		case Later:
			if n.due = p.Due; !n.due.After(now) {
				n.due = now.Add(w.e.s.Retry[0])
			}
			w.e.finish(record{row: j.row, next: n, note: p.Record, quiet: true})
		default:
			if ctx.Err() != nil {
				w.e.release(j.row, sqlRelease, now)
				continue
			}
			n = w.e.s.again(j.row, now, 0, reasonPrepare)
			n.verdict = bounce.Verdict{Class: bounce.Other, Rule: reasonPrepare}
			w.e.finish(record{row: j.row, next: n})
		}
	}
	return jobs
}

// next gives the connection its next message: the first job that may leave over it.
func (w *worker) next(ctx context.Context) *smtpclient.Message {
	if ctx.Err() != nil || w.full() || w.lane.urgent.Load() || w.parked() {
		return nil
	}
	if len(w.ready) == 0 && !w.fill(ctx) {
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
	if ctx.Err() != nil || w.lane.urgent.Load() || w.full() || w.parked() || len(w.ready) == 0 && !w.fill(ctx) {
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
	if w.conn == nil || !w.conn.Usable() || w.key != keyOf(j.way) {
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
		w.e.finish(record{row: j.row, next: w.e.s.again(j.row, now, 0, reasonPrepare)})
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
	if err := w.e.intend(ctx, j.org, group); err != nil {
		warn(ctx, "an intent cannot be committed", err)
		return err
	}
	if j.lost {
		return errLost
	}
	return nil
}

func (e *Engine) intend(ctx context.Context, org id.Organisation, group []*job) error {
	return e.o.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		lost := make([]bool, len(group))
		for i, j := range group {
			n, err := tx.Exec(ctx, sqlIntent, store.Millis(tx.Now), j.prepared.Frozen, tx.Organisation(), j.message, j.lease)
			if err != nil {
				return fmt.Errorf("intent of message %s: %w", j.message, err)
			}
			if lost[i] = n == 0; lost[i] || j.prepared.Record == nil {
				continue
			}
			if err := j.prepared.Record(ctx, tx); err != nil {
				return fmt.Errorf("record of message %s: %w", j.message, err)
			}
		}
		tx.OnCommit(func() {
			for i, j := range group {
				j.intended, j.lost = !lost[i], lost[i]
			}
		})
		return nil
	})
}

// unrecorded gives what the decision has to record, while no intent has recorded it: a message that is refused before its last dot was
// decided on all the same.
func (j *job) unrecorded() func(ctx context.Context, tx *store.Tx) error {
	if j.intended {
		return nil
	}
	return j.prepared.Record
}

// done takes a message's result.
func (w *worker) done(m *smtpclient.Message, res smtpclient.Result) {
	j := w.sent[m]
	delete(w.sent, m)
	now := w.e.o.Now()
	state := w.conn.State()
	switch {
	case j.lost:
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
	if j.tries++; j.tries <= 2 {
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
		warn(ctx, "rows cannot be given back; their leases will run out", err)
		if err == nil && statement == sqlRelease {
			for _, r := range rows {
				e.tell(hint{stream{r.lane, r.priority, r.org}, due})
			}
		}
	}
}
