package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// head is a row of ledger_head.
type head struct {
	org        id.Organisation
	epoch      int64
	size       int64
	root       []byte
	frontier   []byte
	signedSize int64
	signedAt   int64
	signed     []byte
}

const keepEvery = time.Minute // between two checkpoints that are put by

// newHead is the head of a tree that nothing was written to.
func newHead(org id.Organisation) head {
	return head{org: org, epoch: 1, root: emptyRoot[:], frontier: []byte{}, signed: []byte{}}
}

// readHead gives the head of a tree and whether it has a row.
func readHead(ctx context.Context, tx *store.Tx, org id.Organisation, query string) (h head, found bool, err error) {
	h.org = org
	err = tx.QueryRow(ctx, query, org).Scan(&h.epoch, &h.size, &h.root, &h.frontier, &h.signedSize, &h.signedAt, &h.signed)
	if errors.Is(err, sql.ErrNoRows) {
		return newHead(org), false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("read the head of the ledger: %w", err)
	}
	return h, true, nil
}

// growth is one step of one tree: from the head that is stored to the one that will be.
type growth struct {
	l     *Ledger
	old   head
	found bool
	head  head
	tree  *tree
	kept  int64
}

// begin reads a tree's head and edge for a step.
func (l *Ledger) begin(ctx context.Context, tx *store.Tx, org id.Organisation) (*growth, error) {
	query := selectHead
	if tx.Engine() == store.PostgreSQL {
		query = lockHead
	}
	h, found, err := readHead(ctx, tx, org, query)
	if err != nil {
		return nil, err
	}
	if l.mark.of(h.org).ahead(h) {
		l.forked.Store(true) // restored under a running process
		return nil, errForked()
	}
	return l.beginAt(ctx, tx, h, found)
}

func (l *Ledger) beginAt(ctx context.Context, tx *store.Tx, h head, found bool) (*growth, error) {
	g := &growth{l: l, old: h, head: h, found: found}
	if e := l.edge(h.org); e != nil && e.tree.size == h.size && bytes.Equal(e.root[:], h.root) {
		g.tree, g.kept = e.tree.clone(), e.kept
		return g, nil
	}
	t, err := l.loadTree(ctx, tx, h)
	if err != nil {
		return nil, err
	}
	g.tree = t
	return g, nil
}

// loadTree reads a tree's edge and believes it only when it hashes to the root that this ledger signed.
func (l *Ledger) loadTree(ctx context.Context, tx *store.Tx, h head) (*tree, error) {
	changed := fault.Wrap(fault.Internal, errTampered, "the ledger's tables do not fit its signed head: they were changed by another hand").
		At("%s", h.org).Hint("export and verify it, and compare with the last backup")
	var edge [][]byte
	for level := 0; level*tileHeight < maxLevels && h.size>>(level*tileHeight) > 0; level++ {
		var hashes []byte
		if h.size>>(level*tileHeight)&(tileWidth-1) != 0 {
			err := tx.QueryRow(ctx, selectTile, h.org, level, h.size>>((level+1)*tileHeight)).Scan(&hashes)
			if errors.Is(err, sql.ErrNoRows) {
				return nil, changed
			}
			if err != nil {
				return nil, fmt.Errorf("read a tile of the ledger: %w", err)
			}
		}
		edge = append(edge, hashes)
	}
	t, err := resume(h.size, h.frontier, edge)
	if err != nil {
		return nil, changed
	}
	if root := t.root(); !bytes.Equal(root[:], h.root) {
		return nil, changed
	}
	if len(h.signed) == 0 {
		return t, nil // PostgreSQL, within the first second of a tree
	}
	c, org, epoch, err := openCheckpoint(h.signed, l.signer.public())
	if errors.Is(err, errOtherKey) {
		return nil, fault.New(fault.Conflict, "the ledger was signed by another key").At("%s", h.org).Hint("put back the key file that belongs to this database")
	}
	if err != nil || org != h.org || epoch != h.epoch || c.size != h.signedSize || (c.size == h.size && !bytes.Equal(c.root[:], h.root)) {
		return nil, changed
	}
	return t, nil
}

// add takes leaves into the tree; their rows are written already.
func (g *growth) add(leaf []byte) {
	g.tree.add(tlog.RecordHash(leaf))
}

// finish writes what changed: tiles, head and, when sign is set, the checkpoint.
func (g *growth) finish(ctx context.Context, tx *store.Tx, sign bool) error {
	root := g.tree.root()
	g.head.size, g.head.root, g.head.frontier = g.tree.size, root[:], g.tree.packFrontier()
	if err := g.writeTiles(ctx, tx); err != nil {
		return err
	}
	if sign {
		if err := g.sign(ctx, tx, root); err != nil {
			return err
		}
	}
	if err := g.writeHead(ctx, tx); err != nil {
		return err
	}
	kept := &edge{tree: g.tree, root: root, kept: g.kept}
	signed := g.head
	tx.OnCommit(func() {
		g.l.keepEdge(signed.org, kept)
		if sign {
			g.l.mark.note(signed)
		}
	})
	return nil
}

