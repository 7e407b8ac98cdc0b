package ledger

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

const testWitness = "partner.test/witness"

// TestMain is also the witness that TestAKilledWitnessTakesNothingBack kills.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_WITNESS_LOGS") != "" { // in the folder where it was started
		w, err := OpenWitness(".", testWitness, strings.Fields(os.Getenv("TEST_WITNESS_LOGS")))
		if err != nil {
			panic(err)
		}
		s := httptest.NewServer(w)
		_, _ = os.Stdout.WriteString(s.URL + "\n")
		select {}
	}
	os.Exit(m.Run())
}

func openWitness(t testing.TB, dir string, logs ...string) *Witness {
	t.Helper()
	w, err := OpenWitness(dir, testWitness, logs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() }) // tests close it earlier
	return w
}

// fork gives a history that is the same up to n and goes on otherwise.
func (l *history) fork(n int) *history {
	f := &history{t: l.t, signer: l.signer, epoch: l.epoch, leaves: slices.Clone(l.leaves[:n])}
	for i := n; i < len(l.leaves); i++ {
		x := leafAt(i)
		x.Act = ActView
		x.Object[0] = 7
		f.leaves = append(f.leaves, x.Bytes())
	}
	return f
}

// proof proves that the first n leaves begin with the first old ones.
func (l *history) proof(old, n int) tlog.TreeProof {
	if old <= 0 || old >= n {
		return nil
	}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (all []tlog.Hash, err error) {
		for _, i := range indexes {
			all = append(all, stored[i])
		}
		return all, nil
	})
	for i := range n {
		hashes, err := tlog.StoredHashes(int64(i), l.leaves[i], read)
		if err != nil {
			l.t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	p, err := tlog.ProveTree(int64(n), int64(old), read)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *history) submission(old, n int) []byte {
	return submission{old: int64(old), proof: l.proof(old, n), note: l.checkpoint(n)}.bytes()
}

func submit(t testing.TB, w http.Handler, body []byte) (status int, kind, answer string) {
	t.Helper()
	r := httptest.NewRecorder()
	w.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	return r.Code, r.Header().Get("Content-Type"), r.Body.String()
}

// TestTheWitnessAnswersAsSpecified goes through the answers of C2SP tlog-witness.
func TestTheWitnessAnswersAsSpecified(t *testing.T) {
	l := newHistory(t, 40)
	f, stranger := l.fork(10), newHistory(t, 20)
	dir := t.TempDir()
	w := openWitness(t, dir, l.signer.PublicKey())
	replaced := func(b []byte, old, with string) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		answer string // its beginning
	}{
		{"nothing", nil, 400, "not a submission"},
		{"no note", []byte("old 0\n\n"), 400, "not a submission"},
		{"a size with a zero before it", replaced(l.submission(0, 5), "old 0", "old 00"), 400, "not a submission"},
		{"a hash of another length", replaced(l.submission(0, 5), "old 0\n", "old 0\nAAAA\n"), 400, "not a submission"},
		{"an unknown origin", replaced(l.submission(0, 5), "carepost.test/ledger", "carepost.example/ledger"), 404, "this witness does not watch"},
		{"another key", stranger.submission(0, 5), 403, "no signature"},
		{"a changed root", replaced(l.submission(0, 5), "\n5\n", "\n6\n"), 403, "no signature"},
		{"an old size above the new", l.submission(6, 5), 400, "the old size is above"},
		{"an old size that the witness did not see", l.submission(3, 5), 409, "0\n"},
		{"a proof from nothing", replaced(l.submission(0, 5), "old 0\n", "old 0\n"+emptyRoot.String()+"\n"), 422, "the proof"},
		{"the first", l.submission(0, 10), 200, "— " + testWitness + " "},
		{"the same again", l.submission(10, 10), 200, "— " + testWitness + " "},
		{"from nothing again", l.submission(0, 12), 409, "10\n"},
		{"a smaller one", l.submission(8, 9), 409, "10\n"},
		{"a smaller one from what was seen", l.submission(10, 9), 400, "the old size is above"},
		{"growth without a proof", submission{old: 10, note: l.checkpoint(12)}.bytes(), 422, "the proof"},
		{"growth with the proof of another", submission{old: 10, proof: l.proof(9, 12), note: l.checkpoint(12)}.bytes(), 422, "the proof"},
		{"growth", l.submission(10, 20), 200, "— " + testWitness + " "},
		{"a fork that grew", f.submission(20, 30), 422, "the proof"},
		{"a fork of the same size", f.submission(20, 20), 409, "20\n"},
		{"what it saw before the fork", f.submission(10, 10), 409, "20\n"},
	} {
		status, kind, answer := submit(t, w, c.body)
		if status != c.status || !strings.HasPrefix(answer, c.answer) {
			t.Errorf("%s: %d %q, want %d %q", c.name, status, answer, c.status, c.answer)
		}
		if want := map[bool]string{true: "text/x.tlog.size", false: "text/plain; charset=utf-8"}[status == 409]; kind != want {
			t.Errorf("%s: content type %q", c.name, kind)
		}
	}
	// The second history is kept as its log signed it: nobody else can have.
	found, err := filepath.Glob(filepath.Join(dir, witnessForks, "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if c, _, _, err := openCheckpoint(raw, l.signer.public()); err != nil || c.size != 20 || c.root == l.tree(20).root() {
		t.Errorf("%+v, %v", c, err)
	}
	for method, path := range map[string]string{http.MethodGet: "/add-checkpoint", http.MethodPost: "/"} {
		r := httptest.NewRecorder()
		w.ServeHTTP(r, httptest.NewRequest(method, path, http.NoBody))
		if want := map[string]int{"/": 404, "/add-checkpoint": 405}[path]; r.Code != want {
			t.Errorf("%s %s: %d", method, path, r.Code)
		}
	}
	if status, _, _ := submit(t, w, bytes.Repeat([]byte("x"), maxSubmission+1)); status != 400 {
		t.Errorf("a body without end: %d", status)
	}
}

func TestTheWitnessKnowsEveryTreeAndEpochOfALedger(t *testing.T) {
	l := newHistory(t, 9)
	w := openWitness(t, t.TempDir(), l.signer.PublicKey())
	if status, _, answer := submit(t, w, l.submission(0, 9)); status != 200 {
		t.Fatal(status, answer)
	}
	again := l.fork(4)
	again.epoch = 2
	if status, _, answer := submit(t, w, again.submission(0, 9)); status != 200 {
		t.Error(status, answer)
	}
}

// TestTheCosignatureVerifies: by the witness's key, over the text and the time, and by no other.
func TestTheCosignatureVerifies(t *testing.T) {
	l := newHistory(t, 9)
	dir := t.TempDir()
	w := openWitness(t, dir, l.signer.PublicKey())
	at := time.Unix(1_790_000_000, 0).UTC()
	w.now = func() time.Time { return at }
	_, _, line := submit(t, w, l.submission(0, 9))
	k, err := parseWitnessKey(w.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	signed := append(l.checkpoint(9), line...)
	if got, when, ok := openCosignature(signed, k); !ok || got != line || !when.Equal(at) {
		t.Errorf("%q, %s, %v", got, when, ok)
	}
	other := openWitness(t, t.TempDir())
	for name, c := range map[string]struct {
		signed []byte
		key    witnessKey
	}{
		"another key":  {signed, other.public()},
		"another name": {signed, witnessKey{"partner.test/other", k.key}},
		"another size": {append(l.checkpoint(8), line...), k},
		"no line":      {l.checkpoint(9), k},
		"no note":      {[]byte(line), k},
	} {
		if _, _, ok := openCosignature(c.signed, c.key); ok {
			t.Errorf("%s: taken", name)
		}
	}
	if _, _, _, err := openCheckpoint(signed, l.signer.public()); err != nil {
		t.Errorf("the line makes the checkpoint unreadable: %v", err)
	}
	for _, bad := range []string{"", "x", l.signer.PublicKey(), w.PublicKey() + "A", strings.Replace(w.PublicKey(), "partner", "partnes", 1), strings.ToUpper(w.PublicKey())} {
		if _, err := parseWitnessKey(bad); err == nil {
			t.Errorf("%q was taken for a witness's key", bad)
		}
	}
}

// TestAWitnessKeepsItsKeyAndIsAlone: the key is made once; two processes on one folder would each allow what the other has passed.
func TestAWitnessKeepsItsKeyAndIsAlone(t *testing.T) {
	dir := t.TempDir()
	w := openWitness(t, dir)
	if _, err := OpenWitness(dir, testWitness, nil); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := openWitness(t, dir)
	if again.PublicKey() != w.PublicKey() {
		t.Error("the key changed")
	}
	if err := errors.Join(again.Close(), os.Chmod(filepath.Join(dir, witnessKeyIn), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWitness(dir, testWitness, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
	if _, err := OpenWitness(t.TempDir(), "No Name", nil); err == nil {
		t.Error("a name with a space was taken")
	}
}

// TestAWitnessDoesNotBelieveAChangedFolder: what it cannot read, or did not write, is not "never seen".
func TestAWitnessDoesNotBelieveAChangedFolder(t *testing.T) {
	l := newHistory(t, 20)
	for name, change := range map[string]func(path string, was []byte) error{
		"emptied": func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		"cut":     func(path string, was []byte) error { return os.WriteFile(path, was[:len(was)-20], 0o600) },
		"smaller": func(path string, was []byte) error {
			return os.WriteFile(path, bytes.Replace(was, []byte("\n9\n"), []byte("\n1\n"), 1), 0o600)
		},
		"a folder": func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := openWitness(t, dir, l.signer.PublicKey())
			submit(t, w, l.submission(0, 9))
			path := w.path(witnessTrees, "carepost.test/ledger/3")
			was, err := os.ReadFile(path)
			if err := errors.Join(err, w.Close(), change(path, was)); err != nil {
				t.Fatal(err)
			}
			w = openWitness(t, dir, l.signer.PublicKey())
			for _, body := range [][]byte{l.submission(9, 20), l.submission(0, 20), l.submission(1, 20)} {
				if status, _, answer := submit(t, w, body); status != http.StatusInternalServerError {
					t.Errorf("%d %q", status, answer)
				}
			}
		})
	}
}

// TestWhatAWitnessSignsIsOneHistory: whatever is submitted, in whatever order, over restarts, the trees that were cosigned are each
// the beginning of the next.
func TestWhatAWitnessSignsIsOneHistory(t *testing.T) {
	l := newHistory(t, 24)
	histories := []*history{l, l.fork(3), l.fork(11)}
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "w")
		if err != nil {
			r.Fatal(err)
		}
		w := openWitness(t, dir, l.signer.PublicKey())
		var line []tlog.Hash // the root by size of the newest tree that was cosigned
		for range rapid.IntRange(1, 8).Draw(r, "requests") {
			h := histories[rapid.IntRange(0, 2).Draw(r, "history")]
			n := rapid.IntRange(0, 24).Draw(r, "size")
			old := rapid.OneOf(rapid.Just(max(len(line)-1, 0)), rapid.IntRange(0, 24)).Draw(r, "old")
			if rapid.IntRange(0, 4).Draw(r, "restart") == 0 {
				if err := w.Close(); err != nil {
					r.Fatal(err)
				}
				w = openWitness(t, dir, l.signer.PublicKey())
			}
			status, _, _ := submit(t, w, h.submission(old, n))
			if status != http.StatusOK {
				continue
			}
			if n < len(line)-1 {
				r.Fatalf("%d was cosigned after %d", n, len(line)-1)
			}
			for size, root := range line {
				if h.tree(size).root() != root {
					r.Fatalf("what was cosigned at %d is not the beginning", size)
				}
			}
			line = line[:0]
			for size := range n + 1 {
				line = append(line, h.tree(size).root())
			}
		}
		_ = w.Close()
	})
}

