package api

import (
	"context"

	"github.com/carepost/carepost/internal/store"
)

// ValueSet is a named list that rules refer to as @valueset:name.
type ValueSet struct {
	Name    string   `json:"name" minLength:"1" maxLength:"100"`
	Version int      `json:"version,omitempty" readOnly:"true"`
	Members []string `json:"members" minItems:"1" maxItems:"50000" doc:"Codes, with or without their descendants, or values of a field: icd10:E11.*, 60601"`
}

type valueSetsInput struct{ Place }

type valueSetsOutput struct {
	Body struct {
		ValueSets []ValueSet `json:"value_sets"`
	}
}

func (f *Face) listValueSets(ctx context.Context, in *valueSetsInput) (*valueSetsOutput, error) {
	out := &valueSetsOutput{}
	out.Body.ValueSets = []ValueSet{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Audience.ValueSets(ctx, tx)
		for _, s := range all {
			out.Body.ValueSets = append(out.Body.ValueSets, ValueSet{s.Name, s.Version, s.Members})
		}
		return err
	})
}

type putValueSetInput struct {
	Place
	Body ValueSet
}

type valueSetOutput struct{ Body ValueSet }

// putValueSet saves a value set, or a new version of the one with this name.
func (f *Face) putValueSet(ctx context.Context, in *putValueSetInput) (*valueSetOutput, error) {
	out := &valueSetOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		s, err := f.Audience.PutValueSet(ctx, tx, in.Body.Name, in.Body.Members)
		out.Body = ValueSet{s.Name, s.Version, s.Members}
		return err
	})
}
