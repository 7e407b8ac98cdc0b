package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

func many(n int, domain string, kind delivery.Kind) []delivery.Row {
	rows := make([]delivery.Row, n)
	for i := range rows {
		rows[i] = delivery.Row{Domain: domain, Kind: kind}
	}
	return rows
}

// TestPaceOfAReceiver: a known receiver gets no more connections than it bears, and no more messages on one, whatever its domains.
func TestPaceOfAReceiver(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	slow := func(_ *sink, _ int, verb, _ string) string {
		if verb == "dot" {
			time.Sleep(time.Millisecond)
		}
		return ""
	}
	s := k.serve("a.example", &sink{script: slow})
	for _, d := range []string{"a.example", "b.example", "c.example"} {
		k.names.hosts[d] = []string{"mx1.mail.icloud.com"}
	}
	k.names.addr["mx1.mail.icloud.com:25"] = s.addr
	var rows []delivery.Row
	for range 40 {
		for _, d := range []string{"a.example", "b.example", "c.example"} {
			rows = append(rows, delivery.Row{Domain: d, Kind: delivery.Care})
		}
	}
	k.enqueue(rows...)
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 120 {
		t.Fatalf("%+v", c)
	}
	per := map[int]int{}
	for _, m := range s.mails() {
		per[m.conn]++
	}
	for conn, n := range per {
		if n > 5 {
			t.Errorf("connection %d carried %d messages", conn, n)
		}
	}
	if s.most.Load() > 10 {
		t.Errorf("%d connections at once", s.most.Load())
	}
}

// TestLimitsOfAReceiver: too many connections, too many messages on one, a rate: everything arrives once, and no attempt is counted for it.
func TestLimitsOfAReceiver(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(s *sink, conn int, verb, line string) string
	}{
		{"three connections", func(s *sink, _ int, verb, _ string) string {
			if verb == "greeting" && s.open.Load() > 3 {
				return "421 4.7.0 too many connections"
			}
			return ""
		}},
		{"five messages on a connection, said at MAIL", func() func(*sink, int, string, string) string {
			var per sync.Map
			return func(_ *sink, conn int, verb, _ string) string {
				n, _ := per.LoadOrStore(conn, new(atomic.Int64))
				if verb == "MAIL" && n.(*atomic.Int64).Add(1) > 5 {
					return "421 4.7.0 too many messages on this connection"
				}
				return ""
			}
		}()},
		{"five messages on a connection, just closed", func() func(*sink, int, string, string) string {
			var per sync.Map
			return func(_ *sink, conn int, verb, _ string) string {
				n, _ := per.LoadOrStore(conn, new(atomic.Int64))
				if verb == "MAIL" && n.(*atomic.Int64).Add(1) > 5 {
					return "drop"
				}
				return ""
			}
		}()},
		{"every third MAIL is too much", func() func(*sink, int, string, string) string {
			var n atomic.Int64
			return func(_ *sink, _ int, verb, _ string) string {
				if verb == "MAIL" && n.Add(1)%3 == 0 {
					return "451 4.7.1 rate limited, try later"
				}
				return ""
			}
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Schedule.Park = 10 * time.Millisecond })
			s := k.serve("x.example", &sink{script: c.script})
			ids := k.enqueue(many(60, "x.example", delivery.Care)...)
			k.run()
			if e := k.ended(); e.Ended[delivery.Accepted] != 60 || e.Doubts != 0 || s.duplicates() != 0 {
				t.Fatalf("%+v, %d duplicates", e, s.duplicates())
			}
			for _, m := range ids {
				if st := k.status(m); st.Attempts != 1 {
					t.Fatalf("an attempt was counted: %+v", st)
				}
			}
		})
	}
}

