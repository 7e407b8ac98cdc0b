package people

import (
	"bytes"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/carepost/carepost/internal/id"
)

func cloneProfile(r *ProfileRecord) *ProfileRecord { return proto.CloneOf(r) }

// takeFact puts a version of a resource over the one that is known, unless it is older or says the same. It tells whether it did.
func (b *batch) takeFact(m *member, source string, r *FactRecord) (bool, error) {
	n := named{source, r.Resource}
	holder := b.members[b.owners[n]]
	if holder != nil {
		cur := &holder.facts[holder.byResource[n]]
		if older(r, cur.record) {
			b.applied.Stale++
			return false, nil
		}
		same, err := says(cur, r)
		if err != nil {
			return false, err
		}
		if same && holder == m {
			b.applied.Same++
			b.saidAgain(cur.imported, cur.id.UUID())
			return false, nil
		}
		if holder == m {
			carry(cur.record, r)
		}
		cur.ended = true
		delete(holder.byResource, n)
		holder.touch(cur.record)
	}
	plain, err := encode(r)
	if err != nil {
		return false, err
	}
	m.addFact(factRow{id: id.New[id.Fact](), source: source, resource: b.blinds[blindKey{blindResource, source, r.Resource}], imported: b.imp, record: r, plain: plain, fresh: true})
	m.touch(r)
	m.counts.facts++
	b.owners[n] = m.id
	b.applied.Facts++
	return true, nil
}

// touch notes that a row of the member changed.
func (m *member) touch(r *FactRecord) {
	m.changed = true
	m.reshaped = m.reshaped || r.Profile != nil || FactKind(r.Kind) == FactProxy
}

// older tells whether a version is older than the one that is known: by the source's time of change, then by its version number.
// Without either the later to arrive is the newer.
func older(r, known *FactRecord) bool {
	if r.UpdatedMs == 0 || known.UpdatedMs == 0 || r.UpdatedMs > known.UpdatedMs {
		return false
	}
	if r.UpdatedMs < known.UpdatedMs {
		return true
	}
	v, err1 := strconv.ParseUint(r.Version, 10, 64)
	w, err2 := strconv.ParseUint(known.Version, 10, 64)
	return err1 == nil && err2 == nil && v < w
}

// says tells whether a new version says what the known one says; what was carried over does not count.
func says(known *factRow, r *FactRecord) (bool, error) {
	if len(known.record.Carried) > 0 {
		bare := proto.CloneOf(known.record)
		bare.Carried = nil
		return proto.Equal(bare, r), nil
	}
	plain, err := encode(r)
	return bytes.Equal(plain, known.plain), err
}

// carry keeps what an earlier version of an appointment said and the new one leaves out: when it was booked, and where it stood.
func carry(old, r *FactRecord) {
	if FactKind(r.Kind) != FactAppointment || FactState(r.State) == StateError {
		return
	}
	before, now := unpackFact(old), unpackFact(r)
	if now.Text[TextMade] == "" {
		if made := madeAt(&before); !made.IsZero() {
			r.Carried = append(r.Carried, &PairRecord{Key: TextMade, Value: made.At().Format(time.RFC3339)})
		}
	}
	switch {
	case before.Start.IsZero() || now.Start.IsZero() || now.Text[TextPriorStart] != "":
	case before.Start.Unix() != now.Start.Unix() && before.State == StateBooked && now.State == StateBooked:
		r.Carried = append(r.Carried, &PairRecord{Key: TextPriorStart, Value: before.Start.At().Format(time.RFC3339)})
	case before.Start.Unix() == now.Start.Unix() && before.Text[TextPriorStart] != "":
		r.Carried = append(r.Carried, &PairRecord{Key: TextPriorStart, Value: before.Text[TextPriorStart]})
	}
}

// takeEvent appends an event that the source itself sends, once per key, or takes one back.
func (b *batch) takeEvent(m *member, c *Change, e *Event) {
	n := named{c.Source, e.Key}
	holder := b.members[b.eventOwners[n]]
	if e.Retracts {
		if holder != nil {
			if at := holder.standing(n); at >= 0 {
				b.endEvent(holder, at)
				delete(b.eventOwners, n)
			}
		}
		return
	}
	if holder != nil {
		if at := holder.standing(n); at >= 0 {
			b.saidAgain(holder.events[at].imported, holder.events[at].id.UUID())
			return
		}
	}
	b.addEvent(m, c.Source, e, false)
	b.eventOwners[n] = m.id
}

func (m *member) standing(n named) int {
	for i := range m.events {
		if e := &m.events[i]; !e.ended && e.source == n.source && e.record.Key == n.key {
			return i
		}
	}
	return -1
}

func (b *batch) addEvent(m *member, source string, e *Event, derived bool) {
	row := eventRow{id: id.New[id.Event](), source: source, record: packEvent(e, derived), fresh: true}
	if !derived {
		row.imported = b.imp // what facts say goes with the facts
	}
	m.events = append(m.events, row)
	m.changed = true
	m.counts.events++
	b.applied.Events++
}

// endEvent takes an event back; the retraction is written as an event of its own.
func (b *batch) endEvent(m *member, at int) {
	m.events[at].ended = true
	m.changed = true
	b.applied.Retracted++
}

func (b *batch) fact(m *member, row *factRow) Fact {
	f := unpackFact(row.record)
	f.ID, f.Source, f.Import = row.id, row.source, row.imported
	return f
}

// saidAgain notes that this import says what a row of an earlier one says: should that one be undone, the row is this one's.
func (b *batch) saidAgain(before id.Import, row id.UUID) {
	if before != b.imp && !before.IsZero() && !b.imp.IsZero() {
		b.said = append(b.said, row)
	}
}
