package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Parts are what the routes ask.
type Parts struct {
	Store         *store.Store
	Ring          *seal.Ring
	Keys          *seal.Keys
	Ledger        *ledger.Ledger
	Organisations *organisation.Organisations
	People        *people.People
	Consents      *consent.Consents
	Agreements    *agreement.Agreements
	Staff         *staff.Staff
	Intake        *intake.Intake
	Audience      *audience.Audience
	Templates     *compose.Templates
	Ways          *tlspolicy.Ways
	Sends         *send.Sends

	Only    func(ctx context.Context) (id.Organisation, error) // the organisation when none is named
	Go      func(task func(ctx context.Context))               // runs on until the process stops
	Examine func(ctx context.Context) []Finding                // doctor
	Escrow  func(to []string, path string) error               // writes a recovery copy of the ring
	Custody string                                             // where the ring's key is kept
	DNS     organisation.Resolver
	Hello   string
	Sources []string
	Now     func() time.Time
}

// known refuses an organisation that does not exist: no row may come to stand under its number.
func (f *Face) known(ctx context.Context, s id.Scope) error {
	return f.Store.Read(ctx, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := f.Organisations.Get(ctx, tx)
		return err
	})
}

func (f *Face) read(ctx context.Context, in interface{ organisation() string }, fn func(context.Context, *store.Tx) error) error {
	s, err := f.scope(ctx, in)
	if err != nil {
		return err
	}
	return f.Store.Read(ctx, s, fn)
}

func (f *Face) write(ctx context.Context, in interface{ organisation() string }, fn func(context.Context, *store.Tx) error) error {
	s, err := f.scope(ctx, in)
	if err != nil {
		return err
	}
	return f.Store.Write(ctx, s, fn)
}

// failed logs what can no longer be told to the caller.
func (f *Face) failed(ctx context.Context, route string, err error) {
	slog.ErrorContext(ctx, "a reply broke off", "route", route, "error", err)
}

func newReader(raw []byte) io.Reader { return bytes.NewReader(raw) }

func cut(identifier string) (system, value string, ok bool) {
	i := strings.LastIndexByte(identifier, '|')
	if i <= 0 || i == len(identifier)-1 {
		return "", "", false
	}
	return identifier[:i], identifier[i+1:], true
}

func fullName(n people.Name) string {
	parts := append([]string{n.Prefix}, n.Given...)
	return strings.Join(strings.Fields(strings.Join(append(parts, n.Family, n.Suffix), " ")), " ")
}
