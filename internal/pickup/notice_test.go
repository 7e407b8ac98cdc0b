package pickup_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/pickup"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it with: go test ./internal/pickup -update && git diff", name)
	}
}

func notice(t *testing.T) pickup.Notice {
	t.Helper()
	return pickup.Notice{
		From: mailbox(t, "Riverside Family Clinic", "care@riverside.example"), To: mailbox(t, "Ana Zanzibar", "ana@patient.example"),
		Brand: compose.Brand{Name: "Riverside Family Clinic", Postal: []string{"12 River Road", "Austin, TX 78701"}, Hosts: []string{"care.riverside.example"}},
		Link:  base + pickup.Path + "AbCdEf0123456789_-", ID: "pck_1@riverside.example", Date: time.Date(2026, 11, 24, 20, 15, 30, 0, time.UTC),
	}
}

func TestNotice(t *testing.T) {
	for _, c := range []struct {
		name      string
		languages []string
		reminder  bool
		language  string
		subject   string
	}{
		{"en", nil, false, "en", "You have a new private message"},
		{"es", []string{"es-MX"}, false, "es", "Tiene un nuevo mensaje privado"},
		{"reminder", nil, true, "en", "A private message is still waiting for you"},
		{"es-reminder", []string{"es"}, true, "es", "Un mensaje privado sigue esperándole"},
		{"other", []string{"vi"}, false, "en", "You have a new private message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := notice(t)
			n.Languages, n.Reminder = c.languages, c.reminder
			m, err := n.Message()
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != c.subject || m.Language != c.language || !m.Automatic || m.Unsubscribe != "" {
				t.Errorf("%q in %s", m.Subject, m.Language)
			}
			data, err := m.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".eml", string(data))
			// The recipient's name is not for the way; nor is anything but the organisation's public name.
			if strings.Contains(string(data), "Zanzibar") {
				t.Error("the notice names the recipient")
			}
			if !strings.Contains(m.Text, n.Link) || !strings.Contains(m.HTML, n.Link) {
				t.Error("the link is missing")
			}
			again, err := n.Message()
			if err != nil {
				t.Fatal(err)
			}
			if twice, err := again.Bytes(); err != nil || string(twice) != string(data) {
				t.Error("a retry renders other bytes")
			}
		})
	}
}

// The notice never holds what the message says: it is made without it.
func TestNoticeRefusesAForeignLink(t *testing.T) {
	for _, link := range []string{"", "http://care.riverside.example/m/x", "javascript:alert(1)", "https://care.riverside.example/m/x y"} {
		n := notice(t)
		n.Link = link
		if _, err := n.Message(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", link, err)
		}
	}
}
