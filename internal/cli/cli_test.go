package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

//go:generate go test -run TestCommandsDocument -update .

var update = flag.Bool("update", false, "write docs/commands.md")

// TestCommandsDocument: the reference is made from the grammar.
func TestCommandsDocument(t *testing.T) {
	var c commands
	parser, err := grammar(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	want := document(parser.Model)
	path := filepath.Join("..", "..", "docs", "commands.md")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/commands.md is not what the grammar says (%v); run go generate ./internal/cli", err)
	}
}

func document(m *kong.Application) string {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the grammar of `internal/cli`; `go generate ./internal/cli` writes it.\n\n" +
		"Exit status: 0 done, 1 it could not be done or does not hold, 2 the command line is wrong. A command asks the running server over its\n" +
		"socket; when none holds the data folder, it does the work itself.\n\nEvery command takes:\n\n")
	row := func(name, help string) { fmt.Fprintf(&b, "- `%s`: %s\n", name, strings.TrimSuffix(help, ".")) }
	for _, f := range m.Flags {
		row(f.String(), f.Help)
	}
	for _, leaf := range m.Leaves(true) {
		if leaf.Hidden {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", strings.TrimPrefix(leaf.FullPath(), "carepost "), leaf.Help)
		if len(leaf.Positional)+len(leaf.Flags) > 0 {
			b.WriteString("\n")
		}
		for _, a := range leaf.Positional {
			row(a.Summary(), or(a.Help, "the "+a.Name))
		}
		for _, f := range leaf.Flags {
			help := or(f.Help, "the "+strings.ReplaceAll(f.Name, "-", " "))
			if f.Required {
				help = strings.TrimSuffix(help, ".") + " (required)"
			}
			row(f.String(), help)
		}
	}
	return b.String()
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// TestWrongCommandLines: what a person gets wrong is said in one line, with where to look next.
func TestWrongCommandLines(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := []string{"--set", "data=" + dir, "--set", "keys=" + dir}
	for _, c := range []struct {
		args []string
		exit int
		says []string
	}{
		{[]string{"nosuch"}, 2, []string{"there is no command nosuch", "carepost --help"}},
		{[]string{"init"}, 2, []string{"--domain", "carepost init --help"}},
		{[]string{"segment", "create"}, 2, []string{"carepost segment create --help"}},
		{[]string{"send", "--template", "x", "--purpose", "treatment", "--class", "transactional"}, 2, []string{"--segment", "--person"}},
		{[]string{"config", "nonsense"}, 2, []string{"show", "example", "docs"}},
		{[]string{"--set", "bogus", "doctor"}, 1, []string{"key=value"}},
		{[]string{"--set", "dat=x", "doctor"}, 1, []string{"there is no such setting", `"data"`}},
		{[]string{"--config", dir, "doctor"}, 1, []string{dir, "settings file cannot be read"}},
		{[]string{"--set", "log-level=loud", "doctor"}, 1, []string{"log-level"}},
		{[]string{"--set", "keys=" + dir, "--set", "data=" + dir + "/none", "doctor"}, 1, []string{"there is no data folder here", "carepost init"}},
		{[]string{"--set", "keys=" + dir + "/none", "--set", "data=" + dir, "doctor"}, 1, []string{"there is no key folder here", "carepost init"}},
		{[]string{"--set", "keys=" + dir, "--set", "data=" + file, "doctor"}, 1, []string{file}},
		{append(made, "segment", "count"), 1, []string{"--rule"}},
		{append(made, "template", "create", "x", file, "--purpose", "treatment", "--class", "transactional"), 1, []string{file, "not JSON"}},
		{append(made, "template", "create", "x", dir, "--purpose", "treatment", "--class", "transactional"), 1, []string{dir, "cannot be read"}},
		{[]string{"ledger", "verify", file, "--key", "x"}, 1, []string{"not a ledger's public key"}},
	} {
		var out, errs bytes.Buffer
		exit := Main(c.args, strings.NewReader(""), &out, &errs)
		if exit != c.exit {
			t.Errorf("%q: exit status %d, want %d", c.args, exit, c.exit)
		}
		for _, s := range c.says {
			if !strings.Contains(errs.String(), s) {
				t.Errorf("%q says %q, not %q", c.args, errs.String(), s)
			}
		}
		if strings.Contains(errs.String(), "internal error") {
			t.Errorf("%q: %s", c.args, errs.String())
		}
	}
}

// TestCommasAreText: an address and a connection string may hold commas.
func TestCommasAreText(t *testing.T) {
	var c commands
	parser, err := grammar(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--set", "dsn=host=a,b", "init", "--name", "A, Inc.", "--domain", "a.example", "--street", "1 Main Street, Suite 4", "--city", "x", "--state", "TX", "--postal-code", "1"}); err != nil {
		t.Fatal(err)
	}
	if len(c.Set) != 1 || c.Set[0] != "dsn=host=a,b" || len(c.Init.Street) != 1 {
		t.Errorf("read %q and %q", c.Set, c.Init.Street)
	}
}

// TestHelp: every way to ask for it works, for every command.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"help"}, {"--help"}, {"help", "send"}, {"send", "--help"}, {"ledger", "verify", "--help"}} {
		var out, errs bytes.Buffer
		if exit := Main(args, strings.NewReader(""), &out, &errs); exit != 0 || !strings.HasPrefix(out.String(), "Usage: carepost") {
			t.Errorf("%q: exit status %d, %q %q", args, exit, out.String(), errs.String())
		}
	}
}
