package api

import (
	"context"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Agreement is a business associate agreement as it travels.
type Agreement struct {
	ID    string          `json:"id,omitempty" readOnly:"true"`
	Terms agreement.Terms `json:"terms"`
}

type agreementsInput struct{ Place }

type agreementsOutput struct {
	Body struct {
		Agreements []Agreement `json:"agreements"`
	}
}

func (f *Face) listAgreements(ctx context.Context, in *agreementsInput) (*agreementsOutput, error) {
	out := &agreementsOutput{}
	out.Body.Agreements = []Agreement{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Agreements.List(ctx, tx)
		for _, a := range all {
			out.Body.Agreements = append(out.Body.Agreements, Agreement{a.ID.String(), a.Terms})
		}
		return err
	})
}

type createAgreementInput struct {
	Place
	Body Agreement
}

type agreementOutput struct{ Body Agreement }

func (f *Face) createAgreement(ctx context.Context, in *createAgreementInput) (*agreementOutput, error) {
	out := &agreementOutput{in.Body}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		a, err := f.Agreements.Sign(ctx, tx, in.Body.Terms)
		out.Body.ID = a.String()
		return err
	})
}

type agreementInput struct {
	Place
	ID   string `path:"id"`
	Body Agreement
}

// amendAgreement records changed terms.
func (f *Face) amendAgreement(ctx context.Context, in *agreementInput) (*agreementOutput, error) {
	out := &agreementOutput{in.Body}
	out.Body.ID = in.ID
	return out, f.changeAgreement(ctx, in, in.ID, func(ctx context.Context, tx *store.Tx, a agreement.Agreement) error {
		return f.Agreements.Amend(ctx, tx, a, in.Body.Terms)
	})
}

type endAgreementInput struct {
	Place
	ID   string `path:"id"`
	Body struct {
		On string `json:"on" doc:"Its last day, 2027-01-31"`
	}
}

func (f *Face) endAgreement(ctx context.Context, in *endAgreementInput) (*emptyOutput, error) {
	on, err := dateOf(in.Body.On)
	if err != nil {
		return nil, at(err, "on")
	}
	if on == 0 {
		return nil, fault.New(fault.Invalid, "the last day is missing").At("on")
	}
	return &emptyOutput{}, f.changeAgreement(ctx, in, in.ID, func(ctx context.Context, tx *store.Tx, a agreement.Agreement) error {
		return f.Agreements.End(ctx, tx, a, on)
	})
}

func (f *Face) changeAgreement(ctx context.Context, in interface{ organisation() string }, text string, change func(context.Context, *store.Tx, agreement.Agreement) error) error {
	which, err := id.Parse[id.Agreement](text)
	if err != nil {
		return err
	}
	return f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		a, err := f.Agreements.Get(ctx, tx, which)
		if err != nil {
			return err
		}
		return change(ctx, tx, a)
	})
}
