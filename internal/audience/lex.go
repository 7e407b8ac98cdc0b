package audience

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // bare: keywords, names, numbers, codes
	tokenQuoted           // "..." with \" and \\
	tokenOp               // = != < <= > >=
	tokenOpen
	tokenClose
	tokenComma
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// is tells whether the token is the bare keyword, in any case.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// value tells whether the token can be a value.
func (t token) value() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

const notWord = "(),\"=!<>"

// lex splits the text form. A word runs to white space, a bracket, a comma, a quote or an operator.
func lex(src string) ([]token, error) {
	if len(src) > maxText {
		return nil, wrong("a rule is at most %d bytes of text", maxText).hinted("use a value set or a segment").at(src, maxText)
	}
	if i := invalidUTF8(src); i >= 0 {
		return nil, wrong("the text is not UTF-8").at(src, i)
	}
	var list []token
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRuneInString(src[i:])
		switch {
		case unicode.IsSpace(r):
			i += n
			continue
		case r == '(':
			list = append(list, token{tokenOpen, "(", i})
		case r == ')':
			list = append(list, token{tokenClose, ")", i})
		case r == ',':
			list = append(list, token{tokenComma, ",", i})
		case strings.ContainsRune("=!<>", r):
			t, c := lexOp(src, i)
			if c != nil {
				return nil, c.at(src, i)
			}
			list, n = append(list, t), len(t.text)
		case r == '"':
			t, size, c := lexQuoted(src, i)
			if c != nil {
				return nil, c.at(src, i)
			}
			list, n = append(list, t), size
		case strings.ContainsRune("≥≤≠“”„‘’", r):
			return nil, wrong("this character has no meaning here").hinted("write >=, <= or !=, and straight quotes").at(src, i)
		case r < ' ' || r == 0x7f:
			return nil, wrong("a control character has no meaning here").at(src, i)
		default:
			for n = 0; i+n < len(src); {
				r, size := utf8.DecodeRuneInString(src[i+n:])
				if unicode.IsSpace(r) || r < ' ' || strings.ContainsRune(notWord, r) {
					break
				}
				n += size
			}
			list = append(list, token{tokenWord, src[i : i+n], i})
		}
		i += n
	}
	return append(list, token{kind: tokenEnd, at: len(src)}), nil
}

func lexOp(src string, i int) (token, *complaint) {
	for _, op := range []string{"!=", "<=", ">="} {
		if strings.HasPrefix(src[i:], op) {
			return token{tokenOp, op, i}, nil
		}
	}
	switch {
	case strings.HasPrefix(src[i:], "=="):
		return token{}, wrong("this operator does not exist").hinted("write =")
	case strings.HasPrefix(src[i:], "<>"), src[i] == '!':
		return token{}, wrong("this operator does not exist").hinted("write != or not")
	case strings.HasPrefix(src[i:], "=<"), strings.HasPrefix(src[i:], "=>"):
		return token{}, wrong("this operator does not exist").hinted("write <= or >=")
	}
	return token{tokenOp, src[i : i+1], i}, nil
}

func lexQuoted(src string, i int) (token, int, *complaint) {
	var b strings.Builder
	for j := i + 1; j < len(src); j++ {
		switch c := src[j]; c {
		case '"':
			return token{tokenQuoted, b.String(), i}, j + 1 - i, nil
		case '\\':
			if j+1 == len(src) || src[j+1] != '"' && src[j+1] != '\\' {
				return token{}, 0, wrong(`after \ in quotes stands " or \`)
			}
			j++
			b.WriteByte(src[j])
		case '\n':
			return token{}, 0, wrong("the quotes are not closed on this line")
		default:
			b.WriteByte(c)
		}
	}
	return token{}, 0, wrong("the quotes are not closed")
}
