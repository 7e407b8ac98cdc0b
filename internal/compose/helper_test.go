package compose_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/golden/name, byte for byte.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it with: go test ./internal/compose -update && git diff", name)
	}
}

func brand() compose.Brand {
	return compose.Brand{
		Name: "Riverside Family Clinic", Phone: "+15125550142",
		Postal: []string{"12 River Road", "Austin, TX 78701"}, Hosts: []string{"care.riverside.example"},
	}
}

var picture = id.File{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16}

func variables() []compose.Variable {
	return []compose.Variable{
		{Name: "person.first", Kind: compose.KindText, Sample: "Ana"},
		{Name: "person.age", Kind: compose.KindNumber, Optional: true},
		{Name: "visit.start", Kind: compose.KindDate},
		{Name: "visit.new", Kind: compose.KindFlag, Optional: true},
		{Name: "condition", Kind: compose.KindText, Optional: true, Clinical: true},
		{Name: "medicines", Kind: compose.KindList, Fields: []string{"name", "dose"}, Optional: true},
		{Name: "survey", Kind: compose.KindLink, Optional: true},
	}
}

// everything is a content with every block.
func everything() compose.Content {
	blocks := func(hello, thanks string) compose.Blocks {
		return compose.Blocks{
			compose.Heading{Level: 1, Text: hello + ", {{ person.first }}"},
			compose.Text{Text: "Your visit is on **{{ visit.start | date: \"full\" }}** at {{ visit.start | time }}.\nBring your *insurance card*.\n\nQuestions? See [our page](https://care.riverside.example/help)."},
			compose.Callout{Tone: "warning", Text: "Do not eat after midnight."},
			compose.Button{Label: "Confirm", URL: "https://care.riverside.example/confirm?n={{ person.first }}"},
			compose.List{Items: []string{"Arrive 15 minutes early", "Bring a list of what you take"}},
			compose.List{Ordered: true, Each: "medicines", Item: "{{ item.name }}: **{{ item.dose | default: \"as before\" }}**"},
			compose.Table{Caption: "What you take", Header: []string{"Medicine", "Dose"}, Each: "medicines", Row: []string{"{{ item.name }}", "{{ item.dose | default: \"-\" }}"}},
			compose.Image{File: picture, Alt: "The entrance on River Road", Width: 400},
			compose.Divider{},
			compose.Spacer{Size: 16},
			compose.Heading{Level: 2, Text: thanks, Show: compose.Show{When: "visit.new and person.age > 17"}},
			compose.Languages{},
			compose.Address{},
		}
	}
	return compose.Content{
		Version: 1, Variables: variables(),
		Variants: []compose.Variant{
			{Language: "en", Subject: "Your visit on {{ visit.start | date }}", Preheader: "We look forward to seeing you", Blocks: blocks("Hello", "Welcome to the practice")},
			{Language: "es", Subject: "Su cita del {{ visit.start | date }}", Blocks: blocks("Hola", "Bienvenida"), Translation: &compose.Translation{Translator: "A. Ruiz", Reviewer: "M. Soto"}},
			{Language: "ar", Subject: "موعدك", Blocks: blocks("مرحبا", "أهلا")},
		},
	}
}

func values(languages ...string) compose.Values {
	return compose.Values{
		Languages: languages,
		Vars: map[string]any{
			"person":    map[string]any{"first": "Ana", "age": 42},
			"visit":     map[string]any{"start": "2026-11-24T14:30:00-06:00", "new": true},
			"medicines": []map[string]any{{"name": "Metformin", "dose": "500 mg"}, {"name": "Aspirin"}},
		},
		Links: compose.Links{
			Unsubscribe: "https://care.riverside.example/u/abc", View: "https://care.riverside.example/v/abc",
			Languages: map[string]string{"en": "https://care.riverside.example/v/abc?l=en", "es": "https://care.riverside.example/v/abc?l=es"},
		},
	}
}

func version(t testing.TB, c compose.Content, purpose ledger.Purpose, class organisation.Class) compose.TemplateVersion {
	t.Helper()
	v, err := compose.NewVersion(c, purpose, class)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func care(t testing.TB, c compose.Content) compose.TemplateVersion {
	return version(t, c, ledger.PurposeTreatment, organisation.ClassTransactional)
}

// one is a content of one variant with the variables above.
func one(subject string, blocks ...compose.Block) compose.Content {
	return compose.Content{Version: 1, Variables: variables(), Variants: []compose.Variant{{Language: "en", Subject: subject, Blocks: blocks}}}
}

var sent = time.Date(2026, 11, 24, 20, 15, 30, 0, time.UTC)

func mailbox(t testing.TB, name, address string) compose.Mailbox {
	t.Helper()
	m, err := compose.NewMailbox(name, address)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
