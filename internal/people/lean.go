package people

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/carepost/carepost/internal/fault"
)

// leanReader reads a ProjectionRecord straight into a Projection. It is what a start costs per person: the generated code makes
// a tree of messages first, at three times the price. Texts that come again and again are made once.
type leanReader struct {
	texts map[string]string
	bad   bool
}

func newLeanReader() *leanReader { return &leanReader{texts: map[string]string{}} }

const maxTexts = 1 << 16

func (l *leanReader) text(b []byte) string {
	if s, ok := l.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(l.texts) < maxTexts {
		l.texts[s] = s
	}
	return s
}

// leanField is one field of a message on the wire: number is for varints and fixed ones, body for the rest.
type leanField struct {
	id     protowire.Number
	number uint64
	body   []byte
}

func (f *leanField) signed() int64 { return protowire.DecodeZigZag(f.number) }
func (f *leanField) yes() bool     { return f.number != 0 }

// fields calls fn with each field of a message.
func (l *leanReader) fields(b []byte, fn func(f *leanField)) {
	var f leanField
	for len(b) > 0 && !l.bad {
		id, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			l.bad = true
			return
		}
		b = b[n:]
		f = leanField{id: id}
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.body, n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
			n = protowire.ConsumeFieldValue(id, kind, b)
		default:
			n = -1
		}
		if n < 0 {
			l.bad = true
			return
		}
		b = b[n:]
		fn(&f)
	}
}

// projection reads a record; the numbers are those of record.proto.
func (l *leanReader) projection(b []byte, now time.Time) (Projection, error) {
	var p Projection
	l.bad = false
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			p.Kind = Kind(f.number)
		case 2:
			p.Sex = Sex(f.number)
		case 3:
			p.Birth = unpackDate(uint32(f.number))
		case 4:
			p.Language = l.text(f.body)
		case 5:
			p.Zone = l.text(f.body)
		case 6:
			p.State = l.text(f.body)
		case 7:
			p.Postal = l.text(f.body)
		case 8:
			p.Country = l.text(f.body)
		case 9:
			p.Deceased = f.yes()
		case 10:
			p.HasEmail = f.yes()
		case 11:
			p.HasPhone = f.yes()
		case 12:
			p.InPatient = f.yes()
		case 13:
			p.Sources = append(p.Sources, l.text(f.body))
		default:
			l.list(&p, f)
		}
	})
	if l.bad {
		return Projection{}, fault.New(fault.Sealed, "a record does not decode").Hint("it was written by a later release: upgrade")
	}
	p.Insurance = insurance(p.Coverages, now)
	return p, nil
}

func (l *leanReader) list(p *Projection, f *leanField) {
	switch f.id { //nolint:exhaustive // a field number is no enumeration
	case 14:
		p.Coverages = append(p.Coverages, l.coverage(f.body))
	case 15:
		p.Conditions = append(p.Conditions, l.code(f.body))
	case 16:
		p.Medications = append(p.Medications, l.code(f.body))
	case 17:
		p.Procedures = append(p.Procedures, l.code(f.body))
	case 18:
		p.Immunizations = append(p.Immunizations, l.code(f.body))
	case 19:
		p.Allergies = append(p.Allergies, l.code(f.body))
	case 20:
		p.Labs = append(p.Labs, l.lab(f.body))
	case 21:
		p.Events = append(p.Events, l.events(f.body))
	case 22:
		p.Appointments = append(p.Appointments, l.appointment(f.body))
	case 23:
		p.Consents = append(p.Consents, l.consent(f.body))
	case 24:
		key, value := l.pair(f.body)
		if p.Custom == nil {
			p.Custom = map[string]string{}
		}
		p.Custom[key] = value
	}
}

func (l *leanReader) coverage(b []byte) (c ProjectedCoverage) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			c.Kind = l.text(f.body)
		case 2:
			c.Start = int32(f.signed())
		case 3:
			c.End = int32(f.signed())
		}
	})
	return c
}

func (l *leanReader) code(b []byte) (c ProjectedCode) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			c.System = unpackSystem(uint32(f.number), c.System)
		case 2:
			c.System = l.text(f.body)
		case 3:
			c.Code = l.text(f.body)
		case 4:
			c.Active = f.yes()
		case 5:
			c.Start = int32(f.signed())
		case 6:
			c.End = int32(f.signed())
		}
	})
	return c
}

func (l *leanReader) lab(b []byte) (x ProjectedLab) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			x.System = unpackSystem(uint32(f.number), x.System)
		case 2:
			x.System = l.text(f.body)
		case 3:
			x.Code = l.text(f.body)
		case 4:
			x.Comparator = l.text(f.body)
		case 5:
			x.Unit = l.text(f.body)
		case 6:
			x.Value = math.Float64frombits(f.number)
		case 7:
			x.At = f.signed()
		}
	})
	return x
}

func (l *leanReader) events(b []byte) (e ProjectedEvents) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			e.Kind = l.text(f.body)
		case 2:
			e.First = f.signed()
		case 3:
			e.Last = f.signed()
		case 4:
			e.Times = l.times(f.body)
		case 5:
			e.Machine = l.times(f.body)
		}
	})
	return e
}

// times reads a packed list of steps.
func (l *leanReader) times(b []byte) []int64 {
	count := 0
	for _, c := range b {
		if c < 0x80 {
			count++
		}
	}
	all, t := make([]int64, 0, count), int64(0)
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			l.bad = true
			return nil
		}
		b = b[n:]
		t += protowire.DecodeZigZag(v)
		all = append(all, t)
	}
	return all
}

func (l *leanReader) appointment(b []byte) (a ProjectedAppointment) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			a.Start = f.signed()
		case 2:
			a.Type = l.text(f.body)
		}
	})
	return a
}

func (l *leanReader) consent(b []byte) (c ProjectedConsent) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			c.Name = l.text(f.body)
		case 2:
			c.State = l.text(f.body)
		case 3:
			c.Until = int32(f.signed())
		}
	})
	return c
}

func (l *leanReader) pair(b []byte) (key, value string) {
	l.fields(b, func(f *leanField) {
		switch f.id { //nolint:exhaustive // a field number is no enumeration
		case 1:
			key = l.text(f.body)
		case 2:
			value = l.text(f.body)
		}
	})
	return key, value
}
