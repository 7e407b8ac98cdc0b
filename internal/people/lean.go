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
	id     int32
	number uint64
	body   []byte
}

func (f *leanField) signed() int64 { return protowire.DecodeZigZag(f.number) }
func (f *leanField) yes() bool     { return f.number != 0 }

// next takes one field off a message; a message that is none ends in bad.
func (l *leanReader) next(b []byte, f *leanField) []byte {
	tag, n := varint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		l.bad = true
		return nil
	}
	b = b[n:]
	f.id, f.number, f.body = int32(tag>>3), 0, nil
	switch kind := protowire.Type(tag & 7); kind {
	case protowire.VarintType:
		f.number, n = varint(b)
	case protowire.Fixed64Type:
		f.number, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		var size uint64
		if size, n = varint(b); n > 0 && size <= uint64(len(b)-n) {
			f.body, n = b[n:n+int(size)], n+int(size)
		} else {
			n = -1
		}
	case protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
		n = protowire.ConsumeFieldValue(protowire.Number(f.id), kind, b)
	default:
		n = -1
	}
	if n <= 0 {
		l.bad = true
		return nil
	}
	return b[n:]
}

// varint reads a number; most are one byte.
func varint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

// projection reads a record; the numbers are those of record.proto.
func (l *leanReader) projection(b []byte, now time.Time) (Projection, error) {
	var p Projection
	err := l.into(&p, b, DateOf(now.UTC()).Days())
	return p, err
}

// into reads a record over an older one, whose lists it uses again. today is the day, in UTC, whose insurance counts.
func (l *leanReader) into(p *Projection, b []byte, today int32) error {
	p.reuse()
	l.bad = false
	for f := (leanField{}); len(b) > 0; {
		if b = l.next(b, &f); l.bad {
			break
		}
		switch f.id {
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
			l.list(p, &f)
		}
	}
	if l.bad {
		return fault.New(fault.Sealed, "a record does not decode").Hint("it was written by a later release: upgrade")
	}
	p.Insurance = insuranceOn(p.Coverages, today)
	return nil
}

// reuse empties a projection and keeps the room of its lists.
func (p *Projection) reuse() {
	*p = Projection{
		Sources: p.Sources[:0], Coverages: p.Coverages[:0], Conditions: p.Conditions[:0], Medications: p.Medications[:0], Procedures: p.Procedures[:0],
		Immunizations: p.Immunizations[:0], Allergies: p.Allergies[:0], Labs: p.Labs[:0], Events: p.Events[:0], Appointments: p.Appointments[:0],
		Consents: p.Consents[:0],
	}
}

func (l *leanReader) list(p *Projection, f *leanField) {
	switch f.id {
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
		if n := len(p.Events); n < cap(p.Events) {
			p.Events = p.Events[:n+1] // with the room of the one that stood here
		} else {
			p.Events = append(p.Events, ProjectedEvents{})
		}
		l.events(&p.Events[len(p.Events)-1], f.body)
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
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
		case 1:
			c.Kind = l.text(f.body)
		case 2:
			c.Start = int32(f.signed())
		case 3:
			c.End = int32(f.signed())
		}
	}
	return c
}

func (l *leanReader) code(b []byte) (c ProjectedCode) {
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
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
	}
	return c
}

func (l *leanReader) lab(b []byte) (x ProjectedLab) {
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
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
	}
	return x
}

func (l *leanReader) events(e *ProjectedEvents, b []byte) {
	*e = ProjectedEvents{Times: e.Times[:0], Machine: e.Machine[:0]}
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
		case 1:
			e.Kind = l.text(f.body)
		case 2:
			e.First = f.signed()
		case 3:
			e.Last = f.signed()
		case 4:
			e.Times = l.times(e.Times, f.body)
		case 5:
			e.Machine = l.times(e.Machine, f.body)
		}
	}
}

// times reads a packed list of steps after those of all.
func (l *leanReader) times(all []int64, b []byte) []int64 {
	t := int64(0)
	for len(b) > 0 {
		v, n := varint(b)
		if n <= 0 {
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
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
		case 1:
			a.Start = f.signed()
		case 2:
			a.Type = l.text(f.body)
		}
	}
	return a
}

func (l *leanReader) consent(b []byte) (c ProjectedConsent) {
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
		case 1:
			c.Name = l.text(f.body)
		case 2:
			c.State = l.text(f.body)
		case 3:
			c.Until = int32(f.signed())
		}
	}
	return c
}

func (l *leanReader) pair(b []byte) (key, value string) {
	for f := (leanField{}); len(b) > 0 && !l.bad; {
		b = l.next(b, &f)
		switch f.id {
		case 1:
			key = l.text(f.body)
		case 2:
			value = l.text(f.body)
		}
	}
	return key, value
}
