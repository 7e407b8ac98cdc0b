package bench

import (
	"syscall"
	"time"
)

// processorTime is what this process has used so far, of all processors together.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0 // never for the process itself
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