func (g *growth) sign(ctx context.Context, tx *store.Tx, root tlog.Hash) error {
	h := &g.head
	origin := treeOrigin(g.l.signer.origin, h.org, h.epoch)
	signed, err := g.l.signer.sign(checkpoint{origin: origin, size: h.size, root: root})
	if err != nil {
		return fmt.Errorf("sign the ledger: %w", err)
	}
	h.signed, h.signedSize, h.signedAt = signed, h.size, store.Millis(tx.Now)
	if h.signedAt-g.kept < keepEvery.Milliseconds() && g.kept <= h.signedAt {
		return nil
	}
	g.kept = h.signedAt
	if _, err := tx.Exec(ctx, insertCheckpoint, h.org, h.epoch, h.size, h.signedAt, h.signed); err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	return nil
}

func (g *growth) writeTiles(ctx context.Context, tx *store.Tx) error {
	for _, t := range g.tree.takeFull() {
		if err := g.writeTile(ctx, tx, t); err != nil {
			return err
		}
	}
	for level := range g.tree.edge {
		shift := level * tileHeight
		if hashes := g.tree.partial(level); hashes != nil && g.old.size>>shift != g.head.size>>shift {
			if err := g.writeTile(ctx, tx, tile{level: level, place: g.head.size >> (shift + tileHeight), hashes: hashes}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *growth) writeTile(ctx context.Context, tx *store.Tx, t tile) error {
	if _, err := tx.Exec(ctx, upsertTile, g.head.org, t.level, t.place, t.hashes); err != nil {
		return fmt.Errorf("write a tile of the ledger: %w", err)
	}
	return nil
}

// writeHead replaces the head that the step began with, and no other.
func (g *growth) writeHead(ctx context.Context, tx *store.Tx) error {
	h := g.head
	if !g.found {
		_, err := tx.Exec(ctx, insertHead, h.org, h.epoch, h.size, h.root, h.frontier, h.signedSize, h.signedAt, h.signed)
		if err != nil {
			return fmt.Errorf("write the head of the ledger: %w", err)
		}
		return nil
	}
	n, err := tx.Exec(ctx, updateHead, h.epoch, h.size, h.root, h.frontier, h.signedSize, h.signedAt, h.signed, h.org, g.old.size, g.old.epoch)
	if err != nil {
		return fmt.Errorf("write the head of the ledger: %w", err)
	}
	if n != 1 {
		return fault.New(fault.Conflict, "the head of the ledger moved under the sequencer").At("%s", h.org)
	}
	return nil
}

// growByGroup takes what a group's closures appended into the tree (SQLite). A closure that was rolled back left no row.
func (l *Ledger) growByGroup(ctx context.Context, tx *store.Tx, org id.Organisation) error {
	g, err := l.begin(ctx, tx, org)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, selectNew, org, g.head.size)
	if err != nil {
		return fmt.Errorf("read new entries: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var seq int64
	var leaf sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&seq, &leaf); err != nil {
			return fmt.Errorf("read new entries: %w", err)
		}
		if seq != g.tree.size {
			return fault.Wrap(fault.Internal, errTampered, "entry %d of the ledger got the number %d", g.tree.size, seq).At("%s", org)
		}
		g.add(leaf)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read new entries: %w", err)
	}
	if g.tree.size == g.head.size {
		return nil
	}
	return g.finish(ctx, tx, true)
}

// takePending moves up to limit waiting entries into the tree (PostgreSQL) and tells how many it moved.
func (g *growth) takePending(ctx context.Context, tx *store.Tx, limit int) (int, error) {
	leaves, err := movePendings(ctx, tx, g.head.org, limit, g.tree.size)
	if err != nil {
		return 0, err
	}
	for _, x := range leaves {
		if x.seq != g.tree.size {
			return 0, fault.Wrap(fault.Internal, errTampered, "entry %d of the ledger got the number %d", g.tree.size, x.seq).At("%s", g.head.org)
		}
		g.add(x.leaf)
	}
	return len(leaves), nil
}

type placed struct {
	seq  int64
	leaf []byte
}

func movePendings(ctx context.Context, tx *store.Tx, org id.Organisation, limit int, next int64) ([]placed, error) {
	rows, err := tx.Query(ctx, movePending, org, org, limit, org, next)
	if err != nil {
		return nil, fmt.Errorf("place waiting entries: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var all []placed
	for rows.Next() {
		var x placed
		if err := rows.Scan(&x.seq, &x.leaf); err != nil {
			return nil, fmt.Errorf("place waiting entries: %w", err)
		}
		all = append(all, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("place waiting entries: %w", err)
	}
	slices.SortFunc(all, func(a, b placed) int { return int(a.seq - b.seq) })
	return all, nil
}
