package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// TestTheWay: a message goes, is accepted over verified TLS, and the ledger says so.
func TestTheWay(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		k := newKit(t, st, nil)
		s := k.serve("good.example", &sink{})
		k.need["good.example"] = tlspolicy.ProofPKIX
		ids := k.enqueue(delivery.Row{Domain: "good.example"}, delivery.Row{Domain: "Good.Example", Kind: delivery.Marketing})
		k.run()
		if c := k.ended(); c.Ended[delivery.Accepted] != 2 {
			t.Fatalf("%+v", c)
		}
		for _, m := range s.mails() {
			if !m.tls {
				t.Error("not over TLS")
			}
		}
		st1 := k.status(ids[0])
		if st1.End != delivery.Accepted || st1.Attempts != 1 || st1.Proof != tlspolicy.ProofPKIX || st1.TLS != "TLS 1.3" || st1.Done.IsZero() {
			t.Errorf("%+v", st1)
		}
		if o := k.last(ids[0]); o.End != delivery.Accepted || o.Code != 250 || o.Group != "good.example" || o.Proof != tlspolicy.ProofPKIX {
			t.Errorf("%+v", o)
		}
		entries(t, k, ids[0], ledger.ActAcceptance)
	})
}

// entries checks the acts that the ledger has of a message.
func entries(t *testing.T, k *kit, m id.Message, want ...ledger.Act) (all []ledger.Record) {
	t.Helper()
	if err := k.led.Numbered(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var got []ledger.Act
	err := k.st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		page, err := k.led.Of(ctx, tx, m.UUID(), ledger.Query{})
		for _, r := range page.Records { // the newest first
			got = append([]ledger.Act{r.Leaf.Act}, got...)
		}
		all = page.Records
		return err
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("entries %v %v, wanted %v", got, err, want)
	}
	return all
}

// TestNothingGoesOutWeaker: every way in which a receiver can fail to prove itself, with and without a policy of its own.
func TestNothingGoesOutWeaker(t *testing.T) {
	type want struct {
		end     delivery.End
		secrets int // bodies that needed proof
		notices int
		plain   int // anything over no TLS
		failure tlspolicy.Failure
	}
	for _, c := range []struct {
		name    string
		sink    func(k *kit) *sink
		enforce bool
		need    tlspolicy.Proof
		want    want
	}{
		{"PKIX, good", good, false, tlspolicy.ProofPKIX, want{end: delivery.Accepted, secrets: 1}},
		{"PKIX, expired", expired, false, tlspolicy.ProofPKIX, want{end: delivery.Accepted, notices: 1, failure: tlspolicy.FailureExpired}},
		{"PKIX, wrong name", wrongName, false, tlspolicy.ProofPKIX, want{end: delivery.Accepted, notices: 1, failure: tlspolicy.FailureName}},
		{"PKIX, STARTTLS stripped", stripped, false, tlspolicy.ProofPKIX, want{end: delivery.Accepted, notices: 1, plain: 1, failure: tlspolicy.FailureNoTLS}},
		{"PKIX, handshake fails", brokenTLS, false, tlspolicy.ProofPKIX, want{end: delivery.Accepted, notices: 1, plain: 1, failure: tlspolicy.FailureHandshake}},
		{"no need, STARTTLS stripped", stripped, false, tlspolicy.ProofNone, want{end: delivery.Accepted, notices: 1, plain: 1}},
		{"no need, handshake fails", brokenTLS, false, tlspolicy.ProofNone, want{end: delivery.Accepted, notices: 1, plain: 1}},
		{"no need, expired", expired, false, tlspolicy.ProofNone, want{end: delivery.Accepted, notices: 1}},
		{"enforced, good", good, true, tlspolicy.ProofMTASTS, want{end: delivery.Accepted, secrets: 1}},
		{"enforced, good, notice", good, true, tlspolicy.ProofNone, want{end: delivery.Accepted, notices: 1}},
		{"enforced, expired", expired, true, tlspolicy.ProofMTASTS, want{end: delivery.Held}},
		{"enforced, expired, notice", expired, true, tlspolicy.ProofNone, want{end: delivery.Held}},
		{"enforced, wrong name, notice", wrongName, true, tlspolicy.ProofNone, want{end: delivery.Held}},
		{"enforced, STARTTLS stripped, notice", stripped, true, tlspolicy.ProofNone, want{end: delivery.Held}},
		{"enforced, handshake fails, notice", brokenTLS, true, tlspolicy.ProofNone, want{end: delivery.Held}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, caretest.Open(t), nil)
			s := k.servePlain("x.example", c.sink(k))
			k.need["x.example"] = c.need
			if c.enforce {
				k.enforce("x.example", "mx.x.example")
			}
			m := k.enqueue(delivery.Row{Domain: "x.example"})[0]
			k.run()
			k.ended()
			got := want{end: k.status(m).End}
			for _, m := range s.mails() {
				if strings.Contains(m.data, "secret") {
					got.secrets++
				} else {
					got.notices++
				}
				if !m.tls {
					got.plain++
				}
			}
			k.mu.Lock()
			if i := len(k.prepared) - 1; i >= 0 {
				got.failure = k.prepared[i].Failure
			}
			k.mu.Unlock()
			if got != c.want {
				t.Errorf("%+v, wanted %+v (%+v)", got, c.want, k.status(m))
			}
			if c.want.end == delivery.Held {
				entries(t, k, m, ledger.ActHold)
			}
		})
	}
}

