package delivery

import (
	"strings"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Reasons of the queue's own in an Outcome; any other is Prepare's. A row keeps them while it waits, since they say how it ends when its time
// is over.
const (
	ReasonPolicy  = "policy"  // a TLS policy of the domain or the operator is not met
	ReasonOurs    = "ours"    // refused for something of ours that a person must mend: reputation, DNS, authentication
	ReasonProof   = "proof"   // decided anew, and again for a proof that is not there
	ReasonPrepare = "prepare" // could not be prepared
	ReasonTime    = "time"    // its time was over
)

// next is what follows for a row, with End Deferred the time of its next attempt.
type next struct {
	end      End
	due      time.Time
	attempt  int
	doubt    int
	doubted  bool
	failure  tlspolicy.Failure
	reason   string
	suppress bool
	verdict  bounce.Verdict
	park     time.Duration // nothing to this receiver for so long
	slow     bool          // fewer connections to it
	release  bool          // nothing was tried: the row goes back as it was
}

// again makes the row wait for its next attempt, which counts this one.
func (s Schedule) again(r *row, now time.Time, atLeast time.Duration, reason string) next {
	n := next{attempt: r.attempt + 1, doubt: r.doubt, reason: reason}
	n.due = now.Add(max(s.retry(r.kind, r.message, n.attempt), atLeast))
	return n
}

// after decides what follows from one attempt's result. It is pure: row, result and verdict in, what to do out.
func (s Schedule) after(r *row, res smtpclient.Result, v bounce.Verdict, now time.Time) next {
	switch res.Class {
	case smtpclient.Accepted:
		return next{end: Accepted, attempt: r.attempt + 1, doubt: r.doubt}
	case smtpclient.InDoubt:
		return s.inDoubt(r, now)
	case smtpclient.NotTried:
		return next{release: true, due: now, attempt: r.attempt, doubt: r.doubt}
	case smtpclient.Temporary, smtpclient.Permanent:
	}
	if res.Reply.Code == 0 { // the connection was lost after the envelope and before the dot
		return s.again(r, now, 0, "")
	}
	n := s.refused(r, v, now)
	n.verdict = v
	return n
}

// inDoubt: care goes again, with the same bytes, so that a patient may get it twice and never not at all; marketing does not.
func (s Schedule) inDoubt(r *row, now time.Time) next {
	if r.kind == Marketing || r.doubt+1 > s.Doubts {
		return next{end: InDoubt, attempt: r.attempt + 1, doubt: r.doubt + 1, doubted: true}
	}
	n := s.again(r, now, 0, "")
	n.doubt, n.doubted = r.doubt+1, true
	return n
}

func (s Schedule) refused(r *row, v bounce.Verdict, now time.Time) next {
	wait := min(v.Wait, s.Park)
	switch v.Action {
	case bounce.Park: // it is about us or the receiver's hour: the message pays no attempt for it
		return next{due: now.Add(wait), attempt: r.attempt, doubt: r.doubt, park: wait, slow: true}
	case bounce.Retry:
		return s.again(r, now, wait, "")
	case bounce.Hold:
		if r.kind == Marketing {
			return next{end: Bounced, attempt: r.attempt + 1, doubt: r.doubt, reason: ReasonOurs, slow: true}
		}
		n := s.again(r, now, 0, ReasonOurs) // somebody may mend it in time; when not, it is held
		n.slow = true
		return n
	case bounce.GiveUp:
	}
	return next{end: Bounced, attempt: r.attempt + 1, doubt: r.doubt, suppress: v.Suppress}
}

// unmet: a policy of the domain or the operator is not met. Neither message nor notice goes; after a while a person is asked.
func (s Schedule) unmet(r *row, f tlspolicy.Failure, now time.Time) next {
	n := s.again(r, now, 0, ReasonPolicy)
	n.verdict = bounce.Verdict{Class: bounce.TLS, Scope: bounce.ScopeDomain, Rule: string(f)}
	if n.attempt >= s.Policy {
		n.end = Held
	}
	return n
}

// redecide: the proof that the message was decided on is not there. It goes back to Prepare with what was lacking; a second time is
// one too many, and a person looks at it.
func (s Schedule) redecide(r *row, f tlspolicy.Failure, now time.Time) next {
	if f == tlspolicy.FailureNone {
		f = tlspolicy.FailureOther
	}
	n := next{due: now, attempt: r.attempt, doubt: r.doubt, failure: f}
	n.verdict = bounce.Verdict{Class: bounce.TLS, Scope: bounce.ScopeDomain, Rule: string(f)}
	if r.failure != tlspolicy.FailureNone {
		n.end, n.reason, n.attempt = Held, ReasonProof, r.attempt+1
	}
	return n
}

// overdue ends a row whose time is over. What failed for a reason that a person can mend is held; the rest is expired, which says
// nothing about the address.
func overdue(r *row) next {
	n := next{end: Expired, attempt: r.attempt, doubt: r.doubt, reason: ReasonTime}
	if r.kind != Marketing && r.kind != Code && (r.reason == ReasonPolicy || r.reason == ReasonOurs || r.reason == ReasonPrepare) {
		n.end, n.reason = Held, r.reason
	}
	return n
}

// unopened ends a row whose domain nobody can open any more.
func unopened(r *row) next {
	return next{end: Held, attempt: r.attempt, doubt: r.doubt, reason: ReasonPrepare}
}

// nowhere ends a row whose domain takes no mail. The address is suppressed only when the domain says so itself (RFC 7505); a name
// that is missing today may be an unpaid bill.
func nowhere(r *row, why tlspolicy.Reason) next {
	v := bounce.Verdict{Class: bounce.DNS, Scope: bounce.ScopeRecipient, Action: bounce.GiveUp, Rule: string(why)}
	n := next{end: Bounced, attempt: r.attempt, doubt: r.doubt, verdict: v, reason: string(why)}
	if why == tlspolicy.ReasonNullMX || why == tlspolicy.ReasonBadName {
		n.verdict.Class, n.suppress = bounce.HardBounce, true
	}
	return n
}

// judge classifies a reply; what we refused ourselves is judged by the same table.
func judge(res smtpclient.Result, group string) bounce.Verdict {
	if res.Class == smtpclient.Accepted || res.Reply.Code == 0 {
		return bounce.Verdict{}
	}
	return bounce.Classify(bounce.Reply{
		Stage: bounce.Stage(res.Reply.Stage), Code: res.Reply.Code, Enhanced: res.Reply.Enhanced, Text: res.Reply.Text, Provider: group,
	})
}

// farewell tells whether a reply at MAIL is the receiver ending a connection that it served: not about the message, nor a reason to pause.
func farewell(res smtpclient.Result, sent int) bool {
	if sent == 0 || res.Reply.Stage != smtpclient.StageMail || res.Reply.Code != 421 {
		return false
	}
	text := strings.ToLower(res.Reply.Text)
	return !strings.HasPrefix(res.Reply.Enhanced, "4.7.") || strings.Contains(text, "connection") && strings.Contains(text, "messages")
}

// shown gives what a connection showed in the words of tlspolicy.
func shown(s smtpclient.State) tlspolicy.Shown {
	sh := tlspolicy.Shown{TLS: s.TLS, Verified: s.Verified}
	switch {
	case !s.TLS:
		sh.Failure = tlspolicy.FailureNoTLS
	case !s.Verified:
		sh.Failure = failureOf(s.Unverified)
	}
	return sh
}

func failureOf(r smtpclient.Reason) tlspolicy.Failure {
	switch r {
	case smtpclient.ReasonExpired:
		return tlspolicy.FailureExpired
	case smtpclient.ReasonName:
		return tlspolicy.FailureName
	case smtpclient.ReasonAuthority:
		return tlspolicy.FailureAuthority
	case smtpclient.ReasonPin:
		return tlspolicy.FailureDANE
	case smtpclient.ReasonOther:
	}
	return tlspolicy.FailureOther
}

// lacking gives what a failed Dial lacked of TLS; FailureNone: it failed for another reason.
func lacking(e *smtpclient.Error) tlspolicy.Failure {
	switch e.Kind {
	case smtpclient.NoTLS:
		return tlspolicy.FailureNoTLS
	case smtpclient.Handshake:
		return tlspolicy.FailureHandshake
	case smtpclient.Certificate:
		return failureOf(e.Reason)
	case smtpclient.Protocol:
		if e.Stage == smtpclient.StageStartTLS {
			return tlspolicy.FailureHandshake // somebody spoke into the handshake
		}
	case smtpclient.Network, smtpclient.Refused:
	}
	return tlspolicy.FailureNone
}
