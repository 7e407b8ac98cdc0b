package demo

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/world"
)

// receivers are the mail servers of the outside, in the order of the screen.
var receivers = []struct {
	domain, about string
	temper        world.Temper
}{
	{"trusted.example", "proves itself by MTA-STS", world.Temper{Policy: "enforce"}},
	{"busy.example", "says 451 once, then takes it", world.Temper{BusyOnce: true}},
	{"partner.example", "by a route with a pinned CA", world.Temper{Partner: true, NoMX: true}},
	{"plain.example", "speaks no TLS", world.Temper{NoTLS: true}},
	{"expired.example", "its certificate has expired", world.Temper{Expired: true}},
	{"strict.example", "breaks the policy it enforces", world.Temper{Policy: "enforce", PolicyNamesOther: true}},
	{"gone.example", "knows nobody: 550 5.1.1", world.Temper{Gone: true}},
}

// partner is the domain that is reached by a configured route.
const partner = "partner.example"

func startWorld(ctx context.Context) (*world.World, error) {
	w, err := world.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the world: %w", err)
	}
	for _, r := range receivers {
		if _, err := w.Add(ctx, r.domain, r.temper); err != nil {
			return w, fmt.Errorf("start %s: %w", r.domain, err)
		}
	}
	return w, nil
}