func good(k *kit) *sink      { return withCert(k, "mx.x.example", 24*time.Hour) }
func expired(k *kit) *sink   { return withCert(k, "mx.x.example", -time.Hour) }
func wrongName(k *kit) *sink { return withCert(k, "other.example", 24*time.Hour) }
func stripped(*kit) *sink    { return &sink{} }
func brokenTLS(k *kit) *sink {
	s := withCert(k, "mx.x.example", 24*time.Hour)
	s.script = func(_ *sink, _ int, verb, _ string) string {
		if verb == "STARTTLS" {
			return "drop"
		}
		return ""
	}
	return s
}

func withCert(k *kit, name string, life time.Duration) *sink {
	cert, err := k.ca.Issue(time.Now().Add(life), name)
	if err != nil {
		k.t.Fatal(err)
	}
	return &sink{cert: &cert}
}

// TestPolicyThatNamesAnotherServer: nothing is even tried.
func TestPolicyThatNamesAnotherServer(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	s := k.serve("x.example", &sink{})
	k.enforce("x.example", "other.x.example")
	m := k.enqueue(delivery.Row{Domain: "x.example"})[0]
	stop := k.run()
	if c := k.ended(); c.Ended[delivery.Held] != 1 || s.conns.Load() != 0 {
		t.Errorf("%+v, %d connections", c, s.conns.Load())
	}
	if st := k.status(m); st.Reason != "policy" || st.Attempts != 3 {
		t.Errorf("%+v", st)
	}
	reopen := func() {
		t.Helper()
		err := k.st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error { return k.engine.Reopen(ctx, tx, m, "x.example") })
		if err != nil {
			t.Fatal(err)
		}
	}
	// A person releases it too early: it is tried as often as before until a person is asked again.
	reopen()
	k.ended()
	if st := k.status(m); st.End != delivery.Held || st.Attempts != 6 {
		t.Errorf("released: %+v", st)
	}
	// The domain mends its policy, and says so by another id.
	stop()
	k.enforce("x.example", "mx.x.example")
	k.names.txt["_mta-sts.x.example"] = "v=STSv1; id=2;"
	k.o.Ways = k.newWays()
	k.renew()
	k.run()
	reopen()
	if c := k.ended(); c.Ended[delivery.Accepted] != 1 || len(s.mails()) != 1 || !s.mails()[0].tls {
		t.Errorf("mended: %+v, %+v", c, k.status(m))
	}
}

