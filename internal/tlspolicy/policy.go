package tlspolicy

import (
	"crypto/x509"
	"strings"

	"github.com/carepost/carepost/internal/id"
)

// Proof is what makes a verified certificate worth believing: who vouches for the name that it proves.
type Proof string

// The proofs, weakest first.
const (
	ProofNone   Proof = ""        // nobody; TLS hides the message from those who only listen
	ProofPKIX   Proof = "pkix"    // unsigned DNS names the server and a public authority the certificate; counts where a setting accepts that
	ProofMTASTS Proof = "mta_sts" // the domain's own policy over HTTPS, in mode enforce
	ProofDANE   Proof = "dane"    // the domain's signed DNS (RFC 7672)
	ProofRoute  Proof = "route"   // the operator's configured route
)

// String gives the word, "none" for no proof.
func (p Proof) String() string {
	if p == ProofNone {
		return "none"
	}
	return string(p)
}

// Proven tells whether the proof stands without a setting that accepts it.
func (p Proof) Proven() bool { return p == ProofMTASTS || p == ProofDANE || p == ProofRoute }

// Status tells whether there is a way to the domain.
type Status string

// The statuses.
const (
	Ready   Status = "ready"   // Hosts has the way
	Later   Status = "later"   // the resolver did not answer, or answered with trouble: never a reason to bounce
	Nowhere Status = "nowhere" // the domain takes no mail: no such name, no server, or a null MX
	Broken  Status = "broken"  // the domain enforces a policy that none of its servers meets: neither message nor notice goes
)

// Reason is the code behind a status that is not Ready.
type Reason string

// The reasons.
const (
	ReasonResolver  Reason = "resolver"   // Later
	ReasonRoute     Reason = "route"      // Later: the operator's route for the domain does not stand
	ReasonNoDomain  Reason = "nxdomain"   // Nowhere
	ReasonNoAddress Reason = "no_address" // Nowhere
	ReasonNullMX    Reason = "null_mx"    // Nowhere; RFC 7505
	ReasonBadName   Reason = "bad_name"   // Nowhere
	ReasonPolicyMX  Reason = "policy_mx"  // Broken; RFC 8461 4.1
)

// Failure is what a connection lacked.
type Failure string

// The failures.
const (
	FailureNone      Failure = ""
	FailureNoTLS     Failure = "no_starttls"
	FailureHandshake Failure = "handshake"
	FailureExpired   Failure = "certificate_expired"
	FailureName      Failure = "certificate_name"
	FailureAuthority Failure = "certificate_authority"
	FailureDANE      Failure = "certificate_dane" // it matches none of the domain's TLSA records
	FailureOther     Failure = "certificate_other"
)

// Host is one mail server of the way.
type Host struct {
	Name string // what its certificate must prove, and what SNI asks for
	Addr string // name:port to connect to
	DANE *DANE  // with ProofDANE: what its certificate must match instead
}

// Login is a route's user and password.
type Login struct{ User, Password string }

// String hides both.
func (Login) String() string { return "[sealed]" }

// GoString hides both.
func (Login) GoString() string { return "[sealed]" }

// Resolution is the way to a domain as found at a moment. The zero value has no status and goes nowhere.
type Resolution struct {
	Domain string
	Status Status
	Reason Reason
	Group  string // who receives for the domain: a provider's name, or the registered domain of its best server; the key of shaping
	Hosts  []Host // in the order to try; only those that the domain's policy allows
	Proof  Proof  // what a verified certificate proves here by the domain's or the operator's own word; never ProofPKIX

	MustTLS bool    // signed DNS says that the servers speak TLS, and nothing usable about their certificates: never in the clear
	Testing bool    // the domain has an MTA-STS policy in mode testing: deliver, report
	Failure Failure // what connections to this domain lacked within the last hour

	Route     id.Route // of the operator; with what follows
	Agreement id.Agreement
	Roots     *x509.CertPool // the route's pinned CA; nil: the installation's
	Login     *Login
	Implicit  bool // TLS from the first byte
}

// Enforced tells whether the domain or the operator demands a verified certificate for whatever is sent there.
func (r Resolution) Enforced() bool { return r.Proof.Proven() }

// Key tells apart ways whose connections prove different things, though they lead to the same address: a route has its own authority and
// log-in, a domain under DANE its own records. A connection serves the messages of one key only.
func (r Resolution) Key() string {
	switch {
	case !r.Route.IsZero():
		return r.Route.String()
	case r.Proof == ProofDANE:
		var all []string
		for _, h := range r.Hosts {
			all = append(all, h.Name+"="+h.DANE.key())
		}
		return "dane:" + strings.Join(all, ",")
	}
	return ""
}

// Offers gives the proof that a message may rely on; acceptPKIX is the organisation's setting. ProofNone: no proven TLS, or the
// last hour showed that it fails.
func (r Resolution) Offers(acceptPKIX bool) Proof {
	switch {
	case r.Status != Ready:
		return ProofNone
	case r.Enforced():
		return r.Proof
	case acceptPKIX && r.Failure == FailureNone:
		return ProofPKIX
	}
	return ProofNone
}

// Shown is what a connection to one of the Hosts showed.
type Shown struct {
	TLS      bool
	Verified bool
	Failure  Failure // why not TLS, or not Verified
}

// Verdict is what to do with a message and a connection.
type Verdict string

// The verdicts.
const (
	Send     Verdict = "send"
	Plain    Verdict = "plain"    // once more, on a new connection, without TLS: the message needs none and no policy demands it
	Redecide Verdict = "redecide" // the message was decided for proven TLS and this is none: back to the gate
	Defer    Verdict = "defer"    // a policy of the domain or the operator is not met: nothing goes, later perhaps
)

// Judge decides whether a message that was decided on need may leave over a connection. It is the last look before MAIL: a message is
// sent on less than it was decided for in no case.
func (r Resolution) Judge(need Proof, shown Shown) Verdict {
	verified := shown.TLS && shown.Verified
	if r.Enforced() && !verified || r.MustTLS && !shown.TLS {
		return Defer // RFC 8461 5, RFC 7672 2.2
	}
	switch need {
	case ProofNone:
		if !shown.TLS && shown.Failure == FailureHandshake {
			return Plain
		}
		return Send
	case ProofPKIX:
		if verified {
			return Send
		}
		return Redecide
	case ProofMTASTS, ProofDANE, ProofRoute:
		if r.Proof == need && verified {
			return Send
		}
		return Redecide // the proof that the decision stood on is gone
	}
	return Redecide
}
