package people

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

const useOld = "old"

// The fields that Core.Placeholder names.
const (
	PlaceholderBirthField = "birth"
	PlaceholderNameField  = "name"
)

// profile is what one source says of a person in one of its records.
type profile struct {
	source, key string
	updated     time.Time
	said        *ProfileRecord
}

// mergeProfiles gives the profile that all sources say together: field by field the word of the record in use that changed last.
// It is a function of the set; the order of arrival makes no difference.
func mergeProfiles(all []profile) *ProfileRecord {
	slices.SortFunc(all, func(a, b profile) int {
		if a.said.Inactive != b.said.Inactive {
			if a.said.Inactive {
				return 1
			}
			return -1
		}
		return cmp.Or(b.updated.Compare(a.updated), cmp.Compare(a.source, b.source), cmp.Compare(a.key, b.key))
	})
	m := &ProfileRecord{Inactive: len(all) > 0}
	custom := map[string]string{}
	for _, p := range all {
		s := p.said
		m.Inactive = m.Inactive && s.Inactive
		if m.Kind == 0 || Kind(s.Kind) == KindPatient {
			m.Kind = s.Kind
		}
		if len(m.Names) == 0 {
			m.Names = s.Names
		}
		if m.Birth == 0 || moreExact(s.Birth, m.Birth) {
			m.Birth = s.Birth
		}
		m.Sex = cmp.Or(m.Sex, s.Sex)
		if len(m.Languages) == 0 {
			m.Languages = s.Languages
		}
		m.Zone = cmp.Or(m.Zone, s.Zone)
		m.Deceased = m.Deceased || s.Deceased // one source that knows is enough to stop: silence harms nobody
		m.DeceasedOn = cmp.Or(m.DeceasedOn, s.DeceasedOn)
		if len(m.Addresses) == 0 {
			m.Addresses = s.Addresses
		}
		m.Contacts = addContacts(m.Contacts, s.Contacts)
		m.Identifiers = addIdentifiers(m.Identifiers, s.Identifiers)
		for _, kv := range s.Custom {
			if _, said := custom[kv.Key]; !said {
				custom[kv.Key] = kv.Value
			}
		}
	}
	m.Custom = packPairs(custom)
	sortContacts(m.Contacts)
	return m
}

// moreExact tells whether a is the same date as b with more of it known.
func moreExact(a, b uint32) bool {
	x, y := unpackDate(a), unpackDate(b)
	return x.Year == y.Year && (y.Month == 0 && x.Month != 0 || x.Month == y.Month && y.Day == 0 && x.Day != 0)
}

func addContacts(all, more []*ContactRecord) []*ContactRecord {
	for _, c := range more {
		if !slices.ContainsFunc(all, func(x *ContactRecord) bool { return sameContact(x, c) }) {
			all = append(all, &ContactRecord{Channel: c.Channel, Value: c.Value, Normal: c.Normal, Use: c.Use, Rank: c.Rank, State: c.State})
		}
	}
	return all
}

func sameContact(a, b *ContactRecord) bool {
	if a.Channel != b.Channel || a.Normal != b.Normal {
		return false
	}
	return a.Normal != "" || a.Value == b.Value
}

// sortContacts puts what is to be used first: usable before old, by rank (FHIR: 1 is preferred), and as the source had them.
func sortContacts(all []*ContactRecord) {
	rank := func(c *ContactRecord) int32 {
		if c.Rank <= 0 {
			return 1 << 20
		}
		return c.Rank
	}
	slices.SortStableFunc(all, func(a, b *ContactRecord) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(rank(a), rank(b)))
	})
}

func addIdentifiers(all, more []*IdentifierRecord) []*IdentifierRecord {
	for _, x := range more {
		same := func(y *IdentifierRecord) bool {
			return NormalIdentifier(identifierOf(x)) == NormalIdentifier(identifierOf(y))
		}
		if !slices.ContainsFunc(all, same) {
			all = append(all, x)
		}
	}
	return all
}

func identifierOf(r *IdentifierRecord) Identifier {
	return Identifier{System: r.System, Value: r.Value, Type: r.Type}
}

