package smtpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/smtpclient"
)

// patient bounds no phase that a receiver gets through, however busy the machine is.
var patient = smtpclient.Timeouts{
	Connect: time.Minute, Greeting: time.Minute, Hello: time.Minute, StartTLS: time.Minute, Auth: time.Minute,
	Mail: time.Minute, Rcpt: time.Minute, Data: time.Minute, Body: time.Minute, Dot: time.Minute, Quit: 10 * time.Second,
}

// patience is patient, but short in the one phase in which a receiver is told to hang.
func patience(word, answer string) smtpclient.Timeouts {
	t := patient
	phase := map[string]*time.Duration{
		"greeting": &t.Greeting, "EHLO": &t.Hello, "STARTTLS": &t.StartTLS, "handshake": &t.StartTLS, "AUTH": &t.Auth,
		"MAIL": &t.Mail, "RCPT": &t.Rcpt, "DATA": &t.Data, "dot": &t.Dot,
	}[word]
	if answer == "hang" {
		*phase = 150 * time.Millisecond
	}
	return t
}

func connect(t *testing.T, r *receiver, o smtpclient.Options) (*smtpclient.Conn, *smtpclient.Error) {
	t.Helper()
	o.Addr, o.Hello = r.addr, "carepost.test"
	if o.Timeouts == (smtpclient.Timeouts{}) {
		o.Timeouts = patient
	}
	c, err := smtpclient.Dial(t.Context(), o)
	if err != nil {
		e, ok := errors.AsType[*smtpclient.Error](err)
		if !ok {
			t.Fatalf("not an *Error: %v", err)
		}
		return nil, e
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, nil
}

// TestLevels: what each level takes and refuses of receivers of every kind. Nothing is taken for proof that is none.
func TestLevels(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))
	type outcome struct {
		kind     smtpclient.Kind // empty: a connection
		tls      bool
		verified bool
		reason   smtpclient.Reason
	}
	for _, c := range []struct {
		name                           string
		r                              *receiver
		verified, opportunistic, never outcome
	}{
		{"good", &receiver{cert: good}, outcome{tls: true, verified: true}, outcome{tls: true, verified: true}, outcome{}},
		{"no STARTTLS, or stripped on the way", &receiver{}, outcome{kind: smtpclient.NoTLS}, outcome{}, outcome{}},
		{
			"expired", &receiver{cert: ca.issue(t, "mx.test", time.Now().AddDate(0, 0, -1))},
			outcome{kind: smtpclient.Certificate, reason: smtpclient.ReasonExpired},
			outcome{tls: true, reason: smtpclient.ReasonExpired},
			outcome{},
		},
		{
			"wrong name", &receiver{cert: ca.issue(t, "other.test", time.Now().AddDate(0, 1, 0))},
			outcome{kind: smtpclient.Certificate, reason: smtpclient.ReasonName},
			outcome{tls: true, reason: smtpclient.ReasonName},
			outcome{},
		},
		{
			"unknown authority", &receiver{cert: other.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))},
			outcome{kind: smtpclient.Certificate, reason: smtpclient.ReasonAuthority},
			outcome{tls: true, reason: smtpclient.ReasonAuthority},
			outcome{},
		},
		{"handshake dropped", &receiver{cert: good, answer: map[string]string{"handshake": "drop"}}, outcome{kind: smtpclient.Handshake}, outcome{kind: smtpclient.Handshake}, outcome{}},
		{"handshake hangs", &receiver{cert: good, answer: map[string]string{"handshake": "hang"}}, outcome{kind: smtpclient.Handshake}, outcome{kind: smtpclient.Handshake}, outcome{}},
		{"TLS 1.1 only", &receiver{cert: good, maxTLS: tls.VersionTLS11}, outcome{kind: smtpclient.Handshake}, outcome{kind: smtpclient.Handshake}, outcome{}},
		{"STARTTLS answered 454", &receiver{cert: good, answer: map[string]string{"STARTTLS": "454 4.7.0 not now"}}, outcome{kind: smtpclient.Handshake}, outcome{kind: smtpclient.Handshake}, outcome{}},
		{"commands behind the 220", &receiver{cert: good, behind: "250 ok\r\n"}, outcome{kind: smtpclient.Protocol}, outcome{kind: smtpclient.Protocol}, outcome{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.r.start(t)
			for level, want := range map[smtpclient.Level]outcome{smtpclient.Verified: c.verified, smtpclient.Opportunistic: c.opportunistic, smtpclient.Never: c.never} {
				conn, err := connect(t, r, smtpclient.Options{TLS: smtpclient.TLS{Level: level, Name: "mx.test", Roots: ca.roots}, Timeouts: patience("handshake", r.answer["handshake"])})
				if err != nil {
					if err.Kind != want.kind || err.Kind == smtpclient.Certificate && err.Reason != want.reason {
						t.Errorf("level %d: %v (%v)", level, err, err.Err)
					}
					continue
				}
				s := conn.State()
				if want.kind != "" || s.TLS != want.tls || s.Verified != want.verified || s.Unverified != want.reason {
					t.Errorf("level %d: %+v", level, s)
				}
			}
		})
	}
}

