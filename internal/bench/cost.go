package bench

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// signingCost gives the seconds of CPU that one RSA-2048 signature costs this machine now.
func signingCost() (float64, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, fmt.Errorf("make a key: %w", err)
	}
	const rounds = 300
	sum := sha256.Sum256([]byte("what is signed makes no difference"))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := usage(unix.RUSAGE_THREAD)
	for range rounds {
		if _, err := key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			return 0, fmt.Errorf("sign: %w", err)
		}
	}
	return (usage(unix.RUSAGE_THREAD) - start) / rounds, nil
}

// cpuSeconds gives the CPU time of this process so far.
func cpuSeconds() float64 { return usage(unix.RUSAGE_SELF) }

func usage(who int) float64 {
	var r unix.Rusage
	if err := unix.Getrusage(who, &r); err != nil {
		return 0
	}
	return (time.Duration(r.Utime.Nano()) + time.Duration(r.Stime.Nano())).Seconds()
}

// resetPeak makes the kernel's memory mark begin anew (Linux: proc(5), clear_refs).
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) } // where it cannot, the mark is the process's

// peakMB gives the most memory that was resident since then.
func peakMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
				if kb, err := strconv.ParseFloat(f[1], 64); err == nil {
					return kb / 1024
				}
			}
		}
	}
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Maxrss) / 1024
}
