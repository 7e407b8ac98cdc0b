package cli

import "github.com/carepost/carepost/internal/bench"

type benchAudienceCommand struct {
	People int `default:"100000" help:"How many made-up people."`
}

// Run measures the audience.
func (c *benchAudienceCommand) Run(e *env, all *benchCommand) error {
	r, err := bench.Audience(e.ctx, all.DSN, c.People)
	if err != nil {
		return err
	}
	for _, x := range r.Rules {
		e.say("%s: %8d people, half of the answers within %.2f ms, 99 of a hundred within %.2f ms", x.Name, x.Count, x.P50Ms, x.P99Ms)
	}
	e.say("%s: index of %d people: %.1f s with writing them, %.1f s from the disk, %.0f MB", r.Engine, r.People, r.BuildS, r.RebuildS, r.HeapMB)
	return e.result(r)
}