// TestACodeOvertakesACampaign: on one lane whose receiver takes one message of the campaign at a time, when it is told to. With a connection
// kept for what is urgent a code waits for none of them; on the only connection it waits for those under way.
func TestACodeOvertakesACampaign(t *testing.T) {
	for connections, most := range map[int]int{12: 0, 1: 20} {
		t.Run(fmt.Sprint(connections, " connections"), func(t *testing.T) {
			k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Connections = connections })
			take, asked := make(chan bool), make(chan bool, 10_000)
			done := make(chan struct{})
			k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, to string) string {
				if verb == "dot" && to == "p@x.example" {
					asked <- true
					select {
					case <-take:
					case <-done:
					}
				}
				return ""
			}})
			t.Cleanup(func() { close(done) })
			k.names.hosts["codes.example"] = []string{"mx.x.example"} // the same receiver
			k.enqueue(many(500, "x.example", delivery.Marketing)...)
			k.run()
			<-asked // the campaign is under way
			code := k.enqueue(delivery.Row{Domain: "codes.example", Kind: delivery.Code})[0]
			arrived := func() bool { return k.last(code).End == delivery.Accepted }
			k.until("the code has its lane", func() bool { return k.status(code).State != "routing" })
			taken := 0
			k.until("the code arrives", func() bool {
				if most > 0 && taken < most {
					select {
					case take <- true:
						taken++
					default:
					}
				}
				return arrived()
			})
			t.Logf("after %d of 500", taken)
		})
	}
}

// TestOrganisationsTakeTurns: a large one does not stand before a small one.
func TestOrganisationsTakeTurns(t *testing.T) {
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Connections = 1 })
	routed := make(chan struct{})
	k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "greeting" {
			<-routed
		}
		return ""
	}})
	k.enqueue(many(1500, "x.example", delivery.Care)...)
	var small []id.Message
	err := k.st.Write(t.Context(), id.System(2), func(ctx context.Context, tx *store.Tx) error {
		for range 10 {
			small = append(small, id.New[id.Message]())
			if err := k.engine.Enqueue(ctx, tx, delivery.Row{Message: small[len(small)-1], Domain: "x.example", Kind: delivery.Care}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	k.run()
	k.until("all have their lane", func() bool { return k.counts().Routing == 0 && k.countsOf(2).Routing == 0 })
	close(routed)
	k.until("the small one's arrive", func() bool { return k.last(small[9]).End == delivery.Accepted })
	if c := k.counts(); c.Ended[delivery.Accepted] > 1000 {
		t.Errorf("the large one had %d before", c.Ended[delivery.Accepted])
	}
}

// TestOneSlowReceiverAmongMany: a receiver that hangs and three hundred domains with one message each, on few connections.
func TestOneSlowReceiverAmongMany(t *testing.T) {
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Connections = 12; impatient("greeting", "hang")(o) })
	hang := k.serve("hang.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "greeting" {
			return "hang"
		}
		return ""
	}})
	s := k.servePlain("d0.example", &sink{})
	rows := many(200, "hang.example", delivery.Care)
	for i := range 300 {
		d := fmt.Sprintf("d%d.example", i)
		k.names.add(d, s)
		rows = append(rows, delivery.Row{Domain: d, Kind: delivery.Care})
	}
	k.enqueue(rows...)
	k.run()
	k.until("the many arrive", func() bool { return k.counts().Ended[delivery.Accepted] == 300 })
	if n := s.duplicates(); n != 0 {
		t.Errorf("%d duplicates", n)
	}
	if hang.most.Load() > 10 {
		t.Errorf("%d connections to the receiver that hangs", hang.most.Load())
	}
}

// TestManyServers: of 64 servers of a domain only the last of the first ten answers.
func TestManyServers(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	s := k.serve("x.example", &sink{})
	var hosts []string
	for i := range 64 {
		hosts = append(hosts, fmt.Sprintf("mx%02d.x.example", i))
	}
	hosts[9] = "mx.x.example"
	k.names.hosts["x.example"] = hosts
	k.enqueue(delivery.Row{Domain: "x.example"})
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 1 || len(s.mails()) != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTakeOver: rows of a process that died. Without an intent they go as if nothing had been; with one they are in doubt.
func TestTakeOver(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		k := newKit(t, st, nil)
		s := k.serve("x.example", &sink{})
		ids := k.enqueue(append(many(2, "x.example", delivery.Care), many(2, "x.example", delivery.Marketing)...)...)
		// What a dead process leaves: leased rows, every second one with an intent.
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			for i, m := range ids {
				_, err := tx.Exec(ctx, `UPDATE delivery SET state = 2, lease = 7, holder = 7, intent_at = ? WHERE organisation_id = ? AND message_id = ?`, i%2*1000, tx.Organisation(), m)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		k.run()
		k.ended()
		for i, want := range []struct {
			end    delivery.End
			doubts int
		}{{delivery.Accepted, 0}, {delivery.Accepted, 1}, {delivery.Accepted, 0}, {delivery.InDoubt, 1}} {
			if got := k.status(ids[i]); got.End != want.end || got.Doubts != want.doubts {
				t.Errorf("%d: %+v", i, got)
			}
		}
		if len(s.mails()) != 3 {
			t.Errorf("%d mails", len(s.mails()))
		}
		entries(t, k, ids[1], ledger.ActInDoubt, ledger.ActAcceptance)
		entries(t, k, ids[3], ledger.ActInDoubt)
	})
}

