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

// PublicDial connects to names that strangers' DNS gave, and refuses those that point at this machine or at its own link: a domain's
// owner could otherwise make us talk to services that trust the loopback, or to a cloud's metadata address. Private networks are allowed,
// since a hospital's own domain may live there.
func PublicDial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return errNotPublic
		}
		ip := ap.Addr().Unmap()
		if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			return errNotPublic
		}
		return nil
	}}
	return d.DialContext(ctx, network, addr)
}
