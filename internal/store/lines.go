package store

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// lines are the open connections to PostgreSQL. A statement that waits for the answer of a server which cannot be reached any more
// ends by no deadline of its own, since the outcome of a commit must be heard; cutting the line ends it.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
}

type line struct {
	net.Conn
	of *lines
}

// dialer keeps what dial opens.
func (l *lines) dialer(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		kept := &line{Conn: c, of: l}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[*line]struct{}{}
		}
		l.open[kept] = struct{}{}
		return kept, nil
	}
}

// Close ends the connection.
func (c *line) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// cut ends what waits on all connections.
func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.Conn.Close() // its user learns it by its own error
	}
	clear(l.open)
}

// serverClock tells PostgreSQL's time by this process' monotonic clock: a jump of this machine's wall clock moves no lease.
type serverClock struct {
	mu     sync.Mutex
	server time.Time
	local  time.Time // read by its monotonic part only
}

// set takes a reading that lies between two moments of ours. One that differs by less than it is uncertain changes nothing.
func (c *serverClock) set(asked, server, answered time.Time) {
	half := answered.Sub(asked) / 2
	c.mu.Lock()
	defer c.mu.Unlock()
	at := asked.Add(half)
	if !c.local.IsZero() {
		off := server.Sub(c.server.Add(at.Sub(c.local)))
		if off.Abs() <= half+time.Millisecond {
			return
		}
	}
	c.server, c.local = server, at
}

func (c *serverClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.local.IsZero() {
		return time.Now() // nothing was asked yet
	}
	return c.server.Add(time.Since(c.local))
}
