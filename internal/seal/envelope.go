package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// The envelope: version 1 | key id 4, big endian | flags 1 | nonce 12 | ciphertext | tag 16.
const (
	version    = 1
	headerSize = 6
	nonceSize  = 12
	tagSize    = 16
	// Overhead is what an envelope adds to its plaintext, padding apart.
	Overhead = headerSize + nonceSize + tagSize
)

// Flags stand in the header and so in the associated data. A reader refuses those it does not know; 0x01 is kept for a plaintext
// that was compressed before sealing, which nothing writes.
const (
	flagPadded  = 0x02 // the plaintext ends in 0x80 and zeros up to a step of padStep
	flagSubject = 0x04 // the key id is the generation of the subject's key
	flagEpoch   = 0x08 // the key id is the number of an epoch of the ring
)

const (
	// padStep hides the length of small fields: "HIV" is as long as "hypertension".
	padStep = 32
	// maxPadded is the longest plaintext that is padded; above it lengths say little and the padding costs nothing to leave out.
	maxPadded = 4096
	// maxPlain is the most that one envelope holds: well below the 2^36-32 bytes of SP 800-38D 5.2.1.1. Larger content is cut in chunks.
	maxPlain = 64 << 20
	// label begins all associated data and all derivations.
	label = "carepost/1"
)

// Cell is the place of a sealed value: with the organisation it is bound into the envelope, so that a value moved to another row,
// column, table or organisation does not open.
type Cell struct {
	Table, Column string
	Row           []byte // the row's primary key without the organisation
}

var (
	errNoKey    = fault.New(fault.Sealed, "there is no key to open or seal this with")
	errEnvelope = fault.New(fault.Sealed, "not a sealed value of this version").Hint("it is cut short, or written by a later release: restore the row, or upgrade")
	errOpen     = fault.New(fault.Sealed, "a sealed value does not open").Hint("it was changed, moved from another place, or sealed under another key: restore the row from a backup")
	errTooLarge = fault.New(fault.TooLarge, "more than 64 MiB for one sealed value").Hint("cut it in chunks")
)

// newAEAD makes AES-256-GCM with the module's own random nonces, the only GCM that FIPS 140-3 mode lets a caller use to seal.
// Its sealed form is nonce | ciphertext | tag.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // never happens: keys are 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // never happens: the block is AES
	}
	return aead
}

// header is the clear part of an envelope.
type header struct {
	key   uint32
	flags byte
}

func (h header) append(b []byte) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, h.key)
	return append(b, h.flags)
}

func parseHeader(sealed []byte) (header, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return header{}, errEnvelope
	}
	h := header{key: binary.BigEndian.Uint32(sealed[1:]), flags: sealed[5]}
	if h.flags&^(flagPadded|flagSubject|flagEpoch) != 0 {
		return header{}, errEnvelope
	}
	return h, nil
}

// appendPart appends a part with its length before it, so that no two lists of parts give the same bytes.
func appendPart[T string | []byte](b []byte, part T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}

// associated gives the associated data: the header as it stands in the envelope, then label, table, column, row and organisation.
func associated(h header, c Cell, org id.Organisation) []byte {
	b := make([]byte, 0, headerSize+5*4+len(label)+len(c.Table)+len(c.Column)+len(c.Row)+4)
	b = h.append(b)
	b = appendPart(b, label)
	b = appendPart(b, c.Table)
	b = appendPart(b, c.Column)
	b = appendPart(b, c.Row)
	b = binary.BigEndian.AppendUint32(b, 4)
	return binary.BigEndian.AppendUint32(b, uint32(org))
}

// sealWith makes an envelope as the header says.
func sealWith(aead cipher.AEAD, h header, c Cell, org id.Organisation, plain []byte) ([]byte, error) {
	if len(plain) > maxPlain {
		return nil, errTooLarge
	}
	if h.flags&flagPadded != 0 {
		plain = pad(plain, len(plain)/padStep*padStep+padStep)
	}
	out := h.append(make([]byte, 0, Overhead+len(plain)))
	return aead.Seal(out, nil, plain, associated(h, c, org)), nil //nolint:gosec // G407: this AEAD draws its nonce itself and takes none
}

// openWith opens an envelope whose header was parsed and whose key was found by it: a key is never chosen by trying.
func openWith(aead cipher.AEAD, h header, c Cell, org id.Organisation, sealed []byte) ([]byte, error) {
	plain, err := aead.Open(nil, nil, sealed[headerSize:], associated(h, c, org))
	if err != nil {
		return nil, errOpen
	}
	if h.flags&flagPadded == 0 {
		return plain, nil
	}
	return unpad(plain)
}

// pad appends 0x80 and zeros up to size (ISO/IEC 7816-4): the true length is found again from the end.
func pad(plain []byte, size int) []byte {
	b := make([]byte, size)
	b[copy(b, plain)] = 0x80
	return b
}

func unpad(b []byte) ([]byte, error) {
	end := len(bytes.TrimRight(b, "\x00")) - 1
	if len(b)%padStep != 0 || end < 0 || b[end] != 0x80 || len(b)-end > padStep {
		return nil, errOpen
	}
	return b[:end], nil
}
