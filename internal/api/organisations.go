package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
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

// Domain is a domain that the organisation sends from; its check says which records it needs.
type Domain struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	MadeAt time.Time `json:"made_at"`
}

type domainsInput struct{ Place }

type domainsOutput struct {
	Body struct {
		Domains []Domain `json:"domains"`
	}
}

func (f *Face) listDomains(ctx context.Context, in *domainsInput) (*domainsOutput, error) {
	out := &domainsOutput{}
	out.Body.Domains = []Domain{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Organisations.Domains(ctx, tx)
		for _, d := range all {
			out.Body.Domains = append(out.Body.Domains, Domain{ID: d.ID.String(), Name: d.Name, MadeAt: d.MadeAt})
		}
		return err
	})
}

type createDomainInput struct {
	Place
	Body struct {
		Name string `json:"name" maxLength:"253"`
	}
}

type domainOutput struct{ Body Domain }

func (f *Face) createDomain(ctx context.Context, in *createDomainInput) (*domainOutput, error) {
	keys, err := organisation.NewKeys(f.Now())
	if err != nil {
		return nil, err
	}
	out := &domainOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		d, err := f.Organisations.AddDomain(ctx, tx, in.Body.Name, keys)
		out.Body = Domain{ID: d.ID.String(), Name: d.Name, MadeAt: d.MadeAt}
		return err
	})
}

// Route is a configured route as it travels. The password of a login is taken and never shown.
type Route struct {
	ID        string `json:"id,omitempty" readOnly:"true"`
	Domain    string `json:"domain" maxLength:"253" doc:"Recipient domain, or * for all that have no route of their own"`
	Host      string `json:"host" maxLength:"253"`
	Port      int    `json:"port,omitempty" minimum:"0" maximum:"65535"`
	Name      string `json:"name,omitempty" maxLength:"253" doc:"What its certificate must prove; empty is the host"`
	CA        string `json:"ca,omitempty" maxLength:"65536" doc:"PEM of the only authorities that count"`
	User      string `json:"user,omitempty" maxLength:"256"`
	Password  string `json:"password,omitempty" maxLength:"1024" writeOnly:"true"`
	Implicit  bool   `json:"implicit,omitempty" doc:"TLS from the first byte"`
	Unproven  bool   `json:"unproven,omitempty" doc:"TLS here proves nothing: a server on this machine or a network of one's own"`
	Agreement string `json:"agreement,omitempty" doc:"The agreement with who runs the server"`
}

type routesInput struct{ Place }

type routesOutput struct {
	Body struct {
		Routes []Route `json:"routes"`
	}
}

func (f *Face) listRoutes(ctx context.Context, in *routesInput) (*routesOutput, error) {
	out := &routesOutput{}
	out.Body.Routes = []Route{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Ways.Routes(ctx, tx)
		for _, r := range all {
			one := Route{ID: r.ID.String(), Domain: r.Domain, Host: r.Host, Port: r.Port, Name: r.Name, CA: string(r.CA), Implicit: r.Implicit, Unproven: r.Unproven}
			if r.Login != nil {
				one.User = r.Login.User
			}
			if !r.Agreement.IsZero() {
				one.Agreement = r.Agreement.String()
			}
			out.Body.Routes = append(out.Body.Routes, one)
		}
		return err
	})
}

type createRouteInput struct {
	Place
	Body Route
}

type routeOutput struct {
	Body struct {
		ID string `json:"id"`
	}
}

func (f *Face) createRoute(ctx context.Context, in *createRouteInput) (*routeOutput, error) {
	b := in.Body
	r := tlspolicy.Route{Domain: b.Domain, Host: b.Host, Port: b.Port, Name: b.Name, CA: []byte(b.CA), Implicit: b.Implicit, Unproven: b.Unproven}
	if b.User != "" {
		r.Login = &tlspolicy.Login{User: b.User, Password: b.Password}
	}
	if b.Agreement != "" {
		a, err := id.Parse[id.Agreement](b.Agreement)
		if err != nil {
			return nil, err
		}
		r.Agreement = a
	}
	out := &routeOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		made, err := f.Ways.SetRoute(ctx, tx, r)
		out.Body.ID = made.String()
		return err
	})
}

type deleteRouteInput struct {
	Place
	ID string `path:"id"`
}

func (f *Face) deleteRoute(ctx context.Context, in *deleteRouteInput) (*emptyOutput, error) {
	r, err := id.Parse[id.Route](in.ID)
	if err != nil {
		return nil, err
	}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error { return f.Ways.RemoveRoute(ctx, tx, r) })
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
