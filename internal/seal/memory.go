package seal

import "sync"

const (
	keySize = 32
	// pageSize is mapped and locked at a time: room for 512 keys, well under the 8 MiB that systemd lets a service lock.
	pageSize = 16 << 10
)

// vault hands out room for keys in locked pages. One vault serves a Ring and the Keys over it; its pages live as long as the process,
// since cached keys point into them.
type vault struct {
	mu     sync.Mutex
	free   []byte
	spare  [][]byte
	locked bool
	pages  int
}

// keep copies a key into a locked page and wipes the caller's copy.
func (v *vault) keep(key []byte) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	var room []byte
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
		room, v.free = v.free[:keySize:keySize], v.free[keySize:]
	}
	copy(room, key)
	clear(key)
	return room
}

// forget wipes a key; its room is used again. Nobody may hold it.
func (v *vault) forget(room []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(room)
	v.spare = append(v.spare, room)
}
