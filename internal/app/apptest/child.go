package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
)

// asChild says to a test binary that it is the program now.
const asChild = "CAREPOST_TEST_SERVE"

// Child is called first in TestMain: in a process that Spawn started it serves and never comes back.
func Child() {
	if os.Getenv(asChild) == "" {
		return
	}
	if err := serve(context.Background(), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve reads what to serve from the line that Spawn wrote, and serves until the input is closed.
func serve(ctx context.Context, in io.Reader) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
	lines := json.NewDecoder(in)
	var h handover
	if err := lines.Decode(&h); err != nil {
		return fmt.Errorf("read what to serve: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_ = lines.Decode(&struct{}{}) // its end is all there is to hear
		stop()
	}()
	a, err := open(ctx, h)
	if err != nil {
		return err
	}
	if err := answerTests(ctx, a, h.Config.SocketPath()); err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Run(ctx), a.Close())
}

// Process is the program in a process of its own.
type Process struct {
	*API
	cmd    *exec.Cmd
	stdin  io.Closer
	socket string
}

// Spawn starts this test binary as the program; what it logs goes to log. The test's TestMain calls Child first.
func (p *Place) Spawn(t testing.TB, log io.Writer) *Process {
	t.Helper()
	c := &Process{API: newAPI(p.Config.SocketPath()), socket: p.Config.SocketPath(), cmd: exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])} //nolint:gosec // G204: the test binary itself
	c.cmd.Env = append(os.Environ(), asChild+"=1")
	c.cmd.Stdout, c.cmd.Stderr = log, log
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = in
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	if err := json.NewEncoder(in).Encode(handover{p.Config, p.World.Map()}); err != nil {
		t.Fatalf("tell the program what to serve: %v", err)
	}
	c.Ready(t)
	return c
}

// Kill ends the process as a failed power supply would: kill -9. A second time does nothing.
func (c *Process) Kill() {
	c.http.CloseIdleConnections()
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
	_ = c.stdin.Close()
}

// Stop lets the process end in order.
func (c *Process) Stop(t testing.TB) {
	t.Helper()
	c.http.CloseIdleConnections()
	if err := c.stdin.Close(); err != nil {
		t.Errorf("ask the program to end: %v", err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the program did not end in order: %v", err)
	}
}
