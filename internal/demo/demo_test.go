package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// built builds the program once for all tests that run it.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "carepost")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "github.com/carepost/carepost/cmd/carepost")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "carepost-demo-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

func carepost(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheMainJob: `carepost demo --once --json` as it stands in the README, from the outside.
func TestTheMainJob(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), carepost(t), "demo", "--once", "--json")
	tmp := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	r := strictly(t, last)
	if r.People != 400 || r.Facts < 2500 {
		t.Errorf("%d people, %d facts", r.People, r.Facts)
	}
	if r.Audience < 100 || r.Decided.sum() != r.Audience {
		t.Errorf("an audience of %d, %d decisions", r.Audience, r.Decided.sum())
	}
	for way, n := range map[string]int{
		"tls": r.Decided.TLS, "pickup": r.Decided.Pickup, "plain_requested": r.Decided.PlainRequested, "held": r.Decided.Held, "refused": r.Decided.Refused,
	} {
		if n == 0 {
			t.Errorf("nobody is %s", way)
		}
	}
	if r.Decided.Plain+r.Decided.PGP+r.Decided.SMIME != 0 {
		t.Errorf("a way that nobody has: %+v", r.Decided)
	}
	if r.Deferred == 0 || r.Bounced == 0 || r.Delivered+r.Bounced != r.Decided.TLS+r.Decided.Pickup+r.Decided.PlainRequested {
		t.Errorf("%d delivered, %d of them after a deferral, %d bounced, of %+v", r.Delivered, r.Deferred, r.Bounced, r.Decided)
	}
	if !r.Ledger.Verified || r.Ledger.Entries < int64(r.Audience) {
		t.Errorf("ledger %+v", r.Ledger)
	}
	if r.Canary.Hits != 0 || r.Canary.Control < 10 {
		t.Errorf("canary %+v", r.Canary)
	}
	if r.Seconds <= 0 { // how long it takes beside other tests says nothing; `make demo` shows its own time
		t.Errorf("%.1f seconds", r.Seconds)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// strictly reads the result and holds it to its contract: these keys, in this order, and no others.
func strictly(t *testing.T, line string) (r Result) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	keys := []string{
		"people", "facts", "audience", "decided", "tls", "pickup", "pgp", "smime", "plain", "plain_requested", "held", "refused", "delivered",
		"deferred_then_delivered", "bounced", "ledger", "entries", "verified", "canary", "hits", "control", "seconds",
	}
	at := 0
	for _, k := range keys {
		i := strings.Index(line[at:], `"`+k+`":`)
		if i < 0 {
			t.Fatalf("no key %q where it belongs in %s", k, line)
		}
		at += i
	}
	if n := strings.Count(line, `":`); n != len(keys) {
		t.Errorf("%d keys, want %d: %s", n, len(keys), line)
	}
	return r
}

// TestTheStory: what a person sees is whole, and bare ASCII where it is no terminal; the commands to try next work.
func TestTheStory(t *testing.T) {
	var out, errs bytes.Buffer
	dir := filepath.Join(t.TempDir(), "kept")
	if err := Run(t.Context(), Options{Out: &out, Err: &errs, Dir: dir, Self: carepost(t), People: 60, Seed: 7}); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	text := out.String()
	for _, want := range []string{"1  ", "2  ", "3  ", "4  ", "5  ", "How it was decided", "trusted.example", "45 CFR 164.508", "Every part held", dir} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not say %q:\n%s", want, text)
		}
	}
	for n, line := range strings.Split(text, "\n") {
		if len(line) > 104 && !strings.Contains(line, dir) && !strings.Contains(line, "CAREPOST_CONFIG") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("line %d is long or not bare ASCII: %q", n+1, line)
		}
	}
	tried := 0
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, carepost(t)+" ") {
			continue
		}
		tried++
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Env = append(os.Environ(), "CAREPOST_CONFIG="+filepath.Join(dir, "carepost.yaml"))
		if got, err := cmd.CombinedOutput(); err != nil || len(got) == 0 {
			t.Errorf("%s: %v\n%s", line, err, got)
		}
	}
	if tried < 4 {
		t.Errorf("%d commands to try next", tried)
	}
}

// TestABreakIsNoticed spoils one thing in each place and expects to be told of each.
func TestABreakIsNoticed(t *testing.T) {
	var out, errs bytes.Buffer
	o := Options{Out: &out, Err: &errs, Once: true, JSON: true, Self: carepost(t), People: 60, Seed: 3}
	o.meddle = func(s *story) error {
		p := &s.people[0]
		s.world.Receivers()["plain.example"].Plant([]byte("X-Patient: " + p.Family))
		care := s.campaigns[0]
		moved := slices.IndexFunc(care.messages, func(m message) bool { return m.went() && m.way() == wayTLS })
		care.messages[moved].State = "bounced" // so that what arrived is more than what was decided
		return errors.Join(
			os.WriteFile(filepath.Join(s.place.data, "leak"), []byte(encodings(p.MRN)[6]), 0o600),
			os.WriteFile(filepath.Join(s.place.tmp, "leak"), []byte("born "+p.Birth.Format(time.DateOnly)), 0o600),
			appendTo(s.place.logFile(), []byte("phone="+p.Phone+"\n")),
		)
	}
	if err := Run(t.Context(), o); !errors.Is(err, ErrBroken) {
		t.Fatalf("%v, want ErrBroken\n%s", err, errs.String())
	}
	for _, want := range []string{
		"stands in connections to plain.example", "stands in the database, running", "stands in the temporary files", "stands in the program's log",
		"stands in the database, at rest", "nothing arrives at",
	} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("nobody noticed: %s\n%s", want, errs.String())
		}
	}
	if r := strictly(t, strings.TrimSpace(out.String())); r.Canary.Hits < 5 {
		t.Errorf("%d hits", r.Canary.Hits)
	}
}

// TestTheFolderOfAnother: the demo touches nothing that is there.
func TestTheFolderOfAnother(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), Options{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Dir: dir, Self: "nothing"})
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestServeWantsALine: the hidden command is of no use to anybody but the demo, and says so.
func TestServeWantsALine(t *testing.T) {
	for _, in := range []string{"", "no line end", "[]\n", "{}\n", "{\"config\":7}\n", strings.Repeat("x", maxHandover+1)} {
		if err := Serve(t.Context(), strings.NewReader(in)); err == nil {
			t.Errorf("serves after %.20q", in)
		}
	}
}
