// Command vulndb turns the module golang.org/x/vulndb, which the module proxy serves, into a database folder that govulncheck
// reads offline: vulndb MODULE_DIR VERSION OUT_DIR. It prints the age of what it wrote.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type report struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases,omitempty"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Introduced string `json:"introduced,omitempty"`
				Fixed      string `json:"fixed,omitempty"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

type indexVuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
}

type moduleVuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Fixed    string    `json:"fixed,omitempty"`
}

type indexModule struct {
	Path  string       `json:"path"`
	Vulns []moduleVuln `json:"vulns"`
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: vulndb MODULE_DIR VERSION OUT_DIR")
	}
	modified, err := versionTime(args[2])
	if err != nil {
		return err
	}
	reports, err := filepath.Glob(filepath.Join(args[1], "data", "osv", "*.json"))
	if err != nil || len(reports) == 0 {
		return fmt.Errorf("no report under %s", args[1])
	}
	out := args[3]
	var vulns []indexVuln
	modules := map[string]*indexModule{}
	for _, path := range reports {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := write(filepath.Join(out, "ID", filepath.Base(path)), raw); err != nil {
			return err
		}
		vulns = append(vulns, indexVuln{r.ID, modified, r.Aliases})
		addModules(modules, r, modified)
	}
	var list []*indexModule
	for _, m := range modules {
		list = append(list, m)
	}
	for name, v := range map[string]any{"db": map[string]time.Time{"modified": modified}, "vulns": vulns, "modules": list} {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(out, "index", name+".json"), raw); err != nil {
			return err
		}
	}
	fmt.Printf("%d reports, %d days old\n", len(reports), int(time.Since(modified).Hours()/24))
	return nil
}

// addModules notes the fix of the last range only when that range is closed: an open one has no fix yet.
func addModules(modules map[string]*indexModule, r report, modified time.Time) {
	for _, a := range r.Affected {
		m := modules[a.Package.Name]
		if m == nil {
			m = &indexModule{Path: a.Package.Name}
			modules[m.Path] = m
		}
		fixed := ""
		for _, rg := range a.Ranges {
			for _, e := range rg.Events {
				fixed = e.Fixed
			}
		}
		m.Vulns = append(m.Vulns, moduleVuln{r.ID, modified, fixed})
	}
}

// versionTime reads the moment from a pseudo-version; the reports themselves carry none.
func versionTime(version string) (time.Time, error) {
	parts := strings.Split(version, "-")
	if len(parts) < 3 {
		return time.Time{}, fmt.Errorf("%q is not a pseudo-version", version)
	}
	return time.Parse("20060102150405", parts[len(parts)-2])
}

func write(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}
