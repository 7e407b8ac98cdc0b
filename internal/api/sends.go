package api

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

// SendRequest is what a sender declares.
type SendRequest struct {
	ID       string   `json:"id,omitempty" doc:"snd_..., made by the caller, who may then repeat the request: the same id is the same send"`
	Name     string   `json:"name" minLength:"1" maxLength:"200"`
	Segment  string   `json:"segment,omitempty" maxLength:"200" doc:"The segment whose people get it, as of now"`
	People   []string `json:"people,omitempty" maxItems:"1000" doc:"Or these people"`
	Template string   `json:"template" doc:"By name or id"`
	Version  int      `json:"version,omitempty" minimum:"0"`
	Sender   string   `json:"sender,omitempty" doc:"sid_...; the first sender of the class when left out"`
	Purpose  string   `json:"purpose" doc:"treatment, payment, operations, refill, fundraising, marketing or service"`
	Class    string   `json:"class" enum:"transactional,commercial"`
	Payer    Payer    `json:"payer"`
	Topic    string   `json:"topic,omitempty" maxLength:"100"`
	Demand   string   `json:"demand,omitempty" doc:"tls, pickup, pgp or smime: no other protection may take its place"`
	Bulk     bool     `json:"bulk,omitempty" doc:"One of a campaign: caps and hours for bulk mail apply"`
	NoPHI    bool     `json:"no_phi,omitempty" doc:"It holds no health information; the gate may know better"`

	Sensitive   []string     `json:"sensitive,omitempty" maxItems:"8" enum:"part2,mental_health,hiv,genetic,reproductive,minor_consent,psychotherapy_notes,counselling_notes" doc:"Classes of information in it that a law protects more"`
	Urgent      bool         `json:"urgent,omitempty" doc:"Cannot wait for morning: a changed appointment today"`
	Safety      bool         `json:"safety,omitempty" doc:"A recall or safety notice: passes opt-outs of topics and of commercial mail"`
	Offer       bool         `json:"offer,omitempty" doc:"A discount, coupon or copay help on something that Medicare or Medicaid pays for"`
	Drug        []string     `json:"drug,omitempty" maxItems:"50" doc:"Refill reminder: codes of the drug, any of which will do: rxnorm:860975"`
	Fundraising *Fundraising `json:"fundraising,omitempty"`

	Expires time.Time       `json:"expires,omitzero" doc:"After this it is not sent any more; left out, its kind says"`
	Values  json.RawMessage `json:"values,omitempty" doc:"An object: values for the template, the same for everyone"`
}

// Fundraising is what 45 CFR 164.514(f) asks of a fundraising message.
type Fundraising struct {
	OnlyPermittedFields bool `json:"only_permitted_fields" doc:"Demographics, dates of care, department, physician, outcome, insurance status; nothing else chose or fills it"`
	NoticeSaysSo        bool `json:"notice_says_so" doc:"The notice of privacy practices announces fundraising"`
}

// declare adds what the request says of its content.
func (r SendRequest) declare(to *send.Request) error {
	to.Urgent, to.Safety, to.Offer = r.Urgent, r.Safety, r.Offer
	for _, s := range r.Sensitive {
		to.Sensitive = append(to.Sensitive, gate.Sensitive(s))
	}
	for _, d := range r.Drug {
		system, code, ok := strings.Cut(d, ":")
		if !ok || system == "" || code == "" {
			return fault.New(fault.Invalid, "not a code of a drug").At("drug").Hint("write system:code, as in rxnorm:860975")
		}
		to.Drug = append(to.Drug, people.Code{System: system, Code: code})
	}
	if r.Fundraising != nil {
		to.Fundraising = gate.Fundraising(*r.Fundraising)
	}
	return nil
}

// values reads the values; numbers keep their digits.
func (r SendRequest) values() (out map[string]any, err error) {
	if len(r.Values) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(r.Values))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "not an object of values").At("values")
	}
	return out, nil
}

// Payer is who pays for saying this: 45 CFR 164.508(a)(3)(ii).
type Payer struct {
	Who          string `json:"who" enum:"self,third-party"`
	Remuneration string `json:"remuneration,omitempty" enum:"in-kind,at-cost,above-cost"`
	Name         string `json:"name,omitempty" maxLength:"200"`
	Worksheet    bool   `json:"worksheet,omitempty" doc:"The worksheet of costs is on file"`
}

