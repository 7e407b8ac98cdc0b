package world_test

import (
	"encoding/json"
	"net/smtp"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/carepost/carepost/internal/world"
)

func TestTheWorldAnswersAsItsTempersSay(t *testing.T) {
	w, err := world.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	for domain, temper := range map[string]world.Temper{
		"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}, "busy.example": {BusyOnce: true}, "gone.example": {Gone: true},
	} {
		if _, err := w.Add(t.Context(), domain, temper); err != nil {
			t.Fatal(err)
		}
	}
	m := w.Map()
	if got := ask(t, m.DNS, "trusted.example.", dns.TypeMX); !strings.Contains(got, "mx.trusted.example.") {
		t.Errorf("MX: %q", got)
	}
	if got := ask(t, m.DNS, "_mta-sts.trusted.example.", dns.TypeTXT); !strings.Contains(got, "v=STSv1") {
		t.Errorf("policy record: %q", got)
	}
	for domain, want := range map[string]struct {
		tls   bool
		first string
	}{"trusted.example": {true, ""}, "plain.example": {false, ""}, "busy.example": {true, "451"}, "gone.example": {true, "550"}} {
		t.Run(domain, func(t *testing.T) {
			conn, err := m.Dial(t.Context(), "tcp", "mx."+domain+":25")
			if err != nil {
				t.Fatal(err)
			}
			c, err := smtp.NewClient(conn, "mx."+domain)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if ok, _ := c.Extension("STARTTLS"); ok != want.tls {
				t.Errorf("STARTTLS %v, want %v", ok, want.tls)
			}
			if err := c.Mail("a@b.example"); err != nil {
				t.Fatal(err)
			}
			err = c.Rcpt("x@" + domain)
			if want.first == "" != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want.first) {
				t.Errorf("first recipient: %v, want %q", err, want.first)
			}
		})
	}
	if _, err := m.Dial(t.Context(), "tcp", "192.0.2.1:25"); err == nil {
		t.Error("an address outside the world was dialled")
	}
}

func ask(t *testing.T, server, name string, kind uint16) string {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	a, err := dns.Exchange(q, server)
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

func TestTheSameSeedGivesTheSamePeopleAndAnExportOfThem(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	people := world.People(400, 1, now)
	if !reflect.DeepEqual(people, world.People(400, 1, now)) {
		t.Fatal("two draws differ")
	}
	mrns := map[string]bool{}
	for _, p := range people {
		if mrns[p.MRN] {
			t.Errorf("record number of person %d is not unique", p.Number)
		}
		mrns[p.MRN] = true
		for _, e := range p.Emails {
			if strings.Contains(e, strings.ToLower(p.Given)) || strings.Contains(e, strings.ToLower(p.Family)) {
				t.Errorf("the address of person %d shares a token with the name", p.Number)
			}
		}
	}
	dir := t.TempDir()
	n, err := world.Export(dir, people, now)
	if err != nil || n < 2000 {
		t.Fatalf("%d resources, %v", n, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "Patient.000.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != 400 {
		t.Errorf("%d patients", len(lines))
	}
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Fatalf("not JSON: %s", l)
		}
	}
}