func TestResumedSessionsAreVerifiedAgain(t *testing.T) {
	ca := newAuthority(t)
	r := (&receiver{cert: ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))}).start(t)
	cache := tls.NewLRUClientSessionCache(4)
	level := smtpclient.TLS{Name: "mx.test", Roots: ca.roots, Sessions: cache}
	for range 3 {
		c, err := connect(t, r, smtpclient.Options{TLS: level})
		if err != nil {
			t.Fatal(err)
		}
		if !c.State().Verified {
			t.Error("not verified")
		}
		_ = c.Close()
	}
	// Two months on the certificate has ended; a session made while it was good must not prove anything any more.
	later := func() time.Time { return time.Now().AddDate(0, 2, 0) }
	if _, err := connect(t, r, smtpclient.Options{TLS: level, Now: later}); err == nil || err.Reason != smtpclient.ReasonExpired {
		t.Errorf("%v", err)
	}
}

// TestEveryPhaseEnds: a receiver that hangs, drops, refuses or talks nonsense at any phase costs no more than the phase's time.
func TestEveryPhaseEnds(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))
	for _, c := range []struct {
		word, answer string
		kind         smtpclient.Kind
		stage        smtpclient.Stage
		code         int
	}{
		{"greeting", "hang", smtpclient.Network, smtpclient.StageGreeting, 0},
		{"greeting", "drop", smtpclient.Network, smtpclient.StageGreeting, 0},
		{"greeting", "421 4.7.0 too many connections", smtpclient.Refused, smtpclient.StageGreeting, 421},
		{"greeting", "554 no SMTP service here", smtpclient.Refused, smtpclient.StageGreeting, 554},
		{"greeting", "HTTP/1.1 400 Bad Request", smtpclient.Protocol, smtpclient.StageGreeting, 0},
		{"greeting", strings.Repeat("220-x\n", 1000) + "220 y", smtpclient.Protocol, smtpclient.StageGreeting, 0},
		{"greeting", "220 " + strings.Repeat("x", 10000), smtpclient.Protocol, smtpclient.StageGreeting, 0},
		{"EHLO", "hang", smtpclient.Network, smtpclient.StageHello, 0},
		{"EHLO", "drop", smtpclient.Network, smtpclient.StageHello, 0},
		{"EHLO", "550 go away", smtpclient.Refused, smtpclient.StageHello, 550},
		{"EHLO", "250-one\n550 two", smtpclient.Protocol, smtpclient.StageHello, 0},
		{"STARTTLS", "hang", smtpclient.Handshake, smtpclient.StageStartTLS, 0},
		{"STARTTLS", "drop", smtpclient.Handshake, smtpclient.StageStartTLS, 0},
		{"AUTH", "hang", smtpclient.Network, smtpclient.StageAuth, 0},
		{"AUTH", "535 5.7.8 no", smtpclient.Refused, smtpclient.StageAuth, 535},
	} {
		t.Run(c.word+" "+c.answer[:min(len(c.answer), 20)], func(t *testing.T) {
			r := (&receiver{cert: cert, answer: map[string]string{c.word: c.answer}}).start(t)
			_, err := connect(t, r, smtpclient.Options{
				TLS: smtpclient.TLS{Name: "mx.test", Roots: ca.roots}, Login: &smtpclient.Login{User: "u", Password: "p"}, Timeouts: patience(c.word, c.answer),
			})
			if err == nil || err.Kind != c.kind || err.Stage != c.stage || err.Reply.Code != c.code {
				t.Errorf("%v (%v)", err, err.Unwrap())
			}
		})
	}
}

