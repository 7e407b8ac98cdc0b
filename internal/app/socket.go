package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/carepost/carepost/internal/fault"
)

// Listen makes the command socket: 0600, so that its mode is the check of who may command. A socket that somebody serves stays his; one
// that a dead process left is replaced.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(c.Close(), fault.New(fault.Conflict, "another carepost serves this socket").At("%s", path).
			Hint("stop it first; on PostgreSQL give each node a data folder of its own"))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Conflict, err, "a file stands where the command socket belongs").At("%s", path)
	}
	// It gets its mode in a folder that nobody else may enter, and its name only then: nobody can connect in between.
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the command socket cannot be made").At("%s", path).Hint("its folder must be there and carepost may write to it")
	}
	defer os.RemoveAll(private) //nolint:errcheck // empty by then
	made := filepath.Join(private, "s")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", made)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the command socket cannot be made").At("%s", path).Hint("its path must be shorter than 90 bytes: set socket")
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it will have another name
	}
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("name the command socket: %w", err), l.Close())
	}
	return &socket{l, path}, nil
}

// socket takes its name away with it.
type socket struct {
	net.Listener
	path string
}

// Close ends it.
func (s *socket) Close() error {
	err := os.Remove(s.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, s.Listener.Close())
}
