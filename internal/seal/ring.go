package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

const (
	// EpochAge is how old the newest epoch may grow before Rotate is due: a night.
	EpochAge = 24 * time.Hour
	// Window is how long an epoch's key outlives its successor's birth. A backup older than this can be opened by nobody.
	Window = 35 * 24 * time.Hour
	// maxEpochs bounds a ring: more than ten years of nights none of which was destroyed.
	maxEpochs = 4096
)

// The ring's bytes: magic 16 | ring id 16 | count 4 | epochs of 52 | SHA-256 of all before. Numbers are big endian.
const (
	ringMagic = "carepost ring 1\n"
	epochSize = 4 + 8 + 8 + keySize
	ringHead  = len(ringMagic) + 16 + 4
	maxRing   = ringHead + maxEpochs*epochSize + sha256.Size
)

// epoch is one key at the root of the tree.
type epoch struct {
	number     uint32
	made       int64 // milliseconds
	superseded int64 // milliseconds; 0 for the newest
	key        *keyBytes
}

// Ring is the epoch keys, held in a file outside the database. It cannot be printed.
type Ring struct {
	path string

	mu     sync.Mutex
	id     [16]byte
	epochs []epoch // by number, the newest last
	floor  uint32  // below it keys are dropped from memory, though the file may hold them yet
	lowest uint32  // in the file
	vault  *vault
	seal   *wrapping
}

// Epoch describes one epoch without its key.
type Epoch struct {
	Number     uint32
	Made       time.Time
	Superseded time.Time // zero for the newest
}

// Epochs lists what the ring holds, the newest last.
func (r *Ring) Epochs() []Epoch {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Epoch, len(r.epochs))
	for i, e := range r.epochs {
		all[i] = Epoch{Number: e.number, Made: moment(e.made), Superseded: moment(e.superseded)}
	}
	return all
}

// Path gives the file.
func (r *Ring) Path() string { return r.path }

// Locked tells whether all keys lie in locked memory.
func (r *Ring) Locked() bool {
	r.vault.mu.Lock()
	defer r.vault.mu.Unlock()
	return r.vault.locked
}

// Due tells whether the newest epoch is a night old, or an older one has outlived its window.
func (r *Ring) Due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest().aged(now) || slices.ContainsFunc(r.epochs, func(e epoch) bool { return e.expired(now) })
}

func (e epoch) aged(now time.Time) bool { return e.made <= now.Add(-EpochAge).UnixMilli() }

func (e epoch) expired(now time.Time) bool {
	return e.superseded != 0 && e.superseded <= now.Add(-Window).UnixMilli()
}

// newest is called with mu held; a ring is never empty.
func (r *Ring) newest() epoch { return r.epochs[len(r.epochs)-1] }

func (r *Ring) newestNumber() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest().number
}

// use calls fn with the key of an epoch while nobody can wipe it; a ring that another process has advanced is read again.
func (r *Ring) use(number uint32, fn func(key []byte) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.find(number)
	if !ok && number > r.newest().number {
		if err := r.reload(); err != nil {
			return err
		}
		e, ok = r.find(number)
	}
	switch {
	case ok:
		return fn(e.key[:])
	case number < r.epochs[0].number || number < r.floor:
		return fault.New(fault.Sealed, "epoch %d was destroyed: what it wrapped is gone for good", number)
	default:
		return errOldRing(r.path, number, r.newest().number)
	}
}

func (r *Ring) find(number uint32) (epoch, bool) {
	i, ok := slices.BinarySearchFunc(r.epochs, number, func(e epoch, n uint32) int { return int(int64(e.number) - int64(n)) })
	if !ok {
		return epoch{}, false
	}
	return r.epochs[i], true
}

// Advance adds an epoch with a fresh key to the file and supersedes the one before it. It destroys nothing.
func (r *Ring) Advance(now time.Time) error {
	return r.change(func() error { return r.add(now) })
}