// rebuildCore gives the core record that the current facts say, keeping what only Carepost knows: ids and states of contact
// points, consents, subjects, and that a person said the patient lives. received is the day that birth dates are judged by.
func rebuildCore(old *CoreRecord, facts []factRow, received Date) *CoreRecord {
	var profiles []profile
	var proxies []*factRow
	for i := range facts {
		f := &facts[i]
		switch {
		case f.record.Profile != nil && FactState(f.record.State) != StateError:
			said := f.record.Profile
			if said.Deceased && store.Millis(f.id.Time()) <= old.GetRevivedMs() {
				said = cloneProfile(said)
				said.Deceased, said.DeceasedOn = false, 0
			}
			profiles = append(profiles, profile{source: f.source, key: f.record.Resource, updated: msTime(f.record.UpdatedMs), said: said})
		case FactKind(f.record.Kind) == FactProxy && FactState(f.record.State) == StateActive:
			proxies = append(proxies, f)
		}
	}
	m := mergeProfiles(profiles)
	r := &CoreRecord{
		Profile: m, Subjects: old.GetSubjects(), Consents: old.GetConsents(), Kind: m.Kind,
		Inactive: m.Inactive || len(facts) == 0, RevivedMs: old.GetRevivedMs(),
	}
	if r.Kind == 0 {
		r.Kind = cmp.Or(old.GetKind(), uint32(KindPatient)) // a record that only facts name so far
	}
	if old.GetProfile().GetDeceased() {
		m.Deceased, m.DeceasedOn = true, cmp.Or(m.DeceasedOn, old.GetProfile().GetDeceasedOn()) // alive again needs a person's word
	}
	r.Contacts = keepContacts(old.GetContacts(), m.Contacts)
	if birth := unpackDate(m.Birth); PlaceholderBirth(birth, received) {
		r.Placeholder = append(r.Placeholder, PlaceholderBirthField)
	}
	if names := unpackNames(m.Names); len(names) > 0 && names[0].placeholder() {
		r.Placeholder = append(r.Placeholder, PlaceholderNameField)
	}
	slices.SortFunc(proxies, func(a, b *factRow) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.record.Resource, b.record.Resource))
	})
	for _, f := range proxies {
		t := unpackPairs(f.record.Text)
		r.Proxies = append(r.Proxies, &ProxyRecord{
			Name: t[TextName], Relationship: t[TextLabel], Email: t[TextEmail], Phone: t[TextPhone], Until: f.record.End.GetDate(),
		})
	}
	return r
}

// keepContacts gives each current contact point its id and the state that Carepost found, and returns the list of all ever seen.
func keepContacts(known, current []*ContactRecord) []*ContactRecord {
	kept := slices.Clone(known)
	for _, c := range current {
		at := slices.IndexFunc(kept, func(k *ContactRecord) bool { return sameContact(k, c) })
		if at < 0 {
			c.Id = bytesOf(id.New[id.ContactPoint]())
			kept = append(kept, &ContactRecord{Id: c.Id, Channel: c.Channel, Value: c.Value, Normal: c.Normal})
			continue
		}
		c.Id = bytes.Clone(kept[at].Id)
		if c.State == uint32(ContactUsable) {
			c.State = kept[at].State
		}
	}
	sortContacts(current)
	return kept
}

// contradicts tells whether two profiles that share an identifier speak of different people: both births are known to the day
// and differ, and no part of the family names is the same. Such records are left apart for a person to look at.
func contradicts(a, b *ProfileRecord) bool {
	x, y := unpackDate(a.GetBirth()), unpackDate(b.GetBirth())
	if !x.Full() || !y.Full() || x == y || PlaceholderBirth(x, Date{}) || PlaceholderBirth(y, Date{}) {
		return false
	}
	tokens := map[string]bool{}
	for _, n := range a.GetNames() {
		for t := range strings.FieldsSeq(NormalName(n.Family)) {
			tokens[t] = true
		}
	}
	for _, n := range b.GetNames() {
		for t := range strings.FieldsSeq(NormalName(n.Family)) {
			if tokens[t] {
				return false
			}
		}
	}
	return len(tokens) > 0
}

func msTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
