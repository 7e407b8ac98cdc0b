package pickup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

const base = "https://care.riverside.example"

type world struct {
	*pickup.Pickups
	st   *store.Store
	keys *seal.Keys
	led  *ledger.Ledger
	now  time.Time
}

// people stands in for the person rows: one wrapped key per person.
type people map[id.Person][]byte

func open(t *testing.T, o store.Options, at func(o store.Options) *store.Store) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { return w.now }
	w.st = at(o)
	w.keys, w.led = caretest.Ground(t, w.st)
	wrapped := people{}
	var err error
	w.Pickups, err = pickup.New(pickup.Options{Keys: w.keys, Ledger: w.led, Base: base, PersonKey: func(ctx context.Context, tx *store.Tx, p id.Person) (seal.Key, error) {
		if wrapped[p] == nil {
			key, bytes, err := w.keys.NewSubject(ctx, tx, p.UUID())
			wrapped[p] = bytes
			return key, err
		}
		return w.keys.Subject(ctx, tx, p.UUID(), wrapped[p])
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func both(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, open(t, store.Options{Dir: caretest.Folder(t)}, func(o store.Options) *store.Store { return caretest.OpenWith(t, o) }))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, open(t, store.Options{DSN: caretest.DSN(t)}, func(o store.Options) *store.Store { return caretest.OpenWith(t, o) }))
	})
}

func (w *world) write(t *testing.T, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := w.st.Write(t.Context(), id.System(1), fn); err != nil {
		t.Fatal(err)
	}
}

func waiter(p id.Person) pickup.Waiter {
	return pickup.Waiter{
		Message: id.New[id.Message](), Person: p, Purpose: ledger.PurposeTreatment,
		Content: pickup.Content{From: "Riverside", Subject: "Your Zanzibaritis result", Language: "en", HTML: "<p>Zanzibaritis</p>", Text: "Zanzibaritis", Files: []id.File{id.New[id.File]()}},
		Wait:    30 * 24 * time.Hour, Reminders: []time.Duration{3 * 24 * time.Hour, 10 * 24 * time.Hour},
	}
}

func token(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

func TestAMessageWaitsAndIsRead(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, person := range []id.Person{id.New[id.Person](), {}} {
			want := waiter(person)
			var kept id.Pickup
			var link string
			w.write(t, func(ctx context.Context, tx *store.Tx) (err error) {
				kept, err = w.Create(ctx, tx, want)
				link = w.Link(tx.Organisation(), kept)
				return err
			})
			if !strings.HasPrefix(link, base+pickup.Path) || strings.Contains(link, kept.String()) {
				t.Errorf("link %s", link)
			}
			org, object, err := w.Token(token(link))
			if err != nil || org != 1 || object != kept {
				t.Errorf("token: %v %v %v", org, object, err)
			}
			// Looking changes nothing, however often: scanners follow links.
			for range 3 {
				err := w.st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
					s, err := w.Look(ctx, tx, token(link))
					if s.State != pickup.Waiting || s.Opens != 0 || !s.ReadAt.IsZero() || s.Message != want.Message {
						t.Errorf("after a look: %+v", s)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for n := 1; n <= 2; n++ {
				w.now = w.now.Add(time.Hour)
				w.write(t, func(ctx context.Context, tx *store.Tx) error {
					s, content, err := w.Open(ctx, tx, token(link))
					if fmt.Sprint(content.Files) != fmt.Sprint(want.Content.Files) || content.HTML != want.Content.HTML || content.Subject != want.Content.Subject {
						t.Errorf("the content is another one")
					}
					if s.State != pickup.Opened || s.Opens != n {
						t.Errorf("%+v", s)
					}
					return err
				})
			}
			w.write(t, func(ctx context.Context, tx *store.Tx) error {
				s, err := w.OfMessage(ctx, tx, want.Message)
				if s.Opens != 2 || !s.SeenAt.After(s.ReadAt) || s.Person != person {
					t.Errorf("%+v", s)
				}
				return err
			})
			// The message asked for again keeps its place.
			w.write(t, func(ctx context.Context, tx *store.Tx) error {
				again, err := w.Create(ctx, tx, want)
				if again != kept {
					t.Error("a second place for one message")
				}
				return err
			})
		}
	})
}

func TestAnOpeningIsInTheLedger(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		person := id.New[id.Person]()
		var kept id.Pickup
		w.write(t, func(ctx context.Context, tx *store.Tx) (err error) {
			kept, err = w.Create(ctx, tx, waiter(person))
			return err
		})
		link := w.Link(1, kept)
		// An opening whose transaction fails leaves neither entry nor mark.
		_ = w.st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			if _, _, err := w.Open(ctx, tx, token(link)); err != nil {
				t.Error(err)
			}
			return errors.New("the line was cut")
		})
		w.write(t, func(ctx context.Context, tx *store.Tx) error {
			s, err := w.Get(ctx, tx, kept)
			if s.Opens != 0 {
				t.Error("a failed opening left a mark")
			}
			return err
		})
		w.write(t, func(ctx context.Context, tx *store.Tx) error { _, _, err := w.Open(ctx, tx, token(link)); return err })
		var out bytes.Buffer
		if err := w.led.Numbered(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.led.Export(t.Context(), 1, &out); err != nil {
			t.Fatal(err)
		}
		report, err := ledger.Verify(bytes.NewReader(out.Bytes()), w.led.PublicKey(), nil)
		if err != nil || report.Entries != 1 {
			t.Errorf("%+v %v", report, err)
		}
		if strings.Contains(out.String(), "Zanzibaritis") {
			t.Error("the ledger holds the message")
		}
	})
}

