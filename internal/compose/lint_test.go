package compose_test

import (
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

func find(all []compose.Finding, code compose.FindingCode) compose.Severity {
	for _, f := range all {
		if f.Code == code {
			return f.Severity
		}
	}
	return 0
}

func TestLint(t *testing.T) {
	const care, offer = organisation.ClassTransactional, organisation.ClassCommercial
	hello := compose.Text{Text: "Hello {{ person.first }}"}
	type change func(*compose.Content, *compose.Values, *compose.Brand)
	for _, c := range []struct {
		name     string
		subject  string
		block    compose.Block
		class    organisation.Class
		change   change
		code     compose.FindingCode
		severity compose.Severity // 0: the finding must not be there
	}{
		{"condition merged into the subject", "About your {{ condition | default: \"visit\" }}", hello, care, vars("condition", "asthma"), compose.FindSubjectClinical, compose.SeverityBlock},
		{"clinical variable in the subject, whatever it says", "About {{ condition | default: \"x\" }}", hello, care, vars("condition", "it"), compose.FindSubjectClinical, compose.SeverityBlock},
		{"drug in a merged name", "For {{ person.first }}", hello, care, vars("person", map[string]any{"first": "Metformin 500"}), compose.FindSubjectClinical, compose.SeverityBlock},
		{"drug by its stem", "For {{ person.first }}", hello, care, vars("person", map[string]any{"first": "rosuvastatin"}), compose.FindSubjectClinical, compose.SeverityBlock},
		{"diagnosis code", "For {{ person.first }}", hello, care, vars("person", map[string]any{"first": "E11.65"}), compose.FindSubjectClinical, compose.SeverityBlock},
		{"condition in Spanish", "Para {{ person.first }}", hello, care, vars("person", map[string]any{"first": "depresión"}), compose.FindSubjectClinical, compose.SeverityBlock},
		{"condition in the fixed subject", "Our diabetes class", hello, care, nil, compose.FindSubjectTopic, compose.SeverityWarn},
		{"fixed condition is not merged", "Our diabetes class", hello, care, nil, compose.FindSubjectClinical, 0},
		{"plain subject", "Your visit in April", hello, care, nil, compose.FindSubjectTopic, 0},
		{"ordinary name", "Hello {{ person.first }}", hello, care, nil, compose.FindSubjectClinical, 0},
		{"capitals", "READ THIS NOW PLEASE", hello, care, nil, compose.FindSubjectCapitals, compose.SeverityWarn},
		{"short capitals", "MRI", hello, care, nil, compose.FindSubjectCapitals, 0},
		{"reply in an offer", "Re: your question", hello, offer, nil, compose.FindSubjectReply, compose.SeverityBlock},
		{"forward", "FWD: news", hello, care, nil, compose.FindSubjectReply, compose.SeverityWarn},
		{"a word that begins with re", "Renew your card", hello, care, nil, compose.FindSubjectReply, 0},
		{"long subject", strings.Repeat("word ", 20), hello, care, nil, compose.FindSubjectLong, compose.SeverityNote},
		{"subject that vanishes", "{% if condition %}x{% endif %}", hello, care, nil, compose.FindSubjectEmpty, compose.SeverityBlock},
		{"no opt-out", "s", hello, offer, func(_ *compose.Content, v *compose.Values, _ *compose.Brand) { v.Links.Unsubscribe = "" }, compose.FindUnsubscribeMissing, compose.SeverityBlock},
		{"care needs no opt-out", "s", hello, care, func(_ *compose.Content, v *compose.Values, _ *compose.Brand) { v.Links.Unsubscribe = "" }, compose.FindUnsubscribeMissing, 0},
		{"no postal address", "s", hello, offer, func(_ *compose.Content, _ *compose.Values, b *compose.Brand) { b.Postal = nil }, compose.FindPostalMissing, compose.SeverityBlock},
		{"foreign host", "s", compose.Button{Label: "x", URL: "https://www.cdc.gov/flu"}, care, nil, compose.FindLinkForeign, compose.SeverityWarn},
		{"own host", "s", compose.Button{Label: "x", URL: "https://care.riverside.example/a"}, care, nil, compose.FindLinkForeign, 0},
		{"below the own host", "s", compose.Button{Label: "x", URL: "https://a.care.riverside.example/"}, care, nil, compose.FindLinkForeign, 0},
		{"a host that ends alike", "s", compose.Button{Label: "x", URL: "https://evilcare.riverside.example.net/"}, care, nil, compose.FindLinkForeign, compose.SeverityWarn},
		{"foreign link in a text", "s", compose.Text{Text: "[x](https://www.cdc.gov/)"}, care, nil, compose.FindLinkForeign, compose.SeverityWarn},
		{"shortener", "s", compose.Button{Label: "x", URL: "https://bit.ly/abc"}, care, nil, compose.FindLinkShortener, compose.SeverityBlock},
		{"values to a foreign host", "s", compose.Button{Label: "x", URL: "https://track.example.net/?p={{ person.first }}"}, care, nil, compose.FindLinkPHI, compose.SeverityBlock},
		{"link variable to a foreign host", "s", compose.Button{Label: "x", URL: "{{ survey }}"}, care, vars("survey", "https://survey.example.net/1"), compose.FindLinkPHI, compose.SeverityBlock},
		{"name that reads as a link", "s", hello, care, vars("person", map[string]any{"first": "Win at www.evil.example"}), compose.FindLinkInValue, compose.SeverityBlock},
		{"name with a host", "s", hello, care, vars("person", map[string]any{"first": "go evil-pills.com now"}), compose.FindLinkInValue, compose.SeverityBlock},
		{"name with a dot", "s", hello, care, vars("person", map[string]any{"first": "Dr.Ana St.John"}), compose.FindLinkInValue, 0},
		{"claim", "s", compose.Text{Text: "Your mail is end-to-end encrypted."}, care, nil, compose.FindEndToEnd, compose.SeverityBlock},
		{"claim in Spanish", "s", compose.Text{Text: "Cifrado de extremo a extremo"}, care, nil, compose.FindEndToEnd, compose.SeverityBlock},
		{"care from end to end", "s", compose.Text{Text: "We offer end-to-end care."}, care, nil, compose.FindEndToEnd, 0},
		{"clipped", "s", compose.Text{Text: "{% for m in medicines %}{{ m.name }} {% endfor %}"}, care, vars("medicines", many(200, 600)), compose.FindClipped, compose.SeverityWarn},
		{"machine translation of care", "s", hello, care, func(c *compose.Content, _ *compose.Values, _ *compose.Brand) {
			c.Variants[0].Translation = &compose.Translation{Machine: true}
		}, compose.FindUnreviewed, compose.SeverityBlock},
		{"reviewed translation", "s", hello, care, func(c *compose.Content, _ *compose.Values, _ *compose.Brand) {
			c.Variants[0].Translation = &compose.Translation{Machine: true, Reviewer: "M. Soto"}
		}, compose.FindUnreviewed, 0},
		{"another language", "s", hello, care, func(_ *compose.Content, v *compose.Values, _ *compose.Brand) { v.Languages = []string{"vi"} }, compose.FindLanguage, compose.SeverityNote},
		{"contrast", "s", hello, care, func(_ *compose.Content, _ *compose.Values, b *compose.Brand) {
			b.Theme = compose.DefaultTheme()
			b.Theme.Light.Ink = "#cccccc"
		}, compose.FindTheme, compose.SeverityBlock},
	} {
		t.Run(c.name, func(t *testing.T) {
			content, vals, b := one(c.subject, c.block), values(), brand()
			if c.change != nil {
				c.change(&content, &vals, &b)
			}
			out, err := compose.Render(version(t, content, ledger.PurposeTreatment, c.class), vals, b)
			if err != nil {
				t.Fatal(err)
			}
			if got := find(out.Findings, c.code); got != c.severity {
				t.Errorf("%s is %v, want %v; all: %v", c.code, got, c.severity, out.Findings)
			}
			for _, f := range out.Findings {
				if strings.Contains(f.Text+f.Where, "asthma") || strings.Contains(f.Text+f.Where, "evil") {
					t.Errorf("a finding repeats what it read: %+v", f)
				}
			}
		})
	}
}

func vars(name string, value any) func(*compose.Content, *compose.Values, *compose.Brand) {
	return func(_ *compose.Content, v *compose.Values, _ *compose.Brand) { v.Vars[name] = value }
}

func many(n, size int) []map[string]any {
	out := make([]map[string]any, n)
	for i := range out {
		out[i] = map[string]any{"name": strings.Repeat("n", size)}
	}
	return out
}

// What an author is told before anybody is written to.
func TestLintOfAContent(t *testing.T) {
	for _, c := range []struct {
		name     string
		content  compose.Content
		class    organisation.Class
		postal   bool
		code     compose.FindingCode
		severity compose.Severity
	}{
		{"unclosed", one("s", compose.Text{Text: "Hi {{ person.first"}), 1, true, compose.FindMergeUnclosed, compose.SeverityBlock},
		{"unknown variable", one("s", compose.Text{Text: "Hi {{ nobody }}"}), 1, true, compose.FindMergeUnknown, compose.SeverityBlock},
		{"unknown filter", one("s", compose.Text{Text: "Hi {{ person.first | shout }}"}), 1, true, compose.FindMergeUnknown, compose.SeverityBlock},
		{"alt", one("s", compose.Image{File: picture}), 1, true, compose.FindAltMissing, compose.SeverityBlock},
		{"other faults", one("s", compose.Heading{Level: 9, Text: "x"}), 1, true, compose.FindMergeInvalid, compose.SeverityBlock},
		{"optional without default", one("s", compose.Text{Text: "{{ condition }}"}), 1, true, compose.FindMergeOptional, compose.SeverityWarn},
		{"optional with default", one("s", compose.Text{Text: `{{ condition | default: "-" }}`}), 1, true, compose.FindMergeOptional, 0},
		{"optional in a condition", one("s", compose.Text{Text: "{% if condition %}{{ condition }}{% endif %}"}), 1, true, compose.FindMergeOptional, 0},
		{"clinical subject", one("About {{ condition }}", compose.Divider{}), 1, true, compose.FindSubjectClinical, compose.SeverityBlock},
		{"capitals", one("BUY THIS NOW", compose.Divider{}), 1, true, compose.FindSubjectCapitals, compose.SeverityWarn},
		{"no address", one("s", compose.Divider{}), organisation.ClassCommercial, false, compose.FindPostalMissing, compose.SeverityBlock},
		{"nothing", one("Your visit", compose.Text{Text: "Hi {{ person.first }}"}), 1, true, compose.FindMergeInvalid, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := brand()
			if !c.postal {
				b.Postal = nil
			}
			all := compose.Lint(c.content, ledger.PurposeTreatment, c.class, b)
			if got := find(all, c.code); got != c.severity {
				t.Errorf("%s is %v, want %v; all: %v", c.code, got, c.severity, all)
			}
		})
	}
	if got := find(compose.LintSize(30<<20), compose.FindTooLarge); got != compose.SeverityBlock {
		t.Error("30 MiB pass")
	}
	if compose.LintSize(1000) != nil {
		t.Error("1 kB does not pass")
	}
}

