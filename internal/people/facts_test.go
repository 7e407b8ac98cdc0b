package people

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

func (c *clinic) facts(person id.Person, kinds ...FactKind) (all []Fact) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = c.p.Facts(ctx, tx, person, kinds...)
		return err
	})
	return all
}

func (c *clinic) rows(query string) (n int) {
	c.t.Helper()
	c.read(func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, query, tx.Organisation()).Scan(&n)
	})
	return n
}

func TestVersions(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		c.apply(amara("Patient/p", "1"))
		person := c.subject("ehr", "Patient/p").ID
		version := func(at, v, code string) Change {
			return fact("Patient/p", Fact{Kind: FactCondition, State: StateActive, Resource: "Condition/1", Version: v, Updated: day(at).Time, Codes: []Code{{System: "icd10cm", Code: code}}})
		}
		for _, step := range []struct {
			name               string
			change             Change
			facts, same, stale int
			code               string
		}{
			{"the first", version("2026-11-02T00:00:00Z", "2", "E119"), 1, 0, 0, "E119"},
			{"an older one stands aside", version("2026-11-01T00:00:00Z", "1", "I10"), 0, 0, 1, "E119"},
			{"the same time, an older version", version("2026-11-02T00:00:00Z", "1", "I10"), 0, 0, 1, "E119"},
			{"the same again", version("2026-11-02T00:00:00Z", "2", "E119"), 0, 1, 0, "E119"},
			{"the same time and version with other content: a mended mapping", version("2026-11-02T00:00:00Z", "2", "E1165"), 1, 0, 0, "E1165"},
			{"a newer one", version("2026-11-03T00:00:00Z", "3", "E1122"), 1, 0, 0, "E1122"},
		} {
			a := c.apply(step.change)
			if a.Facts != step.facts || a.Same != step.same || a.Stale != step.stale {
				t.Errorf("%s: %+v", step.name, a)
			}
			if all := c.facts(person); len(all) != 1 || all[0].Codes[0].Code != step.code {
				t.Errorf("%s: %+v", step.name, all)
			}
		}
		if n := c.rows(`SELECT count(*) FROM fact WHERE organisation_id = ? AND state = 2`); n != 2 {
			t.Errorf("%d superseded versions are kept, want 2", n)
		}
		older := amara("Patient/p", "1")
		older.Updated = day("2020-01-01T00:00:00Z").Time
		older.Profile.Names[0].Family = "Maiden"
		if a := c.apply(older); a.Stale != 1 || c.subject("ehr", "Patient/p").Core.Names[0].Family != "Okafor-Reyes" {
			t.Errorf("an older profile replaced a newer one: %+v", a)
		}
	})
}

