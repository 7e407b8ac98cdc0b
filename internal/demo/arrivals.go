package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	_ "github.com/emersion/go-message/charset" // what mail says in other charsets
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/carepost/carepost/internal/world"
)

// arrival is what one receiver got.
type arrival struct {
	messages, notices int // with and without health information
	secure            int // over TLS
}

// arrivals reads every mail that the receivers took: who got it, whether it holds health information, and over what it came.
func (s *story) arrivals(ctx context.Context) (map[string]arrival, error) {
	want := s.accepted()
	all := map[string]arrival{}
	signed, total := 0, 0
	for domain, r := range s.world.Receivers() {
		var a arrival
		for _, got := range r.Messages() {
			total++
			text, err := readable(got.Data)
			if err != nil {
				return all, fmt.Errorf("read a mail to %s: %w", domain, err)
			}
			private := s.canaries.count([]byte(text)) > 0
			switch {
			case private:
				a.messages++
				s.hold(got.TLS, "health information arrives at %s over TLS only", domain)
			default:
				a.notices++
				s.hold(strings.Contains(text, "https://"+ourHost+"/"), "a notice at %s leads to our pages", domain)
			}
			if got.TLS {
				a.secure++
			}
			s.expected(want, got, private, text)
			if err := s.signature(ctx, got.Data); err != nil {
				s.hold(false, "an outside verifier accepts the DKIM signatures of a mail to %s (%v)", domain, err)
			} else {
				signed++
			}
		}
		all[domain] = a
	}
	missing := 0
	for _, left := range want {
		missing += len(left)
	}
	s.hold(missing == 0, "what was accepted has arrived (%d have not)", missing)
	s.hold(signed == total, "each of %d mails carries signatures that an outside verifier accepts (%d do)", total, signed)
	s.result.Delivered, s.signed = total, signed
	return all, nil
}

// accepted lists what must have arrived: by address, whether each message was private when it left.
func (s *story) accepted() map[string][]bool {
	want := map[string][]bool{}
	for _, c := range s.campaigns {
		for i := range c.messages {
			if m := &c.messages[i]; m.went() {
				want[m.to] = append(want[m.to], m.way() != wayPickup)
			}
		}
	}
	return want
}

// expected takes an arrival off the list of what must arrive; what is not on it went to the wrong place.
func (s *story) expected(want map[string][]bool, got world.Received, private bool, text string) {
	left := want[got.To]
	for i, p := range left {
		if p == private {
			want[got.To] = append(left[:i:i], left[i+1:]...)
			if name := s.nameAt(got.To); private && !strings.Contains(text, name) {
				s.hold(false, "a message holds the name of the person that it went to")
			}
			return
		}
	}
	s.hold(false, "nothing arrives at %s that was not decided so", domainOf(got.To))
}

func (s *story) nameAt(address string) string {
	for i := range s.people {
		if slices.Contains(s.people[i].Emails, address) {
			return s.people[i].Family
		}
	}
	return "\x00" // nobody has this address
}

// readable gives the header and the decoded text parts of a mail.
func readable(raw []byte) (string, error) {
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for f := r.Header.Fields(); f.Next(); {
		text, err := f.Text()
		if err != nil {
			return "", err
		}
		b.WriteString(f.Key() + ": " + text + "\n")
	}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return "", err
		}
		b.Write(body)
	}
}

// signature has an outside library verify the mail's DKIM signatures against the keys in the zone.
func (s *story) signature(ctx context.Context, raw []byte) error {
	all, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return s.lookupTXT(ctx, name) }})
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Err != nil {
			return v.Err
		}
		if v.Domain != ourDomain {
			return errors.New("demo: the signature is another domain's")
		}
	}
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if len(all) != 2 || !bytes.Contains(header, []byte("a=rsa-sha256")) || !bytes.Contains(header, []byte("a=ed25519-sha256")) {
		return errors.New("demo: there is not one RSA and one Ed25519 signature")
	}
	return nil
}

// lookupTXT asks the world's name server; answers are kept, since every mail asks the same. The verifier asks for both keys at once.
func (s *story) lookupTXT(ctx context.Context, name string) ([]string, error) {
	if found, ok := s.txt.Load(name); ok {
		return found.([]string), nil
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	q.SetEdns0(4096, false)
	c := dns.Client{Timeout: 5 * time.Second, UDPSize: 4096}
	a, _, err := c.ExchangeContext(ctx, q, s.world.Map().DNS)
	if err != nil {
		return nil, fmt.Errorf("ask for a DKIM key: %w", err)
	}
	var found []string
	for _, rr := range a.Answer {
		if t, ok := rr.(*dns.TXT); ok {
			found = append(found, strings.Join(t.Txt, ""))
		}
	}
	s.txt.Store(name, found)
	return found, nil
}
