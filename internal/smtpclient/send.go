package smtpclient

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// Message is one message to one recipient.
type Message struct {
	From string // empty: the null sender
	To   string
	Data []byte // the whole message, lines ended by CRLF, dots not doubled
}

// Class is how it ended.
type Class uint8

// The classes.
const (
	NotTried  Class = iota // nothing was said about it, or nothing that counts: the connection ended before its envelope was answered
	Accepted               // the receiver has it
	Temporary              // refused for now, or the connection ended before the final dot
	Permanent              // refused for good
	InDoubt                // the final dot went out, perhaps, and no answer came back
)

// String gives the class's word.
func (c Class) String() string {
	return [...]string{"not_tried", "accepted", "temporary", "permanent", "in_doubt"}[c]
}

// Result is how one message ended.
type Result struct {
	Class Class
	Reply Reply // the answer that decided; its Stage is set also when nothing was answered
	Local bool  // we refused, and the receiver was not asked: too big, needs SMTPUTF8, not sendable
	Err   error // network trouble behind NotTried, Temporary and InDoubt, or what Local refused
}

// Hooks are called by Run, in its goroutine.
type Hooks struct {
	// Next gives the message to send after the one in hand, nil when there is none now. It is asked before the final dot of the one in
	// hand, so that the envelope rides along.
	Next func() *Message
	// BeforeDot is called when everything but the final dot is ready to go. An error ends the connection, and the message was not sent.
	BeforeDot func(ctx context.Context, m *Message) error
	// Meanwhile, when set, is called while a dot is on its way: the time to make the message after the next one ready.
	Meanwhile func()
	// Done gets every message that Next gave, once, in order; one that is refused here is reported as soon as it is seen.
	Done func(m *Message, r Result)
}

// Run sends what Next gives until it gives nil or the connection is no longer usable. A result is in Done, never in an error.
func (c *Conn) Run(ctx context.Context, h Hooks) {
	defer c.attach(ctx)()
	f := flight{c: c, h: h}
	m := f.next()
	for m != nil {
		if !f.said { // nothing rode along with a dot before
			f.said = true
			f.say(m)
		}
		m = f.finish(m)
	}
}

// flight is the state between two messages of one Run.
type flight struct {
	c    *Conn
	h    Hooks
	said bool // the envelope of the message in hand is written
	err  error
}

// next asks for messages until one is sendable.
func (f *flight) next() *Message {
	for !f.c.dead {
		m := f.h.Next()
		if m == nil {
			return nil
		}
		r, ok := f.c.sendable(m)
		if ok {
			return m
		}
		f.h.Done(m, r)
	}
	return nil
}

// sendable refuses what this connection cannot carry unchanged.
func (c *Conn) sendable(m *Message) (Result, bool) {
	refuse := func(code int, enhanced string, err error) (Result, bool) {
		return Result{Class: Permanent, Local: true, Err: err, Reply: Reply{Stage: StageMail, Code: code, Enhanced: enhanced}}, false
	}
	if CheckAddress(m.To) != nil || m.To == "" {
		r, _ := refuse(553, "5.1.3", errAddress)
		r.Reply.Stage = StageRcpt
		return r, false
	}
	if CheckAddress(m.From) != nil {
		return refuse(553, "5.1.7", errAddress)
	}
	if err := CheckData(m.Data); err != nil {
		return refuse(554, "5.6.0", err)
	}
	switch {
	case c.state.Size > 0 && int64(len(m.Data)) > c.state.Size:
		return refuse(552, "5.3.4", nil) // RFC 1870 6.1: do not try
	case (!ascii(m.From) || !ascii(m.To)) && !c.offers("SMTPUTF8"):
		return refuse(553, "5.6.7", nil) // RFC 6531 3.5
	case !c.offers("8BITMIME") && !sevenBit(m.Data):
		return refuse(554, "5.6.3", nil) // RFC 6152 3
	}
	return Result{}, true
}

// say writes the envelope: all of it when the receiver pipelines, else its first command.
func (f *flight) say(m *Message) {
	c := f.c
	if f.err != nil {
		return
	}
	if c.open {
		f.write("RSET\r\n")
		if !c.state.Pipelining {
			return
		}
	}
	f.write(c.mail(m))
	if c.state.Pipelining {
		f.write(rcpt(m) + "DATA\r\n")
	}
}

func (f *flight) write(s string) {
	if f.err == nil {
		_, f.err = f.c.w.WriteString(s)
	}
}

