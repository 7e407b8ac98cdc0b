package intake_test

import (
	"context"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/store"
)

func (c *clinic) same(what string, want map[string]string) {
	c.t.Helper()
	got := c.everyone()
	for key := range want {
		if got[key] != want[key] {
			a, b := differ(got[key], want[key])
			c.t.Errorf("%s: of %s\n%s\nwant\n%s", what, key, a, b)
		}
	}
}

// TestUndo: undoing imports in any order gives what was without them.
func TestUndo(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		c := open(t, st)
		undo := func(r *intake.Result) {
			t.Helper()
			if _, err := c.in.Undo(context.Background(), scope, r.Import); err != nil {
				t.Fatal(err)
			}
		}
		body := func(status, code, name, more string) string {
			return c.write(strings.Join([]string{
				`{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-11-0` + status[:1] + `T00:00:00Z"},"name":[{"family":"` + name + `"}]` + more + `}`,
				`{"resourceType":"Appointment","id":"a","meta":{"lastUpdated":"2026-11-0` + status[:1] + `T00:00:00Z"},"status":"` + status[1:] + `","start":"2025-11-10T14:30:00-06:00","created":"2025-10-01","participant":[{"actor":{"reference":"Patient/p"}}]}`,
				`{"resourceType":"Condition","id":"c-` + code + `","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"` + code + `"}]}}`,
			}, "\n"))
		}
		a := c.run(intake.Options{Files: files(body("1booked", "I10", "First", ""))})
		one := c.everyone()
		b := c.run(intake.Options{Files: files(body("2noshow", "E11.9", "Second", `,"deceasedBoolean":true,"active":false,"link":[{"type":"replaced-by","other":{"reference":"Patient/q"}}]`))})
		two := c.everyone()
		third := c.run(intake.Options{Files: files(body("3fulfilled", "J45", "Third", ""))})
		undo(third)
		c.same("the last of three undone", two)
		undo(b)
		c.same("the last two undone", one)

		// The middle one undone first, then the last: what was before both.
		b = c.run(intake.Options{Files: files(body("2noshow", "E11.9", "Second", ""))})
		third = c.run(intake.Options{Files: files(body("3fulfilled", "J45", "Third", ""))})
		undo(b)
		if got := c.everyone()["Patient/p"]; !strings.Contains(got, "Third") || !strings.Contains(got, "J45") || strings.Contains(got, "E119") {
			t.Errorf("the middle one undone: %s", got)
		}
		undo(third)
		c.same("the middle one undone first", one)
		undo(a)
		for key, text := range c.everyone() {
			if strings.Contains(text, "First") || strings.Contains(text, "I10") || strings.Contains(text, "appointment.") || !strings.Contains(text, `"Inactive":true`) {
				t.Errorf("all undone: %s %s", key, text)
			}
		}
		if _, err := c.in.Undo(context.Background(), scope, a.Import); !fault.Is(err, fault.Conflict) {
			t.Errorf("undone twice: %v", err)
		}
	})
}
