package delivery

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
)

// Engine is the queue at work. Enqueue, Cancel and the questions serve also while Run does not run.
type Engine struct {
	o     Options
	s     Schedule
	hints chan hint
	route [2]chan struct{} // wakes the routers: of codes, and of the rest

	mu    sync.Mutex
	lanes map[string]int64 // by source and group: the number of the lane
	plain map[string]time.Time
	tls   map[string]tls.ClientSessionCache

	signing map[keySlot]heldKeys

	results chan record
	written atomic.Int64
	holder  int64 // of this Run: the number of its row in delivery_holder
	open    leases
}

// hint tells the dispatcher that a stream has, or will have, a row that is due.
type hint struct {
	stream
	due time.Time
}

// stream is what claims are made of: one lane, priority and organisation.
type stream struct {
	lane     int64
	priority Priority
	org      id.Organisation
}

// Bounds of memory, whatever waits in the table.
const (
	defaultConnections = 64
	claimRows          = 64          // rows of one claim
	chunkRows          = 16          // rows prepared at once
	chunkBytes         = 8 << 20     // of them, by the sizes that they were handed in with
	staleAfter         = time.Minute // a decision that is older is made anew before the message leaves
	intentRows         = 8           // messages under one intent: what one connection can leave in doubt
	maxLaneNumbers     = 100_000     // numbers of lanes in memory
	maxPlainHosts      = 10_000      // hosts known to fail at TLS
	plainLife          = time.Hour
	maxSigners         = 10_000 // domains whose keys are kept
)

// New makes an engine. It touches nothing until Run.
func New(o Options) (*Engine, error) {
	switch {
	case o.Store == nil || o.Keys == nil || o.Ledger == nil || o.Ways == nil || o.Prepare == nil:
		return nil, errors.New("delivery: an engine needs store, keys, ledger, ways and prepare")
	case o.Connections < 0:
		return nil, errors.New("delivery: a negative number of connections")
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hello == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "localhost"
		}
		o.Hello = name
	}
	return &Engine{
		o: o, s: o.Schedule.filled(), hints: make(chan hint, 4096), route: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)},
		lanes: map[string]int64{}, plain: map[string]time.Time{}, tls: map[string]tls.ClientSessionCache{}, signing: map[keySlot]heldKeys{},
		open: leases{rows: map[int64]int{}}, results: make(chan record, 1024),
	}, nil
}

// Run works the queue until ctx ends, then lets connections finish what they have begun and gives back what they have not.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.begin(ctx); ctx.Err() != nil {
		return nil // stopped before it began
	} else if err != nil {
		return err
	}
	var committer, leases, rest sync.WaitGroup
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	committer.Go(func() { e.commitAll(ctx) })
	leases.Go(func() { e.live(held) })
	rest.Go(func() { e.keep(ctx) })
	rest.Go(func() { e.routeAll(ctx, e.route[0], PriorityCode) })
	rest.Go(func() { e.routeAll(ctx, e.route[1], PriorityCare, PriorityMarketing) })
	rest.Go(func() { e.dispatch(ctx) })
	rest.Wait()
	close(e.results)
	committer.Wait()
	release()
	leases.Wait()
	warn(ctx, "leases cannot be let go", e.letGo(context.WithoutCancel(ctx)))
	e.results = make(chan record, 1024)
	return nil
}

// begin makes the key of lane numbers and, where this process alone owns the table, takes over what an earlier one left. After a restore
// nothing runs until the ledger is reopened: an older database would send again what was sent since.
func (e *Engine) begin(ctx context.Context) error {
	_, forked, err := e.o.Ledger.CheckFork(ctx)
	if err != nil {
		return fmt.Errorf("ask the ledger whether it was restored: %w", err)
	}
	if forked {
		return fault.New(fault.Conflict, "the database was restored and its ledger is not reopened").Hint("run carepost ledger reopen")
	}
	err = e.o.Store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := e.o.Keys.Blind(ctx, tx, laneKind, "")
		return err
	})
	if err != nil {
		return fmt.Errorf("make the key of lane numbers: %w", err)
	}
	dead := e.o.Now().Add(-24 * time.Hour)
	if e.o.Store.Engine() == store.SQLite {
		dead = e.o.Now().Add(24 * time.Hour)
	}
	e.holder = newLease()
	e.open.forget()
	if err := errors.Join(e.forget(ctx, dead), e.hold(ctx), e.restored(ctx)); err != nil {
		return err
	}
	warn(ctx, "rows left behind cannot be taken over yet", e.takeOver(ctx)) // keep tries again
	return nil
}

// Written counts the outcomes that this engine has written.
func (e *Engine) Written() int64 { return e.written.Load() }

const laneKind = "delivery.lane"

// laneOf gives the number of a lane: a keyed hash, so that the table does not tell to which receiver its rows go.
func (e *Engine) laneOf(ctx context.Context, source uint8, group string) (int64, error) {
	if n, ok := e.knownLane(source, group); ok {
		return n, nil
	}
	var n int64
	err := e.o.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		b, err := e.o.Keys.Blind(ctx, tx, laneKind, laneName(source, group))
		if err == nil {
			n = int64(binary.BigEndian.Uint32(b) >> 1)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("number a lane: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.lanes) >= maxLaneNumbers {
		clear(e.lanes)
	}
	e.lanes[laneName(source, group)] = n
	return n, nil
}

func (e *Engine) knownLane(source uint8, group string) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, ok := e.lanes[laneName(source, group)]
	return n, ok
}

func laneName(source uint8, group string) string { return string(rune(source)) + "\x00" + group }

// newLease draws the number of a claim.
func newLease() int64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // never happens: crypto/rand.Read does not return errors
	}
	return int64(binary.BigEndian.Uint64(b[:])>>1) | 1 // the high bit is cut
}

// tell gives the dispatcher a hint; when it is behind, the next look through the table finds the row as well.
func (e *Engine) tell(h hint) {
	select {
	case e.hints <- h:
	default:
	}
}

func (e *Engine) wakeRouter() {
	for _, c := range e.route {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// sessions gives the cache of TLS sessions of one source, host and root: a session proves no more than the handshake it came from.
func (e *Engine) sessions(key string) tls.ClientSessionCache {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.tls[key]
	if c == nil {
		if len(e.tls) > maxPlainHosts {
			clear(e.tls)
		}
		c = tls.NewLRUClientSessionCache(4)
		e.tls[key] = c
	}
	return c
}

// failsAtTLS tells whether a host's handshakes failed within the hour.
func (e *Engine) failsAtTLS(addr string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	until, ok := e.plain[addr]
	return ok && e.o.Now().Before(until)
}

func (e *Engine) noteFailsAtTLS(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.plain) > maxPlainHosts {
		clear(e.plain)
	}
	e.plain[addr] = e.o.Now().Add(plainLife)
}

// warn logs what a loop could not do; the next round tries again.
func warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		slog.Error("delivery: "+what, "error", err)
	}
}

func domainCell(m id.Message) seal.Cell {
	return seal.Cell{Table: "delivery", Column: "domain", Row: m[:]}
}

func replyCell(m id.Message) seal.Cell {
	return seal.Cell{Table: "delivery", Column: "reply", Row: m[:]}
}

// dialer gives the Dial of a source.
func (e *Engine) dialer(source uint8, routed bool) smtpclient.DialFunc {
	if e.o.Dial != nil {
		return e.o.Dial
	}
	local := ""
	if int(source) < len(e.o.Sources) {
		local = e.o.Sources[source]
	}
	return dialFrom(local, routed)
}