var remunerations = map[string]gate.Remuneration{
	"": gate.RemunerationUnknown, "in-kind": gate.RemunerationInKind, "at-cost": gate.RemunerationAtCost, "above-cost": gate.RemunerationAboveCost,
}

func (p Payer) gate() (gate.Payer, error) {
	out := gate.Payer{Who: gate.PayerSelf, Name: p.Name, Remuneration: remunerations[p.Remuneration], Worksheet: p.Worksheet}
	if p.Who == "third-party" {
		out.Who = gate.PayerThirdParty
		if p.Remuneration == "" {
			return out, fault.New(fault.Invalid, "it is not said what the third party gives").At("payer.remuneration").Hint("in-kind, at-cost or above-cost")
		}
	}
	return out, nil
}

// Send is a send as it travels.
type Send struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	MadeAt   time.Time        `json:"made_at"`
	Total    int64            `json:"total"`
	States   map[string]int64 `json:"states"`
	Means    map[string]int64 `json:"means" doc:"Of the last decision on each message"`
	Deferred int64            `json:"deferred_then_accepted"`
}

func sendOf(s send.Send) Send {
	out := Send{ID: s.ID.String(), Name: s.Request.Name, MadeAt: s.MadeAt, Total: s.Total, Deferred: s.Deferred, States: map[string]int64{}, Means: map[string]int64{}}
	for k, v := range s.States {
		out.States[k.String()] = v
	}
	for k, v := range s.Means {
		out.Means[string(k)] = v
	}
	return out
}

type createSendInput struct {
	Place
	Body SendRequest
}

type createSendOutput struct {
	Body struct {
		ID       string `json:"id"`
		Messages int    `json:"messages"`
	}
}

// createSend hands messages in, a thousand to a transaction, under one send: a repeated hand-in of the same send writes to nobody twice.
func (f *Face) createSend(ctx context.Context, in *createSendInput) (*createSendOutput, error) {
	scope, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	to, request, err := f.declare(ctx, scope, in.Body)
	if err != nil {
		return nil, err
	}
	values, err := in.Body.values()
	if err != nil {
		return nil, err
	}
	sid := id.New[id.Send]()
	if in.Body.ID != "" {
		if sid, err = id.Parse[id.Send](in.Body.ID); err != nil {
			return nil, err
		}
	}
	err = f.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error { return f.Sends.Open(ctx, tx, sid, request) })
	if err != nil {
		return nil, err
	}
	out := &createSendOutput{}
	out.Body.ID = sid.String()
	const part = 200
	for len(to) > 0 {
		n := min(part, len(to))
		var taken int
		err := f.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
			recipients := make([]send.Recipient, n)
			for i, p := range to[:n] {
				recipients[i] = send.Recipient{Person: p, Values: values}
			}
			ms, err := f.Sends.Submit(ctx, tx, sid, recipients)
			taken = len(ms)
			return err
		})
		if err != nil && out.Body.Messages == 0 && !fault.Is(err, fault.Internal) {
			return nil, err
		}
		if err != nil {
			return nil, fault.Wrap(fault.CodeOf(err), err, "%s; %d messages of this send were handed in before", fault.Text(err), out.Body.Messages).At("%s", sid).
				Hint("repeat the request with this id: nobody is written to twice")
		}
		out.Body.Messages += taken
		to = to[n:]
	}
	return out, nil
}

// declare turns what travels into what send takes, and finds the people.
func (f *Face) declare(ctx context.Context, scope id.Scope, r SendRequest) ([]id.Person, send.Request, error) {
	var out send.Request
	purpose, class, err := declared(r.Purpose, r.Class)
	if err != nil {
		return nil, out, err
	}
	payer, err := r.Payer.gate()
	if err != nil {
		return nil, out, err
	}
	demand, err := gate.ParseMeans(r.Demand)
	if err != nil {
		return nil, out, err
	}
	out = send.Request{
		Name: r.Name, Version: r.Version, Purpose: purpose, Class: class, Payer: payer, Topic: r.Topic, Bulk: r.Bulk, NoPHI: r.NoPHI, Demand: demand,
		Expires: r.Expires,
	}
	if err := r.declare(&out); err != nil {
		return nil, out, err
	}
	err = f.Store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
		if out.Template, err = f.template(ctx, tx, r.Template); err != nil {
			return err
		}
		if r.Sender != "" {
			out.Sender, err = id.Parse[id.SenderIdentity](r.Sender)
			return err
		}
		s, err := f.Organisations.SenderFor(ctx, tx, class)
		out.Sender = s.ID
		return err
	})
	if err != nil {
		return nil, out, err
	}
	to, health, err := f.chosen(ctx, scope, r)
	out.SelectedByHealth = health
	return to, out, err
}

