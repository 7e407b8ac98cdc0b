package tlspolicy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

var errNotPublic = errors.New("tlspolicy: a name found in DNS points at this machine or its own link")

// PublicOnly is a net.Dialer.Control that refuses addresses of this machine and of its own link: a domain's owner could otherwise make us
// talk to services that trust the loopback, or to a cloud's metadata address. Private networks are allowed, since a hospital's own domain
// may live there.
func PublicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errNotPublic
	}
	ip := ap.Addr().Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return errNotPublic
	}
	return nil
}

// PublicDial connects to a name that a stranger's DNS gave, under PublicOnly.
func PublicDial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, Control: PublicOnly}
	return d.DialContext(ctx, network, addr)
}
