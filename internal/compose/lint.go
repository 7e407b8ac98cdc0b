package compose

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/language"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

// Sizes that receivers and clients set.
const (
	clippedBytes  = 100 << 10 // Gmail cuts the HTML at about 102 KB
	warnMailBytes = 10 << 20
	maxMailBytes  = 25 << 20 // Gmail, Microsoft 365 and most others
	longSubject   = 90
)

type lintInput struct {
	version  TemplateVersion
	variant  Variant
	compiled compiledVariant
	declared map[string]Variable
	vars     map[string]any
	values   Values
	brand    Brand
	hrefs    []string
	rendered Rendered
}

// lint judges one rendered message. It is pure, and no finding repeats what it read.
func lint(in lintInput) []Finding {
	var out []Finding
	out = append(out, lintSubject(in.rendered.Subject, in.version.Class)...)
	out = append(out, lintMergedSubject(in)...)
	out = append(out, lintCommercial(in)...)
	out = append(out, lintLinks(in.hrefs, in.brand.Hosts, func(link string) bool { return !in.fixed(link) })...)
	out = append(out, lintValues(in)...)
	if in.compiled.claims {
		out = append(out, claimFinding)
	}
	out = append(out, lintSizes(in.rendered)...)
	out = append(out, lintLanguage(in)...)
	if in.brand.Theme == (Theme{}) { // a test holds the default theme against the rule
		return out
	}
	if err := in.brand.Theme.Check(); err != nil {
		out = append(out, Finding{FindTheme, SeverityBlock, "brand", "the colours cannot be read: " + fault.Text(err), "WCAG 2.2, 1.4.3"})
	}
	return out
}

// fixed tells whether a link stands in the source as it is, or is one of the message's own links.
func (in lintInput) fixed(link string) bool {
	own := []string{in.values.Links.Unsubscribe, in.values.Links.Preferences, in.values.Links.View}
	for _, l := range in.values.Links.Languages {
		own = append(own, l)
	}
	if slices.Contains(own, link) {
		return true
	}
	for key := range in.compiled.programs {
		if strings.Contains(key.text, link) {
			return true
		}
	}
	return false
}

var replyPrefix = regexp.MustCompile(`(?i)^\s*(re|fwd?|aw|wg|rv|tr)\s*(\[\d+\])?\s*:`)

// lintSubject judges a subject line by itself.
func lintSubject(subject string, class organisation.Class) []Finding {
	var out []Finding
	upper, letters := 0, 0
	for _, r := range subject {
		if unicode.IsLetter(r) {
			letters++
			if unicode.IsUpper(r) {
				upper++
			}
		}
	}
	const someLetters = 8
	switch {
	case subject == "":
		out = append(out, Finding{FindSubjectEmpty, SeverityBlock, "subject", "nothing is left of the subject", ""})
	case len([]rune(subject)) > longSubject:
		out = append(out, Finding{FindSubjectLong, SeverityNote, "subject", "most clients cut the subject", ""})
	}
	if letters >= someLetters && upper*10 >= letters*8 {
		out = append(out, Finding{FindSubjectCapitals, SeverityWarn, "subject", "the subject is written in capitals", ""})
	}
	if replyPrefix.MatchString(subject) {
		severity := SeverityWarn
		if class == organisation.ClassCommercial {
			severity = SeverityBlock
		}
		out = append(out, Finding{FindSubjectReply, severity, "subject", "the subject says reply or forward, and the message is neither", "15 USC 7704(a)(2)"})
	}
	return out
}

var identifierName = regexp.MustCompile(`(^|[._])(birth|birthdate|birth_date|dob|mrn|ssn|record|record_number|member_id|identifier)$`)

// lintMergedSubject looks for health information in the subject: what the author declared clinical, and words of drugs and conditions.
func lintMergedSubject(in lintInput) []Finding {
	const rule = "45 CFR 164.502(b), 164.530(c)"
	var out []Finding
	merged := false
	if in.compiled.subject != nil {
		for _, s := range in.compiled.subject.shown {
			if in.declared[s.name].Clinical {
				merged = true
			}
			if identifierName.MatchString(s.name) {
				out = append(out, Finding{FindSubjectIdentifier, SeverityBlock, "subject", "the subject shows an identifier", rule})
			}
		}
	}
	fixed := wordSet(strings.Join(wordsOf(in.variant.Subject), " "))
	topic := false
	for _, w := range clinicalWords(in.rendered.Subject) {
		if fixed[w] {
			topic = true
		} else {
			merged = true
		}
	}
	if merged {
		out = append(out, Finding{FindSubjectClinical, SeverityBlock, "subject", "a merge field brings a condition or a drug into the subject", rule})
	}
	if topic {
		out = append(out, Finding{FindSubjectTopic, SeverityWarn, "subject", "the subject names a condition or a drug", rule})
	}
	return out
}