// chosen gives the people of a segment as of now, or those that are named.
func (f *Face) chosen(ctx context.Context, scope id.Scope, r SendRequest) (to []id.Person, health bool, err error) {
	switch {
	case r.Segment != "" && len(r.People) > 0:
		return nil, false, fault.New(fault.Invalid, "a segment and people are named").Hint("name one of both")
	case r.Segment != "":
		return f.members(ctx, scope, r.Segment)
	case len(r.People) == 0:
		return nil, false, fault.New(fault.Invalid, "nobody is named").Hint("name a segment or people")
	}
	for _, text := range r.People {
		p, err := id.Parse[id.Person](text)
		if err != nil {
			return nil, false, err
		}
		to = append(to, p)
	}
	return to, false, nil
}

// Preview is what would become of one recipient.
type Preview struct {
	Person  string   `json:"person"`
	Means   string   `json:"means"`
	Reasons []Reason `json:"reasons"`
}

// Reason is one step of a decision with its rule.
type Reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Rule string `json:"rule"`
	Ref  string `json:"ref,omitempty"`
}

func reasonsOf(d gate.Decision) []Reason {
	out := []Reason{}
	for _, r := range d.Reasons {
		about := r.Code.About()
		out = append(out, Reason{string(r.Code), about.Text, about.Rule, r.Ref})
	}
	return out
}

type previewSendOutput struct {
	Body struct {
		Means  map[string]int `json:"means"`
		People []Preview      `json:"people" doc:"The first 1,000"`
	}
}

const maxPreview = 1000

// previewSend asks the gate about each recipient as if the message were about to leave; nothing is stored and nothing leaves.
func (f *Face) previewSend(ctx context.Context, in *createSendInput) (*previewSendOutput, error) {
	scope, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	to, request, err := f.declare(ctx, scope, in.Body)
	if err != nil {
		return nil, err
	}
	out := &previewSendOutput{}
	out.Body.Means, out.Body.People = map[string]int{}, []Preview{}
	values, err := in.Body.values()
	if err != nil {
		return nil, err
	}
	const part = 100
	for len(to) > 0 {
		n := min(part, len(to))
		all, err := f.Sends.Preview(ctx, scope, request, to[:n], values)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			out.Body.Means[string(x.Means)]++
			if len(out.Body.People) < maxPreview {
				out.Body.People = append(out.Body.People, Preview{x.Person.String(), string(x.Means), reasonsOf(x.Decision)})
			}
		}
		to = to[n:]
	}
	return out, f.looked(ctx, scope, len(out.Body.People), request.Template.UUID(), "preview of a send")
}

type sendInput struct {
	Place
	ID string `path:"id"`
}

type sendOutput struct{ Body Send }

func (f *Face) getSend(ctx context.Context, in *sendInput) (*sendOutput, error) {
	sid, err := id.Parse[id.Send](in.ID)
	if err != nil {
		return nil, err
	}
	out := &sendOutput{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		s, err := f.Sends.Get(ctx, tx, sid)
		out.Body = sendOf(s)
		return err
	})
}

type sendsInput struct {
	Place
	Before string `query:"before"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000"`
}

type sendsOutput struct {
	Body struct {
		Sends []Send `json:"sends"`
	}
}

func (f *Face) listSends(ctx context.Context, in *sendsInput) (*sendsOutput, error) {
	var before id.Send
	if err := before.UnmarshalText([]byte(in.Before)); err != nil {
		return nil, err
	}
	out := &sendsOutput{}
	out.Body.Sends = []Send{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Sends.List(ctx, tx, before, in.Limit)
		for _, s := range all {
			out.Body.Sends = append(out.Body.Sends, sendOf(s))
		}
		return err
	})
}
