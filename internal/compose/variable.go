package compose

import (
	"regexp"
	"slices"

	"github.com/carepost/carepost/internal/fault"
)

var (
	variableName = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$`)
	fieldName    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// given are the variables that every message has without declaring them; Render fills them from the brand and the links.
var given = []Variable{
	{Name: "organisation.name", Kind: KindText},
	{Name: "organisation.phone", Kind: KindText, Optional: true},
	{Name: "links.unsubscribe", Kind: KindLink, Optional: true},
	{Name: "links.preferences", Kind: KindLink, Optional: true},
	{Name: "links.view", Kind: KindLink, Optional: true},
}

// reserved words of Liquid, and roots that Render fills itself.
var reserved = []string{"and", "or", "not", "contains", "in", "true", "false", "nil", "null", "empty", "blank", "forloop", "item", "organisation", "links"}

func checkVariables(list []Variable) error {
	seen := map[string]bool{}
	for i, v := range list {
		where := func(field string) func(*fault.Error) error {
			return func(e *fault.Error) error { return e.At("variables[%d].%s", i, field) }
		}
		if !variableName.MatchString(v.Name) || slices.Contains(reserved, root(v.Name)) {
			return where("name")(fault.New(fault.Invalid, "not a name for a variable").Hint("lower-case words joined by dots, as in person.first"))
		}
		if seen[v.Name] {
			return where("name")(fault.New(fault.Invalid, "the variable %s stands twice", v.Name))
		}
		seen[v.Name] = true
		switch v.Kind {
		case KindText, KindNumber, KindFlag, KindDate, KindLink:
			if len(v.Fields) > 0 {
				return where("fields")(fault.New(fault.Invalid, "only a list has fields"))
			}
		case KindList:
			if len(v.Fields) == 0 || len(v.Fields) > 30 {
				return where("fields")(fault.New(fault.Invalid, "a list names the 1 to 30 fields of its records"))
			}
			for _, f := range v.Fields {
				if !fieldName.MatchString(f) {
					return where("fields")(fault.New(fault.Invalid, "not a name for a field").Hint("lower-case letters, digits and _"))
				}
			}
		default:
			return where("kind")(fault.New(fault.Invalid, "not a kind of variable").Hint("text, number, flag, date, link or list"))
		}
	}
	for i, v := range list { // person and person.first cannot both be
		for p := parent(v.Name); p != ""; p = parent(p) {
			if seen[p] {
				return fault.New(fault.Invalid, "%s is a value and cannot hold %s", p, v.Name).At("variables[%d].name", i)
			}
		}
	}
	return nil
}

func root(name string) string {
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return name
}

func parent(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return ""
}

// nearest gives the known word that is fewest edits away, or "" when none is near.
func nearest(word string, known []string) string {
	best, distance := "", len(word)/2+1
	for _, k := range known {
		if d := edits(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
