package config

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/carepost/carepost/internal/fault"
)

// maxFile bounds the settings file.
const maxFile = 1 << 20

// Load reads the settings: the file at path (none when empty), then the environment as os.Environ gives it, then flags by key.
func Load(path string, environ []string, flags map[string]string) (Config, error) {
	var c Config
	set := map[string]source{}
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return c, fault.Wrap(fault.Invalid, err, "the settings file cannot be read").At("%s", path).Hint("name another one with --config, or leave it out")
		}
		if err := parse(path, raw, set); err != nil {
			return c, err
		}
	}
	if err := fromEnvironment(environ, set); err != nil {
		return c, err
	}
	for k, v := range flags {
		if err := known(k, "--set "+k); err != nil {
			return c, err
		}
		set[k] = source{v, "--set " + k}
	}
	return c, fill(&c, set)
}

type source struct{ text, where string }

// parse reads a flat YAML mapping of scalars.
func parse(path string, raw []byte, set map[string]source) error {
	if len(raw) > maxFile {
		return fault.New(fault.TooLarge, "the settings file is larger than 1 MiB").At("%s", path)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return fault.Wrap(fault.Invalid, err, "the settings file is not YAML").At("%s", path).Hint("write one `key: value` a line; `carepost config example` prints one")
	}
	if len(doc.Content) == 0 {
		return nil
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fault.New(fault.Invalid, "the settings file is no list of keys").At("%s line %d", path, top.Line).Hint("write one `key: value` a line")
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		k, v := top.Content[i], top.Content[i+1]
		where := path + " line " + strconv.Itoa(k.Line)
		if err := known(k.Value, where); err != nil {
			return err
		}
		if _, twice := set[k.Value]; twice {
			return fault.New(fault.Invalid, "the key stands twice").At("%s", where)
		}
		if v.Kind != yaml.ScalarNode {
			return fault.New(fault.Invalid, "the value of %s is not a single one", k.Value).At("%s", where)
		}
		set[k.Value] = source{v.Value, where}
	}
	return nil
}

const prefix = "CAREPOST_"

// outside names variables of the same prefix that are no settings: the switches of tests and scripts.
var outside = []string{"CAREPOST_CONFIG", "CAREPOST_SOAK"}

func fromEnvironment(environ []string, set map[string]source) error {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		key, ours := strings.CutPrefix(name, prefix)
		if !ours || slices.Contains(outside, name) || cluster(key) {
			continue
		}
		key = strings.ReplaceAll(strings.ToLower(key), "_", "-")
		if err := known(key, name); err != nil {
			return err
		}
		set[key] = source{value, name}
	}
	return nil
}

// cluster tells a variable that Kubernetes sets for a service of our name; none of them is a setting.
func cluster(rest string) bool {
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

func known(key, where string) error {
	keys := Keys()
	if slices.Contains(keys, key) {
		return nil
	}
	nearest := slices.MinFunc(keys, func(a, b string) int { return distance(a, key) - distance(b, key) })
	return fault.New(fault.Invalid, "there is no such setting").At("%s", where).Hint("the nearest is %q; `carepost config` lists all", nearest)
}

// Keys gives every key in the order of the struct.
func Keys() []string {
	var all []string
	for f := range fields() {
		all = append(all, f.Tag.Get("key"))
	}
	return all
}

func fields() func(yield func(reflect.StructField) bool) {
	t := reflect.TypeFor[Config]()
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func fill(c *Config, set map[string]source) error {
	v := reflect.ValueOf(c).Elem()
	for f := range fields() {
		s, ok := set[f.Tag.Get("key")]
		if !ok {
			s = source{f.Tag.Get("default"), "the default of " + f.Tag.Get("key")}
		}
		if err := assign(v.FieldByIndex(f.Index), f.Tag, s.text); err != nil {
			bad, _ := errors.AsType[*fault.Error](err)
			return bad.At("%s", s.where)
		}
	}
	return nil
}

func assign(v reflect.Value, tag reflect.StructTag, text string) error {
	switch v.Interface().(type) {
	case string:
		if one := tag.Get("oneof"); one != "" && !slices.Contains(strings.Fields(one), text) {
			return fault.New(fault.Invalid, "not a value of %s", tag.Get("key")).Hint("it is one of %s", strings.Join(strings.Fields(one), ", "))
		}
		v.SetString(text)
	case int:
		n, err := strconv.Atoi(text)
		lo, _ := strconv.Atoi(tag.Get("min")) // tags are ours; a test reads them all
		hi, _ := strconv.Atoi(tag.Get("max"))
		if err != nil || n < lo || n > hi {
			return fault.New(fault.Invalid, "not a value of %s", tag.Get("key")).Hint("it is a whole number from %d to %d", lo, hi)
		}
		v.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fault.New(fault.Invalid, "not a value of %s", tag.Get("key")).Hint("it is a duration such as 90s, 30m or 48h")
		}
		v.SetInt(int64(d))
	}
	return nil
}

// distance is the Levenshtein distance; keys are short.
func distance(a, b string) int {
	if len(b) > 64 {
		b = b[:64]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
