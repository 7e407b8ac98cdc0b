package people

import (
	"context"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Correspondent gives the person whom an email address belongs to; an address that nobody has makes a person of kind correspondent,
// who is in no audience. An address that several people share names none of them: fault.Conflict.
func (p *People) Correspondent(ctx context.Context, tx *store.Tx, email string) (id.Person, error) {
	normal, err := NormalEmail(email)
	if err != nil {
		return id.Person{}, err
	}
	found, err := p.ByContact(ctx, tx, ChannelEmail, normal)
	switch {
	case err != nil:
		return id.Person{}, err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return id.Person{}, fault.New(fault.Conflict, "several people have the address").Hint("name the person, not the address")
	}
	key := "mailto:" + normal
	a, err := p.Apply(ctx, tx, []Change{{
		Source: SourceStaff, Subject: key, Active: true, Updated: tx.Now,
		Profile: &Core{Kind: KindCorrespondent, Contacts: []ContactPoint{{Channel: ChannelEmail, Value: email, Normal: normal}}},
	}}, id.Import{})
	if err != nil {
		return id.Person{}, err
	}
	return a.People[0], nil
}
