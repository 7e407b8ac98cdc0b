package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/web"
)

// Every route names a permission that exists, and nobody without it gets in: nothing is read of the request, nothing is written.
func TestRoutes(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	seen := map[string]bool{}
	before := h.rows()
	for _, r := range h.Rows() {
		if seen[r.Operation] || seen[r.Method+r.Path] || r.Summary == "" {
			t.Errorf("%s is there twice, or says nothing of itself", r.Operation)
		}
		seen[r.Operation], seen[r.Method+r.Path] = true, true
		if r.Permission == web.Public {
			continue
		}
		if !slices.Contains(staff.Permissions, staff.Permission(r.Permission)) {
			t.Errorf("%s asks for %s, which is no permission", r.Operation, r.Permission)
		}
		for _, body := range []string{h.sample(r.Operation), `{"nonsense":`} {
			if w := h.do(nil, r.Method, h.path(r.Operation, r.Path), body); w.Code != http.StatusUnauthorized || !isFault(w, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %d %s", r.Operation, w.Code, w.Body)
			}
			for _, kind := range []id.ActorKind{id.ActorUser, id.ActorKey, id.ActorPerson, id.ActorSource, id.ActorRecipient, id.ActorSystem} {
				who := id.Actor{Kind: kind, ID: id.New[id.User]().UUID()}
				if w := h.do(&who, r.Method, h.path(r.Operation, r.Path), body); w.Code != http.StatusForbidden || !isFault(w, fault.Forbidden) {
					t.Errorf("%s by actor %d: %d %s", r.Operation, kind, w.Code, w.Body)
				}
			}
		}
	}
	if tables, led := changed(before, h.rows()); len(tables) > 0 || led {
		t.Errorf("refused requests changed %v", tables)
	}
}

// GET changes nothing: at most it writes into the ledger that somebody looked.
func TestGetChangesNothing(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		h := openHouse(t, st)
		if err := h.parts.Ledger.Numbered(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		looks := map[string]bool{}
		for _, r := range h.Rows() {
			if r.Method != http.MethodGet {
				continue
			}
			path := h.path(r.Operation, r.Path)
			wrong := strings.NewReplacer(h.ids["person"], id.New[id.Person]().String(), h.ids["message"], id.New[id.Message]().String(),
				h.ids["send"], id.New[id.Send]().String(), "everyone", "nothing", "Care", "nothing").Replace(path)
			for i, path := range []string{path, wrong, path + h.query(path) + "limit=x"} {
				before := h.rows()
				w := h.do(&operator, r.Method, path, "")
				if w.Code >= 500 || i == 0 && w.Code >= 300 && !strings.HasPrefix(r.Path, "/api/v1/imports") && r.Operation != "check-domain" {
					t.Errorf("%s %s: %d %s", r.Operation, path, w.Code, w.Body)
				}
				if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s may be stored: %v", r.Operation, w.Header())
				}
				if err := h.parts.Ledger.Numbered(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				tables, led := changed(before, h.rows())
				if len(tables) > 0 {
					t.Errorf("GET %s changed %v", path, tables)
				}
				if led && w.Code < 300 {
					looks[r.Operation] = true
				}
			}
		}
		for _, want := range []string{"get-person", "list-records", "get-message", "preview-template", "why-person", "list-segment-people", "get-disclosures", "list-looks"} {
			if !looks[want] {
				t.Errorf("%s shows somebody's record, and the ledger knows nothing of it", want)
			}
		}
	})
}

func (h *house) query(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// What belongs to one organisation is not there for another.
func TestAnotherOrganisationsThings(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	before := h.rows()
	for _, r := range h.Rows() {
		if !strings.Contains(r.Path, "{") {
			continue
		}
		path := h.path(r.Operation, r.Path)
		w := h.do(&operator, r.Method, path+h.query(path)+"organisation=org_2", h.sample(r.Operation))
		if w.Code != http.StatusNotFound || !isFault(w, fault.NotFound) {
			t.Errorf("%s %s: %d %s", r.Method, path, w.Code, w.Body)
		}
	}
	send := h.sample("create-send")
	if w := h.do(&operator, http.MethodPost, "/sends?organisation=org_2", send); w.Code != http.StatusNotFound {
		t.Errorf("a send to another organisation's person: %d %s", w.Code, w.Body)
	}
	if tables, _ := changed(before, h.rows()); len(tables) > 0 {
		t.Errorf("changed %v", tables)
	}
}

// A problem tells what is wrong and where, and repeats nothing of what was sent. What is not in the reference is refused.
func TestProblemsEchoNothing(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	const marker = "zanzibaritis"
	for _, r := range h.Rows() {
		path := h.path(r.Operation, r.Path)
		if r.Operation != "reopen-ledger" && r.Operation != "rotate-keys" {
			if w := h.do(&operator, r.Method, path+h.query(path)+"more="+marker, h.sample(r.Operation)); w.Code != http.StatusUnprocessableEntity || strings.Contains(w.Body.String(), marker) {
				t.Errorf("%s with an unknown parameter: %d %s", r.Operation, w.Code, w.Body)
			}
		}
		if strings.Contains(r.Path, "{") {
			mine := strings.NewReplacer("{id}", marker+"x", "{name}", marker+"x", "{role}", marker, "{person}", marker).Replace(r.Path)
			if w := h.do(&operator, r.Method, mine, h.sample(r.Operation)); w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), marker) {
				t.Errorf("%s: %d %s", mine, w.Code, w.Body)
			}
		}
		body := h.sample(r.Operation)
		if body == "" {
			continue
		}
		var tree map[string]any
		if err := json.Unmarshal([]byte(body), &tree); err != nil {
			t.Fatalf("%s: %v", r.Operation, err)
		}
		if w := h.do(&operator, r.Method, path, strings.Replace(body, "{", `{"more":"`+marker+`",`, 1)); w.Code != http.StatusUnprocessableEntity || strings.Contains(w.Body.String(), marker) {
			t.Errorf("%s with an unknown field: %d %s", r.Operation, w.Code, w.Body)
		}
		for _, changedBody := range variants(tree, marker) {
			raw, err := json.Marshal(changedBody)
			if err != nil {
				t.Fatal(err)
			}
			if w := h.do(&operator, r.Method, path, string(raw)); w.Code >= 500 || w.Code >= 400 && strings.Contains(w.Body.String(), marker) {
				t.Errorf("%s %s: %d %s", r.Operation, raw, w.Code, w.Body)
			}
		}
	}
	for _, q := range []string{
		"/messages?send=" + marker, "/messages?state=" + marker, "/messages?before=" + marker,
		"/ledger/entries?person=" + marker, "/ledger/entries?before=" + marker, "/sends?before=" + marker, "/sends?organisation=" + marker, "/sends?limit=" + marker,
	} {
		if w := h.do(&operator, http.MethodGet, q, ""); w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), marker) {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
}

// variants gives the tree once for each of its leaves, with the marker in the leaf's place.
func variants(value any, marker string) (out []any) {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			for _, y := range variants(x, marker) {
				one := map[string]any{}
				for k2, x2 := range v {
					one[k2] = x2
				}
				one[k] = y
				out = append(out, one)
			}
		}
		return out
	case []any:
		for i, x := range v {
			for _, y := range variants(x, marker) {
				one := slices.Clone(v)
				one[i] = y
				out = append(out, one)
			}
		}
		return out
	}
	return []any{marker, "/nonexistent/" + marker, map[string]any{"inner": marker}}
}
