package bounce

import (
	"strings"
	"time"
)

// Stage is the phase of the conversation that a reply answered; empty when it is not known, as in a returned notice.
type Stage string

// The stages.
const (
	StageUnknown  Stage = ""
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "hello"
	StageStartTLS Stage = "starttls"
	StageAuth     Stage = "auth"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data"
	StageDot      Stage = "dot"
)

// early tells whether nothing was said about the recipient yet.
func (s Stage) early() bool {
	switch s {
	case StageConnect, StageGreeting, StageHello, StageStartTLS, StageAuth, StageMail:
		return true
	case StageUnknown, StageRcpt, StageData, StageDot:
		return false
	}
	return false
}

// Reply is what is judged.
type Reply struct {
	Stage    Stage
	Code     int
	Enhanced string // "5.1.1", or empty
	Text     string
	Provider string // the group of the receiver: "google"; empty when not known
}

// Class says what kind of refusal it is.
type Class string

// The classes.
const (
	HardBounce  Class = "hard_bounce"  // no such mailbox, or disabled
	MailboxFull Class = "mailbox_full" //
	SpamBlock   Class = "spam_block"   // the content looks like spam to them
	Policy      Class = "policy"       // their rules, a relay refused, a sender refused
	RateLimit   Class = "rate_limit"   // too much, too fast, greylisted
	Reputation  Class = "reputation"   // the sending address or domain is thought ill of
	DNS         Class = "dns"          // reverse or sender DNS is wrong, or a name is not found
	TLS         Class = "tls"          // encryption wanted, or failed
	Auth        Class = "auth"         // SPF, DKIM, DMARC or a log-in
	Content     Class = "content"      // malformed, too large, an attachment, a virus
	Other       Class = "other"        // trouble of theirs, or nothing that is known
)

// Classes gives every class.
func Classes() []Class {
	return []Class{HardBounce, MailboxFull, SpamBlock, Policy, RateLimit, Reputation, DNS, TLS, Auth, Content, Other}
}

// Scope says whom the refusal is about.
type Scope string

// The scopes.
const (
	ScopeRecipient Scope = "recipient" // this address
	ScopeMessage   Scope = "message"   // this message, to whomever
	ScopeDomain    Scope = "domain"    // every recipient at this receiver: its rules, its state
	ScopeSource    Scope = "source"    // our sending address at this receiver
	ScopeIdentity  Scope = "identity"  // our sending domain, everywhere
)

var scopeWords = []Scope{ScopeRecipient, ScopeMessage, ScopeDomain, ScopeSource, ScopeIdentity}

// Action says what follows.
type Action string

// The actions.
const (
	Retry  Action = "retry"   // again later; counts as an attempt of the message
	Park   Action = "park"    // nothing to this receiver for a while; no attempt is counted
	GiveUp Action = "give_up" // this message to this recipient is over
	Hold   Action = "hold"    // a person must mend something: our DNS, our keys, their allow-list
)

// Verdict is the judgement of one reply.
type Verdict struct {
	Class    Class
	Scope    Scope
	Action   Action
	Suppress bool          // do not write to this address again
	Wait     time.Duration // for Park: how long; for Retry: at least so long; 0: the schedule's
	Rule     string        // the name of the rule, for people who ask why
}

// Classify judges a reply. It is a pure function of its argument.
func Classify(r Reply) Verdict {
	t := prepare(r)
	t.without(builtIn.drop)
	for i := range builtIn.rules {
		if r := &builtIn.rules[i]; r.match(&t) {
			return r.judge(&t)
		}
	}
	return fallback(&t)
}

func (r *rule) judge(t *text) Verdict {
	v := Verdict{Class: r.class, Scope: r.scope, Wait: r.wait, Rule: r.name}
	v.settle(t)
	return v
}

// settle fills scope, action and suppression from class, stage and code. The stage comes first: what was said before RCPT is not about
// the recipient, whatever its words.
func (v *Verdict) settle(t *text) {
	if v.Scope == "" {
		v.Scope = scopes[v.Class]
	}
	early := t.Stage.early() || t.Code == 421
	if t.Stage.early() && (v.Scope == ScopeRecipient || v.Scope == ScopeMessage && v.Class != Content) {
		v.Scope = ScopeSource
	}
	switch {
	case early && t.soft, v.Scope == ScopeSource && t.soft:
		v.Action = Park
		if v.Wait == 0 {
			v.Wait = parkFor(v.Class)
		}
		if t.Code == 421 && !t.Stage.early() && v.Scope != ScopeSource {
			v.Action, v.Wait = Retry, 0
		}
	case t.soft:
		v.Action = Retry
	case v.Scope == ScopeSource, v.Scope == ScopeIdentity, v.Scope == ScopeDomain && t.Stage.early():
		v.Action = Hold // a refusal for good that is not about anybody we write to: never give up a recipient for it
	default:
		v.Action = GiveUp
	}
	v.Suppress = v.Class == HardBounce && v.Scope == ScopeRecipient && v.Action == GiveUp
}

func parkFor(c Class) time.Duration {
	switch c {
	case RateLimit:
		return 15 * time.Minute
	case Reputation, Auth, SpamBlock:
		return time.Hour
	case HardBounce, MailboxFull, Policy, DNS, TLS, Content, Other:
		return 5 * time.Minute
	}
	return 5 * time.Minute
}

var scopes = map[Class]Scope{
	HardBounce: ScopeRecipient, MailboxFull: ScopeRecipient, SpamBlock: ScopeMessage, Policy: ScopeDomain, RateLimit: ScopeSource,
	Reputation: ScopeSource, DNS: ScopeSource, TLS: ScopeDomain, Auth: ScopeIdentity, Content: ScopeMessage, Other: ScopeDomain,
}

// fallback judges by the codes alone, where no rule spoke. What nobody can read is never taken for a dead address.
func fallback(t *text) Verdict {
	v := Verdict{Class: Other, Rule: "none"}
	switch subject, _, _ := strings.Cut(t.status, "."); {
	case subject == "7" && !t.soft:
		v.Class, v.Rule = Policy, "subject.7" // RFC 3463 3.8: security or policy
	case subject == "6":
		v.Class, v.Rule = Content, "subject.6" // RFC 3463 3.7: message content or media
	}
	v.settle(t)
	return v
}
