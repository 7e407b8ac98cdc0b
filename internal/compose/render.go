package compose

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/organisation"
)

// Rendered is a message's content for one recipient. It is PHI.
type Rendered struct {
	Language string
	Subject  string
	HTML     string
	Text     string
	Files    []id.File // stored images it shows, each once; they travel as inline parts
	Findings []Finding
}

// Render fills a version for one recipient. It is pure: the same input gives the same output. A value that is missing or of the wrong
// kind is an error with its place; what is wrong with the content is a finding.
func Render(v TemplateVersion, values Values, b Brand) (Rendered, error) {
	c := v.compiled
	if c == nil {
		var err error
		if c, err = compile(v.Content); err != nil {
			return Rendered{}, err
		}
	}
	n := c.pick(values.Languages)
	cv, variant := c.variants[n], c.content.Variants[n]
	vars, err := bind(c.declared, values, b)
	if err != nil {
		return Rendered{}, err
	}
	for _, name := range slices.Sorted(slices.Values(cv.needs)) {
		if got := get(vars, name); got == nil || got == "" {
			return Rendered{}, fault.New(fault.Invalid, "no value for %s", name).At("variants[%d]", n).Hint("give one, or declare it optional and write a default")
		}
	}
	x := &expander{declared: c.declared, variant: &cv, vars: vars, brand: b, links: values.Links}
	subject := Clean(strings.TrimSpace(x.run(cv.subject, "subject")))
	preheader := variant.Preheader
	x.plain("preheader", &preheader)
	blocks, err := x.blocks(variant.Blocks)
	if err != nil {
		return Rendered{}, under(err, "variants[%d]", n)
	}
	blocks = enforced(blocks, v.Class)

	l := localeOf(cv.tag)
	theme := b.theme()
	others := c.others(n, values.Links)
	w := &page{c: theme.Light, dark: theme.Dark, l: l, brand: b, links: values.Links, others: others, rtl: RightToLeft(cv.tag)}
	out := Rendered{Language: cv.tag.String(), Subject: subject, HTML: w.whole(subject, Clean(preheader), blocks)}
	out.Text = (&plain{l: l, brand: b, links: values.Links, others: others}).whole(blocks)
	out.Files = distinct(w.files)
	out.Findings = lint(lintInput{
		version: v, variant: variant, compiled: cv, declared: c.declared, vars: vars, values: values, brand: b, hrefs: w.hrefs, rendered: out,
	})
	return out, nil
}

func (x *expander) blocks(all []Block) ([]Block, error) {
	if x.err != nil {
		return nil, x.err
	}
	out := make([]Block, 0, len(all)+3)
	for i, b := range all {
		if !x.shows(b) {
			if x.err != nil {
				return nil, under(x.err, "blocks[%d]", i)
			}
			continue
		}
		done, err := b.expand(x)
		if err != nil {
			return nil, under(err, "blocks[%d]", i)
		}
		out = append(out, done)
	}
	return out, nil
}

// enforced puts into every commercial message what the law asks of it, whatever its author left out: the identification as an
// advertisement, the postal address and the opt-out. 15 USC 7704(a)(5), 16 CFR 316.5.
func enforced(blocks []Block, class organisation.Class) []Block {
	if class != organisation.ClassCommercial {
		return blocks
	}
	for _, want := range []Block{Advertisement{}, Address{}, Unsubscribe{}} {
		if !slices.ContainsFunc(blocks, func(b Block) bool { return b.kind() == want.kind() }) {
			blocks = append(blocks, want)
		}
	}
	return blocks
}

// others lists the other languages that the message has and that a page exists for.
func (c *compiled) others(chosen int, links Links) []otherLanguage {
	var out []otherLanguage
	for i, v := range c.variants {
		tag := v.tag.String()
		if link := links.Languages[tag]; i != chosen && link != "" {
			out = append(out, otherLanguage{tag, languageName(v.tag), link})
		}
	}
	return out
}

// languageName gives a language's own name for itself.
func languageName(tag language.Tag) string {
	if name := display.Self.Name(tag); name != "" {
		return name
	}
	return tag.String()
}

func distinct(files []id.File) []id.File {
	var out []id.File
	for _, f := range files {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