// TestAnswers: what follows from answers at every stage.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, verb, answer string
		kind               delivery.Kind
		times              int // the answer is given so often; 0: always
		end                delivery.End
		attempts           int
		suppress           bool
		class              bounce.Class
	}{
		{"no such user", "RCPT", "550 5.1.1 no such user", delivery.Care, 0, delivery.Bounced, 1, true, bounce.HardBounce},
		{"no such user at MAIL suppresses nobody", "MAIL", "550 5.1.1 no such user", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"full", "RCPT", "552 5.2.2 over quota", delivery.Care, 0, delivery.Bounced, 1, false, bounce.MailboxFull},
		{"greylisted once", "RCPT", "451 4.7.1 greylisted, try again later", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"spam", "dot", "554 5.7.1 this looks like spam", delivery.Care, 0, delivery.Bounced, 1, false, bounce.SpamBlock},
		{"451 after the dot, once", "dot", "451 4.3.0 try again", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"421 at MAIL burns no attempt", "MAIL", "421 4.7.0 busy", delivery.Care, 3, delivery.Accepted, 1, false, ""},
		{"421 in the greeting burns no attempt", "greeting", "421 4.3.2 too busy", delivery.Care, 3, delivery.Accepted, 1, false, ""},
		{"451 at MAIL burns no attempt", "MAIL", "451 4.7.1 rate limited", delivery.Care, 3, delivery.Accepted, 1, false, ""},
		{"554 in the greeting burns no attempt", "greeting", "554 no SMTP service here", delivery.Care, 2, delivery.Accepted, 1, false, ""},
		{"dropped in the greeting", "greeting", "drop", delivery.Care, 2, delivery.Accepted, 1, false, ""},
		{"hangs in the greeting", "greeting", "hang", delivery.Care, 1, delivery.Accepted, 1, false, ""},
		{"dropped at MAIL", "MAIL", "drop", delivery.Care, 2, delivery.Accepted, 1, false, ""},
		{"dropped at RCPT", "RCPT", "drop", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"hangs at RCPT", "RCPT", "hang", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"dropped at DATA", "DATA", "drop", delivery.Care, 1, delivery.Accepted, 2, false, ""},
		{"listed, marketing", "RCPT", "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", delivery.Marketing, 0, delivery.Bounced, 1, false, bounce.Reputation},
		{"listed, care, mended", "RCPT", "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", delivery.Care, 2, delivery.Accepted, 3, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, caretest.Open(t), impatient(c.verb, c.answer))
			var n atomic.Int64
			k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
				if verb == c.verb && (c.times == 0 || n.Add(1) <= int64(c.times)) {
					return c.answer
				}
				return ""
			}})
			m := k.enqueue(delivery.Row{Domain: "x.example", Kind: c.kind})[0]
			k.run()
			k.ended()
			s, o := k.status(m), k.last(m)
			slow := c.answer == "hang" && s.Attempts > c.attempts // this machine, that once: the phase that hangs is short
			if s.End != c.end || s.Attempts != c.attempts && !slow || o.Suppress != c.suppress || c.class != "" && o.Class != c.class {
				t.Errorf("%s after %d attempts, suppress %v, class %s (%+v)", s.End, s.Attempts, o.Suppress, o.Class, s)
			}
			if c.end == delivery.Bounced && !strings.Contains(c.answer, s.Reply) {
				t.Errorf("reply %q", s.Reply)
			}
		})
	}
}

// TestInDoubt: a reply that is lost at the dot. Care goes again with the same Message-ID, three times at most; marketing does not.
func TestInDoubt(t *testing.T) {
	for _, c := range []struct {
		kind   delivery.Kind
		drops  int64
		end    delivery.End
		doubts int
		copies int
	}{
		{delivery.Care, 1, delivery.Accepted, 1, 2},
		{delivery.Service, 1, delivery.Accepted, 1, 2},
		{delivery.Care, 100, delivery.InDoubt, 4, 4},
		{delivery.Marketing, 1, delivery.InDoubt, 1, 1},
	} {
		for _, how := range []string{"drop", "hang", "421 shutting down"} {
			t.Run(fmt.Sprint(c.kind, c.drops, how), func(t *testing.T) {
				k := newKit(t, caretest.Open(t), impatient("dot", how))
				var n atomic.Int64
				s := k.serve("x.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
					if verb == "dot" && n.Add(1) <= c.drops {
						return how
					}
					return ""
				}})
				m := k.enqueue(delivery.Row{Domain: "x.example", Kind: c.kind})[0]
				k.run()
				k.ended()
				got := k.status(m)
				slow := how == "hang" && c.drops == 1 && got.Doubts > c.doubts // this machine
				if got.End != c.end && !slow || got.Doubts != c.doubts && !slow {
					t.Errorf("%+v", got)
				}
				mails := s.mails()
				if strings.HasPrefix(how, "421") { // not taken: the copies are those that were
					return
				}
				if len(mails) != c.copies && !slow {
					t.Errorf("%d copies", len(mails))
				}
				for _, m := range mails {
					if m.id != mails[0].id {
						t.Error("another Message-ID")
					}
				}
			})
		}
	}
}

