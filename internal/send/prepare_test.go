package send_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// Over proven TLS the message itself goes, and the connection is told what it must prove. A retry is the same bytes, and no news.
func TestOverProvenTLS(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		first := c.prepare(item(taken[0], p))
		if first.Verdict != delivery.Go || first.Need != tlspolicy.ProofMTASTS || first.To != "a@trusted.example" || first.Signer != "riverside.example" {
			t.Fatalf("%v %v to %s", first.Verdict, first.Need, first.To)
		}
		if !strings.HasPrefix(first.From, "b+") || !strings.HasSuffix(first.From, "@bounce.riverside.example") {
			t.Errorf("from %s", first.From)
		}
		text := string(first.Data)
		for _, want := range []string{"Subject: Your Zanzibaritis visit\r\n", "Message-ID: <" + taken[0].String() + "@riverside.example>\r\n", "Hello Ottoline, bring 12345678901234567 please."} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in the message", want)
			}
		}
		if bytes.Contains(first.Frozen, []byte("Ottoline")) || bytes.Contains(first.Frozen, []byte("a@trusted")) {
			t.Error("what is frozen can be read")
		}
		msg := c.message(taken[0])
		if len(msg.Decisions) != 1 || msg.Means != gate.MeansTLS || msg.Decisions[0].Proof != gate.ProofMTASTS || msg.Decisions[0].To != "a@trusted.example" {
			t.Errorf("%+v", msg)
		}
		again := item(taken[0], p)
		again.Frozen, again.Attempt = first.Frozen, 1
		second := c.prepare(again)
		if !bytes.Equal(first.Data, second.Data) || second.Need != first.Need || second.From != first.From {
			t.Error("the retry is another message")
		}
		if n := len(c.message(taken[0]).Decisions); n != 1 || second.Decision != nil {
			t.Errorf("%d decisions after a retry", n)
		}
		if n := c.acts(p); n[ledger.ActDecision] != 1 {
			t.Errorf("entries: %v", n)
		}
	})
}

// A commercial retry carries the same link to unsubscribe, though the tokens of two links differ.
func TestARetryOfAnOfferIsTheSame(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		c.authorize(p)
		_, taken := c.hand(c.offerRequest(), p)
		first := c.prepare(item(taken[0], p))
		if first.Verdict != delivery.Go {
			t.Fatalf("%v", c.message(taken[0]))
		}
		if !bytes.Contains(first.Data, []byte("List-Unsubscribe")) {
			t.Error("no way out of commercial mail")
		}
		again := item(taken[0], p)
		again.Frozen = first.Frozen
		if !bytes.Equal(first.Data, c.prepare(again).Data) {
			t.Error("the retry is another message")
		}
	})
}

func (c *clinic) authorize(p people.Person) (a id.Authorization) {
	c.t.Helper()
	c.write(func(ctx context.Context, tx *store.Tx) (err error) {
		today := law.Day(tx.Now)
		a, err = c.consents.Authorize(ctx, tx, p.ID, consent.Authorization{
			Information: "name and address", Discloser: "Riverside Clinic", Receiver: "Riverside Clinic", Purpose: "offers", Purposes: []ledger.Purpose{ledger.PurposeMarketing},
			Expires: today + 300, SignedOn: today - 10, Signer: "the person", StatesRevocation: true, StatesConditions: true, StatesRedisclosure: true,
			PlainLanguage: true, CopyGiven: true, Payers: []string{"Acme"}, StatesRemuneration: true, Evidence: consent.Evidence{How: "form"},
		})
		return err
	})
	return a
}

