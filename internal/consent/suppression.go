package consent

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Suppress stops mail to an address or a person, from this transaction on. The person may be unset for ScopeAddress. The same
// suppression again is the same one.
func (r *Consents) Suppress(ctx context.Context, tx *store.Tx, s Suppression) (id.Suppression, error) {
	if err := s.check(); err != nil {
		return id.Suppression{}, err
	}
	if s.Scope == ScopePerson {
		return r.suppressPerson(ctx, tx, s)
	}
	row, _, err := r.suppressAddress(ctx, tx, s)
	return row, err
}

// suppressAddress tells besides whether it was not suppressed so before.
func (r *Consents) suppressAddress(ctx context.Context, tx *store.Tx, s Suppression) (row id.Suppression, made bool, err error) {
	blind, err := r.address(ctx, tx, s.Channel, s.Address)
	if err != nil {
		return row, false, err
	}
	at := At{s.Channel, s.Address}
	have, err := r.Suppressed(ctx, tx, []At{at})
	if err != nil {
		return row, false, err
	}
	for _, old := range have[at] {
		if old.Covers == s.Covers && old.Topic == s.Topic && old.imp == r.imp { // each import stands for itself: it may be undone
			return old.ID, false, nil
		}
	}
	plain, err := proto.Marshal(s.pack(tx.Now))
	if err != nil {
		return row, false, fmt.Errorf("encode a suppression: %w", err)
	}
	row = id.New[id.Suppression]()
	sealed, err := r.keys.Seal(ctx, tx, seal.PurposeSetting, cell("suppression", "record", row.UUID()), plain)
	if err != nil {
		return row, false, fmt.Errorf("seal a suppression: %w", err)
	}
	if _, err := tx.Exec(ctx, insertSuppression, tx.Organisation(), blind, row, store.Millis(tx.Now), sealed, orNull(r.imp)); err != nil {
		return row, false, fmt.Errorf("write a suppression: %w", err)
	}
	return row, true, r.closeAddress(ctx, tx, s, row, "set")
}

func (r *Consents) suppressPerson(ctx context.Context, tx *store.Tx, s Suppression) (id.Suppression, error) {
	own, err := r.of(ctx, tx, []id.Person{s.Person})
	if err != nil {
		return id.Suppression{}, err
	}
	for _, old := range own[s.Person].Suppressions {
		if old.Status == InForce && old.Covers == s.Covers && old.Topic == s.Topic && old.Channel == s.Channel && old.cause == r.cause {
			return old.ID, nil
		}
	}
	row := id.New[id.Suppression]()
	return row, r.put(ctx, tx, s.Person, row.UUID(), kindSuppression, InForce, s.pack(tx.Now),
		entry{ledger.ActSuppression, "suppression of the person", "set"})
}

// Release ends a suppression: on the person's word, or because an address was proven again. s names it as Suppressed or Of gave it.
func (r *Consents) Release(ctx context.Context, tx *store.Tx, s Suppression, how Evidence) error {
	if err := how.check(); err != nil {
		return err
	}
	if s.Scope == ScopePerson {
		return r.finish(ctx, tx, s.Person, s.ID.UUID(), kindSuppression, InForce, Ended, how,
			entry{ledger.ActSuppression, "suppression of the person", "released"})
	}
	blind, err := r.address(ctx, tx, s.Channel, s.Address)
	if err != nil {
		return err
	}
	plain, err := proto.Marshal(packEvidence(how, tx.Now))
	if err != nil {
		return fmt.Errorf("encode the end of a suppression: %w", err)
	}
	sealed, err := r.keys.Seal(ctx, tx, seal.PurposeSetting, cell("suppression", "ending", s.ID.UUID()), plain)
	if err != nil {
		return fmt.Errorf("seal the end of a suppression: %w", err)
	}
	n, err := tx.Exec(ctx, endSuppression, store.Millis(tx.Now), sealed, tx.Organisation(), blind, s.ID)
	if err != nil {
		return fmt.Errorf("end a suppression: %w", err)
	}
	if n == 0 {
		return errNotInForce(s.ID.UUID())
	}
	return r.closeAddress(ctx, tx, s, s.ID, "released")
}

// closeAddress writes the ledger's entry, about the person when known, and tells the projections of all who have the address.
func (r *Consents) closeAddress(ctx context.Context, tx *store.Tx, s Suppression, row id.Suppression, state string) error {
	e := ledger.Entry{Act: ledger.ActSuppression, Object: row.UUID(), Detail: ledger.Detail{"kind": "suppression of the address", "state": state}}
	var err error
	var key seal.Key
	if s.Person.IsZero() {
		key, err = r.keys.Month(ctx, tx, seal.PurposeLedger)
	} else {
		key, err = r.people.Key(ctx, tx, s.Person)
		e.Subject, e.SubjectKey = s.Person, key
	}
	if err != nil {
		return err
	}
	if err := r.ledger.Append(ctx, tx, e, key); err != nil {
		return err
	}
	holders, err := r.people.ByContact(ctx, tx, s.Channel, s.Address)
	if err != nil {
		return err
	}
	for _, p := range holders {
		if err := r.project(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

func (s Suppression) check() error {
	switch {
	case s.Scope != ScopeAddress && s.Scope != ScopePerson:
		return fault.New(fault.Invalid, "a suppression is of an address or a person").At("scope")
	case s.Scope == ScopeAddress && s.Address == "":
		return fault.New(fault.Invalid, "the address is missing").At("address")
	case s.Scope == ScopePerson && s.Person.IsZero():
		return fault.New(fault.Invalid, "the person is missing").At("person")
	case s.Channel != people.ChannelEmail && s.Channel != people.ChannelPhone && (s.Scope == ScopeAddress || s.Channel != 0):
		return fault.New(fault.Invalid, "not a channel").At("channel")
	case s.Covers > CoversTexts:
		return fault.New(fault.Invalid, "not a thing that a suppression covers").At("covers")
	case s.Scope == ScopePerson && s.Covers == CoversAddress:
		return fault.New(fault.Invalid, "an address that takes no mail is not a person's doing").At("covers").Hint("suppress the address")
	case (s.Covers == CoversTopic) != (s.Topic != ""):
		return fault.New(fault.Invalid, "a topic belongs to a suppression of a topic, and to no other").At("topic")
	case s.Reason == "":
		return fault.New(fault.Invalid, "the reason is missing").At("reason")
	}
	return firstOf(s.Evidence.check(), checkText(s.Topic, s.Address, s.Reason, s.Rule))
}

// address gives the blind index of an address.
func (r *Consents) address(ctx context.Context, tx *store.Tx, c people.Channel, normal string) ([]byte, error) {
	return r.keys.Blind(ctx, tx, "suppression", strconv.Itoa(int(c))+" "+normal)
}
