package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/app/apptest"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/world"
)

// TestARestoredServerSendsNothingBeforeItIsReopened: messages wait at the backup and go out after it. The restored server holds them as
// waiting, and sends none of them again, until an operator admits the restore; then care goes out again under the Message-ID that it
// had, and offers do not.
func TestARestoredServerSendsNothingBeforeItIsReopened(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { restored(t, "", "") })
	t.Run("postgres", func(t *testing.T) { restored(t, caretest.DSN(t), caretest.DSN(t)) })
}

func restored(t *testing.T, dsn, fresh string) {
	log := &logged{}
	defer func() {
		if t.Failed() {
			t.Logf("the end of the log:\n%s", log.tail())
		}
	}()
	s := &storm{place: apptest.New(t, dsn, map[string]world.Temper{"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}, "expired.example": {Expired: true}, "busy.example": {}})}
	program := s.place.Spawn(t, log)
	s.prepare(t, program.API)
	s.place.World.Fail(true) // no name is found: all wait
	care, offers := sendTo(t, program.API, "care", "treatment", "transactional", s.ids[:8]), sendTo(t, program.API, "offer", "marketing", "commercial", s.signed[:8])
	backup := filepath.Join(t.TempDir(), "backup")
	program.Post(t, "/backups", object{"path": backup}, nil)
	s.place.World.Fail(false)
	s.settle(t, program.API)
	before := took(s.place.World)
	if before != care+offers {
		t.Fatalf("%d of %d arrived", before, care+offers)
	}
	program.Stop(t)
	s.place.Config.Data, s.place.Config.DSN = filepath.Join(filepath.Dir(s.place.Config.Data), "fresh"), fresh
	if err := os.Mkdir(s.place.Config.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := app.Restore(t.Context(), s.place.Config, backup); err != nil {
		t.Fatal(err)
	}
	program = s.place.Spawn(t, log)
	if n := len(messages(t, program.API, "state=waiting")); n != care+offers {
		t.Errorf("%d messages wait in the restored database, want %d", n, care+offers)
	}
	for round := range 2 { // a restart changes nothing
		quiet(t, program.API, s, before)
		if round == 0 {
			program.Stop(t)
			program = s.place.Spawn(t, log)
		}
	}
	var reopened struct{ Trees []object }
	program.Post(t, "/ledger/reopen", nil, &reopened)
	if len(reopened.Trees) == 0 {
		t.Error("nothing was lost")
	}
	s.settle(t, program.API)
	arrived, _ := s.arrivals(t)
	for _, m := range messages(t, program.API, "") {
		var is struct{ Purpose string }
		program.Get(t, "/messages/"+m.ID, &is)
		switch n := len(arrived[m.ID]); {
		case is.Purpose == "treatment" && (m.State != "accepted" || n != 2):
			t.Errorf("%s, care, is %s and arrived %d times", m.ID, m.State, n)
		case is.Purpose == "marketing" && (m.State != "in_doubt" || n != 1):
			t.Errorf("%s, an offer, is %s and arrived %d times", m.ID, m.State, n)
		}
	}
	// What is handed in from now on goes its way, and the ledger tells of the restore.
	sendTo(t, program.API, "care", "treatment", "transactional", s.ids[:1])
	s.settle(t, program.API)
	admitted(t, program.API)
	program.Stop(t)
}

// quiet: the restored server takes no act and sends nothing, whatever its loops do meanwhile.
func quiet(t *testing.T, api *apptest.API, s *storm, before int) {
	t.Helper()
	err := api.Try(t.Context(), "POST", "/sends", send("care", "treatment", "transactional", s.ids[:1]), nil)
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("an act before the restore was admitted: %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Second) // five rounds of the queue, were it running
	defer stop()
	<-ctx.Done()
	if n := took(s.place.World); n != before {
		t.Errorf("%d messages were sent before the restore was admitted", n-before)
	}
}

func admitted(t *testing.T, api *apptest.API) {
	t.Helper()
	var head struct {
		PublicKey string `json:"public_key"`
	}
	api.Get(t, "/ledger", &head)
	var export []byte
	api.Get(t, "/ledger/export", &export)
	report, err := ledger.Verify(bytes.NewReader(export), head.PublicKey, nil)
	if err != nil || report.Epoch != 2 || len(report.Restores) != 1 {
		t.Errorf("epoch %d, restores %v, %v", report.Epoch, report.Restores, err)
	}
	if err := api.Try(t.Context(), "POST", "/ledger/reopen", nil, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("reopened twice: %v", err)
	}
}

func send(template, purpose, class string, to []string) object {
	return object{"name": template, "template": template, "purpose": purpose, "class": class, "payer": object{"who": "self"}, "people": to}
}

// sendTo hands in a send and gives the number of its messages.
func sendTo(t *testing.T, api *apptest.API, template, purpose, class string, to []string) int {
	t.Helper()
	var sent struct{ Messages int }
	api.Post(t, "/sends", send(template, purpose, class, to), &sent)
	if sent.Messages != len(to) {
		t.Fatal(errors.New(template), fmt.Sprint(sent.Messages))
	}
	return sent.Messages
}

// took counts what all receivers took.
func took(w *world.World) (n int) {
	for _, r := range w.Receivers() {
		n += r.Count()
	}
	return n
}
