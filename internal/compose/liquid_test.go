package compose_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
)

// text renders one rich text over the shared values.
func text(t *testing.T, source string) (string, error) {
	t.Helper()
	v, err := compose.NewVersion(one("s", compose.Text{Text: source}), 1, 1)
	if err != nil {
		return "", err
	}
	out, err := compose.Render(v, values(), compose.Brand{Name: "N"})
	return strings.TrimSuffix(strings.TrimPrefix(out.Text, "N\n\n"), "\n"), err
}

func TestMergeFields(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"plain { text } 100 % sure", "plain { text } 100 % sure"},
		{"Hi {{ person.first }}!", "Hi Ana!"},
		{"Hi {{person.first}}!", "Hi Ana!"},
		{"a {{- person.first -}} b", "aAnab"},
		{`{{ person.first | upcase | append: "!" }}`, "ANA!"},
		{`{{ condition | default: "none" }}`, "none"},
		{`{{ person.age | plus: 1 }} {{ person.age | minus: 2.5 }} {{ person.age | times: 2 }}`, "43 39.5 84"},
		{`{{ person.age | times: 1000 | number }}`, "42,000"},
		{`{{ person.age | plural: "year", "years" }}`, "years"},
		{`{{ visit.start | date }} {{ visit.start | date: "short" }} {{ visit.start | weekday }} {{ visit.start | time }}`, "November 24, 2026 2026-11-24 Tuesday 2:30\u00a0PM"},
		{`{% if person.age > 40 and visit.new %}yes{% else %}no{% endif %}`, "yes"},
		{`{% if condition %}x{% elsif person.first == "Ana" %}y{% endif %}`, "y"},
		{`{% if person.first contains "n" %}y{% endif %}`, "y"},
		{`{% unless visit.new %}old{% else %}new{% endunless %}`, "new"},
		{`{% case person.first %}{% when "Bob", "Eve" %}1{% when "Ana" %}2{% else %}3{% endcase %}`, "2"},
		{`{% for m in medicines %}{{ forloop.index }}. {{ m.name }}{% unless forloop.last %}; {% endunless %}{% endfor %}`, "1. Metformin; 2. Aspirin"},
		{`{% for m in medicines reversed limit:1 %}{{ m.name }}{% endfor %}`, "Aspirin"},
		{`{% for m in medicines %}{% if m.name == "Aspirin" %}{% continue %}{% endif %}{{ m.name }}{% break %}{% endfor %}`, "Metformin"},
		{`{{ medicines.size }} {{ medicines.first.name }} {{ medicines | join: "name", " and " }}`, "2 Metformin Metformin and Aspirin"},
		{`{{ organisation.name }}`, "N"},
		{`{{ person.first | truncate: 2 }}`, "A…"},
		{`{{ "**bold**" }}`, "**bold**"},
		{`{{ "5125550142" | phone }}`, "512-555-0142"},
	} {
		got, err := text(t, c.source)
		if err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(c.want), " ") {
			t.Errorf("%s\n got %q, %v\nwant %q", c.source, got, err, c.want)
		}
	}
}

// What a merge field may not hold is found when the template is stored, with its place.
func TestMergeFieldsAreStrict(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"Hi {{ person.frist }}", "variants[0].blocks[0].text.line 1, column 7: unknown variable person.frist; perhaps person.first"},
		{"one\ntwo {{ nobody }}", "line 2, column 8: unknown variable nobody; declare it under variables"},
		{"é {{ x }}", "line 1, column 6: unknown variable x"},
		{"{{ person.first | upcas }}", "line 1, column 19: unknown filter; perhaps upcase"},
		{"{{ person.first | sort_natural }}", "line 1, column 19: unknown filter"},
		{"{{ person.first | strip_html }}", "unknown filter"},
		{"{{ person.first | append }}", "the filter append takes one argument"},
		{`{{ person.first | append: "a", "b" }}`, "the filter append takes one argument"},
		{"{{ person.first", "line 1, column 1: a merge field is not closed; write }} after it"},
		{"{{ person.first }", "a merge field is not closed"},
		{"Hi }} there", "a merge field is closed that was never opened"},
		{"{% if person.age > 3 %}x", "line 1, column 7: if is not closed; write {% endif %}"},
		{"{% endif %}", "endif closes what is not open"},
		{"{% for m in medicines %}{% endif %}", "endif closes what is not open"},
		{"{% else %}", "else stands outside"},
		{"{% break %}", "break stands outside a for"},
		{"{{ {{ person.first }} }}", "holds no braces"},
		{"{{ person.first\n}}", "stands on one line"},
		{"{{ }}", "an empty merge field"},
		{"{% include 'etc/passwd' %}", "unknown tag"},
		{"{% assign x = person.first %}", "unknown tag"},
		{"{% capture x %}{% endcapture %}", "unknown tag"},
		{"{% raw %}{{ x }}{% endraw %}", "unknown tag"},
		{"{% tablerow m in medicines %}{% endtablerow %}", "unknown tag"},
		{"{% cycle 'a', 'b' %}", "unknown tag"},
		{"{% unles visit.new %}", "line 1, column 4: unknown tag; perhaps unless"},
		{"{% for i in (1..1000000000) %}{% endfor %}", "line 1, column 13: a character that merge fields do not know"},
		{"{% for i in person.first %}{% endfor %}", "a loop walks a list variable only"},
		{`{% for i in "abc" %}{% endfor %}`, "a loop walks a list variable only"},
		{"{% for person in medicines %}{{ person.x }}{% endfor %}", "unknown variable person.x"},
		{"{% for condition in medicines %}{% endfor %}", "hides the variable condition"},
		{"{% for m in medicines %}{{ m.price }}{% endfor %}", "unknown variable m.price"},
		{"{% for m in medicines %}{% endfor %}{{ m.name }}", "unknown variable m.name"},
		{"{{ medicines }}", "a list is not shown whole"},
		{"{{ person.first.String }}", "unknown variable person.first.String"},
		{"{{ __m }}", "unknown variable __m"},
		{"{{ __m.steps }}", "unknown variable __m.steps"},
		{"{{ person }}", "unknown variable person"},
		{"{{ person.first | to_plain }}", "unknown filter"},
		{"{{ person.first | tick }}", "unknown filter"},
		{`{{ person["first"] }}`, "a character that merge fields do not know"},
		{`{{ "open }}`, "a quoted text is not closed"},
		{"{{ person.first person.age }}", "goes on after its end"},
		{"{{ person.age > 3 }}", "goes on after its end"},
		{"{% if person.age > %}x{% endif %}", "something is missing here"},
		{"{% if %}x{% endif %}", "something is missing here"},
		{"{{ 99999999999999999999 }}", "not a number"},
		{strings.Repeat("{% if visit.new %}", 21) + strings.Repeat("{% endif %}", 21), "more than 20 deep"},
		{strings.Repeat("{% for a in medicines %}", 4) + strings.Repeat("{% endfor %}", 4), "more than 3 deep"},
		{"{% if " + strings.Repeat("visit.new and ", 30) + "visit.new %}{% endif %}", "more than 20 parts"},
		{"{{ person.first " + strings.Repeat("| upcase ", 12) + "}}", "more than 10 filters"},
		{strings.Repeat("x", 17<<10), "longer than 16 KiB"},
	} {
		_, err := text(t, c.source)
		if err == nil || !strings.Contains(fault.Text(err), c.want) {
			t.Errorf("%.80s\n got %v\nwant %q", c.source, fault.Text(err), c.want)
		}
	}
}

