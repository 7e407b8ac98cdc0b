package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// zoneOf gives an organisation's time zone to whoever reckons in its days.
func zoneOf(all *organisation.Organisations) func(context.Context, *store.Tx) (*time.Location, error) {
	return func(ctx context.Context, tx *store.Tx) (*time.Location, error) {
		o, err := all.Get(ctx, tx)
		if err != nil {
			return nil, err
		}
		return o.Profile.Location()
	}
}

// client carries requests to other houses: what a test replaces is replaced here as well.
func (a *App) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: a.options.Dial, TLSClientConfig: &tls.Config{RootCAs: a.options.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 2 * time.Minute, ForceAttemptHTTP2: true,
	}}
}
