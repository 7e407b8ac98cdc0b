package organisation

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/carepost/carepost/internal/fault"
)

// Setup is what the records of a domain follow from.
type Setup struct {
	Domain  string
	Host    string       // our mail server's name: what it says in EHLO, where bounces come to
	Sources []netip.Addr // the addresses that mail leaves from
	Keys    []DKIMKey
}

// bounceDomain is the domain of envelope senders: bounces come back to us without touching the domain's own MX.
func (s Setup) bounceDomain() string { return "bounce." + s.Domain }

// Need is how much a record matters.
type Need string

// The needs.
const (
	Required    Need = "required"    // receivers refuse or distrust mail without it
	Recommended Need = "recommended" // better with it
)

// Record is one DNS record to publish.
type Record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
	Need  Need   `json:"need"`
	Why   string `json:"why"`
	kind  string
}

// Records lists what the owner of the domain publishes. It is pure.
func (s Setup) Records() ([]Record, error) {
	if _, err := normalDomain(s.Domain); err != nil {
		return nil, err
	}
	if CheckHost(s.Host) != nil {
		return nil, fault.New(fault.Invalid, "not the name of a mail server").At("host")
	}
	spf := "v=spf1"
	for _, a := range s.Sources {
		if a = a.Unmap(); a.Is4() {
			spf += " ip4:" + a.String()
		} else {
			spf += " ip6:" + a.String()
		}
	}
	spf += " -all"
	all := []Record{
		{s.bounceDomain(), "MX", "10 " + s.Host + ".", Required, "bounces come back here", "mx"},
		{s.bounceDomain(), "TXT", spf, Required, "these addresses may send: RFC 7208", "spf"},
	}
	for _, k := range s.Keys {
		if k.State != KeyPublished && k.State != KeySigning && k.State != KeyRetired {
			continue
		}
		value, err := k.record()
		if err != nil {
			return nil, err
		}
		need := Required
		if k.State == KeyRetired {
			need = Recommended
		}
		all = append(all, Record{k.Selector + "._domainkey." + s.Domain, "TXT", value, need, "verifies our signatures: RFC 6376", "dkim"})
	}
	return append(all,
		Record{"_dmarc." + s.Domain, "TXT", "v=DMARC1; p=reject; rua=mailto:dmarc@" + s.bounceDomain(), Required, "nobody else may use the domain: RFC 9989", "dmarc"},
		Record{"_smtp._tls." + s.bounceDomain(), "TXT", "v=TLSRPTv1; rua=mailto:tls@" + s.bounceDomain(), Recommended, "senders report trouble with TLS: RFC 8460", "tlsrpt"},
		Record{"_mta-sts." + s.bounceDomain(), "TXT", "v=STSv1; id=1", Recommended, "senders demand TLS from us: RFC 8461", "mtasts"},
	), nil
}

// Resolver looks up names; net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Status is how a record was found.
type Status string

// The statuses.
const (
	StatusOK      Status = "ok"
	StatusMissing Status = "missing"
	StatusWrong   Status = "wrong"
	StatusUnknown Status = "unknown" // the resolver does not answer: ask again
)

// Check is the result for one record.
type Check struct {
	Record Record `json:"record"`
	Status Status `json:"status"`
	Text   string `json:"text,omitempty"`
	Mend   string `json:"mend,omitempty"`
}

// CheckDomain asks for every record of the setup and compares.
func CheckDomain(ctx context.Context, r Resolver, s Setup) ([]Check, error) {
	records, err := s.Records()
	if err != nil {
		return nil, err
	}
	all := make([]Check, 0, len(records))
	for _, rec := range records {
		all = append(all, s.check(ctx, r, rec))
	}
	return all, nil
}

// Ready tells whether every required record is right.
func Ready(all []Check) bool {
	for _, c := range all {
		if c.Record.Need == Required && c.Status != StatusOK {
			return false
		}
	}
	return true
}

func (s Setup) check(ctx context.Context, r Resolver, rec Record) Check {
	c := Check{Record: rec}
	if rec.Type == "MX" {
		return s.checkMX(ctx, r, c)
	}
	found, status := texts(ctx, r, rec.Name)
	if status != StatusOK {
		return c.is(status, "no TXT record is there", "publish it as shown")
	}
	prefix := map[string]string{"spf": "v=spf1", "dkim": "", "dmarc": "v=DMARC1", "tlsrpt": "v=TLSRPTv1", "mtasts": "v=STSv1"}[rec.kind]
	var ours []string
	for _, t := range found {
		if prefix == "" || strings.HasPrefix(strings.ToLower(t), strings.ToLower(prefix)) {
			ours = append(ours, t)
		}
	}
	switch {
	case len(ours) == 0:
		return c.is(StatusMissing, "no record of this kind is there", "publish it as shown")
	case len(ours) > 1:
		return c.is(StatusWrong, "there are several records of this kind, so receivers use none", "leave one")
	}
	switch rec.kind {
	case "spf":
		return s.checkSPF(ctx, r, c)
	case "dkim":
		if tags(ours[0])["p"] != tags(rec.Value)["p"] || tags(ours[0])["p"] == "" {
			return c.is(StatusWrong, "another key is published", "publish it as shown; a long value is cut into strings of 255 characters")
		}
	case "dmarc":
		return checkDMARC(c, ours[0])
	case "tlsrpt":
		if tags(ours[0])["rua"] == "" {
			return c.is(StatusWrong, "the record names nobody to report to", "publish it as shown")
		}
	case "mtasts":
		if tags(ours[0])["id"] == "" {
			return c.is(StatusWrong, "the record has no id", "publish it as shown")
		}
	}
	return c.is(StatusOK, "", "")
}

func (c Check) is(s Status, text, mend string) Check {
	c.Status, c.Text, c.Mend = s, text, mend
	if s == StatusUnknown {
		c.Text, c.Mend = "the resolver does not answer", "try again; then look at the resolver"
	}
	return c
}

func texts(ctx context.Context, r Resolver, name string) ([]string, Status) {
	found, err := r.LookupTXT(ctx, name)
	return found, statusOf(err)
}

// statusOf tells absence from trouble: net's own error says which.
func statusOf(err error) Status {
	if err == nil {
		return StatusOK
	}
	if e, ok := asDNS(err); ok && e.IsNotFound {
		return StatusMissing
	}
	return StatusUnknown
}

func (s Setup) checkMX(ctx context.Context, r Resolver, c Check) Check {
	found, err := r.LookupMX(ctx, c.Record.Name)
	if st := statusOf(err); st != StatusOK {
		return c.is(st, "no MX record is there", "publish it as shown")
	}
	for _, mx := range found {
		if strings.EqualFold(strings.TrimSuffix(mx.Host, "."), s.Host) {
			return c.is(StatusOK, "", "")
		}
	}
	return c.is(StatusWrong, "the MX record names another server", "publish it as shown")
}

func checkDMARC(c Check, found string) Check {
	switch tags(found)["p"] {
	case "reject", "quarantine":
		return c.is(StatusOK, "", "")
	case "none":
		return c.is(StatusOK, "the policy only watches", "go to p=quarantine, then to p=reject, when the reports show no stranger of yours")
	}
	return c.is(StatusWrong, "the record has no policy", "publish it as shown")
}

// tags reads "a=b; c=d".
func tags(record string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(record, ";") {
		name, value, ok := strings.Cut(part, "=")
		if ok {
			out[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
	}
	return out
}
