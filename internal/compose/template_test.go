package compose_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

func TestTemplates(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		templates := compose.NewTemplates(keys, led)
		write := func(org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) error {
			return st.Write(t.Context(), id.System(org), fn)
		}
		var first, second compose.TemplateVersion
		err := write(1, func(ctx context.Context, tx *store.Tx) (err error) {
			first, err = templates.Create(ctx, tx, "Asthma reminder", everything(), ledger.PurposeTreatment, organisation.ClassTransactional)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// A version that is rolled back leaves nothing, also not in memory.
		_ = write(1, func(ctx context.Context, tx *store.Tx) error {
			v, err := templates.Add(ctx, tx, first.Template, one("never", compose.Divider{}), ledger.PurposeTreatment, organisation.ClassTransactional)
			if err != nil {
				t.Error(err)
			}
			if got, err := templates.Version(ctx, tx, v.Template, v.Number); err != nil || got.Content.Variants[0].Subject != "never" {
				t.Errorf("%v %v", got.Content, err)
			}
			return fault.New(fault.Conflict, "change of mind")
		})
		err = write(1, func(ctx context.Context, tx *store.Tx) (err error) {
			second, err = templates.Add(ctx, tx, first.Template, one("An offer", compose.Text{Text: "x"}), ledger.PurposeMarketing, organisation.ClassCommercial)
			return err
		})
		if err != nil || second.Number != 2 {
			t.Fatalf("version %d, %v", second.Number, err)
		}
		err = st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			for range 2 { // from the row, then from memory
				v, err := templates.Version(ctx, tx, first.Template, 1)
				if err != nil || v.Purpose != ledger.PurposeTreatment || v.Class != organisation.ClassTransactional || len(v.Content.Variants) != 3 {
					t.Errorf("version 1: %v %v", v, err)
				}
				out, err := compose.Render(v, values("es"), brand())
				if err != nil || out.Language != "es" {
					t.Errorf("%v %v", out.Language, err)
				}
			}
			latest, err := templates.Version(ctx, tx, first.Template, 0)
			if err != nil || latest.Number != 2 || latest.Content.Variants[0].Subject != "An offer" || latest.Class != organisation.ClassCommercial {
				t.Errorf("latest: %v %v", latest, err)
			}
			if _, err := templates.Version(ctx, tx, first.Template, 3); !fault.Is(err, fault.NotFound) {
				t.Errorf("version 3: %v", err)
			}
			all, err := templates.List(ctx, tx)
			if err != nil || len(all) != 1 || all[0].Name != "Asthma reminder" || all[0].Latest != 2 {
				t.Errorf("list: %v %v", all, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Another organisation sees nothing.
		err = st.Read(t.Context(), id.System(2), func(ctx context.Context, tx *store.Tx) error {
			if _, err := templates.Version(ctx, tx, first.Template, 1); !fault.Is(err, fault.NotFound) {
				t.Errorf("another organisation reads it: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := write(1, func(ctx context.Context, tx *store.Tx) error { return templates.Withdraw(ctx, tx, first.Template) }); err != nil {
			t.Fatal(err)
		}
		err = write(1, func(ctx context.Context, tx *store.Tx) error {
			_, err := templates.Add(ctx, tx, first.Template, one("x", compose.Divider{}), ledger.PurposeTreatment, organisation.ClassTransactional)
			return err
		})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("a withdrawn template takes a version: %v", err)
		}
		if err := write(1, func(ctx context.Context, tx *store.Tx) error { return templates.Withdraw(ctx, tx, first.Template) }); !fault.Is(err, fault.NotFound) {
			t.Errorf("withdrawn twice: %v", err)
		}
	})
}

func TestTemplateIsDeclared(t *testing.T) {
	st := caretest.Open(t)
	keys, led := caretest.Ground(t, st)
	templates := compose.NewTemplates(keys, led)
	for name, c := range map[string]struct {
		title   string
		purpose ledger.Purpose
		class   organisation.Class
		content compose.Content
	}{
		"no name":      {" ", ledger.PurposeTreatment, organisation.ClassTransactional, one("s", compose.Divider{})},
		"no purpose":   {"n", ledger.PurposeNone, organisation.ClassTransactional, one("s", compose.Divider{})},
		"bad purpose":  {"n", 99, organisation.ClassTransactional, one("s", compose.Divider{})},
		"no class":     {"n", ledger.PurposeTreatment, 0, one("s", compose.Divider{})},
		"bad content":  {"n", ledger.PurposeTreatment, organisation.ClassTransactional, one("s {{", compose.Divider{})},
		"empty blocks": {"n", ledger.PurposeTreatment, organisation.ClassTransactional, one("s")},
	} {
		err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			_, err := templates.Create(ctx, tx, c.title, c.content, c.purpose, c.class)
			return err
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A template's name and words say what the people are treated for who get it: they are sealed.
func TestTemplatesAreSealed(t *testing.T) {
	dir := caretest.Folder(t)
	st := caretest.OpenWith(t, store.Options{Dir: dir})
	keys, led := caretest.Ground(t, st)
	templates := compose.NewTemplates(keys, led)
	err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := templates.Create(ctx, tx, "Zanzibaritis reminder", one("About Zanzibaritis", compose.Text{Text: "Zanzibaritis"}), ledger.PurposeTreatment, organisation.ClassTransactional)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("Zanzibaritis"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files := caretest.Canary(t, dir, "Zanzibaritis"); len(files) != 1 || filepath.Base(files[0]) != "planted" {
		t.Errorf("found in %v", files)
	}
}
