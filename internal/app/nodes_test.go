package app_test

import (
	"testing"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

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
