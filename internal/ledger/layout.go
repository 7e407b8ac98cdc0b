package ledger

import (
	"encoding/binary"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// The files of an export, as C2SP tlog-tiles names them. docs/formats/tiles.md fixes names and order.
const (
	fileCheckpoint = "checkpoint"
	dirEntries     = "tile/entries/"
	dirDetails     = "details/"
)

// item is one file of an export: the entries of level 0's tile number place, or that tile itself, or one further up.
type item struct {
	entries bool
	level   int
	place   int64
	width   int
}

// name gives the item's path: "tile/0/x001/234", "tile/entries/000.p/7".
func (x item) name() string {
	if x.entries {
		return tilePath(dirEntries, x.place, x.width)
	}
	return tilePath("tile/"+strconv.Itoa(x.level)+"/", x.place, x.width)
}

// tilePath gives a path with the place in groups of three digits, all but the last led by an x, and the width of a partial tile.
func tilePath(dir string, place int64, width int) string {
	var text [32]byte
	i := len(text)
	for first := true; first || place > 0; first = false {
		if !first {
			i--
			text[i] = '/'
		}
		n := place % 1000
		place /= 1000
		i -= 3
		text[i], text[i+1], text[i+2] = byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10)
		if !first {
			i--
			text[i] = 'x'
		}
	}
	path := dir + string(text[i:])
	if width < tileWidth {
		path += ".p/" + strconv.Itoa(width)
	}
	return path
}

// layout calls fn for each file of a tree of the given size, in the order of an export: each bundle of entries, its tile, the
// tiles above it that it completes; at the end what is partial above level 0. So a reader needs to hold one tile per level.
func layout(size int64, fn func(item) error) error {
	for place := int64(0); place<<tileHeight < size; place++ {
		width := int(min(tileWidth, size-place<<tileHeight))
		if err := fn(item{entries: true, place: place, width: width}); err != nil {
			return err
		}
		if err := fn(item{place: place, width: width}); err != nil {
			return err
		}
		if width < tileWidth {
			break
		}
		above := place + 1
		for level := 1; above%tileWidth == 0; level++ {
			above /= tileWidth
			if err := fn(item{level: level, place: above - 1, width: tileWidth}); err != nil {
				return err
			}
		}
	}
	for level := 1; level*tileHeight < maxLevels && size>>(level*tileHeight) > 0; level++ {
		width := int(size >> (level * tileHeight) & (tileWidth - 1))
		if width == 0 {
			continue
		}
		if err := fn(item{level: level, place: size >> (tileHeight * (level + 1)), width: width}); err != nil {
			return err
		}
	}
	return nil
}

// appendBundled adds one entry to a bundle: its length as a big-endian uint16, then its bytes.
func appendBundled(b, entry []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(entry)))
	return append(b, entry...)
}

// nextBundled takes one entry off a bundle.
func nextBundled(b []byte) (entry, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// hashAt gives one hash of a tile.
func hashAt(hashes []byte, i int) (h tlog.Hash) {
	copy(h[:], hashes[i*tlog.HashSize:])
	return h
}
