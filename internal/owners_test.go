package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	createTable = regexp.MustCompile(`(?i)create table (?:if not exists )?([a-z_]+)`)
	startsSQL   = regexp.MustCompile(`(?i)^\s*(select|insert|update|delete|with|create|drop|alter|truncate|copy)\s`)
	usesTable   = regexp.MustCompile(`(?i)\b(?:from|into|update|join|table)\s+([a-z_]+)\b`)
)

// TestOwners: only the owner of a table names it in SQL. The owner is the word after the number in the migration's name.
func TestOwners(t *testing.T) {
	owner := map[string]string{}
	files, err := os.ReadDir("store/migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		parts := strings.SplitN(strings.TrimSuffix(f.Name(), ".sql"), "_", 3)
		if len(parts) < 3 {
			t.Errorf("migration %s is not named NNNN_owner_what.sql", f.Name())
			continue
		}
		sql, err := os.ReadFile("store/migrations/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range createTable.FindAllStringSubmatch(string(sql), -1) {
			if o := owner[m[1]]; o != "" && o != parts[1] {
				t.Errorf("table %s is made by %s and by %s", m[1], o, parts[1])
			}
			owner[m[1]] = parts[1]
		}
	}
	if len(owner) < 10 {
		t.Fatalf("%d tables found: the walk is broken", len(owner))
	}
	walkGo(t, func(file string, src []byte) {
		if strings.HasSuffix(file, "_test.go") {
			return // tests may tamper with any table, that is their job
		}
		for _, sql := range statements(t, file, src) {
			for _, m := range usesTable.FindAllStringSubmatch(sql, -1) {
				o := owner[m[1]]
				if o != "" && o != path.Dir(file) && !strings.HasPrefix(path.Dir(file), o+"/") {
					t.Errorf("%s names table %s, which %s owns", file, m[1], o)
				}
			}
		}
	})
}

// statements gives the string literals of a file that are SQL.
func statements(t *testing.T, file string, src []byte) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return nil
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil && startsSQL.MatchString(text) {
			all = append(all, text)
		}
		return true
	})
	return all
}
