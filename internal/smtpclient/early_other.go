//go:build !unix

package smtpclient

import "net"

// pending cannot look into a socket here: the reader has to wait a moment.
func pending(net.Conn) bool { return true }
