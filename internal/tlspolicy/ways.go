package tlspolicy

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Options are what Ways needs. Resolver, Dial, Roots and Now are set by the demo, benchmarks and tests; their zero values are the world.
type Options struct {
	Store  *store.Store
	Keys   *seal.Keys
	Ledger *ledger.Ledger

	Resolver Resolver         // nil: the servers of /etc/resolv.conf
	Dial     DialFunc         // for policy files; nil: the system's
	Roots    *x509.CertPool   // for policy files; nil: the system's
	Now      func() time.Time // nil: the clock
}

// Ways finds ways. It is safe for use by many goroutines.
type Ways struct {
	store    *store.Store
	keys     *seal.Keys
	ledger   *ledger.Ledger
	resolver Resolver
	fetch    fetcher
	now      func() time.Time

	mu       sync.Mutex
	found    map[string]*found
	failures map[string]failure
	missing  map[string]time.Time // when a domain was first said to be missing
	routes   map[id.Organisation]routeSet
	changes  map[id.Organisation]uint64 // of routes, by this process: a load that a change overtook is not kept
	health   health
}

type found struct {
	done  chan struct{} // closed when res is set
	res   Resolution
	until time.Time
}

type failure struct {
	what  Failure
	until time.Time
}

// How long what was found is believed. A good answer lives as long as DNS says, within the first two.
const (
	minLife     = time.Minute
	maxLife     = time.Hour
	troubleLife = 20 * time.Second
	absentLife  = 5 * time.Minute
	failureLife = time.Hour
	maxFound    = 200_000 // domains in memory; some 60 MB
)

// New makes a finder of ways.
func New(o Options) (*Ways, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Resolver == nil {
		d, err := NewDNS()
		if err != nil {
			return nil, fmt.Errorf("find name servers: %w", err)
		}
		o.Resolver = d
	}
	if o.Dial == nil {
		o.Dial = PublicDial
	}
	return &Ways{
		store: o.Store, keys: o.Keys, ledger: o.Ledger, resolver: o.Resolver, now: o.Now, fetch: newFetcher(o.Dial, o.Roots, o.Now),
		found: map[string]*found{}, failures: map[string]failure{}, missing: map[string]time.Time{},
		routes: map[id.Organisation]routeSet{}, changes: map[id.Organisation]uint64{},
	}, nil
}

// Resolve finds the way to a domain for an organisation. Trouble of any kind is a Resolution with status Later, never an error: no
// message is lost or bounced for it. It asks the network unless the answer is fresh, so it is not called inside a transaction.
func (w *Ways) Resolve(ctx context.Context, org id.Organisation, domain string) Resolution {
	d, ok := Normal(domain)
	if !ok {
		return Resolution{Domain: domain}.not(Nowhere, ReasonBadName)
	}
	res, ok, err := w.route(ctx, org, d)
	if err != nil {
		if ctx.Err() == nil {
			slog.Error("routes cannot be read", "organisation", org.String(), "error", err)
		}
		return Resolution{Domain: d}.not(Later, ReasonResolver)
	}
	if !ok {
		res = w.byDNS(ctx, d)
	}
	res.Failure = w.failureOf(d)
	return res
}

