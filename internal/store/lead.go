package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/carepost/carepost/internal/fault"
)

const (
	leadAsk   = time.Second     // between two looks whether the place is free
	leadProbe = 2 * time.Second // between two looks whether the session still stands
	leadWait  = 4 * time.Second // a probe that takes longer has lost the session
)

// The statements run on PostgreSQL only. The lock is of the session: it is free when the leader's connection is gone.
const (
	sqlTryLead = `select pg_try_advisory_lock($1)`
	sqlLead    = `insert into leader (organisation_id, name, fence, node, since)
		values (0, $1, 1, $2, (extract(epoch from clock_timestamp()) * 1000)::bigint)
		on conflict (organisation_id, name) do update set fence = leader.fence + 1, node = excluded.node, since = excluded.since
		returning fence`
	sqlStillLead = `select 1`
	// Held until the transaction ends: a next leader waits with its fence for the writes that still counted.
	sqlFence = `select fence from leader where organisation_id = 0 and name = ? for share`
)

// errLost ends the context of a leader that has lost its session.
var errLost = errors.New("store: the leader's session is gone; another node may lead")

// Lead runs what one node does for all. It waits until no other node leads under the name, then calls run with a number that is
// higher than every earlier leader's. The context of run ends when the session is lost; Lead then waits anew. It returns when run
// returns by itself, with its error, or when ctx ends.
//
// A leader that is paused may wake and not know yet that it leads no more: its writes call [Tx.Fence] first.
//
// On SQLite there is one process, which leads at once.
func (s *Store) Lead(ctx context.Context, name string, run func(ctx context.Context, fence int64) error) error {
	for {
		led, err := s.lead(ctx, name, true, run)
		switch {
		case ctx.Err() != nil:
			return err
		case led && !errors.Is(err, errLost):
			return err
		case err != nil:
			slog.WarnContext(ctx, "the lead could not be taken or kept; it is tried again", "name", name, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(leadAsk):
		}
	}
}

// TryLead is Lead without the waiting: it tells whether this node led. The error of a lead that was lost satisfies Lost.
func (s *Store) TryLead(ctx context.Context, name string, run func(ctx context.Context, fence int64) error) (led bool, err error) {
	return s.lead(ctx, name, false, run)
}

// lead leads once. It waits for the place, on one connection, only when it is told to.
func (s *Store) lead(ctx context.Context, name string, wait bool, run func(ctx context.Context, fence int64) error) (led bool, err error) {
	if s.engine == SQLite {
		return s.leadHere(ctx, name, run)
	}
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return false, fmt.Errorf("connect to lead: %w", s.fault(err))
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), leadWait)
		defer cancel()
		_ = conn.Close(end) // gives the lock free
	}()
	for mine := false; !mine; {
		if err := conn.QueryRow(ctx, sqlTryLead, leadKey(name)).Scan(&mine); err != nil {
			return false, fmt.Errorf("ask for the lead: %w", s.fault(err))
		}
		switch {
		case mine:
		case !wait:
			return false, nil
		default:
			select {
			case <-ctx.Done():
				return false, nil
			case <-time.After(leadAsk):
			}
		}
	}
	var fence int64
	if err := conn.QueryRow(ctx, sqlLead, name, s.self[:]).Scan(&fence); err != nil {
		return false, fmt.Errorf("take the lead: %w", s.fault(err))
	}
	leading, end := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchSession(leading, conn, end)
	}()
	err = run(leading, fence)
	if lost := context.Cause(leading); errors.Is(lost, errLost) {
		err = errors.Join(errLost, err)
	}
	end(nil)
	<-watched
	return true, err
}

// leadHere leads on SQLite, where nobody else can, but for a second call in this process.
func (s *Store) leadHere(ctx context.Context, name string, run func(ctx context.Context, fence int64) error) (bool, error) {
	s.mu.Lock()
	if s.leading == nil {
		s.leading, s.fences = map[string]bool{}, map[string]int64{}
	}
	taken := s.leading[name]
	if !taken {
		s.leading[name] = true
		s.fences[name]++
	}
	fence := s.fences[name]
	s.mu.Unlock()
	if taken {
		return false, nil
	}
	defer func() {
		s.mu.Lock()
		delete(s.leading, name)
		s.mu.Unlock()
	}()
	return true, run(ctx, fence)
}

// Lost tells whether a lead ended because its session was lost.
func Lost(err error) bool { return errors.Is(err, errLost) }

// watchSession ends the leader's context when its session does not answer.
func watchSession(ctx context.Context, conn *pgx.Conn, end context.CancelCauseFunc) {
	tick := time.NewTicker(leadProbe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		probe, cancel := context.WithTimeout(ctx, leadWait)
		_, err := conn.Exec(probe, sqlStillLead)
		cancel()
		if err != nil && ctx.Err() == nil {
			end(errLost)
			return
		}
	}
}

// Fence refuses the transaction of a leader that leads no more. Until the transaction ends no other node can begin to lead.
func (tx *Tx) Fence(ctx context.Context, name string, fence int64) error {
	if tx.store.engine == SQLite {
		tx.store.mu.Lock()
		now := tx.store.fences[name]
		tx.store.mu.Unlock()
		if now != fence {
			return errFenced
		}
		return nil
	}
	var now int64
	if err := tx.QueryRow(ctx, sqlFence, name).Scan(&now); err != nil {
		return fmt.Errorf("ask who leads: %w", err)
	}
	if now != fence {
		return errFenced
	}
	return nil
}

var errFenced = fault.New(fault.Conflict, "another node leads by now")

// leadKey is the number of the advisory lock of a name. Locks are per database; the schema's has a number of its own.
func leadKey(name string) int64 {
	sum := sha256.Sum256([]byte("carepost lead\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
