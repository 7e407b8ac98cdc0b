package apptest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/world"
)

// Place is an installation in the making: its settings, and the world that it will live in.
type Place struct {
	Config config.Config
	World  *world.World
}

// New makes folders and keys, and a world with the receivers that are named. An empty dsn is the embedded database.
func New(t testing.TB, dsn string, receivers map[string]world.Temper) *Place {
	t.Helper()
	dir, err := os.MkdirTemp("", "carepost-") // t.TempDir holds the test's name: too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &Place{Config: config.Config{
		Data: filepath.Join(dir, "data"), Keys: filepath.Join(dir, "keys"), DSN: dsn, Host: "care." + Domain, Connections: 16,
		Freshness: 48 * time.Hour, LogLevel: "debug",
	}}
	if p.World, err = world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.World.Close(); err != nil {
			t.Error(err)
		}
	})
	for domain, temper := range receivers {
		if _, err := p.World.Add(t.Context(), domain, temper); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Init(p.Config, time.Now()); err != nil {
		t.Fatal(err)
	}
	return p
}

// Start serves the installation in this process until the test ends.
func (p *Place) Start(t testing.TB) *API {
	t.Helper()
	a, err := open(t.Context(), handover{p.Config, p.World.Map()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	api := newAPI(p.Config.SocketPath())
	t.Cleanup(func() {
		api.http.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Errorf("the program did not run to its end: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("the program did not close: %v", err)
		}
	})
	api.Ready(t)
	return api
}

// handover is what another process needs to serve a place.
type handover struct {
	Config config.Config `json:"config"`
	World  world.Map     `json:"world"`
}

func open(ctx context.Context, h handover) (*app.App, error) {
	roots, err := h.World.Pool()
	if err != nil {
		return nil, err
	}
	return app.Open(ctx, app.Options{Config: h.Config, DNS: h.World.DNS, Dial: h.World.Dial, Roots: roots, Schedule: hurried(), Life: Life})
}

// Life is how long a node of a test may be silent.
const Life = 6 * time.Second

// Lease is how long one holds what it has claimed.
const Lease = 8 * time.Second

// hurried are the queue's times where nothing is far away.
func hurried() delivery.Schedule {
	const pause = 200 * time.Millisecond
	return delivery.Schedule{
		Retry: []time.Duration{pause}, Connect: []time.Duration{pause}, Route: []time.Duration{pause},
		Policy: 3, Park: pause, Lease: Lease, Poll: pause, Idle: pause, Grace: 3 * time.Second,
	}
}
