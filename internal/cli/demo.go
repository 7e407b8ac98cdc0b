package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/carepost/carepost/internal/demo"
)

type demoCommand struct {
	Once   bool   `help:"Leave nothing behind."`
	Dir    string `help:"A new folder to keep it in; a temporary one when left out." placeholder:"DIR"`
	People int    `default:"400" help:"How many people are made up."`
	Seed   uint64 `default:"1" help:"The same seed makes up the same people."`
}

// Run tells the story; the exit status is 0 only if every part held.
func (c *demoCommand) Run(e *env) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	err = demo.Run(e.ctx, demo.Options{Out: e.out, Err: e.err, Once: c.Once, JSON: e.json, Dir: c.Dir, Self: self, People: c.People, Seed: c.Seed})
	if errors.Is(err, demo.ErrBroken) {
		return errors.Join(errFailed, err)
	}
	return err
}

type childCommand struct{}

// Run serves the demo's installation until its input is closed.
func (*childCommand) Run(e *env) error { return demo.Serve(e.ctx, e.in) }
