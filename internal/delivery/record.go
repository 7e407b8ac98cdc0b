package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// record is one outcome on its way to the table.
type record struct {
	row   *row
	next  next
	reply smtpclient.Reply
	proof tlspolicy.Proof
	tls   string
	group string
	note  *Prepared // whose decision is to be recorded: of one that did not go
	take  bool      // the row waits and is not leased yet
	quiet bool      // no Outcome: nothing happened that anybody wants to know
	back  string    // no outcome: the statement that gives the row back as it was

	barrier chan struct{} // no outcome: closed when all before it are written
}

// commitRows bounds one transaction of outcomes. There is no timer: what gathers while one commit runs is the next batch.
const commitRows = 256

// Bounds of what waits to be written: when so much does, workers wait as well; the pause between tries grows.
const (
	unwrittenRows = 4096
	unwrittenMin  = 100 * time.Millisecond
	unwrittenMax  = 10 * time.Second
)

// commitAll writes outcomes until the channel is closed. What cannot be written is kept and tried again until it is: the receiver has the
// message, whatever becomes of our database. What a stop leaves unwritten is for the next start to treat as a crash's.
func (e *Engine) commitAll(ctx context.Context) {
	var unwritten []record
	var again <-chan time.Time
	pause, stop := unwrittenMin, ctx.Done()
	for in := e.results; in != nil; {
		from := in
		if len(unwritten) >= unwrittenRows && stop != nil {
			from = nil
		}
		select {
		case first, ok := <-from:
			if !ok {
				in = nil
				continue
			}
			unwritten = append(unwritten, e.commit(e.gather(first))...)
		case <-again:
			n := min(len(unwritten), commitRows)
			left := e.commit(unwritten[:n])
			if pause = min(2*pause, unwrittenMax); len(left) < n {
				pause = unwrittenMin
			}
			unwritten, again = append(unwritten[n:], left...), nil // those that fail stand behind those not tried
		case <-stop:
			stop = nil // the workers' last outcomes must find room
		}
		if again == nil && len(unwritten) > 0 {
			again = time.After(pause)
		}
	}
	for until := time.Now().Add(e.s.Grace); len(unwritten) > 0 && time.Now().Before(until); unwritten = e.commit(unwritten) {
		time.Sleep(unwrittenMin)
	}
	for _, r := range unwritten {
		slog.Error("delivery: stopped before an outcome could be written", "organisation", r.row.org.String(), "message", r.row.message.String())
	}
}

