package csv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
)

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEncodings(t *testing.T) {
	for _, c := range []struct {
		name, text, asked, want string
		guessed                 bool
	}{
		{"ASCII", "email,name\na@b.example,Ann\n", "", UTF8, false},
		{"UTF-8", "email,name\na@b.example,Zoë\n", "", UTF8, false},
		{"UTF-8 with a mark", "\ufeffemail,name\na@b.example,Zoë\n", "", UTF8, false},
		{"bytes of Windows", "email,name\na@b.example,Zo\xeb \x93x\x94\n", "", Windows, true},
		{"UTF-16 with a mark", "\xff\xfe" + wideText("email,name\na@b.example,Zoë\n", false), "", UTF16LE, false},
		{"UTF-16 without", wideText("email,name\na@b.example,Zoe\n", true), "", UTF16BE, true},
		{"declared", "email,name\na@b.example,Zo\xeb\n", "iso-8859-1", Latin1, false},
		{"declared by its other name", "email,name\na@b.example,Zo\xeb\n", "cp1252", Windows, false},
		{"one broken record in UTF-8", "email,name\n" + strings.Repeat("a@b.example,Zoë Müller\n", 30) + "a@b.example,Zo\xeb\n", "", UTF8, true},
	} {
		m, err := Propose(file(t, c.text), Asked{Encoding: c.asked})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if m.Encoding != c.want || m.Guessed != c.guessed {
			t.Errorf("%s: %s, guessed %v", c.name, m.Encoding, m.Guessed)
		}
	}
	for _, c := range []struct{ name, text, asked string }{
		{"an encoding that nobody knows", "email,name\n", "ebcdic"},
		{"another than the mark says", "\ufeffemail,name\n", "windows-1252"},
	} {
		if _, err := Propose(file(t, c.text), Asked{Encoding: c.asked}); fault.CodeOf(err) == fault.Internal || err == nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range []struct{ encoding, body, text, reason string }{
		{UTF8, "Zo\xeb", "", reasonBytes},
		{UTF8, "a\x00b", "", reasonNUL},
		{Windows, "\x81", "", reasonBytes},
		{Windows, "Zo\xeb\x80", "Zoë€", ""},
		{Latin1, "Zo\xeb", "Zoë", ""},
		{Latin1, "\x93x", "", reasonControl},
		{Macintosh, "Zo\x91", "Zoë", ""},
		{UTF16LE, "a\x00b", "", reasonBytes},
		{UTF16LE, "\x00\xd8a\x00", "", reasonBytes},
		{UTF16LE, "\x3d\xd8\x00\xde", "😀", ""},
	} {
		if text, reason := decode(c.encoding, []byte(c.body)); text != c.text || reason != c.reason {
			t.Errorf("%s %q: %q %q", c.encoding, c.body, text, reason)
		}
	}
}

// TestRefusedFiles: a file that cannot be understood is refused as a whole, before anything is read.
func TestRefusedFiles(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"empty", "", "no line with the names"},
		{"no header", "1,2,3\n4,5,6\n", "no line with the names"},
		{"10,000 columns", "email,name" + strings.Repeat(",x", 9998) + "\n", "at most 1000"},
		{"nobody is named", "city,state\nSpringfield,IL\n", ""},
		{"a line of 5 MiB before the header", strings.Repeat("x", 5<<20) + "\nemail,name\n", "no line with the names"},
	} {
		m, err := Propose(file(t, c.text), Asked{})
		if err == nil {
			_, err = m.Settings()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || fault.CodeOf(err) == fault.Internal {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	good, err := Propose(filepath.Join("testdata", "ehr_report_cp1252.csv"), Asked{})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(m *Mapping){
		"a version to come":          func(m *Mapping) { m.Version = 2 },
		"a field that is not known":  func(m *Mapping) { m.Columns[0].Field = "shoe size" },
		"a column beyond the width":  func(m *Mapping) { m.Columns[0].At = 99 },
		"a social security number":   func(m *Mapping) { m.Columns[0].Header = "Patient SSN" },
		"a custom field, no name":    func(m *Mapping) { m.Columns[0].Field = "custom" },
		"an identifier, no system":   func(m *Mapping) { m.Columns[1].System = "" },
		"a delimiter of two":         func(m *Mapping) { m.Delimiter = ",," },
		"a fact that is not known":   func(m *Mapping) { m.Facts[0].Kind = "horoscope" },
		"a suppression of something": func(m *Mapping) { m.Suppress = &Suppress{Covers: "everything"} },
	} {
		m := *good
		m.Columns, m.Facts = append([]Column(nil), good.Columns...), append([]Fact(nil), good.Facts...)
		spoil(&m)
		if _, err := m.Settings(); err == nil || fault.CodeOf(err) == fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", `{"version":1,"colums":[]}`, "{}{}", "[]", strings.Repeat("[", 1000)} {
		if _, err := (Mapper{}).Set([]byte(text)); err == nil || fault.CodeOf(err) == fault.Internal {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestCells(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"a,b":                   "a|b",
		",":                     "|",
		`"a,b",c`:               "a,b|c",
		`"a""b",""`:             `a"b|`,
		`a "b" c,d`:             `a "b" c|d`,
		"\"a\r\nb\",c":          "a\r\nb|c",
		`"","",""`:              "||",
		`"unclosed,x`:           "unclosed,x",
		"=HYPERLINK(\"x\"),+1,": `=HYPERLINK("x")|+1|`,
	} {
		if got := strings.Join(cells(text, ',', '"', nil), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for cell, want := range map[string][2]string{
		" a ": {"a", ""}, "\u00a0x": {"x", ""}, `="00123"`: {"00123", ""}, "=1+1": {"", reasonFormula}, `=HYPERLINK("http://x.example")`: {"", reasonFormula},
		"@SUM(1)": {"", reasonFormula}, "+SUM(1)": {"", reasonFormula}, "-cmd|' /C calc'!A0": {"", reasonFormula}, "+1 312 555 0145": {"+1 312 555 0145", ""},
		"-": {"-", ""}, "########": {"", reasonHashes}, "NULL": {"", ""}, `\N`: {"", ""}, "n/a": {"", ""}, "Nora": {"Nora", ""}, `="a"&"b"`: {"", reasonFormula},
	} {
		if text, reason := tidy(cell); text != want[0] || reason != want[1] {
			t.Errorf("%q: %q %q", cell, text, reason)
		}
	}
}

func TestReadDate(t *testing.T) {
	received := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ format, text, want string }{
		{"m/d/y", "2/29/1968", "1968-02-29"},
		{"m/d/y", "02/29/68", "1968-02-29"},
		{"m/d/y", "12/31/26", "1926-12-31"},
		{"m/d/y", "11/1/2025 2:30 PM", "2025-11-01"},
		{"d/m/y", "31/12/1968", "1968-12-31"},
		{"d.m.y", "29.02.1968", "1968-02-29"},
		{"m/d/y", "2/30/1968", ""},
		{"m/d/y", "13/13/1968", ""},
		{"m/d/y", "1968-02-29", "1968-02-29"},
		{"m/d/y", "12-Jan-75", "1975-01-12"},
		{"m/d/y", "Jan 12, 1975", "1975-01-12"},
		{"iso", "01-NOV-2025", "2025-11-01"},
		{"yyyymmdd", "19680229", "1968-02-29"},
		{"excel", "24898", "1968-03-01"},
		{"m/d/y", "24898", ""},
		{"unix", "1731400000", "2024-11-12"},
		{"iso", "1968", "1968"},
		{"iso", "1968-02", "1968-02"},
		{"iso", "yesterday", ""},
		{"iso", "2025-03-09 02:30", "2025-03-09"},
		{"iso", "2025-02-29", ""},
		{"m/d/y", "1/2/3", ""},
		{"m/d/y", "1/2/1968 25:00", ""},
		{"y/m/d", "1968/2/29", "1968-02-29"},
		{"m-d-y", "2-29-1968", "1968-02-29"},
	} {
		m, ok := readDate(c.format, c.text, received, true)
		if got := m.Date.String(); ok != (c.want != "") || got != c.want {
			t.Errorf("%s %q: %q, want %q", c.format, c.text, got, c.want)
		}
	}
}

func TestReadLanguage(t *testing.T) {
	for text, want := range map[string]string{
		"English": "en", "Spanish": "es", "es-MX": "es-MX", "Mandarin": "zh", "Haitian Creole": "ht", "Vietnamese": "vi", "deutsch": "de", "spa": "es", "Unknown": "", "en_US": "en-US",
	} {
		if got, ok := readLanguage(text); got != want || !ok {
			t.Errorf("%s: %q %v", text, got, ok)
		}
	}
	if _, ok := readLanguage("Klingonese of the north"); ok {
		t.Error("a language that is not known")
	}
}

// FuzzSay: no record brings the mapper down, whatever its mapping reads.
func FuzzSay(f *testing.F) {
	var mappers []intake.Cutting
	paths, err := filepath.Glob(filepath.Join("testdata", "*.[ct][sx][vt]"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		m, err := Propose(path, Asked{Dates: "m/d/y"})
		if err != nil {
			f.Fatal(err)
		}
		settings, err := m.Settings()
		if err != nil {
			f.Fatal(err)
		}
		x, err := Mapper{}.Set(settings)
		if err != nil {
			f.Fatal(err)
		}
		mappers = append(mappers, x)
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.SplitSeq(string(body[:min(len(body), 600)]), "\n") {
			f.Add([]byte(line), len(mappers)-1)
		}
	}
	c := &intake.Context{Source: "list", Received: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	f.Fuzz(func(t *testing.T, record []byte, which int) {
		x := mappers[uint(which)%uint(len(mappers))]
		messages, err := x.Split(record)
		if err == nil && len(messages) != 1 {
			t.Fatalf("%d messages", len(messages))
		}
		changes, _, err := x.Say(&intake.Message{Body: record}, c)
		if err != nil && fault.CodeOf(err) == fault.Internal {
			t.Fatalf("%v", err)
		}
		for i := range changes {
			if changes[i].Profile != nil && changes[i].Subject == "" {
				t.Fatal("a profile of nobody")
			}
		}
	})
}

// FuzzMapping: whatever a mapping says, it is refused or it works.
func FuzzMapping(f *testing.F) {
	m, err := Propose(filepath.Join("testdata", "ehr_report_cp1252.csv"), Asked{})
	if err != nil {
		f.Fatal(err)
	}
	settings, err := m.Settings()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(settings, "a,b,c,1/2/2003,x@y.example,,,,,,,,,,,,")
	f.Add([]byte(`{"version":1,"name":"x","encoding":"utf-8","delimiter":",","header":0,"width":2,"columns":[{"header":"","at":1,"field":"email"}]}`), "a@b.example,x")
	f.Fuzz(func(t *testing.T, settings []byte, record string) {
		x, err := Mapper{}.Set(settings)
		if err != nil {
			if fault.CodeOf(err) == fault.Internal {
				t.Fatal(err)
			}
			return
		}
		_, _, err = x.Say(&intake.Message{Body: []byte(record)}, &intake.Context{Source: "list", Received: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)})
		if err != nil && fault.CodeOf(err) == fault.Internal {
			t.Fatal(err)
		}
	})
}