// advanceDue advances unless another process has done so meanwhile.
func (r *Ring) advanceDue(now time.Time) error {
	return r.change(func() error {
		if !r.newest().aged(now) {
			return nil
		}
		return r.add(now)
	})
}

func (r *Ring) add(now time.Time) error {
	if len(r.epochs) == maxEpochs {
		return fault.New(fault.Exhausted, "the ring holds %d epochs and none was destroyed", maxEpochs).At("%s", r.path).
			Hint("run carepost doctor: rows are left under old epochs")
	}
	last := &r.epochs[len(r.epochs)-1]
	at := max(now.UnixMilli(), last.made)
	last.superseded = at
	r.epochs = append(r.epochs, epoch{number: last.number + 1, made: at, key: r.vault.keep(newKey())})
	return nil
}

// expiredBelow gives the lowest number that stays when the epochs below a number go whose window has passed; 0 when none goes.
func (r *Ring) expiredBelow(below uint32, now time.Time) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stays uint32
	for i, e := range r.epochs[:len(r.epochs)-1] {
		if e.number >= below || !e.expired(now) {
			break
		}
		stays = r.epochs[i+1].number
	}
	if r.lowest < r.floor {
		stays = max(stays, min(r.floor, below)) // dropped from memory, and a stop came before the file followed
	}
	return stays
}

// drop wipes the epochs below a number from memory. The file keeps them until every node has done so.
func (r *Ring) drop(below uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = max(r.floor, min(below, r.newest().number))
	r.trim()
}

// trim is called with mu held.
func (r *Ring) trim() {
	n := 0
	for n < len(r.epochs)-1 && r.epochs[n].number < r.floor {
		r.vault.forget(r.epochs[n].key)
		n++
	}
	r.epochs = r.epochs[n:]
}

// destroy removes the epochs below the number that were superseded a window ago, and gives how many.
func (r *Ring) destroy(below uint32, now time.Time) (int, error) {
	n := 0
	err := r.change(func() error {
		for n < len(r.epochs)-1 && r.epochs[n].number < below && r.epochs[n].expired(now) {
			n++
		}
		r.epochs = r.epochs[n:]
		return nil
	})
	return n, err
}

// change edits the ring under the lock of its folder, beginning from what the file holds now, and writes it back. When the write
// fails the ring is what it was; keys are wiped only after the file without them is durable.
func (r *Ring) change(edit func() error) error {
	if err := r.seal.prepare(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	unlock, err := lockFolder(r.path)
	if err != nil {
		return err
	}
	defer unlock()
	defer r.trim()
	if err := r.reloadLocked(); err != nil {
		return err
	}
	before := slices.Clone(r.epochs)
	if err := edit(); err != nil {
		r.epochs = before
		return err
	}
	if slices.EqualFunc(before, r.epochs, func(a, b epoch) bool { return a.number == b.number }) {
		return nil
	}
	if err := r.writeLocked(); err != nil {
		r.epochs = before
		return err
	}
	for _, e := range before {
		if _, ok := r.find(e.number); !ok {
			r.vault.forget(e.key)
		}
	}
	return nil
}

func (r *Ring) writeLocked() error {
	plain := r.encode()
	defer clear(plain)
	data, err := r.seal.close(plain)
	if err != nil {
		return err
	}
	if err := replaceFile(r.path, data); err != nil {
		return err
	}
	r.lowest = r.epochs[0].number
	return nil
}

// reload takes over what another process of this database wrote; called with mu held.
func (r *Ring) reload() error {
	unlock, err := lockFolder(r.path)
	if err != nil {
		return err
	}
	defer unlock()
	defer r.trim()
	return r.reloadLocked()
}

func (r *Ring) reloadLocked() error {
	data, err := readRing(r.path)
	if err != nil {
		return err
	}
	plain, err := r.seal.open(data)
	if err != nil {
		return fault.Wrap(fault.Sealed, err, "%s", fault.Text(err)).At("%s", r.path)
	}
	defer clear(plain)
	fresh, bad := decodeRing(plain, r.vault)
	if bad != nil {
		return bad.At("%s", r.path)
	}
	if fresh.id != r.id || fresh.newest().number < r.newest().number {
		for _, e := range fresh.epochs {
			r.vault.forget(e.key)
		}
		return fault.New(fault.Conflict, "the ring's file was replaced by an older or another one while in use").At("%s", r.path).
			Hint("put the file back that this process was started with")
	}
	for _, e := range r.epochs {
		r.vault.forget(e.key)
	}
	r.epochs, r.lowest = fresh.epochs, fresh.epochs[0].number
	return nil
}

// Reload reads the file again: what another process destroyed is dropped, what it added is there.
func (r *Ring) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reload()
}

