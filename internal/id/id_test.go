package id_test

import (
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/id"
)

func TestTextRoundTrip(t *testing.T) {
	for range 100 {
		p := id.New[id.Person]()
		got, err := id.Parse[id.Person](p.String())
		if err != nil || got != p {
			t.Fatalf("%s: %v %v", p, got, err)
		}
		if !strings.HasPrefix(p.String(), "per_") {
			t.Fatal(p)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := id.New[id.Person]().String()
	for _, text := range []string{
		"", "per_", good[:len(good)-1], good + "0", strings.ToUpper(good), "msg" + good[3:], strings.Replace(good, "_", "-", 1), good[:len(good)-1] + "1",
	} {
		if _, err := id.Parse[id.Person](text); err == nil && text != good {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestIdsGrowAndCarryTheirMoment(t *testing.T) {
	at := time.Now()
	var before id.Person
	for i := range 10_000 {
		p := id.From[id.Person](at)
		if i > 0 && string(p[:]) <= string(before[:]) {
			t.Fatalf("id %d does not grow", i)
		}
		before = p
	}
	if d := id.New[id.Message]().Time().Sub(at); d < -time.Second || d > 10*time.Second {
		t.Error(d)
	}
}

func TestActorText(t *testing.T) {
	if got := id.Operator(1000).String(); got != "operator:1000" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(id.New[id.Person]().String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := id.Parse[id.Person](text)
		if err == nil && p.String() != text {
			t.Errorf("%q reads as %q", text, p)
		}
	})
}
