package people

//go:generate protoc --go_out=. --go_opt=paths=source_relative record.proto

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/fault"
)

// aliases are the code systems that records name by a number. Append only: the numbers are stored.
var aliases = []string{"", "icd10cm", "icd9cm", "rxnorm", "loinc", "cvx", "snomed", "ndc", "cpt", "hcpcs", "icd10pcs", "mvx", "cdt"}

var aliasNumber = func() map[string]uint32 {
	m := make(map[string]uint32, len(aliases))
	for i, a := range aliases {
		m[a] = uint32(i)
	}
	return m
}()

// packSystem gives the number of a known code system, or its own text.
func packSystem(system string) (number uint32, text string) {
	if n := aliasNumber[system]; n != 0 {
		return n, ""
	}
	return 0, system
}

func unpackSystem(number uint32, text string) string {
	if number != 0 && int(number) < len(aliases) {
		return aliases[number]
	}
	return text
}

// valid drops what is no UTF-8: a record holds text only. Mappings say what they leave out; this is the last line.
func valid(s string) string { return strings.ToValidUTF8(s, "") }

func packDate(d Date) uint32 { return uint32(d.number()) }

func unpackDate(n uint32) Date {
	return Date{int16(n / 10000), uint8(n / 100 % 100), uint8(n % 100)}
}

func packMoment(m Moment) *MomentRecord {
	if m.IsZero() {
		return nil
	}
	r := &MomentRecord{Date: packDate(m.Date)}
	if !m.Time.IsZero() {
		r.Time = m.Time.Unix()
	}
	return r
}

func unpackMoment(r *MomentRecord) Moment {
	m := Moment{Date: unpackDate(r.GetDate())}
	if r.GetTime() != 0 {
		m.Time = time.Unix(r.GetTime(), 0).UTC()
	}
	return m
}

func packPairs(m map[string]string) []*PairRecord {
	if len(m) == 0 {
		return nil
	}
	all := make([]*PairRecord, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, &PairRecord{Key: valid(k), Value: valid(m[k])})
	}
	return all
}

func unpackPairs(all []*PairRecord) map[string]string {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]string, len(all))
	for _, p := range all {
		m[p.Key] = p.Value
	}
	return m
}

// packFact gives the record of a fact; ids, source and import stand in the row.
func packFact(f *Fact) *FactRecord {
	r := &FactRecord{
		Kind: uint32(f.Kind), State: uint32(f.State), Resource: valid(f.Resource), Version: valid(f.Version),
		Start: packMoment(f.Start), End: packMoment(f.End),
		Comparator: valid(f.Value.Comparator), Value: valid(f.Value.Value), Unit: valid(f.Value.Unit), Text: packPairs(f.Text),
	}
	if !f.Updated.IsZero() {
		r.UpdatedMs = f.Updated.UnixMilli()
	}
	for _, c := range f.Codes {
		n, s := packSystem(c.System)
		r.Codes = append(r.Codes, &CodeRecord{Alias: n, System: valid(s), Code: valid(c.Code), Display: valid(c.Display)})
	}
	return r
}

// unpackFact gives the fact of a record; what an earlier version said and this one left out is in its Text too.
func unpackFact(r *FactRecord) Fact {
	f := Fact{
		Kind: FactKind(r.Kind), State: FactState(r.State), Resource: r.Resource, Version: r.Version,
		Start: unpackMoment(r.Start), End: unpackMoment(r.End),
		Value: Quantity{Comparator: r.Comparator, Value: r.Value, Unit: r.Unit}, Text: unpackPairs(r.Text),
	}
	for _, p := range r.Carried {
		if _, said := f.Text[p.Key]; !said {
			if f.Text == nil {
				f.Text = map[string]string{}
			}
			f.Text[p.Key] = p.Value
		}
	}
	if r.UpdatedMs != 0 {
		f.Updated = time.UnixMilli(r.UpdatedMs).UTC()
	}
	for _, c := range r.Codes {
		f.Codes = append(f.Codes, Code{System: unpackSystem(c.Alias, c.System), Code: c.Code, Display: c.Display})
	}
	return f
}

func packEvent(e *Event, derived bool) *EventRecord {
	return &EventRecord{Kind: valid(e.Kind), At: e.At.Unix(), Key: valid(e.Key), Machine: e.Machine, Derived: derived, Text: packPairs(e.Text)}
}

func unpackEvent(r *EventRecord) Event {
	return Event{Kind: r.Kind, At: time.Unix(r.At, 0).UTC(), Key: r.Key, Machine: r.Machine, Text: unpackPairs(r.Text)}
}

func packNames(all []Name) []*NameRecord {
	var out []*NameRecord
	for _, n := range all {
		r := &NameRecord{Use: valid(n.Use), Prefix: valid(n.Prefix), Suffix: valid(n.Suffix), Family: valid(n.Family)}
		for _, g := range n.Given {
			r.Given = append(r.Given, valid(g))
		}
		out = append(out, r)
	}
	return out
}

