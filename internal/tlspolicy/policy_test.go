package tlspolicy_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/tlspolicy"
)

func TestJudge(t *testing.T) {
	plain := tlspolicy.Shown{Failure: tlspolicy.FailureNoTLS}
	broken := tlspolicy.Shown{Failure: tlspolicy.FailureHandshake}
	expired := tlspolicy.Shown{TLS: true, Failure: tlspolicy.FailureExpired}
	good := tlspolicy.Shown{TLS: true, Verified: true}
	way := func(p tlspolicy.Proof) tlspolicy.Resolution {
		return tlspolicy.Resolution{Status: tlspolicy.Ready, Proof: p}
	}
	for _, c := range []struct {
		name  string
		way   tlspolicy.Proof
		need  tlspolicy.Proof
		shown tlspolicy.Shown
		want  tlspolicy.Verdict
	}{
		{"no policy, nothing needed, no TLS", tlspolicy.ProofNone, tlspolicy.ProofNone, plain, tlspolicy.Send},
		{"no policy, nothing needed, handshake fails", tlspolicy.ProofNone, tlspolicy.ProofNone, broken, tlspolicy.Plain},
		{"no policy, nothing needed, expired", tlspolicy.ProofNone, tlspolicy.ProofNone, expired, tlspolicy.Send},
		{"no policy, nothing needed, verified", tlspolicy.ProofNone, tlspolicy.ProofNone, good, tlspolicy.Send},
		{"PKIX needed, verified", tlspolicy.ProofNone, tlspolicy.ProofPKIX, good, tlspolicy.Send},
		{"PKIX needed, expired", tlspolicy.ProofNone, tlspolicy.ProofPKIX, expired, tlspolicy.Redecide},
		{"PKIX needed, STARTTLS stripped", tlspolicy.ProofNone, tlspolicy.ProofPKIX, plain, tlspolicy.Redecide},
		{"PKIX needed, handshake fails", tlspolicy.ProofNone, tlspolicy.ProofPKIX, broken, tlspolicy.Redecide},
		{"MTA-STS gone since the decision, verified", tlspolicy.ProofNone, tlspolicy.ProofMTASTS, good, tlspolicy.Redecide},
		{"route gone since the decision, verified", tlspolicy.ProofNone, tlspolicy.ProofRoute, good, tlspolicy.Redecide},
		{"MTA-STS, verified", tlspolicy.ProofMTASTS, tlspolicy.ProofMTASTS, good, tlspolicy.Send},
		{"MTA-STS, expired", tlspolicy.ProofMTASTS, tlspolicy.ProofMTASTS, expired, tlspolicy.Defer},
		{"MTA-STS, notice without PHI, expired", tlspolicy.ProofMTASTS, tlspolicy.ProofNone, expired, tlspolicy.Defer},
		{"MTA-STS, notice without PHI, no TLS", tlspolicy.ProofMTASTS, tlspolicy.ProofNone, plain, tlspolicy.Defer},
		{"MTA-STS, notice without PHI, handshake fails", tlspolicy.ProofMTASTS, tlspolicy.ProofNone, broken, tlspolicy.Defer},
		{"MTA-STS, notice without PHI, verified", tlspolicy.ProofMTASTS, tlspolicy.ProofNone, good, tlspolicy.Send},
		{"MTA-STS came since a decision on PKIX", tlspolicy.ProofMTASTS, tlspolicy.ProofPKIX, good, tlspolicy.Send},
		{"route, verified", tlspolicy.ProofRoute, tlspolicy.ProofRoute, good, tlspolicy.Send},
		{"route, wrong name", tlspolicy.ProofRoute, tlspolicy.ProofRoute, expired, tlspolicy.Defer},
		{"a need that nobody knows", tlspolicy.ProofNone, tlspolicy.Proof("new"), good, tlspolicy.Redecide},
	} {
		if got := way(c.way).Judge(c.need, c.shown); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

// TestNeverWeaker: whatever the way and the need, a message that needs proof leaves only over a verified connection, and nothing
// leaves unverified where a policy is enforced.
func TestNeverWeaker(t *testing.T) {
	proofs := []tlspolicy.Proof{tlspolicy.ProofNone, tlspolicy.ProofPKIX, tlspolicy.ProofMTASTS, tlspolicy.ProofDANE, tlspolicy.ProofRoute}
	rapid.Check(t, func(t *rapid.T) {
		r := tlspolicy.Resolution{Status: tlspolicy.Ready, Proof: rapid.SampledFrom(proofs).Draw(t, "way")}
		need := rapid.SampledFrom(proofs).Draw(t, "need")
		shown := tlspolicy.Shown{TLS: rapid.Bool().Draw(t, "tls"), Verified: rapid.Bool().Draw(t, "verified")}
		shown.Failure = rapid.SampledFrom([]tlspolicy.Failure{"", tlspolicy.FailureHandshake, tlspolicy.FailureExpired}).Draw(t, "failure")
		v := r.Judge(need, shown)
		verified := shown.TLS && shown.Verified
		if (v == tlspolicy.Send || v == tlspolicy.Plain) && !verified && (need != tlspolicy.ProofNone || r.Enforced()) {
			t.Fatalf("%s over %+v with need %s and way %s", v, shown, need, r.Proof)
		}
	})
}

func TestOffers(t *testing.T) {
	for _, c := range []struct {
		name   string
		way    tlspolicy.Resolution
		accept bool
		want   tlspolicy.Proof
	}{
		{"not found yet", tlspolicy.Resolution{}, true, tlspolicy.ProofNone},
		{"no policy, setting off", tlspolicy.Resolution{Status: tlspolicy.Ready}, false, tlspolicy.ProofNone},
		{"no policy, setting on", tlspolicy.Resolution{Status: tlspolicy.Ready}, true, tlspolicy.ProofPKIX},
		{"no policy, setting on, failed lately", tlspolicy.Resolution{Status: tlspolicy.Ready, Failure: tlspolicy.FailureExpired}, true, tlspolicy.ProofNone},
		{"MTA-STS", tlspolicy.Resolution{Status: tlspolicy.Ready, Proof: tlspolicy.ProofMTASTS}, false, tlspolicy.ProofMTASTS},
		{"MTA-STS broken", tlspolicy.Resolution{Status: tlspolicy.Broken, Proof: tlspolicy.ProofMTASTS}, true, tlspolicy.ProofNone},
	} {
		if got := c.way.Offers(c.accept); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}
