package world

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// policyServer serves MTA-STS policies (RFC 8461) for every mta-sts host of the world, each with a certificate of its own name.
type policyServer struct {
	addr      string
	authority *Authority
	server    *http.Server

	mu       sync.Mutex
	policies map[string]string
	certs    map[string]*tls.Certificate
}

func startPolicies(ctx context.Context, a *Authority) (*policyServer, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for MTA-STS policies: %w", err)
	}
	p := &policyServer{addr: l.Addr().String(), authority: a, policies: map[string]string{}, certs: map[string]*tls.Certificate{}}
	p.server = &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { _ = p.server.ServeTLS(l, "", "") }() // ends with Close
	return p, nil
}

func (p *policyServer) set(host, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.policies[host] = text
}

func (p *policyServer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.certs[hello.ServerName]; c != nil {
		return c, nil
	}
	c, err := p.authority.Issue(time.Now().AddDate(0, 1, 0), hello.ServerName)
	if err != nil {
		return nil, err
	}
	p.certs[hello.ServerName] = &c
	return &c, nil
}

func (p *policyServer) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	text, ok := p.policies[r.TLS.ServerName]
	p.mu.Unlock()
	if !ok || r.URL.Path != "/.well-known/mta-sts.txt" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	if _, err := io.WriteString(w, text); err != nil {
		slog.Debug("policy not read to its end", "error", err)
	}
}

func policyText(mode, host string, other bool) string {
	if other {
		host = "elsewhere." + host
	}
	return "version: STSv1\r\nmode: " + mode + "\r\nmx: " + host + "\r\nmax_age: 604800\r\n"
}

func (p *policyServer) close() error { return p.server.Close() }
