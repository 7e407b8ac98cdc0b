package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/fault"
)

// CreateRing makes a new ring file, readable by its owner only, under no custody but the file's mode. It never replaces a file: losing
// a ring is losing everything.
func CreateRing(path string, now time.Time) error { return CreateRingIn(path, now, nil) }

// CreateRingIn makes a new ring file whose content a wrapper keeps the key of.
func CreateRingIn(path string, now time.Time, w Wrapper) error {
	r := newRing(now)
	plain := r.encode()
	defer clear(plain)
	return placeRing(path, plain, w)
}

// PlaceRing writes the recovered bytes of a ring as a new file, in the custody of a wrapper when there is one.
func PlaceRing(path string, plain []byte, w Wrapper) error {
	if _, bad := decodeRing(plain, &vault{}); bad != nil {
		return bad
	}
	return placeRing(path, plain, w)
}

func placeRing(path string, plain []byte, w Wrapper) error {
	data, err := newWrapping(w).close(plain)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "there is a file already").At("%s", path).
			Hint("if it is this database's ring, use it; losing it is losing everything it sealed")
	}
	if err != nil {
		return fault.Wrap(fault.Sealed, err, "the ring of epoch keys cannot be made").At("%s", path).
			Hint("make its folder, owned by the user that runs carepost, with mode 0700")
	}
	if err := writeAndSync(f, data); err != nil {
		return errors.Join(fmt.Errorf("write the new ring %s: %w", path, err), os.Remove(path))
	}
	return syncFolder(path)
}

// OpenRing reads the ring of epoch keys. It refuses a file that others may read, that is not ours, that is reached by a symbolic link,
// or that lies with the data, where one copy or one theft takes both; dataDir is empty when the data is on a server.
func OpenRing(path, dataDir string) (*Ring, error) { return OpenRingIn(path, dataDir, nil) }

// OpenRingIn reads a ring that is in the custody of a wrapper. A file that is not yet is brought under it at once.
func OpenRingIn(path, dataDir string, w Wrapper) (*Ring, error) {
	if err := checkApart(path, dataDir); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := readRing(path)
	if err != nil {
		return nil, err
	}
	seal := newWrapping(w)
	plain, err := seal.open(data)
	if err != nil {
		return nil, fault.Wrap(fault.Sealed, err, "%s", fault.Text(err)).At("%s", path)
	}
	defer clear(plain)
	r, bad := decodeRing(plain, &vault{})
	if bad != nil {
		return nil, bad.At("%s", path)
	}
	r.path, r.seal, r.lowest = path, seal, r.epochs[0].number
	if w != nil && !wrapped(data) {
		return r, r.writeLocked()
	}
	return r, nil
}

// checkApart refuses a ring in the data folder or below it.
func checkApart(path, dataDir string) error {
	if dataDir == "" {
		return nil
	}
	folder, data := realPath(filepath.Dir(path)), realPath(dataDir)
	if rel, err := filepath.Rel(data, folder); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fault.New(fault.Sealed, "the ring of epoch keys lies in the data folder: a copy of the data would carry its key").At("%s", path).
			Hint("move it to a folder of its own, best on another volume, and set its new path")
	}
	return nil
}

// realPath resolves links as far as the path exists.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	if p, err := filepath.EvalSymlinks(abs); err == nil {
		return p
	}
	return abs
}

// readRing opens the file without following a link and checks what was opened, not what the path says a moment later.
func readRing(path string) ([]byte, error) {
	refuse := func(mend, text string, args ...any) error {
		return fault.New(fault.Sealed, text, args...).At("%s", path).Hint("%s", mend)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("put the ring's copy in its place, or for a new installation run carepost init", "there is no ring of epoch keys")
	case errors.Is(err, unix.ELOOP):
		return nil, refuse("set the path of the file itself", "the ring of epoch keys is a symbolic link")
	case err != nil:
		return nil, fault.Wrap(fault.Sealed, err, "the ring of epoch keys cannot be read").At("%s", path).Hint("run carepost as the user that owns it")
	}
	defer f.Close() //nolint:errcheck // read only
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat the ring %s: %w", path, err)
	}
	var us unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &us); err != nil {
		return nil, fmt.Errorf("stat the ring %s: %w", path, err)
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, refuse("set the path of the ring's file", "the ring of epoch keys is not a file")
	case int(us.Uid) != os.Geteuid():
		return nil, refuse(fmt.Sprintf("run as that user, or: chown %d %s", os.Geteuid(), path), "the ring of epoch keys belongs to user %d, and this is user %d", us.Uid, os.Geteuid())
	case st.Mode().Perm()&0o077 != 0:
		return nil, refuse("run: chmod 600 "+path+"; and if others had access, rotate the keys", "the ring of epoch keys may be read by others (mode %04o)", st.Mode().Perm())
	case st.Size() > int64(maxRing+maxWrapping):
		return nil, refuse("set the path of the ring's file", "the ring of epoch keys is too long to be one")
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read the ring %s: %w", path, err)
	}
	return data, nil
}

// replaceFile puts data in the place of path: temporary file, fsync, rename, fsync of the folder. After that the old file's blocks are
// overwritten, as far as the file system writes in place: a destroyed epoch should not be found on the disk.
func replaceFile(path string, data []byte) error {
	old, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open the old ring %s: %w", path, err)
	}
	defer old.Close()                                                                   //nolint:errcheck // synced below
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a crash
		return fmt.Errorf("make the new ring %s: %w", path, err)
	}
	tmp, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the new ring %s: %w", path, err)
	}
	if err := writeAndSync(tmp, data); err != nil {
		return errors.Join(fmt.Errorf("write the new ring %s: %w", path, err), os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return errors.Join(fmt.Errorf("put the new ring in place %s: %w", path, err), os.Remove(path+".new"))
	}
	if err := syncFolder(path); err != nil {
		return err
	}
	return wipe(old)
}

// ReplaceFile puts data in the place of path, or makes it: whole or not at all, for its owner only, the old bytes overwritten.
func ReplaceFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the file cannot be written").At("%s", path)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return replaceFile(path, data)
}

func wipe(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("wipe the old ring: %w", err)
	}
	if _, err := f.WriteAt(make([]byte, st.Size()), 0); err != nil {
		return fmt.Errorf("wipe the old ring: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("wipe the old ring: %w", err)
	}
	return nil
}

func writeAndSync(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync the folder of %s: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the folder of %s: %w", path, err)
	}
	return nil
}

// lockFolder keeps two processes from changing one ring at a time. The lock is on the ring's folder, since the file is replaced.
func lockFolder(path string) (unlock func(), err error) {
	d, err := os.Open(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Sealed, "there is no ring of epoch keys").At("%s", path).
			Hint("put the ring's copy in its place, or for a new installation run carepost init")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Sealed, err, "the folder of the ring cannot be read").At("%s", path).Hint("run carepost as the user that owns it")
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder of %s: %w", path, err), d.Close())
	}
	return func() { _ = d.Close() }, nil // closing gives the lock back; nothing was written to it
}

func errOldRing(path string, wants, has uint32) error {
	return fault.New(fault.Sealed, "the ring is older than the database, which uses epoch %d; the ring ends with %d", wants, has).At("%s", path).
		Hint("put the newest copy of the ring in its place; an older one cannot open what was sealed since")
}
