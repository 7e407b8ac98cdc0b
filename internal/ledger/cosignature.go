package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/carepost/carepost/internal/fault"
)

// A cosignature is a witness's line under a checkpoint: at this time, this was the largest tree that it had seen of the log, and it
// continued all that it had seen before. C2SP tlog-cosignature, Ed25519: cosignature/v1.

// noteCosignature is the type byte of a cosignature/v1 key in C2SP signed-note.
const noteCosignature = 4

const cosignatureSize = 8 + ed25519.SignatureSize // seconds since 1970, then the signature

// Cosignature is a witness's statement as a verifier found it.
type Cosignature struct {
	Witness string    `json:"witness"` // the key's name
	Size    int64     `json:"size"`    // entries of the tree that it saw
	Time    time.Time `json:"time"`
}

// witnessKey is a witness's public key. It is a note.Verifier.
type witnessKey struct {
	name string
	key  ed25519.PublicKey
}

// parseWitnessKey reads a verifier key: name+hash+base64(type 4, key).
func parseWitnessKey(text string) (k witnessKey, err error) {
	bad := fault.New(fault.Invalid, "not a witness's public key").
		Hint("it is one line: a name, a plus, eight hex digits, a plus, base64 of an Ed25519 cosignature key; carepost ledger witness prints it")
	text = strings.TrimSpace(text)
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 || !originForm.MatchString(parts[0]) {
		return k, bad
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != noteCosignature {
		return k, bad
	}
	k = witnessKey{name: parts[0], key: raw[1:]}
	if k.String() != text {
		return witnessKey{}, bad
	}
	return k, nil
}

// Name, KeyHash and Verify make it a note.Verifier.
func (k witnessKey) Name() string { return k.name }

// KeyHash gives the first four bytes of the key's fingerprint.
func (k witnessKey) KeyHash() uint32 { return keyHash(k.name, k.raw()) }

func (k witnessKey) raw() []byte { return append([]byte{noteCosignature}, k.key...) }

func keyHash(name string, raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return binary.BigEndian.Uint32(sum[:])
}

// Verify checks a cosignature over the text of a checkpoint.
func (k witnessKey) Verify(msg, sig []byte) bool {
	at, ok := cosignedAt(sig)
	return ok && ed25519.Verify(k.key, cosigned(at, msg), sig[8:])
}

// String gives the verifier key.
func (k witnessKey) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.KeyHash(), base64.StdEncoding.EncodeToString(k.raw()))
}

// identity tells it from a key that the witness had before: name and hash.
func (k witnessKey) identity() string { return fmt.Sprintf("%s+%08x", k.name, k.KeyHash()) }

// cosigned gives the bytes that a witness signs.
func cosigned(at int64, msg []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), msg...)
}

// cosignedAt gives the time in a cosignature, in seconds.
func cosignedAt(sig []byte) (int64, bool) {
	if len(sig) != cosignatureSize {
		return 0, false
	}
	at := binary.BigEndian.Uint64(sig)
	return int64(at), at <= math.MaxInt64
}

// signatureLine gives a line of a signed note.
func signatureLine(name string, hash uint32, sig []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, hash), sig...)) + "\n"
}

// openCosignature finds a witness's line under a signed checkpoint: the line, and when it was made. A line of another key, or one that
// does not verify, is none.
func openCosignature(signed []byte, k witnessKey) (line string, at time.Time, ok bool) {
	n, err := note.Open(signed, note.VerifierList(k))
	if err != nil {
		return "", at, false
	}
	for _, s := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) != 4+cosignatureSize {
			continue
		}
		seconds, ok := cosignedAt(raw[4:])
		return signatureLine(s.Name, s.Hash, raw[4:]), time.Unix(seconds, 0).UTC(), ok
	}
	return "", at, false
}
