package audience

import (
	"strings"
)

// Parse reads the text form. Every fault has its place (Problem).
func Parse(src string) (Rule, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens}
	r, err := p.any()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	if t.kind == tokenClose {
		return nil, wrong("this bracket closes nothing").at(src, t.at)
	}
	if t.kind != tokenEnd {
		return nil, expected("and, or, or the end of the rule").didYouMean(t.text, []string{"and", "or"}).at(src, t.at)
	}
	if depth(r) > maxDepth {
		return nil, tooDeep().at(src, 0)
	}
	return r, nil
}

func depth(r Rule) int {
	d := 0
	for _, c := range Children(r) {
		d = max(d, depth(c))
	}
	return d + 1
}

// parser reads by recursive descent: any = all {or all}; all = unary {and unary}; unary = not unary | ( any ) | leaf.
type parser struct {
	src    string
	tokens []token
	pos    int
	depth  int // brackets and nots that are open
	leaves int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) take() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

// accept takes the next token if it is the keyword.
func (p *parser) accept(keyword string) bool {
	if p.peek().is(keyword) {
		p.pos++
		return true
	}
	return false
}

// fail gives a fault at the next token.
func (p *parser) fail(c *complaint) error { return c.at(p.src, p.peek().at) }

// need takes keywords one after another.
func (p *parser) need(keywords ...string) error {
	for _, k := range keywords {
		if !p.accept(k) {
			return p.fail(expected(k).didYouMean(p.peek().text, []string{k}))
		}
	}
	return nil
}

func (p *parser) any() (Rule, error) { return p.chain("or", p.all) }

func (p *parser) all() (Rule, error) { return p.chain("and", p.unary) }

func (p *parser) chain(keyword string, next func() (Rule, error)) (Rule, error) {
	var list []Rule
	for {
		r, err := next()
		if err != nil {
			return nil, err
		}
		list = append(list, r)
		if !p.accept(keyword) {
			return join(list, keyword == "or"), nil
		}
	}
}

func (p *parser) unary() (Rule, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(tooDeep())
	}
	defer func() { p.depth-- }()
	if p.accept("not") {
		r, err := p.unary()
		return Not{r}, err
	}
	if p.peek().kind == tokenOpen {
		open := p.take()
		r, err := p.any()
		if err != nil {
			return nil, err
		}
		if p.peek().kind != tokenClose {
			c := expected("and, or, or a closing bracket")
			if p.peek().kind == tokenEnd {
				c = wrong("a bracket is never closed")
				return nil, c.at(p.src, open.at)
			}
			return nil, p.fail(c)
		}
		p.take()
		return r, nil
	}
	if p.leaves++; p.leaves > maxLeaves {
		return nil, p.fail(tooMany())
	}
	return p.leaf()
}

// leafWords are the words that begin a leaf, beside fields and events.
var leafWords = []string{
	"everyone", "condition", "medication", "procedure", "immunization", "allergy", "latest", "count", "last", "never",
	"consent", "in", "appointment", "not",
}

func (p *parser) leaf() (Rule, error) {
	t := p.peek()
	if t.kind != tokenWord {
		c := expected("a condition such as age >= 50")
		if t.kind == tokenEnd && p.pos > 0 {
			c.hinted("the rule ends in the middle")
		}
		return nil, p.fail(c)
	}
	word := strings.ToLower(t.text)
	if _, ok := whats[word]; ok {
		p.take()
		return p.has(word)
	}
	if read := p.leafReader(word); read != nil {
		p.take()
		return read()
	}
	after := p.tokens[p.pos+1]
	if checkEvent(word) == nil && !strings.HasPrefix(word, customPrefix) || after.is("followed") || after.is("not") && p.tokens[p.pos+2].is("followed") {
		return p.sequence()
	}
	f := findField(t.text)
	if f == nil {
		f = findField(word)
	}
	if f == nil {
		return nil, p.noLeaf(word, after)
	}
	p.take()
	return p.field(f)
}

// noLeaf says what could have been meant by a word that begins nothing.
func (p *parser) noLeaf(word string, after token) error {
	c := expected("a field, or one of " + either(leafWords))
	switch {
	case word == "segment":
		c.hinted("write in segment and its name")
	case word == "lab":
		c.hinted("write latest lab")
	case word == "and" || word == "or":
		c.hinted("something is missing before this word")
	case after.is("followed"):
	default:
		c.didYouMean(word, append(fieldNames(), leafWords...))
	}
	return p.fail(c)
}

// leafReader gives what reads the rest of a leaf that begins with the word.
func (p *parser) leafReader(word string) func() (Rule, error) {
	switch word {
	case "everyone":
		return func() (Rule, error) { return Everyone{}, nil }
	case "latest":
		return p.lab
	case "count":
		return p.count
	case "last":
		return p.last
	case "never":
		return p.never
	case "consent":
		return p.consent
	case "in":
		return p.segment
	case "appointment":
		return p.appointment
	}
	return nil
}
