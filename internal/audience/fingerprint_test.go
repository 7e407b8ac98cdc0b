package audience_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
)

func indexOfAll(t *rapid.T, now map[uint32]audience.Change) *audience.Index {
	x, err := audience.NewIndex(func(add func(id.Person, uint32, *people.Projection)) error {
		for _, c := range now {
			if c.Projection != nil {
				add(c.Person, c.Ordinal, c.Projection)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// An index that followed and one that was built at the end have the same fingerprint, whatever way the first one came; one person more
// or less has another.
func TestTheWayDoesNotShowInTheFingerprint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := map[uint32]audience.Change{}
		follower := indexOfAll(t, now)
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			var changes []audience.Change
			for range rapid.IntRange(0, 12).Draw(t, "changed") {
				c := audience.Change{Ordinal: uint32(rapid.IntRange(0, 90).Draw(t, "ordinal")), Person: id.New[id.Person]()}
				if old, ok := now[c.Ordinal]; ok {
					c.Person = old.Person
				}
				if rapid.IntRange(0, 9).Draw(t, "gone") > 0 {
					c.Projection = drawPerson(t)
				}
				changes = append(changes, c)
				now[c.Ordinal] = c
			}
			follower.Apply(changes)
			if rapid.Bool().Draw(t, "settle") {
				follower.Settle()
			}
		}
		want := indexOfAll(t, now).View().Fingerprint()
		if got := follower.View().Fingerprint(); got != want {
			t.Fatalf("followed: %s, built: %s", got, want)
		}
		now[91] = audience.Change{Ordinal: 91, Person: id.New[id.Person](), Projection: &people.Projection{Kind: 1}}
		if got := indexOfAll(t, now).View().Fingerprint(); got == want {
			t.Fatal("one more person changes nothing")
		}
	})
}
