package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// floors is the house: a package imports only from lower floors, and on its own floor only along the edges below.
//
// DO NOT EDIT THIS TEXT TO MAKE A BUILD PASS. A package that must reach up wants a row (a job kind) that an upper floor works
// off, or a function handed in by app. docs/architecture.md says why each package stands where it stands.
const floors = `
1 fault id config law store seal job ledger file limit
2 organisation people people/crowd consent agreement staff inbox
3 intake intake/fhir intake/hl7 intake/csv intake/events audience
4 compose tlspolicy pickup pgp smime gate
5 smtpclient delivery bounce sms engagement
6 send campaign journey forms destination compliance
7 web api console patient smtpd
8 app world
9 app/apptest demo bench cli
`

// edges are transitive and hold on one floor only.
const edges = `
seal job file limit ledger -> store
store law -> config
job limit file ledger -> seal
people consent agreement staff inbox -> organisation
consent agreement staff inbox people/crowd -> people
intake/fhir intake/hl7 intake/csv intake/events -> intake
pickup pgp smime -> compose
gate -> compose tlspolicy pickup pgp smime
delivery -> smtpclient bounce
engagement -> delivery
campaign journey forms -> send
api console patient -> web
cli -> demo bench
cli demo bench -> app/apptest
`

// world imports the ground only, caretest too; caretest is imported by tests only.
var groundOnly = []string{"world", "caretest"}

const ours = "github.com/carepost/carepost/"

func TestFloors(t *testing.T) {
	floor := map[string]int{}
	for n, line := range strings.Split(strings.TrimSpace(floors), "\n") {
		for _, p := range strings.Fields(line)[1:] {
			floor[p] = n + 1
		}
	}
	allowed := reach(edges)
	for _, im := range imports(t) {
		from, to, test := im.from, im.to, im.test
		if to == "caretest" {
			if !test && from != "caretest" {
				t.Errorf("%s imports caretest outside a test", from)
			}
			continue
		}
		if from == "." || from == "caretest" && test {
			continue
		}
		if slices.Contains(groundOnly, from) {
			if floor[to] != 1 && (!test || floor[to] == 0) {
				t.Errorf("%s imports %s; it may import the ground only", from, to)
			}
			continue
		}
		if floor[from] == 0 {
			t.Errorf("package %s has no floor", from)
			continue
		}
		if floor[to] == 0 {
			t.Errorf("%s imports %s, which has no floor", from, to)
			continue
		}
		if test && strings.HasSuffix(im.pkg, "_test") && (to == "world" || to == "app/apptest" || allowed[to][from]) {
			continue // outside tests may start the world and the program, and try a package with the siblings that stand on it
		}
		switch {
		case to == "fault" || to == "id" || from == to:
		case floor[to] < floor[from]:
		case floor[to] == floor[from] && allowed[from][to]:
		default:
			t.Errorf("%s (floor %d) imports %s (floor %d): %s", from, floor[from], to, floor[to], im.file)
		}
	}
}

type imported struct {
	from, to, file, pkg string
	test                bool
}

// imports reads every import of a package of ours with go/parser; running the go tool would be hidden from the test cache.
func imports(t *testing.T) []imported {
	t.Helper()
	var all []imported
	walkGo(t, func(file string, src []byte) {
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		for _, s := range f.Imports {
			to, mine := strings.CutPrefix(strings.Trim(s.Path.Value, `"`), ours+"internal/")
			if !mine {
				continue
			}
			all = append(all, imported{path.Dir(file), to, file, f.Name.Name, strings.HasSuffix(file, "_test.go")})
		}
	})
	if len(all) == 0 {
		t.Fatal("no import found: the walk is broken")
	}
	return all
}

func walkGo(t *testing.T, fn func(file string, src []byte)) {
	t.Helper()
	root := os.DirFS(".")
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err == nil {
			fn(p, src)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func reach(text string) map[string]map[string]bool {
	direct := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		from, to, _ := strings.Cut(line, "->")
		for _, f := range strings.Fields(from) {
			direct[f] = append(direct[f], strings.Fields(to)...)
		}
	}
	all := map[string]map[string]bool{}
	var visit func(from, at string)
	visit = func(from, at string) {
		for _, next := range direct[at] {
			if !all[from][next] {
				all[from][next] = true
				visit(from, next)
			}
		}
	}
	for from := range direct {
		all[from] = map[string]bool{}
		visit(from, from)
	}
	return all
}
