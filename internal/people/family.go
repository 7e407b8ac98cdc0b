package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Families gives, for each of the people, every record of the same human: the survivor first, then all that were merged into it. Who
// is alone is a family of one; ids that do not exist are families of one too.
func (p *People) Families(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person][]id.Person, error) {
	root := make(map[id.Person]id.Person, len(ids))
	for _, x := range ids {
		root[x] = x
	}
	for fresh := ids; len(fresh) > 0; {
		rows, err := tx.Query(ctx, selectFamily, tx.Organisation(), store.Blobs(fresh)) //nolint:sqlclosecheck // each reads it to the end and closes it
		if err != nil {
			return nil, fmt.Errorf("find survivors: %w", err)
		}
		into := map[id.Person]id.Person{}
		err = each(rows, "find survivors", func() error {
			var person, survivor id.Person
			err := rows.Scan(&person, &survivor)
			if !survivor.IsZero() {
				into[person] = survivor
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		fresh = nil
		for x, r := range root {
			if survivor, merged := into[r]; merged {
				root[x] = survivor
				fresh = append(fresh, survivor)
			}
		}
	}
	members, parent := map[id.Person][]id.Person{}, map[id.Person]id.Person{}
	var fresh []id.Person
	for _, r := range root {
		if members[r] == nil {
			members[r], parent[r] = []id.Person{r}, r
			fresh = append(fresh, r)
		}
	}
	for len(fresh) > 0 {
		rows, err := tx.Query(ctx, selectMembers, tx.Organisation(), store.Blobs(fresh)) //nolint:sqlclosecheck // each reads it to the end and closes it
		if err != nil {
			return nil, fmt.Errorf("find merged records: %w", err)
		}
		fresh = nil
		err = each(rows, "find merged records", func() error {
			var child, into id.Person
			if err := rows.Scan(&child, &into); err != nil {
				return err
			}
			r := parent[into]
			parent[child] = r
			members[r] = append(members[r], child)
			fresh = append(fresh, child)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, list := range members {
		slices.SortFunc(list[1:], compareIDs)
	}
	families := make(map[id.Person][]id.Person, len(ids))
	for x, r := range root {
		families[x] = members[r]
	}
	return families, nil
}

const selectMembers = `SELECT id, merged_into FROM person WHERE organisation_id = ? AND merged_into IN {{blobs}}` // sorted below: an order here makes SQLite walk all people by their ids
