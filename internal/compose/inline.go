package compose

import "strings"

// span is a run of text with one look.
type span struct {
	text         string
	bold, italic bool
	link         string
}

const marks = `\*[]()`

// escapeMarks puts a backslash before each mark, so that it is shown.
func escapeMarks(s string) string {
	if !strings.ContainsAny(s, marks) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(marks, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// paragraphs cuts a rich text at blank lines and each paragraph at line breaks.
func paragraphs(rich string) [][][]span {
	var out [][][]span
	for _, p := range strings.Split(strings.ReplaceAll(rich, "\r\n", "\n"), "\n\n") {
		var lines [][]span
		for line := range strings.Lines(strings.Trim(p, "\n \t")) {
			lines = append(lines, inline(strings.TrimRight(line, "\n \t")))
		}
		if len(lines) > 0 {
			out = append(out, lines)
		}
	}
	return out
}

// inline reads **bold**, *italic* and [label](link). A mark without its partner is shown as it is.
func inline(s string) []span {
	var out []span
	var text strings.Builder
	bold, italic := false, false
	flush := func(link string) {
		if text.Len() > 0 {
			out = append(out, span{text.String(), bold, italic, link})
			text.Reset()
		}
	}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(marks, s[i+1]) >= 0:
			text.WriteByte(s[i+1])
			i += 2
		case strings.HasPrefix(s[i:], "**") && (bold || closes(s[i+2:], "**")):
			flush("")
			bold = !bold
			i += 2
		case c == '*' && (italic || closes(s[i+1:], "*")):
			flush("")
			italic = !italic
			i++
		case c == '[':
			label, link, n := linked(s[i:])
			if n == 0 {
				text.WriteByte(c)
				i++
				continue
			}
			flush("")
			text.WriteString(label)
			flush(link)
			i += n
		default:
			text.WriteByte(c)
			i++
		}
	}
	flush("")
	return out
}

// closes tells whether the mark stands unescaped further on, after at least one character.
func closes(s, mark string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		if i > 0 && strings.HasPrefix(s[i:], mark) {
			return true
		}
	}
	return false
}

// linked reads [label](link) and gives the number of bytes it takes; 0 when it is none.
func linked(s string) (label, link string, n int) {
	label, n = until(s[1:], ']')
	if n == 0 || label == "" || 1+n >= len(s) || s[1+n] != '(' {
		return "", "", 0
	}
	link, m := until(s[1+n+1:], ')')
	if m == 0 || checkLink(link) != nil {
		return "", "", 0
	}
	return label, link, 1 + n + 1 + m
}

func until(s string, closing byte) (string, int) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(marks, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case s[i] == closing:
			return b.String(), i + 1
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}
