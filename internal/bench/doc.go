// Package bench owns the measurements: what a machine does with this program, as figures that can be compared.
//
// It never knows what a good figure is, and nothing of it runs in a test of speed. Each measurement has a file, a result whose JSON
// names are a contract (others measure by them), and works in a place of its own that is gone when it ends. Read place.go, then store.go.
package bench
