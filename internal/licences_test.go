package internal_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// marks are words that only one family of licences has.
var marks = []struct{ licence, words string }{
	{"Apache-2.0", "Apache License"},
	{"MPL-2.0", "Mozilla Public License"},
	{"GPL", "GNU GENERAL PUBLIC LICENSE"},
	{"AGPL", "GNU AFFERO"},
	{"LGPL", "GNU LESSER"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD", "Redistribution and use in source and binary forms"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
	{"ISC", "Permission to use, copy, modify, and distribute this software"},
	{"Unlicense", "This is free and unencumbered software"},
}

var permissive = map[string]bool{"Apache-2.0": true, "MIT": true, "BSD": true, "ISC": true, "Unlicense": true, "MPL-2.0": true}

// TestLicences reads the licence of every module that the program is built with: permissive ones, and MPL unmodified.
func TestLicences(t *testing.T) {
	src, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", src, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Replace {
		t.Errorf("%s is replaced: dependencies are used unmodified", r.Old.Path)
	}
	found := 0
	for _, r := range mod.Require {
		dir, err := moduleDir(r.Mod)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err != nil {
			continue // not needed by any package that was built here
		}
		found++
		if l := licence(dir); !permissive[l] {
			t.Errorf("%s %s: licence %q is not on the list", r.Mod.Path, r.Mod.Version, l)
		}
	}
	if found < 10 {
		t.Errorf("%d modules found in the module cache: the walk is broken", found)
	}
}

//go:generate go test -run TestLicencesDocument -update .

var update = flag.Bool("update", false, "write docs/licences.md")

// TestLicencesDocument: docs/licences.md names each module that go.mod asks for, with the licence found in it. Modules that only others
// ask for are in the table as far as the module cache had them when it was made.
func TestLicencesDocument(t *testing.T) {
	src, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", src, nil)
	if err != nil {
		t.Fatal(err)
	}
	const path = "../docs/licences.md"
	rows, direct := map[string]bool{}, ""
	text := "# Licences\n\nMade from go.mod and the modules' own licence files; `go generate ./internal` writes it. Carepost itself is Apache-2.0.\n\n" +
		"| module | version | licence |\n| --- | --- | --- |\n"
	for _, r := range mod.Require {
		dir, err := moduleDir(r.Mod)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err != nil {
			rows[r.Mod.Path+" | "+r.Mod.Version] = true // not in this cache: its licence is not known here
			continue
		}
		row := fmt.Sprintf("| %s | %s | %s |\n", r.Mod.Path, r.Mod.Version, licence(dir))
		rows[strings.TrimSpace(row)], text = true, text+row
		if !r.Indirect {
			direct += row
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(direct) {
		if !strings.Contains(string(got), row) {
			t.Errorf("docs/licences.md has no row %s; run go generate ./internal", strings.TrimSpace(row))
		}
	}
	_, table, _ := strings.Cut(string(got), "| --- | --- | --- |\n")
	for row := range strings.Lines(table) {
		row = strings.TrimSpace(row)
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 3 || !rows[row] && !rows[cells[0]+" | "+cells[1]] {
			t.Errorf("docs/licences.md has a row that go.mod does not: %s", row)
		}
	}
}

func moduleDir(m module.Version) (string, error) {
	cache := os.Getenv("GOMODCACHE")
	if cache == "" {
		gopath := os.Getenv("GOPATH")
		if gopath == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", err
			}
			gopath = filepath.Join(home, "go")
		}
		cache = filepath.Join(gopath, "pkg", "mod")
	}
	escaped, err := module.EscapePath(m.Path)
	return filepath.Join(cache, escaped+"@"+m.Version), err
}

func licence(dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "[LlCU][IiOoN]*"))
	if err != nil {
		return ""
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		flat := strings.Join(strings.Fields(string(text)), " ")
		for _, m := range marks {
			if strings.Contains(strings.ToLower(flat), strings.ToLower(m.words)) {
				return m.licence
			}
		}
	}
	return ""
}
