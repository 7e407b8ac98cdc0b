package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/fault"
)

// Witness watches the ledgers of others: it cosigns a checkpoint when it continues what it cosigned before, and never one that does
// not. It is an http.Handler of C2SP tlog-witness, and keeps what it saw in a folder of its own: a restart, a kill or a power failure
// takes nothing back, since a checkpoint is on the disk before its cosignature leaves.
type Witness struct {
	dir  string
	key  ed25519.PrivateKey
	name string
	logs []publicKey
	now  func() time.Time
	lock *os.File

	mu   sync.Mutex
	seen map[string]*seenTree // by origin
}

// seenTree is the newest checkpoint that was cosigned of one tree.
type seenTree struct {
	mu   sync.Mutex // from the comparison to the answer: two requests must not pass each other
	read bool
	last checkpoint // size 0: none yet
}

// The witness's folder: the lock, the key, the newest checkpoint of each tree, and for each tree that showed two histories the
// second one, as its log signed it.
const (
	witnessLock  = "lock"
	witnessKeyIn = "witness.key"
	witnessTrees = "trees"
	witnessForks = "forks"
)

// OpenWitness opens a witness's folder and makes it, with a key of the given name, when it is not there. The logs are the public keys
// of the ledgers that it watches: every tree of each, in every epoch.
func OpenWitness(dir, name string, logs []string) (w *Witness, err error) {
	w = &Witness{dir: dir, now: time.Now, seen: map[string]*seenTree{}}
	for _, text := range logs {
		pub, err := parsePublicKey(text)
		if err != nil {
			return nil, err
		}
		w.logs = append(w.logs, pub)
	}
	for _, d := range []string{dir, filepath.Join(dir, witnessTrees), filepath.Join(dir, witnessForks)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the witness's folder cannot be made").At("%s", d)
		}
	}
	if w.lock, err = lockWitness(filepath.Join(dir, witnessLock)); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, witnessKeyIn)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createWitnessKey(path, name); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	if w.name, w.key, err = openWitnessKey(path); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// lockWitness makes this process the only one that signs from the folder: two would each allow what the other has passed.
func lockWitness(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the witness's folder cannot be locked").At("%s", path)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Conflict, err, "another process already is this witness").At("%s", path).Hint("stop it first, or give this one a folder of its own"), f.Close())
	}
	return f, nil
}

// Close lets another process be the witness.
func (w *Witness) Close() error { return w.lock.Close() }

// PublicKey gives the line that those who rely on the witness need: name+hash+base64.
func (w *Witness) PublicKey() string { return w.public().String() }

func (w *Witness) public() witnessKey {
	return witnessKey{name: w.name, key: w.key.Public().(ed25519.PublicKey)}
}

// createWitnessKey makes a new key in a new file that only its owner reads.
func createWitnessKey(path, name string) error {
	if !originForm.MatchString(name) {
		return fault.New(fault.Invalid, "not a name for a witness").At("name").Hint("write a host of yours and a path, in lower case: partner.example.org/witness")
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make the witness's key: %w", err)
	}
	raw := append([]byte{noteCosignature}, private.Seed()...)
	text := fmt.Sprintf("%s%s+%08x+%s\n", signerHead, name, witnessKey{name, public}.KeyHash(), base64.StdEncoding.EncodeToString(raw))
	return replaceFile(path, []byte(text))
}

// openWitnessKey reads a private key as createWitnessKey writes it.
func openWitnessKey(path string) (name string, key ed25519.PrivateKey, err error) {
	text, err := readPrivate(path, "the witness's key")
	if err != nil {
		return "", nil, err
	}
	parts := strings.SplitN(strings.TrimPrefix(text, signerHead), "+", 3)
	if len(parts) == 3 && originForm.MatchString(parts[0]) {
		raw, err := base64.StdEncoding.DecodeString(parts[2])
		if err == nil && len(raw) == 1+ed25519.SeedSize && raw[0] == noteCosignature {
			return parts[0], ed25519.NewKeyFromSeed(raw[1:]), nil
		}
	}
	return "", nil, fault.New(fault.Invalid, "not a witness's key").At("%s", path).Hint("it is one line that begins with %s", signerHead)
}

