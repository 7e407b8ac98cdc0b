package tlspolicy

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Every is the domain of a route that takes what no other route takes: a smart host.
const Every = "*"

// Route is an operator's word about a recipient domain.
type Route struct {
	ID        id.Route
	Domain    string // or Every
	Host      string // the server: a name or an IP address
	Port      int    // 0: 25
	Name      string // what its certificate must prove; empty: Host
	CA        []byte // PEM; only these authorities count. Empty: the usual ones
	Login     *Login
	Implicit  bool // TLS from the first byte
	Unproven  bool // TLS is used when offered and proves nothing: for a server on this machine or a network of one's own
	Agreement id.Agreement
}

// sealedRoute is what is sealed of a route.
type sealedRoute struct {
	Domain, Host, Name string
	Port               int
	CA                 []byte `json:",omitempty"`
	Login              *Login `json:",omitempty"`
	Implicit, Unproven bool
}

func (r Route) check() (Route, *x509.CertPool, error) {
	bad := func(field, text string) (Route, *x509.CertPool, error) {
		return r, nil, fault.New(fault.Invalid, "%s", text).At("route.%s", field)
	}
	if r.Domain != Every {
		d, ok := Normal(r.Domain)
		if !ok {
			return bad("domain", "not a domain")
		}
		r.Domain = d
	}
	r.Host = strings.ToLower(strings.TrimSuffix(r.Host, "."))
	if r.Name == "" {
		r.Name = r.Host
	}
	if r.Port == 0 {
		r.Port = 25
	}
	switch {
	case r.Host == "" || strings.ContainsAny(r.Host, " \t\r\n/@"):
		return bad("host", "not a server's name or address")
	case r.Port < 1 || r.Port > 65535:
		return bad("port", "not a port")
	case r.Login != nil && (r.Unproven || r.Login.User == "" || strings.ContainsAny(r.Login.User+r.Login.Password, "\x00\r\n")):
		return bad("login", "a user and a password go out over proven TLS only, without control characters")
	}
	if len(r.CA) == 0 {
		return r, nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(r.CA) {
		return bad("ca", "no certificate in PEM form")
	}
	return r, pool, nil
}

// resolution is the way that the route is.
func (r Route) resolution(domain string, roots *x509.CertPool) Resolution {
	res := Resolution{
		Domain: domain, Status: Ready, Group: "route:" + r.ID.String(), Proof: ProofRoute, Route: r.ID, Agreement: r.Agreement, Roots: roots,
		Login: r.Login, Implicit: r.Implicit,
		Hosts: []Host{{Name: r.Name, Addr: net.JoinHostPort(r.Host, strconv.Itoa(r.Port))}},
	}
	if r.Unproven {
		res.Proof = ProofNone
	}
	return res
}

// Normal gives a domain in lower case and A-labels; false when it is not one.
func Normal(domain string) (string, bool) {
	d, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(domain), "."))
	if err != nil {
		d = strings.ToLower(domain) // names that IDNA refuses and DNS takes: underscores
	}
	return d, validName(d)
}

func routeCell(r id.Route) seal.Cell { return seal.Cell{Table: "route", Column: "sealed", Row: r[:]} }

// SetRoute writes the organisation's route for a domain, in place of one that is there.
func (w *Ways) SetRoute(ctx context.Context, tx *store.Tx, r Route) (id.Route, error) {
	r, _, err := r.check()
	if err != nil {
		return id.Route{}, err
	}
	r.ID = id.New[id.Route]()
	plain, err := json.Marshal(sealedRoute{r.Domain, r.Host, r.Name, r.Port, r.CA, r.Login, r.Implicit, r.Unproven})
	if err != nil {
		return r.ID, fmt.Errorf("write route: %w", err)
	}
	blind, err := w.keys.Blind(ctx, tx, "route.domain", r.Domain)
	if err != nil {
		return r.ID, err
	}
	sealed, err := w.keys.Seal(ctx, tx, seal.PurposeSetting, routeCell(r.ID), plain)
	if err != nil {
		return r.ID, err
	}
	if _, err = tx.Exec(ctx, sqlSetRoute, tx.Organisation(), r.ID, blind, r.Agreement, sealed, store.Millis(tx.Now)); err != nil {
		return r.ID, fmt.Errorf("set route: %w", err)
	}
	return r.ID, w.changed(ctx, tx, r.ID, "set")
}

