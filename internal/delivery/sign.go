package delivery

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/id"
)

// signedHeaders are signed once more often than they occur, so that nobody can add one (RFC 6376 8.15, "over-signing").
var signedHeaders = []string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "CFBL-Address", "CFBL-Feedback-ID",
	"Auto-Submitted", "Sender",
}

// signatureLife bounds how long a captured message can be replayed.
const signatureLife = 14 * 24 * time.Hour

var (
	errNoHeader = errors.New("delivery: the message to sign has no From header, or two, or no end of its header")
	errWeakKey  = errors.New("delivery: a DKIM key is neither RSA of 2048 bits or more nor Ed25519")
)

// keyLife is how long the keys of a domain are used before their source is asked again.
const keyLife = 30 * time.Second

type keySlot struct {
	org    id.Organisation
	domain string
}

type heldKeys struct {
	keys  []SigningKey
	until time.Time
}

// signers gives the keys of a domain, kept for a while: opening and parsing a key costs as much as using it.
func (e *Engine) signers(ctx context.Context, org id.Organisation, domain string) ([]SigningKey, error) {
	slot, now := keySlot{org, domain}, e.o.Now()
	e.mu.Lock()
	held, ok := e.signing[slot]
	e.mu.Unlock()
	if ok && now.Before(held.until) {
		return held.keys, nil
	}
	keys, err := e.o.Signing(ctx, org, domain)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.signing) >= maxSigners {
		clear(e.signing)
	}
	e.signing[slot] = heldKeys{keys, now.Add(keyLife)}
	return keys, nil
}

// sign puts one DKIM-Signature per key in front of a message (RFC 6376, relaxed/relaxed; RFC 8463). It changes no other byte.
func sign(data []byte, keys []SigningKey, now time.Time) ([]byte, error) {
	if len(keys) == 0 {
		return data, nil
	}
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, errNoHeader
	}
	fields := splitHeader(data[:end+2])
	if count(fields, "from") != 1 {
		return nil, errNoHeader
	}
	sum := sha256.New()
	relaxBody(sum, data[end+4:])
	body := base64.StdEncoding.EncodeToString(sum.Sum(nil))
	var out bytes.Buffer
	out.Grow(len(data) + 1024*len(keys))
	for _, k := range keys {
		if err := signOne(&out, fields, body, k, now); err != nil {
			return nil, err
		}
	}
	out.Write(data)
	return out.Bytes(), nil
}

func signOne(out *bytes.Buffer, fields []field, body string, k SigningKey, now time.Time) error {
	algorithm, opts, err := algorithmOf(k.Signer)
	if err != nil {
		return err
	}
	names, chosen := choose(fields)
	var h strings.Builder
	h.WriteString("DKIM-Signature: v=1; a=" + algorithm + "; c=relaxed/relaxed;\r\n\td=" + k.Domain + "; s=" + k.Selector + ";\r\n")
	h.WriteString("\tt=" + strconv.FormatInt(now.Unix(), 10) + "; x=" + strconv.FormatInt(now.Add(signatureLife).Unix(), 10) + ";\r\n")
	h.WriteString("\th=" + foldNames(names) + ";\r\n\tbh=" + body + ";\r\n\tb=")
	sum := sha256.New()
	for _, f := range chosen {
		relaxField(sum, f.name, f.value)
	}
	// The signature covers its own field with an empty b= and without the line end (RFC 6376 3.7).
	name, value, _ := strings.Cut(h.String(), ":")
	_, _ = sum.Write(bytes.TrimSuffix(relaxed(name, []byte(value)), []byte("\r\n")))
	sig, err := k.Signer.Sign(rand.Reader, sum.Sum(nil), opts)
	if err != nil {
		return fmt.Errorf("sign for DKIM: %w", err)
	}
	h.WriteString(fold(base64.StdEncoding.EncodeToString(sig)) + "\r\n")
	out.WriteString(h.String())
	return nil
}

// algorithmOf refuses keys that receivers refuse or should (RFC 8301 3.2). Ed25519 signs the hash itself (RFC 8463 3).
func algorithmOf(s crypto.Signer) (string, crypto.SignerOpts, error) {
	switch pub := s.Public().(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() >= 2048 {
			return "rsa-sha256", crypto.SHA256, nil
		}
	case ed25519.PublicKey:
		return "ed25519-sha256", crypto.Hash(0), nil
	}
	return "", nil, errWeakKey
}

type field struct {
	name  string // in lower case
	value []byte // after the colon, with its folds and line end
}

// splitHeader cuts a header into fields; a folded line belongs to the one before.
func splitHeader(h []byte) []field {
	var fields []field
	for len(h) > 0 {
		end := 0
		for {
			i := bytes.IndexByte(h[end:], '\n')
			if i < 0 {
				end = len(h)
				break
			}
			end += i + 1
			if end == len(h) || h[end] != ' ' && h[end] != '\t' {
				break
			}
		}
		name, value, ok := bytes.Cut(h[:end], []byte(":"))
		if ok {
			fields = append(fields, field{strings.ToLower(string(bytes.TrimRight(name, " \t"))), value})
		}
		h = h[end:]
	}
	return fields
}

func count(fields []field, name string) int {
	n := 0
	for _, f := range fields {
		if f.name == name {
			n++
		}
	}
	return n
}

// choose gives the names for h= and the fields that they pick: each signed header's fields from the bottom up (RFC 6376 5.4.2), then
// its name once more.
func choose(fields []field) (names []string, chosen []field) {
	for _, name := range signedHeaders {
		lower := strings.ToLower(name)
		for i := len(fields) - 1; i >= 0; i-- {
			if fields[i].name == lower {
				names = append(names, name)
				chosen = append(chosen, fields[i])
			}
		}
		names = append(names, name)
	}
	return names, chosen
}

func foldNames(names []string) string {
	var b strings.Builder
	line := 3
	for i, n := range names {
		if i > 0 {
			b.WriteByte(':')
			if line++; line+len(n) > 68 {
				b.WriteString("\r\n\t ")
				line = 2
			}
		}
		b.WriteString(n)
		line += len(n)
	}
	return b.String()
}

func fold(s string) string {
	const width = 72
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\r\n\t ")
		s = s[width:]
	}
	return b.String() + s
}

// relaxField writes a field in relaxed form (RFC 6376 3.4.2).
func relaxField(h hash.Hash, name string, value []byte) { _, _ = h.Write(relaxed(name, value)) }

func relaxed(name string, value []byte) []byte {
	out := make([]byte, 0, len(name)+len(value)+3)
	out = append(append(out, strings.ToLower(strings.TrimSpace(name))...), ':')
	start, space := len(out), false
	for _, c := range value {
		switch c {
		case '\r', '\n':
		case ' ', '\t':
			space = true
		default:
			if space && len(out) > start {
				out = append(out, ' ')
			}
			space = false
			out = append(out, c)
		}
	}
	return append(out, '\r', '\n')
}

// relaxBody hashes a body in relaxed form (RFC 6376 3.4.4): runs of white space are one space, none at line ends, no empty lines at
// the end, and nothing at all for an empty body.
func relaxBody(h hash.Hash, body []byte) {
	var buf []byte
	empty := 0
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte("\r\n"))
		body = rest
		buf = buf[:0]
		space := false
		for _, c := range line {
			if c == ' ' || c == '\t' {
				space = true
				continue
			}
			if space {
				buf = append(buf, ' ')
				space = false
			}
			buf = append(buf, c)
		}
		if len(buf) == 0 {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			_, _ = h.Write([]byte("\r\n"))
		}
		_, _ = h.Write(append(buf, '\r', '\n'))
	}
}
