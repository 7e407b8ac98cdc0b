package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/world"
)

// receiverName is what the certificate of the receiver proves.
const receiverName = "mx.bench.invalid"

// greeting is what a receiving process says of itself on its first line.
type greeting struct {
	Addr string `json:"addr"`
	CA   string `json:"ca"`
}

// took is what it says when its input is closed.
type took struct {
	Messages   int `json:"messages"`
	Recipients int `json:"recipients"` // different ones
	Bytes      int `json:"bytes"`      // of the messages
}

// Receive is the receiving process of a measurement: a mail server that demands TLS, takes everything and counts. It serves until its
// input is closed.
func Receive(ctx context.Context, in io.Reader, out io.Writer) error {
	authority, err := world.NewAuthority("Carepost measurement")
	if err != nil {
		return err
	}
	cert, err := authority.Issue(time.Now().AddDate(0, 1, 0), receiverName)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for mail: %w", err)
	}
	c := &counter{ctx: ctx, tls: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, seed: maphash.MakeSeed(), to: map[uint64]struct{}{}}
	if err := json.NewEncoder(out).Encode(greeting{l.Addr().String(), string(authority.PEM())}); err != nil {
		return err
	}
	go c.accept(l)
	_, err = io.Copy(io.Discard, in)
	err = errors.Join(err, l.Close())
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, json.NewEncoder(out).Encode(took{c.messages, len(c.to), c.bytes}))
}

// counter counts messages and the different recipients among them.
type counter struct {
	ctx  context.Context //nolint:containedctx // of the process
	tls  *tls.Config
	seed maphash.Seed

	mu       sync.Mutex
	messages int
	bytes    int
	to       map[uint64]struct{}
}

func (c *counter) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			s := &talk{c: c, conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriter(conn)}
			defer func() { _ = s.conn.Close() }() // the sender has gone, or is told to
			if s.say("220 "+receiverName) == nil {
				for s.command() == nil {
				}
			}
		}()
	}
}

// talk is one connection. Replies are flushed when no command waits, so that pipelining costs one flight.
type talk struct {
	c    *counter
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	to   uint64
}

var errQuit = errors.New("bench: the sender said QUIT")

func (s *talk) say(line string) error {
	if _, err := s.w.WriteString(line + "\r\n"); err != nil || s.r.Buffered() > 0 {
		return err
	}
	return s.w.Flush()
}

func (s *talk) command() error {
	line, err := s.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	switch verb := strings.ToUpper(string(line[:min(4, len(line))])); verb {
	case "EHLO":
		if _, secure := s.conn.(*tls.Conn); !secure {
			return s.say("250-" + receiverName + "\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS")
		}
		return s.say("250-" + receiverName + "\r\n250-PIPELINING\r\n250 8BITMIME")
	case "STAR":
		return s.secure()
	case "RCPT":
		s.to = maphash.Bytes(s.c.seed, bytes.TrimSpace(line))
		return s.say("250 2.1.5 ok")
	case "DATA":
		return s.data()
	case "QUIT":
		_ = s.say("221 2.0.0 bye")
		return errQuit
	}
	return s.say("250 2.0.0 ok")
}

func (s *talk) secure() error {
	if err := s.say("220 2.0.0 go ahead"); err != nil {
		return err
	}
	conn := tls.Server(s.conn, s.c.tls)
	if err := conn.HandshakeContext(s.c.ctx); err != nil {
		return err
	}
	s.conn = conn
	s.r.Reset(conn)
	s.w.Reset(conn)
	return nil
}

// data takes a message and counts it before it says so.
func (s *talk) data() error {
	if _, secure := s.conn.(*tls.Conn); !secure {
		return s.say("530 5.7.0 STARTTLS first")
	}
	if err := s.say("354 go ahead"); err != nil {
		return err
	}
	size := 0
	for begins := true; ; {
		line, err := s.r.ReadSlice('\n')
		if begins && string(line) == ".\r\n" {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		begins = err == nil
		size += len(line)
	}
	s.c.mu.Lock()
	s.c.messages++
	s.c.bytes += size
	s.c.to[s.to] = struct{}{}
	s.c.mu.Unlock()
	return s.say("250 2.0.0 taken")
}

// startReceiver starts the receiving process. stop ends it and gives what it took.
func startReceiver(ctx context.Context, command []string) (g greeting, stop func() (took, error), err error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: this program itself
	in, err := cmd.StdinPipe()
	if err != nil {
		return g, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return g, nil, err
	}
	if err := cmd.Start(); err != nil {
		return g, nil, fmt.Errorf("start a receiver: %w", err)
	}
	lines := json.NewDecoder(out)
	if err := lines.Decode(&g); err != nil {
		_ = in.Close()
		return g, nil, errors.Join(fmt.Errorf("hear from the receiver: %w", err), cmd.Wait())
	}
	return g, func() (t took, err error) {
		_ = in.Close()
		err = lines.Decode(&t)
		return t, errors.Join(err, cmd.Wait())
	}, nil
}
