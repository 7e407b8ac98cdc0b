package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// child is the product in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *os.File
	done  chan struct{} // closed when it has ended; err is set then
	err   error
	once  sync.Once
}

// startChild starts the same binary as this one, with folders of its own and nothing of our environment that it could read settings from.
func startChild(ctx context.Context, self string, p place, h handover) (*child, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write what the child serves: %w", err)
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the child's log: %w", err)
	}
	c := &child{log: log, done: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, self, "demo-serve")
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = log, log, p.tmp
	c.cmd.Env = append(foreign(os.Environ()), "TMPDIR="+p.tmp)
	c.cmd.WaitDelay = time.Second
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the child's input: %w", err), log.Close())
	}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Invalid, err, "the program cannot be started again as the demo's server").At("%s", self), log.Close())
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("tell the child what to serve: %w", err), c.stop())
	}
	return c, nil
}

// foreign leaves out what a child would take for settings of its own.
func foreign(environ []string) []string {
	var all []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "CAREPOST_") && !strings.HasPrefix(e, "TMPDIR=") {
			all = append(all, e)
		}
	}
	return all
}

// ended tells whether the child has ended by itself, and with what.
func (c *child) ended() error {
	select {
	case <-c.done:
		return fault.Wrap(fault.Unavailable, c.err, "the demo's server ended by itself").At("%s", c.log.Name()).Hint("its log says why")
	default:
		return nil
	}
}

// patience is how long a child may take to end in order.
const patience = time.Minute

// stop lets the child end in order: its input is closed, and it answers with exit status 0.
func (c *child) stop() (err error) {
	c.once.Do(func() {
		_ = c.stdin.Close() // already closed when the child is gone
		select {
		case <-c.done:
		case <-time.After(patience):
			_ = c.cmd.Process.Kill() // ended meanwhile
			<-c.done
			c.err = errors.Join(errors.New("demo: the server did not stop in time"), c.err)
		}
		err = errors.Join(c.err, c.log.Close())
	})
	return err
}
