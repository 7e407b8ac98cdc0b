package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// The index of names follows what is written about people, also over changes that were pruned before it saw them.
func TestNamesAreFollowed(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	tell := func(key, family string) {
		err := h.parts.Store.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			core := people.Core{Kind: people.KindPatient, Names: []people.Name{{Family: family, Given: []string{"Ada"}}}}
			_, err := h.parts.People.Apply(ctx, tx, []people.Change{{Source: "ehr", Subject: key, Active: true, Profile: &core}}, id.New[id.Import]())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found := func(name string) int {
		return strings.Count(h.do(&operator, http.MethodPost, "/people/find", `{"name":"`+name+`"}`).Body.String(), "per_")
	}
	if found("quill") != 1 || found("marrow") != 0 {
		t.Error("the first look")
	}
	tell("b", "Marrow")
	if found("marrow") != 1 {
		t.Error("a new person is not found")
	}
	tell("c", "Thistle")
	tell("d", "Thistle")
	err := h.parts.Store.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		last, err := h.parts.Ledger.LastChange(ctx, tx)
		if err != nil {
			return err
		}
		return h.parts.Ledger.PruneChanges(ctx, tx, last)
	})
	if err != nil {
		t.Fatal(err)
	}
	if found("thistle") != 2 {
		t.Error("pruned changes are lost")
	}
}

// A send under an id of the caller's may be repeated; nobody is written to twice, and another request under it is refused.
func TestASendRepeatsByItsID(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	sid := id.New[id.Send]().String()
	body := strings.Replace(h.sample("create-send"), "{", `{"id":"`+sid+`",`, 1)
	if out := h.must(http.MethodPost, "/sends", body); out["id"] != sid || out["messages"] != 1.0 {
		t.Errorf("%v", out)
	}
	if out := h.must(http.MethodPost, "/sends", body); out["id"] != sid || out["messages"] != 0.0 {
		t.Errorf("repeated: %v", out)
	}
	if w := h.do(&operator, http.MethodPost, "/sends", strings.Replace(body, "May", "June", 1)); w.Code != http.StatusConflict {
		t.Errorf("another request: %d %s", w.Code, w.Body)
	}
}
