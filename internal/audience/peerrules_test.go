package audience_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/people/crowd"
)

func peerAsked(t testing.TB) audience.Asked {
	set, err := audience.NewValueSet(crowd.Chronic, crowd.ChronicCodes())
	if err != nil {
		t.Fatal(err)
	}
	return audience.Asked{
		Now: crowd.Now(), Zone: time.UTC, Sets: map[string]audience.ValueSet{crowd.Chronic: set},
		Feeds: audience.Feeds{Fresh: audience.FreshFor, List: []audience.Feed{{Name: crowd.Feed, Complete: map[string]time.Time{"*": crowd.Now()}}}},
	}
}

func peerQuestions(t testing.TB) map[string]*audience.Question {
	out := map[string]*audience.Question{}
	for _, r := range crowd.Rules() {
		q, err := audience.Prepare(mustParse(t, r.Text), peerAsked(t))
		if err != nil {
			t.Fatal(err)
		}
		out[r.Name] = q
	}
	return out
}

func peerIndex(t testing.TB, n int) *audience.Index {
	x, err := audience.NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
		for i := range n {
			p := crowd.Person(i, 1)
			add(personOf(i), uint32(i), &p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func personOf(i int) (p id.Person) {
	copy(p[:], fmt.Sprintf("%016d", i))
	return p
}

// TestPeerCounts: the eight rules over 20,000 of the shared synthetic people give the counts that the comparison's own evaluator gave.
func TestPeerCounts(t *testing.T) {
	const n = 20_000
	want, known := crowd.Counts(n)
	if !known {
		t.Fatal("nobody has counted so many")
	}
	v := peerIndex(t, n).View()
	questions := peerQuestions(t)
	for i, r := range crowd.Rules() {
		if a := v.Ask(questions[r.Name]); a.Matched != want[i] {
			t.Errorf("%s: %d people, want %d", r.Name, a.Matched, want[i])
		}
	}
}

var benchIndexes = map[int]*audience.Index{}

// BenchmarkPeerRules asks each rule over people that are drawn once: CAREPOST_PEOPLE of them, a million by default. An operation is
// the count and the list of all ids. Beside the mean it gives the median, and for the index its memory and how long it took.
func BenchmarkPeerRules(b *testing.B) {
	n := 1_000_000
	if text := os.Getenv("CAREPOST_PEOPLE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	if benchIndexes[n] == nil {
		benchIndexes[n] = measuredIndex(b, n)
	}
	questions := peerQuestions(b)
	for i := range len(questions) {
		benchRule(b, fmt.Sprintf("r%d", i+1), benchIndexes[n].View(), questions)
	}
	// As many people beside the base as ever stay there.
	var changes []audience.Change
	for i, p := range drawPeers(0, max(256, n/256)) {
		changes = append(changes, audience.Change{Person: personOf(i), Ordinal: uint32(i), Projection: p})
	}
	benchIndexes[n].Apply(changes)
	for _, name := range []string{"r1", "r4", "r7"} {
		benchRule(b, name+"-changed", benchIndexes[n].View(), questions)
	}
}

func benchRule(b *testing.B, name string, v *audience.View, questions map[string]*audience.Question) {
	q := questions[name[:2]]
	b.Run(name, func(b *testing.B) {
		var times []time.Duration
		matched := 0
		for b.Loop() {
			start := time.Now()
			a := v.Ask(q)
			matched = len(a.IDs())
			times = append(times, time.Since(start))
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(float64(matched), "people")
	})
}

// measuredIndex draws the people first, so that only the index is measured.
func measuredIndex(b *testing.B, n int) *audience.Index {
	var drawing, building time.Duration
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := audience.NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
		for from := 0; from < n; from += 10_000 {
			start := time.Now()
			part := drawPeers(from, min(from+10_000, n))
			drawing += time.Since(start)
			start = time.Now()
			for i, p := range part {
				add(personOf(from+i), uint32(from+i), p)
			}
			building += time.Since(start)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	start := time.Now()
	x.Settle()
	b.Logf("%d people: drawn in %v, added in %v, settled again in %v, %.1f MB of index, %.0f bytes a person", n, drawing.Round(time.Millisecond),
		building.Round(time.Millisecond), time.Since(start).Round(time.Millisecond),
		float64(after.HeapAlloc-before.HeapAlloc)/1e6, float64(after.HeapAlloc-before.HeapAlloc)/float64(n))
	return x
}

func drawPeers(from, to int) []*people.Projection {
	out := make([]*people.Projection, to-from)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := from + w; i < to; i += 2 {
				p := crowd.Person(i, 1)
				out[i-from] = &p
			}
		})
	}
	wg.Wait()
	return out
}