// TestTwoEngines work one table: every message goes once.
func TestTwoEngines(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		k := newKit(t, st, func(o *delivery.Options) { o.Connections = 2 })
		goOn := make(chan struct{})
		s := k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
			if verb == "dot" {
				<-goOn
			}
			return ""
		}})
		k.enqueue(many(600, "x.example", delivery.Marketing)...)
		other, err := delivery.New(k.o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		k.run()
		k.until("the first one has claimed", func() bool { return k.counts().Sending > 0 })
		first := k.counts().Sending
		if st.Engine() == store.PostgreSQL { // on SQLite one process owns the table, and a start takes over all leases
			go func() { done <- other.Run(ctx) }()
			k.until("the other one has claimed", func() bool { return k.counts().Sending > max(first, 2*64) })
		} else {
			done <- nil
		}
		close(goOn)
		k.ended()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if st.Engine() == store.PostgreSQL && (k.engine.Written() == 0 || other.Written() == 0) {
			t.Errorf("one worked alone: %d and %d", k.engine.Written(), other.Written())
		}
		if c := k.counts(); c.Ended[delivery.Accepted] != 600 || c.Doubts != 0 || s.duplicates() != 0 {
			t.Errorf("%+v, %d duplicates", c, s.duplicates())
		}
	})
}

// TestStopGivesBack: an engine that is stopped finishes what it has begun, gives back the rest, and leaves nothing in doubt.
func TestStopGivesBack(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	s := k.serve("x.example", &sink{})
	k.enqueue(many(500, "x.example", delivery.Marketing)...)
	for range 3 {
		stop := k.run()
		before := k.engine.Written()
		k.until("some are sent", func() bool { return k.engine.Written() > before+10 })
		stop()
		if c := k.counts(); c.Sending != 0 || c.Doubts != 0 {
			t.Errorf("%+v", c)
		}
	}
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 500 || s.duplicates() != 0 {
		t.Errorf("%+v, %d duplicates", c, s.duplicates())
	}
}

// TestAfterARestore: a database that was restored sends nothing until its ledger is reopened; then what was open is in doubt, and
// treated by kind: the backup does not know that both had been sent.
func TestAfterARestore(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(seal.CreateRing(filepath.Join(dir, "ring"), time.Now()), ledger.CreateSigner(filepath.Join(dir, "signer"), caretest.LedgerOrigin)); err != nil {
		t.Fatal(err)
	}
	open := func(data string) (k *kit, end func()) {
		st, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, data)})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := seal.OpenRing(filepath.Join(dir, "ring"), "")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := seal.Open(t.Context(), st, ring)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ledger.OpenSigner(filepath.Join(dir, "signer"))
		if err != nil {
			t.Fatal(err)
		}
		led, err := ledger.New(t.Context(), st, keys, signer)
		if err != nil {
			t.Fatal(err)
		}
		return newKitOn(t, st, keys, led), func() {
			if err := errors.Join(led.SaveMark(), st.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	k, end := open("data")
	s := k.serve("x.example", &sink{})
	ids := k.enqueue(delivery.Row{Domain: "x.example", Kind: delivery.Care}, delivery.Row{Domain: "x.example", Kind: delivery.Marketing})
	backup := filepath.Join(dir, "backup")
	if err := k.st.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	stop := k.run()
	k.ended()
	stop()
	end()
	if len(s.mails()) != 2 {
		t.Fatalf("%d mails before the restore", len(s.mails()))
	}
	if err := store.Restore(t.Context(), backup, store.Options{Dir: filepath.Join(dir, "restored")}); err != nil {
		t.Fatal(err)
	}
	names := k.names
	ca := k.ca
	k, end = open("restored")
	defer end()
	k.ca, k.names.hosts, k.names.addr = ca, names.hosts, names.addr
	k.setRoots(ca.Pool())
	if err := k.engine.Run(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a restored database runs: %v", err)
	}
	if _, err := k.led.Reopen(t.Context(), id.Actor{}); err != nil {
		t.Fatal(err)
	}
	late := k.enqueue(delivery.Row{Domain: "x.example", Kind: delivery.Marketing})[0]
	for range 2 { // the second start must not doubt again
		stop = k.run()
		k.ended()
		stop()
	}
	if a, b := k.status(ids[0]), k.status(ids[1]); a.End != delivery.Accepted || a.Doubts != 1 || b.End != delivery.InDoubt || len(s.mails()) != 4 {
		t.Errorf("%+v %+v, %d mails", a, b, len(s.mails()))
	}
	if c := k.status(late); c.End != delivery.Accepted || c.Doubts != 0 {
		t.Errorf("handed in after the restore: %+v", c)
	}
}

// TestFrozen: what Prepare gives to keep comes back at the next attempt.
func TestFrozen(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	var n atomic.Int64
	k := newKit(t, caretest.Open(t), nil)
	plain := k.o.Prepare
	k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		all, err := plain(ctx, org, items)
		mu.Lock()
		defer mu.Unlock()
		for i := range all {
			seen = append(seen, fmt.Sprintf("%s/%v", items[i].Frozen, items[i].Doubted))
			if items[i].Frozen == nil {
				all[i].Frozen = []byte("kept")
			}
		}
		return all, err
	})
	k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "dot" && n.Add(1) == 1 {
			return "drop"
		}
		return ""
	}})
	k.enqueue(delivery.Row{Domain: "x.example"})
	k.run()
	k.ended()
	if got := strings.Join(seen, " "); got != "/false kept/true" {
		t.Error(got)
	}
}

