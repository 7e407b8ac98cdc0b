package compose

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// textWidth is where plain text is wrapped; links are never cut.
const textWidth = 76

// plain writes the text/plain part: a message for itself, not a shadow of the HTML.
type plain struct {
	b      strings.Builder
	l      locale
	brand  Brand
	links  Links
	others []otherLanguage
}

func (w *plain) whole(blocks []Block) string {
	w.paragraph("", w.brand.Name)
	for _, b := range blocks {
		b.text(w)
	}
	return strings.TrimRight(w.b.String(), "\n") + "\n"
}

// paragraph writes wrapped text and a blank line; every line after the first is indented as far as the lead is long.
func (w *plain) paragraph(lead, text string) {
	w.lines(lead, text)
	w.b.WriteByte('\n')
}

func (w *plain) lines(lead, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			lead = indent
		}
		w.wrap(lead, indent, line)
	}
}

func (w *plain) wrap(lead, indent, line string) {
	column := 0
	for _, word := range strings.Fields(line) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			w.b.WriteString(lead)
			column = utf8.RuneCountInString(lead)
		case column+1+n > textWidth:
			w.b.WriteString("\n" + indent)
			column = len(indent)
		default:
			w.b.WriteByte(' ')
			column++
		}
		w.b.WriteString(word)
		column += n
	}
	w.b.WriteByte('\n')
}

func (w *plain) rich(lead, rich string) {
	for _, p := range paragraphs(rich) {
		lines := make([]string, len(p))
		for i, l := range p {
			lines[i] = linkedText(l)
		}
		w.paragraph(lead, strings.Join(lines, "\n"))
	}
}

// linkedText writes a link's address behind its label, unless the label is the address.
func linkedText(spans []span) string {
	var b strings.Builder
	for i, s := range spans {
		b.WriteString(s.text)
		if s.link != "" && s.link != s.text && (i+1 == len(spans) || spans[i+1].link != s.link) {
			b.WriteString(" <" + s.link + ">")
		}
	}
	return b.String()
}

func oneLine(rich string) string {
	var parts []string
	for _, p := range paragraphs(rich) {
		for _, l := range p {
			parts = append(parts, linkedText(l))
		}
	}
	return strings.Join(parts, " ")
}

func (b Heading) text(w *plain) {
	w.lines("", b.Text)
	if b.Level == 1 {
		w.b.WriteString(strings.Repeat("-", min(max(utf8.RuneCountInString(b.Text), 3), textWidth)) + "\n")
	}
	w.b.WriteByte('\n')
}

func (b Text) text(w *plain) { w.rich("", b.Text) }

func (b Callout) text(w *plain) {
	w.lines("", b.title(w.l)+":")
	w.rich("  ", b.Text)
}

func (b Button) text(w *plain) { w.paragraph("", b.Label+":\n"+b.URL) }

func (b List) text(w *plain) {
	for i, item := range b.Items {
		lead := "- "
		if b.Ordered {
			lead = strconv.Itoa(i+1) + ". "
		}
		w.lines(lead, oneLine(item))
	}
	if len(b.Items) > 0 {
		w.b.WriteByte('\n')
	}
}

// A table of one column is a list; a wider one is written row by row with its headers, which reads well at any width.
func (b Table) text(w *plain) {
	if len(b.Rows) == 0 {
		return
	}
	if b.Caption != "" {
		w.lines("", b.Caption+":")
	}
	for _, row := range b.Rows {
		for i, c := range row {
			lead := "  "
			if i == 0 {
				lead = "- "
			}
			w.lines(lead, b.Header[i]+": "+oneLine(c))
		}
	}
	w.b.WriteByte('\n')
}

func (b Image) text(w *plain) {
	if b.Alt != "" {
		w.lines("", "["+b.Alt+"]")
	}
	if b.URL != "" {
		w.lines("", b.URL)
	}
	if b.Alt != "" || b.URL != "" {
		w.b.WriteByte('\n')
	}
}

func (b Divider) text(w *plain) { w.b.WriteString(strings.Repeat("-", 40) + "\n\n") }
func (b Spacer) text(*plain)    {}

func (b Address) text(w *plain) { w.paragraph("", strings.Join(w.brand.lines(w.l), "\n")) }

func (b Unsubscribe) text(w *plain) {
	if w.links.Unsubscribe != "" {
		w.paragraph("", b.notice(w.l)+"\n"+w.links.Unsubscribe)
	}
}

func (b Advertisement) text(w *plain) { w.paragraph("", w.l.word("advertisement")) }

func (b Languages) text(w *plain) {
	if len(w.others) == 0 {
		return
	}
	w.lines("", w.l.word("languages"))
	for _, o := range w.others {
		w.lines("", o.name+": "+o.link)
	}
	w.b.WriteByte('\n')
}

// lines are the name and the postal address as a footer shows them.
func (b Brand) lines(l locale) []string {
	out := append([]string{b.Name}, b.Postal...)
	if b.Phone != "" {
		out = append(out, l.word("phone")+": "+phone(b.Phone))
	}
	return out
}
