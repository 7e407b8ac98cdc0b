package smtpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// Level is how much TLS a connection must show. The zero value is the strictest.
type Level uint8

// The levels.
const (
	Verified      Level = iota // a certificate that proves TLS.Name, or no connection
	Opportunistic              // TLS when offered; what it proves is recorded, not demanded. A handshake that fails is an error
	Never                      // no STARTTLS: for the retry after a failed handshake, where nothing demands TLS
)

// TLS says what the connection must prove.
type TLS struct {
	Level    Level
	Implicit bool // TLS from the first byte (port 465, RFC 8314)
	Name     string
	Roots    *x509.CertPool // nil: the system's
	Sessions tls.ClientSessionCache

	// Prove judges the receiver's chain, its own certificate first, in place of Name and Roots; nil: those. Name is still what SNI asks for.
	Prove func(chain []*x509.Certificate, now time.Time) error
}

// Reason tells why a certificate proves nothing.
type Reason string

// The reasons.
const (
	ReasonExpired   Reason = "expired"
	ReasonName      Reason = "name"
	ReasonAuthority Reason = "authority"
	ReasonPin       Reason = "pin" // it is not what TLS.Prove wants
	ReasonOther     Reason = "other"
)

func (c *Conn) startTLS() error {
	level := c.o.TLS.Level
	if level == Never {
		return nil
	}
	if !c.offers("STARTTLS") {
		if level == Verified {
			return &Error{Kind: NoTLS, Stage: StageStartTLS}
		}
		return nil
	}
	rep, _, err := c.exchange(StageStartTLS, c.o.Timeouts.StartTLS, "STARTTLS")
	if err != nil {
		c.dead = true
		return &Error{Kind: Handshake, Stage: StageStartTLS, Err: err}
	}
	if rep.Code != 220 {
		return &Error{Kind: Handshake, Stage: StageStartTLS, Reply: rep}
	}
	// Bytes that came with the 220 were sent in the clear, perhaps by someone between, and would be read as if protected.
	if c.r.Buffered() > 0 {
		c.dead = true
		return &Error{Kind: Protocol, Stage: StageStartTLS}
	}
	if err := c.handshake(StageStartTLS); err != nil {
		return err
	}
	// RFC 3207 4.2: forget what was said before TLS and ask again. STARTTLS offered a second time is ignored.
	return c.hello()
}

func (c *Conn) handshake(stage Stage) error {
	if err := c.arm(c.o.Timeouts.StartTLS); err != nil {
		return c.broken(stage, err)
	}
	var unproven error
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12, // NIST SP 800-52r2 3.1
		ServerName:         c.o.TLS.Name,
		ClientSessionCache: c.o.TLS.Sessions,
		InsecureSkipVerify: true, //nolint:gosec // G402: VerifyConnection below verifies, also what is resumed, and keeps the reason
		VerifyConnection: func(s tls.ConnectionState) error {
			unproven = verify(s, c.o.TLS, c.moment())
			if c.o.TLS.Level == Verified {
				return unproven
			}
			return nil
		},
	}
	t := tls.Client(c.nc, conf)
	err := t.HandshakeContext(c.ctx)
	if err != nil {
		c.dead = true
		if unproven != nil {
			return &Error{Kind: Certificate, Stage: stage, Reason: c.o.TLS.reasonOf(unproven), Err: unproven}
		}
		if errors.Is(err, context.Canceled) {
			return &Error{Kind: Network, Stage: stage, Err: err}
		}
		return &Error{Kind: Handshake, Stage: stage, Err: err}
	}
	s := t.ConnectionState()
	c.nc = t
	c.buffer()
	c.state.TLS, c.state.Verified, c.state.Resumed = true, unproven == nil, s.DidResume
	c.state.Version, c.state.Cipher = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
	if unproven != nil {
		c.state.Unverified = c.o.TLS.reasonOf(unproven)
	}
	return nil
}

func (c *Conn) moment() time.Time {
	if c.o.Now != nil {
		return c.o.Now()
	}
	return time.Now()
}

var errNoName = errors.New("smtpclient: no name to prove")

func (t TLS) reasonOf(err error) Reason {
	if t.Prove != nil {
		return ReasonPin
	}
	return reasonOf(err)
}

// verify judges the certificate for the name (RFC 6125) under the roots, at the moment.
func verify(s tls.ConnectionState, want TLS, now time.Time) error {
	if want.Prove != nil {
		return want.Prove(s.PeerCertificates, now)
	}
	if want.Name == "" || len(s.PeerCertificates) == 0 {
		return errNoName
	}
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: want.Name, Roots: want.Roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

func reasonOf(err error) Reason {
	if inv, ok := errors.AsType[x509.CertificateInvalidError](err); ok && inv.Reason == x509.Expired {
		return ReasonExpired
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return ReasonName
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ReasonAuthority
	}
	return ReasonOther
}
