package api

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// Domain is a domain that the organisation sends from; its check says which records it needs.
type Domain struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	MadeAt time.Time `json:"made_at"`
}

// DomainKey is one DKIM key of a domain.
type DomainKey struct {
	Selector  string    `json:"selector"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state" enum:"published,signing,retired,destroyed" doc:"published: waits for its record to be seen in DNS"`
	MadeAt    time.Time `json:"made_at"`
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

type checkDomainInput struct {
	Place
	Name string `path:"name"`
}

type checkDomainOutput struct {
	Body struct {
		Ready  bool                 `json:"ready"`
		Checks []organisation.Check `json:"checks"`
	}
}

func (f *Face) checkDomain(ctx context.Context, in *checkDomainInput) (*checkDomainOutput, error) {
	checks, err := f.examineDomain(ctx, in)
	out := &checkDomainOutput{}
	out.Body.Checks, out.Body.Ready = checks, organisation.Ready(checks)
	return out, err
}

// examineDomain holds what DNS says of a domain against what it should say.
func (f *Face) examineDomain(ctx context.Context, in *checkDomainInput) ([]organisation.Check, error) {
	setup := organisation.Setup{Host: f.Hello, Sources: []netip.Addr{}}
	for _, s := range f.Sources {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fault.New(fault.Invalid, "a source is not an IP address").At("source")
		}
		setup.Sources = append(setup.Sources, a)
	}
	err := f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		d, err := f.Organisations.Domain(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		setup.Domain = d.Name
		setup.Keys, err = f.Organisations.Keys(ctx, tx, d.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return organisation.CheckDomain(ctx, f.DNS, setup)
}

var keyStates = map[organisation.KeyState]string{
	organisation.KeyPublished: "published", organisation.KeySigning: "signing", organisation.KeyRetired: "retired", organisation.KeyDestroyed: "destroyed",
}

type domainKeysInput struct {
	Place
	Name string `path:"name"`
}

type domainKeysOutput struct {
	Body struct {
		Keys []DomainKey `json:"keys"`
	}
}

func (f *Face) listDomainKeys(ctx context.Context, in *domainKeysInput) (*domainKeysOutput, error) {
	out := &domainKeysOutput{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error { return f.domainKeys(ctx, tx, in.Name, out) })
}

func (f *Face) domainKeys(ctx context.Context, tx *store.Tx, name string, out *domainKeysOutput) error {
	d, err := f.Organisations.Domain(ctx, tx, name)
	if err != nil {
		return err
	}
	keys, err := f.Organisations.Keys(ctx, tx, d.ID)
	out.Body.Keys = []DomainKey{}
	for _, k := range keys {
		out.Body.Keys = append(out.Body.Keys, DomainKey{k.Selector, k.Algorithm.String(), keyStates[k.State], k.MadeAt})
	}
	return err
}

// createDomainKeys is the first step of a rotation: new keys, whose records are to be published before anything is signed with them.
func (f *Face) createDomainKeys(ctx context.Context, in *domainKeysInput) (*domainKeysOutput, error) {
	keys, err := organisation.NewKeys(f.Now())
	if err != nil {
		return nil, err
	}
	out := &domainKeysOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		d, err := f.Organisations.Domain(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		if err := f.Organisations.AddKeys(ctx, tx, d.ID, keys); err != nil {
			return err
		}
		return f.domainKeys(ctx, tx, in.Name, out)
	})
}

// activateDomainKeys is the second step: the new keys sign, once DNS shows every one of them.
func (f *Face) activateDomainKeys(ctx context.Context, in *domainKeysInput) (*domainKeysOutput, error) {
	checks, err := f.examineDomain(ctx, (*checkDomainInput)(in))
	if err != nil {
		return nil, err
	}
	for _, c := range checks {
		if strings.Contains(c.Record.Name, "._domainkey.") && c.Status != organisation.StatusOK {
			return nil, fault.New(fault.Conflict, "a key's record is not in DNS as it should be").At("%s", c.Record.Name).Hint("publish what `carepost domain check` shows, and wait until it is seen")
		}
	}
	out := &domainKeysOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		d, err := f.Organisations.Domain(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		if err := f.Organisations.ActivateKeys(ctx, tx, d.ID); err != nil {
			return err
		}
		return f.domainKeys(ctx, tx, in.Name, out)
	})
}