// TestOutcomeFailsWithItsRow: what Outcome does and the row's end are one transaction.
func TestOutcomeFailsWithItsRow(t *testing.T) {
	var n atomic.Int64
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) {
		o.Outcome = func(context.Context, *store.Tx, []delivery.Outcome) error {
			if n.Add(1) <= 2 {
				return fault.New(fault.Unavailable, "not now")
			}
			return nil
		}
	})
	s := k.serve("x.example", &sink{})
	k.enqueue(delivery.Row{Domain: "x.example"})
	k.run()
	if c := k.ended(); c.Ended[delivery.Accepted] != 1 || n.Load() != 3 || len(s.mails()) != 1 {
		t.Errorf("%+v after %d tries", c, n.Load())
	}
}

// TestDomainsAreSealed: no recipient's domain and no receiver's words stand in the table.
func TestDomainsAreSealed(t *testing.T) {
	st := caretest.Open(t)
	k := newKit(t, st, nil)
	k.serve("rare-name.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "RCPT" {
			return "550 5.1.1 <p@rare-name.example>: no such user"
		}
		return ""
	}})
	m := k.enqueue(delivery.Row{Domain: "rare-name.example"})[0]
	k.run()
	k.ended()
	if !strings.Contains(k.status(m).Reply, "rare-name") {
		t.Error("the reply is lost")
	}
	err := st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT * FROM delivery`)
		if err != nil {
			return err
		}
		defer rows.Close()
		cols, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			vals := make([]any, len(cols))
			for i := range vals {
				vals[i] = new(any)
			}
			if err := rows.Scan(vals...); err != nil {
				return err
			}
			for i, v := range vals {
				if s := fmt.Sprintf("%s", *v.(*any)); strings.Contains(s, "rare-name") {
					t.Errorf("column %s", cols[i])
				}
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemoryIsFlat: what waits in the table costs no memory.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	heap := func(queued int) uint64 {
		k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Connections, o.Outcome = 4, nil })
		k.serve("x.example", &sink{forget: true, script: func(_ *sink, _ int, verb, _ string) string {
			if verb == "dot" {
				time.Sleep(time.Millisecond)
			}
			return ""
		}})
		for left := queued; left > 0; left -= 1000 {
			k.enqueue(many(1000, "x.example", delivery.Marketing)...)
		}
		stop := k.run()
		k.until("it runs", func() bool { return k.engine.Written() > 400 })
		least := uint64(1 << 60)
		for range 5 { // what is in hand at the moment comes and goes
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			least = min(least, m.HeapAlloc)
		}
		stop()
		return least
	}
	small, large := heap(1000), heap(15_000)
	t.Logf("%d MB with 1,000 queued, %d MB with 15,000", small>>20, large>>20)
	if large > small+8<<20 {
		t.Errorf("%d MB with 1,000 queued, %d MB with 15,000", small>>20, large>>20)
	}
}
