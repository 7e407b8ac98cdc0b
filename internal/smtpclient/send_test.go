package smtpclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/smtpclient"
)

func plainConn(t *testing.T, r *receiver) *smtpclient.Conn {
	t.Helper()
	return plainConnIn(t, r, patient)
}

func plainConnIn(t *testing.T, r *receiver, limits smtpclient.Timeouts) *smtpclient.Conn {
	t.Helper()
	c, err := connect(t, r, smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic}, Timeouts: limits})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send runs messages over a connection and gives the results in the order of Done.
func send(t *testing.T, c *smtpclient.Conn, before func(int) error, msgs ...*smtpclient.Message) []smtpclient.Result {
	t.Helper()
	var results []smtpclient.Result
	n := 0
	c.Run(t.Context(), smtpclient.Hooks{
		Next: func() *smtpclient.Message {
			if n == len(msgs) {
				return nil
			}
			n++
			return msgs[n-1]
		},
		BeforeDot: func(_ context.Context, m *smtpclient.Message) error {
			if before == nil {
				return nil
			}
			for i := range msgs {
				if msgs[i] == m {
					return before(i)
				}
			}
			return nil
		},
		Done: func(_ *smtpclient.Message, r smtpclient.Result) { results = append(results, r) },
	})
	return results
}

func note(n int) *smtpclient.Message {
	return &smtpclient.Message{From: "a@carepost.test", To: fmt.Sprintf("p%d@mx.test", n), Data: fmt.Appendf(nil, "Subject: %d\r\n\r\nhello %d\r\n", n, n)}
}

func TestTheNextEnvelopeRidesWithTheDot(t *testing.T) {
	r := (&receiver{}).start(t)
	before := []int{}
	res := send(t, plainConn(t, r), func(i int) error { before = append(before, i); return nil }, note(0), note(1), note(2))
	for i, x := range res {
		if x.Class != smtpclient.Accepted || x.Reply.Code != 250 || x.Reply.Stage != smtpclient.StageDot {
			t.Errorf("%d: %+v", i, x)
		}
	}
	if len(res) != 3 || fmt.Sprint(before) != "[0 1 2]" || strings.Contains(r.commands(), "RSET") {
		t.Errorf("%d results, hooks %v, %s", len(res), before, r.commands())
	}
	if got := r.bodies(); len(got) != 3 || got[2] != "Subject: 2\r\n\r\nhello 2\r\n" {
		t.Errorf("%q", got)
	}
}

func TestOneCommandAtATime(t *testing.T) {
	r := (&receiver{ext: []string{"8BITMIME"}}).start(t)
	if res := send(t, plainConn(t, r), nil, note(0), note(1)); len(res) != 2 || res[1].Class != smtpclient.Accepted || r.rushed != 0 {
		t.Errorf("%+v, %d commands came too soon", res, r.rushed)
	}
}

func TestDotsAreDoubledOnTheWireOnly(t *testing.T) {
	r := (&receiver{}).start(t)
	data := ".\r\n..\r\nX: y\r\n\r\n.a\r\nb.\r\n.\r\n" + strings.Repeat(".line of text that fills\r\n", 6000)
	m := &smtpclient.Message{From: "a@b.test", To: "c@mx.test", Data: []byte(data)}
	if res := send(t, plainConn(t, r), nil, m); res[0].Class != smtpclient.Accepted {
		t.Fatalf("%+v", res)
	}
	want := strings.ReplaceAll("\n"+data, "\n.", "\n..")[1:]
	if got := r.bodies()[0]; got != want {
		t.Errorf("%d bytes, wanted %d", len(got), len(want))
	}
	if string(m.Data) != data {
		t.Error("the message was changed")
	}
}

