package internal_test

import (
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

var forbiddenNames = regexp.MustCompile(`^(utils?|common|models?|services?|helpers?|types|misc|base|shared)$`)

// TestDocs: every package says what it owns and what it never knows.
func TestDocs(t *testing.T) {
	doc := map[string]string{}
	walkGo(t, func(file string, src []byte) {
		dir := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		doc[dir] += f.Doc.Text()
	})
	for dir, text := range doc {
		if forbiddenNames.MatchString(path.Base(dir)) {
			t.Errorf("package %s is named after nothing one can point at", dir)
		}
		flat := strings.Join(strings.Fields(text), " ")
		if !strings.HasPrefix(flat, "Package "+path.Base(dir)+" owns ") {
			t.Errorf(`%s: its package comment does not begin with "Package %s owns"`, dir, path.Base(dir))
		}
		if !strings.Contains(flat, "never knows") {
			t.Errorf("%s: its package comment does not say what the package never knows", dir)
		}
	}
}
