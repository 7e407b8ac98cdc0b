package people

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

func (c *clinic) find(x Identifier) (found []id.Person) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) (err error) {
		found, err = c.p.ByIdentifier(ctx, tx, x)
		return err
	})
	return found
}

func reasons(a Applied) []string {
	var all []string
	for _, w := range a.Warnings {
		all = append(all, w.Reason)
	}
	return all
}

func from(source string, c Change) Change {
	c.Source = source
	return c
}

func mrn(value string) Identifier {
	return Identifier{System: "urn:oid:2.999.1.1", Value: value, Type: "MR"}
}

func TestIdentity(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		shared := open(t, st)
		t.Run("two sources that share a record number are one person", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/1", "A1"))
			a := c.apply(from("lab", amara("Patient/77", "A1")))
			if a.Created != 0 || a.Updated != 1 || len(a.Warnings) != 0 || c.subject("ehr", "Patient/1").ID != c.subject("lab", "Patient/77").ID {
				t.Errorf("%+v", a)
			}
			if p := c.projection(c.subject("lab", "Patient/77").ID); len(p.Sources) != 2 {
				t.Errorf("sources %v", p.Sources)
			}
		})
		t.Run("two records of one source that claim a record number stay apart", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/2", "B1"))
			a := c.apply(amara("Patient/2b", "B1"))
			if a.Created != 1 || !slices.Equal(reasons(a), []string{ReasonClaimed}) || len(c.find(mrn("B1"))) != 2 {
				t.Errorf("%+v", a)
			}
			// The data of the second stays with its own record.
			c.apply(fact("Patient/2b", Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/2b", Codes: []Code{{System: "icd10cm", Code: "I10"}}}))
			if p := c.projection(c.subject("ehr", "Patient/2").ID); len(p.Conditions) != 0 {
				t.Errorf("%+v", p)
			}
		})
		t.Run("identifiers of two people make no third link", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/3", "C1"))
			c.apply(amara("Patient/3b", "C2"))
			both := from("lab", amara("Patient/x", "C1"))
			both.Match = append(both.Match, mrn("C2"))
			both.Profile.Identifiers = both.Match
			if a := c.apply(both); a.Created != 1 || !slices.Contains(reasons(a), ReasonAmbiguous) {
				t.Errorf("%+v", a)
			}
		})
		t.Run("the same number with another birth date and name stays apart", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/4", "D1"))
			other := from("lab", amara("Patient/y", "D1"))
			other.Profile.Birth, other.Profile.Names = Date{1990, 1, 2}, []Name{{Family: "Nguyen"}}
			if a := c.apply(other); a.Created != 1 || !slices.Contains(reasons(a), ReasonOpposed) {
				t.Errorf("%+v", a)
			}
		})
		t.Run("leading zeros make another number", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/5", "0012345"))
			if a := c.apply(from("lab", amara("Patient/z", "12345"))); a.Created != 1 || len(a.Warnings) != 0 {
				t.Errorf("%+v", a)
			}
		})
		t.Run("facts before the profile: matched when the profile comes", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(from("lab", amara("Patient/l6", "E1")))
			a := c.apply(fact("Patient/6", Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/6", Codes: []Code{{System: "icd10cm", Code: "I10"}}}))
			if a.Created != 1 {
				t.Errorf("%+v", a)
			}
			if a := c.apply(amara("Patient/6", "E1")); a.Merged != 1 || len(a.Warnings) != 0 {
				t.Errorf("%+v", a)
			}
			survivor := c.subject("lab", "Patient/l6")
			if p := c.projection(survivor.ID); len(p.Conditions) != 1 || len(c.find(mrn("E1"))) != 1 {
				t.Errorf("%+v", p)
			}
		})
		t.Run("a logical reference finds its person, or waits, or is ambiguous", func(t *testing.T) {
			c := &clinic{t, st, shared.p}
			c.apply(amara("Patient/7", "F1"), amara("Patient/8", "F2"), amara("Patient/9", "F2"))
			by := func(number string) Change {
				f := fact("", Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/by-" + number})
				f.Match = []Identifier{mrn(number)}
				return f
			}
			a := c.apply(by("F1"), by("F9"), by("F2"))
			if a.Facts != 1 || len(a.Unresolved) != 2 || a.Unresolved[0] != (Unresolved{1, ReasonNobody}) || a.Unresolved[1] != (Unresolved{2, ReasonSeveral}) {
				t.Errorf("%+v", a)
			}
		})
	})
}

