package api

import (
	"context"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Segment is a saved rule as it travels.
type Segment struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Version int64     `json:"version"`
	Rule    string    `json:"rule" doc:"The text form: docs/rules.md"`
	Hash    string    `json:"hash" doc:"What an approval covers"`
	MadeAt  time.Time `json:"made_at"`
	Retired bool      `json:"retired,omitempty"`
}

func segmentOf(s audience.Saved) Segment {
	return Segment{s.ID.String(), s.Name, s.Version, audience.Text(s.Rule), s.Hash, s.MadeAt, s.Retired}
}

type segmentsInput struct{ Place }

type segmentsOutput struct {
	Body struct {
		Segments []Segment `json:"segments"`
	}
}

func (f *Face) listSegments(ctx context.Context, in *segmentsInput) (*segmentsOutput, error) {
	out := &segmentsOutput{}
	out.Body.Segments = []Segment{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		all, err := f.Audience.Segments(ctx, tx)
		for _, s := range all {
			out.Body.Segments = append(out.Body.Segments, segmentOf(s))
		}
		return err
	})
}

type createSegmentInput struct {
	Place
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"200"`
		Rule string `json:"rule" minLength:"1" maxLength:"100000"`
		Note string `json:"note,omitempty" maxLength:"2000"`
	}
}

type segmentOutput struct{ Body Segment }

// createSegment saves a rule under its name; the same name again is a new version.
func (f *Face) createSegment(ctx context.Context, in *createSegmentInput) (*segmentOutput, error) {
	rule, err := audience.Parse(in.Body.Rule)
	if err != nil {
		return nil, err
	}
	out := &segmentOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		old, err := f.Audience.SegmentNamed(ctx, tx, in.Body.Name)
		var saved audience.Saved
		switch {
		case err == nil:
			old.Rule, old.Note = rule, in.Body.Note
			saved, err = f.Audience.Update(ctx, tx, old)
		case fault.Is(err, fault.NotFound):
			saved, err = f.Audience.Create(ctx, tx, in.Body.Name, in.Body.Note, rule)
		}
		if err == nil {
			out.Body = segmentOf(saved)
		}
		return err
	})
}

type tryRuleInput struct {
	Place
	Body struct {
		Rule string `json:"rule" minLength:"1" maxLength:"100000"`
	}
}

type tallyOutput struct{ Body audience.Tally }

func (f *Face) tryRule(ctx context.Context, in *tryRuleInput) (*tallyOutput, error) {
	rule, err := audience.Parse(in.Body.Rule)
	if err != nil {
		return nil, err
	}
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	t, err := f.Audience.Count(ctx, s, audience.Query{Rule: rule})
	return &tallyOutput{t}, err
}

type segmentInput struct {
	Place
	Name string `path:"name"`
}

// saved finds a segment by its id or its name.
func (f *Face) saved(ctx context.Context, scope id.Scope, text string) (s audience.Saved, err error) {
	err = f.Store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
		if sid, bad := id.Parse[id.Segment](text); bad == nil {
			s, err = f.Audience.Segment(ctx, tx, sid)
			return err
		}
		s, err = f.Audience.SegmentNamed(ctx, tx, text)
		return err
	})
	return s, err
}

func (f *Face) query(ctx context.Context, in interface{ organisation() string }, name string) (id.Scope, audience.Query, error) {
	scope, err := f.scope(ctx, in)
	if err != nil {
		return scope, audience.Query{}, err
	}
	s, err := f.saved(ctx, scope, name)
	return scope, audience.Query{Rule: s.Rule}, err
}

func (f *Face) countSegment(ctx context.Context, in *segmentInput) (*tallyOutput, error) {
	scope, q, err := f.query(ctx, in, in.Name)
	if err != nil {
		return nil, err
	}
	t, err := f.Audience.Count(ctx, scope, q)
	return &tallyOutput{t}, err
}

type segmentPeopleOutput struct {
	Body struct {
		People []string `json:"people"`
	}
}

func (f *Face) segmentPeople(ctx context.Context, in *segmentInput) (*segmentPeopleOutput, error) {
	scope, q, err := f.query(ctx, in, in.Name)
	if err != nil {
		return nil, err
	}
	all, err := f.Audience.List(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	out := &segmentPeopleOutput{}
	out.Body.People = make([]string, 0, len(all))
	for _, p := range all {
		out.Body.People = append(out.Body.People, p.String())
	}
	return out, f.looked(ctx, scope, len(all), id.UUID{}, "people of a segment")
}

type leftOutOutput struct{ Body audience.LeftOut }

func (f *Face) leftOut(ctx context.Context, in *segmentInput) (*leftOutOutput, error) {
	scope, q, err := f.query(ctx, in, in.Name)
	if err != nil {
		return nil, err
	}
	l, err := f.Audience.LeftOut(ctx, scope, q)
	return &leftOutOutput{l}, err
}

type whyPersonInput struct {
	Place
	Name   string `path:"name"`
	Person string `path:"person"`
}

type whyPersonOutput struct{ Body audience.Explanation }

func (f *Face) whyPerson(ctx context.Context, in *whyPersonInput) (*whyPersonOutput, error) {
	p, err := id.Parse[id.Person](in.Person)
	if err != nil {
		return nil, err
	}
	scope, q, err := f.query(ctx, in, in.Name)
	if err != nil {
		return nil, err
	}
	e, err := f.Audience.Why(ctx, scope, q, p)
	if err != nil {
		return nil, err
	}
	// What a rule asks and whether it holds is a look at the record.
	return &whyPersonOutput{e}, f.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		return f.viewed(ctx, tx, p, p.UUID(), "why in a segment")
	})
}

// looked writes that somebody saw a list of people: one entry for all.
func (f *Face) looked(ctx context.Context, scope id.Scope, n int, object id.UUID, what string) error {
	return f.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		key, err := f.Keys.Month(ctx, tx, seal.PurposeLedger)
		if err != nil {
			return err
		}
		return f.Ledger.Append(ctx, tx, ledger.Entry{
			Act: ledger.ActView, Purpose: ledger.PurposeOperations, Object: object, Detail: ledger.Detail{"what": what, "people": strconv.Itoa(n)},
		}, key)
	})
}

// members gives the people of a segment for a send: everything committed before the call is in it. health says whether the rule asked
// for health information.
func (f *Face) members(ctx context.Context, scope id.Scope, name string) ([]id.Person, bool, error) {
	s, err := f.saved(ctx, scope, name)
	if err != nil {
		return nil, false, err
	}
	if err := f.Audience.CaughtUp(ctx, scope.Organisation); err != nil {
		return nil, false, err
	}
	to, err := f.Audience.List(ctx, scope, audience.Query{Rule: s.Rule})
	return to, asksHealth(s.Rule), err
}

// asksHealth tells whether a rule asks for more than who and where somebody is. A segment inside it counts as health: what it asks may change.
func asksHealth(r audience.Rule) bool {
	switch x := r.(type) {
	case audience.Field:
		return !plainFields[x.Name]
	case audience.Everyone, audience.Consent:
		return false
	case audience.All, audience.Any, audience.Not:
		for _, c := range audience.Children(r) {
			if asksHealth(c) {
				return true
			}
		}
		return false
	}
	return true
}

var plainFields = map[string]bool{
	"sex": true, "age": true, "birth_date": true, "language": true, "zip": true, "state": true, "country": true, "zone": true,
	"kind": true, "deceased": true, "has_email": true, "has_phone": true, "opt_out": true,
}
