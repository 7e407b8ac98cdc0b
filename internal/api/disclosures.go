package api

import (
	"context"

	"github.com/carepost/carepost/internal/compliance"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// about runs fn for a person, with the key under which the ledger's entries about the person are found.
func (f *Face) about(ctx context.Context, in interface{ organisation() string }, text string, fn func(ctx context.Context, tx *store.Tx, person id.Person, key seal.Key) error) error {
	person, err := id.Parse[id.Person](text)
	if err != nil {
		return err
	}
	return f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		key, err := f.People.Key(ctx, tx, person)
		if err != nil {
			return err
		}
		return fn(ctx, tx, person, key)
	})
}

type recordDisclosureInput struct {
	Place
	ID   string `path:"id"`
	Body struct {
		On          string `json:"on" doc:"The day on which it was made: 2026-05-31"`
		Receiver    string `json:"receiver" doc:"Who received it: a name"`
		Address     string `json:"address,omitempty" doc:"Of the receiver, if known"`
		Description string `json:"description" doc:"What was disclosed, in brief"`
		Basis       string `json:"basis" doc:"What permits it: required-by-law, public-health, judicial, ...; or impermissible"`
		Purpose     string `json:"purpose,omitempty" doc:"In words; the rule of the basis when left out"`
		Suspended   string `json:"suspended_until,omitempty" doc:"An oversight agency or law enforcement asked in writing that the person be not told of it until this day"`
	}
}

// recordDisclosure records what left the house by any way (45 CFR 164.528).
func (f *Face) recordDisclosure(ctx context.Context, in *recordDisclosureInput) (*struct{}, error) {
	d := compliance.Disclosure{
		Receiver: in.Body.Receiver, Address: in.Body.Address, Description: in.Body.Description,
		Basis: compliance.Basis(in.Body.Basis), Purpose: in.Body.Purpose,
	}
	for where, x := range map[string]struct {
		text string
		to   *law.Date
	}{"on": {in.Body.On, &d.On}, "suspended_until": {in.Body.Suspended, &d.Suspended}} {
		if err := day(x.text, where, x.to); err != nil {
			return nil, err
		}
	}
	return &struct{}{}, f.about(ctx, in, in.ID, func(ctx context.Context, tx *store.Tx, person id.Person, key seal.Key) error {
		return compliance.Record(ctx, tx, f.Ledger, person, key, d)
	})
}

// day reads a day that may be left out.
func day(text, where string, to *law.Date) (err error) {
	if text == "" {
		return nil
	}
	if *to, err = law.ParseDate(text); err != nil {
		return fault.Wrap(fault.Invalid, err, "not a day").At("%s", where).Hint("write it as 2026-05-31")
	}
	return nil
}

type accountInput struct {
	Place
	ID    string `path:"id"`
	Since string `query:"since" doc:"The first day; six years back when left out"`
}

type accountOutput struct{ Body compliance.Accounting }

// getAccount gives a person's accounting of disclosures. The ledger says that somebody asked: no ledger, no look.
func (f *Face) getAccount(ctx context.Context, in *accountInput) (*accountOutput, error) {
	var since law.Date
	if err := day(in.Since, "since", &since); err != nil {
		return nil, err
	}
	out := &accountOutput{}
	return out, f.about(ctx, in, in.ID, func(ctx context.Context, tx *store.Tx, person id.Person, key seal.Key) (err error) {
		out.Body, err = compliance.Account(ctx, tx, f.Ledger, law.Embedded(), person, key, since)
		return err
	})
}

type looksInput struct {
	Place
	ID     string `path:"id"`
	Before int64  `query:"before" minimum:"0" doc:"Looks with a smaller number; 0 begins with the newest"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000"`
}

type looksOutput struct {
	Body struct {
		Looks []compliance.Look `json:"looks"`
		Next  int64             `json:"next,omitempty" doc:"before of the next page"`
	}
}

// listLooks tells who looked at a person's record.
func (f *Face) listLooks(ctx context.Context, in *looksInput) (*looksOutput, error) {
	out := &looksOutput{}
	return out, f.about(ctx, in, in.ID, func(ctx context.Context, tx *store.Tx, person id.Person, key seal.Key) (err error) {
		out.Body.Looks, out.Body.Next, err = compliance.Looks(ctx, tx, f.Ledger, person, key, ledger.Query{Before: in.Before, Limit: in.Limit})
		return err
	})
}
