// Package id owns the kinds of ids as Go types, their one text form, and who acts where: Scope and Actor.
//
// It never knows what an id stands for beyond its prefix. Ids are UUIDv7 (RFC 9562) made by the application; their text is the
// kind's prefix, an underscore and 26 characters of lower-case base32: "per_0bcd...". The bytes in the database are the 16 of the UUID.
package id

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/base32"
	"encoding/binary"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// UUID is an id whose kind is not known to the holder: a ledger entry's object, a token's object.
type UUID [16]byte

// Of is an id of one kind. The kinds below are its instances; two kinds do not mix.
type Of[K kind] [16]byte

type kind interface{ prefix() string }

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// last keeps ids of one process strictly growing, also within a millisecond.
var last struct {
	sync.Mutex
	tick uint64
}

// New makes a fresh id: New[id.Person]().
func New[T ~[16]byte]() T { return From[T](time.Now()) }

// From makes a fresh id that carries the given moment; for tests and for imports of old records.
func From[T ~[16]byte](at time.Time) T {
	// RFC 9562 6.2 method 3: the 12 bits after the milliseconds hold a fraction, here made strictly growing.
	last.Lock()
	tick := uint64(at.UnixMilli())<<12 | uint64(at.Nanosecond()%1e6)*4096/1e6
	if tick <= last.tick {
		tick = last.tick + 1
	}
	last.tick = tick
	last.Unlock()
	var u T
	b := u[:]
	if _, err := rand.Read(b[8:]); err != nil {
		panic(err) // never happens: crypto/rand.Read does not return errors
	}
	binary.BigEndian.PutUint64(b, tick>>12<<16|7<<12|tick&0xfff)
	b[8] = b[8]&0x3f | 0x80
	return u
}

// Parse reads the text form of one kind: Parse[id.Person]("per_...").
func Parse[T interface {
	~[16]byte
	Prefix() string
}](text string) (T, error) {
	var u T
	p := u.Prefix()
	if len(text) != len(p)+1+26 || text[:len(p)+1] != p+"_" {
		return u, fault.New(fault.Invalid, "not an id of the kind %q", p).Hint("it begins with %s_ and has 26 characters after it", p)
	}
	raw, err := encoding.DecodeString(text[len(p)+1:])
	if err != nil || len(raw) != 16 || encoding.EncodeToString(raw) != text[len(p)+1:] {
		return u, fault.New(fault.Invalid, "not an id of the kind %q", p).Hint("it has 26 characters of 0-9 and a-z without i, l, o, u")
	}
	copy(u[:], raw)
	return u, nil
}

// Prefix gives the kind's prefix.
func (Of[K]) Prefix() string { var k K; return k.prefix() }

// String gives the text form.
func (x Of[K]) String() string { return x.Prefix() + "_" + encoding.EncodeToString(x[:]) }

// IsZero tells whether no id was set.
func (x Of[K]) IsZero() bool { return x == Of[K]{} }

// UUID forgets the kind.
func (x Of[K]) UUID() UUID { return UUID(x) }

// Time gives the moment in the id, to the millisecond.
func (x Of[K]) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(x[:]) >> 16)).UTC()
}

// MarshalText gives the text form; an unset id is empty.
func (x Of[K]) MarshalText() ([]byte, error) {
	if x.IsZero() {
		return nil, nil
	}
	return []byte(x.String()), nil
}

// UnmarshalText reads the text form; empty text is an unset id.
func (x *Of[K]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*x = Of[K]{}
		return nil
	}
	u, err := Parse[Of[K]](string(text))
	*x = u
	return err
}

// Value stores the 16 bytes, NULL when unset.
func (x Of[K]) Value() (driver.Value, error) {
	if x.IsZero() {
		return nil, nil //nolint:nilnil // NULL is the value of an unset id
	}
	return x[:], nil
}

// Scan reads the 16 bytes or NULL.
func (x *Of[K]) Scan(src any) error { return scan((*[16]byte)(x), src) }

// String gives the base32 text without a prefix.
func (x UUID) String() string { return encoding.EncodeToString(x[:]) }

// IsZero tells whether no id was set.
func (x UUID) IsZero() bool { return x == UUID{} }

// Value stores the 16 bytes, NULL when unset.
func (x UUID) Value() (driver.Value, error) {
	if x.IsZero() {
		return nil, nil //nolint:nilnil // NULL is the value of an unset id
	}
	return x[:], nil
}

// Scan reads the 16 bytes or NULL.
func (x *UUID) Scan(src any) error { return scan((*[16]byte)(x), src) }

func scan(dst *[16]byte, src any) error {
	switch v := src.(type) {
	case nil:
		*dst = [16]byte{}
		return nil
	case []byte:
		if len(v) == 16 {
			copy(dst[:], v)
			return nil
		}
	}
	return fault.New(fault.Internal, "an id column does not hold 16 bytes")
}
