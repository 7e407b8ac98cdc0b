package audience

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// jsonValue is one JSON value with the byte where it begins, so that a refusal can say where.
type jsonValue struct {
	at      int
	kind    byte   // '{', '[', '"', '0', 't', 'n'
	text    string // of a string; digits of a number
	flag    bool
	members []jsonMember
	items   []jsonValue
}

type jsonMember struct {
	key   string
	at    int
	value jsonValue
}

// maxJSONDepth admits a rule of maxDepth: each level of rules is an object and a list.
const maxJSONDepth = 2*maxDepth + 8

// jsonReader reads a value by the standard library's tokens: no recursion deeper than maxJSONDepth, no doubled keys.
type jsonReader struct {
	src string
	dec *json.Decoder
}

func readJSON(src string) (jsonValue, error) {
	if len(src) > maxJSON {
		return jsonValue{}, wrong("a rule is at most %d bytes of JSON", maxJSON).at(src, maxJSON)
	}
	if i := invalidUTF8(src); i >= 0 {
		return jsonValue{}, wrong("the text is not UTF-8").at(src, i)
	}
	r := &jsonReader{src: src, dec: json.NewDecoder(strings.NewReader(src))}
	r.dec.UseNumber()
	v, err := r.value(1)
	if err != nil {
		return v, err
	}
	if at := r.next(); at < len(src) {
		return v, wrong("something follows the end of the rule").at(src, at)
	}
	return v, nil
}

// next is the byte where the next token begins.
func (r *jsonReader) next() int {
	i := int(r.dec.InputOffset())
	for i < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[i]) >= 0 {
		i++
	}
	return i
}

func (r *jsonReader) token() (json.Token, int, error) {
	at := r.next()
	t, err := r.dec.Token()
	if err == nil {
		return t, at, nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset > 0 {
		at = max(at, int(syntax.Offset)-1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || at >= len(r.src) {
		return nil, len(r.src), wrong("the JSON ends too early").at(r.src, len(r.src))
	}
	return nil, at, wrong("this is not JSON").at(r.src, at)
}

func (r *jsonReader) value(depth int) (jsonValue, error) {
	t, at, err := r.token()
	if err != nil {
		return jsonValue{}, err
	}
	return r.from(t, at, depth)
}

func (r *jsonReader) from(t json.Token, at, depth int) (jsonValue, error) {
	v := jsonValue{at: at}
	switch t := t.(type) {
	case json.Delim:
		if depth > maxJSONDepth {
			return v, tooDeep().at(r.src, at)
		}
		v.kind = byte(t)
		if t == '{' {
			return r.object(v, depth)
		}
		return r.array(v, depth)
	case string:
		v.kind, v.text = '"', t
	case json.Number:
		v.kind, v.text = '0', t.String()
	case bool:
		v.kind, v.flag = 't', t
	default:
		v.kind = 'n'
	}
	return v, nil
}

func (r *jsonReader) object(v jsonValue, depth int) (jsonValue, error) {
	for {
		t, at, err := r.token()
		if err != nil {
			return v, err
		}
		key, ok := t.(string)
		if !ok {
			return v, nil // the closing brace: the decoder admits nothing else
		}
		for _, m := range v.members {
			if m.key == key {
				return v, wrong("this key stands twice").at(r.src, at)
			}
		}
		m := jsonMember{key: key, at: at}
		if m.value, err = r.value(depth + 1); err != nil {
			return v, err
		}
		if v.members = append(v.members, m); len(v.members) > 16 {
			return v, wrong("no part of a rule has so many keys").at(r.src, at)
		}
	}
}

func (r *jsonReader) array(v jsonValue, depth int) (jsonValue, error) {
	for {
		t, at, err := r.token()
		if err != nil {
			return v, err
		}
		if t == json.Delim(']') {
			return v, nil
		}
		item, err := r.from(t, at, depth+1)
		if err != nil {
			return v, err
		}
		if v.items = append(v.items, item); len(v.items) > maxValues {
			return v, wrong("a list has at most %d entries", maxValues).hinted("use a value set").at(r.src, at)
		}
	}
}

func invalidUTF8(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func tooDeep() *complaint {
	return wrong("the rule is nested more than %d deep", maxDepth).hinted("save inner parts as segments and name them")
}

func tooMany() *complaint {
	return wrong("the rule has more than %d conditions", maxLeaves).hinted("use a list, a value set or a segment")
}
