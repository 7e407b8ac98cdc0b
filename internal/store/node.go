package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// A node is one process on the database. Nodes are equal: what one of them must do alone is settled by Lead, what is theirs to share
// by asking who is Live.
const (
	nodeLife = 15 * time.Second // without a beat for so long a node is not live
	beats    = 3                // in that time
	leaveIn  = 3 * time.Second
	nodeKept = time.Hour // the row of a node that fell silent
)

// The statements run on PostgreSQL only, by its clock.
const (
	sqlBeat = `insert into node (organisation_id, id, started_at, seen_at)
		select 0, $1, c.now, c.now from (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now) as c
		on conflict (organisation_id, id) do update set seen_at = excluded.seen_at returning seen_at`
	sqlLive = `select id, started_at, seen_at from node
		where organisation_id = 0 and seen_at > (extract(epoch from clock_timestamp()) * 1000)::bigint - $1 order by id`
	sqlLeave          = `delete from node where organisation_id = 0 and id = $1`
	sqlLeavePositions = `delete from node_position where node = $1`
	// A node that stopped beating may be paused in the middle of a transaction, with locks that all others wait for. Its sessions are
	// ended: what it has not committed is undone, what it leads is free. Should it wake, it connects anew and finds its leases lost.
	sqlEndDead = `select count(pg_terminate_backend(a.pid)) from pg_stat_activity as a join node as n
		on a.application_name = 'carepost ' || encode(n.id, 'hex')
		where n.organisation_id = 0 and a.datname = current_database() and n.id <> $1
			and n.seen_at <= (extract(epoch from clock_timestamp()) * 1000)::bigint - $2`
	sqlForgetPositions = `delete from node_position where node in (select id from node
		where organisation_id = 0 and seen_at <= (extract(epoch from clock_timestamp()) * 1000)::bigint - $1)`
	sqlForgetNodes = `delete from node
		where organisation_id = 0 and seen_at <= (extract(epoch from clock_timestamp()) * 1000)::bigint - $1`
	sqlPass = `insert into node_position (organisation_id, node, what, position) values ($1, $2, $3, $4)
		on conflict (organisation_id, what, node) do update set position = excluded.position`
	sqlSlowest = `select count(*), count(p.position), coalesce(min(p.position), 0) from node as n
		left join node_position as p on p.organisation_id = $1 and p.what = $2 and p.node = n.id
		where n.organisation_id = 0 and n.seen_at > (extract(epoch from clock_timestamp()) * 1000)::bigint - $3`
)

// NodeInfo says who lives.
type NodeInfo struct {
	ID      id.UUID
	Started time.Time
	Seen    time.Time
	Self    bool
}

// Node is this process among those on the database. Leave ends it.
type Node struct {
	store *Store
	stop  context.CancelFunc
	ended chan struct{}

	mu        sync.Mutex
	started   time.Time
	beat      time.Time // of this process' clock: when the last beat that succeeded began
	live      []NodeInfo
	positions map[position]int64 // SQLite
}

type position struct {
	org  id.Organisation
	what string
}

// Join makes this process a node: others see it until Leave, or until it has been silent for fifteen seconds. A process joins once.
func (s *Store) Join(ctx context.Context) (*Node, error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	n := &Node{store: s, stop: stop, ended: make(chan struct{}), positions: map[position]int64{}}
	s.mu.Lock()
	taken := s.node != nil
	if !taken {
		s.node = n
	}
	s.mu.Unlock()
	if taken {
		stop()
		return nil, fault.New(fault.Internal, "this process is a node already")
	}
	if s.engine == SQLite {
		n.started = s.now()
		close(n.ended)
		return n, nil
	}
	n.started = s.Now()
	if err := n.refresh(ctx); err != nil {
		stop()
		s.mu.Lock()
		s.node = nil
		s.mu.Unlock()
		return nil, fmt.Errorf("join the nodes: %w", err)
	}
	go n.run(run)
	return n, nil
}

// ID names the node in the tables.
func (n *Node) ID() id.UUID { return n.store.self }

// Live tells whether this node counts as live: it has beaten within fifteen seconds. One that does not must begin nothing that
// another node may have taken over.
func (n *Node) Live() bool {
	if n.store.engine == SQLite {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.beat) < n.store.life
}

// Peers gives the live nodes as of the last beat, this one among them, ordered by id; none when this node is not live. It asks
// nobody.
func (n *Node) Peers() []NodeInfo {
	if n.store.engine == SQLite {
		return []NodeInfo{n.alone()}
	}
	if !n.Live() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.live)
}

func (n *Node) alone() NodeInfo {
	return NodeInfo{ID: n.store.self, Started: n.started, Seen: n.store.now(), Self: true}
}

// Leave ends the node in order: the others take over at once.
func (n *Node) Leave(ctx context.Context) error {
	n.stop()
	<-n.ended
	s := n.store
	s.mu.Lock()
	gone := s.node != n
	s.node = nil
	s.mu.Unlock()
	if gone || s.engine == SQLite {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaveIn)
	defer cancel()
	for _, statement := range []string{sqlLeavePositions, sqlLeave} {
		if _, err := s.pool.Exec(ctx, statement, s.self[:]); err != nil {
			return fmt.Errorf("leave the nodes: %w", s.fault(err))
		}
	}
	return nil
}

