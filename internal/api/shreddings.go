package api

import (
	"context"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
)

type createShreddingInput struct {
	Place
	Body struct {
		What     string   `json:"what" enum:"person,month,organisation"`
		Person   string   `json:"person,omitempty" doc:"Whose records, for what: person"`
		Month    string   `json:"month,omitempty" doc:"yyyy-mm, a month that is over, for what: month" maxLength:"7"`
		Purposes []string `json:"purposes,omitempty" doc:"Of the month: message, raw, file, ledger, job; message, raw and file when left out" maxItems:"5"`
		Basis    string   `json:"basis" enum:"retention-ended,not-a-patient,court-order,test-data,wound-up" doc:"Why it may be destroyed; retention-ended is checked"`
		Confirm  string   `json:"confirm" doc:"The person's id, the month or the organisation's number once more: what is destroyed comes back from no backup" maxLength:"64"`
	}
}

type shreddingOutput struct {
	Body struct {
		ID          string    `json:"id"`
		Certificate string    `json:"certificate" doc:"Signed with the ledger's key; carepost key verify-certificate reads it offline"`
		Keys        int       `json:"keys" doc:"How many keys were destroyed"`
		Complete    time.Time `json:"complete" doc:"From then on no copy of the database opens what was destroyed"`
		Stays       []string  `json:"stays,omitempty" doc:"What may speak of the person and is sealed under keys that stay: purpose and month"`
	}
}

func (f *Face) createShredding(ctx context.Context, in *createShreddingInput) (*shreddingOutput, error) {
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	var signed []byte
	switch in.Body.What {
	case seal.ShredPerson:
		signed, err = f.shredPerson(ctx, s, in)
	case seal.ShredMonth:
		signed, err = f.shredMonth(ctx, s, in)
	default:
		signed, err = f.shredOrganisation(ctx, s, in)
	}
	if err != nil {
		return nil, err
	}
	return shredding(signed)
}

// confirmed wants the thing named once more.
func confirmed(in *createShreddingInput, what string) error {
	if in.Body.Confirm != what {
		return fault.New(fault.Invalid, "the confirmation does not name what is to be destroyed").At("confirm").Hint("write %s", what)
	}
	return nil
}

// mayGo refuses to destroy what has to be kept (45 CFR 164.530(j)(2)), unless another basis stands for it.
func (f *Face) mayGo(in *createShreddingInput, newest time.Time) error {
	if in.Body.Basis != "retention-ended" {
		return nil
	}
	if until := law.Embedded().KeptUntil(newest); until.After(f.Now()) {
		return fault.New(fault.Conflict, "this is documentation that has to be kept until %s (45 CFR 164.530(j))", until.Format(time.DateOnly)).At("basis").
			Hint("name another basis when one stands: not-a-patient, court-order, test-data, wound-up")
	}
	return nil
}