// Without proof the message waits here and a notice goes, which says nothing of it; its link opens the message. The notice's retry is
// the same bytes too.
func TestWithoutProofANoticeGoes(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		it := noTLS(item(taken[0], p))
		first := c.prepare(it)
		if first.Verdict != delivery.Go || first.Need != tlspolicy.ProofNone {
			t.Fatalf("%v, need %q", first.Verdict, first.Need)
		}
		text := string(first.Data)
		for _, phi := range []string{"Ottoline", "Quillfeather", "Zanzibaritis", "12345678901234567", "1970"} {
			if strings.Contains(text, phi) {
				t.Errorf("the notice says %q", phi)
			}
		}
		at := strings.Index(strings.ReplaceAll(text, "=\r\n", ""), base+"/m/")
		if at < 0 {
			t.Fatal("the notice has no link")
		}
		token := strings.ReplaceAll(text, "=\r\n", "")[at+len(base)+3:]
		token = token[:strings.IndexAny(token, "\r\n <>\"")]
		c.write(func(ctx context.Context, tx *store.Tx) error {
			s, content, err := c.pickups.Open(ctx, tx, token)
			if s.Message != taken[0] || !strings.Contains(content.Text, "bring 12345678901234567") || content.Subject != "Your Zanzibaritis visit" {
				t.Errorf("behind the link: %+v", s)
			}
			return err
		})
		it.Frozen = first.Frozen
		if second := c.prepare(it); !bytes.Equal(first.Data, second.Data) || second.Decision != nil {
			t.Error("the retry is another notice")
		}
	})
}

// A connection that does not prove what was relied on sends the message back: it waits here then, and never goes weaker; a second
// failure changes nothing, also when TLS is offered again.
func TestFailureNeverWeakens(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		first := c.prepare(item(taken[0], p))
		failed := item(taken[0], p)
		failed.Frozen, failed.Failure = first.Frozen, tlspolicy.FailureExpired
		second := c.prepare(failed)
		msg := c.message(taken[0])
		if second.Verdict != delivery.Go || msg.Means != gate.MeansPickup || len(msg.Decisions) != 2 || !has(msg, gate.NeverWeaker) {
			t.Fatalf("%+v", msg)
		}
		if bytes.Contains(second.Data, []byte("Ottoline")) {
			t.Error("the message itself went out")
		}
		failed.Frozen = second.Frozen
		if third := c.prepare(failed); third.Decision != nil || !bytes.Equal(second.Data, third.Data) {
			t.Error("the same failure was decided on twice")
		}
		// Where nothing may wait here, it is held.
		c.write(func(ctx context.Context, tx *store.Tx) error {
			pol, err := c.orgs.Policy(ctx, tx)
			if err != nil {
				return err
			}
			pol.Pickup = false
			_, err = c.orgs.SetPolicy(ctx, tx, pol)
			return err
		})
		failed.Frozen = first.Frozen
		if last := c.prepare(failed); last.Verdict != delivery.Hold || last.Data != nil || c.message(taken[0]).State != send.Held {
			t.Errorf("%v", last.Verdict)
		}
	})
}

