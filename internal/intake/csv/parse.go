package csv

import "strings"

// cells takes a record apart. Cells of unquoted text keep their quotes; into is used again.
func cells(text string, delim, quote byte, into []string) []string {
	into = into[:0]
	if quote == 0 || strings.IndexByte(text, quote) < 0 {
		for {
			end := strings.IndexByte(text, delim)
			if end < 0 {
				return append(into, text)
			}
			into = append(into, text[:end])
			text = text[end+1:]
		}
	}
	for {
		var cell string
		if text != "" && text[0] == quote {
			cell, text = quotedCell(text, delim, quote)
			into = append(into, cell)
			if text == "" {
				return into
			}
			text = text[1:] // the delimiter
			continue
		}
		end := strings.IndexByte(text, delim)
		if end < 0 {
			return append(into, text)
		}
		into = append(into, text[:end])
		text = text[end+1:]
	}
}

// quotedCell gives the first cell, which is quoted, and the rest from its delimiter on.
func quotedCell(text string, delim, quote byte) (cell, rest string) {
	begin, i, doubled := 1, 1, false
	for i < len(text) {
		if text[i] != quote {
			i++
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			doubled = true
			i += 2
			continue
		}
		break
	}
	cell = text[begin:min(i, len(text))]
	if doubled {
		q := string(quote)
		cell = strings.ReplaceAll(cell, q+q, q)
	}
	rest = text[min(i+1, len(text)):]
	if rest != "" && rest[0] != delim { // the cutter lets only a CR stand there
		if at := strings.IndexByte(rest, delim); at >= 0 {
			return cell, rest[at:]
		}
		return cell, ""
	}
	return cell, rest
}
