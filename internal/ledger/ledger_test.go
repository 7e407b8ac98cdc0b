package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

const org = id.Organisation(1)

var scope = id.Scope{Organisation: org, Actor: id.Actor{Kind: id.ActorUser, ID: id.UUID{15: 9}}}

// appendOne records one act in a transaction of its own.
func appendOne(ctx context.Context, st *store.Store, keys *seal.Keys, led *ledger.Ledger, sc id.Scope, e ledger.Entry) error {
	return st.Write(ctx, sc, func(ctx context.Context, tx *store.Tx) error {
		key, err := keys.Month(ctx, tx, seal.PurposeLedger)
		if err != nil {
			return err
		}
		return led.Append(ctx, tx, e, key)
	})
}

// fill records n decisions in transactions of up to 100.
func fill(t testing.TB, st *store.Store, keys *seal.Keys, led *ledger.Ledger, n int) {
	t.Helper()
	for done := 0; done < n; {
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			key, err := keys.Month(ctx, tx, seal.PurposeLedger)
			if err != nil {
				return err
			}
			var batch []ledger.Keyed
			for i := range min(100, n-done) {
				batch = append(batch, ledger.Keyed{Entry: ledger.Entry{
					Act: ledger.ActDecision, Purpose: ledger.PurposeTreatment, Object: id.UUID{0: 1, 14: byte((done + i) >> 8), 15: byte(done + i)},
					Detail: ledger.Detail{"means": "pickup", "n": fmt.Sprint(done + i)},
				}, Key: key})
			}
			return led.AppendAll(ctx, tx, batch)
		})
		if err != nil {
			t.Fatal(err)
		}
		done += min(100, n-done)
	}
	if err := led.Numbered(t.Context(), org); err != nil {
		t.Fatal(err)
	}
}

func export(t testing.TB, led *ledger.Ledger, o id.Organisation) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := led.Export(t.Context(), o, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(t testing.TB, led *ledger.Ledger, archive, known []byte) ledger.Report {
	t.Helper()
	report, err := ledger.Verify(bytes.NewReader(archive), led.PublicKey(), known)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestEntriesComeBackAndVerify(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		person := id.New[id.Person]()
		message := id.New[id.UUID]()
		var personKey seal.Key
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			var err error
			if personKey, _, err = keys.NewSubject(ctx, tx, person.UUID()); err != nil {
				return err
			}
			return led.Append(ctx, tx, ledger.Entry{
				Act: ledger.ActDisclosure, Purpose: ledger.PurposeTreatment, Subject: person, Object: message,
				Detail: ledger.Detail{"to": "partner", "why": "referral"},
			}, personKey)
		})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, st, keys, led, 7)
		err = st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			about, err := led.About(ctx, tx, person, personKey, ledger.Query{})
			if err != nil {
				return err
			}
			if len(about.Records) != 1 || about.Records[0].Seq != 0 || about.Records[0].Actor != scope.Actor || about.Records[0].Object != message {
				t.Errorf("about the person: %+v", about)
			}
			d, err := led.OpenDetail(ctx, tx, about.Records[0], personKey)
			if err != nil || d["to"] != "partner" || d["why"] != "referral" {
				t.Errorf("its detail: %v, %v", d, err)
			}
			if _, err := led.OpenDetail(ctx, tx, about.Records[0], seal.Key{}); !fault.Is(err, fault.Sealed) {
				t.Errorf("its detail without the key: %v", err)
			}
			of, err := led.Of(ctx, tx, message, ledger.Query{Acts: []ledger.Act{ledger.ActDisclosure}})
			if err != nil || len(of.Records) != 1 {
				t.Errorf("of the message: %+v, %v", of, err)
			}
			r, err := led.Entry(ctx, tx, 5)
			if err != nil {
				return err
			}
			if d, err := led.OpenDetail(ctx, tx, r, seal.Key{}); err != nil || d["n"] != "4" {
				t.Errorf("the detail of entry 5: %v, %v", d, err)
			}
			if _, err := led.Entry(ctx, tx, 8); !fault.Is(err, fault.NotFound) {
				t.Errorf("entry 8: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		report := verify(t, led, export(t, led, org), nil)
		if report.Entries != 8 || report.Acts[ledger.ActDisclosure] != 1 || report.Acts[ledger.ActDecision] != 7 || report.Details.Closed != 8 {
			t.Errorf("%+v", report)
		}
		var opened bytes.Buffer
		err = led.ExportOpened(t.Context(), org, &opened, func(context.Context, *store.Tx, ledger.Record) (seal.Key, error) { return personKey, nil })
		if err != nil {
			t.Fatal(err)
		}
		if report := verify(t, led, opened.Bytes(), nil); report.Details != (ledger.Details{Opened: 8}) {
			t.Errorf("%+v", report.Details)
		}
	})
}

