package fhir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/carepost/carepost/internal/fault"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	manifest, err := os.ReadFile("testdata/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	with := folder(t, map[string]string{
		"manifest.json": string(manifest), "Patient.1.ndjson": "", "Appointment.1.ndjson": "", "deleted.ndjson": "", "err.ndjson": "", "other.ndjson": "",
	})
	x, err := Find(with)
	if err != nil || len(x.Files) != 3 || x.Errors != 1 || x.As != "2026-11-24T06:00:00Z" {
		t.Fatalf("%+v %v", x, err)
	}
	if f := x.Files[0]; filepath.Base(f.Path) != "Patient.1.ndjson" || f.Kind != "Patient" || f.Count != 6 {
		t.Errorf("%+v", f)
	}
	if f := x.Files[2]; filepath.Base(f.Path) != "deleted.ndjson" || f.Kind != "" {
		t.Errorf("%+v", f)
	}
	without := folder(t, map[string]string{"b.ndjson": "", "a.ndjson.gz": "", "c.json": "{}", "log.ndjson": "", ".hidden.ndjson": "", "readme.txt": ""})
	if x, err := Find(without); err != nil || len(x.Files) != 3 || filepath.Base(x.Files[0].Path) != "a.ndjson.gz" {
		t.Errorf("%+v %v", x, err)
	}
	if x, err := Find(filepath.Join(without, "readme.txt")); err != nil || len(x.Files) != 1 {
		t.Errorf("a file that is named is taken, whatever its name: %+v %v", x, err)
	}
	for name, c := range map[string]struct {
		path string
		code fault.Code
	}{
		"nothing there": {filepath.Join(without, "x"), fault.NotFound},
		"empty folder":  {t.TempDir(), fault.NotFound},
		"a URL that leaves the folder": {
			folder(t, map[string]string{"m.json": `{"transactionTime":"2026-11-24T06:00:00Z","output":[{"type":"Patient","url":"https://x.example/a/.."}]}`}), fault.Invalid,
		},
	} {
		if _, err := Find(c.path); !fault.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x, err = Find(folder(t, map[string]string{"m.json": `{"transactionTime":"2026-11-24T06:00:00Z","output":[{"type":"Patient","url":"https://x.example/..%2f..%2fetc%2fpasswd"}]}`}))
	if err == nil && filepath.Base(filepath.Dir(x.Files[0].Path)) == "etc" {
		t.Errorf("left the folder: %+v", x.Files)
	}
}