func TestDomainsThatTakeNoMail(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	k := newKitOn(t, st, keys, led)
	k.o.PersonKeys = func(ctx context.Context, tx *store.Tx, ids []id.Person) (map[id.Person]seal.Key, error) {
		month, err := keys.Month(ctx, tx, seal.PurposeLedger)
		all := map[id.Person]seal.Key{}
		for _, p := range ids {
			all[p] = month
		}
		return all, err
	}
	k.renew()
	k.names.hosts = map[string][]string{"null.example": {""}}
	row := func(domain string) delivery.Row {
		return delivery.Row{Domain: domain, Person: id.New[id.Person](), Purpose: ledger.PurposeTreatment}
	}
	rows := []delivery.Row{row("gone.example"), row("null.example"), row("not a domain")}
	ids := k.enqueue(rows...)
	k.run()
	k.ended()
	for i, suppress := range []bool{false, true, true} {
		if o := k.last(ids[i]); o.End != delivery.Bounced || o.Suppress != suppress || o.Person != rows[i].Person {
			t.Errorf("%d: %+v", i, o)
		}
		for _, e := range entries(t, k, ids[i], ledger.ActBounce) {
			if e.Purpose != ledger.PurposeTreatment || e.Subject == (ledger.Blind{}) {
				t.Errorf("%d: the entry is about nobody: %+v", i, e)
			}
		}
	}
}

// TestDeadResolver: nothing bounces, nothing is lost; when it answers again the mail goes.
func TestDeadResolver(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	var calls atomic.Int64
	k.o.Ways = k.newWaysAt(func() time.Time { return time.Now().Add(time.Duration(calls.Add(1)) * time.Minute) }) // no answer is fresh for long
	k.renew()
	k.serve("x.example", &sink{})
	k.names.dead.Store(true)
	m := k.enqueue(delivery.Row{Domain: "x.example"})[0]
	k.run()
	k.until("it is asked several times", func() bool { return k.names.asked.Load() > 4 })
	if s := k.status(m); s.State != "routing" || s.Attempts != 0 {
		t.Errorf("%+v", s)
	}
	k.names.dead.Store(false)
	if c := k.ended(); c.Ended[delivery.Accepted] != 1 {
		t.Errorf("%+v", c)
	}
}

func TestExpiry(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	k.serve("busy.example", &sink{script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "RCPT" {
			return "451 4.7.1 later"
		}
		return ""
	}})
	ids := k.enqueue(delivery.Row{Domain: "busy.example"}, delivery.Row{Domain: "unreachable.example", Kind: delivery.Code})
	k.names.hosts["unreachable.example"] = []string{"mx.unreachable.example"}
	k.run()
	k.until("both are tried", func() bool { return k.status(ids[0]).Attempts > 0 && k.names.refused.Load() > 0 })
	for _, m := range ids { // their time passes, wherever they are
		k.until("it ends", func() bool {
			k.exec(`UPDATE delivery SET expires_at = 1 WHERE organisation_id = 1 AND message_id = ? AND state < 3`, m)
			return k.status(m).State == "done"
		})
	}
	for _, m := range ids {
		if o := k.last(m); o.End != delivery.Expired || o.Suppress {
			t.Errorf("%+v", o)
		}
		entries(t, k, m, ledger.ActDeliveryGivenUp)
	}
}