func TestLinksOfOthersAreRefused(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var kept id.Pickup
		w.write(t, func(ctx context.Context, tx *store.Tx) (err error) {
			kept, err = w.Create(ctx, tx, waiter(id.Person{}))
			return err
		})
		good := token(w.Link(1, kept))
		for name, text := range map[string]string{
			"empty": "", "garbage": "abc", "cut": good[:len(good)-2], "changed": "A" + good[1:] + "A", "another kind": w.keys.MintToken(seal.TokenForm, 1, kept.UUID(), nil),
			"of another organisation": token(w.Link(2, kept)), "of no message": token(w.Link(1, id.New[id.Pickup]())), "with a line end": good + "\n",
		} {
			err := w.st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error { _, _, err := w.Open(ctx, tx, text); return err })
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Nothing dies unread: the recipient is reminded, then the sender is told, and the message can be read even then.
func TestUnreadMessages(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var kept, read id.Pickup
		w.write(t, func(ctx context.Context, tx *store.Tx) (err error) {
			if kept, err = w.Create(ctx, tx, waiter(id.New[id.Person]())); err == nil {
				read, err = w.Create(ctx, tx, waiter(id.New[id.Person]()))
			}
			return err
		})
		w.write(t, func(ctx context.Context, tx *store.Tx) error {
			_, _, err := w.Open(ctx, tx, token(w.Link(1, read)))
			return err
		})
		day := 24 * time.Hour
		begin := w.now
		for _, c := range []struct {
			after time.Duration
			want  pickup.Step
		}{
			{2 * day, pickup.StepNone},
			{3 * day, pickup.StepRemind},
			{3*day + time.Hour, pickup.StepNone},
			{11 * day, pickup.StepRemind},
			{29 * day, pickup.StepNone},
			{30 * day, pickup.StepTell},
			{60 * day, pickup.StepNone},
		} {
			w.now = begin.Add(c.after)
			var due []pickup.DueRow
			err := w.st.Read(t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) { due, err = w.Due(ctx, tx, 10); return err })
			if err != nil {
				t.Fatal(err)
			}
			if (len(due) == 1) != (c.want != pickup.StepNone) || len(due) > 1 || len(due) == 1 && (due[0].ID != kept || due[0].Organisation != 1) {
				t.Fatalf("after %v due are %v", c.after, due)
			}
			for range 2 { // the second time there is nothing left to do
				w.write(t, func(ctx context.Context, tx *store.Tx) error {
					step, s, err := w.Advance(ctx, tx, kept)
					if step != c.want || step != pickup.StepNone && s.ID != kept {
						t.Errorf("after %v: step %d, want %d", c.after, step, c.want)
					}
					return err
				})
				c.want = pickup.StepNone
			}
		}
		w.write(t, func(ctx context.Context, tx *store.Tx) error {
			s, err := w.Get(ctx, tx, kept)
			if s.State != pickup.Unread {
				t.Errorf("%+v", s)
			}
			return err
		})
		w.write(t, func(ctx context.Context, tx *store.Tx) error {
			s, content, err := w.Open(ctx, tx, token(w.Link(1, kept)))
			if s.State != pickup.Opened || content.Text == "" {
				t.Error("a message whose sender was told cannot be read any more")
			}
			return err
		})
	})
}

