package send

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
)

// decode reads JSON and keeps its numbers as they were written: the number of an account has more digits than a float64.
func decode(raw []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(to)
}

// openValues opens what the caller gave for one message.
func openValues(key seal.Key, m id.Message, sealed []byte) (map[string]any, error) {
	raw, err := key.Open(messageCell("vars", m), sealed)
	if err != nil {
		return nil, fmt.Errorf("open the caller's values: %w", err)
	}
	var given map[string]any
	if err := decode(raw, &given); err != nil {
		return nil, fmt.Errorf("read the caller's values: %w", err)
	}
	return plain(given), nil
}

// plain gives the values as compose takes them: a whole number is an int where it fits, and its digits where it does not.
func plain(values map[string]any) map[string]any {
	if values == nil {
		return nil
	}
	return plainOf(values).(map[string]any)
}

func plainOf(value any) any {
	switch v := value.(type) {
	case json.Number:
		return number(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = plainOf(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plainOf(x)
		}
		return out
	}
	return value
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return int(i)
	}
	for _, c := range n.String() {
		if c != '-' && (c < '0' || c > '9') {
			f, err := n.Float64()
			if err != nil {
				return n.String()
			}
			return f
		}
	}
	return n.String()
}
