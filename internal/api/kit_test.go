package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/agreement"
	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/fhir"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/pickup"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/send"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
)

// house is a face over real parts, with two organisations.
type house struct {
	*api.Face
	t     testing.TB
	parts api.Parts
	ids   map[string]string // of the first organisation's things, for paths
}

var dkim = sync.OnceValues(func() ([]organisation.NewKey, error) { return organisation.NewKeys(time.Now()) })

func openHouse(t testing.TB, st *store.Store) *house {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	if err := seal.CreateRing(path, time.Now()); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.OpenRing(path, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Open(t.Context(), st, ring)
	if err != nil {
		t.Fatal(err)
	}
	led := caretest.Ledger(t, st, keys)
	p := api.Parts{Store: st, Ring: ring, Keys: keys, Ledger: led, Now: time.Now, Hello: "care.riverside.example"}
	p.Organisations, p.People = organisation.New(st, keys, led), people.New(st, keys, led)
	p.Consents, p.Agreements, p.Staff = consent.New(keys, led, p.People), agreement.New(keys, led), staff.New(keys, led)
	p.Intake = intake.New(intake.Needs{Store: st, Keys: keys, Ledger: led, People: p.People, Mappers: []intake.Mapper{fhir.Mapper{}}})
	p.Audience = audience.New(audience.Options{Store: st, Keys: keys, Ledger: led, People: p.People, Fresh: 48 * time.Hour, Zone: func(context.Context, *store.Tx) (*time.Location, error) { return time.UTC, nil }})
	p.Templates = compose.NewTemplates(keys, led)
	if p.Ways, err = tlspolicy.New(tlspolicy.Options{Store: st, Keys: keys, Ledger: led}); err != nil {
		t.Fatal(err)
	}
	kept, err := pickup.New(pickup.Options{Keys: keys, Ledger: led, Base: "https://care.riverside.example", PersonKey: p.People.Key})
	if err != nil {
		t.Fatal(err)
	}
	p.Sends = send.New(send.Parts{
		Store: st, Keys: keys, Ledger: led, Organisations: p.Organisations, People: p.People, Consents: p.Consents, Templates: p.Templates, Pickup: kept,
		Gather: gate.NewGatherer(p.People, p.Consents, p.Agreements, p.Organisations), Ways: p.Ways, Base: "https://care.riverside.example",
	})
	engine, err := delivery.New(delivery.Options{Store: st, Keys: keys, Ledger: led, Ways: p.Ways, Prepare: p.Sends.Prepare, Hello: "care.riverside.example"})
	if err != nil {
		t.Fatal(err)
	}
	p.Sends.Deliver(engine)
	p.Only = func(context.Context) (id.Organisation, error) { return 1, nil }
	p.Go = func(func(context.Context)) {}
	p.Escrow = func([]string, string) error { return fault.New(fault.Invalid, "no recipient") }
	p.Examine = func(context.Context) []api.Finding { return nil }
	p.DNS = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network in tests") }}
	h := &house{t: t, parts: p, Face: api.New(p)}
	h.furnish()
	return h
}

// furnish makes one thing of each kind in the first organisation, through the face where it can.
func (h *house) furnish() {
	for _, host := range []string{"care.riverside.example", "care.valley.example"} {
		h.must(http.MethodPost, "/organisations", `{"host":"`+host+`","profile":{"name":"Riverside LLC","display":"Riverside","zone":"UTC","languages":["en"],"postal":{"lines":["1 Road"],"city":"Austin","state":"TX","postal_code":"78701","country":"US"}}}`)
	}
	keys, err := dkim()
	if err != nil {
		h.t.Fatal(err)
	}
	var person id.Person
	err = h.parts.Store.Write(h.t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		if _, err := h.parts.Organisations.AddDomain(ctx, tx, "riverside.example", keys); err != nil {
			return err
		}
		core := people.Core{
			Kind: people.KindPatient, Birth: people.Date{Year: 1970, Month: 5, Day: 6}, Names: []people.Name{{Family: "Quillfeather", Given: []string{"Ottoline"}}},
			Contacts: []people.ContactPoint{{Channel: people.ChannelEmail, Value: "a@trusted.example", Normal: "a@trusted.example"}},
		}
		if _, err := h.parts.People.Apply(ctx, tx, []people.Change{{Source: "ehr", Subject: "a", Active: true, Profile: &core}}, id.New[id.Import]()); err != nil {
			return err
		}
		found, err := h.parts.People.BySubject(ctx, tx, "ehr", "a")
		if err == nil {
			person = found[0]
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.ids = map[string]string{"person": person.String()}
	h.ids["sender"] = h.must(http.MethodPost, "/senders", h.sample("create-sender"))["id"].(string)
	h.ids["agreement"] = h.must(http.MethodPost, "/agreements", h.sample("create-agreement"))["id"].(string)
	h.must(http.MethodPost, "/records", h.sample("create-records"))
	records := h.must(http.MethodGet, "/people/"+h.ids["person"]+"/records", "")["records"].([]any)
	h.ids["record"] = records[0].(map[string]any)["id"].(string)
	h.must(http.MethodPost, "/segments", h.sample("create-segment"))
	h.must(http.MethodPost, "/templates", h.sample("create-template"))
	h.ids["user"] = h.must(http.MethodPost, "/users", h.sample("create-user"))["id"].(string)
	h.ids["route"] = h.must(http.MethodPost, "/routes", h.sample("create-route"))["id"].(string)
	h.ids["send"] = h.must(http.MethodPost, "/sends", h.sample("create-send"))["id"].(string)
	h.ids["shredding"] = h.shredSomebody()
	list := h.must(http.MethodGet, "/messages?send="+h.ids["send"], "")["messages"].([]any)
	h.ids["message"] = list[0].(map[string]any)["id"].(string)
}

// shredSomebody makes a person and shreds it, and gives the certificate's id.
func (h *house) shredSomebody() string {
	var person id.Person
	err := h.parts.Store.Write(h.t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		core := people.Core{Kind: people.KindPatient, Names: []people.Name{{Family: "Brindlewood"}}}
		if _, err := h.parts.People.Apply(ctx, tx, []people.Change{{Source: "ehr", Subject: "gone", Active: true, Profile: &core}}, id.New[id.Import]()); err != nil {
			return err
		}
		found, err := h.parts.People.BySubject(ctx, tx, "ehr", "gone")
		if err == nil {
			person = found[0]
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.must(http.MethodPost, "/shreddings", `{"what":"person","person":"`+person.String()+`","basis":"test-data","confirm":"`+person.String()+`"}`)["id"].(string)
}

// sample gives a body that the operation takes.
func (h *house) sample(operation string) string {
	send := `{"name":"May","people":["` + h.ids["person"] + `"],"template":"Care","purpose":"treatment","class":"transactional","payer":{"who":"self"},"topic":"visits","values":{"account":"12"}}`
	return map[string]string{
		"create-organisation": `{"host":"care.hill.example","profile":{"name":"Hill LLC","display":"Hill","zone":"UTC","languages":["en"]}}`,
		"set-policy":          `{"accept_pkix":true,"pickup":true,"sensitive_tls":false,"plain_requests_off":false,"protect_all":false,"bulk_per_week":3,"mail_hours":""}`,
		"create-sender":       `{"address":"care@riverside.example","name":"Riverside","class":"transactional","stream":"care","reply_to":"desk@riverside.example"}`,
		"create-domain":       `{"name":"hill.example"}`,
		"create-route":        `{"domain":"partner.example","host":"mx.partner.example","name":"mx.partner.example","user":"u","password":"p","agreement":"","ca":""}`,
		"create-user":         `{"email":"ada@riverside.example","name":"Ada","roles":["marketer"]}`,
		"create-import":       `{"source":"ehr","path":"/nonexistent/export"}`,
		"create-escrow":       `{"to":["age1nobody"],"path":"/nonexistent/copy"}`,
		"create-shredding":    `{"what":"month","month":"2000-01","basis":"test-data","confirm":"2000-01"}`,
		"merge-person":        `{"survivor":"` + h.ids["person"] + `"}`,
		"propose-mapping":     `{"path":"/nonexistent/list.csv"}`,
		"create-records":      `{"records":[{"person":"` + h.ids["person"] + `","kind":"consent","channel":"email","topic":"recalls","how":"form"}]}`,
		"create-agreement":    `{"terms":{"counterparty":"Acme","services":["mx.partner.example"],"from":"2026-01-01","agent":"no","document":"LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=","clauses":[]}}`,
		"amend-agreement":     `{"terms":{"counterparty":"Acme","services":["mx.partner.example"],"from":"2026-01-01","until":"2027-01-01","agent":"no","document":"LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=","clauses":[]}}`,
		"end-agreement":       `{"on":"2026-12-31"}`,
		"end-record":          `{"person":"` + h.ids["person"] + `","record":"` + h.ids["record"] + `","how":"form"}`,
		"answer-proposal":     `{"person":"` + h.ids["person"] + `","record":"` + h.ids["record"] + `","accept":true,"how":"form"}`,
		"put-value-set":       `{"name":"mine","members":["icd10:E11.*"]}`,
		"set-profile":         `{"version":1,"profile":{"name":"Riverside LLC","display":"Riverside","zone":"UTC","languages":["en"],"postal":{"lines":["1 Road"],"city":"Austin","state":"TX","postal_code":"78701","country":"US"}}}`,
		"record-disclosure":   `{"on":"2026-01-31","receiver":"County Health Department","description":"a positive test","basis":"public-health"}`,
		"create-segment":      `{"name":"everyone","rule":"age >= 18","note":"all"}`,
		"try-rule":            `{"rule":"age >= 18"}`,
		"find-people":         `{"name":"quill"}`,
		"create-template": `{"name":"Care","purpose":"treatment","class":"transactional","content":{"version":1,"variables":[{"name":"account","kind":"text","sample":"12"}],` +
			`"variants":[{"language":"en","subject":"Your visit","blocks":[{"type":"text","text":"Bring {{ account }} please."}]}]}}`,
		"create-send": send, "preview-send": send,
		"create-backup": `{"path":"/nonexistent/backup"}`,
	}[operation]
}

// path fills a route's path.
func (h *house) path(operation, path string) string {
	noun := strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/")[0]
	one := map[string]string{
		"users": h.ids["user"], "routes": h.ids["route"], "people": h.ids["person"], "sends": h.ids["send"], "messages": h.ids["message"],
		"imports": id.New[id.Import]().String(), "shreddings": h.ids["shredding"], "senders": h.ids["sender"], "agreements": h.ids["agreement"],
	}[noun]
	name := map[string]string{"domains": "riverside.example", "segments": "everyone", "templates": "Care"}[noun]
	path = strings.NewReplacer("{id}", one, "{name}", name, "{role}", "marketer", "{person}", h.ids["person"]).Replace(path)
	switch operation {
	case "preview-template":
		path += "?person=" + h.ids["person"]
	}
	return path
}

func (h *house) do(who *id.Actor, method, path, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, "/api/v1"+strings.TrimPrefix(path, "/api/v1"), strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != nil {
		r = r.WithContext(api.WithActor(r.Context(), *who))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var operator = id.Operator(1000)

func (h *house) must(method, path, body string) (out map[string]any) {
	h.t.Helper()
	w := h.do(&operator, method, path, body)
	if w.Code >= 300 {
		h.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		h.t.Fatal(err)
	}
	return out
}

// rows sums up every table: how many rows, and of which content.
func (h *house) rows() map[string]string {
	h.t.Helper()
	list := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if h.parts.Store.Engine() != store.SQLite {
		list = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	}
	out := map[string]string{}
	err := h.parts.Store.Read(h.t.Context(), id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		var tables []string
		if err := scan(ctx, tx, list, func(cells []any) { tables = append(tables, fmt.Sprint(cells[0])) }); err != nil {
			return err
		}
		for _, table := range tables {
			var all []string
			if err := scan(ctx, tx, `SELECT * FROM `+table, func(cells []any) { all = append(all, fmt.Sprintf("%v", cells)) }); err != nil {
				return err
			}
			slices.Sort(all)
			sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
			out[table] = fmt.Sprintf("%d %s", len(all), hex.EncodeToString(sum[:8]))
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func scan(ctx context.Context, tx *store.Tx, query string, row func(cells []any)) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		cells, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := rows.Scan(to...); err != nil {
			return err
		}
		row(cells)
	}
	return rows.Err()
}

// changed names the tables that differ, the ledger's own apart.
func changed(before, after map[string]string) (tables []string, ledger bool) {
	for _, table := range slices.Sorted(maps.Keys(after)) {
		if before[table] == after[table] {
			continue
		}
		if strings.HasPrefix(table, "ledger_") {
			ledger = true
			continue
		}
		tables = append(tables, table+": "+before[table]+" -> "+after[table])
	}
	return tables, ledger
}

func isFault(w *httptest.ResponseRecorder, code fault.Code) bool {
	return strings.Contains(w.Body.String(), "urn:carepost:"+string(code)) && w.Header().Get("Content-Type") == "application/problem+json"
}
