package delivery

import (
	"container/heap"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// lane is what goes from one source to one receiver. The dispatcher's lock guards it, but for urgent and wake.
type lane struct {
	number  int64
	group   string // known once a worker has resolved a row of it
	shape   shape
	streams map[streamKey]*pulse
	workers int
	waiting bool // for a slot
	turn    map[Priority]id.Organisation
	urgent  atomic.Bool   // a code is due: a worker looks up between messages
	wake    chan struct{} // an idle worker with an open connection
}

type streamKey struct {
	priority Priority
	org      id.Organisation
}

// pulse is when a stream's next row is due, and how often that was told.
type pulse struct {
	due    time.Time
	told   int
	failed int       // claims in a row
	hold   time.Time // none before: the last one failed
}

// next is when the stream is claimed from next.
func (p *pulse) next() time.Time { return maxTime(p.due, p.hold) }

// dispatcher gives lanes with due rows to workers.
type dispatcher struct {
	e *Engine

	mu      sync.Mutex
	lanes   map[int64]*lane
	alarms  alarms
	total   int // workers
	waiting []*lane
	kick    chan struct{}
	workers sync.WaitGroup
	seen    stream // where the last look through the table ended
}

// alarm is a moment at which a lane is looked at.
type alarm struct {
	at   time.Time
	lane int64
}

type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// The shares of all connections, one in so many, that marketing leaves to codes and care, and all others to codes.
const (
	reserve      = 8
	reserveCodes = 16
)

func (e *Engine) dispatch(ctx context.Context) {
	d := &dispatcher{e: e, lanes: map[int64]*lane{}, kick: make(chan struct{}, 1), seen: beforeAll}
	// Connections finish what they have begun; after the grace they are cut.
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	nextScan, first := time.Time{}, true
	for ctx.Err() == nil {
		now := e.o.Now()
		if !now.Before(nextScan) {
			began := time.Now()
			err := d.scan(ctx, began.Add(scanTime))
			warn(ctx, "the table cannot be looked through", err)
			whole := err == nil && d.seen == beforeAll
			pause := 10 * time.Since(began)
			if whole {
				pause = max(pause, e.s.Poll)
			}
			if first && err == nil {
				first, pause = !whole, 0 // what an earlier run left is found at once
			}
			nextScan = e.o.Now().Add(pause)
		}
		wait := d.start(ctx, hard, e.o.Now(), nextScan)
		select {
		case <-ctx.Done():
		case h := <-e.hints:
			d.hear(h)
		case <-d.kick:
		case <-time.After(wait):
		}
	}
	stop := time.AfterFunc(e.s.Grace, cut)
	d.workers.Wait()
	stop.Stop()
}

// hear takes a hint and all that wait behind it.
func (d *dispatcher) hear(h hint) {
	for {
		if h.priority == 0 { // rows of any priority of the organisation: look
			d.mu.Lock()
			for p := PriorityCode; p <= PriorityMarketing; p++ {
				d.note(hint{stream{h.lane, p, h.org}, h.due})
			}
			d.mu.Unlock()
		} else {
			d.mu.Lock()
			d.note(h)
			d.mu.Unlock()
		}
		select {
		case h = <-d.e.hints:
		default:
			return
		}
	}
}

// note marks a stream; the caller holds the lock.
func (d *dispatcher) note(h hint) {
	if d.e.o.Owns != nil && !d.e.o.Owns(h.lane) {
		return
	}
	l := d.lanes[h.lane]
	if l == nil {
		l = &lane{number: h.lane, streams: map[streamKey]*pulse{}, turn: map[Priority]id.Organisation{}, wake: make(chan struct{}, 1), shape: newShape("")}
		d.lanes[h.lane] = l
	}
	k := streamKey{h.priority, h.org}
	p := l.streams[k]
	if p == nil {
		p = &pulse{due: h.due}
		l.streams[k] = p
	}
	p.told++
	if h.due.Before(p.due) {
		p.due = h.due
	}
	heap.Push(&d.alarms, alarm{h.due, h.lane})
}

// scanTime bounds one look through the streams: hints wait meanwhile. It goes on where it ended, at a tenth of the time.
const scanTime = 50 * time.Millisecond

// beforeAll stands before every stream.
var beforeAll = stream{lane: -1}

// scan reads which streams have rows: what hints have missed, what another node wrote, what time brought. It reads the codes that are due,
// then streams from where the last look ended, until the end or the given moment.
func (d *dispatcher) scan(ctx context.Context, until time.Time) error {
	var all []hint
	seen := d.seen
	err := d.e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		if all, err = urgent(ctx, tx, store.Millis(d.e.o.Now())); err != nil {
			return err
		}
		for seen = d.seen; ; {
			h, err := streamAfter(ctx, tx, seen)
			if errors.Is(err, sql.ErrNoRows) {
				seen = beforeAll
				return nil
			}
			if err != nil {
				return fmt.Errorf("read streams: %w", err)
			}
			all, seen = append(all, h), h.stream
			if !time.Now().Before(until) {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	d.seen = seen
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range all {
		l := d.lanes[h.lane]
		if l != nil {
			if p := l.streams[streamKey{h.priority, h.org}]; p != nil && !h.due.Before(p.due) {
				continue // known
			}
		}
		d.note(h)
	}
	return nil
}

// streamAfter gives the stream behind another that has rows, and when its first is due.
func streamAfter(ctx context.Context, tx *store.Tx, s stream) (h hint, err error) {
	var due int64
	err = tx.QueryRow(ctx, sqlStreamAfter, s.lane, int64(s.priority), s.org).Scan(&h.lane, &h.priority, &h.org, &due)
	h.due = store.Time(due)
	return h, err
}

// urgent gives the streams of codes that have rows due.
func urgent(ctx context.Context, tx *store.Tx, now int64) (all []hint, err error) {
	rows, err := tx.Query(ctx, sqlUrgent, now)
	if err != nil {
		return nil, fmt.Errorf("read streams of codes: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	for rows.Next() {
		var h hint
		var due int64
		if err := rows.Scan(&h.lane, &h.priority, &h.org, &due); err != nil {
			return nil, fmt.Errorf("read streams of codes: %w", err)
		}
		h.due = store.Time(due)
		all = append(all, h)
	}
	return all, rows.Err()
}

// start gives workers to lanes whose time has come, and says how long there is nothing to do.
func (d *dispatcher) start(ctx, hard context.Context, now, until time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.alarms) > 0 && !d.alarms[0].at.After(now) {
		a := heap.Pop(&d.alarms).(alarm)
		if l := d.lanes[a.lane]; l != nil {
			d.serve(ctx, hard, l, now)
		}
	}
	for len(d.waiting) > 0 && d.total < d.e.o.Connections {
		l := d.waiting[0]
		d.waiting = d.waiting[1:]
		l.waiting = false
		d.serve(ctx, hard, l, now)
		if l.waiting { // only the reserve is left
			break
		}
	}
	if len(d.alarms) > 0 && d.alarms[0].at.Before(until) {
		until = d.alarms[0].at
	}
	return max(until.Sub(now), time.Millisecond)
}

// serve wakes or starts a worker for a lane, if it has a row due and may.
func (d *dispatcher) serve(ctx, hard context.Context, l *lane, now time.Time) {
	top, due := l.top(now)
	switch {
	case !due || ctx.Err() != nil:
		return
	case l.shape.isParked(now):
		heap.Push(&d.alarms, alarm{l.shape.parked, l.number})
		return
	case l.workers > 0:
		if top == PriorityCode {
			l.urgent.Store(true)
		}
		select {
		case l.wake <- struct{}{}:
		default:
		}
		if top != PriorityCode {
			return // a worker that finds more than it can carry asks for another
		}
	}
	d.spawn(ctx, hard, l, top)
}

// top gives the most urgent priority that has a row due.
func (l *lane) top(now time.Time) (Priority, bool) {
	best, found := Priority(255), false
	for k, p := range l.streams {
		if !p.next().After(now) && k.priority < best {
			best, found = k.priority, true
		}
	}
	return best, found
}

// spawn starts a worker when lane and engine have a connection left. The last ones are left to what is more urgent.
func (d *dispatcher) spawn(ctx, hard context.Context, l *lane, top Priority) {
	laneMax, allMax := l.shape.now.connections, d.e.o.Connections
	if top >= PriorityMarketing {
		if laneMax >= 3 {
			laneMax--
		}
		allMax -= allMax / reserve
	} else if top > PriorityCode {
		allMax -= allMax / reserveCodes
	}
	if l.workers >= laneMax {
		return
	}
	if d.total >= allMax {
		if !l.waiting && l.workers == 0 { // a lane that is served does not stand in line for more
			l.waiting = true
			d.waiting = append(d.waiting, l)
		}
		return
	}
	l.workers++
	d.total++
	d.workers.Go(func() {
		w := &worker{d: d, e: d.e, lane: l, hard: hard}
		w.run(ctx)
		d.left(l)
	})
}

// more is a worker's word that its lane has more than it can carry.
func (d *dispatcher) more(ctx, hard context.Context, l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.e.o.Now()
	if top, due := l.top(now); due && !l.shape.isParked(now) && ctx.Err() == nil {
		d.spawn(ctx, hard, l, top)
	}
}

// left takes a worker back.
func (d *dispatcher) left(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.workers--
	d.total--
	now := d.e.o.Now()
	if len(l.streams) == 0 && l.workers == 0 && !l.waiting && !l.shape.isParked(now) && l.shape.failures == 0 && l.shape.now.connections == l.shape.full.connections {
		delete(d.lanes, l.number)
	} else if at, ok := l.earliest(); ok {
		heap.Push(&d.alarms, alarm{maxTime(at, l.shape.parked), l.number})
	}
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (l *lane) earliest() (at time.Time, ok bool) {
	for _, p := range l.streams {
		if next := p.next(); !ok || next.Before(at) {
			at, ok = next, true
		}
	}
	return at, ok
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// crowded tells whether other lanes wait for a connection.
func (d *dispatcher) crowded(own *lane) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.waiting {
		if l != own {
			return true
		}
	}
	return false
}

// pick chooses the stream to claim from: the most urgent priority, and within it the organisation whose turn it is.
func (d *dispatcher) pick(l *lane, now time.Time, only Priority) (k streamKey, told int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.e.o.Owns != nil && !d.e.o.Owns(l.number) { // another node's by now: what is under way here comes to its end, and no more
		clear(l.streams)
		return k, 0, false
	}
	if l.shape.isParked(now) {
		return k, 0, false
	}
	top, due := l.top(now)
	if !due || only != 0 && top > only {
		return k, 0, false
	}
	last := l.turn[top]
	var first, after id.Organisation
	haveFirst, haveAfter := false, false
	for key, p := range l.streams {
		if key.priority != top || p.next().After(now) {
			continue
		}
		if !haveFirst || key.org < first {
			first, haveFirst = key.org, true
		}
		if key.org > last && (!haveAfter || key.org < after) {
			after, haveAfter = key.org, true
		}
	}
	if !haveAfter {
		after = first
	}
	l.turn[top] = after
	k = streamKey{top, after}
	return k, l.streams[k].told, true
}

// claimPauses follow claims that failed in a row.
var claimPauses = []time.Duration{100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second}

// troubled writes down that a claim failed: the database is away, or cannot give this stream. The stream pauses, longer each time.
func (d *dispatcher) troubled(l *lane, k streamKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := l.streams[k]; p != nil {
		p.failed++
		p.hold = d.e.o.Now().Add(step(claimPauses, p.failed))
		heap.Push(&d.alarms, alarm{p.hold, l.number})
	}
}

// claimed writes down what a claim found: when the stream's next row is due, or that it has none. What was told meanwhile stands.
func (d *dispatcher) claimed(l *lane, k streamKey, told int, more bool, due time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := l.streams[k]
	if p == nil {
		return
	}
	p.failed, p.hold = 0, time.Time{}
	if p.told != told {
		return
	}
	switch {
	case more:
	case due.IsZero():
		delete(l.streams, k)
	default:
		p.due = due
		heap.Push(&d.alarms, alarm{due, l.number})
	}
}

// shape lets a worker look at and change its lane's pace.
func (d *dispatcher) shape(l *lane, fn func(s *shape, now time.Time)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn(&l.shape, d.e.o.Now())
}

// meet gives a lane its receiver's pace, once that is known.
func (d *dispatcher) meet(l *lane, group string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.group == "" {
		l.group, l.shape = group, newShape(group)
	}
}
