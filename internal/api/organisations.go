package api

import (
	"context"
	"encoding/json"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// Organisation is an organisation as the face shows it.
type Organisation struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	Open bool   `json:"open"`
}

type organisationsOutput struct {
	Body struct {
		Organisations []Organisation `json:"organisations"`
	}
}

func (f *Face) listOrganisations(ctx context.Context, _ *struct{}) (*organisationsOutput, error) {
	out := &organisationsOutput{}
	out.Body.Organisations = []Organisation{}
	return out, f.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Organisations.All(ctx, tx)
		for _, o := range all {
			out.Body.Organisations = append(out.Body.Organisations, Organisation{o.Number.String(), o.Host, o.State == organisation.Active})
		}
		return err
	})
}

type createOrganisationInput struct {
	Body struct {
		Host    string          `json:"host" maxLength:"253"`
		Profile json.RawMessage `json:"profile" doc:"name, display, zone, languages, phone, postal"`
	}
}

type organisationOutput struct{ Body Organisation }

func (f *Face) createOrganisation(ctx context.Context, in *createOrganisationInput) (*organisationOutput, error) {
	var p organisation.Profile
	if err := strict(in.Body.Profile, &p); err != nil {
		return nil, err
	}
	actor, _ := ctx.Value(actorKey{}).(id.Actor)
	n, err := f.Organisations.Create(ctx, actor, in.Body.Host, p)
	return &organisationOutput{Organisation{n.String(), in.Body.Host, true}}, err
}

// Profile is what an organisation says of itself, and the version that was read: a change names it.
type Profile struct {
	Version int64           `json:"version"`
	Profile json.RawMessage `json:"profile" doc:"name, display, zone, languages, phone, postal"`
}

type profileInput struct{ Place }

type profileOutput struct{ Body Profile }

func (f *Face) getProfile(ctx context.Context, in *profileInput) (*profileOutput, error) {
	out := &profileOutput{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error { return f.profile(ctx, tx, out) })
}

func (f *Face) profile(ctx context.Context, tx *store.Tx, out *profileOutput) error {
	o, err := f.Organisations.Get(ctx, tx)
	if err != nil {
		return err
	}
	out.Body.Version = o.Version
	out.Body.Profile, err = json.Marshal(o.Profile)
	return err
}

type setProfileInput struct {
	Place
	Body Profile
}

func (f *Face) setProfile(ctx context.Context, in *setProfileInput) (*profileOutput, error) {
	var p organisation.Profile
	if err := strict(in.Body.Profile, &p); err != nil {
		return nil, err
	}
	out := &profileOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		if err := f.Organisations.SetProfile(ctx, tx, p, in.Body.Version); err != nil {
			return err
		}
		return f.profile(ctx, tx, out)
	})
}

// Policy is the protection policy as it travels.
type Policy struct {
	Version          int64  `json:"version,omitempty" readOnly:"true"`
	AcceptPKIX       bool   `json:"accept_pkix" doc:"A certificate that verifies for the MX name is proof enough of TLS, without MTA-STS or DANE"`
	Pickup           bool   `json:"pickup" doc:"Messages may wait here for their recipient"`
	SensitiveTLS     bool   `json:"sensitive_tls" doc:"Proven TLS may carry the sensitive classes (never 42 CFR Part 2)"`
	PlainRequestsOff bool   `json:"plain_requests_off" doc:"Documented requests for plain mail are not honoured"`
	ProtectAll       bool   `json:"protect_all" doc:"Every message to a person counts as holding health information"`
	MailHours        string `json:"mail_hours,omitempty" doc:"Hours for bulk mail; empty is any hour"`
	BulkPerWeek      int    `json:"bulk_per_week" minimum:"0" maximum:"1000" doc:"Bulk messages to one person in 7 days; 0 is no limit"`
	PickupDays       int    `json:"pickup_days,omitempty" minimum:"0" maximum:"365"`
}

type policyOutput struct{ Body Policy }

type policyInput struct{ Place }

