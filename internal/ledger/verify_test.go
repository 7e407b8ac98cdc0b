package ledger

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/carepost/carepost/internal/id"
)

func testSigner(t testing.TB, origin string) Signer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.key")
	if err := CreateSigner(path, origin); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const testOrg = id.Organisation(3)

// history is a ledger without a database.
type history struct {
	t      testing.TB
	signer Signer
	leaves [][]byte
	epoch  int64
}

func newHistory(t testing.TB, n int) *history {
	l := &history{t: t, signer: testSigner(t, "carepost.test/ledger"), epoch: 1}
	for i := range n {
		l.leaves = append(l.leaves, leafAt(i).Bytes())
	}
	return l
}

func leafAt(i int) Leaf {
	l := Leaf{Time: time.UnixMilli(1_790_000_000_000 + int64(i)*10).UTC(), Organisation: testOrg, Act: ActDecision + Act(i%3), Purpose: PurposeTreatment}
	binary.BigEndian.PutUint64(l.Object[8:], uint64(i))
	return l
}

func (l *history) tree(n int) *tree {
	k, t := kept{}, &tree{}
	k.grow(t, l.leaves[:n]...)
	return t
}

func (l *history) checkpoint(n int) []byte {
	signed, err := l.signer.sign(checkpoint{origin: treeOrigin(l.signer.origin, testOrg, l.epoch), size: int64(n), root: l.tree(n).root()})
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// file is one file of an archive.
type file struct {
	name    string
	content []byte
}

// files gives an export as Export writes it.
func (l *history) files() []file {
	k, t := kept{}, &tree{}
	k.grow(t, l.leaves...)
	all := []file{{fileCheckpoint, l.checkpoint(len(l.leaves))}}
	_ = layout(t.size, func(x item) error {
		var b []byte
		if x.entries {
			for _, leaf := range l.leaves[x.place<<8 : x.place<<8+int64(x.width)] {
				b = appendBundled(b, leaf)
			}
		} else {
			b = slices.Clone(k[item{level: x.level, place: x.place}][:x.width*32])
		}
		all = append(all, file{x.name(), b})
		return nil
	})
	return all
}

func pack(t testing.TB, files []file) *bytes.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o644})); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func (l *history) verify(files []file, known []byte) (Report, error) {
	return Verify(pack(l.t, files), l.signer.PublicKey(), known)
}

func TestVerifyGoodExports(t *testing.T) {
	for _, n := range []int{0, 1, 2, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537} {
		l := newHistory(t, n)
		report, err := l.verify(l.files(), nil)
		if err != nil {
			t.Errorf("%d entries: %v", n, err)
			continue
		}
		if report.Entries != int64(n) || report.Organisation != testOrg || report.Latest != NotProvenLatest || report.Epoch != 1 {
			t.Errorf("%d entries: %+v", n, report)
		}
		var acts int64
		for _, c := range report.Acts {
			acts += c
		}
		if acts != int64(n) || n > 0 && (!report.First.Equal(leafAt(0).Time) || !report.Last.Equal(leafAt(n-1).Time)) {
			t.Errorf("%d entries: %+v", n, report)
		}
		for _, k := range []int{0, 1, n / 2, n - 1, n} {
			if k < 0 || k > n {
				continue
			}
			if report, err := l.verify(l.files(), l.checkpoint(k)); err != nil || report.Latest == NotProvenLatest || report.KnownSize != int64(k) {
				t.Errorf("%d entries, %d known: %v, %+v", n, k, err, report)
			}
			if n > 1000 {
				break
			}
		}
	}
}

// entryBundle gives the index of the archive's file that holds an entry.
func entryBundle(files []file, n int) int {
	name := dirEntries + fmt.Sprintf("%03d", n/256)
	return slices.IndexFunc(files, func(f file) bool { return f.name == name || strings.HasPrefix(f.name, name+".p/") })
}

func rebundle(files []file, n int, edit func([][]byte) [][]byte) {
	i := entryBundle(files, n)
	var entries [][]byte
	for b := files[i].content; len(b) > 0; {
		var e []byte
		e, b, _ = nextBundled(b)
		entries = append(entries, e)
	}
	var b []byte
	for _, e := range edit(entries) {
		b = appendBundled(b, e)
	}
	files[i].content = b
}

