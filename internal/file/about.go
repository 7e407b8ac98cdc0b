package file

import (
	"encoding/binary"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// About describes a whole file.
type About struct {
	Name   string // as the person named it
	Media  string // media type, as in text/csv
	Size   int64
	Digest [32]byte  // SHA-256 of the content
	Made   time.Time // when it became whole
}

const (
	aboutVersion = 1
	maxName      = 1 << 10
)

// encode gives version, size, digest, name and media type; lengths and numbers are unsigned varints.
func (a About) encode() []byte {
	b := []byte{aboutVersion}
	b = binary.AppendUvarint(b, uint64(a.Size))
	b = append(b, a.Digest[:]...)
	for _, s := range []string{a.Name, a.Media} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func decode(b []byte) (a About, err error) {
	bad := fault.New(fault.Internal, "the description of a file cannot be read")
	if len(b) == 0 || b[0] != aboutVersion {
		return a, bad
	}
	b = b[1:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > 1<<62 || len(b) < n+len(a.Digest) {
		return a, bad
	}
	a.Size = int64(size)
	b = b[n+copy(a.Digest[:], b[n:]):]
	for _, to := range []*string{&a.Name, &a.Media} {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return a, bad
		}
		*to = string(b[n : n+int(length)])
		b = b[n+int(length):]
	}
	if len(b) != 0 {
		return a, bad
	}
	return a, nil
}