func TestLintOfForeignHTML(t *testing.T) {
	for _, c := range []struct {
		name, html string
		code       compose.FindingCode
		severity   compose.Severity
	}{
		{"image from elsewhere", `<img src="https://cdn.example.net/a.png" alt="a" width="200">`, compose.FindImageForeign, compose.SeverityBlock},
		{"pixel", `<img src="https://t.example.net/o.gif?u=1" width="1" height="1" alt="">`, compose.FindTracker, compose.SeverityBlock},
		{"pixel by style", `<img src="https://t.example.net/o.gif" style="width:1px; height:1px" alt="">`, compose.FindTracker, compose.SeverityBlock},
		{"background", `<td background="https://cdn.example.net/a.png">x</td>`, compose.FindImageForeign, compose.SeverityBlock},
		{"background by style", `<div style="background:url('https://cdn.example.net/a.png')">x</div>`, compose.FindImageForeign, compose.SeverityBlock},
		{"known tracker", `<img src="https://www.google-analytics.com/collect?v=1" alt="" width="300">`, compose.FindTracker, compose.SeverityBlock},
		{"no alt", `<img src="cid:a@inline">`, compose.FindAltMissing, compose.SeverityWarn},
		{"inline image", `<img src="cid:a@inline" alt="a">`, compose.FindImageForeign, 0},
		{"own image", `<img src="https://care.riverside.example/a.png" alt="a">`, compose.FindImageForeign, 0},
		{"shortener", `<a href="https://bit.ly/x">x</a>`, compose.FindLinkShortener, compose.SeverityBlock},
		{"http", `<a href="http://care.riverside.example/">x</a>`, compose.FindLinkInsecure, compose.SeverityBlock},
		{"foreign", `<a href="https://example.net/">x</a>`, compose.FindLinkForeign, compose.SeverityWarn},
		{"remote style", `<link rel="stylesheet" href="https://cdn.example.net/a.css">`, compose.FindTracker, compose.SeverityBlock},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := compose.LintHTML(c.html, brand().Hosts)
			if got := find(all, c.code); got != c.severity {
				t.Errorf("%s is %v, want %v; all: %v", c.code, got, c.severity, all)
			}
		})
	}
}

