package consent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// said gives all that stops or restricts, of one record, as words.
func said(x consent.Record) (all []string) {
	for _, c := range x.Consents {
		if c.Refused {
			all = append(all, fmt.Sprintf("no to %d %s", c.Channel, c.Topic))
		}
	}
	for _, t := range x.Restrictions {
		if t.Status == consent.InForce {
			all = append(all, "restricted "+t.Purpose.String())
		}
	}
	for _, s := range x.Suppressions {
		if s.Status == consent.InForce {
			all = append(all, fmt.Sprintf("stopped %d", s.Covers))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestStrictestOfMerged: over any merges and unmerges, what any record of a family refuses counts for all of it, what is unsubscribed at
// any of their addresses too, and nothing else; unmerged, each is exactly what it was.
func TestStrictestOfMerged(t *testing.T) {
	o := open(t, caretest.Open(t))
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		const n = 4
		var persons []id.Person
		for i := range n {
			persons = append(persons, o.person(fmt.Sprintf("r%d-%d", round, i), fmt.Sprintf("p%d-%d@trusted.example", round, i)))
		}
		own := make([][]string, n)
		for i, p := range persons {
			for _, act := range rapid.SliceOfN(rapid.IntRange(0, 4), 0, 2).Draw(rt, "acts") {
				o.write(func(ctx context.Context, tx *store.Tx) (err error) {
					switch act {
					case 0:
						_, err = o.c.Answer(ctx, tx, p, consent.Consent{Channel: people.ChannelEmail, Topic: "news", Refused: true, Evidence: form})
						own[i] = append(own[i], "no to 1 news")
					case 1:
						_, err = o.c.Restrict(ctx, tx, p, consent.Restriction{Purpose: ledger.PurposeOperations, Evidence: form})
						own[i] = append(own[i], "restricted "+ledger.PurposeOperations.String())
					case 2:
						_, err = o.c.Suppress(ctx, tx, consent.Suppression{
							Row: consent.Row{Person: p}, Scope: consent.ScopePerson, Covers: consent.CoversFundraising, Reason: "asked", Evidence: form,
						})
						own[i] = append(own[i], "stopped 3")
					case 3:
						_, err = o.c.Suppress(ctx, tx, consent.Suppression{
							Scope: consent.ScopeAddress, Channel: people.ChannelEmail, Address: fmt.Sprintf("p%d-%d@trusted.example", round, i),
							Covers: consent.CoversCommercial, Reason: "unsubscribed", Evidence: form,
						})
						own[i] = append(own[i], "address stopped 2")
					case 4:
						_, err = o.c.Answer(ctx, tx, p, consent.Consent{Channel: people.ChannelEmail, Topic: "news", Evidence: form})
					}
					return err
				})
			}
		}
		alone := make([]string, n)
		projected := make([]string, n)
		for i, p := range persons {
			alone[i], projected[i] = strings.Join(said(o.of(p)), ","), o.projection(p)
		}
		parent := make([]int, n)
		for i := range parent {
			parent[i] = i
		}
		root := func(i int) int {
			for parent[i] != i {
				i = parent[i]
			}
			return i
		}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			a, b := rapid.IntRange(0, n-1).Draw(rt, "a"), rapid.IntRange(0, n-1).Draw(rt, "b")
			if parent[a] != a && rapid.Bool().Draw(rt, "unmerge") {
				o.write(func(ctx context.Context, tx *store.Tx) error { return o.ppl.Unmerge(ctx, tx, persons[a]) })
				parent[a] = a
			} else if parent[a] == a && root(b) != a {
				o.write(func(ctx context.Context, tx *store.Tx) error { return o.ppl.Merge(ctx, tx, persons[a], persons[b]) })
				parent[a] = b
			}
			for i, p := range persons {
				var want []string
				family := 0
				for j := range persons {
					if root(j) == root(i) {
						family++
					}
				}
				for j := range persons {
					for _, w := range own[j] {
						address, is := strings.CutPrefix(w, "address ")
						switch {
						case root(j) != root(i):
						case !is:
							want = append(want, w)
						case family > 1:
							want = append(want, address)
						}
					}
				}
				slices.Sort(want)
				if got := said(o.of(p)); !slices.Equal(got, slices.Compact(want)) {
					rt.Fatalf("record %d of a family of %d: %q, want %q", i, family, got, want)
				}
			}
		}
		for i, p := range persons {
			if parent[i] != i {
				o.write(func(ctx context.Context, tx *store.Tx) error { return o.ppl.Unmerge(ctx, tx, p) })
			}
		}
		for i, p := range persons {
			if got := strings.Join(said(o.of(p)), ","); got != alone[i] {
				rt.Fatalf("record %d unmerged: %q, was %q", i, got, alone[i])
			}
			if got := o.projection(p); got != projected[i] {
				rt.Fatalf("the projection of record %d unmerged: %s, was %s", i, got, projected[i])
			}
		}
	})
}

// projection gives the whole projection of a person, as text.
func (o *office) projection(p id.Person) (text string) {
	o.read(func(ctx context.Context, tx *store.Tx) error {
		return o.ppl.Projections(ctx, tx, []id.Person{p}, func(_ id.Person, _ uint32, x people.Projection) error {
			text = fmt.Sprintf("%+v", x)
			return nil
		})
	})
	return text
}
