// Package world owns the outside of the demo, the benchmarks and the tests: a DNS zone, a certificate authority, mail servers of
// every temper and made-up people, all on loopback.
//
// It never knows the product: it imports the ground only, and nothing that runs in production imports it. Everything is real:
// DNS over UDP and TCP, STARTTLS, MTA-STS over HTTPS; only the addresses are mapped, from the names and ports that the
// product asks for to the high ports that the servers listen on. Start with world.go, then receiver.go; people.go draws the people.
package world

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// World is the running outside. Close stops it.
type World struct {
	Authority *Authority // vouches for every good certificate
	Partner   *Authority // the partner's own, trusted only where a route pins it

	mu        sync.Mutex
	zone      *zone
	policies  *policyServer
	receivers map[string]*Receiver // by domain
	ports     map[string]string    // "host:port" or "ip:port" as asked for -> loopback address
	now       func() time.Time
}

// Start starts DNS and the policy server; Add adds receivers.
func Start(ctx context.Context) (*World, error) {
	w := &World{receivers: map[string]*Receiver{}, ports: map[string]string{}, now: time.Now}
	var err error
	if w.Authority, err = NewAuthority("Carepost made-up world"); err != nil {
		return nil, err
	}
	if w.Partner, err = NewAuthority("Partner's own authority"); err != nil {
		return nil, err
	}
	if w.zone, err = startZone(ctx); err != nil {
		return nil, err
	}
	if w.policies, err = startPolicies(ctx, w.Authority); err != nil {
		return nil, errors.Join(err, w.zone.close())
	}
	return w, nil
}

// Add starts a receiving mail server for a domain, with its MX, address and, where the temper has them, MTA-STS policy and TLSA
// record. The world's DNS answers for a signed domain as a validating resolver does; it signs nothing.
func (w *World) Add(ctx context.Context, domain string, t Temper) (*Receiver, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.receivers[domain] != nil {
		return nil, fault.New(fault.Conflict, "the world has a receiver for this domain")
	}
	host := "mx." + domain
	r, err := startReceiver(ctx, domain, host, t, w)
	if err != nil {
		return nil, err
	}
	ip := w.zone.nextIP()
	if !t.NoMX {
		w.zone.add(domain + ". 60 IN MX 10 " + host + ".")
	}
	w.zone.add(host + ". 60 IN A " + ip)
	w.ports[host+":25"] = r.Addr
	w.ports[ip+":25"] = r.Addr
	if t.Policy != "" {
		policyIP := w.zone.nextIP()
		name := "mta-sts." + domain
		w.zone.add(`_mta-sts.` + domain + `. 60 IN TXT "v=STSv1; id=1;"`)
		w.zone.add(name + ". 60 IN A " + policyIP)
		w.policies.set(name, policyText(t.Policy, host, t.PolicyNamesOther))
		w.ports[name+":443"] = w.policies.addr
		w.ports[policyIP+":443"] = w.policies.addr
	}
	if t.DANE != "" {
		of := r.cert
		if t.DANE != "good" {
			of = w.Authority.cert.Raw
		}
		w.zone.add(fmt.Sprintf("_25._tcp.%s. 60 IN TLSA 3 0 1 %x", host, sha256.Sum256(of)))
		w.zone.sign(domain)
	}
	w.receivers[domain] = r
	return r, nil
}

// Record adds a line of a zone file: "example.test. 60 IN TXT \"v=spf1 -all\"".
func (w *World) Record(line string) { w.zone.add(line) }

// Fail makes every DNS answer a SERVFAIL until it is called with false.
func (w *World) Fail(on bool) { w.zone.fail.Store(on) }

// Receivers gives the receivers by domain.
func (w *World) Receivers() map[string]*Receiver {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[string]*Receiver, len(w.receivers))
	for d, r := range w.receivers {
		all[d] = r
	}
	return all
}

// Close stops every server.
func (w *World) Close() error {
	var errs []error
	for _, r := range w.Receivers() {
		errs = append(errs, r.close())
	}
	errs = append(errs, w.policies.close(), w.zone.close())
	return errors.Join(errs...)
}

// Map is what a process needs to live in a world that another process runs. It travels as JSON.
type Map struct {
	DNS   string            `json:"dns"`   // host:port of the DNS server
	Ports map[string]string `json:"ports"` // "host:port" asked for -> loopback address
	Roots string            `json:"roots"` // PEM of the authority
}

// Map describes the world to another process, as it is now.
func (w *World) Map() Map {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := Map{DNS: w.zone.addr, Ports: map[string]string{}, Roots: string(w.Authority.PEM())}
	for k, v := range w.ports {
		m.Ports[k] = v
	}
	return m
}

// ParseMap reads what Map wrote.
func ParseMap(raw []byte) (Map, error) {
	var m Map
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fault.Wrap(fault.Invalid, err, "not the map of a world")
	}
	return m, nil
}

// Dial connects to the server that stands for the address asked for. An address outside the world is refused.
func (m Map) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, ok := m.Ports[address]
	if !ok {
		return nil, fault.New(fault.Unavailable, "no server of this world listens there")
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// Pool gives the roots as a certificate pool.
func (m Map) Pool() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(m.Roots)) {
		return nil, fault.New(fault.Invalid, "the map of the world holds no root certificate")
	}
	return pool, nil
}
