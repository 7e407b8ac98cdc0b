package intake

import (
	"cmp"
	"maps"
	"slices"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

// Result is what an import did, or would do. It holds counts and reasons, never a value of a record.
type Result struct {
	Import      id.Import         `json:"import"`
	Source      string            `json:"source"`
	DryRun      bool              `json:"dry_run"`
	Files       int               `json:"files"`
	Lines       int64             `json:"lines"`
	Blank       int64             `json:"blank"`
	Kinds       map[string]*Count `json:"kinds"`
	People      PeopleCount       `json:"people"`
	Facts       int64             `json:"facts"`                // versions of resources written
	Same        int64             `json:"same"`                 // resources that said nothing new
	Stale       int64             `json:"stale"`                // resources older than what is known
	Events      int64             `json:"events"`               // appended
	Retracted   int64             `json:"retracted"`            // events taken back
	Suppressed  int64             `json:"suppressed,omitempty"` // addresses that were not suppressed before
	Quarantined int64             `json:"quarantined"`
	Waiting     int64             `json:"waiting"` // applied in part; the rest when another message comes
	Reasons     map[string]int64  `json:"reasons"` // of what was quarantined
	Refusals    []Refusal         `json:"refusals"`
	Warnings    []WarningCount    `json:"warnings"`
	Complete    []string          `json:"complete"`         // kinds of events that the import delivered completely
	Broken      map[string]bool   `json:"broken,omitempty"` // kinds of which something is missing
}

// Count is how it went with the messages of one kind.
type Count struct {
	Read        int64 `json:"read"`
	Applied     int64 `json:"applied"`
	Skipped     int64 `json:"skipped"` // kept sealed and not mapped
	Quarantined int64 `json:"quarantined"`
}

// PeopleCount is how many people an import was about.
type PeopleCount struct {
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Merged    int64 `json:"merged"`
}

// Refusal is one message that was set aside.
type Refusal struct {
	File   int    `json:"file"` // from 1
	Line   int64  `json:"line"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

// WarningCount is a part that was left out of messages, how often, and where first.
type WarningCount struct {
	Kind   string `json:"kind"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	File   int    `json:"file"`
	Line   int64  `json:"line"`
}

// Only so many refusals and kinds of warnings are listed; all are counted, and the quarantine holds all.
const (
	maxRefusals = 100
	maxWarnings = 500
)

func newResult(imp id.Import, source string) *Result {
	return &Result{Import: imp, Source: source, Kinds: map[string]*Count{}, Reasons: map[string]int64{}}
}

func (r *Result) kind(name string) *Count {
	if r.Kinds[name] == nil {
		r.Kinds[name] = &Count{}
	}
	return r.Kinds[name]
}

// unknownKind is what a line that cannot be read is counted as.
const unknownKind = "unreadable"

func (r *Result) refuse(x Refusal) {
	r.Quarantined++
	r.Reasons[x.Reason]++
	r.kind(x.Kind).Quarantined++
	r.lack(x.Kind)
	if len(r.Refusals) < maxRefusals {
		r.Refusals = append(r.Refusals, x)
	}
}

// lack notes that a message of the kind is missing: the import does not deliver the kind completely.
func (r *Result) lack(kind string) {
	if r.Broken == nil {
		r.Broken = map[string]bool{}
	}
	r.Broken[kind] = true
}

func (r *Result) warn(w people.Warning, kind string, file int, line int64) {
	at := slices.IndexFunc(r.Warnings, func(x WarningCount) bool { return x.Kind == kind && x.Field == w.Field && x.Reason == w.Reason })
	switch {
	case at >= 0:
		r.Warnings[at].Count++
	case len(r.Warnings) < maxWarnings:
		r.Warnings = append(r.Warnings, WarningCount{kind, w.Field, w.Reason, 1, file, line})
	}
}

// Nothing tells whether something was there and nothing of it could be applied.
func (r *Result) Nothing() bool {
	applied := r.Suppressed
	for _, n := range r.Kinds {
		applied += n.Applied
	}
	return r.Lines > 0 && applied == 0
}

// applied adds what one batch did.
func (r *Result) applied(a *people.Applied) {
	r.People.Created += int64(a.Created)
	r.People.Updated += int64(a.Updated)
	r.People.Unchanged += int64(a.Unchanged)
	r.People.Merged += int64(a.Merged)
	r.Facts += int64(a.Facts)
	r.Same += int64(a.Same)
	r.Stale += int64(a.Stale)
	r.Events += int64(a.Events)
	r.Retracted += int64(a.Retracted)
}

// people settles the counts of people when all is applied: a person whose messages were applied in several batches counts once.
func (r *Result) people(named, known, made int64) {
	r.People.Updated, r.People.Unchanged = known, max(0, named-known-made)
}

// sort gives the result one order, whatever the order of arrival.
func (r *Result) sort() {
	slices.SortFunc(r.Warnings, func(a, b WarningCount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(r.Refusals, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Reason, b.Reason))
	})
}

// clone gives a result that shares nothing with this one: a transaction that fails must leave no trace in the counts.
func (r *Result) clone() *Result {
	c := *r
	c.Kinds = make(map[string]*Count, len(r.Kinds))
	for k, n := range r.Kinds {
		x := *n
		c.Kinds[k] = &x
	}
	c.Reasons, c.Broken = maps.Clone(r.Reasons), maps.Clone(r.Broken)
	c.Refusals, c.Warnings, c.Complete = slices.Clone(r.Refusals), slices.Clone(r.Warnings), slices.Clone(r.Complete)
	return &c
}
