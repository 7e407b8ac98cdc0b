package audience_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/audience"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/people/crowd"
)

// examples are one rule of each kind in both forms; the text is canonical, and so is the JSON.
var examples = []struct{ name, text, json string }{
	{
		"demographic",
		`sex = female and age >= 50 and (never procedure.mammogram or last procedure.mammogram older than 2y) and language in (en, es)`,
		`{"all":[{"field":"sex","op":"eq","value":"female"},{"field":"age","op":"gte","value":50},{"any":[{"event":"procedure.mammogram","never":true},{"last":"procedure.mammogram","op":"older_than","value":"P2Y"}]},{"field":"language","op":"in","value":["en","es"]}]}`,
	},
	{
		"region", `zip in @valueset:county-flu-alert or zip = 606*`,
		`{"any":[{"field":"zip","op":"in","value":"@valueset:county-flu-alert"},{"field":"zip","op":"eq","value":"606*"}]}`,
	},
	{
		"clinical",
		`condition icd10:E11.* and not medication rxnorm:6809 and latest lab loinc:4548-4 >= 8.0 within 6m`,
		`{"all":[{"has":"condition","code":"icd10:E11","descendants":true},{"not":{"has":"medication","code":"rxnorm:6809"}},{"lab":"loinc:4548-4","which":"latest","op":"gte","value":8.0,"within":"P6M"}]}`,
	},
	{
		"journey stage", `in segment stage.overdue or (last_visit older than 12m and not appointment booked in future)`,
		`{"any":[{"segment":"stage.overdue"},{"all":[{"field":"last_visit","op":"older_than","value":"P12M"},{"not":{"has":"appointment","status":"booked","when":"future"}}]}]}`,
	},
	{
		"behaviour",
		`count email.opened >= 2 in 90d and count portal.login = 0 in 60d and appointment.missed not followed by appointment.booked within 14d in 60d`,
		`{"all":[{"count":"email.opened","op":"gte","value":2,"within":"P90D"},{"count":"portal.login","op":"eq","value":0,"within":"P60D"},{"sequence":["appointment.missed",{"not":"appointment.booked","within":"P14D"}],"within":"P60D"}]}`,
	},
	{
		"machines counted", `count email.opened > 0 in 2w including automated`,
		`{"count":"email.opened","op":"gt","value":0,"within":"P2W","include_automated":true}`,
	},
	{
		"followed", `appointment.missed followed by appointment.booked within 72h in 6m`,
		`{"sequence":["appointment.missed",{"event":"appointment.booked","within":"PT72H"}],"within":"P6M"}`,
	},
	{"value sets and lists of codes", `condition in @valueset:chronic-30 or condition in (icd10:E11.6*, icd10:I10) any status or procedure cpt:77067`, ""},
	{
		"consent", `consent topic:recalls given or consent marketing-authorization none`,
		`{"any":[{"consent":"topic:recalls","state":"given"},{"consent":"marketing-authorization","state":"none"}]}`,
	},
	{
		"lab with unit", `latest lab in (loinc:2345-7, loinc:1558-6) < 126 mg/dL or latest lab loinc:4548-4 exists or latest lab loinc:9999-9 = 5 "within"`,
		`{"any":[{"lab":["loinc:2345-7","loinc:1558-6"],"which":"latest","op":"lt","value":126,"unit":"mg/dL"},{"lab":"loinc:4548-4","which":"latest","op":"exists"},{"lab":"loinc:9999-9","which":"latest","op":"eq","value":5,"unit":"within"}]}`,
	},
	{
		"flags", `deceased = false and has_email = true and not opt_out exists`,
		`{"all":[{"field":"deceased","op":"eq","value":false},{"field":"has_email","op":"eq","value":true},{"not":{"field":"opt_out","op":"exists"}}]}`,
	},
	{"quotes", `custom.team = "north \"A\" \\ b" and in segment "My people" and state != "or"`, ""},
	{"grouping is kept", `(age = 1 and age = 2) and (age = 3 or (age = 4 and not (age = 5 or not not age = 6)))`, ""},
	{"dates", `birth_date < 1976-11-24 or last_visit within 3w or last_visit >= 2026-01-31`, ""},
	{"appointments", `appointment booked within 14d`, `{"has":"appointment","status":"booked","within":"P14D"}`},
	{"everyone", `everyone`, `{"everyone":true}`},
}