func TestPagesGoThroughAll(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	fill(t, st, keys, led, 250)
	err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		want := int64(249)
		q := ledger.Query{Limit: 60}
		for {
			page, err := led.Entries(ctx, tx, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				if r.Seq != want {
					t.Fatalf("entry %d came where %d was due", r.Seq, want)
				}
				want--
			}
			if q.Before = page.Next; q.Before == 0 {
				break
			}
		}
		if want != -1 {
			t.Errorf("the pages end before entry %d", want)
		}
		page, err := led.Entries(ctx, tx, ledger.Query{Acts: []ledger.Act{ledger.ActView}})
		if err != nil || len(page.Records) != 0 || page.Next != 0 {
			t.Errorf("%+v, %v", page, err)
		}
		first, err := led.Entry(ctx, tx, 0)
		if err != nil {
			return err
		}
		page, err = led.Entries(ctx, tx, ledger.Query{Until: first.Time})
		if err != nil || len(page.Records) != 0 {
			t.Errorf("%+v, %v", page, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendRefuses(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	for name, e := range map[string]ledger.Entry{
		"no act": {}, "an unknown act": {Act: 900}, "a restore": {Act: ledger.ActRestore}, "an unknown purpose": {Act: ledger.ActView, Purpose: 99},
		"an endless detail": {Act: ledger.ActView, Detail: ledger.Detail{"x": string(make([]byte, 1<<17))}},
	} {
		if err := appendOne(t.Context(), st, keys, led, scope, e); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, e := range map[string]ledger.Entry{
		"a person without a key": {Act: ledger.ActView, Subject: id.New[id.Person]()}, "a detail without a key": {Act: ledger.ActView, Detail: ledger.Detail{"a": "b"}},
	} {
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return led.Append(ctx, tx, e, seal.Key{}) })
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if report := verify(t, led, export(t, led, org), nil); report.Entries != 0 {
		t.Errorf("%+v", report)
	}
}

var errOnPurpose = errors.New("on purpose")

// TestManyWriters: 64 writers over three organisations and the installation; a third of the closures fail after their append.
func TestManyWriters(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		const writers, each = 64, 12
		var mu sync.Mutex
		want := map[id.Organisation]int64{}
		people := map[id.Organisation]map[id.Person]bool{}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				o := id.Organisation(w % 4)
				for i := range each {
					p := id.New[id.Person]()
					err := st.Write(context.Background(), id.System(o), func(ctx context.Context, tx *store.Tx) error {
						key, err := keys.Month(ctx, tx, seal.PurposeLedger)
						if err != nil {
							return err
						}
						for range 1 + i%3 {
							if err := led.Append(ctx, tx, ledger.Entry{Act: ledger.ActChange, Detail: ledger.Detail{"i": fmt.Sprint(i)}}, key); err != nil {
								return err
							}
						}
						if err := errors.Join(led.Touch(ctx, tx, p), led.Touch(ctx, tx, p)); err != nil {
							return err
						}
						if i%3 == 2 {
							return errOnPurpose
						}
						return nil
					})
					if i%3 == 2 {
						if !errors.Is(err, errOnPurpose) {
							t.Errorf("a failing closure: %v", err)
						}
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want[o] += int64(1 + i%3)
					if people[o] == nil {
						people[o] = map[id.Person]bool{}
					}
					people[o][p] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for o, n := range want {
			if err := led.Numbered(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			report := verify(t, led, export(t, led, o), nil)
			if report.Entries != n {
				t.Errorf("%s: %d entries, %d were committed", o, report.Entries, n)
			}
			checkChanges(t, st, led, o, people[o])
		}
	})
}

// checkChanges reads all changes of an organisation in small pages: numbers grow, and the people are those touched.
func checkChanges(t *testing.T, st *store.Store, led *ledger.Ledger, o id.Organisation, want map[id.Person]bool) {
	t.Helper()
	err := st.Read(t.Context(), id.System(o), func(ctx context.Context, tx *store.Tx) error {
		var after int64
		count := 0
		for {
			page, err := led.Changes(ctx, tx, after, 7)
			if err != nil {
				return err
			}
			for _, c := range page {
				if c.Seq <= after || !want[c.Person] {
					t.Errorf("change %d of %s after %d", c.Seq, c.Person, after)
				}
				after = c.Seq
				count++
			}
			if len(page) < 7 {
				break
			}
		}
		if last, err := led.LastChange(ctx, tx); err != nil || last != after {
			t.Errorf("the last change is %d (%v), the pages end at %d", last, err, after)
		}
		if count != len(want) {
			t.Errorf("%d changes, %d people were touched", count, len(want))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrunedChangesKeepTheirNumbers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		_, led := caretest.Ground(t, st)
		touch := func() {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				return led.TouchAll(ctx, tx, []id.Person{id.New[id.Person](), id.New[id.Person](), id.New[id.Person]()})
			})
			if err := errors.Join(err, led.Numbered(t.Context(), org)); err != nil {
				t.Fatal(err)
			}
		}
		touch()
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { return led.PruneChanges(ctx, tx, 3) })
		if err != nil {
			t.Fatal(err)
		}
		touch()
		err = st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			all, err := led.Changes(ctx, tx, 3, 10)
			if err != nil || len(all) != 3 || all[0].Seq != 4 {
				t.Errorf("after pruning: %v, %v", all, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestTamperedRowsAreFound: whoever can write to the tables and rebuilds nothing, or not all.
func TestTamperedRowsAreFound(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 300)
		known, err := led.Checkpoint(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, led, export(t, led, org), known)
		exec := func(query string, args ...any) {
			t.Helper()
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, query, args...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		leaf := func(seq int64) (b []byte) {
			t.Helper()
			err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				return tx.QueryRow(ctx, `SELECT leaf FROM ledger_entry WHERE organisation_id = ? AND seq = ?`, org, seq).Scan(&b)
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		finds := func(name string, entry int64) {
			t.Helper()
			var b bytes.Buffer
			err := led.Export(t.Context(), org, &b)
			if err == nil {
				_, err = ledger.Verify(bytes.NewReader(b.Bytes()), led.PublicKey(), known)
			}
			if err == nil {
				t.Errorf("%s: not found", name)
				return
			}
			var flaw *ledger.FlawError
			if errors.As(err, &flaw) && flaw.Entry != entry {
				t.Errorf("%s: it names entry %d: %v", name, flaw.Entry, err)
			}
		}
		const set = `UPDATE ledger_entry SET leaf = ? WHERE organisation_id = ? AND seq = ?`
		for _, seq := range []int64{0, 255, 256, 299} {
			was := leaf(seq)
			changed := bytes.Clone(was)
			changed[50] ^= 1
			exec(set, changed, org, seq)
			finds("changed", seq)
			exec(set, was, org, seq)
		}
		a, b := leaf(20), leaf(21)
		exec(set, b, org, 20)
		exec(set, a, org, 21)
		finds("swapped", 20)
		exec(set, a, org, 20)
		exec(set, b, org, 21)
		verify(t, led, export(t, led, org), known)

		exec(`UPDATE ledger_head SET size = 299 WHERE organisation_id = ?`, org)
		finds("truncated", -1)
		exec(`UPDATE ledger_head SET size = 300 WHERE organisation_id = ?`, org)
		exec(`DELETE FROM ledger_tile WHERE organisation_id = ? AND level = 0 AND place = 0`, org)
		finds("tile removed", -1)
	})
}

func TestDroppedAndInsertedRowsAreFound(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 300)
		for _, query := range []string{
			`DELETE FROM ledger_entry WHERE organisation_id = ? AND seq = 40`,
			`UPDATE ledger_entry SET seq = seq - 1000000 WHERE organisation_id = ? AND seq > 40`,
			`UPDATE ledger_entry SET seq = seq + 999999 WHERE organisation_id = ? AND seq < -500`,
		} {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, query, org)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// 299 rows are left, without a gap.
		if err := led.Export(t.Context(), org, io.Discard); err == nil {
			t.Error("a dropped entry was not found")
		}
		fill := func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO ledger_entry (organisation_id, seq, leaf, detail) SELECT organisation_id, 299, leaf, NULL FROM ledger_entry WHERE organisation_id = ? AND seq = 298`, org)
			return err
		}
		if err := st.Write(t.Context(), scope, fill); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := led.Export(t.Context(), org, &b); err != nil {
			t.Fatal(err)
		}
		_, err := ledger.Verify(bytes.NewReader(b.Bytes()), led.PublicKey(), nil)
		var flaw *ledger.FlawError
		if !errors.As(err, &flaw) || flaw.Entry != 40 {
			t.Errorf("a dropped and an inserted entry: %v", err)
		}
	})
}

// TestTamperedHeadStopsTheLedger: a new process does not build on tables that do not fit what was signed.
func TestTamperedHeadStopsTheLedger(t *testing.T) {
	const size = 7
	flip := func(b []byte) []byte { b[3] ^= 1; return b }
	for name, c := range map[string]struct{ read, write string }{
		"tile":     {`SELECT hashes FROM ledger_tile WHERE organisation_id = ?`, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ?`},
		"frontier": {`SELECT frontier FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET frontier = ? WHERE organisation_id = ?`},
		"root":     {`SELECT root FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET root = ? WHERE organisation_id = ?`},
		"signed":   {`SELECT signed FROM ledger_head WHERE organisation_id = ?`, `UPDATE ledger_head SET signed = ? WHERE organisation_id = ?`},
	} {
		st := caretest.Open(t)
		keys := caretest.Keys(t, st)
		signer := newSigner(t)
		fill(t, st, keys, caretest.RunLedger(t, st, keys, signer), size)
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			var b []byte
			if err := tx.QueryRow(ctx, c.read, org).Scan(&b); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, c.write, flip(b), org)
			return err
		})
		if err != nil {
			t.Fatal(name, err)
		}
		again, err := ledger.New(t.Context(), st, keys, signer)
		if err == nil {
			err = appendOne(t.Context(), st, keys, again, scope, ledger.Entry{Act: ledger.ActView})
		}
		if err == nil {
			t.Errorf("a ledger went on after its %s was changed", name)
		}
	}
}

