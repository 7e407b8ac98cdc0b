package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

const (
	batchBytes = 8 << 20 // of messages that are applied at once; a person with more is applied in several batches
	maxTries   = 5       // of a batch that meets another writer's
)

// batchMessages is how many messages are applied at once.
func (in *Intake) batchMessages() int { return 2 * in.Chunk }

// apply maps and applies what is in raw and was not applied yet: mapping the next batch while the last one is written.
func (w *worker) apply(ctx context.Context) error {
	total, err := w.toApply(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	batches := make(chan *batch, 1)
	ended := make(chan struct{})
	from := cursor{w.job.turn, w.job.subject, w.job.done}
	// What the mapping reads of the job never changes while it is applied.
	job := w.job.clone()
	go func() {
		defer close(ended)
		defer close(batches)
		for {
			b := w.nextBatch(ctx, job, from)
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil || b.last {
				return
			}
			from = b.behind
		}
	}()
	defer func() { stop(); <-ended }()
	applied := int64(0)
	for b := range batches {
		if b.err != nil {
			return b.err
		}
		if len(b.units) > 0 {
			if err := w.commitBatch(ctx, b.units); err != nil {
				return err
			}
		}
		applied += int64(len(b.units))
		w.tell(Progress{
			Phase: "apply", File: len(w.job.record.Files), Files: len(w.job.record.Files), Lines: w.job.record.Result.Lines, Applied: applied, ToApply: total,
		}, b.last)
		if b.last {
			return w.finish(ctx)
		}
	}
	return context.Cause(ctx)
}

func (w *worker) toApply(ctx context.Context) (n int64, err error) {
	err = w.Store.Read(ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, countRaws, tx.Organisation(), w.job.id).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count messages: %w", err)
	}
	return n, nil
}

// cursor is a place in the order of applying.
type cursor struct {
	turn    int64
	subject []byte
	seq     int64
}

// batch is a run of messages, mapped.
type batch struct {
	units  []unit
	behind cursor
	last   bool
	err    error
}

// unit is one message and what it says.
type unit struct {
	seq     int64 // of raw
	at      cursor
	file    int // from 0
	line    int64
	kind    string
	changes []people.Change
	stops   []consent.Suppression
	reason  string // why it is set aside; empty when it is not
	waits   bool
}

func (w *worker) nextBatch(ctx context.Context, j *job, from cursor) *batch {
	b := &batch{}
	b.err = w.Store.Read(ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
		rows, more, err := w.rawsAfter(ctx, tx, j.id, from)
		if err != nil {
			return err
		}
		b.last = !more
		b.behind = from
		look := w.looker(ctx, tx, j.record.Source)
		c := &Context{
			Source: j.record.Source, Received: j.started, Country: j.record.Country, Whitelist: people.Whitelist{Systems: j.record.Systems}, Look: look.find,
		}
		for i := range rows {
			r := &rows[i]
			if r.message, err = w.openRaw(ctx, tx, j.id, r.seq, r.sealed); err != nil {
				return err
			}
			b.behind = cursor{int64(r.turn), r.subject[:], r.seq}
			if err := w.mapRow(b, c, r); err != nil {
				return err
			}
		}
		return look.err
	})
	return b
}

// mapRow maps the message of a row, or all those of a block.
func (w *worker) mapRow(b *batch, c *Context, r *rawRow) error {
	add := func(one *rawRow) {
		u := mapOne(w.mapper, c, one)
		u.at, u.seq = b.behind, r.seq
		b.units = append(b.units, u)
	}
	if r.turn != TurnOrder {
		r.message.Turn = r.turn
		add(r)
		return nil
	}
	err := unpackBlock(r.message.Body, func(line int64, m Message) error {
		add(&rawRow{file: r.file, line: line, message: m})
		return nil
	})
	lastOfKey(b.units)
	return err
}

// ReasonRepeated is why the profile of a record is left out: of two records of one key in a block the later counts.
const ReasonRepeated = "another record of the same key follows: that one counts"

func lastOfKey(units []unit) {
	seen := map[string]bool{}
	for i := len(units) - 1; i >= 0; i-- {
		for j := range units[i].changes {
			c := &units[i].changes[j]
			if c.Profile == nil {
				continue
			}
			if key := c.Subject + "\x00" + c.Part; seen[key] {
				c.Profile, c.Match = nil, nil
				c.Warnings = append(c.Warnings, people.Warning{Resource: "record", Field: "key", Reason: ReasonRepeated})
			} else {
				seen[key] = true
			}
		}
	}
}

// mapOne maps a message. What the mapper cannot do with it is a reason, never an end of the import.
func mapOne(mapper Mapper, c *Context, r *rawRow) unit {
	u := unit{seq: r.seq, file: r.file, line: r.line, kind: r.message.Kind}
	var (
		changes []people.Change
		err     error
	)
	if say, is := mapper.(Cutting); is {
		changes, u.stops, err = say.Say(&r.message, c)
	} else {
		changes, err = mapper.Map(&r.message, c)
	}
	if err != nil {
		u.reason, u.stops = fault.Text(err), nil
		return u
	}
	u.changes = changes
	for i := range changes {
		u.waits = u.waits || slices.ContainsFunc(changes[i].Warnings, func(w people.Warning) bool { return w.Reason == ReasonWaits })
	}
	return u
}