// lintCommercial holds a commercial message against 16 CFR 316. Render puts the blocks in; they need something to say.
func lintCommercial(in lintInput) []Finding {
	if in.version.Class != organisation.ClassCommercial {
		return nil
	}
	var out []Finding
	if host(in.values.Links.Unsubscribe) == "" {
		out = append(out, Finding{FindUnsubscribeMissing, SeverityBlock, "links.unsubscribe", "a commercial message has no way to opt out", "15 USC 7704(a)(3), (5)"})
	}
	if len(in.brand.Postal) == 0 {
		out = append(out, Finding{FindPostalMissing, SeverityBlock, "brand.postal", "a commercial message has no postal address", "15 USC 7704(a)(5)(A)(iii)"})
	}
	return out
}

var shorteners = []string{
	"bit.ly", "tinyurl.com", "t.co", "goo.gl", "ow.ly", "is.gd", "buff.ly", "rebrand.ly", "cutt.ly", "tiny.cc", "rb.gy", "shorturl.at", "lnkd.in", "t.ly",
	"bl.ink", "s.id", "v.gd", "qr.ae", "adf.ly", "shorte.st", "bit.do", "soo.gd", "x.co", "urlz.fr", "trib.al", "dlvr.it",
}

// lintLinks judges links by their hosts. merged tells whether a link carries values.
func lintLinks(links, hosts []string, merged func(string) bool) []Finding {
	var out []Finding
	seen := map[FindingCode]bool{}
	add := func(f Finding) {
		if !seen[f.Code] {
			seen[f.Code] = true
			out = append(out, f)
		}
	}
	for _, link := range links {
		if strings.HasPrefix(strings.ToLower(link), "http://") {
			add(Finding{FindLinkInsecure, SeverityBlock, "links", "a link is not https", ""})
			continue
		}
		h := host(link)
		switch {
		case h == "" || belongs(h, hosts):
		case belongs(h, shorteners):
			add(Finding{FindLinkShortener, SeverityBlock, "links", "a link goes through a public shortener", ""})
		case merged(link):
			add(Finding{FindLinkPHI, SeverityBlock, "links", "a link carries values to a host that is not ours", "45 CFR 164.502(a)"})
		default:
			add(Finding{FindLinkForeign, SeverityWarn, "links", "a link goes to a host that is not ours", ""})
		}
	}
	return out
}

// autoLink is what mail clients turn into a link by themselves.
var autoLink = regexp.MustCompile(`(?i)(https?://|www\.|(^|[\s(/])[a-z0-9-]+(\.[a-z0-9-]+)*\.(com|net|org|info|io|co|us|ru|cn|xyz|top|link|click|site|online|shop|app|dev|me|tk)\b)`)

// lintValues looks for values that become links at the reader's: a stranger's text in our message's clothes.
func lintValues(in lintInput) []Finding {
	names := map[string]bool{}
	for _, p := range in.compiled.programs {
		for _, n := range p.used {
			names[n] = true
		}
	}
	for name := range names {
		if in.declared[name].Kind == KindText && name != "organisation.name" || in.declared[name].Kind == KindList {
			if linksIn(get(in.vars, name)) {
				return []Finding{{FindLinkInValue, SeverityBlock, "values", "a value of the recipient's record reads as a link", ""}}
			}
		}
	}
	return nil
}

