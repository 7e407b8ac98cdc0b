package ledger_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// site is an export as any C2SP tlog-tiles client sees it: paths and bytes. It uses nothing of this package.
type site map[string][]byte

func readArchive(t testing.TB, archive []byte, leaves map[int64][]byte) site {
	t.Helper()
	s := site{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if s[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range s {
		place, ok := strings.CutPrefix(name, "tile/entries/")
		if !ok {
			continue
		}
		place, _, _ = strings.Cut(place, ".p/")
		n, err := strconv.ParseInt(strings.ReplaceAll(strings.ReplaceAll(place, "x", ""), "/", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for n *= 256; len(b) > 0; n++ {
			size := binary.BigEndian.Uint16(b)
			leaves[n], b = b[2:2+size], b[2+size:]
		}
	}
	return s
}

// Height, ReadTiles and SaveTiles make a site a tlog.TileReader.
func (s site) Height() int { return 8 }

func (s site) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, x := range tiles {
		path := strings.Replace(x.Path(), "tile/8/", "tile/", 1) // tlog's paths name the height, C2SP's do not
		b, ok := s[path]
		if !ok {
			return nil, fmt.Errorf("%s is missing", path)
		}
		all = append(all, b)
	}
	return all, nil
}

func (site) SaveTiles([]tlog.Tile, [][]byte) {}

func rootOf(t testing.TB, leaves map[int64][]byte, n int64) tlog.Hash {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (all []tlog.Hash, err error) {
		for _, i := range indexes {
			all = append(all, stored[i])
		}
		return all, nil
	})
	for i := range n {
		hashes, err := tlog.StoredHashes(i, leaves[i], read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(n, read)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestAnotherReaderReadsTheExport: the checkpoint is a signed note under a key of the origin's name, and tlog's reader, which
// believes no tile that does not hash to the root, proves every entry.
func TestAnotherReaderReadsTheExport(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 600)
		leaves := map[int64][]byte{}
		s := readArchive(t, export(t, led, org), leaves)
		origin := caretest.LedgerOrigin + "/1"
		v, err := note.NewVerifier(led.TreeKey(org, 1))
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(s["checkpoint"], note.VerifierList(v))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(n.Text, "\n")
		if len(lines) != 4 || lines[0] != origin || lines[1] != "600" || v.Name() != origin {
			t.Fatalf("%q", n.Text)
		}
		root, err := tlog.ParseHash(lines[2])
		if err != nil {
			t.Fatal(err)
		}
		if want := rootOf(t, leaves, 600); root != want {
			t.Fatalf("root %s, the entries give %s", root, want)
		}
		r := tlog.TileHashReader(tlog.Tree{N: 600, Hash: root}, s)
		for i := range int64(600) {
			p, err := tlog.ProveRecord(600, i, r)
			if err != nil {
				t.Fatal(i, err)
			}
			if err := tlog.CheckRecord(p, 600, root, i, tlog.RecordHash(leaves[i])); err != nil {
				t.Error(i, err)
			}
		}
	})
}

// TestThePythonReaderAgrees: the program that docs/ledger.md gives to auditors takes good exports, and not bad ones.
func TestThePythonReaderAgrees(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	fill(t, st, keys, led, 300)
	dir := t.TempDir()
	known, archive, bad := filepath.Join(dir, "known"), filepath.Join(dir, "export.tar"), filepath.Join(dir, "bad.tar")
	at300 := checkpoint(t, led)
	fill(t, st, keys, led, 700)
	good := export(t, led, org)
	leaf := bytes.Index(good, []byte{0, ledger.LeafSize, 1})
	tampered := bytes.Clone(good)
	tampered[leaf+50] ^= 1
	for path, b := range map[string][]byte{known: at300, archive: good, bad: tampered} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		all := append([]string{"-B", filepath.Join("..", "..", "docs", "formats", "tiles.py")}, args...)
		out, err := exec.CommandContext(t.Context(), "python3", all...).CombinedOutput()
		return string(out), err
	}
	if out, err := run(archive, led.PublicKey(), known); err != nil || !strings.Contains(out, "1000 entries") || !strings.Contains(out, "continues") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run(bad, led.PublicKey()); err == nil || !strings.Contains(out, "not those that were signed") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run(archive, newSigner(t).PublicKey()); err == nil || !strings.Contains(out, "not signed by this key") {
		t.Errorf("%v: %s", err, out)
	}
}
