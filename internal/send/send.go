package send

import (
	"context"
	"fmt"
	"strings"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Parts are what Sends needs.
type Parts struct {
	Store         *store.Store
	Keys          *seal.Keys
	Ledger        *ledger.Ledger
	Organisations *organisation.Organisations
	People        *people.People
	Consents      *consent.Consents
	Templates     *compose.Templates
	Pickup        *pickup.Pickups
	Gather        *gate.Gatherer
	Ways          *tlspolicy.Ways // for previews
	Base          string          // address of the patient pages: https://care.example.org
}

// Sends hands in, prepares and follows messages. It is safe for use by many goroutines.
type Sends struct {
	store         *store.Store
	keys          *seal.Keys
	ledger        *ledger.Ledger
	organisations *organisation.Organisations
	people        *people.People
	consents      *consent.Consents
	templates     *compose.Templates
	pickup        *pickup.Pickups
	gatherer      *gate.Gatherer
	ways          *tlspolicy.Ways
	base          string
	engine        *delivery.Engine
}

// New makes Sends; Deliver gives it the engine, which needs Prepare and Outcome first.
func New(p Parts) *Sends {
	return &Sends{
		store: p.Store, keys: p.Keys, ledger: p.Ledger, organisations: p.Organisations, people: p.People, consents: p.Consents,
		templates: p.Templates, pickup: p.Pickup, gatherer: p.Gather, ways: p.Ways, base: strings.TrimSuffix(p.Base, "/"),
	}
}

// Deliver says who carries.
func (s *Sends) Deliver(e *delivery.Engine) { s.engine = e }

// input is a message's row as Prepare needs it.
type input struct {
	item   delivery.Item
	send   id.Send
	person id.Person
	vars   []byte
	means  gate.Means // of the last decision; empty: none yet
	number int        // of decisions so far
}

func inputs(ctx context.Context, tx *store.Tx, items []delivery.Item) ([]input, error) {
	byID := map[id.Message]delivery.Item{}
	ids := make([]id.Message, len(items))
	for i, it := range items {
		ids[i], byID[it.Message] = it.Message, it
	}
	rows, err := tx.Query(ctx, selectInputs, tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return nil, fmt.Errorf("read messages to prepare: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	var all []input
	for rows.Next() {
		var x input
		var m id.Message
		if err := rows.Scan(&m, &x.send, &x.person, &x.vars, &x.means, &x.number); err != nil {
			return nil, fmt.Errorf("read messages to prepare: %w", err)
		}
		x.item = byID[m]
		all = append(all, x)
	}
	return all, rows.Err()
}

// valuesOf gives what a template may say about a person: the greeting's parts and the caller's own values. What else a template wants
// to say about a person, the caller gives: nothing clinical gets into a message by itself.
func (s *Sends) valuesOf(org id.Organisation, p people.Person, m id.Message, given map[string]any) compose.Values {
	vars := map[string]any{}
	for k, v := range given {
		vars[k] = v
	}
	person := map[string]any{}
	if len(p.Core.Names) > 0 && !hasPlaceholder(p.Core, "name") {
		n := p.Core.Names[0]
		person["first"] = strings.Join(n.Given, " ")
		person["last"] = n.Family
		person["name"] = strings.TrimSpace(strings.Join(n.Given, " ") + " " + n.Family)
	}
	vars["person"] = person
	token := s.keys.MintToken(seal.TokenUnsubscribe, org, p.ID.UUID(), m[:])
	return compose.Values{Languages: p.Core.Languages, Vars: vars, Links: compose.Links{Unsubscribe: s.base + "/u/" + token}}
}

func hasPlaceholder(c people.Core, field string) bool {
	for _, p := range c.Placeholder {
		if p == field {
			return true
		}
	}
	return false
}