func TestBothForms(t *testing.T) {
	for _, c := range examples {
		t.Run(c.name, func(t *testing.T) {
			r, err := audience.Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := audience.Text(r); !strings.EqualFold(got, strings.Replace(c.text, `"or"`, `"OR"`, 1)) {
				t.Errorf("text\n%s, want\n%s", got, c.text)
			}
			src := audience.Encode(r)
			if want := `{"version":1,"rule":` + c.json + `}`; c.json != "" && string(src) != want {
				t.Errorf("JSON\n%s, want\n%s", src, want)
			}
			back, err := audience.Decode(src)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			if !reflect.DeepEqual(back, r) {
				t.Errorf("%#v, want %#v", back, r)
			}
		})
	}
}

// TestNotCanonical: other ways to write a rule come out in the one form.
func TestNotCanonical(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"  AGE>=50  AND NOT(sex=Female)", "age >= 50 and not sex = female"},
		{"((age = 5))", "age = 5"},
		{"a.b not followed by c.d within 14D in 60d", "a.b not followed by c.d within 14d in 60d"},
		{"language not in (EN)", "not language in (en)"},
		{"condition icd-10-cm:e1165 active", "condition icd10:E11.65"},
		{"condition icd10:e11*", "condition icd10:E11.*"},
		{"condition @valueset:x any status", "condition in @valueset:x any status"},
		{"deceased = no", "deceased = false"},
		{"age = 1 or age = 2 and age = 3", "age = 1 or (age = 2 and age = 3)"},
		{`sex = "male"`, "sex = male"},
	} {
		r, err := audience.Parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if got := audience.Text(r); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{
		`{"all":[{"everyone":true}]}`: "everyone",
		`{"count":"email.opened","op":"gte","value":2,"within":"P90D","human":true}`:  "count email.opened >= 2 in 90d",
		`{"count":"email.opened","op":"gte","value":2,"within":"P90D","human":false}`: "count email.opened >= 2 in 90d including automated",
		`{"has":"condition","code":"icd10:E11","descendants":true,"status":"active"}`: "condition icd10:E11.*",
		`{"has":"condition","code":"icd10:E1","descendants":true}`:                    "condition icd10:E1*",
	} {
		r, err := audience.Decode([]byte(`{"version":1,"rule":` + in + `}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if got := audience.Text(r); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestTextErrors(t *testing.T) {
	for _, c := range []struct {
		in           string
		line, column int
		text, hint   string
	}{
		{"", 1, 1, "expected a condition", ""},
		{"agee >= 50", 1, 1, "expected a field", "did you mean age?"},
		{"age >= 50\nand lnguage = en", 2, 5, "expected a field", "did you mean language?"},
		{"age => 50", 1, 5, "does not exist", "write <= or >="},
		{"age == 50", 1, 5, "does not exist", "write ="},
		{"age ≥ 50", 1, 5, "no meaning", "write >="},
		{"age >= fifty", 1, 8, "expected an age", ""},
		{"age older than 5y", 1, 5, "expected =, !=, in", ""},
		{"sex is female", 1, 5, "expected =", "write ="},
		{"sex = femal", 1, 7, "expected female, male or other", "did you mean female?"},
		{"(age = 5", 1, 1, "never closed", ""},
		{"age = 5)", 1, 8, "closes nothing", ""},
		{"age = 5 adn sex = male", 1, 9, "expected and, or", "did you mean and?"}, //nolint:misspell // on purpose
		{"age = 5 and", 1, 12, "expected a condition", "ends in the middle"},
		{`state = "IL`, 1, 9, "not closed", ""},
		{"birth_date < 2026-02-30", 1, 14, "expected a date", ""},
		{"last_visit older than 12", 1, 23, "expected a whole number and h, d, w, m or y", ""},
		{"last_visit older 12m", 1, 18, "expected than", ""},
		{"last_visit older than 5h", 1, 23, "in days or more", "no hours"},
		{"condition E11", 1, 11, "code with its system", ""},
		{"condition idc10:E11", 1, 11, "code system", "did you mean icd10?"},
		{"medication rxnorm:6809.*", 1, 12, "no descendants", "covers its products"},
		{"count email.opened >= 2", 1, 24, "expected in", ""},
		{"count email.opened >= 0 in 90d", 1, 23, "never below 0", "write > 0"},
		{"count email.opened >= 2 in 500d", 1, 28, "no further back", "use last or never"},
		{"count opened >= 2 in 90d", 1, 7, "expected an event", ""},
		{"email.opened >= 2 in 90d", 1, 14, "followed by", "write count"},
		{"a.b followed by c.d within 1m in 60d", 1, 28, "hours, days or weeks", ""},
		{"segment x", 1, 1, "expected a field", "write in segment"},
		{"in segmnt x", 1, 4, "expected segment", "did you mean segment?"},
		{"zip = @valueset:x", 1, 7, "stands after in", ""},
		{"zip in 60601", 1, 8, "expected a list", ""},
		{"zip = 60601-1234", 1, 7, "postal code", ""},
		{"consent topic:x gven", 1, 17, "expected given", "did you mean given?"},
		{"latest lab loinc:4548-4 >= 8e0", 1, 28, "a number", ""},
		{"latest condition", 1, 8, "expected lab", ""},
		{"état = IL", 1, 1, "expected a field", ""},
		{"age = 5 and é\xff", 1, 14, "not UTF-8", ""},
	} {
		_, err := audience.Parse(c.in)
		checkProblem(t, c.in, err, c.line, c.column, c.text, c.hint)
	}
}

func TestJSONErrors(t *testing.T) {
	for _, c := range []struct {
		in           string
		line, column int
		text, hint   string
	}{
		{``, 1, 1, "ends too early", ""},
		{`{"version":1,"rule":`, 1, 21, "ends too early", ""},
		{`[]`, 1, 1, "expected an object", ""},
		{`{"version":2,"rule":{"everyone":true}}`, 1, 12, "expected version 1", "reads version 1"},
		{`{"rule":{"everyone":true}}`, 1, 1, `the key "version" is missing`, ""},
		{`{"version":1,"rule":{"everyone":true},"x":1}`, 1, 39, "does not belong", ""},
		{`{"version":1,"rule":{"everyone":true}} x`, 1, 40, "follows the end", ""},
		{"{\"version\":1,\n \"rule\":{\"field\":\"sex\",\n  \"opp\":\"eq\",\"value\":\"male\"}}", 3, 3, `"op" is missing`, "did you mean op?"},
		{`{"version":1,"rule":{"field":"sex","op":"eq","value":"male","within":"P1D"}}`, 1, 61, "does not belong", ""},
		{`{"version":1,"rule":{"field":"sex","op":"eq","op":"ne","value":"male"}}`, 1, 46, "stands twice", ""},
		{`{"version":1,"rule":{"field":"sexx","op":"eq","value":"male"}}`, 1, 30, "expected a field", "did you mean sex?"},
		{`{"version":1,"rule":{"field":"age","op":"eq","value":"50"}}`, 1, 54, "expected a number", ""},
		{`{"version":1,"rule":{"field":"age","op":"gtee","value":50}}`, 1, 41, "expected eq", "did you mean gte?"},
		{`{"version":1,"rule":{"feild":"age"}}`, 1, 22, "one of the keys", "did you mean field?"},
		{`{"version":1,"rule":{"all":[]}}`, 1, 28, "one rule or more", ""},
		{`{"version":1,"rule":{"all":[{"everyone":true},5]}}`, 1, 47, "expected a rule", ""},
		{`{"version":1,"rule":{"all":[{"everyone":true}],"any":[]}}`, 1, 48, "does not belong", ""},
		{`{"version":1,"rule":{"last":"a.b","op":"within","value":"1y"}}`, 1, 57, "ISO 8601", ""},
		{`{"version":1,"rule":{"last":"a.b","op":"within","value":"P1Y6M"}}`, 1, 57, "ISO 8601", ""},
		{`{"version":1,"rule":{"event":"a.b"}}`, 1, 21, `"never": true`, ""},
		{`{"version":1,"rule":{"count":"a.b","op":"gte","value":1.5,"within":"P9D"}}`, 1, 55, "whole number", ""},
		{`{"version":1,"rule":{"count":"a.b","op":"gte","value":1,"within":"P9D","human":true,"include_automated":true}}`, 1, 85, "does not belong", ""},
		{`{"version":1,"rule":nul}`, 1, 21, "not JSON", ""},
		{"{\"version\":1,\"rule\":{\"segment\":\"a\xff\"}}", 1, 34, "not UTF-8", ""},
	} {
		_, err := audience.Decode([]byte(c.in))
		checkProblem(t, c.in, err, c.line, c.column, c.text, c.hint)
	}
}

func checkProblem(t *testing.T, in string, err error, line, column int, text, hint string) {
	t.Helper()
	p, ok := errors.AsType[*audience.Problem](err)
	switch {
	case !ok:
		t.Errorf("%s: no problem with a place: %v", in, err)
	case !fault.Is(err, fault.Invalid):
		t.Errorf("%s: code %s", in, fault.CodeOf(err))
	case p.Line != line || p.Column != column:
		t.Errorf("%s: at %d:%d, want %d:%d: %v", in, p.Line, p.Column, line, column, err)
	case !strings.Contains(p.Text, text):
		t.Errorf("%s: says %q, want %q", in, p.Text, text)
	case !strings.Contains(p.Hint, hint):
		t.Errorf("%s: hint %q, want %q", in, p.Hint, hint)
	}
}

// TestNestedTooDeep: a thousand levels are refused in each form, sixty-four minus the root are not.
func TestNestedTooDeep(t *testing.T) {
	wrap := func(n int, open, inner, close string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(close, n)
	}
	for _, n := range []int{1_000, 60_000} {
		for _, src := range []string{wrap(n, "(", "age = 5", ")"), wrap(n/8, "not ", "age = 5", ""), wrap(n, "(", "", "")} {
			_, err := audience.Parse(src)
			if p, ok := errors.AsType[*audience.Problem](err); !ok || !strings.Contains(p.Text, "nested more than 64 deep") && !strings.Contains(p.Text, "at most 65536 bytes") {
				t.Errorf("%d: %v", n, err)
			}
		}
		for _, open := range []string{`{"not":`, `{"all":[`, `[`} {
			_, err := audience.Decode([]byte(`{"version":1,"rule":` + strings.Repeat(open, n)))
			if p, ok := errors.AsType[*audience.Problem](err); !ok || !strings.Contains(p.Text, "deep") {
				t.Errorf("%d of %s: %v", n, open, err)
			}
		}
	}
	deepest := wrap(63, "not ", "age = 5", "")
	r, err := audience.Parse(deepest)
	if err != nil || audience.Text(r) != deepest {
		t.Error(err)
	}
	if _, err := audience.Decode(audience.Encode(r)); err != nil {
		t.Error(err)
	}
	if _, err := audience.Parse("not " + deepest); err == nil {
		t.Error("65 levels were taken")
	}
}

func TestTooMany(t *testing.T) {
	_, err := audience.Parse(strings.Repeat("age = 5 or ", 600) + "age = 5")
	checkProblem(t, "600 conditions", err, 1, 500*11+1, "more than 500 conditions", "use a list")
	_, err = audience.Parse("zip in (" + strings.Repeat("60601,", 2_100) + "60601)")
	checkProblem(t, "2100 values", err, 1, 8+2_000*6+1, "at most 2000 entries", "use a value set")
}

// TestPeerRules: the eight rules that others are measured by.
func TestPeerRules(t *testing.T) {
	for _, want := range crowd.Rules() {
		r, err := audience.Parse(want.Text)
		if err != nil {
			t.Errorf("%s: %v", want.Name, err)
		} else if got := audience.Text(r); got != want.Text {
			t.Errorf("%s: %s", want.Name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range examples {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, src string) {
		r, err := audience.Parse(src)
		if err != nil {
			if _, ok := errors.AsType[*audience.Problem](err); !ok {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		text := audience.Text(r)
		back, err := audience.Parse(text)
		if err != nil || !reflect.DeepEqual(back, r) || audience.Text(back) != text {
			t.Fatalf("%q gives %q: %v", src, text, err)
		}
		again, err := audience.Decode(audience.Encode(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%q gives %s: %v", src, audience.Encode(r), err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, c := range examples {
		if c.json != "" {
			f.Add([]byte(`{"version":1,"rule":` + c.json + `}`))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := audience.Decode(src)
		if err != nil {
			if _, ok := errors.AsType[*audience.Problem](err); !ok {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		back, err := audience.Decode(audience.Encode(r))
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%s gives %s: %v", src, audience.Encode(r), err)
		}
		text, err := audience.Parse(audience.Text(r))
		if err != nil || !reflect.DeepEqual(text, r) {
			t.Fatalf("%s gives %s: %v", src, audience.Text(r), err)
		}
	})
}
