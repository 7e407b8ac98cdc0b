package seal

import "sync"

const (
	keySize = 32
	// pageSize is mapped and locked at a time: room for 512 keys, well under the 8 MiB that systemd lets a service lock.
	pageSize = 16 << 10
)

// keyBytes is a key, held by a pointer everywhere: fmt follows one pointer out of a field that it may not ask for its own Format (an
// unexported one, printed with a verb that does not fit), and never a second.
type keyBytes [keySize]byte

// vault hands out room for keys in locked pages. One vault serves a Ring and the Keys over it; its pages live as long as the process,
// since cached keys point into them.
type vault struct {
	mu     sync.Mutex
	free   []byte
	spare  []*keyBytes
	locked bool
	pages  int
}

// keep copies a key into a locked page and wipes the caller's copy.
func (v *vault) keep(key []byte) *keyBytes {
	v.mu.Lock()
	defer v.mu.Unlock()
	var room *keyBytes
	switch {
	case len(v.spare) > 0:
		room = v.spare[len(v.spare)-1]
		v.spare = v.spare[:len(v.spare)-1]
	default:
		if len(v.free) < keySize {
			page, ok := lockedPage(pageSize)
			v.free, v.locked = page, ok && (v.locked || v.pages == 0)
			v.pages++
		}
		room, v.free = (*keyBytes)(v.free), v.free[keySize:]
	}
	copy(room[:], key)
	clear(key)
	return room
}

// forget wipes a key; its room is used again. Nobody may hold it.
func (v *vault) forget(room *keyBytes) {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(room[:])
	v.spare = append(v.spare, room)
}