// rawsAfter gives the next rows; a person's messages are not torn apart unless they alone are too many.
func (w *worker) rawsAfter(ctx context.Context, tx *store.Tx, imp id.Import, from cursor) (all []rawRow, more bool, err error) {
	if from.turn < int64(TurnPerson) {
		from = cursor{turn: int64(TurnPerson), subject: []byte{}}
	}
	most := w.batchMessages()
	if cuts, is := w.mapper.(Cutting); is && cuts.Blocks() {
		most = 1
	}
	rows, err := tx.Query(ctx, selectRaws, tx.Organisation(), imp, from.turn, from.subject, from.seq, most+1)
	if err != nil {
		return nil, false, fmt.Errorf("read messages: %w", err)
	}
	size := 0
	defer rows.Close() //nolint:errcheck // closed early on purpose when the batch is full
	for rows.Next() {
		if len(all) == most || size > batchBytes {
			more = true
			break
		}
		var (
			r       rawRow
			turn    int64
			subject []byte
		)
		if err := rows.Scan(&r.seq, &turn, &subject, &r.file, &r.line, &r.sealed); err != nil {
			return nil, false, fmt.Errorf("read messages: %w", err)
		}
		r.turn = Turn(turn)
		copy(r.subject[:], subject)
		size += len(r.sealed)
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read messages: %w", err)
	}
	if more {
		all = wholeGroups(all)
	}
	return all, more, nil
}

func wholeGroups(all []rawRow) []rawRow {
	last := &all[len(all)-1]
	at := slices.IndexFunc(all, func(r rawRow) bool { return r.turn == last.turn && r.subject == last.subject })
	if at > 0 {
		return all[:at]
	}
	return all
}

// looker finds messages that others refer to, and remembers a few.
type looker struct {
	find  func(key string) ([]byte, bool)
	err   error
	known map[string][]byte
}

const maxLooked = 4096

func (w *worker) looker(ctx context.Context, tx *store.Tx, source string) *looker {
	l := &looker{known: map[string][]byte{}}
	l.find = func(key string) ([]byte, bool) {
		if body, ok := l.known[key]; ok {
			return body, body != nil
		}
		if l.err != nil {
			return nil, false
		}
		var (
			body  []byte
			found bool
		)
		if body, found, l.err = w.referred(ctx, tx, source, key); l.err != nil || !found {
			body = nil
		}
		if len(l.known) < maxLooked {
			l.known[key] = body
		}
		return body, body != nil
	}
	return l
}

// commitBatch applies units and moves the cursor behind the last. When the records refuse what a message says, the batch is halved
// until that message stands alone, and it is set aside: one message never stops an import.
func (w *worker) commitBatch(ctx context.Context, units []unit) (err error) {
	for try := range maxTries {
		err = w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
			behind := units[len(units)-1].at
			next.turn, next.subject, next.done = behind.turn, behind.subject, behind.seq
			return w.applyUnits(ctx, tx, next, units)
		})
		if !fault.Is(err, fault.Conflict) || try == maxTries-1 {
			break
		}
	}
	if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
		return err
	}
	if half := len(units) / 2; half > 0 {
		if units[0].at.turn == int64(TurnOrder) {
			return w.commitSound(ctx, units)
		}
		if err := w.commitBatch(ctx, units[:half]); err != nil {
			return err
		}
		return w.commitBatch(ctx, units[half:])
	}
	if units[0].reason != "" {
		return err // it is set aside already: the fault is not the message's
	}
	units[0].reason, units[0].changes, units[0].stops = fault.Text(err), nil, nil
	return w.commitBatch(ctx, units)
}

var errProbe = errors.New("intake: a try that is not kept")

// commitSound finds the messages of a block that the records refuse, by tries that are rolled back, sets them aside, and commits the
// block whole: the cursor knows blocks, not what is in them.
func (w *worker) commitSound(ctx context.Context, units []unit) error {
	var probe func(some []unit) error
	probe = func(some []unit) error {
		err := w.Store.Write(ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
			if err := w.applyUnits(ctx, tx, w.job.clone(), some); err != nil {
				return err
			}
			return errProbe
		})
		switch {
		case errors.Is(err, errProbe):
			return nil
		case !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge):
			return err
		case len(some) > 1:
			if err := probe(some[:len(some)/2]); err != nil {
				return err
			}
			return probe(some[len(some)/2:])
		case some[0].reason != "":
			return err
		}
		some[0].reason, some[0].changes, some[0].stops = fault.Text(err), nil, nil
		return nil
	}
	if err := probe(units); err != nil {
		return err
	}
	return w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		behind := units[len(units)-1].at
		next.turn, next.subject, next.done = behind.turn, behind.subject, behind.seq
		return w.applyUnits(ctx, tx, next, units)
	})
}

