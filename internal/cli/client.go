package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/web"
)

// client calls the API's handlers over a unix socket: the running process's, or one of this process's own when nobody holds the
// data folder.
type client struct {
	organisation string
	alone        bool // nobody serves the installation: this process opened it for the one command
	http         *http.Client
	end          func() error
}

// maxReply bounds what a reply may hold in memory; streams are copied instead.
const maxReply = 64 << 20

// connect finds out who holds the data folder.
func connect(ctx context.Context, c config.Config, organisation string) (*client, error) {
	cl := &client{organisation: organisation, http: over(c.SocketPath()), end: func() error { return nil }}
	err := cl.call(ctx, http.MethodGet, "/health", nil, nil, nil)
	if err == nil || !errors.Is(err, errNobody) {
		return cl, err
	}
	if err := made(c); err != nil {
		return nil, err
	}
	return own(ctx, c, organisation)
}

// made refuses a folder where nothing was ever made: a mistyped path must not become a second, empty installation under the same keys.
func made(c config.Config) error {
	if _, err := os.Stat(c.Keys); errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.NotFound, "there is no key folder here").At("%s", c.Keys).Hint("`carepost init` makes an installation; or name its folders by --set keys=FOLDER and --set data=FOLDER")
	}
	if c.DSN != "" {
		return nil
	}
	if at, err := os.Stat(c.Data); err != nil || !at.IsDir() {
		return fault.Wrap(fault.NotFound, err, "there is no data folder here").At("%s", c.Data).Hint("`carepost init` makes an installation; or name its folder by --set data=FOLDER")
	}
	return nil
}

// own opens the installation in this process and serves its handlers on a socket of its own, in a folder that nobody else may enter.
func own(ctx context.Context, c config.Config, organisation string) (*client, error) {
	a, err := app.Open(ctx, app.Options{Config: c})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "carepost-")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder for the socket: %w", err), a.Close())
	}
	path := filepath.Join(dir, "s")
	l, err := app.Listen(ctx, path)
	if err != nil {
		return nil, errors.Join(err, a.Close(), os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- a.Serve(ctx, l) }()
	go func() { done <- a.RunLedger(ctx) }()
	end := func() error {
		cancel()
		return errors.Join(<-done, <-done, a.Close(), os.RemoveAll(dir))
	}
	return &client{organisation: organisation, alone: true, http: over(path), end: end}, nil
}

func over(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

var errNobody = errors.New("cli: nobody listens on the socket")

func (c *client) close() {
	c.http.CloseIdleConnections()
	if err := c.end(); err != nil {
		slog.Error("the installation was not closed in order", "error", err)
	}
}

// call sends in as JSON and reads the reply into out; a problem comes back as the fault that it was.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	res, err := c.do(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return web.FaultOf(res.StatusCode, raw)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fault.Wrap(fault.Internal, err, "the reply is not what this version of the command expects").Hint("use the binary that the server runs")
	}
	return nil
}

// stream copies a reply as it comes.
func (c *client) stream(ctx context.Context, path string, query url.Values, to io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // copied to its end below
	if res.StatusCode >= http.StatusBadRequest {
		raw, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
		if err != nil {
			return fmt.Errorf("read the reply: %w", err)
		}
		return web.FaultOf(res.StatusCode, raw)
	}
	_, err = io.Copy(to, res.Body)
	return err
}

func (c *client) do(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, error) {
	if query == nil {
		query = url.Values{}
	}
	if c.organisation != "" && !installationWide[path] {
		query.Set("organisation", c.organisation)
	}
	var payload io.Reader = http.NoBody
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	u := "http://carepost/api/v1" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, payload)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return nil, fmt.Errorf("%w: %w", errNobody, err)
		}
		return nil, fault.Wrap(fault.Unavailable, err, "the running process does not answer").Hint("look at its log, and try again")
	}
	return res, nil
}

// installationWide are the routes that belong to no organisation.
var installationWide = map[string]bool{
	"/health": true, "/organisations": true, "/ledger/reopen": true, "/keys": true, "/keys/rotate": true, "/keys/escrow": true, "/backups": true, "/doctor": true,
}

// until asks again and again, a little slower each time, until done says so.
func until(ctx context.Context, done func() (bool, error)) error {
	wait := 20 * time.Millisecond
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait = min(wait*3/2, time.Second)
	}
}
