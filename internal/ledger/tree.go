package ledger

import (
	"bytes"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8               // C2SP tlog-tiles
	tileWidth  = 1 << tileHeight // hashes in a full tile
	tileBytes  = tileWidth * tlog.HashSize
	maxLevels  = 64
)

// tree is the right edge of a Merkle tree: enough to add leaves, to give the root and to write tiles, without asking anybody
// for an old hash (what a database answers to that question may have been changed since).
type tree struct {
	size     int64
	frontier []tlog.Hash // by level: the root of the complete subtree of 2^level leaves that ends the tree, where size has that bit
	edge     [][]byte    // by tile level: the hashes of the last tile that is not full
	full     []tile      // tiles filled since the last take
}

// tile is one tile of the tree, full or partial.
type tile struct {
	level  int
	place  int64 // its number within the level
	hashes []byte
}

// add puts the hash of one more leaf at the end of the tree.
func (t *tree) add(h tlog.Hash) {
	level := 0
	for ; ; level++ {
		if level%tileHeight == 0 {
			t.extend(level/tileHeight, h)
		}
		if t.size>>level&1 == 0 {
			break
		}
		h = tlog.NodeHash(t.frontier[level], h)
	}
	if level == len(t.frontier) {
		t.frontier = append(t.frontier, h)
	} else {
		t.frontier[level] = h
	}
	t.size++
}

// extend appends a hash to the last tile of a level, and hands the tile over when it is full.
func (t *tree) extend(level int, h tlog.Hash) {
	if level == len(t.edge) {
		t.edge = append(t.edge, make([]byte, 0, tileBytes))
	}
	t.edge[level] = append(t.edge[level], h[:]...)
	if len(t.edge[level]) < tileBytes {
		return
	}
	t.full = append(t.full, tile{level: level, place: t.size >> (tileHeight * (level + 1)), hashes: t.edge[level]})
	t.edge[level] = make([]byte, 0, tileBytes)
}

// takeFull gives the tiles that were filled since it was last called, in the order in which they filled.
func (t *tree) takeFull() []tile {
	full := t.full
	t.full = nil
	return full
}

// partial gives the last tile of a level, nil when that level ends in a full one.
func (t *tree) partial(level int) []byte {
	if level >= len(t.edge) || len(t.edge[level]) == 0 {
		return nil
	}
	return t.edge[level]
}

// root gives the hash of the tree: RFC 6962 2.1, the complete subtrees joined from the smallest.
func (t *tree) root() tlog.Hash {
	var h tlog.Hash
	first := true
	for level := range t.frontier {
		switch {
		case t.size>>level&1 == 0:
		case first:
			h, first = t.frontier[level], false
		default:
			h = tlog.NodeHash(t.frontier[level], h)
		}
	}
	if first {
		return emptyRoot
	}
	return h
}

// emptyRoot is the hash of the tree without leaves: SHA-256 of nothing (RFC 6962 2.1).
var emptyRoot = func() tlog.Hash {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(err) // never happens: there is nothing to read
	}
	return h
}()

// clone gives a tree that shares nothing that add changes.
func (t *tree) clone() *tree {
	c := &tree{size: t.size, frontier: slices.Clone(t.frontier), edge: make([][]byte, len(t.edge))}
	for i, e := range t.edge {
		c.edge[i] = append(make([]byte, 0, tileBytes), e...)
	}
	return c
}

// packFrontier gives the frontier's hashes that count, from level 0 up.
func (t *tree) packFrontier() []byte {
	var b []byte
	for level := range t.frontier {
		if t.size>>level&1 == 1 {
			b = append(b, t.frontier[level][:]...)
		}
	}
	return b
}

var errEdge = errors.New("the tiles at the end of the tree do not fit its head")

// resume builds the edge of a tree from what is stored: the frontier, and by level the last partial tile. It refuses tiles that
// do not hash to the frontier.
func resume(size int64, frontier []byte, edge [][]byte) (*tree, error) {
	t := &tree{size: size}
	for level := 0; level < maxLevels && size>>level > 0; level++ {
		t.frontier = append(t.frontier, tlog.Hash{})
		if size>>level&1 == 0 {
			continue
		}
		if len(frontier) < tlog.HashSize {
			return nil, errEdge
		}
		frontier = frontier[copy(t.frontier[level][:], frontier):]
	}
	if len(frontier) != 0 {
		return nil, errEdge
	}
	for level := 0; level*tileHeight < maxLevels && size>>(level*tileHeight) > 0; level++ {
		var stored []byte
		if level < len(edge) {
			stored = edge[level]
		}
		width := int(size >> (level * tileHeight) & (tileWidth - 1))
		if len(stored) != width*tlog.HashSize {
			return nil, errEdge
		}
		t.edge = append(t.edge, append(make([]byte, 0, tileBytes), stored...))
		// The bits of the width are the complete subtrees inside this tile: their roots are the frontier's.
		rest := stored
		for bit := tileHeight - 1; bit >= 0; bit-- {
			if width>>bit&1 == 0 {
				continue
			}
			part := rest[:tlog.HashSize<<bit]
			rest = rest[len(part):]
			if h := subtree(part); h != t.frontier[level*tileHeight+bit] {
				return nil, errEdge
			}
		}
	}
	return t, nil
}

// subtree gives the root over a power of two of hashes.
func subtree(hashes []byte) tlog.Hash {
	level := make([]tlog.Hash, len(hashes)/tlog.HashSize)
	for i := range level {
		copy(level[i][:], hashes[i*tlog.HashSize:])
	}
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// firstDifference gives the number of the first hash in which two tiles differ, counting a missing one; -1 when they are equal.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := min(len(a), len(b))
	for i := 0; i+tlog.HashSize <= n; i += tlog.HashSize {
		if !bytes.Equal(a[i:i+tlog.HashSize], b[i:i+tlog.HashSize]) {
			return i / tlog.HashSize
		}
	}
	return n / tlog.HashSize
}
