package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The organisation of the story.
const (
	ourDomain = "lakeside.example"
	ourHost   = "care.lakeside.example"
	ourName   = "Lakeside Health"
	payer     = "GlucoWell"
	// freshness is how long the export of the story counts as fresh.
	freshness = 48 * time.Hour
)

// found makes the organisation with its domain, senders, policy and the partner's route, as an administrator does on the first day.
func (s *story) found(ctx context.Context) error {
	profile := map[string]any{
		"name": ourName + " Inc.", "display": ourName, "zone": "America/Chicago", "languages": []string{"en", "es"}, "phone": "+1 312 555 0100",
		"postal": map[string]any{"lines": []string{"1 Lake Street"}, "city": "Springfield", "state": "IL", "postal_code": "62701", "country": "US"},
	}
	for _, step := range []struct {
		method, path string
		in           any
	}{
		{http.MethodPost, "/organisations", map[string]any{"host": ourHost, "profile": profile}},
		{http.MethodPost, "/domains", map[string]any{"name": ourDomain}},
		{http.MethodPost, "/senders", map[string]any{"address": "care@" + ourDomain, "name": ourName, "class": "transactional", "stream": "care"}},
		{http.MethodPost, "/senders", map[string]any{"address": "news@" + ourDomain, "name": ourName, "class": "commercial", "stream": "news"}},
		{http.MethodPut, "/policy", map[string]any{
			"accept_pkix": true, "pickup": true, "sensitive_tls": false, "plain_requests_off": false, "protect_all": false, "bulk_per_week": 3,
		}},
		{http.MethodPost, "/routes", map[string]any{"domain": partner, "host": "mx." + partner, "port": 25, "ca": string(s.world.Partner.PEM())}},
	} {
		if err := s.api.call(ctx, step.method, step.path, nil, step.in, nil); err != nil {
			return err
		}
	}
	if err := s.hire(ctx, s.control.word); err != nil {
		return err
	}
	return s.publish(ctx)
}

// hire makes a member of the staff whose address holds the control word. Staff addresses are one of the few clear columns, so the scan
// must find it in the database: the product itself plants the control.
func (s *story) hire(ctx context.Context, local string) error {
	return s.api.post(ctx, "/users", map[string]any{"email": local + "@" + ourDomain, "name": "Control", "roles": []string{}}, nil)
}

type domainCheck struct {
	Ready  bool `json:"ready"`
	Checks []struct {
		Record struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"record"`
		Status string `json:"status"`
	} `json:"checks"`
}

// publish puts the records that the product asks for into the zone, and has the product check them.
func (s *story) publish(ctx context.Context) error {
	path := "/domains/" + url.PathEscape(ourDomain) + "/check"
	var before, after domainCheck
	if err := s.api.get(ctx, path, nil, &before); err != nil {
		return err
	}
	s.hold(!before.Ready, "the check of a domain without records says that it is not ready")
	for _, c := range before.Checks {
		s.world.Record(zoneLine(c.Record.Name, c.Record.Type, c.Record.Value))
	}
	if err := s.api.get(ctx, path, nil, &after); err != nil {
		return err
	}
	s.hold(after.Ready, "the check of the domain says that it is ready once its records are published")
	return nil
}

// zoneLine writes a record as a zone file has it: strings of a TXT record hold 255 bytes at most (RFC 1035 3.3).
func zoneLine(name, kind, value string) string {
	if kind == "TXT" {
		const most = 255
		var parts []string
		for len(value) > most {
			parts, value = append(parts, value[:most]), value[most:]
		}
		value = `"` + strings.Join(append(parts, value), `" "`) + `"`
	}
	return fmt.Sprintf("%s. 60 IN %s %s", name, kind, value)
}

// ready waits until the child answers.
func (s *story) ready(ctx context.Context) error {
	return s.until(ctx, 2*time.Minute, "the server is ready", func() (bool, error) {
		var health struct {
			State string `json:"state"`
		}
		if err := s.api.get(ctx, "/health", nil, &health); err != nil {
			return false, nil //nolint:nilerr // not yet; until gives up in time, and says when the child has ended
		}
		return health.State == "ready", nil
	})
}

// until asks again and again until done says so, the child has ended, or the time is over.
func (s *story) until(ctx context.Context, most time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("demo: waited %s in vain until %s", most, what))
	defer cancel()
	const every = 40 * time.Millisecond
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.child.done:
			return s.child.ended()
		case <-time.After(every):
		}
	}
}
