package audience

import "strings"

// FieldTable gives the rows of the table of fields in docs/rules.md.
func FieldTable() []string {
	var rows []string
	for _, f := range fields {
		ops := make([]string, len(f.ops))
		for i, o := range f.ops {
			ops[i] = opText[o]
		}
		text := strings.Join(ops, " ")
		text = strings.Replace(text, ">= older than within exists", ">= older than, within, exists", 1)
		rows = append(rows, "| `"+f.name+"` | "+f.about+" | "+text+" |")
	}
	return rows
}