// Copy hands out the ring as it is now, in the form of a ring file under no custody, for a copy that is sealed at once to those who
// may recover it. The bytes are wiped when fn returns.
func (r *Ring) Copy(fn func(plain []byte) error) error {
	r.mu.Lock()
	plain := r.encode()
	r.mu.Unlock()
	defer clear(plain)
	return fn(plain)
}

// newRing makes a ring with its first epoch.
func newRing(now time.Time) *Ring {
	r := &Ring{vault: &vault{}}
	_, _ = rand.Read(r.id[:]) // never fails: crypto/rand.Read does not return errors
	r.epochs = []epoch{{number: 1, made: now.UnixMilli(), key: r.vault.keep(newKey())}}
	return r
}

func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read does not return errors
	return key
}

func (r *Ring) encode() []byte {
	b := make([]byte, 0, ringHead+len(r.epochs)*epochSize+sha256.Size)
	b = append(b, ringMagic...)
	b = append(b, r.id[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.epochs)))
	for _, e := range r.epochs {
		b = binary.BigEndian.AppendUint32(b, e.number)
		b = binary.BigEndian.AppendUint64(b, uint64(e.made))
		b = binary.BigEndian.AppendUint64(b, uint64(e.superseded))
		b = append(b, e.key[:]...)
	}
	return summed(b)
}

func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeRing reads the bytes of a ring and keeps its keys in the vault.
func decodeRing(data []byte, v *vault) (*Ring, *fault.Error) {
	garbled := fault.New(fault.Sealed, "not a whole ring of epoch keys").Hint("it is cut short or damaged: put the last copy of the ring in its place")
	if len(data) < ringHead+epochSize+sha256.Size || string(data[:len(ringMagic)]) != ringMagic {
		return nil, garbled
	}
	body, sum := data[:len(data)-sha256.Size], sha256.Sum256(data[:len(data)-sha256.Size])
	if subtle.ConstantTimeCompare(sum[:], data[len(body):]) != 1 {
		return nil, garbled
	}
	count := binary.BigEndian.Uint32(body[ringHead-4:])
	if count > maxEpochs || len(body) != ringHead+int(count)*epochSize {
		return nil, garbled
	}
	r := &Ring{id: [16]byte(body[len(ringMagic):]), vault: v}
	for rest := body[ringHead:]; len(rest) > 0; rest = rest[epochSize:] {
		e := epoch{number: binary.BigEndian.Uint32(rest), made: int64(binary.BigEndian.Uint64(rest[4:])), superseded: int64(binary.BigEndian.Uint64(rest[12:]))}
		last := len(rest) == epochSize
		if e.number == 0 || len(r.epochs) > 0 && e.number <= r.newest().number || last != (e.superseded == 0) {
			return nil, garbled
		}
		r.epochs = append(r.epochs, e)
	}
	for i := range r.epochs {
		at := ringHead + i*epochSize + epochSize - keySize
		r.epochs[i].key = v.keep(slices.Clone(body[at : at+keySize]))
	}
	return r, nil
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// String gives "[sealed]".
func (*Ring) String() string { return redacted }

// Format gives "[sealed]" for every verb.
func (*Ring) Format(f fmt.State, _ rune) { redact(f) }

// LogValue gives "[sealed]".
func (*Ring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[sealed]"; JSON uses it too.
func (*Ring) MarshalText() ([]byte, error) { return []byte(redacted), nil }