func TestWithdrawn(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var kept id.Pickup
		w.write(t, func(ctx context.Context, tx *store.Tx) (err error) {
			kept, err = w.Create(ctx, tx, waiter(id.New[id.Person]()))
			return err
		})
		w.write(t, func(ctx context.Context, tx *store.Tx) error { return w.Withdraw(ctx, tx, kept) })
		err := w.st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			_, _, err := w.Open(ctx, tx, token(w.Link(1, kept)))
			return err
		})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("opened: %v", err)
		}
		if err := w.st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error { return w.Withdraw(ctx, tx, kept) }); !fault.Is(err, fault.Conflict) {
			t.Errorf("withdrawn twice: %v", err)
		}
	})
}

func TestPlan(t *testing.T) {
	begin := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "reminders")
		plan := pickup.Plan{MadeAt: begin}
		at := 0
		for range n {
			at += rapid.IntRange(1, 48).Draw(t, "hours")
			plan.Reminders = append(plan.Reminders, time.Duration(at)*time.Hour)
		}
		plan.TellAt = begin.Add(time.Duration(at+rapid.IntRange(1, 48).Draw(t, "more")) * time.Hour)
		now, told, reminders := begin, false, 0
		for range 400 {
			now = now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "minutes")) * time.Minute)
			step, reminded, due := plan.Next(now)
			if reminded < plan.Reminded {
				t.Fatal("reminders are forgotten")
			}
			switch step {
			case pickup.StepTell:
				told = true
			case pickup.StepRemind:
				reminders++
			case pickup.StepNone:
			}
			if told {
				if now.Before(plan.TellAt) || !due.IsZero() {
					t.Fatal("told too early, or something is due after it")
				}
				break
			}
			if !due.After(now) {
				t.Fatalf("due %v at %v", due, now)
			}
			plan.Reminded = reminded
		}
		if reminders > n {
			t.Fatal("more reminders than planned")
		}
		if now.After(plan.TellAt) && !told {
			t.Fatal("the sender was not told")
		}
	})
}

func TestContentIsSealed(t *testing.T) {
	dir := caretest.Folder(t)
	w := open(t, store.Options{Dir: dir}, func(o store.Options) *store.Store { return caretest.OpenWith(t, o) })
	for _, person := range []id.Person{id.New[id.Person](), {}} {
		w.write(t, func(ctx context.Context, tx *store.Tx) error { _, err := w.Create(ctx, tx, waiter(person)); return err })
	}
	if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("Zanzibaritis"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files := caretest.Canary(t, dir, "Zanzibaritis"); len(files) != 1 || filepath.Base(files[0]) != "planted" {
		t.Errorf("found in %v", files)
	}
	if text := fmt.Sprintf("%v %+v %#v", waiter(id.Person{}).Content, waiter(id.Person{}).Content, waiter(id.Person{}).Content); strings.Contains(text, "Zanzibaritis") {
		t.Errorf("a content prints %q", text)
	}
}

func TestBaseComesFromTheConfiguration(t *testing.T) {
	for _, bad := range []string{"", "http://care.example.org", "care.example.org", "https://", "https://user@care.example.org", "https://care.example.org/path", "https://care.example.org?x=1", "https://care.example.org#x"} {
		if _, err := pickup.New(pickup.Options{Base: bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func mailbox(t *testing.T, name, address string) compose.Mailbox {
	t.Helper()
	m, err := compose.NewMailbox(name, address)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