func TestLintOfAForeignMessage(t *testing.T) {
	all := compose.LintForeign("Re: your chemotherapy", " ", `<img src="https://t.example.net/o.gif" width="1">`, organisation.ClassTransactional, brand().Hosts)
	for code, severity := range map[compose.FindingCode]compose.Severity{
		compose.FindSubjectClinical: compose.SeverityBlock, compose.FindSubjectReply: compose.SeverityWarn, compose.FindTextMissing: compose.SeverityWarn,
		compose.FindTracker: compose.SeverityBlock, compose.FindAltMissing: compose.SeverityWarn,
	} {
		if got := find(all, code); got != severity {
			t.Errorf("%s is %v, want %v", code, got, severity)
		}
	}
	if all := compose.LintForeign("Your visit", "Hello", "<p>Hello</p>", organisation.ClassTransactional, nil); len(all) != 0 {
		t.Errorf("a plain message: %v", all)
	}
}

func FuzzLintForeign(f *testing.F) {
	f.Add("Re: x", "text", `<img src=//a.example style="background:url(http://b.example/x)"><a href='javascript:x'>`)
	f.Fuzz(func(t *testing.T, subject, text, source string) {
		for _, found := range compose.LintForeign(subject, text, source, organisation.ClassCommercial, []string{"a.example"}) {
			if found.Code == "" || found.Severity == 0 || found.Text == "" {
				t.Errorf("%+v", found)
			}
		}
	})
}
