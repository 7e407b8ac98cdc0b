package bounce

import (
	_ "embed"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed rules.txt
var source string

// table is the rules and what they were read from.
type table struct {
	version string
	drop    []pattern
	rules   []rule
}

var builtIn = func() table {
	t, err := parse(source)
	if err != nil {
		panic("bounce: rules.txt: " + err.Error()) // a test reads it
	}
	return t
}()

// Version names the state of the rules that this program holds.
func Version() string { return builtIn.version }

// rule is one entry of the table: it matches when each of its given fields does, and gives a class.
type rule struct {
	name     string
	class    Class
	scope    Scope         // instead of the class's
	wait     time.Duration // at least so long
	stages   []Stage
	codes    []int
	status   []string // the enhanced code behind its first digit: "1.1", or "7." for a subject
	provider []string
	hard     bool      // 5xx only
	soft     bool      // 4xx only
	say      []pattern // one of these stands in the text
	also     []pattern // and one of these
	unless   []pattern // and none of these
}

func (r *rule) match(t *text) bool {
	switch {
	case r.hard && t.soft, r.soft && !t.soft:
		return false
	case len(r.stages) > 0 && !slices.Contains(r.stages, t.Stage), len(r.codes) > 0 && !slices.Contains(r.codes, t.Code):
		return false
	case len(r.status) > 0 && !r.statusIs(t.status):
		return false
	case len(r.provider) > 0 && !slices.ContainsFunc(r.provider, func(p string) bool { return strings.HasPrefix(t.Provider, p) }):
		return false
	case len(r.say) > 0 && !t.says(r.say), len(r.also) > 0 && !t.says(r.also):
		return false
	}
	return !t.says(r.unless)
}

func (r *rule) statusIs(status string) bool {
	return status != "" && slices.ContainsFunc(r.status, func(s string) bool { return s == status || strings.HasSuffix(s, ".") && strings.HasPrefix(status, s) })
}

func (t *text) says(patterns []pattern) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool {
		if !p.possible(t) {
			return false
		}
		for i := range t.words {
			if p.ends(t, i, 0) != 0 {
				return true
			}
		}
		return false
	})
}

// possible tells in one look per word whether the pattern's plain words stand in the text at all.
func (p pattern) possible(t *text) bool {
	for i := range p {
		if e := &p[i]; e.list == nil && !e.gap && !e.prefix && !t.has[e.word] {
			return false
		}
	}
	return true
}

// without takes out what says nothing.
func (t *text) without(drop []pattern) {
	for _, p := range drop {
		for i := 0; i < len(t.words); i++ {
			if n := bits.Len64(p.ends(t, i, 0)); n > 1 {
				t.words = slices.Delete(t.words, i, i+n-1)
				clear(t.found)
			}
		}
	}
}

// pattern is a sequence of elements.
type pattern []element

// element is a word, the beginning of a word, one of a list of phrases, or a gap.
type element struct {
	word   string
	prefix bool
	list   *list
	gap    bool
}

// list is a named list of phrases.
type list struct{ phrases []pattern }

// spot is where a list was looked for.
type spot struct {
	list *list
	at   int
}

// maxGap is how many words a gap may hold, maxGaps how many of them a pattern may have; maxReach, how many words it may span.
const (
	maxGap   = 7
	maxGaps  = 3
	maxReach = 63
)

// ends gives the lengths that the pattern can have from word i on, as bits: bit n is set when it can end n words after i, where the first
// have words of it are behind us.
func (p pattern) ends(t *text, i, have int) uint64 {
	if len(p) == 0 {
		return 1 << have
	}
	if i >= len(t.words) && !p[0].gap || have > maxReach {
		return 0
	}
	e, rest := p[0], p[1:]
	switch {
	case e.gap:
		return rest.afterGap(t, i, have)
	case e.list != nil:
		var all uint64
		for n, set := 0, e.list.ends(t, i); set != 0; n, set = n+1, set>>1 {
			if set&1 != 0 {
				all |= rest.ends(t, i+n, have+n)
			}
		}
		return all
	case t.words[i] == e.word, e.prefix && strings.HasPrefix(t.words[i], e.word):
		return rest.ends(t, i+1, have+1)
	}
	return 0
}

func (p pattern) afterGap(t *text, i, have int) uint64 {
	var all uint64
	for n := 0; n <= maxGap; n++ {
		all |= p.ends(t, i+n, have+n)
		if i+n >= len(t.words) || t.words[i+n] == stop {
			break
		}
	}
	return all
}

// possible gives the phrases whose plain words stand in the text; found once for a text.
func (l *list) possible(t *text) []pattern {
	live, ok := t.live[l]
	if !ok {
		for _, p := range l.phrases {
			if p.possible(t) {
				live = append(live, p)
			}
		}
		t.live[l] = live
	}
	return live
}