func TestEventsFollowFacts(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		c.apply(amara("Patient/p", "1"), amara("Patient/q", "2"))
		p, q := c.subject("ehr", "Patient/p").ID, c.subject("ehr", "Patient/q").ID
		appointment := func(subject string, state FactState, start, updated string) Change {
			return fact(subject, Fact{Kind: FactAppointment, State: state, Resource: "Appointment/1", Start: day(start), Updated: day(updated).Time})
		}
		want := func(step string, person id.Person, kinds string) {
			t.Helper()
			var got []string
			for _, k := range []string{EventBooked, EventMoved, EventCancelled, EventMissed, EventKept, EventVisit} {
				for range c.events(person)[k] {
					got = append(got, k[strings.IndexByte(k, '.')+1:])
				}
			}
			if strings.Join(got, " ") != kinds {
				t.Errorf("%s: %v, want %s", step, got, kinds)
			}
			// The projection that was kept is the one that is built anew.
			c.rebuild(person)
		}
		c.apply(appointment("Patient/p", StateBooked, "2025-01-10T09:00:00-06:00", "2025-01-01T00:00:00Z"))
		want("booked", p, "booked")
		c.apply(appointment("Patient/p", StateBooked, "2025-01-11T09:00:00-06:00", "2025-01-02T00:00:00Z"))
		want("moved", p, "booked moved")
		c.apply(appointment("Patient/p", StateBooked, "2025-01-12T09:00:00-06:00", "2025-01-03T00:00:00Z"))
		want("moved again", p, "booked moved moved")
		c.apply(appointment("Patient/p", StateMissed, "2025-01-12T09:00:00-06:00", "2025-01-13T00:00:00Z"))
		want("missed", p, "booked moved moved missed")
		c.apply(fact("Patient/p", Fact{Kind: FactEncounter, State: StateCompleted, Resource: "Encounter/1", Start: day("2025-01-12T10:00:00-06:00"), Text: map[string]string{TextClass: "AMB"}}))
		want("seen that day after all", p, "booked moved moved finished")
		c.apply(fact("Patient/p", Fact{Kind: FactEncounter, State: StateError, Resource: "Encounter/1", Start: day("2025-01-12T10:00:00-06:00")}))
		want("the visit was an error", p, "booked moved moved missed")
		c.apply(appointment("Patient/p", StateKept, "2025-01-12T09:00:00-06:00", "2025-01-14T00:00:00Z"))
		want("corrected to kept", p, "booked moved moved kept")
		c.apply(appointment("Patient/q", StateKept, "2025-01-12T09:00:00-06:00", "2025-01-15T00:00:00Z"))
		want("it was another person's", p, "")
		want("it was this person's", q, "kept")
		c.apply(Change{Source: "ehr", Delete: []string{"Appointment/1"}})
		want("deleted", q, "")
		if a := c.apply(Change{Source: "ehr", Delete: []string{"Appointment/1", "Appointment/none"}}); a.Facts+a.Retracted+a.Updated != 0 {
			t.Errorf("deleted again: %+v", a)
		}
		stands, back := c.rows(`SELECT count(*) FROM event WHERE organisation_id = ? AND state = 2`), c.rows(`SELECT count(*) FROM event WHERE organisation_id = ? AND state = 3`)
		if stands != back || back == 0 {
			t.Errorf("%d events were taken back by %d retractions", stands, back)
		}
	})
}

// rebuild checks that the projection in the row is the one that Project gives of everything that is current.
func (c *clinic) rebuild(person id.Person) {
	c.t.Helper()
	kept := c.projection(person)
	err := c.st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		return c.p.rework(ctx, tx, []id.Person{person}, func(b *batch, all []*member) error {
			b.root(all[0]).changed = true
			return nil
		})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	anew := c.projection(person)
	x, _ := encode(packProjection(&kept))
	y, _ := encode(packProjection(&anew))
	if string(x) != string(y) {
		c.t.Errorf("kept %+v\nanew %+v", kept, anew)
	}
}

func TestPatientThatVanished(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.apply(amara("Patient/p", "1"))
	person := c.subject("ehr", "Patient/p")
	a := c.apply(Change{Source: "ehr", Delete: []string{"Patient/p"}})
	if after := c.subject("ehr", "Patient/p"); a.Updated != 1 || !after.Core.Inactive || after.Core.Deceased || len(after.Core.Names) != 1 || c.projection(person.ID).Kind != 0 {
		t.Errorf("%+v %+v", a, after.Core)
	}
	c.apply(amara("Patient/p", "1"))
	if c.projection(person.ID).Kind != KindPatient {
		t.Error("the record came back and is not in use")
	}
}

func TestDeathNeedsAPersonToBeTakenBack(t *testing.T) {
	c := open(t, caretest.Open(t))
	died := amara("Patient/p", "1")
	died.Profile.Deceased = true
	c.apply(died)
	alive := amara("Patient/p", "1")
	alive.Updated = alive.Updated.Add(time.Hour)
	a := c.apply(alive)
	person := c.subject("ehr", "Patient/p")
	if !person.Core.Deceased || !c.projection(person.ID).Deceased || len(a.Warnings) != 1 || a.Warnings[0].Reason != ReasonAlive {
		t.Errorf("%+v %+v", a, person.Core)
	}
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Revive(ctx, tx, person.ID) })
	if c.subject("ehr", "Patient/p").Core.Deceased || c.projection(person.ID).Deceased {
		t.Error("not alive after a person said so")
	}
	time.Sleep(2 * time.Millisecond) // ids carry milliseconds: what comes after the word is newer than it
	died.Updated = alive.Updated.Add(time.Hour)
	c.apply(died)
	if !c.subject("ehr", "Patient/p").Core.Deceased {
		t.Error("a death that was said after that does not count")
	}
}

