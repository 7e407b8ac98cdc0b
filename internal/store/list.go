package store

import (
	"encoding/hex"
	"strconv"
)

// blobList and intList are list arguments; Tx turns them into what its engine takes.
type (
	blobList [][]byte
	intList  []int64
)

// Blobs makes the argument of one {{blobs}}: WHERE id IN {{blobs}}.
func Blobs[T ~[16]byte](ids []T) any {
	list := make(blobList, len(ids))
	for i := range ids {
		b := [16]byte(ids[i])
		list[i] = b[:]
	}
	return list
}

// Ints makes the argument of one {{ints}}: WHERE number IN {{ints}}.
func Ints[T ~int64 | ~uint32](numbers []T) any {
	list := make(intList, len(numbers))
	for i, n := range numbers {
		list[i] = int64(n)
	}
	return list
}

// json gives the list as SQLite's json_each reads it.
func (l blobList) json() string {
	out := make([]byte, 0, 2+35*len(l))
	out = append(out, '[')
	for i, b := range l {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = hex.AppendEncode(out, b)
		out = append(out, '"')
	}
	return string(append(out, ']'))
}

func (l intList) json() string {
	out := make([]byte, 0, 2+12*len(l))
	out = append(out, '[')
	for i, n := range l {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ']'))
}
