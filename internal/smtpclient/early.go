package smtpclient

import (
	"errors"
	"os"
	"time"
)

// earlyWait is how long bytes that have come may take to make an answer: they may be TLS's own.
const earlyWait = 50 * time.Millisecond

// early tells whether the receiver has said something that nobody has read, or is gone: after the 354 it has nothing to say before the dot,
// and an answer taken for the dot's would be an acceptance that never was. It asks the reader, then what TLS holds, then the socket, and
// waits for none of them.
func (c *Conn) early() (said bool, gone error) {
	if c.r.Buffered() > 0 {
		return true, nil
	}
	if said, gone = c.peek(time.Unix(1, 0)); said || gone != nil || !pending(c.raw) {
		return said, gone
	}
	return c.peek(time.Now().Add(earlyWait))
}

func (c *Conn) peek(deadline time.Time) (said bool, gone error) {
	if err := c.raw.SetReadDeadline(deadline); err != nil {
		return false, err
	}
	_, err := c.r.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}
