package app_test

import (
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app/apptest"
	"github.com/carepost/carepost/internal/world"
)

// TestTheWayOfAMessage is the shortest whole way: an export, a template, a send; one receiver proves itself and gets the message, the other
// one does not and gets a notice without a word of it.
func TestTheWayOfAMessage(t *testing.T) {
	place := apptest.New(t, "", map[string]world.Temper{"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}})
	api := place.Start(t)
	api.Found(t)
	now := time.Now()
	people := world.People(2, 3, now)
	for i, address := range []string{"a@trusted.example", "b@plain.example"} {
		people[i].Emails, people[i].Paperwork, people[i].Deceased, people[i].Birth = []string{address}, world.Paperwork{}, false, now.AddDate(-50, 0, 0)
	}
	dir := t.TempDir()
	if _, err := world.Export(dir, people, now); err != nil {
		t.Fatal(err)
	}
	api.Import(t, "ehr", dir)
	api.Post(t, "/segments", object{"name": "all", "rule": "everyone"}, nil)
	api.Post(t, "/templates", template("care", "treatment", "transactional", secretCare, object{"type": "address"}), nil)
	api.Post(t, "/sends", object{
		"name": "care", "segment": "all", "template": "care", "purpose": "treatment", "class": "transactional", "payer": object{"who": "self"},
	}, nil)
	api.Until(t, time.Minute, "both are accepted", func() bool { return len(messages(t, api, "state=accepted")) == 2 })
	for domain, whole := range map[string]bool{"trusted.example": true, "plain.example": false} {
		got := place.World.Receivers()[domain].Messages()
		if len(got) != 1 {
			t.Fatalf("%s took %d messages", domain, len(got))
		}
		if _, text := opened(t, got[0].Data); told(text) != whole || got[0].TLS != whole {
			t.Errorf("%s took it over TLS: %t; it holds what the message says: %t; both should be %t", domain, got[0].TLS, told(text), whole)
		}
	}
}
