package people

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// batch is one call of Apply: what the database holds of everyone concerned, and what becomes of it. Loading fills it, deciding
// changes it without touching anything else, writing writes what changed.
type batch struct {
	p     *People
	now   Date // the day of the transaction
	tx    *store.Tx
	imp   id.Import
	words Vocabulary
	seen  *Seen // a preview's memory of earlier batches; nil when writing

	sourceIDs   map[string]int64
	subjects    map[named]id.Person     // the source's key of a person
	identifiers map[string][]id.Person  // by normal identifier; kept and strong ones
	owners      map[named]id.Person     // who holds the current fact of a resource
	eventOwners map[named]id.Person     // who holds the standing event of a key, for events that are no fact's
	members     map[id.Person]*member   // everyone concerned, with all whom they were merged with
	children    map[id.Person][]*member // by the survivor
	blinds      map[blindKey]blind      // computed once
	named       map[id.Person]bool      // whom the changes were about
	said        []id.UUID               // rows of earlier imports that say the same
	quiet       bool                    // the caller writes the ledger's entry
	applied     Applied
}

// named is a name that a source gave: of a person, a resource, an event.
type named struct{ source, key string }

type blind = [seal.BlindSize]byte

type blindKey struct {
	kind, source, value string
}

// member is one record of a person with all that is current about it.
type member struct {
	id          id.Person
	ordinal     uint32
	state       int64
	mergedInto  id.Person
	version     int64
	projectedTo int64
	wrapped     []byte
	key         seal.Key
	core        *CoreRecord
	projection  Projection
	facts       []factRow
	byResource  map[named]int // into facts, the current one
	events      []eventRow    // standing, ascending

	fresh    bool // made in this batch
	shadow   bool // made in an earlier batch of the same preview: nothing of it is in the database
	changed  bool // rows of its own are written
	reshaped bool // the core is to be built anew
	moved    bool // got its survivor in this batch, or lost it
	counts   struct{ facts, events int }
	oldCore  *CoreRecord
}

type factRow struct {
	id       id.Fact
	source   string
	resource blind
	imported id.Import
	record   *FactRecord
	plain    []byte // of the record, as sealed

	fresh bool // to be inserted
	ended bool // superseded in this batch
}

type eventRow struct {
	seq      int64
	id       id.Event
	source   string
	key      blind
	imported id.Import
	record   *EventRecord

	fresh bool
	ended bool // taken back in this batch
}

func (p *People) newBatch(tx *store.Tx, imp id.Import) *batch {
	return &batch{
		p: p, now: DateOf(tx.Now), tx: tx, imp: imp, words: p.vocabulary(tx.Organisation()),
		sourceIDs: map[string]int64{}, subjects: map[named]id.Person{}, identifiers: map[string][]id.Person{}, owners: map[named]id.Person{},
		eventOwners: map[named]id.Person{}, members: map[id.Person]*member{}, children: map[id.Person][]*member{}, blinds: map[blindKey]blind{}, named: map[id.Person]bool{},
	}
}

// load reads everything that the changes may concern, in a handful of queries.
func (b *batch) load(ctx context.Context, changes []Change) error {
	for i := range changes {
		if err := b.wantSource(ctx, changes[i].Source); err != nil {
			return err
		}
	}
	found, err := b.lookUp(ctx, changes)
	if err != nil {
		return err
	}
	return b.loadFamilies(ctx, found)
}

func (b *batch) wantSource(ctx context.Context, name string) error {
	if _, known := b.sourceIDs[name]; known {
		return nil
	}
	if name == "" {
		return fault.New(fault.Invalid, "a change names no source")
	}
	n, err := b.p.sourceID(ctx, b.tx, name)
	if err != nil {
		return err
	}
	b.sourceIDs[name] = n
	return nil
}

// blind gives the blind index of a value, computed once per batch. A source's own names have the source in the value.
func (b *batch) blind(ctx context.Context, kind, source, value string) (blind, error) {
	k := blindKey{kind, source, value}
	if x, known := b.blinds[k]; known {
		return x, nil
	}
	if source != "" {
		value = source + "\x00" + value
	}
	raw, err := b.p.keys.Blind(ctx, b.tx, kind, value)
	if err != nil {
		return blind{}, fmt.Errorf("index a %s: %w", kind, err)
	}
	x := blind(raw)
	b.blinds[k] = x
	return x, nil
}

// The kinds of blind indexes.
const (
	blindSubject    = "subject"
	blindIdentifier = "identifier"
	blindEmail      = "email"
	blindPhone      = "phone"
	blindResource   = "resource"
	blindEvent      = "event"
	blindSource     = "source"
)

