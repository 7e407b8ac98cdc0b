package bounce

import (
	"strings"
	"testing"
	"time"
)

// TestTableForm holds what a reader of the table relies on.
func TestTableForm(t *testing.T) {
	for i := range builtIn.rules {
		r := &builtIn.rules[i]
		if len(r.say)+len(r.status)+len(r.codes)+len(r.stages) == 0 {
			t.Errorf("rule %s matches everything", r.name)
		}
		if r.wait < 0 || r.wait > 24*time.Hour {
			t.Errorf("rule %s waits %v", r.name, r.wait)
		}
		if r.class == HardBounce && len(r.unless) == 0 && len(r.status) == 0 && r.name != "hard.domain" {
			t.Errorf("rule %s calls an address dead and doubts nothing", r.name)
		}
		for _, s := range r.stages {
			if !s.early() && s != StageRcpt && s != StageData && s != StageDot {
				t.Errorf("rule %s: no stage %q", r.name, s)
			}
		}
	}
}

// TestPatterns shows the language of the table.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"user unknown", "User unknown in local table", true},
		{"user unknown", "<a@b.example>: User-Unknown", true},
		{"user unknown", "user is unknown", false},
		{"greylist*", "Greylisting in effect", true},
		{"{who} .. {not}", "the mailbox you wrote to does not exist", true},
		{"{who} .. {not}", "the mailbox is here. The domain does not exist", false}, // not over a full stop
		{"{who} .. {not}", "mailbox a b c d e f g h does not exist", false},         // eight words between
		{"blocked using %dom", "Client blocked using zen.example.org; see there", true},
		{"@zen", "blocked using zen.example.org", true},
		{"spam", "see https://spam.example/spam", false}, // a name is not a word
		{"/nosuchuser", "see https://help.example/?p=NoSuchUser", true},
		{"addr", "no <a@b.example> here", true},
		{"ip and ip", "between [192.0.2.1] and 2001:db8::1", true},
		{"boite pleine", "Boîte pleine", true},
	} {
		tb, err := parse("version 1\nlet who = user, mail box, mailbox\nlet not = not exist, unknown\nrule x\nclass other\nsay " + c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		p := prepare(Reply{Code: 550, Text: c.text})
		if got := tb.rules[0].match(&p); got != c.want {
			t.Errorf("%q in %q (%q): %v", c.pattern, c.text, p.words, got)
		}
	}
}

// TestTableRefusals: a slip in the table is found when it is read.
func TestTableRefusals(t *testing.T) {
	for _, src := range []string{
		"say x", "rule a\nsay x", "rule a\nclass nonsense", "rule a\nclass other\nrule a\nclass other", "rule a\nclass other\nscope x",
		"rule a\nclass other\nsay {x}", "rule a\nclass other\ncode x", "rule a\nclass other\nwait x", "rule a\nclass other\nonly 6xx", "let x", "rule a\nclass other\nfoo x",
	} {
		if _, err := parse(src); err == nil {
			t.Errorf("%q was taken", strings.ReplaceAll(src, "\n", "; "))
		}
	}
}

// FuzzTable: whatever a table says, it is read or refused.
func FuzzTable(f *testing.F) {
	f.Add("version 1\nlet a = b c, d*\ndrop x\nrule a\nclass other\nsay {a} .. x", "b c d x")
	f.Add(source[:2000], "user unknown")
	f.Fuzz(func(t *testing.T, src, words string) {
		tb, err := parse(src)
		if err != nil {
			return
		}
		p := prepare(Reply{Code: 550, Text: words})
		p.without(tb.drop)
		for i := range tb.rules {
			tb.rules[i].match(&p)
		}
	})
}

// BenchmarkClassify judges one reply that no early rule takes.
func BenchmarkClassify(b *testing.B) {
	r := Reply{Stage: StageRcpt, Code: 550, Text: "<user@example.com>: Recipient address rejected: User unknown in virtual mailbox table"}
	for b.Loop() {
		Classify(r)
	}
}