func TestASecondProcessGoesOn(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys := caretest.Keys(t, st)
		signer := newSigner(t)
		led := caretest.RunLedger(t, st, keys, signer)
		fill(t, st, keys, led, 300)
		known, err := led.Checkpoint(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		again := caretest.RunLedger(t, st, keys, signer)
		fill(t, st, keys, again, 300)
		fill(t, st, keys, led, 5) // on PostgreSQL both sequence, in turns
		if report := verify(t, led, export(t, led, org), known); report.Entries != 605 {
			t.Errorf("%+v", report)
		}
	})
}

func TestAnotherKeyDoesNotGoOn(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	fill(t, st, keys, led, 3)
	other, err := ledger.New(t.Context(), st, keys, newSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := appendOne(t.Context(), st, keys, other, scope, ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a ledger went on under another key: %v", err)
	}
}

func TestNumberedEndsWithItsContext(t *testing.T) {
	st := caretest.OpenPostgreSQL(t)
	keys := caretest.Keys(t, st)
	led, err := ledger.New(t.Context(), st, keys, newSigner(t)) // nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Numbered(t.Context(), org); err != nil {
		t.Errorf("nothing waits: %v", err)
	}
	if err := appendOne(t.Context(), st, keys, led, scope, ledger.Entry{Act: ledger.ActView}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := led.Numbered(ctx, org); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one waits and nobody numbers it: %v", err)
	}
}