func TestPlaceholdersAndContacts(t *testing.T) {
	c := open(t, caretest.Open(t))
	baby := amara("Patient/b", "1")
	baby.Profile.Names, baby.Profile.Birth = []Name{{Family: "Reyes", Given: []string{"BABYBOY"}}}, Date{1900, 1, 1}
	bad := ContactPoint{Channel: ChannelEmail, Value: "a@b\r\nBcc: x@y.org", State: ContactInvalid}
	baby.Profile.Contacts = append([]ContactPoint{bad, {Channel: ChannelEmail, Value: "old@example.org", Normal: "old@example.org", State: ContactOld}}, baby.Profile.Contacts...)
	baby.Profile.Identifiers = append(baby.Profile.Identifiers, Identifier{System: "urn:x", Value: "999-12-3456", Type: "MR"})
	a := c.apply(baby)
	person := c.subject("ehr", "Patient/b")
	core := person.Core
	if len(core.Placeholder) != 2 || len(core.Contacts) != 4 || core.Contacts[0].State != ContactUsable || core.Contacts[3].State != ContactInvalid || len(core.Identifiers) != 1 {
		t.Errorf("%+v", core)
	}
	if len(a.Warnings) != 1 || a.Warnings[0].Reason != ReasonForbidden {
		t.Errorf("%+v", a.Warnings)
	}
	if !c.projection(person.ID).Birth.IsZero() {
		t.Error("a filler counts as a birth date")
	}
	email := core.Contacts[0].ID
	set := func(state ContactState) {
		c.write(func(ctx context.Context, tx *store.Tx) error {
			return c.p.SetContactState(ctx, tx, person.ID, email, state)
		})
	}
	set(ContactUnproven)
	if c.projection(person.ID).HasEmail {
		t.Error("an address that bounced is usable")
	}
	c.apply(func() Change { x := baby; x.Updated = x.Updated.Add(time.Hour); return x }())
	if got := c.subject("ehr", "Patient/b").Core; c.projection(person.ID).HasEmail || !hasContact(got, email, ContactUnproven) {
		t.Errorf("the next message of the source made it usable: %+v", got.Contacts)
	}
	set(ContactUsable)
	if !c.projection(person.ID).HasEmail {
		t.Error("an address that works again is not usable")
	}
	err := c.st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		return c.p.SetContactState(ctx, tx, person.ID, id.New[id.ContactPoint](), ContactUsable)
	})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown contact point: %v", err)
	}
}

func hasContact(core Core, contact id.ContactPoint, state ContactState) bool {
	for _, x := range core.Contacts {
		if x.ID == contact {
			return x.State == state
		}
	}
	return false
}

func TestAddEvents(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		c.apply(amara("Patient/p", "1"), amara("Patient/q", "2"))
		p, q := c.subject("ehr", "Patient/p").ID, c.subject("ehr", "Patient/q").ID
		add := func(person id.Person, events ...Event) {
			t.Helper()
			c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.AddEvents(ctx, tx, person, events) })
		}
		opened := Event{Kind: "email.opened", Source: SourceStaff, Key: "hit-1", At: time.Now().Add(-time.Hour).Truncate(time.Second).UTC()}
		machine := Event{Kind: "email.opened", Source: SourceStaff, Key: "hit-2", At: opened.At, Machine: true}
		add(p, opened, machine, opened)
		add(p, opened)
		add(q, opened) // the same key is the same event, whoever is named
		if got := c.events(p); got["email.opened"] != 2 || len(c.events(q)) != 0 {
			t.Errorf("%v %v", got, c.events(q))
		}
		e := c.projection(p).Events
		if len(e) != 1 || len(e[0].Times) != 1 || len(e[0].Machine) != 1 || e[0].First != opened.At.Unix() {
			t.Errorf("%+v", e)
		}
		c.rebuild(p)
		c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Merge(ctx, tx, p, q) })
		add(p, Event{Kind: "email.clicked", Source: SourceStaff, Key: "hit-3", At: opened.At})
		if e := c.projection(q).Events; len(e) != 2 {
			t.Errorf("the survivor's events: %+v", e)
		}
		c.rebuild(q)
		back := opened
		back.Retracts = true
		add(q, back)
		if got := c.events(q); got["email.opened"] != 1 || got["email.clicked"] != 1 {
			t.Errorf("%v", got)
		}
		if e := c.projection(q).Events; len(e) != 2 || e[1].First != 0 || len(e[1].Machine) != 1 {
			t.Errorf("%+v", e)
		}
		for what, bad := range map[string]Event{"no kind": {Source: "x", Key: "k", At: now}, "no key": {Source: "x", Kind: "k", At: now}, "no time": {Source: "x", Kind: "k", Key: "k"}} {
			err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error { return c.p.AddEvents(ctx, tx, p, []Event{bad}) })
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("an event with %s: %v", what, err)
			}
		}
	})
}

