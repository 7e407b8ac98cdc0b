package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Fork says that the database is not the one over which the newest checkpoints were signed: it was restored from a backup.
type Fork struct {
	Trees []ForkedTree
}

// ForkedTree is one tree that is behind, or of another history.
type ForkedTree struct {
	Organisation id.Organisation
	Have         int64 // entries in the database
	Lost               // what was signed and is not there
	Diverged     bool  // there are as many entries, and they are others: what is lost may begin anywhere
}

// CheckFork compares the database with the mark of what was signed, and asks whether NoteRestore was called. While it says true, no lane may run and nothing is appended,
// until Reopen.
func (l *Ledger) CheckFork(ctx context.Context) (Fork, bool, error) {
	var fork Fork
	err := l.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		var err error
		fork, err = l.compareMark(ctx, tx)
		return err
	})
	if err != nil {
		return Fork{}, false, fmt.Errorf("compare the database with the ledger's mark: %w", err)
	}
	return fork, len(fork.Trees) > 0 || l.mark.restored(), nil
}

func (l *Ledger) compareMark(ctx context.Context, tx *store.Tx) (fork Fork, err error) {
	all := l.mark.list()
	for _, org := range slices.Sorted(maps.Keys(all)) {
		m := all[org]
		h, _, err := readHead(ctx, tx, org, selectHead)
		if err != nil {
			return fork, err
		}
		switch {
		case h.epoch > m.epoch: // reopened since, by another node
		case h.epoch < m.epoch || h.size < m.size:
			lost := Lost{From: h.size, To: max(m.size, h.size)}
			fork.Trees = append(fork.Trees, ForkedTree{Organisation: org, Have: h.size, Lost: lost})
		default:
			root, err := tlog.TreeHash(m.size, storedHashes(ctx, tx, org))
			if err != nil && !errors.Is(err, errNoTile) {
				return fork, err
			}
			if err != nil || root != m.root {
				lost := Lost{From: 0, To: m.size}
				fork.Trees = append(fork.Trees, ForkedTree{Organisation: org, Have: h.size, Lost: lost, Diverged: true})
			}
		}
	}
	return fork, nil
}

var errNoTile = errors.New("ledger: a tile is missing")

// storedHashes reads hashes from the tiles in the database. They prove nothing by themselves: a root made of them is compared
// with a signed one.
func storedHashes(ctx context.Context, tx *store.Tx, org id.Organisation) tlog.HashReader {
	type key struct {
		level int
		place int64
	}
	known := map[key][]byte{}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		all := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			t := tlog.TileForIndex(tileHeight, index)
			k := key{t.L, t.N}
			if known[k] == nil {
				var hashes []byte
				err := tx.QueryRow(ctx, selectTile, org, t.L, t.N).Scan(&hashes)
				if errors.Is(err, sql.ErrNoRows) {
					return nil, errNoTile
				}
				if err != nil {
					return nil, fmt.Errorf("read a tile of the ledger: %w", err)
				}
				known[k] = hashes
			}
			t.W = len(known[k]) / tlog.HashSize
			h, err := tlog.HashFromTile(t, known[k], index)
			if err != nil {
				return nil, errNoTile
			}
			all[i] = h
		}
		return all, nil
	})
}

// Reopen goes on after a restore: in one transaction every tree begins a new epoch, under a new origin, with an entry that names
// the range of entries that was signed and lost. It gives what was lost.
func (l *Ledger) Reopen(ctx context.Context, actor id.Actor) (Fork, error) {
	var fork Fork
	scope := id.Scope{Organisation: id.Installation, Actor: actor}
	err := l.st.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		if tx.Engine() == store.PostgreSQL {
			if _, err := tx.Exec(ctx, waitSequencer); err != nil {
				return err
			}
		}
		var err error
		if fork, err = l.compareMark(ctx, tx); err != nil {
			return err
		}
		if len(fork.Trees) == 0 && !l.mark.restored() {
			return fault.New(fault.Conflict, "the ledger is not behind what was signed").Hint("there is nothing to reopen")
		}
		lost := map[id.Organisation]Lost{}
		for _, t := range fork.Trees {
			lost[t.Organisation] = t.Lost
		}
		orgs, err := organisations(ctx, tx, selectHeads)
		if err != nil {
			return err
		}
		marks := l.mark.list()
		for org := range marks {
			if !slices.Contains(orgs, org) {
				orgs = append(orgs, org)
			}
		}
		slices.Sort(orgs)
		for _, org := range orgs {
			if err := l.reopenTree(ctx, tx, org, lost[org], marks[org].epoch); err != nil {
				return fmt.Errorf("reopen the ledger of %s: %w", org, err)
			}
		}
		tx.OnCommit(func() { l.forked.Store(false) })
		return nil
	})
	if err != nil {
		return Fork{}, err
	}
	return fork, errors.Join(l.SaveMark(), l.mark.admitted())
}

// reopenTree writes the entry that admits the loss. All trees take one, those that lost nothing too: which of them signed more in
// the second before the mark was last written, nobody knows.
func (l *Ledger) reopenTree(ctx context.Context, tx *store.Tx, org id.Organisation, lost Lost, markEpoch int64) error {
	h, found, err := readHead(ctx, tx, org, selectHead)
	if err != nil {
		return err
	}
	g, err := l.beginAt(ctx, tx, h, found)
	if err != nil {
		return err
	}
	if lost == (Lost{}) {
		lost = Lost{From: h.size, To: h.size}
	}
	g.head.epoch = max(h.epoch, markEpoch) + 1
	leaf := Leaf{Time: tx.Now, Organisation: org, Actor: tx.Scope.Actor, Act: ActRestore, Object: lost.object()}.Bytes()
	if _, err := tx.Exec(ctx, insertEntryAt, org, h.size, leaf, nil); err != nil {
		return fmt.Errorf("write the entry about the restore: %w", err)
	}
	g.add(leaf)
	return g.finish(ctx, tx, true)
}
