package cli_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/carepost/carepost/internal/cli"
	"github.com/carepost/carepost/internal/world"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"carepost": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts tells the stories of an operator at the command line. Each has folders of its own; the DNS is a world's.
func TestScripts(t *testing.T) {
	w, err := world.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := w.Add(t.Context(), "trusted.example", world.Temper{}); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "app", "testdata", "script"),
		Setup: func(e *testscript.Env) error {
			for k, v := range map[string]string{
				"DATA": filepath.Join(e.WorkDir, "data"), "KEYS": filepath.Join(e.WorkDir, "keys"), "HOST": "care.lakeside.example", "RESOLVER": w.Map().DNS,
			} {
				e.Setenv("CAREPOST_"+k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"founded": founded, "ready": ready, "written": written, "keep": keep, "object": object, "field": field, "flip": flip, "deep": deep, "crlf": crlf,
		},
		RequireExplicitExec: true,
	})
}

// founded makes the installation and its first organisation.
func founded(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("carepost", "init", "--name", "Lakeside Health Inc.", "--display", "Lakeside Health", "--domain", "lakeside.example",
		"--street", "1 Lake Street", "--city", "Springfield", "--state", "IL", "--postal-code", "62701", "--phone", "+13125550100"))
}

// ready waits until a server answers on the socket.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	path := filepath.Join(ts.Getenv("CAREPOST_DATA"), "carepost.sock")
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			ts.Check(c.Close())
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no server came: %v", err)
		}
	}
}

// written FILE waits until a background command has written a line into a file.
func written(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if raw, err := os.ReadFile(path); err == nil && bytes.HasSuffix(raw, []byte("\n")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s was not written", args[0])
		}
	}
}

// keep NAME PATTERN [FILE] puts what a pattern finds in a file, or in standard output, into a variable.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	file := "stdout"
	if len(args) > 2 {
		file = args[2]
	}
	text := ts.ReadFile(file)
	found := regexp.MustCompile(args[1]).FindStringSubmatch(text)
	if found == nil {
		ts.Fatalf("%s is not in %q", args[1], text)
	}
	ts.Setenv(args[0], found[len(found)-1])
}

// object: the last line of standard output is one JSON object, with the keys that are named.
func object(ts *testscript.TestScript, _ bool, keys []string) {
	lines := strings.Split(strings.TrimRight(ts.ReadFile("stdout"), "\n"), "\n")
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &o); err != nil {
		ts.Fatalf("the last line is no JSON object: %v", err)
	}
	for _, k := range keys {
		if _, ok := o[k]; !ok {
			ts.Fatalf("the object has no %q", k)
		}
	}
}

// field KEY FILE writes a text of the JSON object on standard output into a file.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var o map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &o))
	text, ok := o[args[0]].(string)
	if !ok {
		ts.Fatalf("the object has no text %q", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// flip FILE changes one bit of the first ledger entry in an archive.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	const block, into = 512, 40
	at := bytes.Index(raw, []byte("tile/entries/"))
	if at < 0 {
		ts.Fatalf("%s holds no entries", args[0])
	}
	raw[at+block+into] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o600))
}

// deep NAME N puts a rule into a variable that is nested n deep.
func deep(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[0], strings.Repeat("not (", n)+"age >= 50"+strings.Repeat(")", n))
}

// crlf FILE... gives lines the ends that a foreign system would.
func crlf(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		path := ts.MkAbs(f)
		raw, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")), 0o600))
	}
}