func TestConsentsTakeTheStrictest(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.apply(amara("Patient/p", "1"), amara("Patient/q", "2"))
	p, q := c.subject("ehr", "Patient/p").ID, c.subject("ehr", "Patient/q").ID
	set := func(person id.Person, state string) {
		c.write(func(ctx context.Context, tx *store.Tx) error {
			return c.p.SetConsents(ctx, tx, person, []ProjectedConsent{{Name: "channel:email", State: state}})
		})
	}
	set(p, "refused")
	set(q, "given")
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Merge(ctx, tx, p, q) })
	if got := c.projection(q).Consents; len(got) != 1 || got[0].State != "refused" {
		t.Errorf("merged: %+v", got)
	}
	set(q, "given")
	if got := c.projection(q).Consents; got[0].State != "refused" {
		t.Errorf("the merged record's refusal is lost: %+v", got)
	}
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Unmerge(ctx, tx, p) })
	if got := c.projection(q).Consents; got[0].State != "given" {
		t.Errorf("unmerged: %+v", got)
	}
}

func TestSourcesScanAndNames(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		nguyen := amara("Patient/n", "3")
		nguyen.Profile.Names = []Name{{Family: "Nguyễn", Given: []string{"Thị", "Mai"}}}
		c.apply(amara("Patient/p", "1"), amara("Patient/q", "2"), nguyen)
		c.write(func(ctx context.Context, tx *store.Tx) error {
			return c.p.Heartbeat(ctx, tx, "ehr", []string{"appointment.*", "lab.new"})
		})
		c.write(func(ctx context.Context, tx *store.Tx) error {
			return c.p.Heartbeat(ctx, tx, "pharmacy", []string{"rx.dispensed"})
		})
		c.write(func(ctx context.Context, tx *store.Tx) error {
			return c.p.Heartbeat(ctx, tx, "ehr", []string{"lab.new"})
		})
		c.read(func(ctx context.Context, tx *store.Tx) error {
			all, err := c.p.Sources(ctx, tx)
			if err != nil || len(all) != 2 || all[0].Name != "ehr" || len(all[0].Complete) != 2 || all[1].Complete[0] != "rx.dispensed" ||
				all[0].Seen["appointment.*"].After(all[0].Seen["lab.new"]) || time.Since(all[0].LastSeen) > time.Minute {
				t.Errorf("%+v %v", all, err)
			}
			seen := 0
			err = c.p.Scan(ctx, tx, func(person id.Person, ordinal uint32, p *Projection) error {
				seen++
				if int(ordinal) != seen || p.Kind != KindPatient {
					t.Errorf("person %d has ordinal %d", seen, ordinal)
				}
				return nil
			})
			if err != nil || seen != 3 {
				t.Errorf("%d people, %v", seen, err)
			}
			names, err := c.p.BuildNames(ctx, tx)
			if err != nil || names.Len() != 3 {
				t.Fatalf("%v %v", names, err)
			}
			for text, want := range map[string]int{"oka": 2, "OKAFOR am": 2, "lucia": 0, "amara oka": 2, "nguyen": 1, "Nguyễn Mai": 1, "thi mai ng": 1, "x": 0, "": 0, "okafor okafor": 0} {
				if got := names.Find(text, 10); len(got) != want {
					t.Errorf("%q finds %d, want %d", text, len(got), want)
				}
			}
			if got := names.Find("oka", 1); len(got) != 1 {
				t.Errorf("a limit of 1 gives %d", len(got))
			}
			return nil
		})
	})
}

