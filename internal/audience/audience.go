package audience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Options are what Audience needs. Fresh zero is FreshFor; Zone nil is UTC.
type Options struct {
	Store  *store.Store
	Keys   *seal.Keys
	Ledger *ledger.Ledger
	People *people.People
	Fresh  time.Duration                                                   // how long a complete delivery of a feed holds
	Zone   func(ctx context.Context, tx *store.Tx) (*time.Location, error) // of the transaction's organisation
}

// Audience answers rules for organisations. It keeps an index of each in memory, built when it is first asked or by Start, and
// follows what is written about people. All its methods may be called at the same time.
type Audience struct {
	o Options

	mu        sync.Mutex
	followers map[id.Organisation]*follower
}

// New makes the keeper of audiences. Nothing is read yet.
func New(o Options) *Audience {
	if o.Fresh == 0 {
		o.Fresh = FreshFor
	}
	if o.Zone == nil {
		o.Zone = func(context.Context, *store.Tx) (*time.Location, error) { return time.UTC, nil }
	}
	return &Audience{o: o, followers: map[id.Organisation]*follower{}}
}

// Start builds the indexes of the organisations, so that nobody waits for one later.
func (a *Audience) Start(ctx context.Context, orgs ...id.Organisation) error {
	for _, org := range orgs {
		if _, err := a.view(ctx, org); err != nil {
			return err
		}
	}
	return nil
}

// Query is a rule and the moment to ask it at; zero is now.
type Query struct {
	Rule Rule
	At   time.Time
}

// Tally is how many people a rule matches.
type Tally struct {
	People  int       `json:"people"`  // patients and prospects
	Matched int       `json:"matched"` // in the audience
	Unknown int       `json:"unknown"` // neither in nor out: something is not known
	At      time.Time `json:"at"`
	Notes   []string  `json:"notes,omitempty"` // what in the rule can match nobody, and may be meant otherwise
}

// Count says how many people a rule matches.
func (a *Audience) Count(ctx context.Context, scope id.Scope, q Query) (Tally, error) {
	view, question, err := a.ask(ctx, scope, q)
	if err != nil {
		return Tally{}, err
	}
	answer := view.Ask(question)
	return Tally{answer.People, answer.Matched, answer.Unknown, question.asked.Now, view.notes(question)}, nil
}

// List gives the people whom a rule matches, in the order of their ordinals.
func (a *Audience) List(ctx context.Context, scope id.Scope, q Query) ([]id.Person, error) {
	view, question, err := a.ask(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	answer := view.Ask(question)
	return answer.IDs(), nil
}

// LeftOut says who is not in the audience of a rule, and why.
func (a *Audience) LeftOut(ctx context.Context, scope id.Scope, q Query) (LeftOut, error) {
	view, question, err := a.ask(ctx, scope, q)
	if err != nil {
		return LeftOut{}, err
	}
	if question.count > maxReasons {
		return LeftOut{}, fault.New(fault.TooLarge, "the rule and its segments have more than %d conditions", maxReasons).
			Hint("ask who is left out of its segments one by one")
	}
	return view.LeftOut(question), nil
}

// Prepare makes a rule ready in the transaction's organisation: for asking single people many times.
func (a *Audience) Prepare(ctx context.Context, tx *store.Tx, q Query) (*Question, error) {
	asked, err := a.asked(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	return Prepare(q.Rule, asked)
}

// Person asks a prepared rule of one person's record as it stands in the transaction.
func (a *Audience) Person(ctx context.Context, tx *store.Tx, q *Question, person id.Person) (Truth, error) {
	p, err := a.projection(ctx, tx, person)
	if err != nil {
		return Unknown, err
	}
	return q.Person(p), nil
}

// Why asks a rule of one person and says what of the record decided each part. It shows the record, so it leaves an entry of a
// view in the ledger (45 CFR 164.312(b)).
func (a *Audience) Why(ctx context.Context, scope id.Scope, q Query, person id.Person) (e Explanation, err error) {
	err = a.o.Store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		question, err := a.Prepare(ctx, tx, q)
		if err != nil {
			return err
		}
		p, err := a.projection(ctx, tx, person)
		if err != nil {
			return err
		}
		e = question.Explain(p)
		key, err := a.o.People.Key(ctx, tx, person)
		if err != nil {
			return err
		}
		entry := ledger.Entry{Act: ledger.ActView, Subject: person, SubjectKey: key, Detail: ledger.Detail{"what": "why a rule matches or not"}}
		return a.o.Ledger.Append(ctx, tx, entry, key)
	})
	return e, err
}

func (a *Audience) projection(ctx context.Context, tx *store.Tx, person id.Person) (*people.Projection, error) {
	var found *people.Projection
	err := a.o.People.Projections(ctx, tx, []id.Person{person}, func(_ id.Person, _ uint32, p people.Projection) error {
		found = &p
		return nil
	})
	if err == nil && found == nil {
		err = fault.New(fault.NotFound, "there is no such person").At("%s", person)
	}
	return found, err
}

// ask prepares a question and gives the people to ask.
func (a *Audience) ask(ctx context.Context, scope id.Scope, q Query) (*View, *Question, error) {
	view, err := a.view(ctx, scope.Organisation)
	if err != nil {
		return nil, nil, err
	}
	var question *Question
	err = a.o.Store.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
		question, err = a.Prepare(ctx, tx, q)
		return err
	})
	return view, question, err
}

// asked gathers what a rule needs besides people.
func (a *Audience) asked(ctx context.Context, tx *store.Tx, q Query) (Asked, error) {
	if q.Rule == nil {
		return Asked{}, fault.New(fault.Invalid, "there is no rule")
	}
	asked := Asked{Now: q.At, Feeds: Feeds{Fresh: a.o.Fresh}, Segments: map[string]Rule{}, Sets: map[string]ValueSet{}}
	if asked.Now.IsZero() {
		asked.Now = tx.Now
	}
	var err error
	if asked.Zone, err = a.o.Zone(ctx, tx); err != nil {
		return asked, fmt.Errorf("read the organisation's zone: %w", err)
	}
	sources, err := a.o.People.Sources(ctx, tx)
	if err != nil {
		return asked, err
	}
	for _, s := range sources {
		asked.Feeds.List = append(asked.Feeds.List, Feed{Name: s.Name, Complete: s.Seen})
	}
	return asked, a.refer(ctx, tx, q.Rule, &asked)
}

// refer reads the segments and value sets that a rule names, and those that they name.
func (a *Audience) refer(ctx context.Context, tx *store.Tx, r Rule, asked *Asked) error {
	segments, sets := References(r)
	for _, name := range sets {
		if _, have := asked.Sets[name]; have {
			continue
		}
		s, err := a.ValueSet(ctx, tx, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			asked.Sets[name] = s
		}
	}
	for _, name := range segments {
		if _, have := asked.Segments[name]; have {
			continue
		}
		s, err := a.SegmentNamed(ctx, tx, name)
		if fault.Is(err, fault.NotFound) {
			continue // Prepare says so, with its place in the chain
		}
		if err != nil {
			return err
		}
		if s.Retired {
			continue
		}
		asked.Segments[name] = s.Rule
		if err := a.refer(ctx, tx, s.Rule, asked); err != nil {
			return err
		}
	}
	return nil
}

var errNoRule = errors.New("audience: a stored rule does not decode")