// byDNS gives the fresh answer, or asks; many callers for one domain ask once.
func (w *Ways) byDNS(ctx context.Context, domain string) Resolution {
	for {
		w.mu.Lock()
		f := w.found[domain]
		if f == nil || isClosed(f.done) && !w.now().Before(f.until) {
			f = &found{done: make(chan struct{})}
			w.forget()
			w.found[domain] = f
			w.mu.Unlock()
			w.ask(ctx, domain, f)
			return f.res
		}
		w.mu.Unlock()
		select {
		case <-f.done:
			if w.now().Before(f.until) {
				return f.res
			}
		case <-ctx.Done():
			return Resolution{Domain: domain}.not(Later, ReasonResolver)
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// forget makes room; the caller holds the lock.
func (w *Ways) forget() {
	if len(w.found) < maxFound {
		return
	}
	n := 0
	for d, f := range w.found {
		if isClosed(f.done) {
			delete(w.found, d)
			n++
		}
		if n >= maxFound/10 {
			return
		}
	}
}

func (w *Ways) ask(ctx context.Context, domain string, f *found) {
	res, life := w.look(ctx, domain)
	f.res, f.until = res, w.now().Add(life)
	if ctx.Err() != nil {
		f.until = w.now() // given up, not answered: the next asks again
	}
	close(f.done)
}

func (w *Ways) look(ctx context.Context, domain string) (Resolution, time.Duration) {
	res, ttl := mailServers(ctx, w.resolver, domain)
	w.mu.Lock()
	ill := w.health.note(res)
	w.mu.Unlock()
	switch {
	case res.Reason == ReasonNoDomain && !ill && w.absent(ctx, domain):
		return res, absentLife
	case res.Status == Nowhere && ill, res.Reason == ReasonNoDomain:
		return res.not(Later, ReasonResolver), troubleLife
	case res.Status == Later:
		return res, troubleLife
	case res.Status != Ready:
		return res, absentLife
	}
	life := min(max(ttl, minLife), maxLife)
	if res.Proof == ProofDANE { // it stands above MTA-STS (RFC 8461 2)
		return res, life
	}
	policy, ok, err := w.policy(ctx, domain)
	if err != nil {
		if ctx.Err() == nil {
			slog.Error("kept MTA-STS policies cannot be read", "error", err)
		}
		return res.not(Later, ReasonResolver), troubleLife
	}
	if ok {
		res = res.under(policy)
		life = min(life, max(minLife, policy.MaxAge/2))
	}
	if res.Status == Broken {
		life = minLife
	}
	return res, life
}

// A name that is missing is believed at once from a resolver that knows the domain above it, since one that lies or is cut off knows
// nothing; else when it is still missing after a while.
const (
	absentAfter = 2 * time.Minute
	absentUntil = 24 * time.Hour
)

func (w *Ways) absent(ctx context.Context, domain string) bool {
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	if a, err := w.resolver.Lookup(ctx, top, RecordTXT); err == nil && !a.Missing {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	first, ok := w.missing[domain]
	if !ok || now.Sub(first) > absentUntil {
		if len(w.missing) > maxFound/10 {
			clear(w.missing)
		}
		w.missing[domain] = now
		return false
	}
	return now.Sub(first) >= absentAfter
}

// under applies a policy: what it does not name is not used (RFC 8461 4.1, 5.1).
func (r Resolution) under(p Policy) Resolution {
	switch p.Mode {
	case ModeTesting:
		r.Testing = true
	case ModeEnforce:
		r.Proof = ProofMTASTS
		var kept []Host
		for _, h := range r.Hosts {
			if p.Allows(h.Name) {
				kept = append(kept, h)
			}
		}
		r.Hosts = kept
		if len(kept) == 0 {
			return r.not(Broken, ReasonPolicyMX)
		}
	case ModeNone:
	}
	return r
}

// Note remembers for an hour that connections to a domain lacked something, so that the next message is decided with that in view.
func (w *Ways) Note(domain string, what Failure) {
	d, _ := Normal(domain)
	w.mu.Lock()
	defer w.mu.Unlock()
	if what == FailureNone {
		delete(w.failures, d)
		return
	}
	if len(w.failures) > maxFound/10 {
		clear(w.failures)
	}
	w.failures[d] = failure{what, w.now().Add(failureLife)}
}

func (w *Ways) failureOf(domain string) Failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.failures[domain]
	if ok && !w.now().Before(f.until) {
		delete(w.failures, domain)
		return FailureNone
	}
	return f.what
}

// health judges the resolver by its last answers: one that calls half of the world missing is ill or lying, and its NXDOMAIN
// is not believed then.
type health struct {
	last [32]bool // true: trouble or absence
	n    int
}

const healthSample = 20

// note adds an answer and tells whether the resolver seems ill.
func (h *health) note(r Resolution) bool {
	h.last[h.n%len(h.last)] = r.Status == Later || r.Reason == ReasonNoDomain || r.Reason == ReasonNoAddress
	h.n++
	seen, bad := min(h.n, len(h.last)), 0
	for _, b := range h.last[:seen] {
		if b {
			bad++
		}
	}
	return seen >= healthSample && 2*bad > seen
}

// keptPolicy is what is sealed of a policy.
type keptPolicy struct {
	Domain string
	ID     string
	Policy Policy
}

// refreshAfter: a kept policy whose TXT id has not changed is fetched again so often that it never runs out unseen (RFC 8461 3.3), also one
// that its domain lets live for an hour only.
func (p Policy) refreshAfter() time.Duration { return min(24*time.Hour, p.MaxAge/2) }

// policy gives the domain's policy: fresh, or the kept one for as long as it lives, whatever happens to TXT record and web server.
func (w *Ways) policy(ctx context.Context, domain string) (Policy, bool, error) {
	kept, fetched, live, err := w.kept(ctx, domain)
	if err != nil {
		return Policy{}, false, err
	}
	txt, err := w.resolver.Lookup(ctx, "_mta-sts."+domain, RecordTXT)
	now := w.now()
	pid, offered := policyID(txt.TXT)
	if err != nil || !offered || live && pid == kept.ID && now.Sub(fetched) < kept.Policy.refreshAfter() {
		return kept.Policy, live, nil //nolint:nilerr // RFC 8461 3.3: a kept policy holds although DNS does not answer
	}
	p, err := w.fetch.fetch(ctx, domain)
	if err != nil {
		return kept.Policy, live, nil //nolint:nilerr // RFC 8461 5.1: without a fetched or kept policy the domain has none
	}
	err = w.keep(ctx, keptPolicy{domain, pid, p}, now)
	return p, true, err
}

func policyCell(blind []byte) seal.Cell {
	return seal.Cell{Table: "mtasts_policy", Column: "sealed", Row: blind}
}

// kept reads the kept policy; live tells whether it is there and has not run out.
func (w *Ways) kept(ctx context.Context, domain string) (k keptPolicy, fetched time.Time, live bool, err error) {
	err = w.store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		blind, err := w.keys.Blind(ctx, tx, "mtasts.domain", domain)
		if err != nil {
			return err
		}
		var sealed []byte
		var at, until int64
		err = tx.QueryRow(ctx, sqlPolicy, tx.Organisation(), blind).Scan(&sealed, &at, &until)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read policy: %w", err)
		}
		plain, err := w.keys.Open(ctx, tx, policyCell(blind), sealed)
		if err != nil {
			return err
		}
		fetched, live = store.Time(at), w.now().Before(store.Time(until))
		return json.Unmarshal(plain, &k)
	})
	return k, fetched, live && err == nil && k.Domain == domain, err
}

