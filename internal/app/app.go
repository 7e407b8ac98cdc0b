// Package app owns the wiring: it opens the store, the keys and the ledger, hands each package what it needs, starts what runs, and
// stops it in order.
//
// It never knows what a message says or what a rule asks. Options carries what the demo, the benchmarks and tests replace: the DNS
// server, the dialler, the roots, the retry times; no setting reaches them. Read app.go, then run.go; jobs.go lists what runs by itself.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/csv"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Options are what an installation is started with. All but Config are set by the demo, benchmarks and tests only.
type Options struct {
	Config config.Config

	DNS      string // host:port of the only name server; empty is the configured one
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Roots    *x509.CertPool
	Schedule delivery.Schedule
	Life     time.Duration // of a node without a sign of life
}

// The files of the key folder.
const (
	ringFile   = "epochs.ring"
	signerFile = "ledger.key"
)

// App is an open installation. Close ends it.
type App struct {
	config   config.Config
	options  Options
	parts    api.Parts
	face     *api.Face
	delivery *delivery.Engine
	audience *audience.Audience
	node     atomic.Pointer[store.Node] // while Run runs

	tasks  sync.WaitGroup
	ctx    context.Context //nolint:containedctx // the life of background tasks, which outlive the request that began them
	cancel context.CancelFunc
}

// Open opens an installation that Init made. Nothing runs by itself yet: Run does that.
func Open(ctx context.Context, o Options) (*App, error) {
	ring, signer, err := openKeys(o.Config)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, store.Options{Dir: o.Config.Data, DSN: o.Config.DSN, Life: o.Life})
	if err != nil {
		return nil, err
	}
	a := &App{config: o.Config, options: o}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := a.wire(ctx, st, ring, signer); err != nil {
		a.cancel()
		return nil, errors.Join(err, st.Close())
	}
	return a, nil
}

// openKeys hardens the process before it reads a key: no core dump, no reading of its memory by others.
func openKeys(c config.Config) (*seal.Ring, ledger.Signer, error) {
	if err := seal.Harden(); err != nil {
		return nil, ledger.Signer{}, err
	}
	keeper, err := custody(c)
	if err != nil {
		return nil, ledger.Signer{}, err
	}
	ring, err := seal.OpenRingIn(filepath.Join(c.Keys, ringFile), c.Data, keeper)
	if err != nil {
		return nil, ledger.Signer{}, err
	}
	signer, err := ledger.OpenSigner(filepath.Join(c.Keys, signerFile))
	return ring, signer, err
}

// wire hands each package what it needs, floor by floor.
func (a *App) wire(ctx context.Context, st *store.Store, ring *seal.Ring, signer ledger.Signer) error {
	keys, err := seal.Open(ctx, st, ring)
	if err != nil {
		return err
	}
	keys.Among(a.amongNodes)
	led, err := ledger.New(ctx, st, keys, signer)
	if err != nil {
		return err
	}
	if err := led.Witnesses(a.config.Witnesses, a.client()); err != nil {
		return err
	}
	p := api.Parts{Store: st, Ring: ring, Keys: keys, Ledger: led, Now: time.Now, Hello: a.config.HeloName()}
	p.Organisations = organisation.New(st, keys, led)
	p.People = people.New(st, keys, led)
	p.Consents = consent.New(keys, led, p.People)
	p.Agreements = agreement.New(keys, led)
	p.Staff = staff.New(keys, led)
	p.Intake = intake.New(intake.Needs{
		Store: st, Keys: keys, Ledger: led, People: p.People, Mappers: []intake.Mapper{fhir.Mapper{}, csv.Mapper{}}, Propose: p.Consents.ProposeFacts,
		Suppress: p.Consents.SuppressAll, Withdraw: p.Consents.WithdrawFacts, WithdrawSuppressions: p.Consents.WithdrawImport,
	})
	p.Audience = audience.New(audience.Options{Store: st, Keys: keys, Ledger: led, People: p.People, Fresh: a.config.Freshness, Zone: zoneOf(p.Organisations)})
	a.audience = p.Audience
	p.Templates = compose.NewTemplates(keys, led)
	if p.Ways, err = a.ways(st, keys, led); err != nil {
		return err
	}
	base := "https://" + a.config.Host
	kept, err := pickup.New(pickup.Options{Keys: keys, Ledger: led, Base: base, PersonKey: p.People.Key})
	if err != nil {
		return err
	}
	gatherer := gate.NewGatherer(p.People, p.Consents, p.Agreements, p.Organisations)
	p.Sends = send.New(send.Parts{
		Store: st, Keys: keys, Ledger: led, Organisations: p.Organisations, People: p.People, Consents: p.Consents,
		Templates: p.Templates, Pickup: kept, Gather: gatherer, Ways: p.Ways, Base: base,
	})
	if err := a.carry(st, keys, led, &p); err != nil {
		return err
	}
	if a.config.Source != "" {
		p.Sources = []string{a.config.Source}
	}
	p.Escrow, p.Custody = a.escrow, a.config.Custody
	p.Only, p.Go, p.Examine, p.DNS = a.only, a.background, a.examine, a.resolver()
	a.parts = p
	a.face = api.New(p)
	return nil
}

