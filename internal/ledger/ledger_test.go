package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
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

func TestVerifyTakesTheTreesOwnKey(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	fill(t, st, keys, led, 3)
	archive := export(t, led, org)
	if _, err := ledger.Verify(bytes.NewReader(archive), led.TreeKey(org, 1), nil); err != nil {
		t.Error(err)
	}
	for name, key := range map[string]string{"another tree's key": led.TreeKey(2, 1), "another epoch's": led.TreeKey(org, 2), "nothing": "", "no key": "x+y+z"} {
		if _, err := ledger.Verify(bytes.NewReader(archive), key, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestTheMarkFollowsOtherNodes: a node that sequences nothing knows what the others signed.
func TestTheMarkFollowsOtherNodes(t *testing.T) {
	st := caretest.OpenPostgreSQL(t)
	keys := caretest.Keys(t, st)
	signer := newSigner(t)
	led := caretest.RunLedger(t, st, keys, signer)
	fill(t, st, keys, led, 10)
	for { // until it is signed
		var signed int64
		err := st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			return tx.QueryRow(ctx, `SELECT signed_size FROM ledger_head WHERE organisation_id = ?`, org).Scan(&signed)
		})
		if err != nil {
			t.Fatal(err)
		}
		if signed == 10 {
			break
		}
	}
	idle, err := ledger.New(t.Context(), st, keys, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.SaveMark(); err != nil {
		t.Fatal(err)
	}
	empty := caretest.Open(t)
	behind, err := ledger.New(t.Context(), empty, caretest.Keys(t, empty), signer)
	if err != nil {
		t.Fatal(err)
	}
	fork, forked, err := behind.CheckFork(t.Context())
	if err != nil || !forked || fork.Trees[0].Lost != (ledger.Lost{From: 0, To: 10}) {
		t.Errorf("%+v, %v, %v", fork, forked, err)
	}
}

// TestLookUpsUseTheirIndex: who looked, and what became of a message, without reading the whole ledger.
func TestLookUpsUseTheirIndex(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		explain := `EXPLAIN QUERY PLAN `
		if st.Engine() == store.PostgreSQL {
			explain = `EXPLAIN `
		}
		for _, q := range []struct {
			query, index string
			args         []any
		}{
			{ledger.SubjectDown(st.Engine()), "ledger_subject", []any{1000, 10}},
			{ledger.ActsDown(st.Engine()), "ledger_subject", []any{1000, []byte{0, 2}, []byte{0, 3}, []byte{0, 3}, []byte{0, 3}, 10}},
			{ledger.ObjectDown(st.Engine()), "ledger_object", []any{1000, 10}},
		} {
			err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				if st.Engine() == store.PostgreSQL {
					if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
						return err
					}
				}
				rows, err := tx.Query(ctx, explain+q.query, append([]any{org, make([]byte, 16)}, q.args...)...)
				if err != nil {
					return err
				}
				defer rows.Close()
				var plan strings.Builder
				for rows.Next() {
					var a, b, c any
					var text string
					into := []any{&text}
					if st.Engine() == store.SQLite {
						into = []any{&a, &b, &c, &text}
					}
					if err := rows.Scan(into...); err != nil {
						return err
					}
					plan.WriteString(text + "\n")
				}
				if !strings.Contains(plan.String(), q.index) || strings.Contains(strings.ToLower(plan.String()), "sort") || strings.Contains(plan.String(), "TEMP B-TREE") {
					t.Errorf("the plan is\n%s", plan.String())
				}
				return rows.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