func (c *Conn) mail(m *Message) string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + m.From + ">")
	if c.offers("SIZE") {
		b.WriteString(" SIZE=" + strconv.Itoa(len(m.Data)))
	}
	if c.offers("8BITMIME") && !sevenBit(m.Data) {
		b.WriteString(" BODY=8BITMIME")
	}
	if !ascii(m.From) || !ascii(m.To) {
		b.WriteString(" SMTPUTF8")
	}
	b.WriteString("\r\n")
	return b.String()
}

func rcpt(m *Message) string { return "RCPT TO:<" + m.To + ">\r\n" }

// finish takes a message whose envelope is written to its end, and gives the next one, its envelope written as well.
func (f *flight) finish(m *Message) *Message {
	c := f.c
	if c.open {
		c.open = false
		rep := f.answer(StageMail, c.o.Timeouts.Mail, "")
		if f.err != nil || rep.Code != 250 {
			return f.lost(m, StageMail) // a receiver that refuses RSET is in a state nobody knows
		}
		if !c.state.Pipelining {
			f.write(c.mail(m))
		}
	}
	if !f.envelope(m) {
		return f.after(m)
	}
	f.body(m)
	if f.err != nil {
		return f.fail(m, Temporary, StageData)
	}
	next := f.next()
	if err := f.h.BeforeDot(c.ctx, m); err != nil {
		c.dead = true // the receiver has half a message and no dot: it forgets it when the connection ends
		f.h.Done(m, Result{Class: NotTried, Reply: Reply{Stage: StageData}, Err: err})
		return f.give(next, err)
	}
	if said, gone := c.early(); said {
		return f.early(m, next)
	} else if gone != nil { // before the dot: it cannot have the message
		f.err = gone
		f.report(m, Temporary, StageData, Reply{})
		return f.give(next, gone)
	}
	f.write(".\r\n")
	c.sent++
	f.said = next != nil && c.state.Pipelining
	if f.said {
		f.say(next) // RFC 2920 3.1: the next envelope may ride behind the dot
	}
	if f.err == nil {
		if f.err = c.arm(c.o.Timeouts.Body); f.err == nil {
			f.err = c.w.Flush()
		}
	}
	if f.err == nil && f.h.Meanwhile != nil {
		f.h.Meanwhile()
	}
	rep := f.answer(StageDot, c.o.Timeouts.Dot, "")
	if f.err != nil {
		c.dead = true
		f.h.Done(m, Result{Class: InDoubt, Reply: Reply{Stage: StageDot}, Err: f.err})
		return f.give(next, f.err)
	}
	f.h.Done(m, Result{Class: dotClass(rep), Reply: rep})
	if rep.Code == 421 || rep.Code/100 == 3 {
		c.dead = true
		return f.give(next, errReplySyntax)
	}
	return next
}

// early reads what a receiver says in the middle of a body: a refusal it did not want to wait with. Anything else would be
// taken for the answer to the dot, so the connection ends.
func (f *flight) early(m, next *Message) *Message {
	rep := f.answer(StageData, f.c.o.Timeouts.Data, "")
	f.c.dead = true
	switch {
	case f.err != nil || rep.Code < 400:
		f.h.Done(m, Result{Class: Temporary, Reply: Reply{Stage: StageData}, Err: errReplySyntax})
	default:
		f.refused(m, rep)
	}
	return f.give(next, errReplySyntax)
}

// dotClass reads the answer to the final dot. A 421 with a reason of policy or mailbox is an answer: the message was not taken
// (RFC 5321 4.2.1). A bare one, or one for shutdown or time, is a farewell that may have crossed with the acceptance.
func dotClass(rep Reply) Class {
	switch rep.Code / 100 {
	case 2:
		return Accepted
	case 5:
		return Permanent
	case 4:
		if rep.Code == 421 && (rep.Enhanced == "" || strings.HasPrefix(rep.Enhanced, "4.3.") || strings.HasPrefix(rep.Enhanced, "4.4.")) {
			return InDoubt
		}
		return Temporary
	}
	return InDoubt
}

// answer flushes and reads one reply; line is sent first when the receiver wants one command at a time.
func (f *flight) answer(stage Stage, d time.Duration, line string) Reply {
	rep := Reply{Stage: stage}
	if f.err == nil {
		f.err = f.c.arm(d)
	}
	f.write(line)
	if f.err == nil && f.c.w.Buffered() > 0 {
		f.err = f.c.w.Flush()
	}
	if f.err == nil {
		rep, f.err = readReply(f.c.r, stage)
	}
	return rep
}

