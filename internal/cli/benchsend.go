package cli

import (
	"fmt"
	"os"

	"github.com/carepost/carepost/internal/bench"
)

type benchSendCommand struct {
	To          string `help:"Send to this mail server; to a receiving process of our own when left out." placeholder:"HOST:PORT"`
	CA          string `name:"ca" help:"The authority that vouches for that server's certificate, as PEM." placeholder:"FILE" type:"path"`
	Messages    int    `default:"2000" help:"How many messages, each to one person."`
	Size        int    `default:"10240" help:"Bytes of a finished message."`
	Connections int    `default:"20" help:"Most connections at once."`
	Backlog     int    `help:"So many more messages wait before the clock starts; it stops when the others' number is accepted."`
	Codes       int    `help:"So many urgent messages are handed in, one after another, while the others go out."`
	Profile     string `help:"Write a CPU profile of what is measured." placeholder:"FILE" type:"path"`
}

// Run measures the way of a message.
func (c *benchSendCommand) Run(e *env, all *benchCommand) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	r, err := bench.Send(e.ctx, bench.SendOptions{
		DSN: all.DSN, To: c.To, CA: c.CA, Messages: c.Messages, Size: c.Size, Connections: c.Connections, Backlog: c.Backlog, Codes: c.Codes,
		Profile: c.Profile, Receiver: []string{self, "bench-receive"},
	})
	if err != nil {
		return err
	}
	e.say("%.0f messages a second: %d in %.1f s, %d lost, %d in doubt, %.1f s of CPU (%.0f %% of it signatures), %.0f MB at most",
		r.PerS, r.Messages, r.Seconds, r.Lost, r.InDoubt, r.CPUS, 100*r.SigningShare, r.PeakMB)
	if r.Codes > 0 {
		e.say("%d codes: half within %.0f ms, 99 of 100 within %.0f ms", r.Codes, r.CodeP50MS, r.CodeP99MS)
	}
	return e.result(r)
}

type benchReceiveCommand struct{}

// Run is the receiving process of a measurement.
func (*benchReceiveCommand) Run(e *env) error { return bench.Receive(e.ctx, e.in, e.out) }
