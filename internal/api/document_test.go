package api_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
)

var update = flag.Bool("update", false, "write the references anew")

// The references in docs are made from the routes table and the types: `go test ./internal/api -run Reference -update`.
func TestReference(t *testing.T) {
	h := openHouse(t, caretest.Open(t))
	document, err := h.Document()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("# The API\n\nUnder `/api/v1`, JSON, on the command socket only in this release. Problems are RFC 9457 documents; they say what is wrong and where,\n" +
		"and never repeat what was sent. Fields and parameters that are not in [openapi.json](openapi.json) are refused. `?organisation=org_N`\n" +
		"may be left out while there is only one. A GET changes nothing; where it shows somebody's record, it writes that into the ledger.\n\n" +
		"Made from `internal/api/routes.go` by its test.\n\n| route | permission | what |\n| --- | --- | --- |\n")
	for _, r := range h.Rows() {
		fmt.Fprintf(&table, "| `%s %s` | `%s` | %s |\n", r.Method, strings.TrimPrefix(r.Path, "/api/v1"), r.Permission, r.Summary)
	}
	for path, want := range map[string]string{"../../docs/openapi.json": string(document), "../../docs/api.md": table.String()} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the routes say; run this test with -update", path)
		}
	}
}
