package people

import (
	"context"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Applied says what a batch of changes did, or in a preview would do.
type Applied struct {
	Created    int // people
	Updated    int // people of whom something was written
	Unchanged  int // people who were named and of whom everything was known
	Merged     int // records that got a survivor
	Facts      int // versions of resources written
	Same       int // resources that said nothing new
	Stale      int // resources older than what is known: left aside
	Events     int // events appended
	Retracted  int // events taken back
	Unresolved []Unresolved
	Warnings   []Warning
	People     []id.Person // whose records were written; empty in a preview
	Consents   []Proposal  // consents that a source reports, for package consent
}

// Unresolved is a change whose person could not be told: nothing of it was applied.
type Unresolved struct {
	Change int // index into the changes
	Reason string
}

// The reasons of Unresolved and of warnings about identity. They name no value.
const (
	ReasonNobody     = "no record has the identifier that the reference names"
	ReasonSeveral    = "several records have the identifier that the reference names"
	ReasonClaimed    = "another record of the same source has the same identifier: both are kept apart for a person to look at"
	ReasonAmbiguous  = "the identifiers belong to several records: kept apart for a person to look at"
	ReasonOpposed    = "a record with the same identifier has another birth date and name: kept apart for a person to look at"
	ReasonInverse    = "the survivor of this merge was itself merged into this record: held for a person"
	ReasonElsewhere  = "the record was merged into another one before: held for a person"
	ReasonNoSurvivor = "a merge without a record to merge"
	ReasonAlive      = "the source no longer says that the person has died: a person of the staff must confirm it"
	ReasonForbidden  = "an identifier that may not be kept"
)

// Proposal is a consent that a source reports about a person: a proposal, never a consent by itself.
type Proposal struct {
	Person id.Person
	Fact   Fact
}

// Apply takes the changes of source messages into the records of the people they are about: it finds or makes the person, puts newer
// versions of resources over older ones, appends the events that follow, rebuilds the projection, touches the person, and writes
// one ledger entry per person. The same changes again write nothing. A fault.Conflict says that another transaction wrote the
// same person meanwhile: the caller tries again.
func (p *People) Apply(ctx context.Context, tx *store.Tx, changes []Change, imp id.Import) (Applied, error) {
	b := p.newBatch(tx, imp)
	if err := b.load(ctx, changes); err != nil {
		return Applied{}, err
	}
	if err := b.decide(changes); err != nil {
		return Applied{}, err
	}
	return b.applied, b.write(ctx)
}

// Preview gives what Apply would do and changes nothing; seen carries what earlier previews would have made. The transaction may be
// one that only reads.
func (p *People) Preview(ctx context.Context, tx *store.Tx, changes []Change, imp id.Import, seen *Seen) (Applied, error) {
	b := p.newBatch(tx, imp)
	if err := b.load(ctx, changes); err != nil {
		return Applied{}, err
	}
	b.seen = seen
	seen.recall(b, changes)
	if err := b.decide(changes); err != nil {
		return Applied{}, err
	}
	seen.remember(b)
	return b.applied, nil
}

// decide works out what the changes do, in memory. Profiles come first: they bring the identifiers by which others are matched.
func (b *batch) decide(changes []Change) error {
	for i := range changes {
		b.applied.Warnings = append(b.applied.Warnings, changes[i].Warnings...)
		if changes[i].Profile != nil {
			if err := b.change(i, &changes[i]); err != nil {
				return err
			}
		}
	}
	for i := range changes {
		if changes[i].Profile == nil {
			if err := b.change(i, &changes[i]); err != nil {
				return err
			}
		}
	}
	b.finishFamilies()
	for person := range b.named {
		switch m := b.members[person]; {
		case m.fresh:
			b.applied.Created++
		case m.changed:
			b.applied.Updated++
		default:
			b.applied.Unchanged++
		}
	}
	return nil
}

func (b *batch) change(i int, c *Change) error {
	m, reason := b.whom(c)
	if m == nil {
		if reason != "" {
			b.applied.Unresolved = append(b.applied.Unresolved, Unresolved{i, reason})
		}
		return b.takeBack(c)
	}
	b.named[m.id] = true
	if err := b.take(m, c); err != nil {
		return err
	}
	return b.takeBack(c)
}

// take applies one change to one person's record.
func (b *batch) take(m *member, c *Change) error {
	if c.Profile != nil {
		if err := b.takeProfile(m, c); err != nil {
			return err
		}
	}
	for i := range c.Facts {
		f := &c.Facts[i]
		r := packFact(f)
		if r.UpdatedMs == 0 && !c.Updated.IsZero() {
			r.UpdatedMs = c.Updated.UnixMilli()
		}
		wrote, err := b.takeFact(m, c.Source, r)
		if err != nil {
			return err
		}
		if wrote && f.Kind == FactConsent {
			b.applied.Consents = append(b.applied.Consents, Proposal{Person: m.id, Fact: b.fact(m, &m.facts[len(m.facts)-1])})
		}
	}
	for i := range c.Events {
		b.takeEvent(m, c, &c.Events[i])
	}
	if c.ReplacedBy != "" {
		b.mergeInto(m, b.survivor(c))
	}
	return nil
}

func (b *batch) takeProfile(m *member, c *Change) error {
	strong := make([]bool, 0, len(c.Profile.Identifiers))
	profile := *c.Profile
	profile.Identifiers = nil
	for _, x := range c.Profile.Identifiers {
		if forbiddenIdentifier(x) {
			b.warn("identifier", ReasonForbidden)
			continue
		}
		profile.Identifiers = append(profile.Identifiers, x)
		strong = append(strong, contains(c.Match, x))
	}
	profile.Inactive = !c.Active
	r := &FactRecord{Kind: uint32(FactProfile), State: uint32(StateActive), Resource: c.profileKey(), Profile: packProfile(&profile, strong)}
	r.Profile.ReplacedBy = c.ReplacedBy
	if !c.Updated.IsZero() {
		r.UpdatedMs = c.Updated.UnixMilli()
	}
	wrote, err := b.takeFact(m, c.Source, r)
	if err != nil || !wrote {
		return err
	}
	if m.oldCore.GetProfile().GetDeceased() && !r.Profile.Deceased {
		b.warn("deceased", ReasonAlive)
	}
	for _, x := range c.Match {
		n := NormalIdentifier(x)
		if !containsID(b.identifiers[n], m.id) {
			b.identifiers[n] = append(b.identifiers[n], m.id)
		}
	}
	return nil
}

func contains(all []Identifier, x Identifier) bool {
	for _, y := range all {
		if NormalIdentifier(x) == NormalIdentifier(y) {
			return true
		}
	}
	return false
}

func containsID(all []id.Person, p id.Person) bool {
	for _, q := range all {
		if p == q {
			return true
		}
	}
	return false
}

func (b *batch) warn(field, reason string) {
	b.applied.Warnings = append(b.applied.Warnings, Warning{Field: field, Reason: reason})
}

// takeBack applies what the source took back. A record of a person that vanished is no longer in use, and no more than that: merges
// show up as deletes too.
func (b *batch) takeBack(c *Change) error {
	for _, key := range c.Delete {
		if person, ok := b.subjects[named{c.Source, key}]; ok {
			m := b.members[person]
			b.named[m.id] = true
			if err := b.retire(m, c, key); err != nil {
				return err
			}
			continue
		}
		holder := b.members[b.owners[named{c.Source, key}]]
		if holder == nil {
			continue // never known: nothing to take back
		}
		at := holder.byResource[named{c.Source, key}]
		old := holder.facts[at].record
		if FactState(old.State) == StateError {
			continue
		}
		b.named[holder.id] = true
		r := &FactRecord{
			Kind: old.Kind, State: uint32(StateError), Resource: old.Resource, Version: old.Version, Codes: old.Codes, Start: old.Start, End: old.End,
			UpdatedMs: old.UpdatedMs,
		}
		if !c.Updated.IsZero() {
			r.UpdatedMs = c.Updated.UnixMilli()
		}
		if _, err := b.takeFact(holder, c.Source, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) retire(m *member, c *Change, key string) error {
	at, known := m.byResource[named{c.Source, key}]
	if !known || m.facts[at].record.GetProfile().GetInactive() {
		return nil
	}
	old := m.facts[at].record
	said := cloneProfile(old.Profile)
	said.Inactive = true
	r := &FactRecord{Kind: old.Kind, State: old.State, Resource: key, UpdatedMs: old.UpdatedMs, Profile: said}
	if !c.Updated.IsZero() {
		r.UpdatedMs = c.Updated.UnixMilli()
	}
	_, err := b.takeFact(m, c.Source, r)
	return err
}
