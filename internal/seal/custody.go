package seal

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/carepost/carepost/internal/fault"
)

// Wrapper keeps the key of the ring's file somewhere else than beside it: without the wrapper's consent the file is noise. Each writing
// of the file draws a new key, so that an old copy of the file is opened by the wrapper only, and never by the key of a newer one.
type Wrapper interface {
	// Name stands in the file: a ring is opened by the kind of custody it was closed by.
	Name() string
	Wrap(key []byte) (wrapped []byte, err error)
	Unwrap(wrapped []byte) (key []byte, err error)
}

// A ring in custody: magic 16 | length of the name 1 | name | length of the wrapped key 2 | wrapped key | nonce 12 | ciphertext of a
// plain ring | tag 16. All before the nonce is the associated data.
const (
	wrappedMagic   = "carepost ring 2\n"
	maxWrapperName = 32
	maxWrappedKey  = 8 << 10
	maxWrapping    = len(wrappedMagic) + 1 + maxWrapperName + 2 + maxWrappedKey + nonceSize + tagSize
)

var errWrapping = fault.New(fault.Sealed, "not a whole ring of epoch keys").Hint("it is cut short or damaged: put the last copy of the ring in its place")

// wrapping closes and opens the bytes of a ring's file.
type wrapping struct {
	by Wrapper

	mu      sync.Mutex
	vault   vault
	next    *keyBytes // drawn and wrapped, and not used yet
	key     *keyBytes // of the file as it was last read or written
	wrapped []byte    // that key
	coming  []byte    // the next key, wrapped
}

func newWrapping(w Wrapper) *wrapping { return &wrapping{by: w} }

func wrapped(data []byte) bool { return bytes.HasPrefix(data, []byte(wrappedMagic)) }

// prepare draws and wraps the key of the next writing, before any lock is taken: the wrapper may be at the other end of a network.
func (c *wrapping) prepare() error {
	if c == nil || c.by == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		return nil
	}
	key := newKey()
	coming, err := c.by.Wrap(key)
	if err != nil {
		clear(key)
		return err
	}
	if len(coming) == 0 || len(coming) > maxWrappedKey {
		clear(key)
		return fault.New(fault.Sealed, "the custody gave a wrapped key of %d bytes", len(coming))
	}
	c.next, c.coming = c.vault.keep(key), coming
	return nil
}

// close gives the bytes of the file for those of a plain ring.
func (c *wrapping) close(plain []byte) ([]byte, error) {
	if c == nil || c.by == nil {
		return bytes.Clone(plain), nil
	}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.by.Name()
	head := append([]byte(wrappedMagic), byte(len(name)))
	head = append(head, name...)
	head = binary.BigEndian.AppendUint16(head, uint16(len(c.coming)))
	head = append(head, c.coming...)
	out := newAEAD(c.next[:]).Seal(bytes.Clone(head), nil, plain, head) //nolint:gosec // G407: this AEAD draws its nonce itself and takes none
	c.take(c.next, c.coming)
	c.next, c.coming = nil, nil
	return out, nil
}

// take keeps the key of the file as it is now; called with mu held.
func (c *wrapping) take(key *keyBytes, wrapped []byte) {
	if c.key != nil && c.key != key {
		c.vault.forget(c.key)
	}
	c.key, c.wrapped = key, wrapped
}

// open gives the bytes of the plain ring in a file.
func (c *wrapping) open(data []byte) ([]byte, error) {
	if !wrapped(data) {
		return bytes.Clone(data), nil
	}
	head, name, inner, err := parseWrapped(data)
	if err != nil {
		return nil, err
	}
	if c == nil || c.by == nil || c.by.Name() != name {
		return nil, fault.New(fault.Sealed, "the ring of epoch keys is in the custody of %s", name).Hint("set custody to %s, as when it was written", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == nil || !bytes.Equal(c.wrapped, inner) {
		key, err := c.by.Unwrap(inner)
		if err != nil {
			return nil, err
		}
		if len(key) != keySize {
			return nil, fault.New(fault.Sealed, "the custody gave back a key of %d bytes", len(key)).Hint("the ring was wrapped by another installation")
		}
		c.take(c.vault.keep(key), bytes.Clone(inner))
	}
	plain, err := newAEAD(c.key[:]).Open(nil, nil, data[len(head):], head)
	if err != nil {
		return nil, errWrapping
	}
	return plain, nil
}

// parseWrapped cuts a file into its head, the name and the wrapped key in it.
func parseWrapped(data []byte) (head []byte, name string, inner []byte, err error) {
	rest := data[len(wrappedMagic):]
	if len(rest) < 1 || rest[0] == 0 || int(rest[0]) > maxWrapperName || len(rest) < 1+int(rest[0])+2 {
		return nil, "", nil, errWrapping
	}
	named := rest[1 : 1+int(rest[0])]
	for _, b := range named {
		if (b < 'a' || b > 'z') && b != '-' {
			return nil, "", nil, errWrapping
		}
	}
	rest = rest[1+len(named):]
	n := int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	if n == 0 || n > maxWrappedKey || len(rest) < n+nonceSize+tagSize {
		return nil, "", nil, errWrapping
	}
	head = data[:len(data)-len(rest)+n]
	return head, string(named), rest[:n], nil
}
