package cli

import "github.com/carepost/carepost/internal/bench"

type benchIntakeCommand struct {
	Resources int `default:"42000" help:"How many FHIR resources."`
	Rows      int `default:"100000" help:"How many rows of a contact list."`
}

// Run measures intake.
func (c *benchIntakeCommand) Run(e *env, all *benchCommand) error {
	r, err := bench.Intake(e.ctx, all.DSN, c.Resources, c.Rows)
	if err != nil {
		return err
	}
	e.say("%s: %.0f FHIR resources a second, %.0f rows of a contact list a second, sealed, applied, in the ledger and durable", r.Engine, r.ResourcesPerS, r.CSVRowsPerS)
	return e.result(r)
}