// applyUnits applies a batch and counts it.
func (w *worker) applyUnits(ctx context.Context, tx *store.Tx, next *job, units []unit) error {
	changes, of := changesOf(units)
	a, err := w.People.Apply(ctx, tx, changes, next.id)
	if err != nil {
		return err
	}
	if w.Propose != nil && len(a.Consents) > 0 {
		if err := w.Propose(ctx, tx, a.Consents); err != nil {
			return fmt.Errorf("propose consents: %w", err)
		}
	}
	if err := w.stopAddresses(ctx, tx, next, units); err != nil {
		return err
	}
	aside := countUnits(next.record.Result, units, of, &a)
	for i, x := range aside {
		state := quarantineRefused
		switch {
		case x == nil && !units[i].waits:
			continue
		case x == nil:
			x, state = refusalOf(&units[i], ReasonWaits), quarantineWaits
		case x.Reason == people.ReasonNobody:
			state = quarantineWaits
		}
		if err := w.setAside(ctx, tx, next, *x, units[i].seq, state); err != nil {
			return err
		}
	}
	return nil
}

// changesOf gives the changes of all units, and for each the unit it came from.
func changesOf(units []unit) (changes []people.Change, of []int) {
	for i := range units {
		for range units[i].changes {
			of = append(of, i)
		}
		changes = append(changes, units[i].changes...)
	}
	return changes, of
}

// stopAddresses writes the suppressions that the messages carry.
func (w *worker) stopAddresses(ctx context.Context, tx *store.Tx, next *job, units []unit) error {
	if w.Suppress == nil {
		return nil
	}
	var all []consent.Suppression
	for i := range units {
		all = append(all, units[i].stops...)
	}
	if len(all) == 0 {
		return nil
	}
	n, err := w.Suppress(ctx, tx, all, next.id)
	if err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	next.record.Result.Suppressed += int64(n)
	return nil
}

func refusalOf(u *unit, reason string) *Refusal {
	return &Refusal{File: u.file + 1, Line: u.line, Kind: u.kind, Reason: reason}
}

// countUnits counts what a batch did, and gives for each unit why it was set aside, nil when it was not.
func countUnits(r *Result, units []unit, of []int, a *people.Applied) []*Refusal {
	aside := make([]*Refusal, len(units))
	for i := range units {
		if units[i].reason != "" {
			aside[i] = refusalOf(&units[i], units[i].reason)
		}
	}
	for _, x := range a.Unresolved {
		i := of[x.Change]
		aside[i] = refusalOf(&units[i], x.Reason)
	}
	r.applied(a)
	for i := range units {
		u := &units[i]
		if aside[i] != nil {
			r.refuse(*aside[i])
			continue
		}
		r.kind(u.kind).Applied++
		if u.waits {
			r.Waiting++
		}
		for _, c := range u.changes {
			for _, warning := range c.Warnings {
				r.warn(warning, u.kind, u.file+1, u.line)
			}
		}
	}
	for _, warning := range a.Warnings {
		if warning.Resource == "" { // of identity: said by Apply, not by the mapping
			r.warn(warning, "person", 0, 0)
		}
	}
	return aside
}

// finish ends an import: the heartbeat of its source says what it delivered completely.
func (w *worker) finish(ctx context.Context) error {
	var named, known, made int64
	err := w.Store.Read(ctx, w.scope, func(ctx context.Context, tx *store.Tx) (err error) { // not in the write: it may take a while
		if err := tx.QueryRow(ctx, countSubjects, tx.Organisation(), w.job.id).Scan(&named); err != nil {
			return fmt.Errorf("count people: %w", err)
		}
		known, made, err = w.People.Written(ctx, tx, w.job.id)
		return err
	})
	if err != nil {
		return err
	}
	err = w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		next.state = StateDone
		r := next.record.Result
		if !w.again {
			r.people(named, known, made)
		}
		r.Complete = complete(w.mapper, &next.record)
		r.sort()
		if err := w.People.Heartbeat(ctx, tx, next.record.Source, r.Complete); err != nil {
			return err
		}
		key, err := w.Keys.Month(ctx, tx, seal.PurposeLedger)
		if err != nil {
			return err
		}
		return w.Ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActImport, Object: next.id.UUID(), Detail: ledger.Detail{
			"lines": fmt.Sprint(r.Lines), "facts": fmt.Sprint(r.Facts), "events": fmt.Sprint(r.Events), "quarantined": fmt.Sprint(r.Quarantined),
		}}, key)
	})
	if err != nil {
		return err
	}
	return w.Settle(ctx, w.scope, w.job.record.Source)
}

// complete gives the kinds of events that an import delivers completely: those of kinds of which no message is missing.
func complete(mapper Mapper, j *jobRecord) []string {
	if len(j.Complete) > 0 {
		return j.Complete
	}
	lacking := map[string]bool{}
	for k := range j.Result.Broken {
		lacking[k] = true
	}
	var kinds []string
	for i := range j.Files {
		for _, k := range j.Files[i].Kinds {
			kinds = append(kinds, k)
			lacking[k] = lacking[k] || j.Files[i].Broken
		}
	}
	slices.Sort(kinds)
	kinds = slices.DeleteFunc(slices.Compact(kinds), func(k string) bool { return lacking[k] })
	return mapper.Complete(kinds)
}