func TestNamesFollow(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.apply(amara("Patient/p", "1"), amara("Patient/q", "2"))
	p, q := c.subject("ehr", "Patient/p").ID, c.subject("ehr", "Patient/q").ID
	var names *NameIndex
	c.read(func(ctx context.Context, tx *store.Tx) (err error) {
		names, err = c.p.BuildNames(ctx, tx)
		return err
	})
	married := amara("Patient/p", "1")
	married.Updated = married.Updated.Add(time.Hour)
	married.Profile.Names[0].Family = "Zapata"
	c.apply(married)
	c.write(func(ctx context.Context, tx *store.Tx) error { return c.p.Merge(ctx, tx, q, p) })
	c.read(func(ctx context.Context, tx *store.Tx) error {
		return c.p.FollowNames(ctx, tx, names, []id.Person{p, q})
	})
	if got := names.Find("zapata", 10); len(got) != 1 || got[0] != p || len(names.Find("okafor", 10)) != 0 || names.Len() != 1 {
		t.Errorf("%v", got)
	}
}

func TestOrganisationsDoNotMeet(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.apply(amara("Patient/p", "1"))
	other := id.System(2)
	err := c.st.Write(context.Background(), other, func(ctx context.Context, tx *store.Tx) error {
		a, err := c.p.Apply(ctx, tx, []Change{amara("Patient/p", "1")}, id.New[id.Import]())
		if err == nil && a.Created != 1 {
			t.Errorf("%+v", a)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	person := c.subject("ehr", "Patient/p")
	err = c.st.Read(context.Background(), other, func(ctx context.Context, tx *store.Tx) error {
		_, err := c.p.Get(ctx, tx, person.ID)
		return err
	})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("another organisation reads the person: %v", err)
	}
}

func TestConflictIsSaid(t *testing.T) {
	st := caretest.OpenPostgreSQL(t)
	c := open(t, st)
	c.apply(amara("Patient/p", "1"))
	one := amara("Patient/p", "1")
	one.Updated = one.Updated.Add(time.Hour)
	two := amara("Patient/p", "1")
	two.Updated, two.Profile.Sex = two.Updated.Add(2*time.Hour), SexOther
	err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		b := c.p.newBatch(tx, id.Import{})
		if err := b.load(ctx, []Change{one}); err != nil {
			return err
		}
		done := make(chan error)
		go func() {
			done <- st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
				_, err := c.p.Apply(ctx, tx, []Change{two}, id.Import{})
				return err
			})
		}()
		if err := <-done; err != nil {
			return err
		}
		if err := b.decide([]Change{one}); err != nil {
			return err
		}
		return b.write(ctx)
	})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("two writers of one person: %v", err)
	}
	if c.subject("ehr", "Patient/p").Core.Sex != SexOther {
		t.Error("the first to commit was overwritten")
	}
}

func TestCorrespondent(t *testing.T) {
	c := open(t, caretest.Open(t))
	c.apply(amara("Patient/p", "1"))
	ask := func(email string) (person id.Person, err error) {
		return person, c.st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) (err error) {
			person, err = c.p.Correspondent(ctx, tx, email)
			return err
		})
	}
	patient, err := ask("Amara.Okafor@example.COM")
	if err != nil || patient != c.subject("ehr", "Patient/p").ID {
		t.Errorf("a patient's address: %v %v", patient, err)
	}
	first, err1 := ask("Dr.Smith@clinic.example")
	again, err2 := ask("dr.smith@clinic.example")
	if err1 != nil || err2 != nil || first != again || first.IsZero() || c.projection(first).Kind != KindCorrespondent {
		t.Errorf("an address nobody has: %v %v %v %v", first, again, err1, err2)
	}
	c.apply(amara("Patient/q", "2"))
	if _, err := ask("amara.okafor@example.com"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a shared address: %v", err)
	}
	if _, err := ask("nobody"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
}
