package audience

import (
	"slices"
	"strconv"
	"strings"
)

// Text gives the one text form of a rule: Parse gives the same rule back. Nested groups stand in brackets, needed or not.
func Text(r Rule) string {
	var b strings.Builder
	write(&b, r, false)
	return b.String()
}

func write(b *strings.Builder, r Rule, nested bool) {
	switch r := r.(type) {
	case All:
		writeGroup(b, r, " and ", nested)
	case Any:
		writeGroup(b, r, " or ", nested)
	case Not:
		b.WriteString("not ")
		write(b, r.Rule, true)
	default:
		b.WriteString(leafText(r))
	}
}

func writeGroup(b *strings.Builder, rules []Rule, word string, nested bool) {
	if nested {
		b.WriteByte('(')
	}
	for i, r := range rules {
		if i > 0 {
			b.WriteString(word)
		}
		write(b, r, true)
	}
	if nested {
		b.WriteByte(')')
	}
}

func leafText(r Rule) string {
	switch r := r.(type) {
	case Everyone:
		return "everyone"
	case Field:
		return fieldRule(r)
	case Has:
		return r.What + " " + termList(r.Terms) + when(r.AnyStatus, " any status")
	case Lab:
		text := "latest lab " + termList(r.Terms) + " " + opText[r.Op]
		if r.Op != OpExists {
			text += " " + r.Value
			if r.Unit != "" {
				text += " " + quote(r.Unit)
			}
		}
		return text + when(!r.Within.IsZero(), " within "+r.Within.String())
	case Count:
		return "count " + r.Event + " " + opText[r.Op] + " " + strconv.Itoa(r.N) + " in " + r.Within.String() + automatedText(r.Automated)
	case Last:
		return "last " + r.Event + " " + opText[r.Op] + " " + r.Within.String() + automatedText(r.Automated)
	case Never:
		return "never " + r.Event + automatedText(r.Automated)
	case Sequence:
		return r.First + when(r.Missing, " not") + " followed by " + r.Then + " within " + r.Gap.String() + " in " + r.Within.String() + automatedText(r.Automated)
	case Consent:
		return "consent " + quote(r.Name) + " " + r.State
	case Appointment:
		if r.Within.IsZero() {
			return "appointment booked in future"
		}
		return "appointment booked within " + r.Within.String()
	case Segment:
		return "in segment " + quote(r.Name)
	}
	return ""
}

func automatedText(yes bool) string { return when(yes, " including automated") }

func when(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

func fieldRule(r Field) string {
	text := r.Name + " " + opText[r.Op]
	switch {
	case r.Op == OpExists:
		return text
	case r.Op == OpIn:
		return text + " " + inList(r.Values)
	case !r.Within.IsZero():
		return text + " " + r.Within.String()
	}
	return text + " " + quote(r.Values[0])
}

func termList(terms []Term) string {
	list := make([]string, len(terms))
	for i, t := range terms {
		list[i] = t.String()
	}
	if len(terms) == 1 && terms[0].ValueSet == "" {
		return quote(list[0])
	}
	return "in " + inList(list)
}

func inList(values []string) string {
	if len(values) == 1 && strings.HasPrefix(values[0], setPrefix) {
		return values[0]
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = quote(v)
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// keywords never stand bare where a value does: a reader would stumble, and a unit would be taken for one.
var keywords = []string{
	"and", "or", "not", "in", "within", "older", "than", "exists", "including", "automated", "followed", "by", "any", "status", "active",
}

func isKeyword(word string) bool { return slices.Contains(keywords, strings.ToLower(word)) }

// quote puts a value in quotes where it could not stand bare.
func quote(v string) string {
	bare := v != "" && !isKeyword(v) && !strings.ContainsFunc(v, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_-.:*/@%[]{}+'#&^", r):
			return false
		}
		return true
	})
	if bare {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}
