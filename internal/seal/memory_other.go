//go:build !linux

package seal

// lockedPage gives plain memory: only Linux is run in production.
func lockedPage(n int) ([]byte, bool) { return make([]byte, n), false }

// Harden does nothing here: only Linux is run in production.
func Harden() error { return nil }
