package compose_test

import (
	"testing"

	"github.com/carepost/carepost/internal/compose"
)

func BenchmarkRender(b *testing.B) {
	v := care(b, one("Your visit on {{ visit.start | date }}",
		compose.Heading{Level: 1, Text: "Hello, {{ person.first }}"},
		compose.Text{Text: "Your visit is on **{{ visit.start | date: \"full\" }}** at {{ visit.start | time }}."},
		compose.Button{Label: "Confirm", URL: "https://care.riverside.example/confirm"},
		compose.Address{},
	))
	vals, who := values("en"), brand()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compose.Render(v, vals, who); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	out, err := compose.Render(care(b, everything()), values("en"), brand())
	if err != nil {
		b.Fatal(err)
	}
	m := message(b)
	m.Subject, m.Text, m.HTML = out.Subject, out.Text, out.HTML
	b.SetBytes(int64(len(m.HTML) + len(m.Text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := compose.NewVersion(everything(), 1, 1); err != nil {
			b.Fatal(err)
		}
	}
}
