package seal

import "golang.org/x/sys/unix"

// lockedPage gives n bytes outside the heap that are neither swapped nor dumped, and whether the lock was granted: RLIMIT_MEMLOCK
// may be too small, and a program that runs unlocked is better than none. doctor tells it.
func lockedPage(n int) ([]byte, bool) {
	page, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n), false
	}
	dumped := unix.Madvise(page, unix.MADV_DONTDUMP)
	forked := unix.Madvise(page, unix.MADV_DONTFORK)
	return page, unix.Mlock(page) == nil && dumped == nil && forked == nil
}

// Harden keeps the memory of this process out of core dumps and away from other processes of the same user (ptrace, /proc/PID/mem).
// app calls it before the ring is opened.
func Harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
