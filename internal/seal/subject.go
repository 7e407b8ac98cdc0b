package seal

import (
	"context"
	"encoding/binary"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// A subject is one whom records are about: a person. Its key is wrapped by one of 256 bucket keys of the organisation, chosen by the
// last byte of its id, and kept in its own row: shredding it costs one bucket's re-wrap, and no other subject anything.

// generationFirst is the generation of a subject's first key.
const generationFirst = 1

// NewSubject makes a key for a subject of the transaction's organisation; the wrapped form belongs in the subject's row.
func (k *Keys) NewSubject(ctx context.Context, tx *store.Tx, subject id.UUID) (Key, []byte, error) {
	if err := k.guard(ctx, tx); err != nil {
		return Key{}, nil, err
	}
	bucket, err := k.sealing(ctx, tx, slot{tx.Organisation(), purposeBucket, uint32(subject[15])})
	if err != nil {
		return Key{}, nil, err
	}
	raw := newKey()
	wrapped, err := wrapSubject(bucket, subject, generationFirst, raw)
	if err != nil {
		return Key{}, nil, err
	}
	return Key{newSecret(generationFirst, flagSubject, bucket.org, (*keyBytes)(raw))}, wrapped, nil
}

// wrapSubject seals a subject's key, of a generation, under a bucket's.
func wrapSubject(bucket *secret, subject id.UUID, generation uint32, raw []byte) ([]byte, error) {
	plain := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+keySize), generation), raw...)
	defer clear(plain)
	bucket.seals.Add(1)
	return sealWith(bucket.aead, header{key: bucket.id}, subjectCell(subject), bucket.org, plain)
}

// keyBytesOf is a key's id as it stands in an envelope.
func keyBytesOf(number uint32) (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], number)
	return b
}

// Subject opens the wrapped key of a subject of the transaction's organisation.
func (k *Keys) Subject(ctx context.Context, tx *store.Tx, subject id.UUID, wrapped []byte) (Key, error) {
	if len(wrapped) == 0 {
		return Key{}, fault.New(fault.Sealed, "the key of this record was destroyed: what it sealed is gone for good").At("%s", subject)
	}
	h, err := parseHeader(wrapped)
	if err != nil {
		return Key{}, err
	}
	bucket, err := k.find(ctx, tx, h.key)
	if err != nil {
		return Key{}, err
	}
	return openSubject(bucket, subject, wrapped)
}

func openSubject(bucket *secret, subject id.UUID, wrapped []byte) (Key, error) {
	h, err := parseHeader(wrapped)
	if err != nil {
		return Key{}, err
	}
	if h.flags != 0 || h.key != bucket.id {
		return Key{}, errOpen
	}
	plain, err := openWith(bucket.aead, h, subjectCell(subject), bucket.org, wrapped)
	if err != nil {
		return Key{}, err
	}
	if len(plain) != 4+keySize {
		return Key{}, errOpen
	}
	return Key{newSecret(binary.BigEndian.Uint32(plain), flagSubject, bucket.org, (*keyBytes)(plain[4:]))}, nil
}

// subjectCell binds a wrapped key to its subject, whatever table the owner keeps it in.
func subjectCell(subject id.UUID) Cell {
	return Cell{Table: "subject", Column: "key", Row: subject[:]}
}
