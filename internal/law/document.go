package law

import (
	"fmt"
	"strings"
)

// units says each unit for readers: one, several.
var units = map[Unit][2]string{
	CalendarDay: {"calendar day", "calendar days"}, BusinessDay: {"business day", "business days"}, Year: {"year", "years"},
	Month: {"month", "months"}, Hour: {"hour", "hours"}, Minute: {"minute", "minutes"}, Person: {"person", "persons"},
	Message: {"message", "messages"}, Char: {"character", "characters"}, Count: {"", ""},
}

// Says gives the value with its unit: "10 business days", "$500", "08:00-21:00".
func (r Row) Says() string {
	if r.Unit == USD {
		return "$" + thousands(r.Value)
	}
	word := units[r.Unit][1]
	if r.Value == "1" {
		word = units[r.Unit][0]
	}
	return strings.TrimSpace(thousands(r.Value) + " " + word)
}

// thousands sets commas into a number of more than four digits and leaves everything else alone.
func thousands(value string) string {
	if len(value) < 5 || strings.Trim(value, "0123456789") != "" {
		return value
	}
	head := len(value) % 3
	parts := []string{}
	if head > 0 {
		parts = append(parts, value[:head])
	}
	for i := head; i < len(value); i += 3 {
		parts = append(parts, value[i:i+3])
	}
	return strings.Join(parts, ",")
}

// Markdown gives the table as docs/law.md.
func (t *Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The law, as numbers

Compiled %s. These are the numbers that Carepost reckons with, each with its source. A row counts for acts on the days between
"from" and "to"; only rows that are in force bind, and everything else is shown so that nobody mistakes it for law. **Read** says
whether somebody has read the number in the source named; a row that is not read must be compared with the text in force before
anybody relies on it. State rows want the eye of counsel. This is not legal advice.

The page is made from internal/law/law.json. A newer table of the same shape takes its place when it is signed (internal/law/load.go);
it may end a row, never leave one out.

| row | where | what | value | from | to | status | cite | read | source |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`, t.asOf)
	for _, r := range t.rows {
		read := "yes"
		if !r.Verified {
			read = "**no**"
		}
		what := r.Subject
		if r.Note != "" {
			what += " (" + r.Note + ")"
		}
		where := r.Where
		if where == "" {
			where = "US"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
			r.ID, where, what, r.Says(), r.From, r.To, strings.ReplaceAll(string(r.Status), "_", " "), r.Cite, read, r.Source)
	}
	b.WriteString(`
Business days leave out weekends, the federal holidays of 5 USC 6103 on the days they are observed, and the days that a state's
statutes exclude; the day of receipt does not count.
`)
	return b.String()
}
