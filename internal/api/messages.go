package api

import (
	"context"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

// MessageLine is a message in a list.
type MessageLine struct {
	ID     string `json:"id"`
	Person string `json:"person"`
	State  string `json:"state"`
	Means  string `json:"means,omitempty"`
}

// Message is one message with why it went this way and what happened.
type Message struct {
	MessageLine
	Send      string     `json:"send"`
	Name      string     `json:"name"`
	Purpose   string     `json:"purpose"`
	Class     string     `json:"class"`
	MadeAt    time.Time  `json:"made_at"`
	DoneAt    *time.Time `json:"done_at,omitempty"`
	Decisions []Decision `json:"decisions"`
	Delivery  *Delivery  `json:"delivery,omitempty"`
}

// Decision is one decision of the gate.
type Decision struct {
	At        time.Time  `json:"at"`
	Means     string     `json:"means"`
	Proof     string     `json:"proof,omitempty" doc:"What the TLS connection had to prove"`
	NotBefore *time.Time `json:"not_before,omitempty"`
	Reasons   []Reason   `json:"reasons"`
}

// Delivery is what the engine knows of a message.
type Delivery struct {
	State    string    `json:"state"`
	End      string    `json:"end,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Attempts int       `json:"attempts"`
	Doubts   int       `json:"doubts,omitempty" doc:"Attempts of which nobody knows whether they arrived"`
	Due      time.Time `json:"due"`
	Expires  time.Time `json:"expires"`
	Failure  string    `json:"tls_failure,omitempty" doc:"What the last connection lacked"`
	Class    string    `json:"class,omitempty" doc:"Of the last refusal"`
	Code     int       `json:"code,omitempty"`
	Enhanced string    `json:"enhanced,omitempty"`
	Proof    string    `json:"proof,omitempty" doc:"By which it was accepted"`
	TLS      string    `json:"tls,omitempty"`
	Reply    string    `json:"reply,omitempty" doc:"The receiver's words"`
}

type messagesInput struct {
	Place
	Send   string `query:"send"`
	State  string `query:"state"`
	Person string `query:"person"`
	Before string `query:"before"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000"`
}

type messagesOutput struct {
	Body struct {
		Messages []MessageLine `json:"messages"`
		Next     string        `json:"next,omitempty"`
	}
}

func (in *messagesInput) filter() (fl send.Filter, err error) {
	fl.Limit = in.Limit
	for _, x := range []struct {
		text string
		to   interface{ UnmarshalText([]byte) error }
	}{{in.Send, &fl.Send}, {in.Person, &fl.Person}, {in.Before, &fl.Before}} {
		if err := x.to.UnmarshalText([]byte(x.text)); err != nil {
			return fl, err
		}
	}
	if in.State != "" {
		fl.State, err = send.ParseState(in.State)
	}
	return fl, err
}

func (f *Face) listMessages(ctx context.Context, in *messagesInput) (*messagesOutput, error) {
	fl, err := in.filter()
	if err != nil {
		return nil, err
	}
	out := &messagesOutput{}
	out.Body.Messages = []MessageLine{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Sends.Messages(ctx, tx, fl)
		for _, m := range all {
			out.Body.Messages = append(out.Body.Messages, lineOf(m))
		}
		if n := len(all); n > 0 && n == fl.Page() {
			out.Body.Next = all[n-1].ID.String()
		}
		return err
	})
}

func lineOf(m send.Message) MessageLine {
	return MessageLine{m.ID.String(), m.Person.String(), m.State.String(), string(m.Means)}
}

type messageInput struct {
	Place
	ID string `path:"id"`
}

type messageOutput struct{ Body Message }

// getMessage shows a message and writes the view.
func (f *Face) getMessage(ctx context.Context, in *messageInput) (*messageOutput, error) {
	m, err := id.Parse[id.Message](in.ID)
	if err != nil {
		return nil, err
	}
	out := &messageOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		one, err := f.Sends.Message(ctx, tx, m)
		if err != nil {
			return err
		}
		s, err := f.Sends.Get(ctx, tx, one.Send)
		if err != nil {
			return err
		}
		out.Body = messageOf(one, s)
		if st, ok, err := f.Sends.Delivery(ctx, tx, m); err != nil {
			return err
		} else if ok {
			out.Body.Delivery = &Delivery{
				State: st.State, Reason: st.Reason, Attempts: st.Attempts, Doubts: st.Doubts, Due: st.Due, Expires: st.Expires, Failure: string(st.Failure),
				Class: st.Class, Code: st.Code, Enhanced: st.Enhanced, Proof: string(st.Proof), TLS: st.TLS, Reply: st.Reply,
			}
			if st.State == "done" {
				out.Body.Delivery.End = st.End.String()
			}
		}
		return f.viewed(ctx, tx, one.Person, m.UUID(), "message")
	})
}

func messageOf(m send.Message, s send.Send) Message {
	out := Message{
		MessageLine: lineOf(m), Send: m.Send.String(), Name: s.Request.Name, Purpose: s.Request.Purpose.String(), Class: s.Request.Class.String(),
		MadeAt: m.MadeAt, Decisions: []Decision{},
	}
	if !m.DoneAt.IsZero() {
		out.DoneAt = &m.DoneAt
	}
	for _, d := range m.Decisions {
		one := Decision{At: d.At, Means: string(d.Means), Proof: string(d.Proof), Reasons: reasonsOf(d.Decision)}
		if !d.NotBefore.IsZero() {
			one.NotBefore = &d.NotBefore
		}
		out.Decisions = append(out.Decisions, one)
	}
	return out
}

func (f *Face) releaseMessage(ctx context.Context, in *messageInput) (*emptyOutput, error) {
	return f.changeMessage(ctx, in, f.Sends.Release)
}

func (f *Face) cancelMessage(ctx context.Context, in *messageInput) (*emptyOutput, error) {
	return f.changeMessage(ctx, in, f.Sends.Cancel)
}

func (f *Face) changeMessage(ctx context.Context, in *messageInput, do func(context.Context, *store.Tx, id.Message) error) (*emptyOutput, error) {
	m, err := id.Parse[id.Message](in.ID)
	if err != nil {
		return nil, err
	}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error { return do(ctx, tx, m) })
}
