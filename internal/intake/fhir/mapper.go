package fhir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/people"
)

// Mapper maps FHIR R4. It implements intake.Mapper.
type Mapper struct{}

var _ intake.Mapper = Mapper{}

// kind is what we do with one type of resource.
type kind struct {
	person   string // the field that names the person; empty: see split
	apply    func(r *resource, m *mapping) []people.Fact
	complete []string // kinds of events that a whole export of the type delivers completely
}

// kinds is every type that is mapped. All others are kept sealed, and counted as skipped.
var kinds = map[string]kind{
	"Patient":            {complete: []string{"person"}},
	"RelatedPerson":      {person: "patient", apply: relatedPerson, complete: []string{"proxy"}},
	"Condition":          {person: "subject", apply: condition, complete: []string{"condition"}},
	"AllergyIntolerance": {person: "patient", apply: allergy, complete: []string{"allergy"}},
	"MedicationRequest":  {person: "subject", apply: medicationRequest, complete: []string{"medication", people.EventPrescribed}},
	"MedicationDispense": {person: "subject", apply: medicationDispense, complete: []string{people.EventDispensed}},
	"Observation":        {person: "subject", apply: observation, complete: []string{people.EventLab}},
	"Procedure":          {person: "subject", apply: procedure, complete: []string{"procedure.*"}},
	"Immunization":       {person: "patient", apply: immunization, complete: []string{"immunization.*"}},
	"Encounter":          {person: "subject", apply: encounter, complete: []string{"visit.*"}},
	"Appointment":        {apply: appointment, complete: []string{"appointment.*"}},
	"Coverage":           {person: "beneficiary", apply: coverage, complete: []string{"coverage"}},
	"Consent":            {person: "patient", apply: consent, complete: []string{"consent"}},
}

// Format names the mapper.
func (Mapper) Format() string { return "fhir" }

