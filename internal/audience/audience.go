package audience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// follower keeps one organisation's index up to date.
type follower struct {
	org   id.Organisation
	step  sync.Mutex // one step at a time; readers do not wait for it
	index *Index     // nil until built
	seq   int64      // the last change that the index has
	asOf  time.Time  // when projections were read last, for those that read differently as time passes
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

// followEvery is how often Run looks for what was written; whoever asks for an audience sees what is written without waiting for it.
const followEvery = 250 * time.Millisecond

// Run keeps the indexes that were built up to date until the context ends.
func (a *Audience) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, f := range a.all() {
			x, err := a.follow(ctx, f)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				slog.ErrorContext(ctx, "the audience index could not follow", "organisation", f.org, "error", err)
			case x.Due():
				x.Settle()
			}
		}
	}
}

func (a *Audience) all() []*follower {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*follower, 0, len(a.followers))
	for _, f := range a.followers {
		list = append(list, f)
	}
	return list
}

func (a *Audience) follower(org id.Organisation) *follower {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.followers[org]
	if f == nil {
		f = &follower{org: org}
		a.followers[org] = f
	}
	return f
}

// Passed gives the last change that this process has taken in of an organisation: what every node has passed may be pruned.
func (a *Audience) Passed(org id.Organisation) int64 {
	f := a.follower(org)
	f.step.Lock()
	defer f.step.Unlock()
	return f.seq
}

// CaughtUp waits until the index has everything about people that was committed before the call: for an audience that is sent to.
func (a *Audience) CaughtUp(ctx context.Context, org id.Organisation) error {
	if err := a.o.Ledger.Numbered(ctx, org); err != nil {
		return err
	}
	_, err := a.follow(ctx, a.follower(org))
	return err
}

// view gives everyone of an organisation, with what was written until now.
func (a *Audience) view(ctx context.Context, org id.Organisation) (*View, error) {
	if org == id.Installation {
		return nil, fault.New(fault.Internal, "an audience is asked for without an organisation")
	}
	x, err := a.follow(ctx, a.follower(org))
	if err != nil {
		return nil, err
	}
	return x.View(), nil
}

// followChunk is how many changes are read at once.
const followChunk = 4096

// follow builds the index when there is none, and takes in what was written since.
func (a *Audience) follow(ctx context.Context, f *follower) (*Index, error) {
	f.step.Lock()
	defer f.step.Unlock()
	if f.index == nil {
		err := a.build(ctx, f)
		return f.index, err
	}
	for more := true; more; {
		err := a.o.Store.Read(ctx, id.System(f.org), func(ctx context.Context, tx *store.Tx) (err error) {
			more, err = a.followOnce(ctx, tx, f)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return f.index, nil
}

func (a *Audience) followOnce(ctx context.Context, tx *store.Tx, f *follower) (more bool, err error) {
	changes, err := a.o.Ledger.Changes(ctx, tx, f.seq, followChunk)
	if err != nil {
		return false, err
	}
	view := f.index.View()
	ids := view.turned(f.asOf, tx.Now)
	for _, c := range changes {
		ids = append(ids, c.Person)
	}
	if len(ids) > 0 {
		list, err := a.changed(ctx, tx, view, ids)
		if err != nil {
			return false, err
		}
		f.index.Apply(list)
	}
	f.asOf = tx.Now
	if len(changes) > 0 {
		f.seq = changes[len(changes)-1].Seq
	}
	return len(changes) == followChunk, nil
}

// changed reads the projections of people who changed; who is not there any more is gone.
func (a *Audience) changed(ctx context.Context, tx *store.Tx, view *View, ids []id.Person) ([]Change, error) {
	slices.SortFunc(ids, func(a, b id.Person) int { return slices.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	found := make(map[id.Person]bool, len(ids))
	list := make([]Change, 0, len(ids))
	err := a.o.People.Projections(ctx, tx, ids, func(p id.Person, ordinal uint32, projection people.Projection) error {
		found[p] = true
		list = append(list, Change{p, ordinal, &projection})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read changed people: %w", err)
	}
	for _, p := range ids {
		if !found[p] {
			if o, ok := view.ordinal(p); ok {
				list = append(list, Change{Person: p, Ordinal: o})
			}
		}
	}
	return list, nil
}

// build reads everyone in one snapshot, with the number of the last change in it.
func (a *Audience) build(ctx context.Context, f *follower) error {
	return a.o.Store.Read(ctx, id.System(f.org), func(ctx context.Context, tx *store.Tx) error {
		seq, err := a.o.Ledger.LastChange(ctx, tx)
		if err != nil {
			return err
		}
		index, err := NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
			return scanAhead(ctx, a.o.People, tx, add)
		})
		if err != nil {
			return fmt.Errorf("build the audience index: %w", err)
		}
		f.index, f.seq, f.asOf = index, seq, tx.Now
		return nil
	})
}

// scanPiece is how many people are handed on at once from reading to building.
const scanPiece = 512

// scanAhead reads people while those read before are taken in: reading is half of what a build costs.
func scanAhead(ctx context.Context, from *people.People, tx *store.Tx, add func(id.Person, uint32, *people.Projection)) error {
	pieces := make(chan []Change, 8)
	var done sync.WaitGroup
	done.Go(func() {
		for piece := range pieces {
			for _, c := range piece {
				add(c.Person, c.Ordinal, c.Projection)
			}
		}
	})
	piece := make([]Change, 0, scanPiece)
	err := from.Scan(ctx, tx, func(p id.Person, ordinal uint32, projection people.Projection) error {
		if piece = append(piece, Change{p, ordinal, &projection}); len(piece) == scanPiece {
			pieces <- piece
			piece = make([]Change, 0, scanPiece)
		}
		return nil
	})
	pieces <- piece
	close(pieces)
	done.Wait()
	return err
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
