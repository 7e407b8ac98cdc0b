package gate_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/gate"
)

var update = flag.Bool("update", false, "write the table of reasons into docs/protection.md")

// TestEveryReasonIsReachable: a case of the tables meets each reason there is, and no reason outside the table is given.
func TestEveryReasonIsReachable(t *testing.T) {
	met := map[gate.Code]bool{}
	for _, group := range decideCases {
		for _, c := range group {
			f := c.base()
			if c.change != nil {
				c.change(&f)
			}
			for _, r := range gate.Decide(f).Reasons {
				met[r.Code] = true
			}
		}
	}
	for _, c := range discloseCases {
		f := c.base()
		if c.change != nil {
			c.change(&f)
		}
		for _, r := range gate.Disclose(f).Reasons {
			met[r.Code] = true
		}
	}
	seen := map[gate.Code]bool{}
	for _, a := range gate.Reasons() {
		if seen[a.Code] {
			t.Errorf("reason %q stands twice in the table", a.Code)
		}
		seen[a.Code] = true
		if a.Text == "" || a.Rule == "" || a.Stage.String() == "" || a.Weight.String() == "" {
			t.Errorf("reason %q says too little", a.Code)
		}
		if !met[a.Code] {
			t.Errorf("no case meets reason %q", a.Code)
		}
	}
	for code := range met {
		if !code.Known() {
			t.Errorf("reason %q is not in the table", code)
		}
	}
}

// TestDocument: the table of reasons in docs/protection.md is the program's.
func TestDocument(t *testing.T) {
	const path, begin, end = "../../docs/protection.md", "<!-- reasons -->\n", "<!-- /reasons -->"
	var b strings.Builder
	b.WriteString(begin)
	stage := ""
	for _, a := range gate.Reasons() {
		if s := a.Stage.String(); s != stage {
			stage = s
			fmt.Fprintf(&b, "\n### %s\n\n| code | what it says | it | rule |\n| --- | --- | --- | --- |\n", strings.ToUpper(s[:1])+s[1:])
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", a.Code, a.Text, a.Weight, a.Rule)
	}
	b.WriteString("\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/protection.md lacks the marks around the table of reasons")
	}
	want := head + b.String() + end + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("docs/protection.md is not what the program says; run go test ./internal/gate -run TestDocument -update")
	}
}
