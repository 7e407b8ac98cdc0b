package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/carepost/carepost/internal/fault"
)

// Detail is what is sealed beside a leaf: ids, codes and reasons by name.
type Detail map[string]string

const (
	detailVersion  = 1
	detailMaxBytes = 48 << 10 // of the encoded detail: a list of reasons fits a hundred times over
	detailMaxPairs = 256
	openerSize     = 32 // r, in front of the encoded detail
)

// append encodes the detail: version, number of pairs, then each pair in the order of the names' bytes, each text with its
// length before it; numbers as unsigned varints. One detail has one encoding, since the leaf commits to it.
func (d Detail) append(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, detailVersion)
	b = binary.AppendUvarint(b, uint64(len(d)))
	for _, name := range slices.Sorted(maps.Keys(d)) {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, uint64(len(d[name])))
		b = append(b, d[name]...)
	}
	if len(d) > detailMaxPairs || len(b)-start > detailMaxBytes {
		return nil, fault.New(fault.TooLarge, "the detail of a ledger entry has more than %d names or %d bytes", detailMaxPairs, detailMaxBytes)
	}
	return b, nil
}

// parseDetail reads an encoded detail; it takes no encoding but the one that append gives.
func parseDetail(b []byte) (Detail, error) {
	bad := fault.New(fault.Invalid, "not the detail of a ledger entry")
	if len(b) < 2 || b[0] != detailVersion || len(b) > detailMaxBytes {
		return nil, bad
	}
	rest := b[1:]
	number := func() (uint64, bool) {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			return 0, false
		}
		rest = rest[size:]
		return n, true
	}
	text := func() (string, bool) {
		n, ok := number()
		if !ok || n > uint64(len(rest)) {
			return "", false
		}
		s := string(rest[:n])
		rest = rest[n:]
		return s, true
	}
	pairs, ok := number()
	if !ok || pairs > detailMaxPairs {
		return nil, bad
	}
	d := make(Detail, pairs)
	for range pairs {
		name, ok1 := text()
		value, ok2 := text()
		if !ok1 || !ok2 {
			return nil, bad
		}
		d[name] = value
	}
	if again, err := d.append(nil); err != nil || !bytes.Equal(again, b) {
		return nil, bad // names out of order or twice, a long form of a number, bytes after the end
	}
	return d, nil
}

// opening makes what is sealed: r and the encoded detail. The leaf keeps commitTo of the two.
func (d Detail) opening() (open []byte, commit [32]byte, err error) {
	open = make([]byte, openerSize, openerSize+128)
	if _, err := rand.Read(open); err != nil {
		return nil, commit, err
	}
	if open, err = d.append(open); err != nil {
		return nil, commit, err
	}
	return open, commitTo(open[:openerSize], open[openerSize:]), nil
}

// openingMatches tells whether an opening is the one that the leaf commits to, and gives its detail.
func openingMatches(open []byte, commit [32]byte) (Detail, error) {
	if len(open) < openerSize || commitTo(open[:openerSize], open[openerSize:]) != commit {
		return nil, fault.New(fault.Invalid, "the detail is not the one that the entry commits to")
	}
	return parseDetail(open[openerSize:])
}
