package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/world"
)

// handover is what the demo tells its child, as one line on its standard input.
type handover struct {
	Config config.Config `json:"config"`
	World  world.Map     `json:"world"`
}

// maxHandover bounds the line.
const maxHandover = 1 << 20

// Serve is the child: the product as it is, in a world that another process runs, with retry times of a demo. It runs until its
// standard input is closed or it gets a signal. It logs everything to standard error, where the demo looks for what should not be said.
func Serve(ctx context.Context, stdin io.Reader) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
	in := bufio.NewReaderSize(stdin, maxHandover)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "there is no line that says what to serve").Hint("this command is the demo's own; run carepost demo")
	}
	var h handover
	if err := json.Unmarshal(line, &h); err != nil {
		return fault.Wrap(fault.Invalid, err, "the line does not say what to serve")
	}
	roots, err := h.World.Pool()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the process at the latest
		_, _ = io.Copy(io.Discard, in) // how it ends does not matter, that it ends does
		stop()
	}()
	a, err := app.Open(ctx, app.Options{Config: h.Config, DNS: h.World.DNS, Dial: h.World.Dial, Roots: roots, Schedule: hurried()})
	if err != nil {
		return fmt.Errorf("open the demo's installation: %w", err)
	}
	return errors.Join(a.Run(ctx), a.Close())
}

// hurried are the times of the queue in a world where nothing is far away: what takes minutes and hours takes fractions of a second.
func hurried() delivery.Schedule {
	const pause = 250 * time.Millisecond
	return delivery.Schedule{
		Retry: []time.Duration{pause, 2 * pause}, Connect: []time.Duration{pause}, Route: []time.Duration{pause},
		Policy: 3, Park: pause, Poll: pause, Idle: pause, Grace: 3 * time.Second,
	}
}