// What a person took back between Submit and Prepare is obeyed.
func TestWhatChangedSinceIsObeyed(t *testing.T) {
	how := consent.Evidence{How: "phone"}
	for name, x := range map[string]struct {
		request func(c *clinic) send.Request
		change  func(ctx context.Context, tx *store.Tx, c *clinic, p people.Person, a id.Authorization) error
		state   send.State
		reason  gate.Code
	}{
		"the authorization is revoked": {(*clinic).offerRequest, func(ctx context.Context, tx *store.Tx, c *clinic, p people.Person, a id.Authorization) error {
			return c.consents.Revoke(ctx, tx, p.ID, a, how)
		}, send.Refused, gate.AuthorizationRevoked},
		"the person opted out": {(*clinic).offerRequest, func(ctx context.Context, tx *store.Tx, c *clinic, p people.Person, _ id.Authorization) error {
			_, err := c.consents.Suppress(ctx, tx, consent.Suppression{
				Row: consent.Row{Person: p.ID}, Scope: consent.ScopePerson, Channel: people.ChannelEmail, Covers: consent.CoversCommercial, Reason: "asked", Rule: "15 USC 7704(a)(4)", Evidence: how,
			})
			return err
		}, send.Refused, gate.OptedOutCommercial},
		"the use is restricted": {(*clinic).careRequest, func(ctx context.Context, tx *store.Tx, c *clinic, p people.Person, _ id.Authorization) error {
			_, err := c.consents.Restrict(ctx, tx, p.ID, consent.Restriction{Purpose: ledger.PurposeTreatment, Evidence: how})
			return err
		}, send.Refused, gate.RestrictedUse},
		"only post is wanted": {(*clinic).careRequest, func(ctx context.Context, tx *store.Tx, c *clinic, p people.Person, _ id.Authorization) error {
			_, err := c.consents.Confide(ctx, tx, p.ID, consent.Confidential{PostOnly: true, Evidence: how})
			return err
		}, send.Held, gate.ConfidentialPost},
		"the template is withdrawn": {(*clinic).careRequest, func(ctx context.Context, tx *store.Tx, c *clinic, _ people.Person, _ id.Authorization) error {
			return c.templates.Withdraw(ctx, tx, c.care.Template)
		}, send.Held, gate.LintHold},
		"the sender is closed": {(*clinic).careRequest, func(ctx context.Context, tx *store.Tx, c *clinic, _ people.Person, _ id.Authorization) error {
			return c.orgs.CloseSender(ctx, tx, c.careFrom.ID)
		}, send.Held, gate.LintHold},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, c *clinic) {
				p := c.patient("a", "a@trusted.example")
				a := c.authorize(p)
				_, taken := c.hand(x.request(c), p)
				c.write(func(ctx context.Context, tx *store.Tx) error { return x.change(ctx, tx, c, p, a) })
				got := c.prepare(item(taken[0], p))
				msg := c.message(taken[0])
				if got.Data != nil || msg.State != x.state || !has(msg, x.reason) || got.Reason == "" {
					t.Errorf("%v %s: %+v", got.Verdict, got.Reason, msg)
				}
			})
		})
	}
}

// A request for confidential communications names the address, 45 CFR 164.522(b); it need not be the preferred one.
func TestTheConfidentialAddressIsTaken(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "home@trusted.example", "private@trusted.example")
		c.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := c.consents.Confide(ctx, tx, p.ID, consent.Confidential{Channel: people.ChannelEmail, Contact: p.Core.Contacts[1].ID, Evidence: consent.Evidence{How: "form"}})
			return err
		})
		_, taken := c.hand(c.careRequest(), p)
		if got := c.prepare(item(taken[0], p)); got.To != p.Core.Contacts[1].Normal || got.To != "private@trusted.example" {
			t.Errorf("to %s", got.To)
		}
	})
}

// An address that was changed to another domain is held, not sent down the old way; released, it goes down the new one. At the same
// domain the new address is taken, also by a retry, and the decision says so.
func TestTheAddressChanges(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		first := c.prepare(item(taken[0], p))
		p = c.patient("a", "b@trusted.example")
		again := item(taken[0], p)
		again.Frozen = first.Frozen
		second := c.prepare(again)
		if msg := c.message(taken[0]); second.To != "b@trusted.example" || len(msg.Decisions) != 2 || msg.Decisions[1].To != "b@trusted.example" {
			t.Errorf("to %s: %+v", second.To, msg)
		}
		c.patient("a", "b@moved.example")
		if got := c.prepare(again); got.Verdict != delivery.Hold || !has(c.message(taken[0]), gate.AddressDoubtful) {
			t.Errorf("%v %s", got.Verdict, got.Reason)
		}
	})
}

