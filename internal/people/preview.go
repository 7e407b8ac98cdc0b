package people

import (
	"slices"

	"github.com/carepost/carepost/internal/id"
)

// Seen is what a run of previews would have made so far: enough that a later preview finds these people, and no more.
type Seen struct {
	subjects    map[named]id.Person
	identifiers map[string][]id.Person
	people      map[id.Person]*seenPerson
	written     map[id.Person]bool // of whom a fact would be written
}

// Written gives of how many people facts would be written: of those who exist, and of those who would be made.
func (s *Seen) Written() (known, made int64) {
	for person := range s.written {
		if s.people[person].made() {
			made++
		} else {
			known++
		}
	}
	return known, made
}

type seenPerson struct {
	subjects   []*SubjectRecord
	birth      uint32
	family     []string
	mergedInto id.Person
	stub       bool
	fresh      bool // would be made
}

func (s *seenPerson) made() bool { return s != nil && s.fresh }

// NewSeen begins a run of previews.
func NewSeen() *Seen {
	return &Seen{subjects: map[named]id.Person{}, identifiers: map[string][]id.Person{}, people: map[id.Person]*seenPerson{}, written: map[id.Person]bool{}}
}

// recall puts the people that earlier previews would have made, and that these changes name, in front of the batch.
func (s *Seen) recall(b *batch, changes []Change) {
	for i := range changes {
		c := &changes[i]
		for _, key := range append([]string{c.Subject, c.ReplacedBy}, c.Delete...) {
			if person, known := s.subjects[named{c.Source, key}]; known {
				b.subjects[named{c.Source, key}] = person
				s.show(b, person)
			}
		}
		for _, x := range c.Match {
			n := NormalIdentifier(x)
			for _, person := range s.identifiers[n] {
				if !containsID(b.identifiers[n], person) {
					b.identifiers[n] = append(b.identifiers[n], person)
				}
				s.show(b, person)
			}
		}
	}
}

func (s *Seen) show(b *batch, person id.Person) {
	seen := s.people[person]
	m := b.members[person]
	if seen == nil {
		return
	}
	if m == nil {
		names := make([]*NameRecord, 0, len(seen.family))
		for _, f := range seen.family {
			names = append(names, &NameRecord{Family: f})
		}
		m = &member{
			id: person, state: personInUse, shadow: !seen.stub, byResource: map[named]int{},
			core: &CoreRecord{Subjects: seen.subjects, Profile: &ProfileRecord{Birth: seen.birth, Names: names}, Kind: uint32(KindPatient)},
		}
		m.oldCore = m.core
		b.members[person] = m
	}
	if m.mergedInto.IsZero() && !seen.mergedInto.IsZero() {
		m.mergedInto = seen.mergedInto
		s.show(b, m.mergedInto)
		b.children[m.mergedInto] = append(b.children[m.mergedInto], m)
	}
}

// remember keeps whom the batch would have made, or merged, or given identifiers.
func (s *Seen) remember(b *batch) {
	for n, person := range b.subjects {
		s.subjects[n] = person
	}
	for n, all := range b.identifiers {
		for _, person := range all {
			if m := b.members[person]; m != nil && (m.fresh || m.shadow || m.changed) && !slices.Contains(s.identifiers[n], person) {
				s.identifiers[n] = append(s.identifiers[n], person)
			}
		}
	}
	for person, m := range b.members {
		if !m.fresh && !m.changed {
			continue
		}
		if m.counts.facts > 0 {
			s.written[person] = true
		}
		seen := &seenPerson{
			subjects: m.core.GetSubjects(), birth: m.core.GetProfile().GetBirth(), mergedInto: m.mergedInto, stub: m.fresh && m.stub(),
			fresh: m.fresh || s.people[person].made(),
		}
		for _, name := range m.core.GetProfile().GetNames() {
			seen.family = append(seen.family, name.Family)
		}
		s.people[person] = seen
	}
}