// TestEveryAnswer: refusals and failures at every phase, for a receiver that pipelines and one that does not, with another message behind.
func TestEveryAnswer(t *testing.T) {
	for _, c := range []struct {
		word, answer string
		class        smtpclient.Class
		stage        smtpclient.Stage
		code         int
		goesOn       bool // the connection serves the next message
	}{
		{"MAIL", "451 4.7.1 rate", smtpclient.Temporary, smtpclient.StageMail, 451, true},
		{"MAIL", "550 5.7.1 no", smtpclient.Permanent, smtpclient.StageMail, 550, true},
		{"MAIL", "421 4.7.0 bye", smtpclient.Temporary, smtpclient.StageMail, 421, false},
		{"MAIL", "drop", smtpclient.NotTried, smtpclient.StageMail, 0, false},
		{"MAIL", "hang", smtpclient.NotTried, smtpclient.StageMail, 0, false},
		{"MAIL", "what", smtpclient.NotTried, smtpclient.StageMail, 0, false},
		{"RCPT", "550 5.1.1 no such user", smtpclient.Permanent, smtpclient.StageRcpt, 550, true},
		{"RCPT", "450 4.2.0 greylisted", smtpclient.Temporary, smtpclient.StageRcpt, 450, true},
		{"RCPT", "421 4.3.2 bye", smtpclient.Temporary, smtpclient.StageRcpt, 421, false},
		{"RCPT", "drop", smtpclient.Temporary, smtpclient.StageRcpt, 0, false},
		{"RCPT", "hang", smtpclient.Temporary, smtpclient.StageRcpt, 0, false},
		{"DATA", "451 4.3.0 disk", smtpclient.Temporary, smtpclient.StageData, 451, true},
		{"DATA", "554 5.7.1 no", smtpclient.Permanent, smtpclient.StageData, 554, true},
		{"DATA", "drop", smtpclient.Temporary, smtpclient.StageData, 0, false},
		{"DATA", "hang", smtpclient.Temporary, smtpclient.StageData, 0, false},
		{"dot", "451 4.3.0 later", smtpclient.Temporary, smtpclient.StageDot, 451, true},
		{"dot", "554 5.7.1 spam", smtpclient.Permanent, smtpclient.StageDot, 554, true},
		{"dot", "250 ok", smtpclient.Accepted, smtpclient.StageDot, 250, true},
		{"dot", "drop", smtpclient.InDoubt, smtpclient.StageDot, 0, false},
		{"dot", "hang", smtpclient.InDoubt, smtpclient.StageDot, 0, false},
		{"dot", "what", smtpclient.InDoubt, smtpclient.StageDot, 0, false},
		{"dot", "421 shutting down", smtpclient.InDoubt, smtpclient.StageDot, 421, false},
		{"dot", "421 4.4.2 timeout", smtpclient.InDoubt, smtpclient.StageDot, 421, false},
		{"dot", "421 4.7.28 unusual rate", smtpclient.Temporary, smtpclient.StageDot, 421, false},
		{"dot", "354 more", smtpclient.InDoubt, smtpclient.StageDot, 354, false},
	} {
		for name, ext := range map[string][]string{"pipelining": nil, "lockstep": {"8BITMIME"}} {
			t.Run(c.word+" "+c.answer+" "+name, func(t *testing.T) {
				// The first answer is the case's; from the second on the receiver is well.
				well := map[string]string{"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "dot": "250 taken"}
				r := (&receiver{ext: ext, answer: map[string]string{c.word: c.answer}, then: map[string]string{c.word: well[c.word]}}).start(t)
				conn := plainConnIn(t, r, patience(c.word, c.answer))
				res := send(t, conn, nil, note(0), note(1))
				if len(res) == 0 || res[0].Class != c.class || res[0].Reply.Stage != c.stage || res[0].Reply.Code != c.code {
					t.Fatalf("%+v", res)
				}
				if conn.Usable() != c.goesOn {
					t.Errorf("usable: %v", conn.Usable())
				}
				if c.goesOn && (len(res) != 2 || res[1].Class != smtpclient.Accepted) {
					t.Errorf("the next: %+v, %s", res, r.commands())
				}
				if r.rushed != 0 {
					t.Errorf("%d commands came too soon: %s", r.rushed, r.commands())
				}
				if !c.goesOn && len(res) == 2 && res[1].Class != smtpclient.NotTried {
					t.Errorf("the next: %+v", res[1])
				}
			})
		}
	}
}

func TestTheHookStopsTheDot(t *testing.T) {
	r := (&receiver{}).start(t)
	c := plainConn(t, r)
	res := send(t, c, func(int) error { return errors.New("no intent") }, note(0), note(1))
	if len(res) != 2 || res[0].Class != smtpclient.NotTried || res[1].Class != smtpclient.NotTried || c.Usable() || c.Sent() != 0 {
		t.Errorf("%+v", res)
	}
	_ = c.Close()
	if len(r.bodies()) != 0 {
		t.Error("the message went out")
	}
}

// TestAnAnswerBeforeTheDotIsNotItsAnswer: a receiver that says 250 too early must not make us believe that it has the message.
func TestAnAnswerBeforeTheDotIsNotItsAnswer(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "mx.test", time.Now().AddDate(0, 1, 0))
	big := &smtpclient.Message{From: "a@carepost.test", To: "p@mx.test", Data: []byte("Subject: x\r\n\r\n" + strings.Repeat("a line of some length\r\n", 10_000))}
	for early, want := range map[string]smtpclient.Class{
		"250 2.0.0 taken": smtpclient.Temporary, "452 4.3.1 no room": smtpclient.Temporary, "552 5.3.4 too big": smtpclient.Permanent,
	} {
		for _, r := range []*receiver{{}, {cert: cert}, {atOnce: true}, {atOnce: true, cert: cert}} {
			r.sayEarly, r.saidIt = early, make(chan struct{}, 1)
			r.start(t)
			c, err := connect(t, r, smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic, Name: "mx.test", Roots: ca.roots}})
			if err != nil {
				t.Fatal(err)
			}
			res := send(t, c, func(int) error {
				if !r.atOnce {
					<-r.saidIt // in the middle of the body, which it has not seen the end of
				}
				return nil
			}, big, note(1))
			if len(res) == 0 || res[0].Class != want || res[0].Reply.Stage != smtpclient.StageData || len(res) > 1 && res[1].Class != smtpclient.NotTried || c.Usable() || c.Sent() != 0 {
				t.Errorf("%s, TLS %v, at once %v: %+v", early, r.cert != nil, r.atOnce, res)
			}
		}
	}
}