// ServeHTTP answers POST /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/add-checkpoint" {
		http.Error(rw, "only /add-checkpoint is here", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "use POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxSubmission))
	if err != nil {
		http.Error(rw, "the body is too long or broke off", http.StatusBadRequest)
		return
	}
	a := w.add(r.Context(), body)
	if a.size >= 0 {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
	} else {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(a.status)
	_, _ = io.WriteString(rw, a.body) // the other end is gone: it asks again
}

// answer is what the witness says. size is that of the newest tree cosigned, in a 409 only; -1 otherwise.
type answer struct {
	status int
	body   string
	size   int64
}

func refused(status int, text string) answer {
	return answer{status: status, body: text + "\n", size: -1}
}

func conflict(size int64) answer {
	return answer{status: http.StatusConflict, body: strconv.FormatInt(size, 10) + "\n", size: size}
}

// add decides on one submission, in the order of the specification.
func (w *Witness) add(ctx context.Context, body []byte) answer {
	s, err := parseSubmission(body)
	if err != nil {
		return refused(http.StatusBadRequest, fault.Text(err))
	}
	origin, _, _ := strings.Cut(string(s.note), "\n")
	keys := w.verifiers(origin)
	if len(keys) == 0 {
		return refused(http.StatusNotFound, "this witness does not watch that log")
	}
	n, err := note.Open(s.note, note.VerifierList(keys...))
	if err != nil {
		return refused(http.StatusForbidden, "no signature under the checkpoint is by a key known of that log")
	}
	to, err := parseSeen(n.Text)
	if err != nil {
		return refused(http.StatusBadRequest, fault.Text(err))
	}
	if s.old > to.size {
		return refused(http.StatusBadRequest, "the old size is above the checkpoint's")
	}
	tree := w.tree(origin)
	tree.mu.Lock()
	defer tree.mu.Unlock()
	if err := w.recall(tree, origin); err != nil {
		slog.ErrorContext(ctx, "the witness cannot read what it saw of a tree; it signs nothing of it", "origin", origin, "error", err)
		return refused(http.StatusInternalServerError, "the witness cannot read what it saw")
	}
	switch {
	case s.old != tree.last.size:
		return conflict(tree.last.size)
	case s.old == to.size && to.size > 0 && to.root != tree.last.root:
		w.accuse(ctx, origin, s.note)
		return conflict(tree.last.size)
	case !s.proves(tree.last, to):
		slog.WarnContext(ctx, "a log could not prove that it continues what this witness saw", "origin", origin, "old", s.old, "size", to.size)
		return refused(http.StatusUnprocessableEntity, "the proof does not lead from the tree that this witness saw to this one")
	}
	return w.cosign(ctx, tree, n, to)
}

// cosign puts the checkpoint on the disk, then answers with the line.
func (w *Witness) cosign(ctx context.Context, tree *seenTree, n *note.Note, to checkpoint) answer {
	at := w.now().Unix()
	sig := binary.BigEndian.AppendUint64(nil, uint64(at))
	sig = append(sig, ed25519.Sign(w.key, cosigned(at, []byte(n.Text)))...)
	line := signatureLine(w.name, w.public().KeyHash(), sig)
	kept := n.Text + "\n"
	for _, s := range n.Sigs { // the log's own only: those that were verified
		kept += "— " + s.Name + " " + s.Base64 + "\n"
	}
	if err := replaceFile(w.path(witnessTrees, to.origin), []byte(kept+line)); err != nil {
		slog.ErrorContext(ctx, "the witness cannot keep a checkpoint; it does not cosign it", "origin", to.origin, "error", err)
		return refused(http.StatusInternalServerError, "the witness cannot keep the checkpoint")
	}
	tree.last = to
	return answer{status: http.StatusOK, body: line, size: -1}
}

// accuse keeps the proof that a log signed two histories: a checkpoint of the size that was cosigned, with another root.
func (w *Witness) accuse(ctx context.Context, origin string, signed []byte) {
	path := w.path(witnessForks, origin)
	slog.ErrorContext(ctx, "a log signed two histories of one size; the second one is kept", "origin", origin, "file", path)
	if _, err := os.Lstat(path); err == nil {
		return // the first is proof enough
	}
	if err := replaceFile(path, signed); err != nil {
		slog.ErrorContext(ctx, "the proof of two histories cannot be kept", "error", err)
	}
}

// verifiers gives the keys known for an origin: a ledger's key is that of all its trees.
func (w *Witness) verifiers(origin string) (all []note.Verifier) {
	for _, pub := range w.logs {
		if _, _, ok := parseTreeOrigin(pub.origin, origin); !ok && origin != pub.origin {
			continue
		}
		if v, err := pub.verifier(origin); err == nil {
			all = append(all, v)
		}
	}
	return all
}

func (w *Witness) tree(origin string) *seenTree {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.seen[origin]
	if t == nil {
		t = &seenTree{}
		w.seen[origin] = t
	}
	return t
}

func (w *Witness) path(kind, origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(w.dir, kind, hex.EncodeToString(sum[:16]))
}

// recall reads what was cosigned of a tree, once. What it cannot read, or did not sign itself, it does not take for nothing.
func (w *Witness) recall(t *seenTree, origin string) error {
	if t.read {
		return nil
	}
	raw, err := os.ReadFile(w.path(witnessTrees, origin))
	if errors.Is(err, fs.ErrNotExist) {
		t.read = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was cosigned: %w", err)
	}
	text, _, _ := bytes.Cut(raw, []byte("\n\n"))
	last, err := parseSeen(string(text) + "\n")
	if err != nil {
		return err
	}
	if _, _, ok := openCosignature(raw, w.public()); !ok || last.origin != origin {
		return errors.New("the file is not what this witness wrote")
	}
	t.last, t.read = last, true
	return nil
}

// parseSeen reads a checkpoint of any log: a witness passes over extension lines, which it signs with the rest.
func parseSeen(text string) (checkpoint, error) {
	lines := strings.SplitAfterN(text, "\n", 4)
	return parseCheckpoint(strings.Join(lines[:min(3, len(lines))], ""))
}