// TestAKilledWitnessTakesNothingBack kills a witness's process while it answers: what it gave out it still knows.
func TestAKilledWitnessTakesNothingBack(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	l := newHistory(t, 150)
	dir := t.TempDir()
	var last int
	for round := range 4 {
		p := startWitness(t, dir, l.signer.PublicKey())
		seen := make(chan int, 150)
		go func() {
			defer close(seen)
			for n := last + 1; n <= 150; n++ {
				res, err := http.Post(p.url, "text/plain", bytes.NewReader(l.submission(n-1, n)))
				if err != nil {
					return
				}
				_, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					return
				}
				seen <- n
			}
		}()
		for n := range seen {
			if last = n; n%25 == 15+round { // somewhere in the middle of the next answer
				p.kill(t)
			}
		}
		p.kill(t)
		w := openWitness(t, dir, l.signer.PublicKey())
		status, _, answer := submit(t, w, l.submission(0, 150))
		n, ok := parseSize(strings.TrimSuffix(answer, "\n"))
		if status != http.StatusConflict || !ok || int(n) < last || int(n) > last+1 {
			t.Fatalf("round %d: it gave out %d and answers %d %q", round, last, status, answer)
		}
		last = int(n) // the one that was on the disk and did not arrive
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last < 15 {
		t.Errorf("only %d were cosigned: nothing was tested", last)
	}
}