func (f *Face) getPolicy(ctx context.Context, in *policyInput) (*policyOutput, error) {
	out := &policyOutput{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		p, err := f.Organisations.Policy(ctx, tx)
		out.Body = Policy{
			Version: p.Version, AcceptPKIX: p.AcceptPKIX, Pickup: p.Pickup, SensitiveTLS: p.SensitiveTLS, PlainRequestsOff: p.PlainRequestsOff,
			ProtectAll: p.ProtectAll, MailHours: p.MailHours.String(), BulkPerWeek: p.BulkPerWeek, PickupDays: p.PickupDays,
		}
		return err
	})
}

type setPolicyInput struct {
	Place
	Body Policy
}

func (f *Face) setPolicy(ctx context.Context, in *setPolicyInput) (*policyOutput, error) {
	b := in.Body
	var hours law.Week
	if b.MailHours != "" {
		var err error
		if hours, err = law.ParseWeek(b.MailHours); err != nil {
			return nil, err
		}
	}
	out := &policyOutput{b}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		p, err := f.Organisations.Policy(ctx, tx) // what does not travel stays
		if err != nil {
			return err
		}
		p.AcceptPKIX, p.Pickup, p.SensitiveTLS, p.PlainRequestsOff, p.ProtectAll = b.AcceptPKIX, b.Pickup, b.SensitiveTLS, b.PlainRequestsOff, b.ProtectAll
		p.MailHours, p.BulkPerWeek, p.PickupDays = hours, b.BulkPerWeek, b.PickupDays
		out.Body.Version, err = f.Organisations.SetPolicy(ctx, tx, p)
		return err
	})
}

// Sender is a sender identity as it travels.
type Sender struct {
	ID      string `json:"id,omitempty" readOnly:"true"`
	Address string `json:"address" maxLength:"254"`
	Name    string `json:"name" maxLength:"100"`
	Class   string `json:"class" enum:"transactional,commercial"`
	Stream  string `json:"stream" maxLength:"30"`
	ReplyTo string `json:"reply_to,omitempty" maxLength:"254"`
	Open    bool   `json:"open,omitempty" readOnly:"true"`
}

type sendersInput struct{ Place }

type sendersOutput struct {
	Body struct {
		Senders []Sender `json:"senders"`
	}
}

func (f *Face) listSenders(ctx context.Context, in *sendersInput) (*sendersOutput, error) {
	out := &sendersOutput{}
	out.Body.Senders = []Sender{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Organisations.Senders(ctx, tx)
		for _, s := range all {
			out.Body.Senders = append(out.Body.Senders, senderOf(s))
		}
		return err
	})
}

func senderOf(s organisation.Sender) Sender {
	return Sender{s.ID.String(), s.Address, s.Name, s.Class.String(), s.Stream, s.ReplyTo, s.State == organisation.Active}
}

type createSenderInput struct {
	Place
	Body Sender
}

type senderOutput struct{ Body Sender }

func (f *Face) createSender(ctx context.Context, in *createSenderInput) (*senderOutput, error) {
	class, err := organisation.ParseClass(in.Body.Class)
	if err != nil {
		return nil, err
	}
	out := &senderOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		s, err := f.Organisations.AddSender(ctx, tx, organisation.Sender{
			Address: in.Body.Address, Name: in.Body.Name, Class: class, Stream: in.Body.Stream, ReplyTo: in.Body.ReplyTo,
		})
		out.Body = senderOf(s)
		return err
	})
}

type closeSenderInput struct {
	Place
	ID string `path:"id"`
}

func (f *Face) closeSender(ctx context.Context, in *closeSenderInput) (*emptyOutput, error) {
	sender, err := id.Parse[id.SenderIdentity](in.ID)
	if err != nil {
		return nil, err
	}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error { return f.Organisations.CloseSender(ctx, tx, sender) })
}

// strict decodes a part of a body whose shape another package owns; unknown fields are refused.
func strict(raw json.RawMessage, to any) error {
	d := json.NewDecoder(newReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fault.Wrap(fault.Invalid, err, "not of the expected shape").Hint("the reference lists the fields")
	}
	return nil
}