func TestConnectTrouble(t *testing.T) {
	const addr = "mx.test:25"
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	_, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: addr, Hello: "x", Dial: refuse})
	if e, ok := errors.AsType[*smtpclient.Error](err); !ok || e.Kind != smtpclient.Network || e.Stage != smtpclient.StageConnect {
		t.Error(err)
	}
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	_, err = smtpclient.Dial(t.Context(), smtpclient.Options{Addr: addr, Dial: hang, Timeouts: smtpclient.Timeouts{Connect: 10 * time.Millisecond}})
	if e, ok := errors.AsType[*smtpclient.Error](err); !ok || e.Kind != smtpclient.Network {
		t.Error(err)
	}
}

func TestByteByByteIsAnAnswer(t *testing.T) {
	r := (&receiver{dribble: true}).start(t)
	o := smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic}, Timeouts: patient}
	if _, err := connect(t, r, o); err != nil {
		t.Error(err)
	}
	o.Timeouts.Hello = 30 * time.Millisecond // 100 bytes at a millisecond each do not fit, however busily they come
	if _, err := connect(t, r, o); err == nil || err.Kind != smtpclient.Network || err.Stage != smtpclient.StageHello {
		t.Errorf("a dribbling receiver outlasted its phase: %v", err)
	}
}

func TestPasswordsStayInsideVerifiedTLS(t *testing.T) {
	ca := newAuthority(t)
	for name, r := range map[string]*receiver{
		"no TLS":  {},
		"expired": {cert: ca.issue(t, "mx.test", time.Now().AddDate(0, 0, -1))},
	} {
		r.start(t)
		o := smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic, Name: "mx.test", Roots: ca.roots}, Login: &smtpclient.Login{User: "u", Password: "p"}}
		if _, err := connect(t, r, o); err == nil || strings.Contains(r.commands(), "AUTH") {
			t.Errorf("%s: %v, %s", name, err, r.commands())
		}
	}
	r := (&receiver{cert: ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))}).start(t)
	o := smtpclient.Options{TLS: smtpclient.TLS{Name: "mx.test", Roots: ca.roots}, Login: &smtpclient.Login{User: "u", Password: "p"}}
	if _, err := connect(t, r, o); err != nil || !strings.Contains(r.commands(), "AUTH PLAIN AHUAcA==") {
		t.Errorf("%v, %s", err, r.commands())
	}
	if s := fmt.Sprintf("%v %+v %#v", o.Login, o.Login, o.Login); strings.Contains(s, "p\"") || !strings.Contains(s, "sealed") {
		t.Error(s)
	}
}

// TestWhatWasSaidInClearCountsNoMore: extensions of the EHLO before STARTTLS are forgotten, also when there are none after (RFC 3207 4.2).
func TestWhatWasSaidInClearCountsNoMore(t *testing.T) {
	ca := newAuthority(t)
	r := (&receiver{
		cert: ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0)), then: map[string]string{"EHLO": "502 what?"}, ext: []string{"PIPELINING", "SIZE 1000"},
	}).start(t)
	c, err := connect(t, r, smtpclient.Options{TLS: smtpclient.TLS{Name: "mx.test", Roots: ca.roots}})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.State(); !s.Verified || s.Pipelining || s.Size != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOldReceiverIsGreetedWithHELO(t *testing.T) {
	r := (&receiver{answer: map[string]string{"EHLO": "502 what?"}}).start(t)
	if _, err := connect(t, r, smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic}}); err != nil || !strings.Contains(r.commands(), "HELO") {
		t.Error(err, r.commands())
	}
}