func TestPrepareDecides(t *testing.T) {
	st := caretest.Open(t)
	var recorded atomic.Int64
	verdicts := map[string]delivery.Prepared{
		"hold.example":   {Verdict: delivery.Hold, Reason: "restriction"},
		"refuse.example": {Verdict: delivery.Refuse, Reason: "opt_out"},
		"other.example":  {Verdict: delivery.Go, To: "p@elsewhere.example"},
	}
	var late atomic.Bool
	k := newKit(t, st, func(o *delivery.Options) {
		o.Record = func(_ context.Context, tx *store.Tx, all []delivery.Prepared) error {
			tx.OnCommit(func() { recorded.Add(int64(len(all))) })
			return nil
		}
		o.Prepare = func(_ context.Context, _ id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
			var all []delivery.Prepared
			for _, i := range items {
				p, ok := verdicts[i.Way.Domain]
				if i.Way.Domain == "later.example" && !late.Swap(true) {
					p, ok = delivery.Prepared{Verdict: delivery.Later, Due: time.Now().Add(30 * time.Millisecond)}, true
				} else if i.Way.Domain == "later.example" {
					p, ok = delivery.Prepared{Verdict: delivery.Refuse, Reason: "late"}, true
				}
				if !ok {
					continue // no answer
				}
				p.Message = i.Message
				p.Decision = i.Message
				all = append(all, p)
			}
			return all, nil
		}
	})
	var rows []delivery.Row
	sinks := map[string]*sink{}
	domains := []string{"hold.example", "refuse.example", "later.example", "other.example", "silent.example"}
	for _, d := range domains {
		sinks[d] = k.serve(d, &sink{})
		rows = append(rows, delivery.Row{Domain: d})
	}
	ids := k.enqueue(rows...)
	k.run()
	for _, m := range ids[3:] { // these cannot be prepared: their time runs out
		k.until("tried", func() bool { return k.status(m).Attempts > 0 })
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE delivery SET expires_at = 1 WHERE organisation_id = ? AND message_id = ? AND state < 3`, tx.Organisation(), m)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	k.ended()
	for i, want := range []struct {
		end    delivery.End
		reason string
	}{{delivery.Held, "restriction"}, {delivery.Refused, "opt_out"}, {delivery.Refused, "late"}, {delivery.Held, "prepare"}, {delivery.Held, "prepare"}} {
		if s := k.status(ids[i]); s.End != want.end || s.Reason != want.reason {
			t.Errorf("%s: %+v", domains[i], s)
		}
		if n := sinks[domains[i]].conns.Load(); n != 0 {
			t.Errorf("%s: %d connections", domains[i], n)
		}
	}
	if recorded.Load() != 4 { // two of later.example
		t.Errorf("recorded %d times", recorded.Load())
	}
}

// TestCancelAndReopen: what waits can be cancelled, what is held can be tried again, and nothing else can.
func TestCancelAndReopen(t *testing.T) {
	k := newKit(t, caretest.Open(t), nil)
	k.serve("x.example", &sink{})
	write := func(fn func(ctx context.Context, tx *store.Tx) error) error {
		return k.st.Write(t.Context(), id.System(1), fn)
	}
	m := k.enqueue(delivery.Row{Domain: "x.example"})[0]
	cancel := func(ctx context.Context, tx *store.Tx) error { return k.engine.Cancel(ctx, tx, m, "sender") }
	if err := write(cancel); err != nil {
		t.Fatal(err)
	}
	if s := k.status(m); s.End != delivery.Cancelled || s.Reason != "sender" {
		t.Errorf("%+v", s)
	}
	if err := write(cancel); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if err := write(func(ctx context.Context, tx *store.Tx) error { return k.engine.Reopen(ctx, tx, m, "x.example") }); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	err := write(func(ctx context.Context, tx *store.Tx) error {
		return k.engine.Enqueue(ctx, tx, delivery.Row{Domain: "x.example"})
	})
	if err == nil {
		t.Error("a row without an id")
	}
	// One that is held is reopened, also to another domain.
	var held atomic.Bool
	held.Store(true)
	plain := k.o.Prepare
	k.setPrepare(func(ctx context.Context, org id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		if held.Load() {
			return []delivery.Prepared{{Message: items[0].Message, Verdict: delivery.Hold, Reason: "restriction"}}, nil
		}
		return plain(ctx, org, items)
	})
	other := k.serve("other.example", &sink{})
	h := k.enqueue(delivery.Row{Domain: "x.example"})[0]
	k.run()
	k.until("it is held", func() bool { return k.status(h).End == delivery.Held })
	held.Store(false)
	reopen := func(ctx context.Context, tx *store.Tx) error { return k.engine.Reopen(ctx, tx, h, "other.example") }
	if err := write(reopen); err != nil {
		t.Fatal(err)
	}
	k.until("it arrives", func() bool { return k.status(h).End == delivery.Accepted })
	if err := write(reopen); !fault.Is(err, fault.Conflict) || len(other.mails()) != 1 || other.mails()[0].to != "p@other.example" {
		t.Errorf("%v, %+v", err, other.mails())
	}
}

func (k *kit) enforce(domain, host string) {
	k.t.Helper()
	k.names.mu.Lock()
	defer k.names.mu.Unlock()
	if k.names.txt == nil {
		k.names.txt = map[string]string{}
	}
	k.names.txt["_mta-sts."+domain] = "v=STSv1; id=1;"
	k.names.addr["mta-sts."+domain+":443"] = policySite(k, domain, host)
}