func (a *App) ways(st *store.Store, keys *seal.Keys, led *ledger.Ledger) (*tlspolicy.Ways, error) {
	o := tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Dial: a.options.Dial, Roots: a.options.Roots}
	var servers []string
	if server := a.nameServer(); server != "" {
		servers = []string{server}
	}
	r, err := tlspolicy.NewDNS(servers...)
	if err != nil {
		return nil, fmt.Errorf("find name servers: %w", err)
	}
	if a.config.Validates == "yes" {
		if err := r.TrustAD(); err != nil {
			return nil, err
		}
	}
	o.Resolver = r
	return tlspolicy.New(o)
}

func (a *App) nameServer() string {
	if a.options.DNS != "" {
		return a.options.DNS
	}
	return a.config.Resolver
}

// resolver is the plain resolver that the check of a domain asks.
func (a *App) resolver() *net.Resolver {
	server := a.nameServer()
	if server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}
}

func (a *App) carry(st *store.Store, keys *seal.Keys, led *ledger.Ledger, p *api.Parts) (err error) {
	o := delivery.Options{
		Store: st, Keys: keys, Ledger: led, Ways: p.Ways, Prepare: p.Sends.Prepare, Record: p.Sends.Record, Outcome: p.Sends.Outcome,
		PersonKeys: p.People.LiveKeys,
		Signing:    a.signing(st, p.Organisations), Hello: a.config.HeloName(), Connections: a.config.Connections,
		Dial: a.options.Dial, Roots: a.options.Roots, Schedule: a.options.Schedule, Owns: a.owns, Now: st.Now,
	}
	if a.config.Source != "" {
		o.Sources = []string{a.config.Source}
	}
	a.delivery, err = delivery.New(o)
	if err != nil {
		return err
	}
	p.Sends.Deliver(a.delivery)
	return nil
}

// signing gives delivery the DKIM keys of a domain.
func (a *App) signing(st *store.Store, all *organisation.Organisations) delivery.KeySource {
	return func(ctx context.Context, org id.Organisation, domain string) ([]delivery.SigningKey, error) {
		var out []delivery.SigningKey
		err := st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			signers, err := all.Signers(ctx, tx, domain)
			for _, s := range signers {
				out = append(out, delivery.SigningKey{Domain: s.Domain, Selector: s.Selector, Signer: s.Key})
			}
			return err
		})
		return out, err
	}
}

// Fingerprint gives a hash of all that this node's audience index says, which is the same on every node.
func (a *App) Fingerprint(ctx context.Context, org id.Organisation) (string, error) {
	return a.audience.Fingerprint(ctx, org)
}

// API gives the face.
func (a *App) API() http.Handler { return a.face }

// only gives the organisation that is meant when none is named.
func (a *App) only(ctx context.Context) (id.Organisation, error) {
	var all []organisation.Summary
	err := a.parts.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = a.parts.Organisations.All(ctx, tx)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case len(all) == 0:
		return 0, fault.New(fault.NotFound, "there is no organisation yet").Hint("carepost init makes one")
	case len(all) > 1:
		return 0, fault.New(fault.Invalid, "there are several organisations").Hint("name one with --organisation org_N")
	}
	return all[0].Number, nil
}

// background runs a task until it ends or the installation closes.
func (a *App) background(task func(ctx context.Context)) {
	a.tasks.Go(func() { task(a.ctx) })
}

// Close ends background tasks, then the store.
func (a *App) Close() error {
	a.cancel()
	a.tasks.Wait()
	if err := a.parts.Ledger.SaveMark(); err != nil {
		return errors.Join(fmt.Errorf("write the ledger's mark: %w", err), a.parts.Store.Close())
	}
	return a.parts.Store.Close()
}

// Init makes the folders and the key files of a new installation. It touches nothing that is there.
func Init(c config.Config, now time.Time) error {
	for _, dir := range []string{c.Data, c.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fault.Wrap(fault.Invalid, err, "the folder cannot be made").At("%s", dir)
		}
	}
	keeper, err := custody(c)
	if err != nil {
		return err
	}
	if err := seal.CreateRingIn(filepath.Join(c.Keys, ringFile), now, keeper); err != nil {
		return err
	}
	return ledger.CreateSigner(filepath.Join(c.Keys, signerFile), c.Host+"/ledger")
}

// Restore makes the database of the settings from a backup, and notes beside the ledger's key that it did: nothing is sent until an
// operator has the ledger reopened.
func Restore(ctx context.Context, c config.Config, file string) error {
	if err := store.Restore(ctx, file, store.Options{Dir: c.Data, DSN: c.DSN}); err != nil {
		return err
	}
	return ledger.NoteRestore(filepath.Join(c.Keys, signerFile))
}
