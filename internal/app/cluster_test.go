package app_test

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app/apptest"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/world"
)

// TestThreeNodes has three processes on one database work off what is handed in to each of them, while one is killed with -9, one is
// paused until others have taken over what it held and then wakes, and one loses its way to the database and finds it again. In the end
// every message has gone out as is allowed, the ledger verifies against what each node said of it on the way, and the audience indexes
// are equal, bit for bit.
func TestThreeNodes(t *testing.T) {
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("CAREPOST_SOAK")); err == nil && n > 0 {
		rounds = n
	}
	dsn := caretest.DSN(t)
	c := newNodes(t, dsn)
	wire, byWire := apptest.NewWire(t, dsn)
	c.add(t, dsn)
	c.add(t, byWire)
	c.s.prepare(t, c.nodes[0].API)
	c.fingerprints(t)
	for range rounds {
		before := c.s.count()
		stop := c.load(t)
		c.s.blow(t, before)
		killed, paused := c.nodes[0], c.nodes[1]
		killed.Kill()
		paused.Pause(t)
		c.untilLive(t, 1)
		c.untilTakenOver(t, 1)
		paused.Continue(t)
		c.untilLive(t, 2)
		c.note(t, paused)
		wire.Cut()
		c.untilLive(t, 1)
		c.untilTakenOver(t, 1)
		wire.Mend()
		c.untilLive(t, 2)
		c.note(t, c.nodes[2])
		c.nodes[0] = c.places[0].Spawn(t, c.log)
		c.untilLive(t, 3)
		c.note(t, c.nodes[0])
		stop()
	}
	c.end(t)
}

// TestTheDatabaseRestarts stops the database server of two nodes at once, as a crash would, while they work, and starts it again.
func TestTheDatabaseRestarts(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CAREPOST_SOAK")); err == nil && n > 0 {
		rounds = n
	}
	server := caretest.PostgreSQL(t)
	c := newNodes(t, server.DSN)
	c.add(t, server.DSN)
	c.s.prepare(t, c.nodes[0].API)
	c.fingerprints(t)
	for range rounds {
		before := c.s.count()
		stop := c.load(t)
		c.s.blow(t, before)
		server.Stop(t)
		server.Start(t)
		for _, n := range c.nodes {
			n.Until(t, time.Minute, "the node works again", func() bool { return n.Try(t.Context(), "GET", "/messages?limit=1", nil, nil) == nil })
			c.note(t, n)
		}
		c.s.blow(t, c.s.count())
		stop()
	}
	c.untilLive(t, 2)
	c.end(t)
}

// nodes are processes on one database.
type nodes struct {
	s           *storm
	log         *logged
	places      []*apptest.Place
	nodes       []*apptest.Process
	database    *store.Store // the test's own look at the database
	checkpoints []string
}

func newNodes(t *testing.T, dsn string) *nodes {
	t.Helper()
	c := &nodes{log: &logged{}, database: caretest.OpenWith(t, store.Options{DSN: dsn, Life: apptest.Life})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log:\n%s", c.log.tail())
		}
	})
	first := apptest.New(t, dsn, map[string]world.Temper{
		"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}, "expired.example": {Expired: true}, "busy.example": {BusyOnce: true},
	})
	c.s = &storm{place: first, pause: 200 * time.Millisecond}
	c.places, c.nodes = append(c.places, first), append(c.nodes, first.Spawn(t, c.log))
	return c
}

// add starts one more node, which reaches the database by the DSN given.
func (c *nodes) add(t *testing.T, dsn string) {
	t.Helper()
	p := c.places[0].Beside(t, dsn)
	c.places, c.nodes = append(c.places, p), append(c.nodes, p.Spawn(t, c.log))
}

// load hands in sends to every node until it is stopped.
func (c *nodes) load(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, n := range c.nodes {
		load.Go(func() { c.s.handIn(ctx, n.API) })
	}
	return func() {
		cancel()
		load.Wait()
	}
}

func (c *nodes) count(t *testing.T, statement string, args ...any) (n int) {
	t.Helper()
	err := c.database.Read(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, statement, args...).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// untilLive waits until so many nodes see each other.
func (c *nodes) untilLive(t *testing.T, n int) {
	t.Helper()
	c.nodes[0].Until(t, 90*time.Second, strconv.Itoa(n)+" nodes live", func() bool {
		live, err := c.database.Live(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(live) == n
	})
}

// untilTakenOver waits until no row is held by a node other than the n that live.
func (c *nodes) untilTakenOver(t *testing.T, n int) {
	t.Helper()
	c.nodes[0].Until(t, 90*time.Second, "what silent nodes held is taken over", func() bool {
		now := store.Millis(c.database.Now())
		return c.count(t, `select count(*) from delivery_holder where until_at >= ?`, now) <= n &&
			c.count(t, `select count(*) from delivery where state = 2 and holder not in (select holder from delivery_holder where until_at >= ?)`, now) == 0
	})
}

// note keeps what a node says of the ledger, to hold the end against it.
func (c *nodes) note(t *testing.T, n *apptest.Process) {
	t.Helper()
	n.Until(t, time.Minute, "the node answers", func() bool { return n.Try(t.Context(), "GET", "/ledger", nil, nil) == nil })
	c.checkpoints = append(c.checkpoints, checkpoint(t, n.API))
}

// fingerprints compares the audience indexes of all nodes.
func (c *nodes) fingerprints(t *testing.T) {
	t.Helper()
	first := c.nodes[0].Fingerprint(t)
	for i, n := range c.nodes[1:] {
		if print := n.Fingerprint(t); print != first {
			t.Errorf("the audience index of node %d has the fingerprint %s, that of the first %s", i+1, print, first)
		}
	}
}

// end asks of every message what became of it, and of every node what it says.
func (c *nodes) end(t *testing.T) {
	t.Helper()
	api := c.nodes[0].API
	c.s.settle(t, api)
	c.s.accountFor(t, api)
	for _, n := range c.nodes {
		c.note(t, n)
	}
	c.s.verifyLedger(t, api, c.checkpoints)
	c.fingerprints(t)
	for _, n := range c.nodes {
		n.Stop(t)
	}
	c.s.noNamesIn(t, c.log)
}