// RemoveRoute takes a route away; mail then goes by the domain's own servers.
func (w *Ways) RemoveRoute(ctx context.Context, tx *store.Tx, r id.Route) error {
	n, err := tx.Exec(ctx, sqlRemoveRoute, tx.Organisation(), r)
	if err != nil {
		return fmt.Errorf("remove route: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "no such route")
	}
	return w.changed(ctx, tx, r, "removed")
}

// changed writes the entry and makes this process look anew.
func (w *Ways) changed(ctx context.Context, tx *store.Tx, r id.Route, what string) error {
	key, err := w.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	org := tx.Organisation()
	tx.OnCommit(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.routes, org)
		w.changes[org]++
	})
	return w.ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActSetting, Object: r.UUID(), Detail: ledger.Detail{"route": what}}, key)
}

// Routes gives the organisation's routes.
func (w *Ways) Routes(ctx context.Context, tx *store.Tx) ([]Route, error) {
	rows, err := tx.Query(ctx, sqlRoutes, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	defer rows.Close() //nolint:errcheck // it was only read; rows.Err says what went wrong
	var all []Route
	var sealed [][]byte
	for rows.Next() {
		var r Route
		var s []byte
		if err := rows.Scan(&r.ID, &r.Agreement, &s); err != nil {
			return nil, fmt.Errorf("read routes: %w", err)
		}
		all, sealed = append(all, r), append(sealed, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	for i := range all {
		if err := w.open(ctx, tx, &all[i], sealed[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (w *Ways) open(ctx context.Context, tx *store.Tx, r *Route, sealed []byte) error {
	plain, err := w.keys.Open(ctx, tx, routeCell(r.ID), sealed)
	if err != nil {
		return err
	}
	var s sealedRoute
	if err := json.Unmarshal(plain, &s); err != nil {
		return fmt.Errorf("read route %s: %w", r.ID, err)
	}
	r.Domain, r.Host, r.Name, r.Port, r.CA = s.Domain, s.Host, s.Name, s.Port, s.CA
	r.Login, r.Implicit, r.Unproven = s.Login, s.Implicit, s.Unproven
	return nil
}

// routeTTL bounds how long another node's change goes unseen.
const routeTTL = 15 * time.Second

type routeSet struct {
	until time.Time
	by    map[string]Resolution // by domain, Hosts and all; Domain is filled in per question
}

// route gives the organisation's route for a domain, if it has one.
func (w *Ways) route(ctx context.Context, org id.Organisation, domain string) (Resolution, bool, error) {
	w.mu.Lock()
	set, ok := w.routes[org]
	w.mu.Unlock()
	if !ok || !w.now().Before(set.until) {
		var err error
		if set, err = w.loadRoutes(ctx, org); err != nil {
			return Resolution{}, false, err
		}
	}
	res, ok := set.by[domain]
	if !ok {
		res, ok = set.by[Every]
	}
	res.Domain = domain
	return res, ok, nil
}

func (w *Ways) loadRoutes(ctx context.Context, org id.Organisation) (routeSet, error) {
	set := routeSet{until: w.now().Add(routeTTL), by: map[string]Resolution{}}
	w.mu.Lock()
	before := w.changes[org]
	w.mu.Unlock()
	err := w.store.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		all, err := w.Routes(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range all {
			checked, pool, err := r.check()
			if err != nil { // one that is kept and no longer stands stops its own domain only, and does not let its mail go another way
				slog.Error("a route cannot be used", "organisation", org.String(), "route", r.ID.String(), "error", err)
				set.by[r.Domain] = Resolution{}.not(Later, ReasonRoute)
				continue
			}
			set.by[checked.Domain] = checked.resolution(checked.Domain, pool)
		}
		return nil
	})
	if err == nil {
		w.mu.Lock()
		if w.changes[org] == before {
			w.routes[org] = set
		}
		w.mu.Unlock()
	}
	return set, err
}
