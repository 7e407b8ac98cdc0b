package config

import (
	"fmt"
	"reflect"
	"strings"
)

//go:generate go test -run TestDocument -update .

// Document gives docs/config.md.
func Document() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from the struct tags of `internal/config`; `go generate ./internal/config` writes it.\n\n" +
		"A setting comes from the file (`--config FILE`, or `CAREPOST_CONFIG`), then from the environment, then from a flag; the later one wins. An unknown key refuses to start.\n\n" +
		"| key | environment | default | what it is |\n| --- | --- | --- | --- |\n")
	for f := range fields() {
		key := f.Tag.Get("key")
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", key, prefix+strings.ToUpper(strings.ReplaceAll(key, "-", "_")), shown(f.Tag.Get("default")), f.Tag.Get("doc"))
	}
	return b.String()
}

func shown(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// Example gives a settings file with every key at its default, each with its documentation.
func Example() string {
	var b strings.Builder
	for f := range fields() {
		fmt.Fprintf(&b, "# %s\n#%s: %s\n\n", f.Tag.Get("doc"), f.Tag.Get("key"), f.Tag.Get("default"))
	}
	return b.String()
}

// Show gives the settings in force, secrets hidden.
func (c Config) Show() string {
	var b strings.Builder
	v := reflect.ValueOf(c)
	for f := range fields() {
		value := fmt.Sprint(v.FieldByIndex(f.Index).Interface())
		if f.Tag.Get("secret") != "" && value != "" {
			value = "(set)"
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Tag.Get("key"), value)
	}
	return b.String()
}