// Pass notes how far this node has come in something that all nodes must take in: its position only ever grows.
func (n *Node) Pass(ctx context.Context, org id.Organisation, what string, at int64) error {
	if n.store.engine == SQLite {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.positions[position{org, what}] = at
		return nil
	}
	if _, err := n.store.pool.Exec(ctx, sqlPass, int64(org), n.store.self[:], what, at); err != nil {
		return fmt.Errorf("note how far this node has come: %w", n.store.fault(err))
	}
	return nil
}

// Slowest gives the least position among the live nodes, and whether each of them has noted one.
func (s *Store) Slowest(ctx context.Context, org id.Organisation, what string) (at int64, all bool, err error) {
	if s.engine == SQLite {
		s.mu.Lock()
		n := s.node
		s.mu.Unlock()
		if n == nil {
			return 0, false, nil
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		at, all = n.positions[position{org, what}]
		return at, all, nil
	}
	var live, noted int64
	if err := s.pool.QueryRow(ctx, sqlSlowest, int64(org), what, s.life.Milliseconds()).Scan(&live, &noted, &at); err != nil {
		return 0, false, fmt.Errorf("ask how far the nodes have come: %w", s.fault(err))
	}
	return at, live > 0 && live == noted, nil
}

// Live gives the nodes that were seen within fifteen seconds, ordered by id. On SQLite it is this process, once it has joined.
func (s *Store) Live(ctx context.Context) ([]NodeInfo, error) {
	if s.engine == SQLite {
		s.mu.Lock()
		n := s.node
		s.mu.Unlock()
		if n == nil {
			return nil, nil
		}
		return []NodeInfo{n.alone()}, nil
	}
	return s.liveBy(ctx, s.pool)
}

func (s *Store) liveBy(ctx context.Context, pool *pgxpool.Pool) ([]NodeInfo, error) {
	rows, err := pool.Query(ctx, sqlLive, s.life.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("ask which nodes are live: %w", s.fault(err))
	}
	defer rows.Close()
	var all []NodeInfo
	for rows.Next() {
		var raw []byte
		var started, seen int64
		if err := rows.Scan(&raw, &started, &seen); err != nil {
			return nil, fmt.Errorf("ask which nodes are live: %w", s.fault(err))
		}
		var i NodeInfo
		if err := i.ID.Scan(raw); err != nil {
			return nil, err
		}
		i.Started, i.Seen, i.Self = Time(started), Time(seen), i.ID == s.self
		all = append(all, i)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ask which nodes are live: %w", s.fault(err))
	}
	return all, nil
}

// run beats until the node leaves. A node that cannot beat for as long as the others believe it alive cuts its own connections: a
// statement that waits for an answer which will not come must not wait for ever, and what it held is another's by now.
func (n *Node) run(ctx context.Context) {
	defer close(n.ended)
	tick := time.NewTicker(n.store.life / beats)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		was := n.Live()
		err := n.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && !was:
			slog.WarnContext(ctx, "this node was not live for a while; what it had leased may have been taken over")
		case err != nil:
			slog.WarnContext(ctx, "this node could not say that it lives", "error", err)
			if !n.Live() {
				n.store.lines.cut()
			}
		}
	}
}

// refresh beats once, looks who else lives, and ends the sessions of those that do not.
func (n *Node) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.store.life/beats)
	defer cancel()
	s := n.store
	began := time.Now()
	var seen int64
	err := s.beats.QueryRow(ctx, sqlBeat, s.self[:]).Scan(&seen)
	if err != nil && ctx.Err() == nil {
		s.beats.Reset() // the connection may have died unnoticed, as in beginPostgreSQL
		began = time.Now()
		err = s.beats.QueryRow(ctx, sqlBeat, s.self[:]).Scan(&seen)
	}
	if err != nil {
		return s.fault(err)
	}
	s.clock.set(began, time.UnixMilli(seen), time.Now())
	live, err := s.liveBy(ctx, s.beats)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.beat, n.live = began, live
	n.mu.Unlock()
	var ended int64
	err = s.beats.QueryRow(ctx, sqlEndDead, s.self[:], s.life.Milliseconds()).Scan(&ended)
	if err == nil && ended > 0 {
		slog.WarnContext(ctx, "sessions of a node that fell silent were ended", "sessions", ended)
	}
	if err != nil {
		return fmt.Errorf("end the sessions of silent nodes: %w", s.fault(err))
	}
	for statement, age := range map[string]time.Duration{sqlForgetPositions: s.life, sqlForgetNodes: nodeKept} {
		if _, err := s.beats.Exec(ctx, statement, age.Milliseconds()); err != nil {
			return fmt.Errorf("forget silent nodes: %w", s.fault(err))
		}
	}
	return nil
}
