package ledger

import "github.com/carepost/carepost/internal/store"

// Connections for tests outside of the package.

// StoreOf gives the ledger's store.
func StoreOf(l *Ledger) *store.Store { return l.st }

// LeafSize is the length of a leaf.
const LeafSize = leafSize
