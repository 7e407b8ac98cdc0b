package delivery

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/tlspolicy"
)

var (
	nov     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	message = id.From[id.Message](nov)
)

func TestRetryTimes(t *testing.T) {
	s := Schedule{}.filled()
	for n, want := range []time.Duration{0, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 6 * time.Hour} {
		if n == 0 {
			continue
		}
		got := s.retry(Care, message, n)
		if got < want*8/10 || got > want*12/10 || got != s.retry(Care, message, n) {
			t.Errorf("attempt %d: %s, wanted about %s, always the same", n, got, want)
		}
	}
	if d := s.retry(Code, message, 1); d > 15*time.Second {
		t.Errorf("a code waits %s", d)
	}
	spread := map[time.Duration]bool{}
	for range 200 {
		spread[s.retry(Care, id.New[id.Message](), 1).Truncate(time.Second)] = true
	}
	if len(spread) < 60 {
		t.Errorf("200 messages come back at %d different seconds", len(spread))
	}
	for k, want := range map[Kind]time.Duration{Care: 48 * time.Hour, Service: 48 * time.Hour, Code: 15 * time.Minute, Marketing: 24 * time.Hour} {
		if got := s.life(k); got != want {
			t.Errorf("%s lives %s", k, got)
		}
	}
}

func TestAfter(t *testing.T) {
	s := Schedule{}.filled()
	reply := func(c smtpclient.Class, stage smtpclient.Stage, code int) smtpclient.Result {
		return smtpclient.Result{Class: c, Reply: smtpclient.Reply{Stage: stage, Code: code}}
	}
	for _, c := range []struct {
		name    string
		kind    Kind
		res     smtpclient.Result
		v       bounce.Verdict
		end     End
		burns   bool
		park    time.Duration
		wait    time.Duration // at least
		reason  string
		doubted bool
	}{
		{"accepted", Care, reply(smtpclient.Accepted, smtpclient.StageDot, 250), bounce.Verdict{}, Accepted, true, 0, 0, "", false},
		{"park", Care, reply(smtpclient.Temporary, smtpclient.StageMail, 421), bounce.Verdict{Action: bounce.Park, Wait: time.Hour}, Deferred, false, time.Hour, time.Hour, "", false},
		{"park for longer than is sensible", Care, reply(smtpclient.Temporary, smtpclient.StageMail, 421), bounce.Verdict{Action: bounce.Park, Wait: 20 * time.Hour}, Deferred, false, 4 * time.Hour, 4 * time.Hour, "", false},
		{"retry", Care, reply(smtpclient.Temporary, smtpclient.StageRcpt, 450), bounce.Verdict{Action: bounce.Retry}, Deferred, true, 0, 4 * time.Minute, "", false},
		{"retry, not before an hour", Care, reply(smtpclient.Temporary, smtpclient.StageRcpt, 450), bounce.Verdict{Action: bounce.Retry, Wait: time.Hour}, Deferred, true, 0, time.Hour, "", false},
		{"give up", Care, reply(smtpclient.Permanent, smtpclient.StageRcpt, 550), bounce.Verdict{Action: bounce.GiveUp}, Bounced, true, 0, 0, "", false},
		{"ours to mend, care", Care, reply(smtpclient.Permanent, smtpclient.StageDot, 550), bounce.Verdict{Action: bounce.Hold}, Deferred, true, 0, 4 * time.Minute, ReasonOurs, false},
		{"ours to mend, marketing", Marketing, reply(smtpclient.Permanent, smtpclient.StageDot, 550), bounce.Verdict{Action: bounce.Hold}, Bounced, true, 0, 0, ReasonOurs, false},
		{"lost before the dot", Care, smtpclient.Result{Class: smtpclient.Temporary, Reply: smtpclient.Reply{Stage: smtpclient.StageData}}, bounce.Verdict{}, Deferred, true, 0, 4 * time.Minute, "", false},
		{"in doubt, care", Care, smtpclient.Result{Class: smtpclient.InDoubt}, bounce.Verdict{}, Deferred, true, 0, 4 * time.Minute, "", true},
		{"in doubt, code", Code, smtpclient.Result{Class: smtpclient.InDoubt}, bounce.Verdict{}, Deferred, true, 0, time.Second, "", true},
		{"in doubt, marketing", Marketing, smtpclient.Result{Class: smtpclient.InDoubt}, bounce.Verdict{}, InDoubt, true, 0, 0, "", true},
	} {
		r := &row{message: message, kind: c.kind, attempt: 0, expires: nov.Add(48 * time.Hour)}
		n := s.after(r, c.res, c.v, nov)
		if n.end != c.end || (n.attempt == 1) != c.burns || n.park != c.park || n.reason != c.reason || n.doubted != c.doubted || c.end == Deferred && n.due.Sub(nov) < c.wait {
			t.Errorf("%s: %+v", c.name, n)
		}
	}
}