// TestVerifyCatches: every way to change a history after the fact, at the first entry, at the borders of tiles and at the last.
func TestVerifyCatches(t *testing.T) {
	const size = 600
	other := sampleLeaf()
	other.Organisation = testOrg
	flip := func(b []byte) []byte { c := bytes.Clone(b); c[70] ^= 1; return c }
	for _, n := range []int{0, 1, 254, 255, 256, 257, 511, 512, 598, 599} {
		at := n % 256
		last := n == 255 || n == 511 || n == 599
		for name, c := range map[string]struct {
			edit func([][]byte) [][]byte
			flaw Flaw
			skip bool
		}{
			"change":                      {func(e [][]byte) [][]byte { e[at] = flip(e[at]); return e }, FlawLeaf, false},
			"drop":                        {func(e [][]byte) [][]byte { return slices.Delete(e, at, at+1) }, map[bool]Flaw{true: FlawMissing, false: FlawLeaf}[last], false},
			"swap":                        {func(e [][]byte) [][]byte { e[at], e[at+1] = e[at+1], e[at]; return e }, FlawLeaf, last},
			"insert into the last bundle": {func(e [][]byte) [][]byte { return slices.Insert(e, at, other.Bytes()) }, FlawExtra, n < 512},
		} {
			if c.skip {
				continue
			}
			l := newHistory(t, size)
			files := l.files()
			rebundle(files, n, c.edit)
			_, err := l.verify(files, nil)
			var flaw *FlawError
			if !errors.As(err, &flaw) || flaw.Flaw != c.flaw {
				t.Errorf("%s at %d: %v", name, n, err)
				continue
			}
			if want := int64(n); flaw.Flaw != FlawExtra && flaw.Entry != want {
				t.Errorf("%s at %d: it names entry %d (%v)", name, n, flaw.Entry, err)
			}
		}
	}
}

// TestVerifyCatchesRebuilds: whoever changes the history and rebuilds every tile still lacks the signature.
func TestVerifyCatchesRebuilds(t *testing.T) {
	good := newHistory(t, 600)
	for name, edit := range map[string]func([][]byte) [][]byte{
		"change":   func(e [][]byte) [][]byte { e[10] = leafAt(9999).Bytes(); return e },
		"swap":     func(e [][]byte) [][]byte { e[10], e[11] = e[11], e[10]; return e },
		"replace":  func(e [][]byte) [][]byte { e[599] = leafAt(9999).Bytes(); return e },
		"truncate": func(e [][]byte) [][]byte { return e[:300] },
		"insert":   func(e [][]byte) [][]byte { return slices.Insert(e, 10, leafAt(9999).Bytes()) },
		"drop":     func(e [][]byte) [][]byte { return slices.Delete(e, 10, 11) },
	} {
		bad := &history{t: t, signer: good.signer, epoch: 1, leaves: edit(slices.Clone(good.leaves))}
		files := bad.files()
		files[0].content = good.checkpoint(600)
		_, err := good.verify(files, nil)
		var flaw *FlawError
		if !errors.As(err, &flaw) {
			t.Errorf("%s: %v", name, err)
		}
		// Signed anew by the right key, it verifies by itself; the checkpoint known from before gives it away.
		files = bad.files()
		if _, err := good.verify(files, nil); err != nil {
			t.Errorf("%s, signed anew: %v", name, err)
		}
		_, err = good.verify(files, good.checkpoint(600))
		if !errors.As(err, &flaw) || flaw.Flaw != FlawFork && flaw.Flaw != FlawOlder {
			t.Errorf("%s, signed anew, with a known checkpoint: %v", name, err)
		}
	}
}