// One message that cannot be prepared never stops the others, and ends in a clear state.
func TestOneBadMessageStopsNoOther(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		good, bad := c.patient("a", "a@trusted.example"), c.patient("b", "b@trusted.example")
		_, taken := c.hand(c.careRequest(), good)
		sid := id.New[id.Send]()
		var lacks []id.Message
		c.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if err := c.Open(ctx, tx, sid, c.careRequest()); err != nil {
				return err
			}
			lacks, err = c.Submit(ctx, tx, sid, []send.Recipient{{Person: bad.ID}}) // without the value that the template needs
			return err
		})
		unknown := id.New[id.Message]()
		broken := item(lacks[0], bad)
		items := []delivery.Item{broken, item(unknown, bad), item(taken[0], good)}
		all, err := c.Prepare(t.Context(), c.scope.Organisation, items)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := map[id.Message]delivery.Prepared{}
		for _, p := range all {
			verdicts[p.Message] = p
		}
		if len(all) != 3 || verdicts[taken[0]].Verdict != delivery.Go || verdicts[lacks[0]].Verdict != delivery.Hold || verdicts[unknown].Verdict != delivery.Hold {
			t.Errorf("%d prepared", len(all))
		}
		if c.prepare(broken); !has(c.message(lacks[0]), gate.LintHold) {
			t.Errorf("%+v", c.message(lacks[0]))
		}
		// The outcome of what is gone can be told, too: else it would be sent again for ever.
		c.tell(delivery.Outcome{Message: unknown, Person: id.New[id.Person](), End: delivery.Accepted})
		c.tell(delivery.Outcome{Message: unknown, Person: id.New[id.Person](), End: delivery.Held})
	})
}

// A notice that was put off stays a notice, although the receiver proves itself by now: the person may have it, and would get both. A
// person's release ends that, but not when the notice may have arrived.
func TestANoticeStaysANotice(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		_, taken := c.hand(c.careRequest(), p)
		first := c.prepare(noTLS(item(taken[0], p)))
		proven := item(taken[0], p)
		proven.Frozen = first.Frozen
		if second := c.prepare(proven); second.Verdict != delivery.Go || second.Decision != nil || !bytes.Equal(first.Data, second.Data) {
			t.Fatalf("after a notice: %+v", c.message(taken[0]))
		}
		c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Held, Reason: delivery.ReasonOurs})
		c.done(taken[0])
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.Release(ctx, tx, taken[0]) })
		proven.Doubted = true
		if third := c.prepare(proven); c.message(taken[0]).Means != gate.MeansPickup || !bytes.Equal(first.Data, third.Data) {
			t.Errorf("released in doubt: %+v", c.message(taken[0]))
		}
		c.tell(delivery.Outcome{Message: taken[0], Person: p.ID, End: delivery.Held, Reason: delivery.ReasonOurs})
		c.done(taken[0])
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.Release(ctx, tx, taken[0]) })
		proven.Doubted = false
		if c.prepare(proven); c.message(taken[0]).Means != gate.MeansTLS {
			t.Errorf("released: %+v", c.message(taken[0]))
		}
	})
}

// Bulk mail outside its hours waits for them; when the message would have ended by then, a person must look.
func TestTheClockHolds(t *testing.T) {
	both(t, func(t *testing.T, c *clinic) {
		p := c.patient("a", "a@trusted.example")
		zone, err := time.LoadLocation("America/New_York")
		if err != nil {
			t.Fatal(err)
		}
		far := time.Now().In(zone).AddDate(0, 0, 3) // three days from now, all day
		week, err := law.ParseWeek(strings.ToLower(far.Weekday().String()[:3]) + " 00:00-24:00")
		if err != nil {
			t.Fatal(err)
		}
		c.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := c.orgs.SetPolicy(ctx, tx, organisation.Policy{Pickup: true, MailHours: week})
			return err
		})
		r := c.careRequest()
		r.Bulk = true
		_, taken := c.hand(r, p)
		late := item(taken[0], p)
		late.Expires = time.Now().AddDate(0, 0, 7)
		got := c.prepare(late)
		if got.Verdict != delivery.Later || !got.Due.After(time.Now()) || got.Due.After(late.Expires) {
			t.Fatalf("%v due %v: %+v", got.Verdict, got.Due, c.message(taken[0]))
		}
		if again := c.prepare(late); again.Verdict != delivery.Later || again.Decision != nil {
			t.Error("waiting on was decided anew")
		}
		soon := late
		soon.Expires = time.Now().Add(time.Hour)
		if got := c.prepare(soon); got.Verdict != delivery.Hold || !has(c.message(taken[0]), gate.QuietHours) || len(c.message(taken[0]).Decisions) != 2 {
			t.Errorf("%v", got.Verdict)
		}
	})
}
