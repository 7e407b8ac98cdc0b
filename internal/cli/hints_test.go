package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// said finds commands that a hint, a message or a page tells the reader to run.
var said = regexp.MustCompile("(?:`|: |, then )carepost ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")

// TestCommandsThatTextsName: a hint that sends the reader to a command that is not there is worse than none.
func TestCommandsThatTextsName(t *testing.T) {
	var c commands
	parser, err := grammar(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{}
	for _, top := range parser.Model.Children {
		paths[top.Name] = nil
		for _, sub := range top.Children {
			paths[top.Name] = append(paths[top.Name], sub.Name)
		}
	}
	root := filepath.Join("..", "..")
	found := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "formats") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".md" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range said.FindAllStringSubmatch(string(raw), -1) {
			subs, known := paths[m[1]]
			if !known || len(subs) > 0 && m[2] != "" && !slices.Contains(subs, m[2]) {
				t.Errorf("%s says %q, which is no command", path, strings.TrimSpace(m[0]))
			}
			found++
		}
		return nil
	})
	if err != nil || found < 20 {
		t.Errorf("%d commands named in texts: %v", found, err)
	}
}
