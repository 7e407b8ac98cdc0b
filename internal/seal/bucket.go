package seal

import (
	"context"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Bucket is a key that wraps the keys of subjects, for opening very many of them: it is found in a transaction, by one goroutine, and
// opens in any. It cannot be printed: it has nothing but a Key.
type Bucket struct{ key Key }

// BucketNumber gives the number of the bucket that a wrapped key names, 0 when it names none.
func BucketNumber(wrapped []byte) uint32 {
	h, err := parseHeader(wrapped)
	if err != nil {
		return 0
	}
	return h.key
}

// Bucket finds a bucket of the transaction's organisation by its number.
func (k *Keys) Bucket(ctx context.Context, tx *store.Tx, number uint32) (Bucket, error) {
	s, err := k.find(ctx, tx, number)
	return Bucket{Key{s}}, err
}

// Subject opens a subject's wrapped key.
func (b Bucket) Subject(subject id.UUID, wrapped []byte) (Key, error) {
	if b.key.s == nil {
		return Key{}, fault.New(fault.Sealed, "the key of this record was destroyed: what it sealed is gone for good").At("%s", subject)
	}
	return openSubject(b.key.s, subject, wrapped)
}

// OpenInto is Open with memory to work in: what it gives lies in buf where that is long enough.
func (key Key) OpenInto(buf []byte, c Cell, sealed []byte) ([]byte, error) {
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
	plain, err := key.s.aead.Open(buf[:0], nil, sealed[headerSize:], associated(h, c, key.s.org))
	if err != nil {
		return nil, errOpen
	}
	if h.flags&flagPadded == 0 {
		return plain, nil
	}
	return unpad(plain)
}
