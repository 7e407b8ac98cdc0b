package api

import (
	"context"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

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