func unpackNames(all []*NameRecord) []Name {
	var out []Name
	for _, n := range all {
		out = append(out, Name{Use: n.Use, Prefix: n.Prefix, Suffix: n.Suffix, Given: n.Given, Family: n.Family})
	}
	return out
}

func packContact(c *ContactPoint) *ContactRecord {
	r := &ContactRecord{
		Channel: uint32(c.Channel), Value: valid(c.Value), Normal: valid(c.Normal), Use: valid(c.Use), Rank: int32(c.Rank), State: uint32(c.State),
	}
	if !c.ID.IsZero() {
		r.Id = bytesOf(c.ID)
	}
	return r
}

func unpackContact(r *ContactRecord) ContactPoint {
	c := ContactPoint{
		Channel: Channel(r.Channel), Value: r.Value, Normal: r.Normal, Use: r.Use, Rank: int(r.Rank), State: ContactState(r.State),
	}
	copy(c.ID[:], r.Id)
	return c
}

func bytesOf[T ~[16]byte](x T) []byte {
	b := [16]byte(x)
	return b[:]
}

// packProfile gives what one source says of a person.
func packProfile(c *Core, strong []bool) *ProfileRecord {
	r := &ProfileRecord{
		Names: packNames(c.Names), Birth: packDate(c.Birth), Sex: uint32(c.Sex), Zone: valid(c.Zone),
		Deceased: c.Deceased, DeceasedOn: packDate(c.DeceasedOn), Custom: packPairs(c.Custom), Kind: uint32(c.Kind), Inactive: c.Inactive,
	}
	for _, l := range c.Languages {
		r.Languages = append(r.Languages, valid(l))
	}
	for _, a := range c.Addresses {
		x := &AddressRecord{
			Use: valid(a.Use), City: valid(a.City), State: valid(a.State), PostalCode: valid(a.PostalCode), Country: valid(a.Country),
		}
		for _, l := range a.Lines {
			x.Lines = append(x.Lines, valid(l))
		}
		r.Addresses = append(r.Addresses, x)
	}
	for i := range c.Contacts {
		r.Contacts = append(r.Contacts, packContact(&c.Contacts[i]))
	}
	for i, x := range c.Identifiers {
		r.Identifiers = append(r.Identifiers, &IdentifierRecord{
			System: valid(x.System), Value: valid(x.Value), Type: valid(x.Type), Strong: i < len(strong) && strong[i],
		})
	}
	return r
}

func unpackProfile(r *ProfileRecord) Core {
	if r == nil {
		return Core{}
	}
	c := Core{
		Kind: Kind(r.Kind), Names: unpackNames(r.Names), Birth: unpackDate(r.Birth), Sex: Sex(r.Sex), Languages: r.Languages, Zone: r.Zone,
		Deceased: r.Deceased, DeceasedOn: unpackDate(r.DeceasedOn), Custom: unpackPairs(r.Custom), Inactive: r.Inactive,
	}
	for _, a := range r.Addresses {
		c.Addresses = append(c.Addresses, Address{
			Use: a.Use, Lines: a.Lines, City: a.City, State: a.State, PostalCode: a.PostalCode, Country: a.Country,
		})
	}
	for _, p := range r.Contacts {
		c.Contacts = append(c.Contacts, unpackContact(p))
	}
	for _, x := range r.Identifiers {
		c.Identifiers = append(c.Identifiers, Identifier{System: x.System, Value: x.Value, Type: x.Type})
	}
	return c
}

// unpackCore gives the core that a sealed core record says.
func unpackCore(r *CoreRecord) Core {
	c := unpackProfile(r.Profile)
	c.Kind, c.Inactive, c.Placeholder = Kind(r.Kind), r.Inactive, r.Placeholder
	for _, p := range r.Proxies {
		c.Proxies = append(c.Proxies, Proxy{
			Name: p.Name, Relationship: p.Relationship, Email: p.Email, Phone: p.Phone, Until: unpackDate(p.Until),
		})
	}
	return c
}

func packConsents(all []ProjectedConsent) []*ConsentRecord {
	var out []*ConsentRecord
	for _, c := range all {
		out = append(out, &ConsentRecord{Name: c.Name, State: c.State, Until: c.Until})
	}
	return out
}

func unpackConsents(all []*ConsentRecord) []ProjectedConsent {
	var out []ProjectedConsent
	for _, c := range all {
		out = append(out, ProjectedConsent{Name: c.Name, State: c.State, Until: c.Until})
	}
	return out
}

// record is a message of record.proto.
type record interface {
	proto.Message
	comparable
}

func encode(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a record cannot be encoded") // text that is no UTF-8: mapping cleans it away
	}
	return b, nil
}

func decode[M record](b []byte, m M) (M, error) {
	if err := proto.Unmarshal(b, m); err != nil {
		return m, fault.Wrap(fault.Sealed, err, "a record does not decode").Hint("it was written by a later release: upgrade")
	}
	return m, nil
}

func byText[T any](key func(T) string) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(key(a), key(b)) }
}
