package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/id"
)

// obeyEvery is how often this node looks for keys that it is to drop from memory.
const obeyEvery = 2 * time.Second

// tendEvery is how often the leader looks for what the keys are due: an epoch a night, a window that ends, a renewal cut short.
const tendEvery = time.Minute

// tendKeys does what the keys are due.
func (a *App) tendKeys(ctx context.Context) error {
	r, err := a.parts.Keys.Tend(ctx, time.Now())
	if r.Begun || r.Destroyed > 0 || r.Renewed > 0 {
		slog.InfoContext(ctx, "the keys were tended", "epoch", r.Epoch, "begun", r.Begun, "rewrapped", r.Rewrapped, "renewed", r.Renewed, "destroyed", r.Destroyed)
	}
	if r.Begun && a.config.EscrowTo != "" && a.config.EscrowFile != "" {
		err = errors.Join(err, a.escrow(strings.Fields(a.config.EscrowTo), a.config.EscrowFile))
	}
	for _, n := range r.Waiting {
		slog.WarnContext(ctx, "a node has not dropped yet what was destroyed", "node", n)
	}
	return err
}

// dropKeys drops from this node's memory what was destroyed on any.
func (a *App) dropKeys(ctx context.Context) error { return a.parts.Keys.Obey(ctx, time.Now()) }

// alone stands for a process that is no node: a command that runs while nobody serves.
var alone = id.UUID{15: 1}

// amongNodes tells the keys which nodes live.
func (a *App) amongNodes(ctx context.Context) (self id.UUID, live []id.UUID, err error) {
	nodes, err := a.parts.Store.Live(ctx)
	for _, n := range nodes {
		live = append(live, n.ID)
		if n.Self {
			self = n.ID
		}
	}
	if self.IsZero() {
		self, live = alone, append(live, alone)
	}
	return self, live, err
}

// leading runs what one node does for all. Should two believe for a moment that they lead, nothing is harmed: an epoch begins under the
// lock of the ring's file, the database's mark only ever moves on, and an order is closed once.
func (a *App) leading(name string, run func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return a.parts.Store.Lead(ctx, name, func(ctx context.Context, _ int64) error { return run(ctx) })
	}
}
