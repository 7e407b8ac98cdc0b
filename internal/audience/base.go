package audience

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/carepost/carepost/internal/id"
)

// base is everyone of an organisation as columns, by ordinal. It never changes: a change of a person waits beside it until a new
// base takes it in (index.go), so readers need no lock.
type base struct {
	size     uint32      // ordinals are below it
	ids      []id.Person // by ordinal; the zero id where nobody stands
	all      bitset      // who is in audiences
	words    map[string]*dictionary
	flags    map[string]*postings
	sources  *dictionary
	birth    []uint32         // first possible day of birth plus birthBias; 0 unknown
	birthEnd map[uint32]int64 // last possible day, of dates that are not exact
	visit    []uint32         // last visit, seconds since 1970; 0 none
	facts    map[string]*facts
	labs     *labs
	events   map[string]*timeline
	machine  map[string]*timeline // events made by machines
	booked   *timeline            // starts of booked appointments
	consents map[string]*consents
	turns    *timeline // when projections will read differently: coverages that begin or end

	lastBirth, lastVisit uint32
}

// birthBias makes days since 1970 positive for every year since 1.
const birthBias = 1 << 20

// dictionary is the distinct values of something and who has each. Values are in order.
type dictionary struct {
	values []string
	who    []postings
	known  bitset // who has any; of fields only
}

// exact gives the place of a value.
func (d *dictionary) exact(value string) (int, bool) {
	if d == nil {
		return 0, false
	}
	return slices.BinarySearch(d.values, value)
}

// prefix gives the range of values that begin so.
func (d *dictionary) prefix(p string) (from, to int) {
	if d == nil {
		return 0, 0
	}
	from = sort.SearchStrings(d.values, p)
	to = from + sort.Search(len(d.values)-from, func(i int) bool { return !strings.HasPrefix(d.values[from+i], p) })
	return from, to
}

// facts are the codes of one kind of fact: who has each with a status that counts as active, and who has it otherwise only.
type facts struct {
	active, other *dictionary
}

// labs are the latest results by code, each a column.
type labs struct {
	codes   []string // keys, in order
	pairs   []code
	columns []labColumn
}

type labColumn struct {
	who, at, cell []uint32
	cells         []labCell // distinct results
}

type labCell struct {
	bits             uint64 // of the number, so that equal cells are one
	comparator, unit string
}

// consents are the records of one name.
type consents struct {
	any    postings
	states map[string]*postings // without an end that matters
	dated  []datedConsent       // given until a day
}

type datedConsent struct {
	who   uint32
	until int32
}

func newLabCell(value float64, comparator, unit string) labCell {
	return labCell{bits: math.Float64bits(value), comparator: comparator, unit: unit}
}

// result is the cell's number; cells are compared by their bits.
func (c labCell) result() float64 { return math.Float64frombits(c.bits) }
