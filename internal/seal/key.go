package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/carepost/carepost/internal/id"
)

// redacted is all that a key, a ring or a set of keys ever prints.
const redacted = "[sealed]"

// Key seals and opens values of one organisation: a month's key or a subject's. The zero Key refuses. It cannot be printed.
type Key struct{ s *secret }

// secret is one key in use. The bytes of keys that are cached lie in a locked page; a subject's lives as long as its Key.
type secret struct {
	id    uint32 // of seal_key, or the generation of a subject's key
	flags byte   // flagSubject or nothing
	org   id.Organisation
	raw   *keyBytes
	aead  cipher.AEAD

	macOnce sync.Once
	macPool sync.Pool // of hash.Hash, keyed

	seals   atomic.Int64 // made by this process
	claimed atomic.Int64 // of them covered by a bump of seal_key.used that was tried
	covered atomic.Int64 // of them covered by a bump that is committed
}

func newSecret(number uint32, flags byte, org id.Organisation, raw *keyBytes) *secret {
	return &secret{id: number, flags: flags, org: org, raw: raw, aead: newAEAD(raw[:])}
}

// IsZero tells whether there is no key.
func (key Key) IsZero() bool { return key.s == nil }

// Seal makes the envelope of a value for its cell. Small values are padded to steps of 32 bytes.
func (key Key) Seal(c Cell, plain []byte) ([]byte, error) {
	if key.s == nil {
		return nil, errNoKey
	}
	h := header{key: key.s.id, flags: key.s.flags}
	if len(plain) <= maxPadded {
		h.flags |= flagPadded
	}
	key.s.seals.Add(1)
	return sealWith(key.s.aead, h, c, key.s.org, plain)
}

// Open gives the value of an envelope that this key sealed for this cell.
func (key Key) Open(c Cell, sealed []byte) ([]byte, error) {
	if key.s == nil {
		return nil, errNoKey
	}
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, err
	}
	if h.key != key.s.id || h.flags&^flagPadded != key.s.flags {
		return nil, errOpen
	}
	return openWith(key.s.aead, h, c, key.s.org, sealed)
}

// MAC gives the HMAC-SHA-256 of a label and parts, each with its length, under a key derived from this one; the zero Key gives zeros.
func (key Key) MAC(name string, parts ...[]byte) [32]byte {
	var sum [32]byte
	if key.s == nil {
		return sum
	}
	key.s.macOnce.Do(func() { key.s.macPool.New = pooled(derive(key.s.raw[:], "mac")) })
	mac := key.s.macPool.Get().(*keyed)
	defer key.s.macPool.Put(mac)
	msg := appendPart(mac.buf[:0], name)
	for _, p := range parts {
		msg = appendPart(msg, p)
	}
	mac.sum(msg, &sum)
	clear(msg)
	mac.buf = msg
	return sum
}

// derive gives a key for one use from a key of the tree: HKDF-Expand (RFC 5869 2.3) with the label and the names of the use, each with
// its length, as info. Extract is not needed: the keys of the tree are uniform.
func derive(raw []byte, use ...string) []byte {
	info := appendPart(nil, label)
	for _, u := range use {
		info = appendPart(info, u)
	}
	key, err := hkdf.Expand(sha256.New, raw, string(info), keySize)
	if err != nil {
		panic(err) // never happens: 32 bytes are below the limit of 255 hashes
	}
	return key
}

// String gives "[sealed]".
func (Key) String() string { return redacted }

// Format gives "[sealed]" for every verb.
func (Key) Format(f fmt.State, _ rune) { redact(f) }

// LogValue gives "[sealed]".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[sealed]"; JSON uses it too.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func redact(w io.Writer) {
	// The writer is fmt's buffer: it takes all.
	_, _ = io.WriteString(w, redacted)
}

// keyed is an HMAC state that keeps its key: used again, it costs a tenth of a new one.
type keyed struct {
	h interface {
		io.Writer
		Sum([]byte) []byte
		Reset()
	}
	buf []byte
	out [sha256.Size]byte
}

func pooled(key []byte) func() any {
	return func() any { return &keyed{h: hmac.New(sha256.New, key)} }
}

func (k *keyed) sum(msg []byte, sum *[32]byte) {
	k.h.Reset()
	_, _ = k.h.Write(msg) // a hash takes all
	k.h.Sum(k.out[:0])
	*sum = k.out
}
