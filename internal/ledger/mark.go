package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// mark remembers, outside the database, the newest checkpoint of each tree: a restored database is behind it. The file is the
// checkpoints themselves, one after the other with an empty line between; their signatures protect it.
type mark struct {
	path string // empty: kept in memory only
	mu   sync.Mutex
	back bool // the database was restored by the command, and not reopened since
	all  map[id.Organisation]marked
	file bool // there was a file
	old  bool // the file lacks something
	save sync.Mutex
}

type marked struct {
	epoch int64
	size  int64
	root  [32]byte
	note  []byte
}

const (
	markHead = "carepost ledger mark 1\n"
	maxMark  = 64 << 20 // some 200,000 trees
)

// openMark reads the mark beside the signer's key.
func openMark(s Signer) (*mark, error) {
	m := &mark{path: s.mark, all: map[id.Organisation]marked{}}
	if m.path == "" {
		return m, nil
	}
	if _, err := os.Lstat(restoredPath(m.path)); err == nil {
		m.back = true
	}
	f, err := os.Open(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger's mark: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxMark))
	if err != nil {
		return nil, fmt.Errorf("read the ledger's mark: %w", err)
	}
	m.file = true
	if err := m.parse(text, s.public()); err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "the ledger's mark does not belong to the ledger's key").At("%s", m.path).
			Hint("put back the key that it lies beside, or the mark that belongs to the key")
	}
	return m, nil
}

func (m *mark) parse(text []byte, pub publicKey) error {
	rest, ok := bytes.CutPrefix(text, []byte(markHead))
	if !ok {
		return errors.New("the first line is not a mark's")
	}
	lines := bufio.NewScanner(bytes.NewReader(rest))
	lines.Buffer(nil, maxCheckpoint)
	var signed bytes.Buffer
	take := func() error {
		if signed.Len() == 0 {
			return nil
		}
		c, org, epoch, err := openCheckpoint(signed.Bytes(), pub)
		if err != nil {
			return err
		}
		m.all[org] = marked{epoch: epoch, size: c.size, root: c.root, note: bytes.Clone(signed.Bytes())}
		signed.Reset()
		return nil
	}
	signatures := false
	for lines.Scan() {
		line := lines.Text()
		if line == "" && signatures {
			if err := take(); err != nil {
				return err
			}
			signatures = false
			continue
		}
		signatures = signatures || strings.HasPrefix(line, "— ")
		signed.WriteString(line + "\n")
	}
	return errors.Join(lines.Err(), take())
}

// note remembers a head that was signed and committed.
func (m *mark) note(h head) {
	x := marked{epoch: h.epoch, size: h.signedSize, note: h.signed}
	copy(x.root[:], h.root)
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, ok := m.all[h.org]; ok && (now.epoch > x.epoch || now.epoch == x.epoch && now.size >= x.size) {
		return
	}
	m.all[h.org], m.old = x, true
}

// of gives what was signed of a tree, nothing when nothing was.
func (m *mark) of(org id.Organisation) marked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[org]
}

// ahead tells whether more was signed than the head has.
func (x marked) ahead(h head) bool {
	return x.epoch > h.epoch || x.epoch == h.epoch && x.size > h.size
}

func (m *mark) list() map[id.Organisation]marked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all)
}

// SaveMark writes the mark if something was signed since it was last written: by temporary file, fsync and rename.
func (l *Ledger) SaveMark() error { return l.mark.write() }

func (m *mark) write() error {
	m.save.Lock()
	defer m.save.Unlock()
	m.mu.Lock()
	old := m.old
	m.old = false
	all := maps.Clone(m.all)
	m.mu.Unlock()
	if !old || m.path == "" {
		return nil
	}
	err := replaceFile(m.path, markText(all))
	if err != nil {
		m.mu.Lock()
		m.old = true
		m.mu.Unlock()
		return fmt.Errorf("write the ledger's mark: %w", err)
	}
	return nil
}

func markText(all map[id.Organisation]marked) []byte {
	text := []byte(markHead)
	for i, org := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			text = append(text, '\n')
		}
		text = append(text, all[org].note...)
	}
	return text
}

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// NoteRestore says, beside the key at the path, that the database was restored: the ledger takes it for a fork even if the mark is lost
// or as old as the backup.
func NoteRestore(signerPath string) error {
	path := restoredPath(signerPath)
	if err := replaceFile(path, []byte("The database was restored. carepost ledger reopen admits it and removes this file.\n")); err != nil {
		return fault.Wrap(fault.Invalid, err, "it cannot be noted that the database was restored").At("%s", path).
			Hint("make a file of that name before carepost is started; without it only the ledger's mark tells")
	}
	return nil
}

func restoredPath(beside string) string {
	return filepath.Join(filepath.Dir(beside), "ledger.restored")
}

// restored tells whether a restore waits to be admitted.
func (m *mark) restored() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.back
}

// admitted forgets the restore that was noted.
func (m *mark) admitted() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.back {
		return nil
	}
	if err := os.Remove(restoredPath(m.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the note of the restore: %w", err)
	}
	m.back = false
	return syncDir(filepath.Dir(m.path))
}
