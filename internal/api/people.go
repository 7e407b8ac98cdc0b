package api

import (
	"context"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// Person is a person's record as it is shown to who may view it; every showing is a ledger entry.
type Person struct {
	ID          string            `json:"id"`
	Kind        string            `json:"kind"`
	Names       []string          `json:"names"`
	Birth       string            `json:"birth,omitempty"`
	Sex         string            `json:"sex"`
	Languages   []string          `json:"languages"`
	Zone        string            `json:"zone,omitempty"`
	Deceased    bool              `json:"deceased"`
	Contacts    []Contact         `json:"contacts"`
	Identifiers []Identifier      `json:"identifiers"`
	Placeholder []string          `json:"placeholder,omitempty" doc:"Fields that hold a source's filler, not a fact"`
	Facts       []Fact            `json:"facts,omitempty"`
	Custom      map[string]string `json:"custom,omitempty"`
	MergedInto  string            `json:"merged_into,omitempty"`
}

// Contact is a contact point.
type Contact struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	Value   string `json:"value"`
	Use     string `json:"use,omitempty"`
	State   string `json:"state"`
}

// Identifier is a source's number for a person.
type Identifier struct {
	System string `json:"system" maxLength:"500"`
	Value  string `json:"value" maxLength:"200"`
	Type   string `json:"type,omitempty" maxLength:"20"`
}

// Fact is a clinical or administrative fact, in short.
type Fact struct {
	Kind    string   `json:"kind"`
	State   string   `json:"state"`
	Codes   []string `json:"codes"`
	Display string   `json:"display,omitempty"`
	Start   string   `json:"start,omitempty"`
	Value   string   `json:"value,omitempty"`
}

var (
	kinds    = map[people.Kind]string{people.KindPatient: "patient", people.KindProspect: "prospect", people.KindCorrespondent: "correspondent"}
	sexes    = map[people.Sex]string{people.SexUnknown: "unknown", people.SexFemale: "female", people.SexMale: "male", people.SexOther: "other"}
	channels = map[people.Channel]string{people.ChannelEmail: "email", people.ChannelPhone: "phone", people.ChannelPost: "post"}
	contacts = map[people.ContactState]string{people.ContactUsable: "usable", people.ContactOld: "old", people.ContactUnproven: "unproven", people.ContactInvalid: "invalid"}
	factKind = map[people.FactKind]string{
		people.FactCondition: "condition", people.FactMedication: "medication", people.FactDispense: "dispense", people.FactObservation: "observation",
		people.FactProcedure: "procedure", people.FactImmunization: "immunization", people.FactEncounter: "encounter", people.FactAppointment: "appointment",
		people.FactCoverage: "coverage", people.FactConsent: "consent proposal", people.FactAllergy: "allergy",
	}
	factState = map[people.FactState]string{
		people.StateUnknown: "unknown", people.StateActive: "active", people.StateInactive: "inactive", people.StateCompleted: "completed",
		people.StateCancelled: "cancelled", people.StateRefuted: "refuted", people.StateError: "entered in error", people.StateBooked: "booked",
		people.StateMissed: "missed", people.StateKept: "kept", people.StateNotDone: "not done", people.StateProposed: "proposed",
	}
)

// Search is what people are looked for by. It is a body and never a query: a name in a URL ends in logs.
type Search struct {
	Identifier string `json:"identifier,omitempty" maxLength:"700" doc:"system|value"`
	Email      string `json:"email,omitempty" maxLength:"254"`
	Name       string `json:"name,omitempty" maxLength:"200" doc:"The beginning of a name"`
	Limit      int    `json:"limit,omitempty" minimum:"0" maximum:"200"`
}

type findPeopleInput struct {
	Place
	Body Search
}

type findPeopleOutput struct {
	Body struct {
		People []string `json:"people" doc:"Ids; each record opens by its own request"`
	}
}

func (f *Face) findPeople(ctx context.Context, in *findPeopleInput) (*findPeopleOutput, error) {
	out := &findPeopleOutput{}
	out.Body.People = []string{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		found, err := f.find(ctx, tx, &in.Body)
		for _, p := range found {
			out.Body.People = append(out.Body.People, p.String())
		}
		return err
	})
}

func (f *Face) find(ctx context.Context, tx *store.Tx, in *Search) ([]id.Person, error) {
	switch {
	case in.Identifier != "":
		system, value, ok := cut(in.Identifier)
		if !ok {
			return nil, fault.New(fault.Invalid, "not an identifier").At("identifier").Hint("write system|value")
		}
		return f.People.ByIdentifier(ctx, tx, people.Identifier{System: system, Value: value})
	case in.Email != "":
		normal, err := people.NormalEmail(in.Email)
		if err != nil {
			return nil, err
		}
		return f.People.ByContact(ctx, tx, people.ChannelEmail, normal)
	case in.Name != "":
		limit := in.Limit
		if limit == 0 {
			limit = 50
		}
		index, err := f.namesOf(ctx, tx)
		if err != nil {
			return nil, err
		}
		return index.Find(in.Name, limit), nil
	}
	return nil, fault.New(fault.Invalid, "nothing to look for").Hint("give identifier, email or name")
}

