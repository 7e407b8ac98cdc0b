package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	organisations "github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

const (
	ourDomain = "bench.invalid"
	// patients live at one receiver: the pace of one lane is what is measured.
	theirDomain = "patients.invalid"
)

// installation is a whole carepost in a place of its own, with an organisation that may send and people to write to.
type installation struct {
	*place
	app    *app.App
	parts  api.Parts
	scope  id.Scope
	sender id.SenderIdentity
}

// install makes one, on SQLite or in a schema of its own.
func install(ctx context.Context, dsn string, connections int) (x *installation, err error) {
	x = &installation{place: &place{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	if x.dir, err = os.MkdirTemp("", "carepost-bench-"); err != nil {
		return x, err
	}
	x.leave = append(x.leave, func() error { return os.RemoveAll(x.dir) })
	if dsn != "" {
		if err := x.schema(ctx, dsn); err != nil {
			return x, err
		}
	}
	c := config.Config{
		Data: filepath.Join(x.dir, "data"), Keys: filepath.Join(x.dir, "keys"), DSN: x.dsn, Host: "care." + ourDomain, Connections: connections,
		Resolver: "127.0.0.1:53", Freshness: 48 * time.Hour, LogLevel: "warn",
	}
	if err := app.Init(c, time.Now()); err != nil {
		return x, err
	}
	if x.app, err = app.Open(ctx, app.Options{Config: c}); err != nil {
		return x, err
	}
	x.leave = append(x.leave, x.app.Close)
	x.parts = x.app.Parts()
	return x, x.found(ctx)
}

// found makes the organisation, its domain with keys, and its sender.
func (x *installation) found(ctx context.Context) error {
	org, err := x.parts.Organisations.Create(ctx, id.Operator(0), "care."+ourDomain, organisations.Profile{
		Name: "Bench Health Inc.", Display: "Bench Health", Zone: "America/Chicago", Languages: []string{"en"}, Phone: "+13125550100",
		Postal: organisations.Postal{Lines: []string{"1 Lake Street"}, City: "Springfield", State: "IL", PostalCode: "62701", Country: "US"},
	})
	if err != nil {
		return err
	}
	x.scope = id.System(org)
	keys, err := organisations.NewKeys(time.Now())
	if err != nil {
		return err
	}
	return x.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := x.parts.Organisations.AddDomain(ctx, tx, ourDomain, keys); err != nil {
			return err
		}
		s, err := x.parts.Organisations.AddSender(ctx, tx, organisations.Sender{
			Address: "care@" + ourDomain, Name: "Bench Health", Class: organisations.ClassTransactional, Stream: "care",
		})
		x.sender = s.ID
		return err
	})
}

func (x *installation) write(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	return x.parts.Store.Write(ctx, x.scope, fn)
}

func (x *installation) read(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	return x.parts.Store.Read(ctx, x.scope, fn)
}

// route leads the patients' domain to a server whose certificate an authority of its own vouches for.
func (x *installation) route(ctx context.Context, to, name, ca string) error {
	host, port, err := net.SplitHostPort(to)
	number, perr := strconv.Atoi(port)
	if err := errors.Join(err, perr); err != nil {
		return fault.Wrap(fault.Invalid, err, "not a server and a port").At("--to").Hint("write it as 127.0.0.1:2525")
	}
	return x.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := x.parts.Ways.SetRoute(ctx, tx, tlspolicy.Route{Domain: theirDomain, Host: host, Port: number, Name: name, CA: []byte(ca)})
		return err
	})
}

// crowd makes n people with one address each, and gives their ids.
func (x *installation) crowd(ctx context.Context, n int) ([]id.Person, error) {
	const batch = 500
	imp := id.New[id.Import]()
	for first := 0; first < n; first += batch {
		changes := make([]people.Change, 0, batch)
		for i := first; i < min(n, first+batch); i++ {
			address := fmt.Sprintf("p%07d@%s", i, theirDomain)
			changes = append(changes, people.Change{Source: "bench", Subject: address, Active: true, Profile: &people.Core{
				Kind: people.KindPatient, Birth: people.Date{Year: int16(1930 + i%70), Month: uint8(i%12 + 1), Day: uint8(i%28 + 1)},
				Names:    []people.Name{{Family: "Quillfeather", Given: []string{fmt.Sprintf("Ottoline %d", i)}}},
				Contacts: []people.ContactPoint{{Channel: people.ChannelEmail, Value: address, Normal: address}},
			}})
		}
		err := x.write(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := x.parts.People.Apply(ctx, tx, changes, imp)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return x.everybody(ctx, n)
}

func (x *installation) everybody(ctx context.Context, n int) ([]id.Person, error) {
	all := make([]id.Person, 0, n)
	err := x.read(ctx, func(ctx context.Context, tx *store.Tx) error {
		after := uint32(0)
		for {
			page, err := x.parts.People.List(ctx, tx, after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			all = append(all, page...)
			last, err := x.parts.People.Get(ctx, tx, page[len(page)-1])
			if err != nil {
				return err
			}
			after = last.Ordinal
		}
	})
	if err == nil && len(all) < n {
		err = fmt.Errorf("made %d people of %d", len(all), n)
	}
	return all, err
}

// request is what is declared of a message, bulk or urgent, with a new template of the given text.
func (x *installation) request(ctx context.Context, bulk bool, text string) (r send.Request, err error) {
	r = send.Request{
		Name: "Measured", Sender: x.sender, Purpose: ledger.PurposeTreatment, Class: organisations.ClassTransactional, Payer: gate.Payer{Who: gate.PayerSelf},
		Bulk: bulk, Urgent: !bulk,
	}
	content := compose.Content{
		Version:   1,
		Variables: []compose.Variable{{Name: "person.first", Kind: compose.KindText, Sample: "Ada"}, {Name: "account", Kind: compose.KindText, Sample: "12"}},
		Variants: []compose.Variant{{Language: "en", Subject: "Your visit", Blocks: compose.Blocks{
			compose.Heading{Level: 1, Text: "Your visit"}, compose.Text{Text: "Hello {{ person.first }}, please bring {{ account }}."}, compose.Text{Text: text},
		}}},
	}
	err = x.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		v, err := x.parts.Templates.Create(ctx, tx, "Measured", content, r.Purpose, organisations.ClassTransactional)
		r.Template = v.Template
		return err
	})
	return r, err
}

// prose gives n bytes of text in words.
func prose(n int) string {
	const words = "Please come ten minutes early and bring the list of what you take. "
	return strings.TrimSpace(strings.Repeat(words, n/len(words)+1)[:max(n, 1)])
}
