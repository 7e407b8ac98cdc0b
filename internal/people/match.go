package people

import (
	"bytes"
	"slices"

	"github.com/carepost/carepost/internal/id"
)

// whom finds or makes the record that a change is about; nil when the change names nobody, or nobody who can be told.
func (b *batch) whom(c *Change) (*member, string) {
	if c.Subject == "" {
		return b.byReference(c)
	}
	n := named{c.Source, c.Subject}
	person, known := b.subjects[n]
	if !known {
		if c.Profile == nil && len(c.Facts) == 0 && len(c.Events) == 0 && c.ReplacedBy == "" {
			return nil, "" // nothing to keep
		}
		m := b.candidate(c)
		if m == nil {
			m = b.makeMember()
		}
		b.addSubject(m, n)
		b.warnClaimed(m, c)
		return m, ""
	}
	m := b.members[person]
	if c.Profile != nil && m.stub() && m.mergedInto.IsZero() {
		// The match that could not be made when only facts named the person: made now, as a pointer.
		if other := b.candidate(c); other != nil && b.root(other) != m {
			b.mergeInto(m, other)
		}
	}
	b.warnClaimed(m, c)
	return m, ""
}

// byReference finds the person of a change that names only an identifier (a logical reference).
func (b *batch) byReference(c *Change) (*member, string) {
	if len(c.Match) == 0 {
		return nil, ""
	}
	switch found := b.claimants(c.Match); len(found) {
	case 0:
		return nil, ReasonNobody
	case 1:
		return found[0], ""
	}
	return nil, ReasonSeveral
}

// claimants gives the records that have one of the identifiers, one per family: the survivor when it has it itself.
func (b *batch) claimants(match []Identifier) []*member {
	var found []*member
	for _, x := range match {
		for _, person := range b.identifiers[NormalIdentifier(x)] {
			m := b.members[person]
			if m == nil {
				continue
			}
			at := slices.IndexFunc(found, func(o *member) bool { return b.root(o) == b.root(m) })
			switch {
			case at < 0:
				found = append(found, m)
			case b.root(m) == m:
				found[at] = m
			}
		}
	}
	slices.SortFunc(found, func(x, y *member) int { return bytes.Compare(x.id[:], y.id[:]) })
	return found
}

// candidate gives the one record of other sources that a new record of this source belongs to by a strong identifier. Anything less
// than certain gives none, and a warning: two records are mended by a click, two people in one record are not.
func (b *batch) candidate(c *Change) *member {
	found := b.claimants(c.Match)
	switch {
	case len(found) == 0:
		return nil
	case len(found) > 1:
		b.warn("identifier", ReasonAmbiguous)
		return nil
	}
	m := found[0]
	for _, o := range b.family(b.root(m)) {
		for _, s := range o.core.GetSubjects() {
			if s.Source == c.Source && s.Key != c.Subject {
				b.warn("identifier", ReasonClaimed)
				return nil
			}
		}
	}
	if c.Profile != nil && contradicts(packProfile(c.Profile, nil), m.core.GetProfile()) {
		b.warn("identifier", ReasonOpposed)
		return nil
	}
	return m
}

// warnClaimed notes that an identifier of a known record belongs to another one as well.
func (b *batch) warnClaimed(m *member, c *Change) {
	if c.Profile == nil || m.fresh {
		return // a fresh record got its warning when it was kept apart
	}
	for _, o := range b.claimants(c.Match) {
		if b.root(o) != b.root(m) {
			b.warn("identifier", ReasonClaimed)
			return
		}
	}
}

func (b *batch) makeMember() *member {
	m := &member{
		id: id.New[id.Person](), state: personInUse, fresh: true, changed: true, reshaped: true, core: &CoreRecord{}, oldCore: &CoreRecord{},
		byResource: map[named]int{},
	}
	b.members[m.id] = m
	b.named[m.id] = true
	return m
}

func (b *batch) addSubject(m *member, n named) {
	b.subjects[n] = m.id
	m.core = shallow(m.core)
	m.core.Subjects = append(slices.Clone(m.core.Subjects), &SubjectRecord{Source: n.source, Key: n.key})
	m.changed, m.reshaped = true, true
}

// stub tells whether only facts name the person so far.
func (m *member) stub() bool {
	return !m.shadow && !slices.ContainsFunc(m.facts, func(f factRow) bool { return f.record.Profile != nil && !f.ended })
}

// root follows the pointers to the survivor.
func (b *batch) root(m *member) *member {
	for steps := 0; steps < len(b.members); steps++ {
		next := b.members[m.mergedInto]
		if next == nil {
			return m
		}
		m = next
	}
	return m // never happens: mergeInto makes no circle
}

// family gives a survivor and everyone merged into it.
func (b *batch) family(root *member) []*member {
	all := []*member{root}
	for i := 0; i < len(all); i++ {
		all = append(all, b.children[all[i].id]...)
	}
	return all
}

// survivor finds or makes the record that a merge message names.
func (b *batch) survivor(c *Change) *member {
	n := named{c.Source, c.ReplacedBy}
	if person, known := b.subjects[n]; known {
		return b.members[person]
	}
	m := b.makeMember()
	b.addSubject(m, n)
	return m
}

// mergeInto makes s the survivor of m: a pointer, nothing is moved. Only a message of the source that owns the numbers, or a person,
// asks for it. Repeated it does nothing; the inverse of a merge is held for a person (dcm4chee-arc-light#4589).
func (b *batch) mergeInto(m, s *member) {
	switch {
	case m == s:
		return
	case !m.mergedInto.IsZero():
		if b.root(m) != b.root(s) {
			b.warn("link", ReasonElsewhere)
		}
		return
	case b.root(s) == m:
		b.warn("link", ReasonInverse)
		return
	}
	m.mergedInto, m.state = s.id, personMerged
	m.changed, m.moved = true, true
	b.children[s.id] = append(b.children[s.id], m)
	b.applied.Merged++
}
