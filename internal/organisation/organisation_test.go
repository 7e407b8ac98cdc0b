package organisation_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

func profile() organisation.Profile {
	return organisation.Profile{
		Name: "Riverside Family Clinic LLC", Display: "Riverside Family Clinic", Zone: "America/Chicago", Languages: []string{"en", "es"}, Phone: "+15125550142",
		Postal: organisation.Postal{Lines: []string{"12 River Road"}, City: "Austin", State: "TX", PostalCode: "78701", Country: "US"},
	}
}

// keys are made once: an RSA key takes long on a busy machine.
var keys = sync.OnceValue(func() []organisation.NewKey {
	all, err := organisation.NewKeys(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	return all
})

type world struct {
	*organisation.Organisations
	st *store.Store
}

func open(t *testing.T, st *store.Store) world {
	t.Helper()
	k, led := caretest.Ground(t, st)
	return world{organisation.New(st, k, led), st}
}

func (w world) create(t *testing.T, host string) id.Organisation {
	t.Helper()
	org, err := w.Create(t.Context(), id.Operator(0), host, profile())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func (w world) write(t *testing.T, org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := w.st.Write(t.Context(), id.System(org), fn); err != nil {
		t.Fatal(err)
	}
}

func (w world) read(t *testing.T, org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := w.st.Read(t.Context(), id.System(org), fn); err != nil {
		t.Fatal(err)
	}
}

func TestOrganisations(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		w := open(t, st)
		first, second := w.create(t, "care.riverside.example"), w.create(t, "care.hillside.example")
		if first != 1 || second != 2 {
			t.Fatalf("numbers %d and %d", first, second)
		}
		if _, err := w.Create(t.Context(), id.Operator(0), "care.riverside.example", profile()); !fault.Is(err, fault.Conflict) {
			t.Errorf("a host twice: %v", err)
		}
		w.read(t, first, func(ctx context.Context, tx *store.Tx) error {
			for range 2 {
				o, err := w.Get(ctx, tx)
				if err != nil || o.Host != "care.riverside.example" || o.Profile.Display != "Riverside Family Clinic" || o.Version != 1 || o.State != organisation.Active {
					t.Errorf("%+v %v", o, err)
				}
				if got := strings.Join(o.Profile.Postal.Text(), " / "); got != "12 River Road / Austin, TX 78701" {
					t.Errorf("postal address %q", got)
				}
			}
			return nil
		})
		changed := profile()
		changed.Display = "Riverside"
		w.write(t, first, func(ctx context.Context, tx *store.Tx) error { return w.SetProfile(ctx, tx, changed, 1) })
		err := st.Write(t.Context(), id.System(first), func(ctx context.Context, tx *store.Tx) error { return w.SetProfile(ctx, tx, changed, 1) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a change of what was changed: %v", err)
		}
		w.read(t, first, func(ctx context.Context, tx *store.Tx) error {
			if o, err := w.Get(ctx, tx); err != nil || o.Profile.Display != "Riverside" || o.Version != 2 {
				t.Errorf("%+v %v", o, err)
			}
			return nil
		})
		w.read(t, id.Installation, func(ctx context.Context, tx *store.Tx) error {
			all, err := w.All(ctx, tx)
			if err != nil || len(all) != 2 || all[1].Host != "care.hillside.example" {
				t.Errorf("%v %v", all, err)
			}
			return err
		})
		err = st.Read(t.Context(), id.System(9), func(ctx context.Context, tx *store.Tx) error { _, err := w.Get(ctx, tx); return err })
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("organisation 9: %v", err)
		}
	})
}

