package compose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

func TestGolden(t *testing.T) {
	for _, language := range []string{"en", "es", "ar"} {
		t.Run(language, func(t *testing.T) {
			out, err := compose.Render(care(t, everything()), values(language), brand())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, language+".html", out.HTML)
			golden(t, language+".txt", "Subject: "+out.Subject+"\n\n"+out.Text)
			again, err := compose.Render(care(t, everything()), values(language), brand())
			if err != nil || again.HTML != out.HTML || again.Text != out.Text {
				t.Error("two renderings differ")
			}
			if len(out.Files) != 1 || out.Files[0] != picture {
				t.Errorf("files %v", out.Files)
			}
		})
	}
}

func TestCommercialCarriesWhatTheLawAsks(t *testing.T) {
	v := version(t, one("An offer", compose.Text{Text: "Come and see"}), ledger.PurposeMarketing, organisation.ClassCommercial)
	out, err := compose.Render(v, values(), brand())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "commercial.html", out.HTML)
	golden(t, "commercial.txt", out.Text)
	for _, want := range []string{"This is an advertisement.", "12 River Road", "Austin, TX 78701", "https://care.riverside.example/u/abc"} {
		if !strings.Contains(out.HTML, want) || !strings.Contains(out.Text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if compose.Worst(out.Findings) == compose.SeverityBlock {
		t.Errorf("findings %v", out.Findings)
	}
}

func TestLanguageOfTheRecipient(t *testing.T) {
	v := care(t, everything())
	for _, c := range []struct {
		want      string
		preferred []string
	}{
		{"en", nil},
		{"en", []string{"en-US"}},
		{"es", []string{"es-MX", "en"}},
		{"es", []string{"es-419"}},
		{"ar", []string{"ar"}},
		{"en", []string{"vi"}},
		{"es", []string{"vi", "es"}},
		{"en", []string{"not a language"}},
	} {
		out, err := compose.Render(v, values(c.preferred...), brand())
		if err != nil || out.Language != c.want {
			t.Errorf("%v: %s, %v; want %s", c.preferred, out.Language, err, c.want)
		}
	}
}

// What stands in a record is shown, never obeyed.
func TestHostileValues(t *testing.T) {
	c := one("Hello {{ person.first }}",
		compose.Heading{Level: 1, Text: "{{ person.first }}"},
		compose.Text{Text: "Dear {{ person.first }}, **welcome**."},
		compose.Button{Label: "Go, {{ person.first }}", URL: "https://care.riverside.example/?n={{ person.first }}"},
		compose.List{Each: "medicines", Item: "{{ item.name }}"},
		compose.Table{Header: []string{"{{ person.first }}"}, Each: "medicines", Row: []string{"{{ item.name }}"}},
		compose.Image{File: picture, Alt: "of {{ person.first }}"},
	)
	v := care(t, c)
	for name, value := range map[string]string{
		"liquid field":        "{{ person.age }}",
		"liquid tag":          "{% for i in (1..9999999) %}x{% endfor %}",
		"script":              `<script>alert(1)</script>`,
		"attribute":           `" onerror="alert(1)`,
		"comment":             `--><img src=x onerror=alert(1)><!--`,
		"mso":                 `<![endif]--><b>x`,
		"formula":             `=cmd|' /C calc'!A0`,
		"bold":                `**Ana**`,
		"link":                `[click](https://evil.example/x)`,
		"backslash":           `\*a\`,
		"line breaks":         "Ana\r\nBcc: x@evil.example\r\n\r\n<b>",
		"lone CR and LF":      "Ana\rBob\nEve",
		"NUL":                 "Ana\x00Bob",
		"line separator":      "Ana\u2028Bob\u2029",
		"right-to-left":       "Ana\u202egnp.exe\u202c",
		"isolates":            "\u2066Ana\u2069",
		"broken UTF-8":        "Ana\xff\xfe",
		"encoded word":        "=?utf-8?q?Bcc:_x=40evil.example?=",
		"single quote":        "O'Brien & <sons>",
		"style":               "</style><style>*{display:none}</style>",
		"percent":             "100%%} {{",
		"javascript":          "javascript:alert(1)",
		"a page of asterisks": strings.Repeat("*", 500),
	} {
		t.Run(name, func(t *testing.T) {
			vals := values()
			vals.Vars["person"] = map[string]any{"first": value}
			vals.Vars["medicines"] = []map[string]any{{"name": value}}
			out, err := compose.Render(v, vals, brand())
			if err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(out.Subject, "\r\n\x00\u2028\u2029\u202e\u2066") {
				t.Errorf("subject %q", out.Subject)
			}
			// White space changes on the way through wrapping and HTML; everything else must be there, as text.
			squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
			want := squeeze("Dear " + compose.Clean(value) + ", welcome.")
			if got := squeeze(textOf(t, out.HTML)); !strings.Contains(got, want) {
				t.Errorf("the HTML shows %q", got)
			}
			if got := squeeze(out.Text); !strings.Contains(got, want) {
				t.Errorf("the text is %q", got)
			}
			if strings.ContainsAny(out.Text, "\r\x00\u202e") {
				t.Error("the text holds controls")
			}
		})
	}
}

// textOf gives the text of HTML, and fails on any element or attribute that our writer does not write.
func textOf(t *testing.T, source string) string {
	t.Helper()
	ours := map[string]bool{}
	for _, e := range strings.Fields("html head meta title style body div table tbody thead tr td th p h1 h2 h3 a strong em br ul ol li img hr caption span") {
		ours[e] = true
	}
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var visit func(n *html.Node)
	visit = func(n *html.Node) {
		switch n.Type {
		case html.ElementNode:
			if !ours[n.Data] {
				t.Errorf("an element of somebody else: %s", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "https://care.riverside.example/") && !strings.HasPrefix(a.Val, "cid:") {
					t.Errorf("an attribute of somebody else: %s=%q", a.Key, a.Val)
				}
			}
			if n.Data == "style" {
				return
			}
		case html.TextNode:
			b.WriteString(n.Data)
		default:
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
		if n.Type == html.ElementNode && n.Data != "strong" && n.Data != "em" && n.Data != "a" {
			b.WriteString(" ")
		}
	}
	visit(root)
	return b.String()
}

func TestValuesThatAreMissingOrWrong(t *testing.T) {
	c := one("Hello", compose.Text{Text: "{{ person.first }} {{ person.age | default: \"-\" }} {{ visit.start | date }}"}, compose.Button{Label: "x", URL: "{{ survey }}", Show: compose.Show{When: "survey"}})
	v := care(t, c)
	for _, at := range []struct {
		name, want string
		change     func(map[string]any)
	}{
		{"missing", "no value for person.first", func(m map[string]any) { delete(m, "person") }},
		{"empty", "no value for person.first", func(m map[string]any) { m["person"] = map[string]any{"first": ""} }},
		{"nil", "no value for person.first", func(m map[string]any) { m["person"] = map[string]any{"first": nil} }},
		{"a struct", "person.first: the value is not of the kind text", func(m map[string]any) { m["person"] = map[string]any{"first": struct{ X int }{1}} }},
		{"not a date", "visit.start: the value is not of the kind date", func(m map[string]any) { m["visit"] = map[string]any{"start": "tomorrow"} }},
		{"not a number", "person.age: the value is not of the kind number", func(m map[string]any) { m["person"] = map[string]any{"first": "Ana", "age": "old"} }},
		{"a script as a link", "survey: the value is not of the kind link", func(m map[string]any) { m["survey"] = "javascript:alert(1)" }},
		{"a plain link", "survey: the value is not of the kind link", func(m map[string]any) { m["survey"] = "http://care.riverside.example/" }},
		{"too long", "person.first: the value is not of the kind text", func(m map[string]any) { m["person"] = map[string]any{"first": strings.Repeat("x", 9000)} }},
	} {
		t.Run(at.name, func(t *testing.T) {
			vals := values()
			at.change(vals.Vars)
			_, err := compose.Render(v, vals, brand())
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), at.want) {
				t.Errorf("%v; want %q", err, at.want)
			}
		})
	}
	vals := values()
	vals.Vars["never declared"] = "x"
	if _, err := compose.Render(v, vals, brand()); err != nil {
		t.Errorf("a value that nobody declared is not read: %v", err)
	}
	for _, v := range []any{vals, &vals} {
		if text := strings.ToLower(jsonOrPrint(v)); strings.Contains(text, "ana") && !strings.Contains(text, "sealed") {
			t.Errorf("values print themselves: %s", text)
		}
	}
}

func jsonOrPrint(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return s.String()
	}
	return ""
}

func TestContentRoundTrip(t *testing.T) {
	data, err := json.Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "everything.json", string(data)+"\n")
	back, err := compose.ParseContent(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(data) {
		t.Errorf("the content changes on the way: %v\n%s\n%s", err, data, again)
	}
}

func TestContentIsRefused(t *testing.T) {
	const head = `{"version":1,"variants":[{"language":"en","subject":"s","blocks":[`
	for _, c := range []struct{ name, text, want string }{
		{"not JSON", `{`, "not a template"},
		{"version", `{"version":2,"variants":[]}`, "version: version 2"},
		{"no variant", `{"version":1,"variants":[]}`, "nothing in no language"},
		{"language", `{"version":1,"variants":[{"language":"klingonish","subject":"s","blocks":[{"type":"divider"}]}]}`, "variants[0].language"},
		{"twice", `{"version":1,"variants":[{"language":"en","subject":"s","blocks":[{"type":"divider"}]},{"language":"EN","subject":"s","blocks":[{"type":"divider"}]}]}`, "stands twice"},
		{"no subject", `{"version":1,"variants":[{"language":"en","subject":" ","blocks":[{"type":"divider"}]}]}`, "variants[0].subject"},
		{"unknown field", `{"version":1,"colour":"red","variants":[]}`, `unknown field "colour"`},
		{"unknown field of a block", head + `{"type":"text","text":"x","size":3}]}]}`, "blocks[0]"},
		{"block", head + `{"type":"buton"}]}]}`, "perhaps button"},
		{"no type", head + `{"text":"x"}]}]}`, "blocks[0].type"},
		{"heading", head + `{"type":"heading","level":4,"text":"x"}]}]}`, "variants[0].blocks[0].level"},
		{"image", head + `{"type":"image","file":"fil_0000000000000000000000000g"}]}]}`, "alternative text"},
		{"table", head + `{"type":"table","header":["a","b"],"rows":[["1"]]}]}]}`, "variants[0].blocks[0].rows[0]"},
		{"button", head + `{"type":"button","label":"x","url":"javascript:alert(1)"}]}]}`, "a link of this kind"},
		{"insecure", head + `{"type":"button","label":"x","url":"http://a.example/"}]}]}`, "a link of this kind"},
		{"user in a link", head + `{"type":"button","label":"x","url":"https://care.example@evil.example/"}]}]}`, "nobody before it"},
		{"after the end", `{"version":1,"variants":[{"language":"en","subject":"s","blocks":[{"type":"divider"}]}]} {}`, "goes on after its end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compose.ParseContent([]byte(c.text))
			if err == nil || !strings.Contains(fault.Text(err), c.want) {
				t.Errorf("%v; want %q", fault.Text(err), c.want)
			}
		})
	}
}

func TestDefaultThemeCanBeRead(t *testing.T) {
	if err := compose.DefaultTheme().Check(); err != nil {
		t.Error(err)
	}
	bad := compose.DefaultTheme()
	bad.Light.Soft = "#aaaaaa"
	if err := bad.Check(); err == nil {
		t.Error("grey on white passes")
	}
	if got := compose.Contrast("#000000", "#ffffff"); got < 20.9 || got > 21.1 {
		t.Errorf("black on white is %f", got)
	}
}

func FuzzParseContent(f *testing.F) {
	data, err := json.Marshal(everything())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"variants":[{"language":"en","subject":"{{ x","blocks":[{"type":"divider"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := compose.ParseContent(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compose.ParseContent(again); err != nil {
			t.Errorf("taken once, refused again: %v", err)
		}
	})
}
