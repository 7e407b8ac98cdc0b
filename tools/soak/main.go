// Soak runs the tests of bad days for many rounds and ends with a table of what they counted. Tests that repeat themselves read
// CAREPOST_SOAK and write a line "soak: rounds=...", see internal/caretest; the others are run so often by themselves.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const module = "github.com/carepost/carepost/"

// row is what is known of one test.
type row struct {
	rounds, lost, inDoubt, weaker int
	told                          bool // it counted rounds itself
	seconds                       float64
	failed, parent                bool
}

type soak struct {
	rows   map[string]*row // "package test"
	failed bool
}

var tally = regexp.MustCompile(`soak: rounds=(-?\d+) lost=(-?\d+) in_doubt=(-?\d+) weaker=(-?\d+)`)

func main() {
	rounds := flag.Int("rounds", 30, "how many rounds")
	run := flag.String("run", "Kill|Crash|Soak", "which tests")
	dir := flag.String("dir", "..", "the module's folder")
	flag.Parse()
	s := &soak{rows: map[string]*row{}}
	if err := s.work(*rounds, *run, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	s.print(os.Stdout)
	if s.failed {
		os.Exit(1)
	}
}

func (s *soak) work(rounds int, run, dir string) error {
	if err := s.test(rounds, 1, run, dir, "./internal/..."); err != nil {
		return err
	}
	again := map[string][]string{}
	for key, r := range s.rows {
		pkg, name, _ := strings.Cut(key, " ")
		if top, _, sub := strings.Cut(name, "/"); !r.told && !sub && !s.toldBelow(pkg, top) {
			again[pkg] = append(again[pkg], top)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(again)) {
		if rounds > 1 {
			if err := s.test(rounds, rounds-1, "^("+strings.Join(again[pkg], "|")+")$", dir, "./"+pkg); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *soak) toldBelow(pkg, test string) bool {
	for key, r := range s.rows {
		if r.told && strings.HasPrefix(key, pkg+" "+test+"/") {
			return true
		}
	}
	return false
}

func (s *soak) test(rounds, count int, run, dir, packages string) error {
	cmd := exec.Command("go", "test", "-json", "-count="+strconv.Itoa(count), "-timeout", "120m", "-run", run, packages) //nolint:gosec // G204: our own words
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CAREPOST_SOAK="+strconv.Itoa(rounds))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := s.read(out); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		s.failed = true
	}
	return nil
}

func (s *soak) read(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e struct {
			Action, Package, Test, Output string
			Elapsed                       float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		s.take(strings.TrimPrefix(e.Package, module), e.Action, e.Test, e.Output, e.Elapsed)
	}
	return lines.Err()
}

func (s *soak) take(pkg, action, test, output string, elapsed float64) {
	switch {
	case action == "output" && (test == "" && strings.HasPrefix(output, "FAIL") || strings.Contains(output, "_test.go:") && !tally.MatchString(output) || strings.Contains(output, "--- FAIL")):
		fmt.Print(output)
	case action == "build-output":
		fmt.Print(output)
	}
	if test == "" {
		return
	}
	r := s.rows[pkg+" "+test]
	if r == nil {
		r = &row{lost: -1, inDoubt: -1, weaker: -1}
		s.rows[pkg+" "+test] = r
		if top, _, sub := strings.Cut(test, "/"); sub && s.rows[pkg+" "+top] != nil {
			s.rows[pkg+" "+top].parent = true
		}
	}
	switch action {
	case "output":
		if m := tally.FindStringSubmatch(output); m != nil {
			n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
			r.told, r.rounds = true, r.rounds+n(1)
			r.lost, r.inDoubt, r.weaker = plus(r.lost, n(2)), plus(r.inDoubt, n(3)), plus(r.weaker, n(4))
		}
	case "pass", "fail", "skip":
		r.seconds += elapsed
		r.failed = r.failed || action == "fail"
		if !r.told && action != "skip" {
			r.rounds++
		}
	}
}

// plus adds counts of which -1 is "the question does not arise".
func plus(a, b int) int { return max(a, 0) + max(b, 0) - btoi(a < 0 && b < 0) }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *soak) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n%-62s %6s %6s %8s %8s %9s\n", "test", "rounds", "lost", "in doubt", "weaker", "seconds")
	number := func(n int) string {
		if n < 0 {
			return "-"
		}
		return strconv.Itoa(n)
	}
	var total float64
	for _, key := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[key]
		if r.parent {
			continue // its parts stand below
		}
		mark := ""
		if r.failed {
			mark = "  FAILED"
		}
		total += r.seconds
		name := strings.TrimPrefix(strings.Replace(key, " Test", " ", 1), "internal/")
		_, _ = fmt.Fprintf(w, "%-62s %6d %6s %8s %8s %9.1f%s\n", name, r.rounds, number(r.lost), number(r.inDoubt), number(r.weaker), r.seconds, mark)
	}
	_, _ = fmt.Fprintf(w, "%-62s %6s %6s %8s %8s %9.1f  at %s\n", "all", "", "", "", "", total, time.Now().UTC().Format(time.RFC3339))
}