// Faults that only values can show are errors with a place, and their words hold no value.
func TestMergeFieldsFailWithoutTheirValues(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"{{ condition }}", "a merge field has no value and no default"},
		{"{{ condition | upcase }}", "a merge field has no value and no default"},
		{"one\n{{ person.first | date }}", "line 2: a merge field's value does not fit its filter"},
		{"{{ person.first | plus: 1 }}", "does not fit its filter"},
		{"{{ person.first | number }}", "does not fit its filter"},
		{`{{ visit.start | date: "%Y" }}`, "does not fit its filter"},
		{`{{ person.first | truncate: "Ana" }}`, "does not fit its filter"},
	} {
		_, err := text(t, c.source)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), c.want) {
			t.Errorf("%s: %v; want %q", c.source, fault.Text(err), c.want)
			continue
		}
		if whole := fmt.Sprintf("%+v", err); strings.Contains(whole, "Ana") {
			t.Errorf("%s: the error holds a value: %s", c.source, whole)
		}
	}
}

// A template that would run for ever, or write for ever, ends at its caps.
func TestBombs(t *testing.T) {
	list := make([]map[string]any, 500)
	for i := range list {
		list[i] = map[string]any{"name": strings.Repeat("x", 400)}
	}
	deep := strings.Repeat("{% for {} in medicines %}", 3)
	for _, name := range []string{"a", "b", "c"} {
		deep = strings.Replace(deep, "{}", name, 1)
	}
	for name, source := range map[string]string{
		"empty loops":      deep + strings.Repeat("{% endfor %}", 3),
		"writing loops":    deep + "{{ a.name }}" + strings.Repeat("{% endfor %}", 3),
		"growing by join":  deep + `{{ medicines | join: "name", "----------" }}` + strings.Repeat("{% endfor %}", 3),
		"growing by quote": "{% for a in medicines %}" + strings.Repeat(`{{ a.name | append: a.name | append: a.name }}`, 3) + "{% endfor %}",
		"text in loops":    deep + strings.Repeat("word ", 3000) + strings.Repeat("{% endfor %}", 3),
	} {
		t.Run(name, func(t *testing.T) {
			v := care(t, one("s", compose.Text{Text: source}))
			vals := values()
			vals.Vars["medicines"] = list[:320]
			start := time.Now()
			_, err := compose.Render(v, vals, brand())
			if !fault.Is(err, fault.TooLarge) {
				t.Errorf("not stopped: %v", err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("stopped after %v", took)
			}
		})
	}
}

func FuzzMergeFields(f *testing.F) {
	for _, s := range []string{"{{ person.first }}", "{% for m in medicines %}{{ m.name }}{% endfor %}", "{% if a %}{{", "{{ 'x' | default: \"y\" }}", "**b** [x](https://a.example) \\*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		v, err := compose.NewVersion(one("s", compose.Text{Text: source}), 1, 1)
		if err != nil {
			return
		}
		out, err := compose.Render(v, values(), compose.Brand{Name: "N"})
		if err != nil {
			if c := fault.CodeOf(err); c != fault.Invalid && c != fault.TooLarge {
				t.Errorf("%q: %v", source, err)
			}
			return
		}
		if strings.Contains(out.Text, "\x00") {
			t.Errorf("%q writes NUL", source)
		}
	})
}
