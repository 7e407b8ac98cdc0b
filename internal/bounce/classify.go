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
	for i := range rules {
		if rules[i].match(&t) {
			return rules[i].judge(&t)
		}
	}
	return fallback(&t)
}

// text is a reply made ready for the rules: words in lower case between single spaces, addresses as "addr", IP addresses as "ip".
type text struct {
	Reply
	words  string
	status string // ".1.1" of the enhanced code, given or found in the text
	soft   bool   // 4xx
}

func prepare(r Reply) text {
	t := text{Reply: r, words: normal(r.Text)}
	status := r.Enhanced
	if status == "" {
		status = embedded(r.Text)
	}
	if _, rest, ok := strings.Cut(status, "."); ok {
		t.status = "." + rest
	}
	t.soft = r.Code/100 == 4 || r.Code == 0 && strings.HasPrefix(status, "4")
	return t
}

// normal lowers a text to words. The rules then speak in plain phrases and cannot stumble over punctuation.
func normal(s string) string {
	var b strings.Builder
	b.WriteByte(' ')
	for field := range strings.FieldsSeq(strings.ToLower(s)) {
		switch {
		case isAddress(field):
			field = "addr"
		case isIP(field):
			field = "ip"
		}
		last := byte(' ')
		for i := range len(field) {
			c := field[i]
			switch {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
				b.WriteByte(c)
				last = c
			case c == '\'' || c == '`': // doesn't, doesnt
			case last != ' ':
				b.WriteByte(' ')
				last = ' '
			}
		}
		if last != ' ' {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func isAddress(field string) bool {
	at := strings.IndexByte(field, '@')
	return at > 0 && at < len(field)-1 && !strings.Contains(field, "://")
}

func isIP(field string) bool {
	field = strings.Trim(field, "[]()<>,.;:'\"")
	dots, digits := 0, 0
	for i := range len(field) {
		switch c := field[i]; {
		case c == '.':
			dots++
		case c >= '0' && c <= '9':
			digits++
		case c == ':' && strings.Count(field, ":") > 2, c >= 'a' && c <= 'f' && strings.Count(field, ":") > 2:
			dots, digits = 3, 4
		default:
			return false
		}
	}
	return dots == 3 && digits >= 4
}

// embedded finds an enhanced code that stands in the text: "(#5.1.1)", "smtp; 550 5.7.1 ...".
func embedded(s string) string {
	for i := 0; i+4 < len(s); i++ {
		if (s[i] != '4' && s[i] != '5') || i > 0 && (digit(s[i-1]) || s[i-1] == '.' || s[i-1] == '-') {
			continue
		}
		end, ok := statusEnd(s, i)
		if ok && (end == len(s) || s[end] != '.' && s[end] != '-' && !digit(s[end])) {
			return s[i:end]
		}
	}
	return ""
}

func statusEnd(s string, i int) (end int, ok bool) {
	i++
	for range 2 {
		if i >= len(s) || s[i] != '.' {
			return i, false
		}
		i++
		start := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if n := i - start; n == 0 || n > 3 {
			return i, false
		}
	}
	return i, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// rule is one line of the table: it matches when each of its given fields does, and gives a class.
type rule struct {
	name     string
	class    Class
	say      []string // one of these phrases stands in the text; "greylist*" also matches longer words
	and      []string // and one of these
	not      []string // and none of these
	status   []string // the enhanced code behind its first digit is one of these
	code     []int    // the code is one of these
	hard     bool     // 5xx only
	soft     bool     // 4xx only
	provider string   // at this receiver only
	scope    Scope    // instead of the class's
	wait     time.Duration
}

func (r *rule) match(t *text) bool {
	switch {
	case r.provider != "" && !strings.HasPrefix(t.Provider, r.provider):
		return false
	case r.hard && t.soft, r.soft && !t.soft:
		return false
	case len(r.code) > 0 && !has(r.code, t.Code), len(r.status) > 0 && !has(r.status, t.status):
		return false
	case len(r.say) > 0 && !t.says(r.say), len(r.and) > 0 && !t.says(r.and):
		return false
	}
	return len(r.not) == 0 || !t.says(r.not)
}

func has[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func (t *text) says(phrases []string) bool {
	for _, p := range phrases {
		if stem, ok := strings.CutSuffix(p, "*"); ok {
			p = " " + stem
		} else {
			p = " " + p + " "
		}
		if strings.Contains(t.words, p) {
			return true
		}
	}
	return false
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

// fallback judges by the codes alone: the enhanced code's subject, then stage and code.
func fallback(t *text) Verdict {
	v := Verdict{Class: Other, Rule: "code"}
	switch {
	case has(mailboxGone, t.status) && !t.soft:
		v.Class, v.Rule = HardBounce, "status"+t.status
	case strings.HasPrefix(t.status, ".7."):
		v.Class, v.Rule = Policy, "status.7"
	case strings.HasPrefix(t.status, ".6."):
		v.Class, v.Rule = Content, "status.6"
	case t.Code == 530 || t.Code == 534 || t.Code == 535 || t.Code == 538:
		v.Class, v.Rule = Auth, "code.auth"
	case t.Code == 552 && t.status == "":
		v.Class, v.Rule = MailboxFull, "code.552" // RFC 5321 4.2.3: exceeded storage allocation
	case !t.soft && t.Stage == StageRcpt && t.status == "" && (t.Code == 550 || t.Code == 551 || t.Code == 553) && strings.TrimSpace(t.words) == "":
		v.Class, v.Rule = HardBounce, "code.rcpt"
	}
	v.settle(t)
	return v
}

// mailboxGone are the enhanced codes that say without words that the mailbox does not take mail (RFC 3463 3.2 and 3.3).
var mailboxGone = []string{".1.1", ".1.3", ".1.6", ".1.10", ".2.1"}
