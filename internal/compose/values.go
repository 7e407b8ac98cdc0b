package compose

import (
	"log/slog"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
)

// Limits of the values of one message.
const (
	maxValueBytes  = 8 << 10
	maxValues      = 500
	maxListRecords = 500
	maxAllBytes    = 256 << 10
)

// Values is what one recipient's message is filled with. It holds PHI and prints nothing of itself.
type Values struct {
	Languages []string       // BCP 47, the preferred first; none takes the original
	Vars      map[string]any // dotted names ("person.first") or nested maps; string, bool, int, float64, time.Time, []map[string]any
	Links     Links
}

// Links are the addresses that a message of this recipient carries. They are made from the configured base address only, never
// from a request, and hold opaque tokens.
type Links struct {
	Unsubscribe string            // https; needed by commercial mail; also the one-click address of RFC 8058
	Preferences string            // what the recipient wants to get
	View        string            // the message as a page
	Languages   map[string]string // language -> the page in it, for the languages block
}

// String prints no value.
func (Values) String() string { return "[sealed]" }

// GoString prints no value.
func (Values) GoString() string { return "[sealed]" }

// LogValue prints no value.
func (Values) LogValue() slog.Value { return slog.StringValue("[sealed]") }

// bind checks the values against the declarations and gives the tree that merge fields read. It returns plain copies only: no
// method of a live object can be reached from a template.
func bind(declared map[string]Variable, v Values, b Brand) (map[string]any, error) {
	flat := map[string]any{}
	flatten("", v.Vars, flat, 0)
	out := make(map[string]any, len(declared)+4)
	size := 0
	if len(flat) > maxValues {
		return nil, fault.New(fault.TooLarge, "more than %d values", maxValues)
	}
	for name, d := range declared {
		value, ok := flat[name]
		if !ok || value == nil {
			continue
		}
		plain, n, ok := plainValue(d, value)
		if !ok {
			return nil, fault.New(fault.Invalid, "the value is not of the kind %s", d.Kind).At("%s", name)
		}
		if size += n; size > maxAllBytes {
			return nil, fault.New(fault.TooLarge, "the values are larger than %d KiB together", maxAllBytes>>10)
		}
		set(out, name, plain)
	}
	set(out, "organisation.name", b.Name)
	for name, value := range map[string]string{
		"organisation.phone": b.Phone, "links.unsubscribe": v.Links.Unsubscribe, "links.preferences": v.Links.Preferences, "links.view": v.Links.View,
	} {
		if value != "" {
			set(out, name, value)
		}
	}
	return out, nil
}

func flatten(prefix string, vars map[string]any, out map[string]any, depth int) {
	const maxDepth = 4
	for k, v := range vars {
		if inner, ok := v.(map[string]any); ok && depth < maxDepth {
			flatten(prefix+k+".", inner, out, depth+1)
			continue
		}
		out[prefix+k] = v
	}
}

func set(tree map[string]any, name string, value any) {
	for {
		head, rest, more := strings.Cut(name, ".")
		if !more {
			tree[head] = value
			return
		}
		inner, ok := tree[head].(map[string]any)
		if !ok {
			inner = map[string]any{}
			tree[head] = inner
		}
		tree, name = inner, rest
	}
}

func get(tree map[string]any, name string) any {
	for {
		head, rest, more := strings.Cut(name, ".")
		if !more {
			return tree[head]
		}
		inner, ok := tree[head].(map[string]any)
		if !ok {
			return nil
		}
		tree, name = inner, rest
	}
}

func plainValue(d Variable, value any) (plain any, size int, ok bool) {
	if d.Kind == KindList {
		return plainList(d, value)
	}
	scalar, ok := plainScalar(value)
	if !ok {
		return nil, 0, false
	}
	switch d.Kind {
	case KindText:
		s := show(scalar)
		return s, len(s), len(s) <= maxValueBytes
	case KindNumber:
		_, ok := number(scalar)
		return scalar, 8, ok
	case KindFlag:
		_, ok := scalar.(bool)
		return scalar, 1, ok
	case KindDate:
		s, _ := scalar.(string)
		_, _, err := parseMoment(s)
		return s, len(s), err == nil
	case KindLink:
		s, _ := scalar.(string)
		return s, len(s), checkLink(s) == nil
	case KindList:
	}
	return nil, 0, false
}

func plainScalar(value any) (any, bool) {
	switch v := value.(type) {
	case string, bool, int, float64:
		return v, true
	case int64:
		return int(v), true
	case int32:
		return int(v), true
	case uint32:
		return int(v), true
	case float32:
		return float64(v), true
	case time.Time:
		return v.Format(time.RFC3339), true
	}
	return nil, false
}

func plainList(d Variable, value any) (any, int, bool) {
	var records []map[string]any
	switch v := value.(type) {
	case []map[string]any:
		records = v
	case []any:
		for _, item := range v {
			r, ok := item.(map[string]any)
			if !ok {
				return nil, 0, false
			}
			records = append(records, r)
		}
	default:
		return nil, 0, false
	}
	if len(records) > maxListRecords {
		return nil, 0, false
	}
	size := 0
	out := make([]any, 0, len(records))
	for _, r := range records {
		plain := map[string]any{}
		for _, f := range d.Fields {
			if r[f] == nil {
				continue
			}
			scalar, ok := plainScalar(r[f])
			if !ok || len(show(scalar)) > maxValueBytes {
				return nil, 0, false
			}
			plain[f] = scalar
			size += len(show(scalar))
		}
		out = append(out, plain)
	}
	return out, size, true
}