// ends looks for the list's phrases once for each word of a text.
func (l *list) ends(t *text, i int) uint64 {
	set, ok := t.found[spot{l, i}]
	if !ok {
		t.found[spot{l, i}] = 0 // a list within itself finds nothing there
		for _, p := range l.possible(t) {
			set |= p.ends(t, i, 0)
		}
		t.found[spot{l, i}] = set
	}
	return set
}

// parse reads the table. Its form is told at the head of rules.txt.
func parse(src string) (table, error) {
	p := parser{lists: map[string]*list{}}
	for n, line := range strings.Split(src, "\n") {
		line, _, _ = strings.Cut(line, "#")
		key, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "" {
			continue
		}
		if err := p.line(key, strings.TrimSpace(rest)); err != nil {
			return table{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	for i := range p.table.rules {
		if r := &p.table.rules[i]; !slices.Contains(Classes(), r.class) {
			return table{}, fmt.Errorf("rule %s has no class", r.name)
		}
	}
	return p.table, nil
}

type parser struct {
	table table
	lists map[string]*list
}

func (p *parser) line(key, rest string) error {
	switch key {
	case "version":
		p.table.version = rest
		return nil
	case "let":
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("let without =")
		}
		all, err := p.patterns(value)
		name = strings.TrimSpace(name)
		if p.lists[name] == nil {
			p.lists[name] = &list{}
		}
		p.lists[name].phrases = append(p.lists[name].phrases, all...)
		return err
	case "drop":
		all, err := p.patterns(rest)
		p.table.drop = append(p.table.drop, all...)
		return err
	case "rule":
		if slices.ContainsFunc(p.table.rules, func(r rule) bool { return r.name == rest }) {
			return fmt.Errorf("rule %s stands twice", rest)
		}
		p.table.rules = append(p.table.rules, rule{name: rest})
		return nil
	}
	if len(p.table.rules) == 0 {
		return fmt.Errorf("%s before the first rule", key)
	}
	return p.field(&p.table.rules[len(p.table.rules)-1], key, rest)
}

func (p *parser) field(r *rule, key, rest string) (err error) {
	switch key {
	case "class":
		r.class = Class(rest)
	case "scope":
		r.scope = Scope(rest)
		if !slices.Contains(scopeWords, r.scope) {
			return fmt.Errorf("no scope %s", rest)
		}
	case "wait":
		r.wait, err = time.ParseDuration(rest)
	case "stage":
		for s := range strings.FieldsSeq(rest) {
			r.stages = append(r.stages, Stage(s))
		}
	case "code":
		for s := range strings.FieldsSeq(rest) {
			code, err := strconv.Atoi(s)
			if err != nil {
				return fmt.Errorf("no code: %s", s)
			}
			r.codes = append(r.codes, code)
		}
	case "enhanced":
		r.status = append(r.status, strings.Fields(rest)...)
	case "provider":
		r.provider = append(r.provider, strings.Fields(rest)...)
	case "only":
		r.hard, r.soft = rest == "5xx", rest == "4xx"
		if r.hard == r.soft {
			return fmt.Errorf("only 4xx or 5xx")
		}
	case "say":
		r.say, err = p.more(r.say, rest)
	case "also":
		r.also, err = p.more(r.also, rest)
	case "unless":
		r.unless, err = p.more(r.unless, rest)
	default:
		return fmt.Errorf("unknown word %s", key)
	}
	return err
}

func (p *parser) more(have []pattern, rest string) ([]pattern, error) {
	all, err := p.patterns(rest)
	return append(have, all...), err
}

// patterns reads patterns with commas between.
func (p *parser) patterns(s string) ([]pattern, error) {
	var all []pattern
	for one := range strings.SplitSeq(s, ",") {
		var pat pattern
		gaps := 0
		for w := range strings.FieldsSeq(one) {
			e := element{word: w, gap: w == ".."}
			if e.gap {
				gaps++
			}
			if gaps > maxGaps {
				return nil, fmt.Errorf("more than %d gaps in %s", maxGaps, one)
			}
			if name, ok := strings.CutPrefix(w, "{"); ok {
				e.list = p.lists[strings.TrimSuffix(name, "}")]
				if e.list == nil {
					return nil, fmt.Errorf("no list %s", w)
				}
			}
			if stem, ok := strings.CutSuffix(w, "*"); ok {
				e.word, e.prefix = stem, true
			}
			pat = append(pat, e)
		}
		if len(pat) > 0 {
			all = append(all, pat)
		}
	}
	return all, nil
}