// envelope reads the answers to MAIL, RCPT and DATA. False: the message is done with, and reported.
func (f *flight) envelope(m *Message) bool {
	c, t := f.c, f.c.o.Timeouts
	lines := [3]string{"", rcpt(m), "DATA\r\n"}
	if c.state.Pipelining {
		lines = [3]string{}
	}
	mail := f.answer(StageMail, t.Mail, lines[0])
	if f.err != nil {
		f.report(m, NotTried, StageMail, mail)
		return false
	}
	if !mail.positive() && !c.state.Pipelining {
		return f.refused(m, mail)
	}
	to := f.answer(StageRcpt, t.Rcpt, lines[1])
	if f.err != nil {
		if !mail.positive() {
			f.err = nil
			c.dead = true // 421 and gone: its reason was read
			return f.refused(m, mail)
		}
		f.report(m, Temporary, StageRcpt, to)
		return false
	}
	if !to.positive() && !c.state.Pipelining {
		c.open = true
		return f.refused(m, to)
	}
	return f.data(m, mail, to, lines[2])
}

// data reads the answer to DATA and weighs it with those before.
func (f *flight) data(m *Message, mail, to Reply, line string) bool {
	c := f.c
	data := f.answer(StageData, c.o.Timeouts.Data, line)
	bad := mail
	if bad.positive() {
		bad = to
	}
	if !bad.positive() {
		switch {
		case f.err != nil:
			c.dead, f.err = true, nil
		case data.Code == 354: // RFC 2920 3.1: end the message that has no recipient
			f.write(".\r\n")
			if f.answer(StageData, c.o.Timeouts.Data, ""); f.err != nil {
				c.dead, f.err = true, nil
			}
		default:
			c.open = mail.positive()
		}
		return f.refused(m, bad)
	}
	if f.err != nil {
		f.report(m, Temporary, StageData, data)
		return false
	}
	if data.Code != 354 {
		c.open = true
		return f.refused(m, data)
	}
	return true
}

func (f *flight) refused(m *Message, rep Reply) bool {
	class := Permanent
	if rep.Code < 500 {
		class = Temporary // also an answer that fits nothing: again later
	}
	if rep.Code == 421 || rep.Code/100 < 4 {
		f.c.dead = true
	}
	f.h.Done(m, Result{Class: class, Reply: rep})
	return false
}

func (f *flight) report(m *Message, class Class, stage Stage, rep Reply) {
	f.c.dead = true
	rep.Stage = stage
	f.h.Done(m, Result{Class: class, Reply: rep, Err: f.err})
}

// after gives the next message once the one in hand was refused before its body; nothing of it is written.
func (f *flight) after(_ *Message) *Message {
	f.said = false
	return f.next()
}

func (f *flight) lost(m *Message, stage Stage) *Message {
	f.report(m, NotTried, stage, Reply{})
	return nil
}

func (f *flight) fail(m *Message, class Class, stage Stage) *Message {
	f.report(m, class, stage, Reply{})
	return nil
}

// give reports a message that was asked for and cannot be tried any more.
func (f *flight) give(next *Message, err error) *Message {
	if next != nil {
		f.h.Done(next, Result{Class: NotTried, Reply: Reply{Stage: StageMail}, Err: err})
	}
	return nil
}

const bodyChunk = 64 << 10

// body writes the message with its dots doubled (RFC 5321 4.5.2). The tail stays in the buffer until the dot.
func (f *flight) body(m *Message) {
	rest := m.Data
	if len(rest) > 0 && rest[0] == '.' {
		f.write(".")
	}
	for len(rest) > 0 && f.err == nil {
		n := min(len(rest), bodyChunk)
		if f.err = f.c.arm(f.c.o.Timeouts.Body); f.err == nil {
			f.err = stuff(f.c.w, rest[:n], rest[n:])
		}
		rest = rest[n:]
	}
}

var lineDot = []byte("\n.")

// stuff writes a piece; after is what follows it, for a dot that begins there.
func stuff(w io.Writer, piece, after []byte) error {
	for {
		i := bytes.Index(piece, lineDot)
		if i < 0 {
			break
		}
		if _, err := w.Write(piece[:i+1]); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "."); err != nil {
			return err
		}
		piece = piece[i+1:]
	}
	if _, err := w.Write(piece); err != nil {
		return err
	}
	if len(piece) > 0 && piece[len(piece)-1] == '\n' && len(after) > 0 && after[0] == '.' {
		_, err := io.WriteString(w, ".")
		return err
	}
	return nil
}