type personInput struct {
	Place
	ID string `path:"id"`
}

type personOutput struct{ Body Person }

// getPerson writes the view in the transaction that reads: no ledger, no look (45 CFR 164.312(b)).
func (f *Face) getPerson(ctx context.Context, in *personInput) (*personOutput, error) {
	person, err := id.Parse[id.Person](in.ID)
	if err != nil {
		return nil, err
	}
	out := &personOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		p, err := f.People.Get(ctx, tx, person)
		if err != nil {
			return err
		}
		facts, err := f.People.Facts(ctx, tx, person)
		if err != nil {
			return err
		}
		out.Body = personOf(p, facts)
		return f.viewed(ctx, tx, p.ID, p.ID.UUID(), "record")
	})
}

func (f *Face) viewed(ctx context.Context, tx *store.Tx, person id.Person, object id.UUID, what string) error {
	key, err := f.People.Key(ctx, tx, person)
	if err != nil {
		return err
	}
	return f.Ledger.Append(ctx, tx, ledger.Entry{
		Act: ledger.ActView, Purpose: ledger.PurposeOperations, Subject: person, SubjectKey: key, Object: object, Detail: ledger.Detail{"what": what},
	}, key)
}

func personOf(p people.Person, facts []people.Fact) Person {
	c := p.Core
	out := Person{
		ID: p.ID.String(), Kind: kinds[c.Kind], Birth: c.Birth.String(), Sex: sexes[c.Sex], Languages: c.Languages, Zone: c.Zone,
		Deceased: c.Deceased, Placeholder: c.Placeholder, Custom: c.Custom, Names: []string{}, Contacts: []Contact{}, Identifiers: []Identifier{},
	}
	if !p.MergedInto.IsZero() {
		out.MergedInto = p.MergedInto.String()
	}
	for _, n := range c.Names {
		out.Names = append(out.Names, fullName(n))
	}
	for _, k := range c.Contacts {
		out.Contacts = append(out.Contacts, Contact{k.ID.String(), channels[k.Channel], k.Value, k.Use, contacts[k.State]})
	}
	for _, x := range c.Identifiers {
		out.Identifiers = append(out.Identifiers, Identifier{x.System, x.Value, x.Type})
	}
	for _, x := range facts {
		out.Facts = append(out.Facts, factOf(x))
	}
	return out
}

func factOf(x people.Fact) Fact {
	f := Fact{Kind: factKind[x.Kind], State: factState[x.State], Codes: []string{}, Value: x.Value.Comparator + x.Value.Value + x.Value.Unit}
	for _, c := range x.Codes {
		f.Codes = append(f.Codes, c.System+":"+c.Code)
		if f.Display == "" {
			f.Display = c.Display
		}
	}
	if !x.Start.IsZero() {
		f.Start = x.Start.At().Format(time.DateOnly)
	}
	return f
}

type mergeInput struct {
	Place
	ID   string `path:"id"`
	Body struct {
		Survivor string `json:"survivor" maxLength:"40" doc:"per_...: the record that stays"`
	}
}

type mergeOutput struct {
	Body struct {
		Person   string `json:"person"`
		Survivor string `json:"survivor,omitempty"`
	}
}

// mergePerson makes another record the survivor of this one. Nothing is moved: unmerging is exact. Of consents the strictest counts.
func (f *Face) mergePerson(ctx context.Context, in *mergeInput) (*mergeOutput, error) {
	person, err := id.Parse[id.Person](in.ID)
	if err != nil {
		return nil, err
	}
	survivor, err := id.Parse[id.Person](in.Body.Survivor)
	if err != nil {
		return nil, at(err, "survivor")
	}
	out := &mergeOutput{}
	out.Body.Person, out.Body.Survivor = person.String(), survivor.String()
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		if _, err := f.People.Get(ctx, tx, person); err != nil {
			return err
		}
		if person == survivor {
			return fault.New(fault.Invalid, "a record cannot be merged into itself").At("survivor")
		}
		return f.People.Merge(ctx, tx, person, survivor)
	})
}

// unmergePerson gives a merged record back to itself.
func (f *Face) unmergePerson(ctx context.Context, in *personInput) (*mergeOutput, error) {
	person, err := id.Parse[id.Person](in.ID)
	if err != nil {
		return nil, err
	}
	out := &mergeOutput{}
	out.Body.Person = person.String()
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		return f.People.Unmerge(ctx, tx, person)
	})
}
