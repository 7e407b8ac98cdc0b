package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/web"
)

// API asks the program over its socket.
type API struct{ http *http.Client }

func newAPI(socket string) *API {
	return &API{&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}}
}

// Try asks; a problem comes back as the fault that it was. An out that is a *[]byte takes the reply as it is.
func (a *API) Try(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://carepost/api/v1"+path, body)
	if err != nil {
		return fmt.Errorf("make %s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	raw, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("read the reply of %s %s: %w", method, path, err)
	case res.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s %s: %w", method, path, web.FaultOf(res.StatusCode, raw))
	case out == nil || len(raw) == 0:
		return nil
	}
	if whole, ok := out.(*[]byte); ok {
		*whole = raw
		return nil
	}
	return json.Unmarshal(raw, out)
}

// Get asks for what must be there.
func (a *API) Get(t testing.TB, path string, out any) {
	t.Helper()
	a.must(t, http.MethodGet, path, nil, out)
}

// Post asks for what must be done.
func (a *API) Post(t testing.TB, path string, in, out any) {
	t.Helper()
	a.must(t, http.MethodPost, path, in, out)
}

func (a *API) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := a.Try(t.Context(), method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

// Ready waits until the program answers; one over a restored database says that it is one.
func (a *API) Ready(t testing.TB) {
	t.Helper()
	a.Until(t, time.Minute, "the program is ready", func() bool {
		var health struct {
			State string `json:"state"`
		}
		return a.Try(t.Context(), http.MethodGet, "/health", nil, &health) == nil && health.State != "failed"
	})
}

// Until asks again and again; a wait that is in vain ends the test.
func (a *API) Until(t testing.TB, most time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain until %s", most, what)
		}
	}
}

// Domain is where the organisation that Found makes sends from.
const Domain = "lakeside.example"

type object = map[string]any

// Found makes an organisation with a domain, a sender for each class and a policy that takes a verified certificate as proof.
func (a *API) Found(t testing.TB) {
	t.Helper()
	a.Post(t, "/organisations", object{"host": "care." + Domain, "profile": object{
		"name": "Lakeside Health Inc.", "display": "Lakeside Health", "zone": "America/Chicago", "languages": []string{"en"}, "phone": "+1 312 555 0100",
		"postal": object{"lines": []string{"1 Lake Street"}, "city": "Springfield", "state": "IL", "postal_code": "62701", "country": "US"},
	}}, nil)
	a.Post(t, "/domains", object{"name": Domain}, nil)
	a.Post(t, "/senders", object{"address": "care@" + Domain, "name": "Lakeside Health", "class": "transactional", "stream": "care"}, nil)
	a.Post(t, "/senders", object{"address": "news@" + Domain, "name": "Lakeside Health", "class": "commercial", "stream": "news"}, nil)
	a.must(t, http.MethodPut, "/policy", object{
		"accept_pkix": true, "pickup": true, "sensitive_tls": false, "plain_requests_off": false, "protect_all": false, "bulk_per_week": 0,
	}, nil)
}

// Import imports a folder of FHIR Bulk Data and waits until it is done.
func (a *API) Import(t testing.TB, source, dir string) {
	t.Helper()
	var at struct{ ID, State, Error string }
	a.Post(t, "/imports", object{"source": source, "path": dir}, &at)
	a.Until(t, time.Minute, "the export is imported", func() bool {
		a.Get(t, "/imports/"+at.ID, &at)
		return at.State != "running"
	})
	if at.State != "done" {
		t.Fatalf("the import is %s: %s", at.State, at.Error)
	}
}
