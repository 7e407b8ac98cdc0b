package compose_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// docs/templates.md lists every block, filter and finding.
func TestDocumentIsComplete(t *testing.T) {
	doc, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for i, part := range strings.Split(string(doc), "`") {
		if i%2 == 1 {
			word, _, _ := strings.Cut(part, ":")
			words[word] = true
		}
	}
	for _, file := range []string{"finding.go", "filter.go", "block.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		ast.Inspect(f, func(n ast.Node) bool {
			name := ""
			switch n := n.(type) {
			case *ast.ValueSpec: // FindX FindingCode = "x"
				if typ, ok := n.Type.(*ast.Ident); ok && typ.Name == "FindingCode" {
					name = n.Values[0].(*ast.BasicLit).Value
				}
			case *ast.KeyValueExpr: // "upcase": filter{...}, "text": read[Text]
				if key, ok := n.Key.(*ast.BasicLit); ok && key.Kind == token.STRING && file != "finding.go" {
					name = key.Value
				}
			}
			if name == "" {
				return true
			}
			found++
			if !words[strings.Trim(name, `"`)] {
				t.Errorf("docs/templates.md does not tell of %s", name)
			}
			return true
		})
		if found < 10 {
			t.Errorf("%s: %d names found: the walk is broken", file, found)
		}
	}
}
