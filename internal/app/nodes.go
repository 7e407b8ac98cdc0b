package app

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/store"
)

const (
	passEvery   = 5 * time.Second
	resumeEvery = 5 * time.Second
	resumeAfter = 20 * time.Second // an import that nobody moved for so long: its node may be gone
	whatChanges = "changes"        // the position of a node's audience index among the changes
)

// join makes this process a node while run runs.
func (a *App) join(ctx context.Context, run func(ctx context.Context) error) (err error) {
	n, err := a.parts.Store.Join(ctx)
	if err != nil {
		return err
	}
	a.node.Store(n)
	defer func() {
		if lerr := n.Leave(context.WithoutCancel(ctx)); lerr != nil {
			slog.WarnContext(ctx, "the node could not leave in order; the others notice within seconds", "error", lerr)
		}
	}()
	return run(ctx)
}

// owns tells whether this node works a lane: each lane has one node, so that pace, connections and back-off are in one hand. A node that
// is not live owns none, since the others share its lanes by then.
func (a *App) owns(lane int64) bool {
	n := a.node.Load()
	if n == nil || a.parts.Store.Engine() == store.SQLite {
		return true
	}
	return winner(n.Peers(), lane) == n.ID()
}

// winner settles who owns a lane, on every node alike without a word between them (rendezvous hashing: when a node comes or goes, only
// its own lanes move).
func winner(nodes []store.NodeInfo, lane int64) (best id.UUID) {
	var most uint64
	for _, n := range nodes {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(n.ID[:len(n.ID):len(n.ID)], uint64(lane)))
		if weight := binary.BigEndian.Uint64(sum[:8]); best.IsZero() || weight > most {
			best, most = n.ID, weight
		}
	}
	return best
}

// chores are what one node does for all, besides the keys.
func (a *App) chores(ctx context.Context) error {
	return a.parts.Store.Lead(ctx, "chores", func(ctx context.Context, fence int64) error {
		var all sync.WaitGroup
		for _, chore := range []func(context.Context) error{
			a.every(time.Hour, a.parts.Ways.Prune),
			a.every(time.Hour, func(ctx context.Context) error { return a.pruneChanges(ctx, fence) }),
			a.every(24*time.Hour, a.forgetSigningKeys),
		} {
			all.Go(func() { _ = chore(ctx) }) // it logs its errors and goes on
		}
		all.Wait()
		return nil
	})
}

// forgetSigningKeys destroys the private side of DKIM keys that were retired long enough ago.
func (a *App) forgetSigningKeys(ctx context.Context) error {
	for _, org := range a.organisations(ctx) {
		err := a.parts.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			domains, err := a.parts.Organisations.Domains(ctx, tx)
			if err != nil {
				return err
			}
			for _, d := range domains {
				if _, err := a.parts.Organisations.DestroyKeys(ctx, tx, d.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pass tells the other nodes how far this one's audience index has come.
func (a *App) pass(ctx context.Context) error {
	n := a.node.Load()
	if n == nil {
		return nil
	}
	for _, org := range a.organisations(ctx) {
		at := a.audience.Passed(org)
		if at == 0 {
			continue // there is no index: it will begin with everything
		}
		if err := n.Pass(ctx, org, whatChanges, at); err != nil {
			return err
		}
	}
	return nil
}

// pruneChanges drops the changes that every live node's audience index has taken in. A node that comes back later finds the gap and
// builds its index anew.
func (a *App) pruneChanges(ctx context.Context, fence int64) error {
	for _, org := range a.organisations(ctx) {
		passed, _, err := a.parts.Store.Slowest(ctx, org, whatChanges)
		if err != nil {
			return err
		}
		if passed == 0 {
			continue
		}
		err = a.parts.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			if err := tx.Fence(ctx, "chores", fence); err != nil {
				return err
			}
			return a.parts.Ledger.PruneChanges(ctx, tx, passed)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resumeImports goes on with imports that a stop, a crash or the loss of a node cut short. An import that a node works on has a leader.
func (a *App) resumeImports(ctx context.Context) error {
	var at sync.WaitGroup
	defer at.Wait()
	var mu sync.Mutex
	busy := map[id.Import]bool{}
	return a.every(resumeEvery, func(ctx context.Context) error {
		for _, org := range a.organisations(ctx) {
			all, err := a.unfinished(ctx, org)
			if err != nil {
				return err
			}
			for _, imp := range all {
				mu.Lock()
				taken := busy[imp]
				busy[imp] = true
				mu.Unlock()
				if taken {
					continue
				}
				at.Go(func() {
					a.resume(ctx, org, imp)
					mu.Lock()
					defer mu.Unlock()
					delete(busy, imp)
				})
			}
		}
		return nil
	})(ctx)
}

func (a *App) resume(ctx context.Context, org id.Organisation, imp id.Import) {
	_, err := a.parts.Intake.Resume(ctx, id.System(org), imp, nil)
	if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Conflict) { // a conflict: somebody works on it
		slog.ErrorContext(ctx, "an import could not be resumed", "import", imp, "error", err)
	}
}

// unfinished lists the imports to go on with: those that nobody moved for a while and whose files are here, as far as they are needed.
func (a *App) unfinished(ctx context.Context, org id.Organisation) (list []id.Import, err error) {
	err = a.parts.Store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		all, err := a.parts.Intake.Unfinished(ctx, tx)
		if err != nil {
			return err
		}
		list = nil
		for _, imp := range all {
			i, err := a.parts.Intake.Get(ctx, tx, imp)
			if err != nil {
				return err
			}
			quiet := a.parts.Store.Engine() == store.SQLite || tx.Now.Sub(i.Changed) > resumeAfter
			if quiet && filesAreHere(i) {
				list = append(list, imp)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the unfinished imports of %s: %w", org, err)
	}
	return list, nil
}

// filesAreHere: an import names files of the machine that it was begun on; another node may have the same folder, or not.
func filesAreHere(i intake.Import) bool {
	if i.State != intake.StateReading {
		return true // what was read is in the database
	}
	for _, f := range i.Files {
		if _, err := os.Stat(f.Path); errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	return true
}