// Complete gives the kinds of events that an export of these types delivers completely.
func (Mapper) Complete(types []string) []string {
	var all []string
	for _, t := range types {
		all = append(all, kinds[t].complete...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Split tells what a line is: a resource, or a bundle of resources and deletions.
func (Mapper) Split(line []byte) ([]intake.Message, error) {
	r, err := parse(line)
	if err != nil {
		return nil, err
	}
	if r.kind == "Bundle" {
		return splitBundle(r)
	}
	m, err := head(r, line)
	return []intake.Message{m}, err // of a refused line its kind is known
}

type entry struct {
	Resource json.RawMessage `json:"resource"`
	Request  struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
}

// kindDelete is what a deletion in a bundle is counted as.
const kindDelete = "deletion"

func splitBundle(r *resource) ([]intake.Message, error) {
	var all []intake.Message
	for _, e := range list[entry](r, "entry") {
		if strings.EqualFold(e.Request.Method, "DELETE") {
			key := e.Request.URL
			if at := strings.LastIndexByte(key, '/'); at > 0 {
				if before := strings.LastIndexByte(key[:at], '/'); before >= 0 {
					key = key[before+1:] // an absolute URL
				}
			}
			of, name, _ := strings.Cut(key, "/")
			if !known(of) || !validID(name) {
				return nil, fault.New(fault.Invalid, "a deletion whose URL names no resource")
			}
			all = append(all, intake.Message{Kind: kindDelete, Key: key, Subject: key, Turn: intake.TurnDelete, Body: []byte(key)})
			continue
		}
		if len(e.Resource) == 0 {
			continue
		}
		inner, err := parse(e.Resource)
		if err != nil {
			return nil, err
		}
		if inner.kind == "Bundle" {
			return nil, fault.New(fault.Invalid, "a bundle in a bundle")
		}
		m, err := head(inner, e.Resource)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if len(r.warnings) > 0 {
		return nil, fault.New(fault.Invalid, "the bundle's field %s %s", r.warnings[0].Field, r.warnings[0].Reason)
	}
	if len(all) == 0 {
		all = append(all, intake.Message{Kind: "Bundle", Turn: intake.TurnNone})
	}
	return all, nil
}

// head finds what a resource is, its key, and whom it is about.
func head(r *resource, body []byte) (intake.Message, error) {
	m := intake.Message{Kind: r.kind, Turn: intake.TurnNone, Body: bytes.TrimSpace(body)}
	k, mapped := kinds[r.kind]
	if !known(r.kind) {
		if name, is := anyCase(r.kind); is {
			m.Kind = name
			return m, fault.New(fault.Invalid, "resourceType is written in another case than %s", name)
		}
		m.Kind = "unknown type"
		return m, nil
	}
	name := get[string](r, "id")
	if validID(name) {
		m.Key = r.kind + "/" + name
	}
	if r.kind == "Medication" && m.Key != "" {
		m.Turn, m.Subject = intake.TurnReferred, m.Key
		return m, nil
	}
	if !mapped {
		return m, nil
	}
	if m.Key == "" {
		return m, fault.New(fault.Invalid, "%s without an id", r.kind)
	}
	if r.kind == "Patient" {
		m.Turn, m.Subject = intake.TurnPerson, m.Key
		return m, nil
	}
	targets, err := whom(r, k)
	if err != nil {
		return m, err
	}
	if t := targets[0]; t.key != "" {
		m.Turn, m.Subject = intake.TurnPerson, t.key
	} else {
		m.Turn, m.Subject = intake.TurnIdentifier, people.NormalIdentifier(t.identifier)
	}
	return m, nil
}

// whom gives the patients that a resource is about, at least one. Only an appointment is about several.
func whom(r *resource, k kind) ([]target, error) {
	field := k.person
	var refs []reference
	if r.kind == "Appointment" {
		field = "participant"
		for _, p := range list[participant](r, field) {
			if strings.HasPrefix(p.Actor.Reference, "Patient") || strings.Contains(p.Actor.Reference, "/Patient/") || p.Actor.Type == "Patient" ||
				strings.HasPrefix(p.Actor.Reference, "urn:uuid:") && strings.HasSuffix(p.Actor.Type, "Patient") {
				refs = append(refs, p.Actor)
			}
		}
	} else if ref := get[reference](r, field); ref != (reference{}) {
		refs = append(refs, ref)
	}
	var all []target
	for _, ref := range refs {
		if t, ok := ref.resolve("Patient"); ok && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Invalid, "the field %s names no patient", field)
	}
	slices.SortFunc(all, func(a, b target) int { // keys before identifiers, each in order
		return cmp.Or(strings.Compare(emptyLast(a.key), emptyLast(b.key)), strings.Compare(a.identifier.Value, b.identifier.Value))
	})
	return all, nil
}

func emptyLast(key string) string {
	if key == "" {
		return "\xff"
	}
	return key
}

type participant struct {
	Actor  reference `json:"actor"`
	Status string    `json:"status"`
}

// mapping is what the functions of the table need beside the resource.
type mapping struct {
	*intake.Context
}

// Map gives what a message says.
func (Mapper) Map(m *intake.Message, c *intake.Context) ([]people.Change, error) {
	if m.Turn == intake.TurnDelete {
		return []people.Change{{Source: c.Source, Delete: []string{m.Key}}}, nil
	}
	r, err := parse(m.Body)
	if err != nil {
		return nil, err
	}
	k, mapped := kinds[r.kind]
	if !mapped || m.Key == "" {
		return nil, nil
	}
	if r.kind == "Patient" {
		return patient(r, m, c), nil
	}
	targets, err := whom(r, k)
	if err != nil {
		return nil, err
	}
	updated, version := r.updated()
	facts := k.apply(r, &mapping{Context: c})
	changes := make([]people.Change, 0, len(targets))
	for n, t := range targets {
		change := people.Change{Source: c.Source, Subject: t.key, Updated: updated}
		if t.key == "" {
			change.Match = []people.Identifier{t.identifier}
		}
		for _, f := range facts {
			f.Source, f.Resource, f.Version, f.Updated = c.Source, m.Key, version, updated
			if n > 0 {
				f.Resource += "#" + t.key // a resource has one current fact per person
			}
			change.Facts = append(change.Facts, f)
		}
		changes = append(changes, change)
	}
	changes[0].Warnings = r.warnings
	return changes, nil
}
