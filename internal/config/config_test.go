package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
)

var update = flag.Bool("update", false, "write docs/config.md")

func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "config.md")
	if *update {
		if err := os.WriteFile(path, []byte(config.Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != config.Document() {
		t.Errorf("docs/config.md is not what the struct tags say (%v); run go generate ./internal/config", err)
	}
}

func TestTheLaterSourceWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "carepost.yaml")
	if err := os.WriteFile(path, []byte("host: file.example\nconnections: 7\nfreshness: 24h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, []string{"CAREPOST_HOST=env.example", "CAREPOST_LOG_LEVEL=warn", "HOME=/", "CAREPOST_CONFIG=x"}, map[string]string{"log-level": "debug"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "env.example" || c.Connections != 7 || c.Freshness != 24*time.Hour || c.LogLevel != "debug" || c.Data != "/var/lib/carepost" {
		t.Errorf("%+v", c)
	}
	if c.SocketPath() != "/var/lib/carepost/carepost.sock" || c.HeloName() != "env.example" {
		t.Error(c.SocketPath(), c.HeloName())
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ file, env, want string }{
		"an unknown key names the nearest": {file: "hots: x\n", want: `the nearest is "host"`},
		"an unknown variable":              {env: "CAREPOST_KEY=x", want: `CAREPOST_KEY: there is no such setting; the nearest is "keys"`},
		"a key twice":                      {file: "host: a\nhost: b\n", want: "line 2"},
		"a number that is none":            {file: "connections: many\n", want: "from 1 to 10000"},
		"a number out of its range":        {file: "connections: 0\n", want: "from 1 to 10000"},
		"a duration that is none":          {file: "freshness: 2 days\n", want: "such as 90s, 30m or 48h"},
		"a level that is none":             {file: "log-level: loud\n", want: "debug, info, warn, error"},
		"a list where a value belongs":     {file: "host: [a]\n", want: "not a single one"},
		"a file that is no mapping":        {file: "- host\n", want: "one `key: value` a line"},
		"a file that is no YAML":           {file: "host: \"a\n", want: "not YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path, []string{c.env}, nil)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	c, err := config.Load("", []string{"CAREPOST_DSN=postgres://u:hunter2@h/d"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.Show(), "hunter2") || !strings.Contains(c.Show(), "dsn: (set)") {
		t.Error(c.Show())
	}
}

func TestTheExampleLoads(t *testing.T) {
	var live strings.Builder
	for line := range strings.Lines(config.Example()) {
		live.WriteString(strings.TrimPrefix(line, "#"))
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	text := regexp.MustCompile(`(?m)^ .*$`).ReplaceAllString(live.String(), "")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load(path, nil, nil); err != nil || c.Connections != 100 {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestAFlagThatIsNoSettingIsRefused(t *testing.T) {
	_, err := config.Load("", nil, map[string]string{"dta": "/x"})
	if err == nil || !strings.Contains(fault.Text(err), `the nearest is "data"`) {
		t.Errorf("got %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("host: a\nconnections: 3\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Skip()
		}
		if _, err := config.Load(path, nil, nil); err != nil && fault.CodeOf(err) == fault.Internal {
			t.Errorf("internal: %v", err)
		}
	})
}

// A Kubernetes Service of our name sets variables of our prefix; they are no settings and no reason not to start.
func TestVariablesOfAClusterAreNoSettings(t *testing.T) {
	c, err := config.Load("", []string{"CAREPOST_PORT=tcp://10.0.0.1:25", "CAREPOST_PORT_25_TCP=x", "CAREPOST_SERVICE_HOST=10.0.0.1", "CAREPOST_SOURCE=192.0.2.1, 192.0.2.2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Sources(); len(got) != 2 || got[1] != "192.0.2.2" {
		t.Errorf("sources %q", got)
	}
	if _, err := config.Load("", []string{"CAREPOST_PORTS=1"}, nil); err == nil {
		t.Error("an unknown setting was taken")
	}
}