func TestProfileIsChecked(t *testing.T) {
	for name, change := range map[string]func(*organisation.Profile){
		"name":         func(p *organisation.Profile) { p.Name = " " },
		"display":      func(p *organisation.Profile) { p.Display = "a\r\nb" },
		"zone":         func(p *organisation.Profile) { p.Zone = "Mars/Olympus" },
		"no zone":      func(p *organisation.Profile) { p.Zone = "" },
		"local zone":   func(p *organisation.Profile) { p.Zone = "Local" },
		"no language":  func(p *organisation.Profile) { p.Languages = nil },
		"language":     func(p *organisation.Profile) { p.Languages = []string{"english please"} },
		"postal":       func(p *organisation.Profile) { p.Postal.City = "" },
		"host":         func(p *organisation.Profile) { p.Hosts = []string{"Bad Host"} },
		"bare host":    func(p *organisation.Profile) { p.Hosts = []string{"localhost"} },
		"country name": func(p *organisation.Profile) { p.Postal.Country = "USA" },
	} {
		p := profile()
		change(&p)
		if err := p.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := profile().Check(); err != nil {
		t.Error(err)
	}
}

func TestPolicies(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		w := open(t, st)
		org := w.create(t, "care.riverside.example")
		policy := func() (p organisation.Policy) {
			w.read(t, org, func(ctx context.Context, tx *store.Tx) (err error) { p, err = w.Policy(ctx, tx); return err })
			return p
		}
		if p := policy(); p.Version != 1 || !p.Pickup || p.AcceptPKIX || p.SensitiveTLS {
			t.Errorf("the first policy is %+v", p)
		}
		week, err := law.ParseWeek("mon-fri 09:00-18:00; sat 10:00-12:00")
		if err != nil {
			t.Fatal(err)
		}
		want := organisation.Policy{
			AcceptPKIX: true, Pickup: true, SensitiveTLS: true, PlainRequestsOff: true, ProtectAll: true, CareHours: week, MailHours: law.AlwaysOpen(),
			BulkPerWeek: 2, PickupDays: 14, RemindDays: []int{2, 5},
		}
		// What is rolled back is not remembered, though its number comes again.
		_ = st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
			if _, err := w.SetPolicy(ctx, tx, organisation.Policy{BulkPerWeek: 77}); err != nil {
				t.Error(err)
			}
			if p, err := w.Policy(ctx, tx); err != nil || p.BulkPerWeek != 77 {
				t.Errorf("within its transaction: %+v %v", p, err)
			}
			return errors.New("change of mind")
		})
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error {
			version, err := w.SetPolicy(ctx, tx, want)
			if version != 2 {
				t.Errorf("version %d", version)
			}
			return err
		})
		want.Version = 2
		if p := policy(); fmt.Sprint(p) != fmt.Sprint(want) {
			t.Errorf("\n%+v\n%+v", p, want)
		}
		w.read(t, org, func(ctx context.Context, tx *store.Tx) error {
			p, err := w.PolicyVersion(ctx, tx, 1)
			if p.Version != 1 || p.AcceptPKIX {
				t.Errorf("version 1 is %+v", p)
			}
			return err
		})
		for name, bad := range map[string]organisation.Policy{
			"reminders shrink": {RemindDays: []int{5, 2}}, "too long": {PickupDays: 400}, "negative": {BulkPerWeek: -1},
		} {
			if err := bad.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestRemindersEndBeforeTheSenderIsTold(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		policy organisation.Policy
		wait   time.Duration
		want   []time.Duration
	}{
		{organisation.Policy{}, 30 * day, []time.Duration{3 * day, 10 * day}},
		{organisation.Policy{PickupDays: 5}, 5 * day, []time.Duration{3 * day}},
		{organisation.Policy{PickupDays: 14, RemindDays: []int{1, 14, 20}}, 14 * day, []time.Duration{day}},
		{organisation.Policy{RemindDays: []int{}}, 30 * day, nil},
	} {
		if got := c.policy.Reminders(); c.policy.Wait() != c.wait || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v: %v, %v", c.policy, c.policy.Wait(), got)
		}
	}
}

