package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Signer signs checkpoints with the installation's Ed25519 note key. Its key is its own, under no other: whoever verifies needs
// it long after the keys of the data are gone. It cannot be printed.
type Signer struct {
	origin string // "<host>/ledger"
	key    ed25519.PrivateKey
	mark   string // path of ledger.mark
}

// noteEd25519 is the type byte of an Ed25519 key in C2SP signed-note.
const noteEd25519 = 1

const signerHead = "PRIVATE+KEY+"

// originForm: a host and a path, without what a note's name forbids.
var originForm = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$`)

// CreateSigner makes a new key in a new file that only its owner reads. The origin is "<host>/ledger".
func CreateSigner(path, origin string) error {
	if !originForm.MatchString(origin) {
		return fault.New(fault.Invalid, "not an origin of a ledger").At("origin").Hint("write the host and /ledger, in lower case: carepost.example.org/ledger")
	}
	skey, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("make the ledger's key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "the ledger's key exists already").At("%s", path).Hint("keep it: checkpoints that it signed are verified with it")
	}
	if err != nil {
		return fmt.Errorf("create the ledger's key: %w", err)
	}
	_, err = f.WriteString(skey + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the ledger's key: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// OpenSigner reads the key. The mark of what was signed is kept beside it, so that a restored data folder cannot bring an old
// mark along.
func OpenSigner(path string) (Signer, error) {
	text, err := readPrivate(path, "the ledger's key")
	if fault.Is(err, fault.NotFound) {
		return Signer{}, fault.New(fault.NotFound, "there is no ledger key").At("%s", path).Hint("carepost init makes one; after a loss, put back the copy")
	}
	if err != nil {
		return Signer{}, err
	}
	s, ok := parseSigner(text)
	if !ok {
		return Signer{}, fault.New(fault.Invalid, "not a ledger key").At("%s", path).Hint("it is one line that begins with %s", signerHead)
	}
	s.mark = filepath.Join(filepath.Dir(path), "ledger.mark")
	return s, nil
}

// readPrivate reads a key file of one line, and refuses one that others may read.
func readPrivate(path, what string) (string, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.NotFound, "%s is not there", what).At("%s", path)
	}
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return "", fault.New(fault.Forbidden, "%s is not a plain file", what).At("%s", path).Hint("put the file itself there, not a link")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fault.New(fault.Forbidden, "others may read %s", what).At("%s", path).Hint("chmod 600 %s", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", what, err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// parseSigner reads a signed-note private key: PRIVATE+KEY+name+hash+base64(type, seed).
func parseSigner(text string) (s Signer, ok bool) {
	if _, err := note.NewSigner(text); err != nil {
		return s, false
	}
	parts := strings.SplitN(strings.TrimPrefix(text, signerHead), "+", 3)
	if len(parts) != 3 {
		return s, false
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != noteEd25519 || !originForm.MatchString(parts[0]) {
		return s, false
	}
	return Signer{origin: parts[0], key: ed25519.NewKeyFromSeed(raw[1:])}, true
}

// Origin gives "<host>/ledger".
func (s Signer) Origin() string { return s.origin }

// PublicKey gives the verifier key for Verify and for any C2SP signed-note reader: "<host>/ledger+1b2c3d4e+base64".
func (s Signer) PublicKey() string {
	text, err := note.NewEd25519VerifierKey(s.origin, s.public().key)
	if err != nil {
		panic(err) // never happens: the key was checked when it was read
	}
	return text
}

// TreeKey gives the verifier key of one tree: the same key under the tree's own origin, as witnesses and other C2SP tools want it.
func (l *Ledger) TreeKey(org id.Organisation, epoch int64) string {
	text, err := note.NewEd25519VerifierKey(treeOrigin(l.signer.origin, org, epoch), l.signer.public().key)
	if err != nil {
		panic(err) // never happens: the key was checked when it was read
	}
	return text
}

func (s Signer) public() publicKey {
	return publicKey{origin: s.origin, key: s.key.Public().(ed25519.PublicKey)}
}

// sign gives the signed note of a checkpoint. The key's name is the checkpoint's origin, as tlog-checkpoint asks.
func (s Signer) sign(c checkpoint) ([]byte, error) {
	ts, err := newTreeSigner(c.origin, s)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: c.text()}, ts)
}

// treeSigner is the one key under the name of one tree.
type treeSigner struct {
	note.Verifier
	key ed25519.PrivateKey
}

func newTreeSigner(origin string, s Signer) (treeSigner, error) {
	v, err := s.public().verifier(origin)
	return treeSigner{Verifier: v, key: s.key}, err
}

func (s treeSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// String gives "[sealed]".
func (Signer) String() string { return "[sealed]" }

// Format gives "[sealed]" for every verb.
func (Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[sealed]") }

// LogValue gives "[sealed]".
func (Signer) LogValue() slog.Value { return slog.StringValue("[sealed]") }

// publicKey is the installation's key as a verifier holds it.
type publicKey struct {
	origin string
	key    ed25519.PublicKey
}

// parsePublicKey reads a verifier key: name+hash+base64(type, key).
func parsePublicKey(text string) (publicKey, error) {
	bad := fault.New(fault.Invalid, "not a ledger's public key").Hint("it is one line: the origin, a plus, eight hex digits, a plus, base64")
	text = strings.TrimSpace(text)
	if _, err := note.NewVerifier(text); err != nil {
		return publicKey{}, bad
	}
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return publicKey{}, bad
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != noteEd25519 {
		return publicKey{}, bad
	}
	return publicKey{origin: parts[0], key: raw[1:]}, nil
}

func (p publicKey) verifier(name string) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, p.key)
	if err != nil {
		return nil, fmt.Errorf("name a ledger's public key: %w", err)
	}
	return note.NewVerifier(text)
}

// fingerprint is the first four bytes of the key's fingerprint under the installation's name, for messages.
func (p publicKey) fingerprint() string {
	v, err := p.verifier(p.origin)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%x", binary.BigEndian.AppendUint32(nil, v.KeyHash()))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open the folder of the ledger's key: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
