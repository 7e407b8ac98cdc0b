package seal

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// TransitOptions say where a transit engine of OpenBao or HashiCorp Vault is. Every zero value but Address, Key and TokenFile is usable.
type TransitOptions struct {
	Address   string // https://bao.example.org:8200; http on loopback only
	Mount     string // transit
	Key       string // the name of the key in the engine, of a kind that encrypts
	TokenFile string // the token, read anew for each request: an agent renews it
	CAFile    string // further roots, PEM
	Deadline  time.Duration
	Pause     time.Duration // before the first further try; it doubles
}

const (
	transitDeadline = 15 * time.Second // of one wrapping with all its tries
	transitTry      = 5 * time.Second  // of one request
	transitTries    = 4
	transitPause    = 200 * time.Millisecond
	maxTransitReply = 64 << 10
	maxTransitToken = 4096
)

// transit wraps by the encrypt and decrypt calls of a transit engine: the key of the ring's file is in the engine's hand, which can refuse
// it to a stolen machine, and logs each use.
type transit struct {
	o    TransitOptions
	base string
	http *http.Client
}

var transitName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// Transit gives the custody of a transit engine.
func Transit(o TransitOptions) (Wrapper, error) {
	if o.Mount == "" {
		o.Mount = "transit"
	}
	if o.Deadline == 0 {
		o.Deadline = transitDeadline
	}
	if o.Pause == 0 {
		o.Pause = transitPause
	}
	u, err := url.Parse(o.Address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fault.New(fault.Invalid, "not the address of a transit engine").At("transit-address").Hint("write it as https://bao.example.org:8200")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fault.New(fault.Invalid, "a transit engine is asked over TLS").At("transit-address").Hint("use https, or an agent on this machine")
	case !transitName.MatchString(o.Key):
		return nil, fault.New(fault.Invalid, "not the name of a transit key").At("transit-key")
	case o.TokenFile == "":
		return nil, fault.New(fault.Invalid, "the transit engine wants a token").At("transit-token-file").Hint("name a file that only carepost reads")
	}
	for part := range strings.SplitSeq(o.Mount, "/") {
		if !transitName.MatchString(part) {
			return nil, fault.New(fault.Invalid, "not the path of a transit engine").At("transit-mount")
		}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the roots of the transit engine cannot be read").At("transit-ca")
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "no certificate is in the file of roots").At("transit-ca")
		}
	}
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: conf, ResponseHeaderTimeout: transitTry, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		// A redirect would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &transit{o: o, base: strings.TrimRight(o.Address, "/") + "/v1/" + o.Mount, http: client}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (*transit) Name() string { return "transit" }

// Wrap encrypts a key: POST /v1/<mount>/encrypt/<key>.
func (t *transit) Wrap(key []byte) ([]byte, error) {
	data, err := t.ask("encrypt", map[string]string{"plaintext": base64.StdEncoding.EncodeToString(key)})
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(data.Ciphertext, "vault:v") || len(data.Ciphertext) > maxWrappedKey {
		return nil, errTransitReply
	}
	return []byte(data.Ciphertext), nil
}

// Unwrap decrypts it: POST /v1/<mount>/decrypt/<key>.
func (t *transit) Unwrap(wrapped []byte) ([]byte, error) {
	if !bytes.HasPrefix(wrapped, []byte("vault:v")) {
		return nil, fault.New(fault.Sealed, "the ring was not closed by a transit engine")
	}
	data, err := t.ask("decrypt", map[string]string{"ciphertext": string(wrapped)})
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.Strict().DecodeString(data.Plaintext)
	if err != nil || len(key) != keySize {
		return nil, errTransitReply
	}
	return key, nil
}

// transitData is what both calls answer.
type transitData struct {
	Ciphertext string `json:"ciphertext"`
	Plaintext  string `json:"plaintext"`
}

var errTransitReply = fault.New(fault.Unavailable, "the transit engine answers something else than a key").At("transit-address").
	Hint("is the address that of OpenBao or Vault, and the mount that of a transit engine?")

// refusal is an answer that trying again does not change.
type refusal struct{ cause *fault.Error }

func (r refusal) Error() string { return r.cause.Error() }

// ask makes a call, again when the engine is away, sealed or in haste, until the deadline.
func (t *transit) ask(call string, body map[string]string) (data transitData, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), t.o.Deadline)
	defer cancel()
	payload, err := json.Marshal(body)
	if err != nil {
		return data, fmt.Errorf("write a request to the transit engine: %w", err)
	}
	defer clear(payload)
	pause := t.o.Pause
	for try := 1; ; try++ {
		data, err = t.once(ctx, call, payload)
		if err == nil {
			return data, nil
		}
		if no, ok := errors.AsType[refusal](err); ok {
			return data, no.cause
		}
		if try == transitTries || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause *= 2
		}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return data, f
	}
	return data, fault.Wrap(fault.Unavailable, err, "the transit engine does not answer").At("transit-address").
		Hint("what runs keeps running with the keys in memory; no epoch begins, and no start succeeds, until it answers")
}

func (t *transit) once(ctx context.Context, call string, payload []byte) (data transitData, err error) {
	ctx, cancel := context.WithTimeout(ctx, transitTry)
	defer cancel()
	token, err := readSecret(t.o.TokenFile, maxTransitToken)
	if err != nil {
		return data, err
	}
	defer clear(token)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/"+call+"/"+t.o.Key, bytes.NewReader(payload))
	if err != nil {
		return data, fmt.Errorf("make a request to the transit engine: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Token", strings.TrimSpace(string(token)))
	req.Header.Set("X-Vault-Request", "true")
	res, err := t.http.Do(req)
	if err != nil {
		return data, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxTransitReply+1))
	if err != nil {
		return data, err
	}
	defer clear(raw)
	if res.StatusCode != http.StatusOK {
		return data, transitRefusal(res.StatusCode)
	}
	return parseTransit(raw)
}

// parseTransit reads an answer. Fields that are not asked for are passed over: engines add some.
func parseTransit(raw []byte) (transitData, error) {
	var reply struct {
		Data *transitData `json:"data"`
	}
	if len(raw) > maxTransitReply || json.Unmarshal(raw, &reply) != nil || reply.Data == nil {
		return transitData{}, refusal{errTransitReply}
	}
	return *reply.Data, nil
}

// transitRefusal says what a status means. The engine's own words are not repeated: they may name what was sent.
func transitRefusal(status int) error {
	away := fault.New(fault.Unavailable, "the transit engine answers %d", status).At("transit-address")
	switch {
	case status == http.StatusServiceUnavailable:
		return away.Hint("it is sealed: unseal it")
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError, status == http.StatusPreconditionFailed:
		return away
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return refusal{fault.New(fault.Forbidden, "the transit engine refuses the token").At("transit-token-file").
			Hint("it needs update on encrypt/<key> and decrypt/<key> of the mount; a token that has ended is renewed by an agent")}
	case status == http.StatusNotFound:
		return refusal{fault.New(fault.NotFound, "there is no such transit engine or key").At("transit-key").Hint("bao write -f <mount>/keys/<key> makes one")}
	case status == http.StatusBadRequest:
		return refusal{fault.New(fault.Sealed, "the transit engine cannot open the key of the ring").At("transit-key").
			Hint("the ring was closed under another key, or under a version below min_decryption_version")}
	}
	return refusal{away}
}
