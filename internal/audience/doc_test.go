package audience_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/audience"
)

// TestDocs reads docs/rules.md: every example parses and is in its one written form, every refusal is refused in those words, the
// table of fields is the one that the parser has, and each kind of condition is there in both forms.
func TestDocs(t *testing.T) {
	src, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for i, block := range strings.Split(string(src), "```") {
		if i%2 == 0 {
			continue
		}
		name, body, _ := strings.Cut(block, "\n")
		lines := strings.Split(strings.TrimSpace(body), "\n")
		switch name {
		case "rule":
			for _, line := range lines {
				r, err := audience.Parse(line)
				if err != nil {
					t.Errorf("%s: %v", line, err)
				} else if got := audience.Text(r); got != line {
					t.Errorf("%s is written %s", line, got)
				}
			}
		case "refused":
			if _, err := audience.Parse(lines[0]); err == nil || err.Error() != lines[1] {
				t.Errorf("%s: %v", lines[0], err)
			}
		default:
			t.Errorf("a block of the kind %q", name)
		}
	}
	var fields []string
	for line := range strings.Lines(string(src)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if strings.HasPrefix(line, "| `") && len(cells) == 3 {
			fields = append(fields, strings.TrimSpace(line))
		}
		text, json, ok := strings.Cut(line, "` | `{")
		if !ok || !strings.HasPrefix(line, "| `") {
			continue
		}
		text, json = strings.TrimPrefix(text, "| `"), "{"+strings.TrimSuffix(strings.TrimSpace(json), "` |")
		r, err := audience.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, want := string(audience.Encode(r)), `{"version":1,"rule":`+json+"}"; got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
		kinds[reflect.TypeOf(r).Name()] = true
	}
	if want := audience.FieldTable(); !slices.Equal(fields, want) {
		t.Errorf("the table of fields is\n%s", strings.Join(want, "\n"))
	}
	if len(kinds) != 13 { // Not stands inside another
		t.Errorf("kinds of conditions with both forms: %d", len(kinds))
	}
}