func TestMergeByMessage(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		replaced := func(subject, by string) Change {
			ch := amara(subject, "M-"+subject)
			ch.Active, ch.ReplacedBy = false, by
			return ch
		}
		c.apply(amara("Patient/a", "1"), amara("Patient/b", "2"))
		c.apply(fact("Patient/b", Fact{Kind: FactAppointment, State: StateMissed, Resource: "Appointment/1", Start: day("2024-11-10T09:00:00Z")}))
		a, b := c.subject("ehr", "Patient/a"), c.subject("ehr", "Patient/b")
		before := c.projection(a.ID)
		if got := c.apply(replaced("Patient/b", "Patient/a")); got.Merged != 1 {
			t.Fatalf("%+v", got)
		}
		if p := c.projection(b.ID); p.Kind != 0 || len(p.Events) != 0 {
			t.Errorf("the merged record is still in audiences: %+v", p)
		}
		if p := c.projection(a.ID); len(p.Events) != 1 {
			t.Errorf("the survivor has no event: %+v", p)
		}
		if found := c.find(mrn("M-Patient/b")); len(found) != 1 || found[0] != a.ID {
			t.Errorf("the merged record's number finds %v", found)
		}
		if got := c.apply(replaced("Patient/b", "Patient/a")); got.Merged+got.Updated+got.Facts != 0 {
			t.Errorf("repeated: %+v", got)
		}
		if got := c.apply(replaced("Patient/a", "Patient/b")); got.Merged != 0 || !slices.Contains(reasons(got), ReasonInverse) {
			t.Errorf("the inverse: %+v", got)
		}
		if got := c.apply(replaced("Patient/b", "Patient/b")); got.Merged != 0 {
			t.Errorf("into itself: %+v", got)
		}
		// What comes for the merged record still counts for the survivor.
		c.apply(fact("Patient/b", Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/1", Codes: []Code{{System: "icd10cm", Code: "I10"}}}))
		if p := c.projection(a.ID); len(p.Conditions) != 1 {
			t.Errorf("%+v", p)
		}
		c.apply(amara("Patient/a", "1")) // the inverse had put it out of use
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Unmerge(ctx, tx, b.ID) })
		if p := c.projection(a.ID); len(p.Conditions)+len(p.Events) != 0 || p.Birth != before.Birth || p.Kind != KindPatient {
			t.Errorf("not as before the merge: %+v", p)
		}
		if got := c.events(b.ID); got[EventMissed] != 1 {
			t.Errorf("%v", got)
		}
	})
}

// TestMergesHaveNoCircle: whatever is merged and unmerged in whatever order, everyone has one survivor, and all facts are somebody's.
func TestMergesHaveNoCircle(t *testing.T) {
	st := caretest.Open(t)
	c := open(t, st)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > 30 {
			return // each walk writes a hundred times
		}
		var ids []id.Person
		for _, s := range []string{"a", "b", "c", "d"} {
			key := "Patient/" + s + string(rune('A'+n%26)) + string(rune('A'+n/26%26)) + string(rune('A'+n/676))
			c.apply(amara(key, key), fact(key, Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/" + key, Codes: []Code{{System: "icd10cm", Code: s}}}))
			ids = append(ids, c.subject("ehr", key).ID)
		}
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			one, other := rapid.SampledFrom(ids).Draw(t, "one"), rapid.SampledFrom(ids).Draw(t, "other")
			undo := rapid.Bool().Draw(t, "undo")
			err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
				if undo {
					return c.p.Unmerge(ctx, tx, one)
				}
				return c.p.Merge(ctx, tx, one, other)
			})
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
		}
		all := 0
		roots := map[id.Person]bool{}
		for _, person := range ids {
			c.read(func(ctx context.Context, tx *store.Tx) error {
				root, err := c.p.Root(ctx, tx, person)
				roots[root] = true
				return err
			})
		}
		for root := range roots {
			p := c.projection(root)
			all += len(p.Conditions)
		}
		if all != 4 {
			t.Fatalf("%d of 4 conditions are somebody's", all)
		}
		for _, person := range ids { // back to what was: exact
			_ = st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error { return c.p.Unmerge(ctx, tx, person) })
		}
		for _, person := range ids {
			if p := c.projection(person); len(p.Conditions) != 1 || p.Kind != KindPatient {
				t.Fatalf("after all is unmerged: %+v", p)
			}
		}
	})
}