type witnessProcess struct {
	cmd *exec.Cmd
	url string
}

func startWitness(t *testing.T, dir, logs string) *witnessProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TEST_WITNESS_LOGS="+logs)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(out, b); err != nil {
			t.Fatal(err)
		}
		if b[0] == '\n' {
			break
		}
		url = append(url, b[0])
	}
	return &witnessProcess{cmd, string(url) + "/add-checkpoint"}
}

func (p *witnessProcess) kill(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()         // its status says that it was killed
}

func FuzzSubmission(f *testing.F) {
	l := newHistory(f, 20)
	f.Add(l.submission(0, 5))
	f.Add(l.submission(7, 20))
	f.Add([]byte("old 3\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSubmission(b)
		if err == nil && !bytes.Equal(s.bytes(), b) {
			t.Errorf("%q was read as %q", b, s.bytes())
		}
		w := &Witness{dir: t.TempDir(), seen: map[string]*seenTree{}, now: time.Now, logs: []publicKey{l.signer.public()}, key: l.signer.key, name: testWitness}
		_ = os.MkdirAll(filepath.Join(w.dir, witnessTrees), 0o700)
		status, _, answer := submit(t, w, b)
		if status == http.StatusOK && err != nil {
			t.Errorf("%q was cosigned: %q", b, answer)
		}
	})
}

func FuzzCosignature(f *testing.F) {
	l := newHistory(f, 5)
	w := openWitness(f, f.TempDir(), l.signer.PublicKey())
	_, _, line := submit(f, w, l.submission(0, 5))
	f.Add(string(l.checkpoint(5))+line, w.PublicKey())
	f.Add(line, l.signer.PublicKey())
	f.Fuzz(func(t *testing.T, signed, key string) {
		k, err := parseWitnessKey(key)
		if err != nil {
			k = w.public()
		} else if k.String() != strings.TrimSpace(key) {
			t.Errorf("%q was read as %q", key, k)
		}
		got, at, ok := openCosignature([]byte(signed), k)
		if ok && (!strings.Contains(signed, strings.TrimSuffix(got, "\n")) || at.Unix() < 0) {
			t.Errorf("%q, %s", got, at)
		}
	})
}

func FuzzWitnesses(f *testing.F) {
	w := openWitness(f, f.TempDir())
	f.Add("https://partner.test " + w.PublicKey() + "; ")
	f.Add("ftp://x y;")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseWitnesses(text)
		for _, a := range all {
			if err == nil && !strings.HasSuffix(a.url, "/add-checkpoint") {
				t.Errorf("%q", a.url)
			}
		}
	})
}