// TestABrokenTreeStopsItselfOnly: one organisation's tables were changed by another hand; the others go on.
func TestABrokenTreeStopsItselfOnly(t *testing.T) {
	st := caretest.Open(t)
	keys := caretest.Keys(t, st)
	signer := newSigner(t)
	first := caretest.RunLedger(t, st, keys, signer)
	for _, o := range []id.Organisation{1, 2} {
		if err := appendOne(t.Context(), st, keys, first, id.System(o), ledger.Entry{Act: ledger.ActView}); err != nil {
			t.Fatal(err)
		}
		if err := first.Numbered(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := first.Check(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ?`, make([]byte, 32), 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.New(t.Context(), st, keys, signer)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := appendOne(t.Context(), st, keys, led, id.System(1), ledger.Entry{Act: ledger.ActView}); !fault.Is(err, fault.Internal) {
			t.Errorf("the broken tree took an entry: %v", err)
		}
	}
	if err := appendOne(t.Context(), st, keys, led, id.System(2), ledger.Entry{Act: ledger.ActView}); err != nil {
		t.Errorf("the other tree: %v", err)
	}
	if err := led.Check(t.Context(), 1); !fault.Is(err, fault.Internal) {
		t.Errorf("the check of the broken tree: %v", err)
	}
	if report := verify(t, led, export(t, led, 2), nil); report.Entries != 2 {
		t.Errorf("%+v", report)
	}
}

// TestCheckHoldsTheTreeAgainstKeptCheckpoints: a history rebuilt and signed anew does not fit what was signed before.
func TestCheckHoldsTheTreeAgainstKeptCheckpoints(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	var mu sync.Mutex
	st := caretest.OpenWith(t, store.Options{Dir: caretest.Folder(t), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return now
	}})
	keys, led := caretest.Ground(t, st)
	for range 5 {
		fill(t, st, keys, led, 60)
	}
	if err := led.Check(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger_tile SET hashes = ? WHERE organisation_id = ? AND level = 0 AND place = 0`, make([]byte, 8192), org)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Check(t.Context(), org); !fault.Is(err, fault.Internal) {
		t.Errorf("a tile that was changed: %v", err)
	}
}

func TestProofs(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		fill(t, st, keys, led, 300)
		roots := map[int64]tlog.Hash{}
		leaves := map[int64][]byte{}
		readArchive(t, export(t, led, org), leaves)
		for _, n := range []int64{1, 255, 256, 257, 300} {
			roots[n] = rootOf(t, leaves, n)
		}
		err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			for _, n := range []int64{0, 255, 256, 299} {
				p, err := led.ProveEntry(ctx, tx, n, 300)
				if err != nil {
					return err
				}
				if err := tlog.CheckRecord(p, 300, roots[300], n, tlog.RecordHash(leaves[n])); err != nil {
					t.Error(n, err)
				}
			}
			for _, n := range []int64{1, 255, 256, 257, 300} {
				p, err := led.ProveGrowth(ctx, tx, n, 300)
				if err != nil {
					return err
				}
				if err := tlog.CheckTree(p, 300, roots[300], n, roots[n]); err != nil {
					t.Error(n, err)
				}
			}
			for _, bad := range [][2]int64{{300, 300}, {-1, 300}, {0, 301}} {
				if _, err := led.ProveEntry(ctx, tx, bad[0], bad[1]); !fault.Is(err, fault.Invalid) {
					t.Errorf("%v was proven: %v", bad, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
