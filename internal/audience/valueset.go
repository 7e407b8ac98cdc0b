package audience

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// ValueSet is a named list that rules refer to as @valueset:name: codes, with or without their descendants, or values of a field.
// A set holds no other set.
type ValueSet struct {
	Name    string
	Version int      // from 1; a change makes a new version
	Members []string // as written: icd10:E11.*, 60601, 606*
}

const maxMembers = 50_000

// NewValueSet checks the members and brings them to their written form, each once.
func NewValueSet(name string, members []string) (ValueSet, error) {
	set := ValueSet{Name: name, Version: 1}
	if !validName(name, false) {
		return set, expected("a name of letters, digits, dot, dash and underscore").at(name, 0)
	}
	if len(members) == 0 || len(members) > maxMembers {
		return set, wrong("a value set has 1 to %d members", maxMembers).at("", 0)
	}
	seen := make(map[string]bool, len(members))
	for i, m := range members {
		m = strings.TrimSpace(m)
		if strings.Contains(m, ":") {
			t, c := parseTerm(m)
			if c != nil {
				return set, c.at(strings.Repeat("\n", i), i) // the line is the member's number
			}
			m = t.String()
		} else if c := checkWord(m); c != nil {
			return set, c.at(strings.Repeat("\n", i), i)
		}
		if !seen[m] {
			seen[m] = true
			set.Members = append(set.Members, m)
		}
	}
	return set, nil
}

// Hash names the content whatever the order: it is part of what an approval of a segment covers.
func (s ValueSet) Hash() [32]byte {
	sorted := slices.Sorted(slices.Values(s.Members))
	return sha256.Sum256([]byte(strings.Join(sorted, "\n")))
}

// terms gives the members that are codes.
func (s ValueSet) terms() []Term {
	var list []Term
	for _, m := range s.Members {
		if t, c := parseTerm(m); c == nil {
			list = append(list, t)
		}
	}
	return list
}

// values gives the members that are values of the field, in their written form.
func (s ValueSet) values(f *field) []string {
	var list []string
	for _, m := range s.Members {
		if v, c := f.value(m); c == nil && !strings.HasPrefix(v, setPrefix) {
			list = append(list, v)
		}
	}
	return list
}