// lookUp finds who is concerned: by the source's keys, by identifiers, and by the resources that the changes name.
func (b *batch) lookUp(ctx context.Context, changes []Change) (map[id.Person]bool, error) {
	subjects, identifiers := map[blind]named{}, map[blind]string{}
	resources, events := map[int64]map[blind]named{}, map[int64]map[blind]named{}
	want := func(kind string, into map[blind]named, n named) error {
		x, err := b.blind(ctx, kind, n.source, n.key)
		if err == nil {
			into[x] = n
		}
		return err
	}
	perSource := func(m map[int64]map[blind]named, source string) map[blind]named {
		n := b.sourceIDs[source]
		if m[n] == nil {
			m[n] = map[blind]named{}
		}
		return m[n]
	}
	for i := range changes {
		c := &changes[i]
		for _, key := range append([]string{c.Subject, c.ReplacedBy}, c.Delete...) {
			if key == "" {
				continue
			}
			if err := want(blindSubject, subjects, named{c.Source, key}); err != nil {
				return nil, err
			}
		}
		for _, x := range c.Match {
			k, err := b.blind(ctx, blindIdentifier, "", NormalIdentifier(x))
			if err != nil {
				return nil, err
			}
			identifiers[k] = NormalIdentifier(x)
		}
		for _, key := range resourcesOf(c) {
			if err := want(blindResource, perSource(resources, c.Source), named{c.Source, key}); err != nil {
				return nil, err
			}
		}
		for j := range c.Events {
			if err := want(blindEvent, perSource(events, c.Source), named{c.Source, c.Events[j].Key}); err != nil {
				return nil, err
			}
		}
	}
	found := map[id.Person]bool{}
	err := b.byBlind(ctx, kindSubject, keysOf(subjects), func(x blind, person id.Person) {
		b.subjects[subjects[x]] = person
		found[person] = true
	})
	if err != nil {
		return nil, err
	}
	err = b.byBlind(ctx, kindIdentifier, keysOf(identifiers), func(x blind, person id.Person) {
		b.identifiers[identifiers[x]] = append(b.identifiers[identifiers[x]], person)
		found[person] = true
	})
	if err != nil {
		return nil, err
	}
	if err := b.holders(ctx, selectFactOwners, resources, b.owners, found); err != nil {
		return nil, err
	}
	return found, b.holders(ctx, selectEventOwners, events, b.eventOwners, found)
}

// resourcesOf gives every resource that a change is about.
func resourcesOf(c *Change) []string {
	keys := make([]string, 0, len(c.Facts)+len(c.Delete)+1)
	if c.Profile != nil {
		keys = append(keys, c.profileKey())
	}
	for i := range c.Facts {
		keys = append(keys, c.Facts[i].Resource)
	}
	return append(keys, c.Delete...)
}

// profileKey gives the source's key of the profile: the person's, and the kind of file when there are several.
func (c *Change) profileKey() string {
	if c.Part == "" {
		return c.Subject
	}
	return c.Subject + " " + c.Part
}

func keysOf[V any](m map[blind]V) []blind {
	all := make([]blind, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	return all
}

func (b *batch) byBlind(ctx context.Context, kind int, blinds []blind, fn func(blind, id.Person)) error {
	if len(blinds) == 0 {
		return nil
	}
	rows, err := b.tx.Query(ctx, selectByBlind, b.tx.Organisation(), kind, store.Blobs(blinds)) //nolint:sqlclosecheck // each reads it to the end and closes it
	if err != nil {
		return fmt.Errorf("find people: %w", err)
	}
	return each(rows, "find people", func() error {
		var (
			k      int
			x      id.UUID
			person id.Person
		)
		if err := rows.Scan(&k, &x, &person); err != nil {
			return err
		}
		fn(blind(x), person)
		return nil
	})
}

// holders finds, per source, who holds the rows of the given names.
func (b *batch) holders(
	ctx context.Context, query string, wanted map[int64]map[blind]named, into map[named]id.Person, found map[id.Person]bool,
) error {
	for source, names := range wanted {
		if source == 0 {
			continue // a preview of a source that does not exist yet
		}
		rows, err := b.tx.Query(ctx, query, b.tx.Organisation(), source, store.Blobs(keysOf(names))) //nolint:sqlclosecheck // each reads it to the end and closes it
		if err != nil {
			return fmt.Errorf("find resources: %w", err)
		}
		err = each(rows, "find resources", func() error {
			var (
				x      id.UUID
				person id.Person
			)
			if err := rows.Scan(&x, &person); err != nil {
				return err
			}
			into[names[blind(x)]] = person
			found[person] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each reads rows to their end.
func each(rows *sql.Rows, what string, fn func() error) error {
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	for rows.Next() {
		if err := fn(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
