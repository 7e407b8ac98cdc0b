//go:build unix

package smtpclient

import (
	"errors"
	"net"
	"syscall"
)

// pending tells whether bytes wait in a connection's socket. Of a connection that is no socket nobody knows: yes.
func pending(nc net.Conn) bool {
	s, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	some := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		some = !errors.Is(err, syscall.EAGAIN) // the end of a connection is something as well
	})
	return some || err != nil
}