func (f *Face) shredPerson(ctx context.Context, s id.Scope, in *createShreddingInput) ([]byte, error) {
	person, err := id.Parse[id.Person](in.Body.Person)
	if err != nil {
		return nil, at(err, "person")
	}
	if err := confirmed(in, person.String()); err != nil {
		return nil, err
	}
	return f.People.Shred(ctx, s, person, in.Body.Basis, func(ctx context.Context, tx *store.Tx, records []id.Person) error {
		newest, err := f.People.LastChanged(ctx, tx, records)
		if err != nil {
			return err
		}
		if err := f.mayGo(in, newest); err != nil {
			return err
		}
		for _, p := range records {
			if err := f.nothingOpen(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// nothingOpen refuses while messages could still go: their rows would stand there, and nobody could open them. A zero person is everybody.
func (f *Face) nothingOpen(ctx context.Context, tx *store.Tx, p id.Person) error {
	for _, state := range []send.State{send.Waiting, send.Held} {
		open, err := f.Sends.Messages(ctx, tx, send.Filter{State: state, Person: p, Limit: 1})
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return fault.New(fault.Conflict, "a message is open").At("%s", open[0].ID).Hint("let it go or cancel it first: carepost message cancel")
		}
	}
	return nil
}

func (f *Face) shredMonth(ctx context.Context, s id.Scope, in *createShreddingInput) ([]byte, error) {
	first, err := time.Parse("2006-01", in.Body.Month)
	if err != nil {
		return nil, fault.New(fault.Invalid, "not a month").At("month").Hint("write it as 2026-10")
	}
	if err := confirmed(in, in.Body.Month); err != nil {
		return nil, err
	}
	month := uint32(first.Year()*100 + int(first.Month()))
	if err := f.mayGo(in, seal.MonthEnd(month)); err != nil {
		return nil, err
	}
	purposes := []seal.Purpose{seal.PurposeMessage, seal.PurposeRaw, seal.PurposeFile}
	if len(in.Body.Purposes) > 0 {
		purposes = nil
		for _, p := range in.Body.Purposes {
			purposes = append(purposes, seal.Purpose(p))
		}
	}
	return f.Keys.ShredMonth(ctx, s, in.Body.Basis, month, purposes)
}

func (f *Face) shredOrganisation(ctx context.Context, s id.Scope, in *createShreddingInput) ([]byte, error) {
	if err := confirmed(in, s.Organisation.String()); err != nil {
		return nil, err
	}
	return f.Keys.ShredOrganisation(ctx, s, in.Body.Basis, func(ctx context.Context, tx *store.Tx) error {
		newest, err := f.Keys.NewestMonth(ctx, tx)
		if err != nil {
			return err
		}
		if err := f.mayGo(in, newest); err != nil {
			return err
		}
		if err := f.nothingOpen(ctx, tx, id.Person{}); err != nil {
			return err
		}
		return f.Organisations.Close(ctx, tx)
	})
}

// shredding shows a certificate that this program signed.
func shredding(signed []byte) (*shreddingOutput, error) {
	text := string(signed)
	if i := strings.LastIndex(text, "\n\n"); i >= 0 {
		text = text[:i+1]
	}
	c, err := seal.ParseCertificate(text)
	if err != nil {
		return nil, err
	}
	out := &shreddingOutput{}
	out.Body.ID, out.Body.Certificate, out.Body.Keys, out.Body.Complete, out.Body.Stays = c.ID.String(), string(signed), c.Keys, c.Complete, c.Stays
	return out, nil
}

type listShreddingsInput struct{ Place }

// Shredding is a certificate of destruction by its id.
type Shredding struct {
	ID   string    `json:"id"`
	Made time.Time `json:"made"`
}

type shreddingsOutput struct {
	Body struct {
		Shreddings []Shredding `json:"shreddings"`
	}
}

func (f *Face) listShreddings(ctx context.Context, in *listShreddingsInput) (*shreddingsOutput, error) {
	out := &shreddingsOutput{}
	out.Body.Shreddings = []Shredding{}
	return out, f.readShredded(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		const newest = 1000
		all, err := f.Keys.Certificates(ctx, tx, newest)
		for _, c := range all {
			out.Body.Shreddings = append(out.Body.Shreddings, Shredding{c.ID.String(), c.Made})
		}
		return err
	})
}

type getShreddingInput struct {
	Place
	ID string `path:"id"`
}

func (f *Face) getShredding(ctx context.Context, in *getShreddingInput) (*shreddingOutput, error) {
	certificate, err := id.Parse[id.Certificate](in.ID)
	if err != nil {
		return nil, err
	}
	var signed []byte
	err = f.readShredded(ctx, in, func(ctx context.Context, tx *store.Tx) (err error) {
		signed, err = f.Keys.Certificate(ctx, tx, certificate)
		return err
	})
	if err != nil {
		return nil, err
	}
	return shredding(signed)
}

// readShredded reads of an organisation whose own name may have been shredded.
func (f *Face) readShredded(ctx context.Context, in interface{ organisation() string }, fn func(context.Context, *store.Tx) error) error {
	s, err := f.scope(ctx, in)
	if err != nil && !fault.Is(err, fault.Sealed) {
		return err
	}
	return f.Store.Read(ctx, s, fn)
}