func linksIn(v any) bool {
	switch v := v.(type) {
	case string:
		return autoLink.MatchString(v)
	case map[string]any:
		for _, inner := range v {
			if linksIn(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, linksIn)
	}
	return false
}

var (
	endToEnd   = regexp.MustCompile(`(?i)end[\s-]+to[\s-]+end|extremo\s+a\s+extremo|punta\s+a\s+punta|bout\s+en\s+bout|ponta\s+a\s+ponta`)
	encryption = regexp.MustCompile(`(?i)encrypt|secur|cifrad|encriptad|segur|chiffr|criptogra`)
)

// claimFinding: no message of ours is encrypted end to end by TLS, so none says so.
var claimFinding = Finding{FindEndToEnd, SeverityBlock, "text", "the message claims end-to-end encryption", "15 USC 45(a)"}

// claims tells whether fixed texts make the claim. Values are the recipient's, and claim nothing in our name.
func claims(programs map[sourceKey]*program) bool {
	said, of := false, false
	for key := range programs {
		said = said || endToEnd.MatchString(key.text)
		of = of || encryption.MatchString(key.text)
	}
	return said && of
}

func lintSizes(r Rendered) []Finding {
	var out []Finding
	if strings.TrimSpace(r.Text) == "" {
		out = append(out, Finding{FindTextMissing, SeverityBlock, "text", "there is no plain text", ""})
	}
	if len(r.HTML) > clippedBytes {
		out = append(out, Finding{FindClipped, SeverityWarn, "html", "Gmail cuts HTML of this size", ""})
	}
	return out
}

// LintSize judges the size of a finished message.
func LintSize(size int) []Finding {
	switch {
	case size > maxMailBytes:
		return []Finding{{FindTooLarge, SeverityBlock, "message", "the message is larger than receivers take (25 MiB)", ""}}
	case size > warnMailBytes:
		return []Finding{{FindTooLarge, SeverityWarn, "message", "the message is larger than some receivers take (10 MiB)", ""}}
	}
	return nil
}

func lintLanguage(in lintInput) []Finding {
	var out []Finding
	if t := in.variant.Translation; t != nil && t.Machine && t.Reviewer == "" {
		severity := SeverityWarn
		if in.version.Purpose == ledger.PurposeTreatment || in.version.Purpose == ledger.PurposeRefill {
			severity = SeverityBlock
		}
		out = append(out, Finding{FindUnreviewed, severity, "translation", "nobody reviewed the machine translation", "45 CFR 92.201(c)(3)"})
	}
	if len(in.values.Languages) > 0 {
		want, err := language.Parse(in.values.Languages[0])
		got, _ := in.compiled.tag.Base()
		if base, _ := want.Base(); err == nil && base != got {
			out = append(out, Finding{FindLanguage, SeverityNote, "language", "the message is not there in the recipient's language", "45 CFR 92.11"})
		}
	}
	return out
}

// Lint judges a content before any recipient is known: what keeps it from being stored, and what its author should know.
func Lint(c Content, purpose ledger.Purpose, class organisation.Class, b Brand) []Finding {
	v, err := NewVersion(c, purpose, class)
	if err != nil {
		return []Finding{faultFinding(err)}
	}
	var out []Finding
	for i, cv := range v.compiled.variants {
		where := "variants[" + itoa(i) + "]"
		for key, p := range cv.programs {
			for _, s := range p.shown {
				if d := v.compiled.declared[s.name]; d.Optional && !s.hasDefault && !strings.Contains(key.text, "{% if "+s.name) {
					out = append(out, Finding{FindMergeOptional, SeverityWarn, where, s.name + " is optional and is shown without a default", ""})
				}
			}
		}
		if cv.claims {
			claim := claimFinding
			claim.Where = where
			out = append(out, claim)
		}
		for _, f := range lintSubject(c.Variants[i].Subject, class) {
			f.Where = where + "." + f.Where
			out = append(out, f)
		}
		for _, s := range cv.subject.shown {
			if v.compiled.declared[s.name].Clinical {
				out = append(out, Finding{FindSubjectClinical, SeverityBlock, where + ".subject", "the subject shows a clinical variable", "45 CFR 164.530(c)"})
			}
		}
	}
	if class == organisation.ClassCommercial && len(b.Postal) == 0 {
		out = append(out, Finding{FindPostalMissing, SeverityBlock, "brand.postal", "a commercial message has no postal address", "15 USC 7704(a)(5)(A)(iii)"})
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return strings.Compare(a.Where+string(a.Code)+a.Text, b.Where+string(b.Code)+b.Text)
	})
	return slices.Compact(out)
}

func faultFinding(err error) Finding {
	f := Finding{Code: FindMergeInvalid, Severity: SeverityBlock, Text: fault.Text(err)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Where, f.Text = e.Where, strings.TrimPrefix(e.Error(), e.Where+": ")
	}
	switch {
	case errors.Is(err, errUnclosed):
		f.Code = FindMergeUnclosed
	case errors.Is(err, errUnknown):
		f.Code = FindMergeUnknown
	case errors.Is(err, errAlt):
		f.Code, f.Rule = FindAltMissing, "WCAG 2.2, 1.1.1"
	}
	return f
}