func (w *Ways) keep(ctx context.Context, k keptPolicy, now time.Time) error {
	return w.store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		blind, err := w.keys.Blind(ctx, tx, "mtasts.domain", k.Domain)
		if err != nil {
			return err
		}
		plain, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("write policy: %w", err)
		}
		sealed, err := w.keys.Seal(ctx, tx, seal.PurposeSetting, policyCell(blind), plain)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlSetPolicy, tx.Organisation(), blind, sealed, store.Millis(now), store.Millis(now.Add(k.Policy.MaxAge)))
		if err != nil {
			return fmt.Errorf("keep policy: %w", err)
		}
		return nil
	})
}

// Prune forgets policies that ran out; a job calls it now and then.
func (w *Ways) Prune(ctx context.Context) error {
	return w.store.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlPrunePolicies, tx.Organisation(), store.Millis(tx.Now))
		return err
	})
}

// KnownGroup gives the group of a domain when a fresh answer is at hand; it asks nobody and never waits.
func (w *Ways) KnownGroup(org id.Organisation, domain string) (string, bool) {
	d, ok := Normal(domain)
	if !ok {
		return "", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	set, ok := w.routes[org]
	if !ok || !w.now().Before(set.until) {
		return "", false
	}
	if r, ok := set.by[d]; ok {
		return r.Group, true
	}
	if r, ok := set.by[Every]; ok {
		return r.Group, true
	}
	f := w.found[d]
	if f == nil || !isClosed(f.done) || !w.now().Before(f.until) || f.res.Status != Ready {
		return "", false
	}
	return f.res.Group, true
}