func TestVerifyCatchesTheWhole(t *testing.T) {
	l := newHistory(t, 600)
	stranger := newHistory(t, 600)
	index := func(files []file, name string) int {
		return slices.IndexFunc(files, func(f file) bool { return f.name == name })
	}
	elsewhere := &history{t: t, signer: testSigner(t, "other.test/ledger"), leaves: l.leaves, epoch: 1}
	for name, c := range map[string]struct {
		files func() []file
		known []byte
		flaw  Flaw
	}{
		"truncated file list": {func() []file { f := l.files(); return f[:len(f)-1] }, nil, FlawTruncated},
		"only a checkpoint":   {func() []file { return l.files()[:1] }, nil, FlawTruncated},
		"nothing":             {func() []file { return nil }, nil, FlawTruncated},
		"no checkpoint":       {func() []file { return l.files()[1:] }, nil, FlawFile},
		"a file more":         {func() []file { return append(l.files(), file{"tile/0/003", nil}) }, nil, FlawFile},
		"files swapped":       {func() []file { f := l.files(); f[1], f[3] = f[3], f[1]; return f }, nil, FlawFile},
		"a climbing name":     {func() []file { f := l.files(); f[1].name = "../../etc/passwd"; return f }, nil, FlawFile},
		"tile changed":        {func() []file { f := l.files(); f[index(f, "tile/0/001")].content[40] ^= 1; return f }, nil, FlawLeaf},
		"upper tile changed":  {func() []file { f := l.files(); f[index(f, "tile/1/000.p/2")].content[40] ^= 1; return f }, nil, FlawTile},
		"upper tile short": {func() []file {
			f := l.files()
			i := index(f, "tile/1/000.p/2")
			f[i].content = f[i].content[:32]
			return f
		}, nil, FlawFile},
		"older checkpoint": {func() []file { f := l.files(); f[0].content = l.checkpoint(599); return f }, nil, FlawFile},
		"size changed": {func() []file {
			f := l.files()
			f[0].content = bytes.Replace(f[0].content, []byte("600"), []byte("601"), 1)
			return f
		}, nil, FlawSignature},
		"signature changed": {func() []file { f := l.files(); c := f[0].content; c[len(c)-10] ^= 1; return f }, nil, FlawSignature},
		"signed by another": {stranger.files, nil, FlawKey},
		"another ledger":    {elsewhere.files, nil, FlawSignature},
		"known is longer": {func() []file {
			s := &history{t: t, signer: l.signer, leaves: l.leaves[:500], epoch: 1}
			return s.files()
		}, l.checkpoint(600), FlawOlder},
		"known by another": {l.files, stranger.checkpoint(5), FlawKey},
		"known is no note": {l.files, []byte("x"), FlawSignature},
		"same size, other root": {l.files, func() []byte {
			s := &history{t: t, signer: l.signer, leaves: slices.Clone(l.leaves), epoch: 1}
			s.leaves[300] = leafAt(1).Bytes()
			return s.checkpoint(600)
		}(), FlawFork},
		"known is no prefix": {l.files, func() []byte {
			s := &history{t: t, signer: l.signer, leaves: slices.Clone(l.leaves), epoch: 1}
			s.leaves[100] = leafAt(1).Bytes()
			return s.checkpoint(200)
		}(), FlawFork},
		"another organisation's entry": {func() []file {
			s := &history{t: t, signer: l.signer, leaves: slices.Clone(l.leaves), epoch: 1}
			leaf := leafAt(50)
			leaf.Organisation++
			s.leaves[50] = leaf.Bytes()
			return s.files()
		}, nil, FlawLeaf},
		"epoch without a restore": {func() []file { s := &history{t: t, signer: l.signer, leaves: l.leaves, epoch: 2}; return s.files() }, nil, FlawRestore},
		"a restore without an epoch": {func() []file {
			s := &history{t: t, signer: l.signer, leaves: slices.Clone(l.leaves), epoch: 1}
			s.leaves[50] = Leaf{Time: leafAt(50).Time, Organisation: testOrg, Act: ActRestore, Object: Lost{From: 50, To: 60}.object()}.Bytes()
			return s.files()
		}, nil, FlawRestore},
	} {
		_, err := l.verify(c.files(), c.known)
		var flaw *FlawError
		if !errors.As(err, &flaw) || flaw.Flaw != c.flaw {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVerifyCutsAnywhere: an archive cut at any byte is never taken for a whole one, save in the padding after the last file.
func TestVerifyCutsAnywhere(t *testing.T) {
	l := newHistory(t, 5)
	whole, err := io.ReadAll(pack(t, l.files()))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole)-1024-512; n += 37 {
		if _, err := Verify(bytes.NewReader(whole[:n]), l.signer.PublicKey(), nil); err == nil {
			t.Errorf("an archive cut at %d of %d bytes verifies", n, len(whole))
		}
	}
}

func TestVerifyReportsTimeGoingBackwards(t *testing.T) {
	l := newHistory(t, 10)
	for i, back := range map[int]time.Duration{3: 9 * time.Second, 5: 11 * time.Second, 7: time.Hour} {
		leaf := leafAt(i)
		leaf.Time = leaf.Time.Add(-back)
		l.leaves[i] = leaf.Bytes()
	}
	report, err := l.verify(l.files(), nil)
	if err != nil || report.BackwardsAll != 2 || len(report.Backwards) != 2 || report.Backwards[0].Entry != 5 || report.Backwards[1].Entry != 7 {
		t.Errorf("%v, %+v", err, report)
	}
	if !report.Last.Equal(leafAt(9).Time) {
		t.Error(report.Last)
	}
}

// TestVerifyAfterARestore: the tree goes on under a new origin; what was known before the loss is still its beginning, what was
// lost is admitted and not proven.
func TestVerifyAfterARestore(t *testing.T) {
	before := newHistory(t, 400)
	after := &history{t: t, signer: before.signer, epoch: 2, leaves: slices.Clone(before.leaves[:300])}
	after.leaves = append(after.leaves, Leaf{Time: leafAt(400).Time, Organisation: testOrg, Act: ActRestore, Object: Lost{From: 300, To: 400}.object()}.Bytes())
	for i := range 200 {
		after.leaves = append(after.leaves, leafAt(1000+i).Bytes())
	}
	report, err := after.verify(after.files(), before.checkpoint(300))
	if err != nil || len(report.Restores) != 1 || report.Restores[0].Lost != (Lost{From: 300, To: 400}) || report.Epoch != 2 {
		t.Fatalf("%v, %+v", err, report)
	}
	_, err = after.verify(after.files(), before.checkpoint(350))
	var flaw *FlawError
	if !errors.As(err, &flaw) || flaw.Flaw != FlawFork || !strings.Contains(err.Error(), "admits") {
		t.Errorf("a checkpoint in the lost range: %v", err)
	}
	short := &history{t: t, signer: before.signer, epoch: 2, leaves: after.leaves[:310]}
	_, err = short.verify(short.files(), before.checkpoint(400))
	if !errors.As(err, &flaw) || flaw.Flaw != FlawOlder || !strings.Contains(err.Error(), "admits") {
		t.Errorf("a checkpoint beyond the end: %v", err)
	}
	_, err = before.verify(before.files(), after.checkpoint(300))
	if !errors.As(err, &flaw) || flaw.Flaw != FlawOlder {
		t.Errorf("an export from before the restore, known after it: %v", err)
	}
}

func TestVerifyChecksOpenedDetails(t *testing.T) {
	l := newHistory(t, 3)
	opening, commit, err := Detail{"reason": "restricted"}.opening()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 3; i++ {
		leaf := leafAt(i)
		leaf.Commit = commit
		l.leaves[i] = leaf.Bytes()
	}
	with := func(openings ...[]byte) []file {
		var b []byte
		for _, o := range openings {
			b = appendBundled(b, o)
		}
		return slices.Insert(l.files(), 2, file{"details/000.p/3", b})
	}
	report, err := l.verify(with(nil, opening, nil), nil)
	if err != nil || report.Details != (Details{Opened: 1, Closed: 1}) {
		t.Errorf("%v, %+v", err, report.Details)
	}
	if report, err := l.verify(l.files(), nil); err != nil || report.Details != (Details{Closed: 2}) {
		t.Errorf("%v, %+v", err, report.Details)
	}
	forged := bytes.Clone(opening)
	forged[len(forged)-1] ^= 1
	for name, files := range map[string][]file{
		"forged": with(nil, forged, nil), "for an entry without": with(opening, opening, nil), "too few": with(nil, opening), "too many": with(nil, nil, nil, opening),
	} {
		if _, err := l.verify(files, nil); err == nil {
			t.Errorf("details that are %s were taken", name)
		}
	}
}

func TestVerifyTakesOtherSignaturesAlong(t *testing.T) {
	l := newHistory(t, 3)
	witness := testSigner(t, "witness.test/x")
	ts, err := newTreeSigner("witness.test/x", witness)
	if err != nil {
		t.Fatal(err)
	}
	files := l.files()
	v, err := l.signer.public().verifier("carepost.test/ledger/3")
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(files[0].content, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	if files[0].content, err = note.Sign(n, ts); err != nil {
		t.Fatal(err)
	}
	if _, err := l.verify(files, nil); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	l := newHistory(f, 3)
	whole, err := io.ReadAll(pack(f, l.files()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, l.checkpoint(2))
	f.Add(whole[:700], []byte{})
	key := l.signer.PublicKey()
	f.Fuzz(func(t *testing.T, b, known []byte) {
		report, err := Verify(bytes.NewReader(b), key, known)
		if err == nil && report.Entries != 3 && report.Entries != 0 {
			t.Errorf("a history nobody signed: %+v", report)
		}
	})
}

// FuzzVerifySigned is FuzzVerify behind the signature: what an operator with the key could hand over.
func FuzzVerifySigned(f *testing.F) {
	l := newHistory(f, 3)
	rest := l.files()
	f.Add(int64(3), rest[1].name, rest[1].content, rest[2].name, rest[2].content)
	root := l.tree(3).root()
	key := l.signer.PublicKey()
	f.Fuzz(func(t *testing.T, size int64, name1 string, content1 []byte, name2 string, content2 []byte) {
		if size < 0 || len(name1) > 90 || len(name2) > 90 || strings.ContainsRune(name1+name2, 0) ||
			strings.HasSuffix(name1, "/") || strings.HasSuffix(name2, "/") {
			return // no name of a file
		}
		signed, err := l.signer.sign(checkpoint{origin: treeOrigin(l.signer.origin, testOrg, 1), size: size, root: root})
		if err != nil {
			t.Fatal(err)
		}
		report, err := Verify(pack(t, []file{{fileCheckpoint, signed}, {name1, content1}, {name2, content2}}), key, nil)
		if err == nil && report.Entries != 3 {
			t.Errorf("%+v", report)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	l := newHistory(b, 100_000)
	archive := pack(b, l.files())
	key := l.signer.PublicKey()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := archive.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if _, err := Verify(archive, key, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "entries/s")
}