// gather takes what waits behind a record, as much as fits one transaction.
func (e *Engine) gather(first record) []record {
	batch := []record{first}
	for len(batch) < commitRows {
		select {
		case r, ok := <-e.results:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch, each organisation's in a transaction of its own, and gives what could not be written.
func (e *Engine) commit(batch []record) (unwritten []record) {
	by := map[id.Organisation][]record{}
	for _, r := range batch {
		if r.barrier == nil {
			by[r.row.org] = append(by[r.row.org], r)
		}
	}
	ctx := context.Background() // an outcome that happened is written, also while the engine stops
	for org, records := range by {
		unwritten = append(unwritten, e.persist(ctx, org, records)...)
	}
	for _, r := range batch {
		if r.barrier != nil {
			close(r.barrier)
		}
	}
	return unwritten
}

// persist writes records of an organisation, and gives those that it could not.
func (e *Engine) persist(ctx context.Context, org id.Organisation, records []record) (unwritten []record) {
	err := e.alone(ctx, org, records, func(r record, failed error) {
		switch {
		case failed == nil:
			e.after(r)
		case !r.take: // a row that only waits is found again in the table
			unwritten = append(unwritten, r)
		}
	})
	if err != nil {
		slog.Error("delivery: outcomes cannot be written yet", "organisation", org.String(), "error", err)
	}
	return unwritten
}

// alone writes records of an organisation together, and where that fails and the database is there, each alone: one of them may stand in
// the way of the others.
func (e *Engine) alone(ctx context.Context, org id.Organisation, records []record, each func(r record, failed error)) error {
	err := e.write(ctx, org, records)
	if err == nil || len(records) == 1 || fault.Is(err, fault.Unavailable) {
		for _, r := range records {
			each(r, err)
		}
		return err
	}
	err = nil
	for i := range records {
		failed := e.write(ctx, org, records[i:i+1])
		each(records[i], failed)
		err = errors.Join(err, failed)
	}
	return err
}

// after lets the dispatcher know of a row that waits again.
func (e *Engine) after(r record) {
	if !r.take {
		e.open.done(r.row.lease, 1)
	}
	if r.back == "" {
		e.written.Add(1)
	}
	if r.next.end == Deferred {
		e.tell(hint{stream{r.row.lane, r.row.priority, r.row.org}, r.next.due})
	}
}

// write writes outcomes, their entries and what Outcome does, in one transaction of their organisation.
func (e *Engine) write(ctx context.Context, org id.Organisation, records []record) error {
	return e.o.Store.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		// In the order of ids, as everybody who writes several rows: PostgreSQL locks row by row.
		slices.SortFunc(records, func(a, b record) int { return bytes.Compare(a.row.message[:], b.row.message[:]) })
		ours, err := e.writeRows(ctx, tx, records)
		if err != nil {
			return err
		}
		var notes []Prepared
		var told []Outcome
		var entries []ledger.Keyed
		for _, r := range ours {
			if r.note != nil && r.note.Decision != nil {
				notes = append(notes, *r.note)
			}
			if r.quiet {
				continue
			}
			o := r.outcome()
			told = append(told, o)
			if entry, ok := entryOf(o, r); ok {
				entry.Subject = r.row.person
				entries = append(entries, ledger.Keyed{Entry: entry})
			}
		}
		if len(notes) > 0 && e.o.Record != nil {
			if err := e.o.Record(ctx, tx, notes); err != nil {
				return fmt.Errorf("record of message %s and others: %w", notes[0].Message, err)
			}
		}
		if err := e.key(ctx, tx, entries); err != nil {
			return err
		}
		if err := e.o.Ledger.AppendAll(ctx, tx, entries); err != nil {
			return err
		}
		if e.o.Outcome == nil || len(told) == 0 {
			return nil
		}
		return e.o.Outcome(ctx, tx, told)
	})
}

// errUneven: one or more of the leases are another's by now. Each outcome is then written alone, which tells which.
var errUneven = errors.New("delivery: leases were lost")

// writeRows writes rows, and gives the records whose leases were still ours.
func (e *Engine) writeRows(ctx context.Context, tx *store.Tx, records []record) (ours []*record, err error) {
	rows := map[string][][]any{} // by statement
	simple := make([]*record, 0, len(records))
	for i := range records {
		r := &records[i]
		if !r.take && r.back == "" {
			statement, args, err := e.rowOf(ctx, tx, r)
			if err != nil {
				return nil, err
			}
			rows[statement] = append(rows[statement], args)
			simple = append(simple, r)
			continue
		}
		got, err := e.writeRow(ctx, tx, r)
		if err != nil {
			return nil, fmt.Errorf("outcome of message %s: %w", r.row.message, err)
		}
		if got {
			ours = append(ours, r)
		}
	}
	n := int64(0)
	for _, statement := range []string{sqlDone, sqlAgain} {
		some, err := tx.ExecEach(ctx, statement, rows[statement])
		if err != nil {
			return nil, fmt.Errorf("write outcomes: %w", err)
		}
		n += some
	}
	switch {
	case n == int64(len(simple)):
		return append(ours, simple...), nil
	case len(records) > 1:
		return nil, errUneven
	}
	slog.Warn("delivery: an outcome came after its lease was lost", "message", records[0].row.message.String(), "end", records[0].next.end.String())
	return ours, nil
}

// writeRow gives a row back, or takes one that waits and ends it; false: its lease is another's by now, or somebody claimed it first.
func (e *Engine) writeRow(ctx context.Context, tx *store.Tx, r *record) (bool, error) {
	w := r.row
	if r.back != "" {
		done, err := tx.Exec(ctx, r.back, store.Millis(r.next.due), tx.Organisation(), w.lease, store.Blobs([]id.Message{w.message}))
		return done == 1, err
	}
	took, err := tx.Exec(ctx, sqlTake, w.lease, e.holder, tx.Organisation(), w.message)
	if err != nil || took == 0 {
		return false, err
	}
	statement, args, err := e.rowOf(ctx, tx, r)
	if err != nil {
		return false, err
	}
	done, err := tx.Exec(ctx, statement, args...)
	return done == 1, err
}

// rowOf gives the statement that writes an outcome, and its arguments.
func (e *Engine) rowOf(ctx context.Context, tx *store.Tx, r *record) (statement string, args []any, err error) {
	w, n := r.row, &r.next
	var reply []byte
	if r.reply.Text != "" {
		if reply, err = e.o.Keys.Seal(ctx, tx, seal.PurposeMessage, replyCell(w.message), []byte(r.reply.Text)); err != nil {
			return "", nil, err
		}
	}
	class := string(n.verdict.Class)
	if n.end == Deferred {
		if !n.due.Before(w.expires) && !w.expires.IsZero() {
			n.due = w.expires // its end is due before its next attempt
		}
		return sqlAgain, []any{
			n.reason, store.Millis(n.due), n.attempt, n.doubt, string(n.failure), class, r.reply.Code, r.reply.Enhanced, reply, tx.Organisation(), w.message, w.lease,
		}, nil
	}
	return sqlDone, []any{
		int64(n.end), n.reason, store.Millis(tx.Now), n.attempt, n.doubt, class, r.reply.Code, r.reply.Enhanced, string(r.proof), r.tls, reply,
		tx.Organisation(), w.message, w.lease,
	}, nil
}

func (r *record) outcome() Outcome {
	n := &r.next
	o := Outcome{
		Message: r.row.message, Person: r.row.person, Kind: r.row.kind, End: n.end, Attempt: n.attempt, Doubted: n.doubted, Class: n.verdict.Class, Rule: n.verdict.Rule,
		Suppress: n.suppress, Reason: n.reason, Code: r.reply.Code, Enhanced: r.reply.Enhanced, Stage: r.reply.Stage, Text: r.reply.Text, Group: r.group,
	}
	if r.take {
		o.Domain = r.row.domain
	}
	switch n.end {
	case Deferred:
		o.Next = n.due
	case Accepted:
		o.Proof, o.TLS, o.Text = r.proof, r.tls, ""
	case Bounced, Expired, Held, InDoubt, Cancelled, Refused:
	}
	return o
}

// entryOf gives the entry that an outcome makes; a deferral makes none, but for a message in doubt.
func entryOf(o Outcome, r *record) (ledger.Entry, bool) {
	e := ledger.Entry{Purpose: r.row.purpose, Object: o.Message.UUID(), Detail: ledger.Detail{"attempt": fmt.Sprint(o.Attempt), "kind": o.Kind.String()}}
	put := func(name, value string) {
		if value != "" {
			e.Detail[name] = value
		}
	}
	put("class", string(o.Class))
	put("rule", o.Rule)
	put("reason", o.Reason)
	put("reply", r.reply.String())
	switch {
	case o.Doubted:
		e.Act = ledger.ActInDoubt
		put("again", fmt.Sprint(o.End == Deferred))
	case o.End == Accepted:
		e.Act = ledger.ActAcceptance
		put("proof", o.Proof.String())
		put("tls", o.TLS)
	case o.End == Bounced:
		e.Act = ledger.ActBounce
	case o.End == Expired:
		e.Act = ledger.ActDeliveryGivenUp
	case o.End == Held:
		e.Act = ledger.ActHold
	default: // deferred: no entry; refused and cancelled: those who decided write theirs
		return e, false
	}
	return e, true
}

// key gives entries their keys: the person's, else the month's. Of a person who was shredded the entry is about nobody any more.
func (e *Engine) key(ctx context.Context, tx *store.Tx, entries []ledger.Keyed) error {
	if len(entries) == 0 {
		return nil
	}
	month, err := e.o.Keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	var ids []id.Person
	for i := range entries {
		if p := entries[i].Subject; !p.IsZero() && e.o.PersonKeys != nil {
			ids = append(ids, p)
		}
	}
	keys := map[id.Person]seal.Key{}
	if len(ids) > 0 {
		if keys, err = e.o.PersonKeys(ctx, tx, ids); err != nil {
			return fmt.Errorf("keys of the persons of messages: %w", err)
		}
	}
	for i := range entries {
		x := &entries[i]
		if key, ok := keys[x.Subject]; ok {
			x.SubjectKey, x.Key = key, key
		} else {
			x.Subject, x.Key = id.Person{}, month
		}
	}
	return nil
}

// finish sends a record to the committer.
func (e *Engine) finish(r record) {
	if r.next.verdict.Class == "" && r.next.end == Deferred && r.next.doubted {
		r.next.verdict = bounce.Verdict{Class: bounce.Other, Rule: "in_doubt"}
	}
	e.results <- r
}
