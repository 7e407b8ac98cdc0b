package delivery_test

import (
	"context"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
	"github.com/carepost/carepost/internal/world"
)

// TestWorld sends to every temper of the made-up world, over its real DNS, HTTPS and SMTP: what arrives where, and by which proof.
func TestWorld(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		w, err := world.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		tempers := map[string]world.Temper{
			"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}, "expired.example": {Expired: true}, "strict.example": {Policy: "enforce", Expired: true},
			"broken.example": {Policy: "enforce", PolicyNamesOther: true}, "busy.example": {BusyOnce: true}, "gone.example": {Gone: true}, "partner.example": {Partner: true, NoMX: true},
			"dane.example": {DANE: "good", Expired: true, WrongName: true}, "baddane.example": {DANE: "other"},
		}
		for domain, temper := range tempers {
			if _, err := w.Add(t.Context(), domain, temper); err != nil {
				t.Fatal(err)
			}
		}
		m := w.Map()
		resolver, err := tlspolicy.NewDNS(m.DNS)
		if err != nil {
			t.Fatal(err)
		}
		if err := resolver.TrustAD(); err != nil {
			t.Fatal(err)
		}
		k := newKit(t, st, nil)
		k.ways, err = tlspolicy.New(tlspolicy.Options{Store: st, Keys: k.keys, Ledger: k.led, Resolver: resolver, Dial: m.Dial, Roots: w.Authority.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		k.o.Ways, k.o.Dial, k.o.Roots = k.ways, m.Dial, w.Authority.Pool()
		k.renew()
		err = st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			_, err := k.ways.SetRoute(ctx, tx, tlspolicy.Route{Domain: "partner.example", Host: "mx.partner.example", CA: w.Partner.PEM()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for domain, c := range worldCases {
			k.need[domain] = c.need
		}
		ids := map[string]id.Message{}
		for domain := range worldCases {
			ids[domain] = k.enqueue(delivery.Row{Domain: domain})[0]
		}
		k.run()
		k.ended()
		for domain, want := range worldCases {
			s := k.status(ids[domain])
			if s.End != want.end || s.Proof != want.proof || s.Attempts != want.attempts {
				t.Errorf("%s: %+v", domain, s)
			}
			n := 0
			if want.end == delivery.Accepted {
				n = 1
			}
			if got := w.Receivers()[domain].Count(); got != n {
				t.Errorf("%s has %d messages", domain, got)
			}
		}
	})
}

var worldCases = map[string]struct {
	need     tlspolicy.Proof
	end      delivery.End
	proof    tlspolicy.Proof
	attempts int
}{
	"trusted.example": {tlspolicy.ProofMTASTS, delivery.Accepted, tlspolicy.ProofMTASTS, 1},
	"plain.example":   {tlspolicy.ProofPKIX, delivery.Accepted, tlspolicy.ProofNone, 1}, // as a notice
	"expired.example": {tlspolicy.ProofPKIX, delivery.Accepted, tlspolicy.ProofNone, 1}, // as a notice
	"strict.example":  {tlspolicy.ProofMTASTS, delivery.Held, tlspolicy.ProofNone, 3},
	"broken.example":  {tlspolicy.ProofNone, delivery.Held, tlspolicy.ProofNone, 3},
	"busy.example":    {tlspolicy.ProofPKIX, delivery.Accepted, tlspolicy.ProofPKIX, 2},
	"gone.example":    {tlspolicy.ProofPKIX, delivery.Bounced, tlspolicy.ProofNone, 1},
	"dane.example":    {tlspolicy.ProofDANE, delivery.Accepted, tlspolicy.ProofDANE, 1}, // by its own records, which look at neither name nor date
	"baddane.example": {tlspolicy.ProofNone, delivery.Held, tlspolicy.ProofNone, 3},     // neither message nor notice
	"partner.example": {tlspolicy.ProofRoute, delivery.Accepted, tlspolicy.ProofRoute, 1},
}