func TestSendersAndDomains(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		w := open(t, st)
		org := w.create(t, "care.riverside.example")
		var d organisation.Domain
		var s organisation.Sender
		w.write(t, org, func(ctx context.Context, tx *store.Tx) (err error) {
			if d, err = w.AddDomain(ctx, tx, "Riverside.Example.", keys()); err != nil {
				return err
			}
			s, err = w.AddSender(ctx, tx, organisation.Sender{Class: organisation.ClassTransactional, Address: "care@RIVERSIDE.example", Name: "Riverside", Stream: "care"})
			return err
		})
		if d.Name != "riverside.example" || s.Address != "care@riverside.example" || s.Domain != d.ID {
			t.Errorf("%+v %+v", d, s)
		}
		w.read(t, org, func(ctx context.Context, tx *store.Tx) error {
			got, err := w.Sender(ctx, tx, s.ID)
			if err != nil || got != s {
				t.Errorf("%+v %v", got, err)
			}
			if got, err := w.SenderFor(ctx, tx, organisation.ClassTransactional); err != nil || got != s {
				t.Errorf("%+v %v", got, err)
			}
			if _, err := w.SenderFor(ctx, tx, organisation.ClassCommercial); !fault.Is(err, fault.NotFound) {
				t.Errorf("a commercial sender: %v", err)
			}
			all, err := w.Domains(ctx, tx)
			if err != nil || len(all) != 1 || all[0] != d {
				t.Errorf("%+v %v", all, err)
			}
			return nil
		})
		for name, bad := range map[string]organisation.Sender{
			"no class":      {Address: "a@riverside.example", Name: "n", Stream: "care"},
			"no name":       {Class: 1, Address: "a@riverside.example", Stream: "care"},
			"name of lines": {Class: 1, Address: "a@riverside.example", Name: "a\r\nBcc: x", Stream: "care"},
			"no stream":     {Class: 1, Address: "a@riverside.example", Name: "n"},
			"stream":        {Class: 1, Address: "a@riverside.example", Name: "n", Stream: "Care Stream"},
			"address":       {Class: 1, Address: "a b@riverside.example", Name: "n", Stream: "care"},
			"address lines": {Class: 1, Address: "a@riverside.example\r\nX: y", Name: "n", Stream: "care"},
			"reply-to":      {Class: 1, Address: "a@riverside.example", Name: "n", Stream: "care", ReplyTo: "nobody"},
		} {
			err := st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error { _, err := w.AddSender(ctx, tx, bad); return err })
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		err := st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
			_, err := w.AddSender(ctx, tx, organisation.Sender{Class: 1, Address: "a@gmail.example", Name: "n", Stream: "care"})
			return err
		})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("a sender of somebody else's domain: %v", err)
		}
		err = st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error {
			_, err := w.AddDomain(ctx, tx, "riverside.example", nil)
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a domain twice: %v", err)
		}
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error { return w.CloseSender(ctx, tx, s.ID) })
		w.read(t, org, func(ctx context.Context, tx *store.Tx) error {
			if _, err := w.SenderFor(ctx, tx, organisation.ClassTransactional); !fault.Is(err, fault.NotFound) {
				t.Errorf("a closed sender sends: %v", err)
			}
			return nil
		})
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error {
			_, err := w.AddLocation(ctx, tx, organisation.Place{Name: "North", Zone: "America/Denver"})
			return err
		})
		w.read(t, org, func(ctx context.Context, tx *store.Tx) error {
			all, err := w.Locations(ctx, tx)
			if err != nil || len(all) != 1 || all[0].Name != "North" || all[0].Zone != "America/Denver" {
				t.Errorf("%+v %v", all, err)
			}
			return nil
		})
	})
}

