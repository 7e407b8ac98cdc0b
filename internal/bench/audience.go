package bench

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/people/crowd"
	"github.com/carepost/carepost/internal/store"
)

// AudienceResult says how long eight rules take over so many people, and how long it takes to have them ready to be asked.
type AudienceResult struct {
	People      int          `json:"people"`
	Rules       []RuleResult `json:"rules"`
	BuildS      float64      `json:"build_s"`       // people written and index built; drawing them is not counted
	RebuildS    float64      `json:"rebuild_s"`     // index built anew from the sealed people on disk
	RebuildCPUS float64      `json:"rebuild_cpu_s"` // processor time of that: on a busy machine the truer figure
	HeapMB      float64      `json:"heap_mb"`       // of the index
	Engine      store.Engine `json:"engine"`
}

// RuleResult is one rule: people matched, and the time for the count and the list of all ids.
type RuleResult struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	P50Ms float64 `json:"p50_ms"`
	P99Ms float64 `json:"p99_ms"`
}

const (
	crowdSeed = 1
	bulk      = 2_000 // people in a transaction
	asks      = 50
)

// Audience writes n of the crowd, asks the eight rules of them, and builds the index again from what is on disk.
func Audience(ctx context.Context, dsn string, n int) (out AudienceResult, err error) {
	if n < 1 || n > math.MaxInt32 {
		return out, fault.New(fault.Invalid, "a measurement needs people").At("--people")
	}
	p, err := newPlace(ctx, dsn)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	out.People, out.Engine = n, p.store.Engine()
	wrote, err := p.crowd(ctx, n)
	if err != nil {
		return out, err
	}
	start := time.Now()
	if err := p.audience().Start(ctx, organisation); err != nil {
		return out, err
	}
	out.BuildS = (wrote + time.Since(start)).Seconds()

	if err := p.reopen(ctx); err != nil {
		return out, err
	}
	before, cpu, start := heap(), processorTime(), time.Now()
	a := p.audience()
	if err := a.Start(ctx, organisation); err != nil {
		return out, err
	}
	out.RebuildS, out.RebuildCPUS = time.Since(start).Seconds(), (processorTime() - cpu).Seconds()
	out.HeapMB = float64(heap()-before) / 1e6
	for _, r := range crowd.Rules() {
		one, err := ask(ctx, a, r)
		if err != nil {
			return out, err
		}
		out.Rules = append(out.Rules, one)
	}
	runtime.KeepAlive(a)
	return out, nil
}

func (p *place) audience() *audience.Audience {
	const ever = 100 * 365 * 24 * time.Hour // the crowd's moment stands still, the clock does not
	return audience.New(audience.Options{Store: p.store, Keys: p.keys, Ledger: p.ledger, People: people.New(p.store, p.keys, p.ledger), Fresh: ever})
}

// crowd writes n people and what the rules need besides, and gives how long the writing took.
func (p *place) crowd(ctx context.Context, n int) (took time.Duration, err error) {
	all := people.New(p.store, p.keys, p.ledger)
	a := p.audience()
	err = p.store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		if _, err := a.PutValueSet(ctx, tx, crowd.Chronic, crowd.ChronicCodes()); err != nil {
			return err
		}
		return all.Heartbeat(ctx, tx, crowd.Feed, []string{"*"})
	})
	for from := 0; from < n && err == nil; from += bulk {
		some := make([]people.Projection, 0, bulk)
		for i := from; i < min(from+bulk, n); i++ {
			some = append(some, crowd.Person(i, crowdSeed))
		}
		start := time.Now()
		err = p.store.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := all.Bulk(ctx, tx, some)
			return err
		})
		took += time.Since(start)
	}
	return took, err
}

// ask asks one rule: its text is read, prepared and answered each time, nothing is kept between.
func ask(ctx context.Context, a *audience.Audience, r crowd.Rule) (RuleResult, error) {
	out := RuleResult{Name: r.Name}
	times := make([]time.Duration, 0, asks)
	for range asks + 3 {
		start := time.Now()
		rule, err := audience.Parse(r.Text)
		if err != nil {
			return out, err
		}
		ids, err := a.List(ctx, scope, audience.Query{Rule: rule, At: crowd.Now()})
		if err != nil {
			return out, err
		}
		times = append(times, time.Since(start))
		out.Count = len(ids)
	}
	times = times[3:] // the first ones fetch memory that the others use again
	slices.Sort(times)
	out.P50Ms, out.P99Ms = milliseconds(times[asks/2]), milliseconds(times[asks*99/100])
	return out, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// heap gives the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
