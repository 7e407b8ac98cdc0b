package law_test

import (
	"flag"
	"os"
	"testing"

	"github.com/carepost/carepost/internal/law"
)

var update = flag.Bool("update", false, "write docs/law.md")

// TestDocument: docs/law.md is what the table says.
func TestDocument(t *testing.T) {
	const path = "../../docs/law.md"
	want := law.Embedded().Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/law.md is not what the table says; run go test ./internal/law -update")
	}
}