// TestAReceiverThatIsGoneBeforeTheDot cannot have the message: it is not in doubt.
func TestAReceiverThatIsGoneBeforeTheDot(t *testing.T) {
	r := (&receiver{}).start(t)
	c := plainConn(t, r)
	res := send(t, c, func(int) error { r.hangUp(); return nil }, note(0))
	if len(res) != 1 || res[0].Class != smtpclient.Temporary || c.Sent() != 0 {
		t.Errorf("%+v", res)
	}
}

func TestWhatIsNeverSent(t *testing.T) {
	long := "Subject: x\r\n\r\n" + strings.Repeat("a", 999) + "\r\n"
	for _, c := range []struct {
		name     string
		m        smtpclient.Message
		enhanced string
		stage    smtpclient.Stage
	}{
		{"bare LF", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\na\n.\r\n")}, "5.6.0", smtpclient.StageMail},
		{"bare CR", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\na\r.\r\n")}, "5.6.0", smtpclient.StageMail},
		{"two CR", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\na\r\r\n")}, "5.6.0", smtpclient.StageMail},
		{"no last line end", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\na")}, "5.6.0", smtpclient.StageMail},
		{"NUL", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\n\x00\r\n")}, "5.6.0", smtpclient.StageMail},
		{"long line", smtpclient.Message{To: "a@b.test", Data: []byte(long)}, "5.6.0", smtpclient.StageMail},
		{"CRLF in the recipient", smtpclient.Message{To: "a@b.test>\r\nRCPT TO:<x@y.test", Data: note(0).Data}, "5.1.3", smtpclient.StageRcpt},
		{"no recipient", smtpclient.Message{Data: note(0).Data}, "5.1.3", smtpclient.StageRcpt},
		{"no domain", smtpclient.Message{To: "a", Data: note(0).Data}, "5.1.3", smtpclient.StageRcpt},
		{"LF in the sender", smtpclient.Message{From: "a@b.test\nX", To: "a@b.test", Data: note(0).Data}, "5.1.7", smtpclient.StageMail},
		{"UTF-8 without SMTPUTF8", smtpclient.Message{To: "jörg@b.test", Data: note(0).Data}, "5.6.7", smtpclient.StageMail},
		{"8 bits without 8BITMIME", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\n\xc3\xa4\r\n")}, "5.6.3", smtpclient.StageMail},
		{"too big", smtpclient.Message{To: "a@b.test", Data: []byte("Subject: x\r\n\r\n" + strings.Repeat("a\r\n", 400))}, "5.3.4", smtpclient.StageMail},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := (&receiver{ext: []string{"PIPELINING", "SIZE 1000"}}).start(t)
			if strings.HasPrefix(c.name, "long") {
				r.ext = []string{"PIPELINING"}
			}
			res := send(t, plainConn(t, r), nil, &c.m, note(1))
			if len(res) != 2 || res[0].Class != smtpclient.Permanent || !res[0].Local || res[0].Reply.Enhanced != c.enhanced || res[0].Reply.Stage != c.stage {
				t.Fatalf("%+v", res)
			}
			if res[1].Class != smtpclient.Accepted || strings.Count(r.commands(), "MAIL") != 1 {
				t.Errorf("%+v, %s", res[1], r.commands())
			}
		})
	}
}

func TestParametersOfMAIL(t *testing.T) {
	r := (&receiver{}).start(t)
	res := send(t, plainConn(t, r), nil,
		&smtpclient.Message{From: "a@b.test", To: "jörg@b.test", Data: []byte("Subject: x\r\n\r\n\xc3\xa4\r\n")},
		&smtpclient.Message{To: `"quoted name"@b.test`, Data: note(0).Data})
	if len(res) != 2 || res[0].Class != smtpclient.Accepted || res[1].Class != smtpclient.Accepted {
		t.Fatalf("%+v", res)
	}
	for _, want := range []string{"MAIL FROM:<a@b.test> SIZE=18 BODY=8BITMIME SMTPUTF8", "RCPT TO:<jörg@b.test>", "MAIL FROM:<> SIZE=", `RCPT TO:<"quoted name"@b.test>`} {
		if !strings.Contains(r.commands(), want) {
			t.Errorf("%s is not in %s", want, r.commands())
		}
	}
}

func TestAConnectionThatEndsBetweenMessages(t *testing.T) {
	r := (&receiver{closeAt: 2}).start(t)
	c := plainConn(t, r)
	res := send(t, c, nil, note(0), note(1), note(2), note(3))
	if len(res) != 3 || res[1].Class != smtpclient.Accepted || res[2].Class != smtpclient.NotTried || c.Usable() {
		t.Errorf("%+v", res)
	}
}

func TestACancelledRunEnds(t *testing.T) {
	r := (&receiver{answer: map[string]string{"dot": "hang"}}).start(t)
	o := smtpclient.Options{TLS: smtpclient.TLS{Level: smtpclient.Opportunistic}, Timeouts: patient}
	o.Timeouts.Dot = time.Hour
	c, err := connect(t, r, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.onDot = cancel // the dot is out, and no answer comes
	var got smtpclient.Result
	first := true
	c.Run(ctx, smtpclient.Hooks{
		Next: func() *smtpclient.Message {
			if !first {
				return nil
			}
			first = false
			return note(0)
		},
		BeforeDot: func(context.Context, *smtpclient.Message) error { return nil },
		Done:      func(_ *smtpclient.Message, r smtpclient.Result) { got = r },
	})
	if got.Class != smtpclient.InDoubt {
		t.Errorf("%+v", got)
	}
}

func TestReplyKeepsItsTextToItself(t *testing.T) {
	r := (&receiver{answer: map[string]string{"RCPT": "550-5.1.1 <p0@mx.test>: unknown\n550 5.1.1 really"}}).start(t)
	res := send(t, plainConn(t, r), nil, note(0))[0]
	if res.Reply.Enhanced != "5.1.1" || res.Reply.Text != "<p0@mx.test>: unknown really" {
		t.Errorf("%q %q", res.Reply.Enhanced, res.Reply.Text)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", res, res, res.Reply, res.Reply); strings.Contains(s, "p0@") {
		t.Error(s)
	}
}
