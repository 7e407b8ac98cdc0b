package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/carepost/carepost/internal/web"
)

// client asks the child's API over its socket.
type client struct{ http *http.Client }

func newClient(socket string) *client {
	return &client{&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// maxReply bounds a reply in memory.
const maxReply = 64 << 20

func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

func (c *client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, nil, in, out)
}

func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	res, err := c.do(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return fmt.Errorf("read the reply of %s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %w", method, path, web.FaultOf(res.StatusCode, raw))
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read the reply of %s %s: %w", method, path, err)
	}
	return nil
}

// copyTo copies a reply as it comes.
func (c *client) copyTo(ctx context.Context, path string, to io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // copied to its end below
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: status %d", path, res.StatusCode)
	}
	_, err = io.Copy(to, res.Body)
	return err
}

func (c *client) do(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	u := "http://carepost/api/v1" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, fmt.Errorf("make %s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(req)
}
