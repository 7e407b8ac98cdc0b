package demo

// Result is the last line of `carepost demo --once --json`. Its keys are a contract.
type Result struct {
	People    int     `json:"people"`
	Facts     int64   `json:"facts"`
	Audience  int     `json:"audience"` // of both messages together
	Decided   Decided `json:"decided"`  // the last decision on each message; sums to Audience
	Delivered int     `json:"delivered"`
	Deferred  int     `json:"deferred_then_delivered"`
	Bounced   int     `json:"bounced"`
	Ledger    struct {
		Entries  int64 `json:"entries"`
		Verified bool  `json:"verified"`
	} `json:"ledger"`
	Canary struct {
		Hits    int `json:"hits"`
		Control int `json:"control"` // scanned places whose planted control was found
	} `json:"canary"`
	Seconds float64 `json:"seconds"`
}

// Decided counts decisions by their means.
type Decided struct {
	TLS            int `json:"tls"`
	Pickup         int `json:"pickup"`
	PGP            int `json:"pgp"`
	SMIME          int `json:"smime"`
	Plain          int `json:"plain"`
	PlainRequested int `json:"plain_requested"`
	Held           int `json:"held"`
	Refused        int `json:"refused"`
}

// of gives the count of a means; nil for a word that is none.
func (d *Decided) of(means string) *int {
	return map[string]*int{
		"tls": &d.TLS, "pickup": &d.Pickup, "pgp": &d.PGP, "smime": &d.SMIME, "plain": &d.Plain,
		"plain_requested": &d.PlainRequested, "held": &d.Held, "refused": &d.Refused,
	}[means]
}

func (d *Decided) sum() int {
	return d.TLS + d.Pickup + d.PGP + d.SMIME + d.Plain + d.PlainRequested + d.Held + d.Refused
}
