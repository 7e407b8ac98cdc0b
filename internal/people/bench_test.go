package people

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// crowd makes people with five conditions, three orders and ten events each, as an audience meets them.
func crowd(b *testing.B, c *clinic, people int) {
	b.Helper()
	for from := 0; from < people; from += 200 {
		var changes []Change
		for i := from; i < from+200; i++ {
			key := fmt.Sprintf("Patient/%d", i)
			ch := amara(key, key)
			for f := range 5 {
				ch.Facts = append(ch.Facts, Fact{Kind: FactCondition, State: StateActive, Resource: fmt.Sprintf("Condition/%d-%d", i, f), Start: day("2019-03"), Codes: []Code{{System: "icd10cm", Code: fmt.Sprintf("E11%d", f)}}})
			}
			for f := range 3 {
				ch.Facts = append(ch.Facts, Fact{Kind: FactMedication, State: StateActive, Resource: fmt.Sprintf("MedicationRequest/%d-%d", i, f), Start: day("2026-03-01"), Codes: []Code{{System: "rxnorm", Code: fmt.Sprint(860975 + f)}}})
			}
			for f := range 7 {
				ch.Facts = append(ch.Facts, Fact{Kind: FactEncounter, State: StateCompleted, Resource: fmt.Sprintf("Encounter/%d-%d", i, f), Start: day(fmt.Sprintf("2026-0%d-01", f+1)), Text: map[string]string{TextClass: "AMB"}})
			}
			changes = append(changes, ch)
		}
		c.apply(changes...)
	}
}

// BenchmarkScan says what a start costs: people a second whose projection is read, opened and decoded.
func BenchmarkScan(b *testing.B) {
	c := open(b, caretest.Open(b))
	const people = 5000
	crowd(b, c, people)
	size := 0
	c.read(func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, "SELECT sum(length(projection)) / count(*) FROM person WHERE organisation_id = ?", tx.Organisation()).Scan(&size)
	})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c.read(func(ctx context.Context, tx *store.Tx) error {
			return c.p.Scan(ctx, tx, func(id.Person, uint32, *Projection) error { n++; return nil })
		})
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "people/s")
	b.ReportMetric(float64(size), "bytes/projection")
}

// BenchmarkAddEvents says how many events a second are appended, two hundred people to a transaction.
func BenchmarkAddEvents(b *testing.B) {
	c := open(b, caretest.Open(b))
	crowd(b, c, 1000)
	var all []id.Person
	c.read(func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = c.p.List(ctx, tx, 0, 200)
		return err
	})
	n := 0
	for b.Loop() {
		events := map[id.Person][]Event{}
		for _, p := range all {
			events[p] = []Event{{Kind: "email.accepted", Source: SourceStaff, Key: fmt.Sprint(n), At: time.Now()}}
			n++
		}
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.AddEventsAll(ctx, tx, events) })
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