func TestDKIMKeysSignAndRotate(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		w := open(t, st)
		org := w.create(t, "care.riverside.example")
		var d organisation.Domain
		w.write(t, org, func(ctx context.Context, tx *store.Tx) (err error) {
			d, err = w.AddDomain(ctx, tx, "riverside.example", keys())
			return err
		})
		signers := func() (all []organisation.Signer) {
			w.read(t, org, func(ctx context.Context, tx *store.Tx) (err error) {
				all, err = w.Signers(ctx, tx, "riverside.example")
				return err
			})
			return all
		}
		first := signers()
		if len(first) != 2 || first[0].Algorithm != organisation.RSA || first[1].Algorithm != organisation.Ed25519 {
			t.Fatalf("signers %v", first)
		}
		sum := sha256.Sum256([]byte("mail"))
		for _, s := range first {
			switch public := s.Key.Public().(type) {
			case *rsa.PublicKey:
				sig, err := s.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
				if err != nil || rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) != nil || public.N.BitLen() != 2048 {
					t.Errorf("rsa: %v", err)
				}
			case ed25519.PublicKey:
				sig, err := s.Key.Sign(rand.Reader, sum[:], crypto.Hash(0))
				if err != nil || !ed25519.Verify(public, sum[:], sig) {
					t.Errorf("ed25519: %v", err)
				}
			}
			if text := fmt.Sprintf("%v %+v %#v", s, s, s); !strings.Contains(text, "._domainkey.riverside.example") || len(text) > 200 {
				t.Errorf("a signer prints %q", text)
			}
		}
		if text := fmt.Sprintf("%v %+v %#v", keys(), keys()[0], keys()[0]); strings.Trim(text, "[]seald ") != "" {
			t.Errorf("a new key prints %q", text)
		}
		fresh, err := organisation.NewKeys(time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error { return w.AddKeys(ctx, tx, d.ID, fresh) })
		if now := signers(); now[0].Selector != first[0].Selector {
			t.Error("a published key signs before it is activated")
		}
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error { return w.ActivateKeys(ctx, tx, d.ID) })
		if now := signers(); len(now) != 2 || now[0].Selector != fresh[0].Selector {
			t.Errorf("signers %v", now)
		}
		err = st.Write(t.Context(), id.System(org), func(ctx context.Context, tx *store.Tx) error { return w.ActivateKeys(ctx, tx, d.ID) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("activated without keys: %v", err)
		}
		w.write(t, org, func(ctx context.Context, tx *store.Tx) error {
			if n, err := w.DestroyKeys(ctx, tx, d.ID); err != nil || n != 0 {
				t.Errorf("destroyed too early: %d %v", n, err)
			}
			tx.Now = tx.Now.AddDate(0, 0, 15)
			if n, err := w.DestroyKeys(ctx, tx, d.ID); err != nil || n != 2 {
				t.Errorf("destroyed: %d %v", n, err)
			}
			return nil
		})
		w.read(t, org, func(ctx context.Context, tx *store.Tx) error {
			all, err := w.Keys(ctx, tx, d.ID)
			states := map[organisation.KeyState]int{}
			for _, k := range all {
				states[k.State]++
				if k.State == organisation.KeySigning && (k.Due(tx.Now) || !k.Due(tx.Now.AddDate(0, 7, 0))) {
					t.Errorf("rotation of %s is due at %v", k.Selector, k.RotateAt)
				}
			}
			if len(all) != 4 || states[organisation.KeySigning] != 2 || states[organisation.KeyDestroyed] != 2 {
				t.Errorf("%v", states)
			}
			return err
		})
	})
}

func TestSettingsAreSealed(t *testing.T) {
	dir := caretest.Folder(t)
	w := open(t, caretest.OpenWith(t, store.Options{Dir: dir}))
	p := profile()
	p.Display = "Zanzibaritis Clinic"
	if _, err := w.Create(t.Context(), id.Operator(0), "care.riverside.example", p); err != nil {
		t.Fatal(err)
	}
	w.write(t, 1, func(ctx context.Context, tx *store.Tx) error {
		if _, err := w.AddDomain(ctx, tx, "zanzibaritis.example", keys()); err != nil {
			return err
		}
		_, err := w.AddSender(ctx, tx, organisation.Sender{Class: 1, Address: "care@zanzibaritis.example", Name: "Zanzibaritis", Stream: "care"})
		return err
	})
	if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("zanzibaritis"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files := caretest.Canary(t, dir, "anzibaritis"); len(files) != 1 || filepath.Base(files[0]) != "planted" {
		t.Errorf("found in %v", files)
	}
}

func TestClass(t *testing.T) {
	for _, c := range []organisation.Class{organisation.ClassTransactional, organisation.ClassCommercial} {
		if got, err := organisation.ParseClass(c.String()); err != nil || got != c {
			t.Errorf("%v: %v %v", c, got, err)
		}
	}
	if _, err := organisation.ParseClass("undeclared"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
