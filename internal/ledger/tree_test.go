package ledger

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// kept is what a database keeps of a tree: its tiles.
type kept map[item][]byte

// grow adds leaves and keeps tiles the way finish does.
func (k kept) grow(t *tree, leaves ...[]byte) {
	old := t.size
	for _, l := range leaves {
		t.add(tlog.RecordHash(l))
	}
	for _, x := range t.takeFull() {
		k[item{level: x.level, place: x.place}] = x.hashes
	}
	for level := range t.edge {
		if hashes := t.partial(level); hashes != nil && old>>(8*level) != t.size>>(8*level) {
			k[item{level: level, place: t.size >> (8 * (level + 1))}] = slices.Clone(hashes)
		}
	}
}

func (k kept) edge(size int64) (edge [][]byte) {
	for level := 0; size>>(8*level) > 0; level++ {
		var hashes []byte
		if size>>(8*level)&255 != 0 {
			hashes = k[item{level: level, place: size >> (8 * (level + 1))}]
		}
		edge = append(edge, hashes)
	}
	return edge
}

// Height, ReadTiles and SaveTiles make the kept tiles a tlog.TileReader, whose own reader checks each tile against the root.
func (k kept) Height() int { return tileHeight }

func (k kept) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		b := k[item{level: t.L, place: t.N}]
		if len(b) < t.W*tlog.HashSize {
			return nil, errors.New("missing or short: " + t.Path())
		}
		all = append(all, b[:t.W*tlog.HashSize])
	}
	return all, nil
}

func (kept) SaveTiles([]tlog.Tile, [][]byte) {}

// plainLog is tlog's own bookkeeping: all hashes in one list.
type plainLog []tlog.Hash

func (p *plainLog) add(t testing.TB, n int64, leaf []byte) {
	hashes, err := tlog.StoredHashes(n, leaf, p)
	if err != nil {
		t.Fatal(err)
	}
	*p = append(*p, hashes...)
}

func (p *plainLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for _, i := range indexes {
		all = append(all, (*p)[i])
	}
	return all, nil
}

func numbered(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// TestTreeIsTlogs: batches of any sizes, resumed from what is kept after any of them, give tlog's root at every size.
func TestTreeIsTlogs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var plain plainLog
		k, tr := kept{}, &tree{}
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			var batch [][]byte
			for range rapid.IntRange(0, 300).Draw(rt, "leaves") {
				leaf := numbered(tr.size + int64(len(batch)))
				plain.add(t, tr.size+int64(len(batch)), leaf)
				batch = append(batch, leaf)
			}
			k.grow(tr, batch...)
			want, err := tlog.TreeHash(tr.size, &plain)
			if err != nil || tr.root() != want {
				rt.Fatalf("at %d: root %v, tlog has %v (%v)", tr.size, tr.root(), want, err)
			}
			if rapid.Bool().Draw(rt, "resume") {
				resumed, err := resume(tr.size, tr.packFrontier(), k.edge(tr.size))
				if err != nil {
					rt.Fatalf("resume at %d: %v", tr.size, err)
				}
				tr = resumed
			}
			before := tr.root()
			tr.clone().add(tlog.RecordHash([]byte("elsewhere")))
			if tr.root() != before {
				rt.Fatal("a clone changed its original")
			}
		}
	})
}

// TestTilesProve: tlog's TileHashReader, which checks tiles against the root, proves every kind of thing from what is kept.
func TestTilesProve(t *testing.T) {
	k, tr := kept{}, &tree{}
	var roots []tlog.Hash
	for n := range int64(1100) {
		roots = append(roots, tr.root())
		k.grow(tr, numbered(n))
	}
	head := tlog.Tree{N: tr.size, Hash: tr.root()}
	r := tlog.TileHashReader(head, k)
	for _, n := range []int64{0, 1, 255, 256, 257, 511, 512, 1023, 1024, 1099} {
		p, err := tlog.ProveRecord(head.N, n, r)
		if err != nil {
			t.Fatal(n, err)
		}
		if err := tlog.CheckRecord(p, head.N, head.Hash, n, tlog.RecordHash(numbered(n))); err != nil {
			t.Error(n, err)
		}
		if n == 0 {
			continue
		}
		tp, err := tlog.ProveTree(head.N, n, r)
		if err != nil {
			t.Fatal(n, err)
		}
		if err := tlog.CheckTree(tp, head.N, head.Hash, n, roots[n]); err != nil {
			t.Error(n, err)
		}
	}
}

func TestResumeRefusesOtherTiles(t *testing.T) {
	k, tr := kept{}, &tree{}
	for n := range int64(300) {
		k.grow(tr, numbered(n))
	}
	good := k.edge(tr.size)
	if _, err := resume(tr.size, tr.packFrontier(), good); err != nil {
		t.Fatal(err)
	}
	for name, edge := range map[string][][]byte{
		"changed": {append([]byte{good[0][0] ^ 1}, good[0][1:]...), good[1]}, "short": {good[0][32:], good[1]}, "missing": {nil, good[1]}, "none": nil,
	} {
		if _, err := resume(tr.size, tr.packFrontier(), edge); err == nil {
			t.Errorf("a tile that is %s was taken", name)
		}
	}
	if _, err := resume(tr.size, tr.packFrontier()[32:], good); err == nil {
		t.Error("half a frontier was taken")
	}
	if _, err := resume(tr.size+1, tr.packFrontier(), good); err == nil {
		t.Error("another size was taken")
	}
}

// TestLayoutNamesTilesAsTheSpecification: the examples of C2SP tlog-tiles, and tlog's own list of tiles for every size.
func TestLayoutNamesTilesAsTheSpecification(t *testing.T) {
	for _, c := range []struct {
		place int64
		width int
		want  string
	}{
		{1234067, 256, "tile/0/x001/x234/067"},
		{0, 256, "tile/0/000"},
		{999, 1, "tile/0/999.p/1"},
		{1000, 255, "tile/0/x001/000.p/255"},
		{1_000_000, 256, "tile/0/x001/x000/000"},
	} {
		if got := (item{place: c.place, width: c.width}).name(); got != c.want {
			t.Errorf("place %d is %s, the specification says %s", c.place, got, c.want)
		}
	}
	// "a tree of size 70,000: 273 full level 0 tiles, one partial of width 112, one full level 1 tile, one partial of width 17, one partial level 2 tile of width 1"
	count := map[item]int{}
	_ = layout(70_000, func(x item) error {
		count[item{entries: x.entries, level: x.level, width: x.width}]++
		return nil
	})
	for x, want := range map[item]int{
		{width: 256}: 273, {width: 112}: 1, {level: 1, width: 256}: 1, {level: 1, width: 17}: 1, {level: 2, width: 1}: 1,
		{entries: true, width: 256}: 273, {entries: true, width: 112}: 1,
	} {
		if count[x] != want {
			t.Errorf("%+v appears %d times, want %d", x, count[x], want)
		}
	}
	for _, size := range []int64{0, 1, 255, 256, 257, 511, 512, 65535, 65536, 65537, 70_000} {
		want := map[string]bool{}
		for _, x := range tlog.NewTiles(tileHeight, 0, size) {
			want[item{level: x.L, place: x.N, width: x.W}.name()] = true
		}
		got := map[string]bool{}
		_ = layout(size, func(x item) error {
			if !x.entries {
				got[x.name()] = true
			}
			return nil
		})
		for name := range got {
			if !want[name] {
				t.Errorf("size %d: tlog does not have %s", size, name)
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("size %d: %s is missing", size, name)
		}
	}
}