// TestSuppressionIsRare: whatever a receiver answers, an address is suppressed only for a permanent refusal that ends the message.
func TestSuppressionIsRare(t *testing.T) {
	s := Schedule{}.filled()
	rapid.Check(t, func(t *rapid.T) {
		r := &row{message: message, kind: Kind(rapid.IntRange(1, 4).Draw(t, "kind")), attempt: rapid.IntRange(0, 9).Draw(t, "attempt")}
		res := smtpclient.Result{Class: smtpclient.Class(rapid.IntRange(1, 4).Draw(t, "class"))}
		res.Reply = smtpclient.Reply{
			Stage: smtpclient.Stage(rapid.SampledFrom([]string{"mail", "rcpt", "data", "dot"}).Draw(t, "stage")), Code: rapid.SampledFrom([]int{0, 421, 450, 550, 552, 554}).Draw(t, "code"),
			Text: rapid.SampledFrom([]string{"", "no such user", "blocked using zen.spamhaus.org", "mailbox full", "xyzzy"}).Draw(t, "text"),
		}
		n := s.after(r, res, judge(res, "google"), nov)
		if n.suppress && (n.end != Bounced || res.Reply.Code < 500 || res.Reply.Stage == smtpclient.StageMail) {
			t.Fatalf("suppressed: %+v", n)
		}
		if n.end == Deferred && !n.release && n.due.Before(nov) {
			t.Fatalf("due in the past: %+v", n)
		}
		if n.end == Deferred && n.attempt == r.attempt && n.park == 0 && !n.release {
			t.Fatalf("again without end: %+v", n)
		}
	})
}

func TestUnmetPolicyIsHeldAfterAWhile(t *testing.T) {
	s := Schedule{Policy: 3}.filled()
	r := &row{message: message, kind: Care}
	for want := 1; want <= 3; want++ {
		n := s.unmet(r, tlspolicy.FailureExpired, nov)
		if n.attempt != want || (n.end == Held) != (want == 3) || n.reason != ReasonPolicy {
			t.Errorf("%d: %+v", want, n)
		}
		r.attempt = n.attempt
	}
}

func TestRedecideOnce(t *testing.T) {
	s := Schedule{}.filled()
	n := s.redecide(&row{message: message, kind: Care}, tlspolicy.FailureExpired, nov)
	if n.end != Deferred || n.failure != tlspolicy.FailureExpired || !n.due.Equal(nov) || n.attempt != 0 {
		t.Errorf("%+v", n)
	}
	if n = s.redecide(&row{message: message, kind: Care, failure: n.failure}, tlspolicy.FailureExpired, nov); n.end != Held {
		t.Errorf("twice: %+v", n)
	}
}

func TestOverdue(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		reason string
		want   End
	}{
		{Care, "", Expired},
		{Care, ReasonPolicy, Held},
		{Care, ReasonOurs, Held},
		{Service, ReasonPrepare, Held},
		{Marketing, ReasonOurs, Expired},
		{Code, ReasonPolicy, Expired},
	} {
		if n := overdue(&row{kind: c.kind, reason: c.reason}); n.end != c.want || n.suppress {
			t.Errorf("%s %q: %+v", c.kind, c.reason, n)
		}
	}
}

func TestShape(t *testing.T) {
	s := newShape("google")
	if s.now != (caps{5, 50}) {
		t.Fatalf("%+v", s)
	}
	s.slow(nov)
	s.slow(nov)
	s.slow(nov)
	if s.now.connections != 1 {
		t.Errorf("%+v", s)
	}
	s.calm(nov.Add(5 * time.Minute))
	if s.now.connections != 1 {
		t.Error("faster before its time")
	}
	for i := range 9 {
		s.calm(nov.Add(time.Duration(i+1) * calmAfter))
	}
	if s.now.connections != 5 {
		t.Errorf("%+v", s)
	}
	s.served(7)
	s.served(9)
	if s.now.messages != 7 {
		t.Errorf("%+v", s)
	}
	pauses := []time.Duration{time.Minute, 5 * time.Minute}
	for i, want := range []time.Duration{time.Minute, 5 * time.Minute, 5 * time.Minute} {
		if got := s.unreachable(nov, pauses); got.Sub(nov) != want {
			t.Errorf("failure %d: %s", i, got.Sub(nov))
		}
	}
	if !s.isParked(nov.Add(4*time.Minute)) || s.isParked(nov.Add(5*time.Minute)) {
		t.Error("parked for another time")
	}
	s.reached()
	if got := s.unreachable(nov, pauses); got.Sub(nov) != time.Minute || !s.isParked(nov.Add(4*time.Minute)) {
		t.Error("a shorter pause cut a longer one")
	}
	if paceOf("route:x").messages != 0 || paceOf("unknown.example") != (caps{10, 100}) {
		t.Error("the default pace")
	}
}

func TestFarewell(t *testing.T) {
	at := func(stage smtpclient.Stage, code int, enhanced string) smtpclient.Result {
		return smtpclient.Result{Class: smtpclient.Temporary, Reply: smtpclient.Reply{Stage: stage, Code: code, Enhanced: enhanced}}
	}
	for _, c := range []struct {
		res  smtpclient.Result
		sent int
		want bool
	}{
		{at(smtpclient.StageMail, 421, ""), 5, true},
		{at(smtpclient.StageMail, 421, "4.4.2"), 5, true},
		{at(smtpclient.StageMail, 421, "4.7.0"), 5, false},
		{at(smtpclient.StageMail, 421, ""), 0, false},
		{at(smtpclient.StageRcpt, 421, ""), 5, false},
		{at(smtpclient.StageMail, 451, ""), 5, false},
	} {
		if got := farewell(c.res, c.sent); got != c.want {
			t.Errorf("%+v after %d: %v", c.res.Reply, c.sent, got)
		}
	}
}
