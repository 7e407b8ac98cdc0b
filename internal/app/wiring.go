package app

import (
	"context"
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
