// Package api owns the REST face: its routes table, the types that travel, and what each route asks of the packages below.
//
// It never knows SQL, keys or SMTP, and it decides nothing: a handler reads its input, runs one transaction of the owners below and
// shows what they gave. In this release it is served on the operator's 0600 unix socket only. Plural nouns, cursor paging, RFC 9457
// problems that echo no input, OpenAPI 3.1 from the types. Read routes.go first.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/web"
)

// Face is the API over the packages below.
type Face struct {
	Parts
	mux      *http.ServeMux
	document *huma.OpenAPI
	names    names
	stopped  stopped
}

// New makes the face: every row of the table is registered, and a row without a permission panics at start.
func New(p Parts) *Face {
	f := &Face{Parts: p, mux: http.NewServeMux()}
	huma.NewError = problem //nolint:reassign // the library's own way to choose the form of problems
	c := huma.DefaultConfig("Carepost", "1")
	c.DocsPath, c.SchemasPath = "", ""
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.CreateHooks = nil // no $schema links: replies hold what the types say
	c.OpenAPIPath = "/api/v1/openapi"
	h := humago.New(f.mux, c)
	for _, r := range f.routes() {
		if r.row.Permission == "" {
			panic("api: the route " + r.row.Operation + " names no permission")
		}
		r.register(h, r.row)
	}
	f.document = h.OpenAPI()
	return f
}

// Document gives the OpenAPI 3.1 document of the face.
func (f *Face) Document() ([]byte, error) {
	raw, err := json.Marshal(f.document)
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Rows gives the routes table.
func (f *Face) Rows() []web.Row {
	var rows []web.Row
	for _, r := range f.routes() {
		rows = append(rows, r.row)
	}
	return rows
}

// ServeHTTP serves a caller whose actor stands in the context (WithActor); without one every route but the public ones refuses.
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	f.mux.ServeHTTP(w, r)
}

type actorKey struct{}

// WithActor says who calls.
func WithActor(ctx context.Context, a id.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// may tells whether the caller holds the permission. The operator at the machine's shell does: the socket's mode is the check.
func may(ctx context.Context, p string) error {
	if p == web.Public {
		return nil
	}
	a, ok := ctx.Value(actorKey{}).(id.Actor)
	if !ok {
		return fault.New(fault.Unauthenticated, "nobody is signed in")
	}
	if a.Kind != id.ActorOperator {
		return fault.New(fault.Forbidden, "this needs the permission %s", p)
	}
	return nil
}

// Place is embedded in every input: which organisation is meant.
type Place struct {
	Organisation string `query:"organisation" doc:"org_N; may be left out while there is only one" example:"org_1"`
}

func (p Place) organisation() string { return p.Organisation }

// scope gives the scope of a request: its organisation, its actor and a fresh request id.
func (f *Face) scope(ctx context.Context, in interface{ organisation() string }) (id.Scope, error) {
	s := id.Scope{Request: id.New[id.Request]()}
	s.Actor, _ = ctx.Value(actorKey{}).(id.Actor)
	if in.organisation() != "" {
		o, err := id.ParseOrganisation(in.organisation())
		if err != nil {
			return s, err
		}
		s.Organisation = o
		return s, f.known(ctx, s)
	}
	o, err := f.Only(ctx)
	s.Organisation = o
	return s, err
}

type route struct {
	row      web.Row
	register func(huma.API, web.Row)
}

// on binds a row to its handler, behind the one wrapper that checks the permission and turns errors into problems.
func on[I, O any](row web.Row, handle func(context.Context, *I) (*O, error)) route {
	return route{row, func(h huma.API, row web.Row) {
		op := huma.Operation{
			OperationID: row.Operation, Method: row.Method, Path: row.Path, Summary: row.Summary, MaxBodyBytes: 4 << 20,
			Tags: []string{strings.Split(strings.TrimPrefix(row.Path, "/api/v1/"), "/")[0]}, RejectUnknownQueryParameters: true,
		}
		op.Middlewares = huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
			// Before anything of the request is read: who may not ask learns nothing of what would be valid.
			if err := may(c.Context(), row.Permission); err != nil {
				refuse(c, web.ProblemOf(err))
				return
			}
			next(c)
		}}
		huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := handle(ctx, in)
			if err != nil {
				if fault.Is(err, fault.Internal) {
					slog.ErrorContext(ctx, "a request failed", "route", row.Operation, "error", err)
				}
				return nil, web.ProblemOf(err)
			}
			return out, nil
		})
	}}
}

func refuse(c huma.Context, p *web.Problem) {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // never happens: strings and a number
	}
	c.SetHeader("Content-Type", p.ContentType(""))
	c.SetStatus(p.Status)
	if _, err := c.BodyWriter().Write(raw); err != nil {
		slog.DebugContext(c.Context(), "a refusal was not taken", "error", err)
	}
}

// problem is how the library's own refusals are shown: where and what, never the value that was sent.
func problem(status int, text string, errs ...error) huma.StatusError {
	p := &web.Problem{Type: "urn:carepost:" + string(fault.Invalid), Title: http.StatusText(status), Status: status, Detail: text}
	var parts []string
	for _, err := range errs {
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			parts = append(parts, d.Location+": "+d.Message)
		}
	}
	if len(parts) > 0 {
		p.Detail = strings.Join(parts, "; ")
	}
	if status == http.StatusNotFound {
		p.Type = "urn:carepost:" + string(fault.NotFound)
	}
	return p
}

// at says of a fault in which field it is, in place of the value that the caller sent there.
func at(err error, field string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	placed := f.At("%s", field)
	placed.Cause = err
	return placed
}

func row(name, method, path string, p staff.Permission, summary string) web.Row {
	return web.Row{Operation: name, Method: method, Path: "/api/v1" + path, Permission: string(p), Summary: summary}
}

// schemaName names a type in the OpenAPI document: the face's own by their names, those of the packages below with the package's before.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if pkg := path.Base(t.PkgPath()); t.Name() != "" && pkg != "api" && pkg != "." {
		return strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	return name
}
