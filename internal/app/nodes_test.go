package app_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/app/apptest"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// A node with keys of its own would seal what no other can open: it is refused before it does anything.
func TestANodeWithAnotherRingIsRefused(t *testing.T) {
	dsn := caretest.DSN(t)
	first := apptest.New(t, dsn, nil)
	first.Start(t)
	other := first.Beside(t, dsn)
	a, err := app.Open(t.Context(), app.Options{Config: other.Config})
	if err != nil {
		t.Fatalf("a node with the same keys: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	other.Config.Keys = filepath.Join(other.Config.Data, "..", "other")
	if err := app.Init(other.Config, time.Now()); err != nil {
		t.Fatal(err)
	}
	if a, err = app.Open(t.Context(), app.Options{Config: other.Config}); err == nil {
		t.Error("it was opened", a.Close())
	} else if !strings.Contains(err.Error(), "ring belongs to another database") {
		t.Errorf("it was refused by %v", err)
	}
}

// Lanes are spread evenly, alike on every node, and only the lanes of a node that goes get another one.
func TestWhoOwnsALane(t *testing.T) {
	var nodes []store.NodeInfo
	for range 3 {
		nodes = append(nodes, store.NodeInfo{ID: id.New[id.UUID]()})
	}
	gone := nodes[2].ID
	other := []store.NodeInfo{nodes[1], nodes[2], nodes[0]}
	const lanes = 3000
	owned := map[id.UUID]int{}
	for lane := range int64(lanes) {
		owner := app.Winner(nodes, lane)
		owned[owner]++
		if o := app.Winner(other, lane); o != owner {
			t.Fatalf("lane %d has two owners", lane)
		}
		if after := app.Winner(nodes[:2], lane); owner != gone && after != owner {
			t.Fatalf("lane %d moved though its owner lives", lane)
		}
	}
	for node, n := range owned {
		if n < lanes/3-150 || n > lanes/3+150 {
			t.Errorf("%s owns %d of %d lanes", node, n, lanes)
		}
	}
	if got := app.Winner(nil, 1); !got.IsZero() {
		t.Error("nobody lives, and a lane is owned")
	}
}
