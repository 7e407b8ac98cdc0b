package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// leafVersion is the first byte of a leaf. A new layout takes the next number; old leaves keep theirs for ever.
const leafVersion = 1

// leafSize is the length of a leaf of version 1.
const leafSize = 1 + 8 + 4 + 1 + 16 + 2 + 1 + 16 + 16 + 32

// Where the fields of a leaf of version 1 begin. sql.go's indexes count the same places from one.
const (
	atTime      = 1
	atOrg       = 9
	atActorKind = 13
	atActor     = 14
	atAct       = 30
	atPurpose   = 32
	atSubject   = 33
	atObject    = 49
	atCommit    = 65
)

// Blind stands for a person in a leaf: an HMAC under the person's own key, so that when the key is destroyed nothing links the
// entries to the person or to each other by name. Zero: the act is about nobody.
type Blind [16]byte

// IsZero tells whether the act is about nobody.
func (b Blind) IsZero() bool { return b == Blind{} }

// Leaf is what the tree holds of an act: no PHI, codes and ids and commitments only. docs/formats/leaf.md fixes its bytes.
type Leaf struct {
	Time         time.Time // of the transaction, to the millisecond, UTC
	Organisation id.Organisation
	Actor        id.Actor
	Act          Act
	Purpose      Purpose
	Subject      Blind
	Object       id.UUID
	Commit       [32]byte // HMAC-SHA-256(r, detail); zero when the act has no detail
}

// append adds the leaf's bytes to b.
func (l Leaf) append(b []byte) []byte {
	b = append(b, leafVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(l.Organisation))
	b = append(b, byte(l.Actor.Kind))
	b = append(b, l.Actor.ID[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(l.Act))
	b = append(b, byte(l.Purpose))
	b = append(b, l.Subject[:]...)
	b = append(b, l.Object[:]...)
	return append(b, l.Commit[:]...)
}

// Bytes gives what is hashed.
func (l Leaf) Bytes() []byte { return l.append(make([]byte, 0, leafSize)) }

// ParseLeaf reads the bytes of a leaf.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	if len(b) == 0 {
		return l, fault.New(fault.Invalid, "the entry is empty")
	}
	if b[0] != leafVersion {
		return l, fault.New(fault.Invalid, "the entry has version %d", b[0]).Hint("a newer program reads it")
	}
	if len(b) != leafSize {
		return l, fault.New(fault.Invalid, "the entry has %d bytes, version 1 has %d", len(b), leafSize)
	}
	l.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(b[atTime:]))).UTC()
	l.Organisation = id.Organisation(binary.BigEndian.Uint32(b[atOrg:]))
	l.Actor.Kind = id.ActorKind(b[atActorKind])
	copy(l.Actor.ID[:], b[atActor:])
	l.Act = Act(binary.BigEndian.Uint16(b[atAct:]))
	l.Purpose = Purpose(b[atPurpose])
	copy(l.Subject[:], b[atSubject:])
	copy(l.Object[:], b[atObject:])
	copy(l.Commit[:], b[atCommit:])
	return l, nil
}

// commitTo ties a leaf to its detail without showing it: r is random and kept with the detail, so a detail of few possible
// values cannot be guessed from the commitment, and goes with the detail's key.
func commitTo(r, detail []byte) (c [32]byte) {
	mac := hmac.New(sha256.New, r)
	mac.Write(detail)
	mac.Sum(c[:0])
	return c
}

// Lost is a range of entries, From up to and not including To, that were signed and then lost by a restore. An ActRestore
// entry carries it in its object, where the offline verifier can read it.
type Lost struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

func (x Lost) object() (u id.UUID) {
	binary.BigEndian.PutUint64(u[:8], uint64(x.From))
	binary.BigEndian.PutUint64(u[8:], uint64(x.To))
	return u
}

// Lost gives the range that an ActRestore entry names.
func (l Leaf) Lost() Lost {
	return Lost{From: int64(binary.BigEndian.Uint64(l.Object[:8])), To: int64(binary.BigEndian.Uint64(l.Object[8:]))}
}
