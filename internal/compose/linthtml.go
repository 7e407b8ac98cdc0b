package compose

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/carepost/carepost/internal/organisation"
)

// trackers are hosts whose whole business is to learn who reads what. 45 CFR 164.502(a): what they learn of a patient is a disclosure.
var trackers = []string{
	"google-analytics.com", "googletagmanager.com", "doubleclick.net", "facebook.com", "facebook.net", "hotjar.com", "mixpanel.com", "segment.io", "segment.com",
	"list-manage.com", "sendgrid.net", "mandrillapp.com", "mailchimp.com", "hubspot.com", "hubspotemail.net", "pardot.com", "marketo.com", "exct.net", "klaviyomail.com",
	"mailgun.org", "sparkpostmail.com", "litmus.com", "emltrk.com", "bananatag.com", "yesware.com", "mixmax.com", "streak.com", "tiktok.com", "bing.com", "linkedin.com",
}

var (
	tiny      = regexp.MustCompile(`(?i)(^|[;\s])(width|height)\s*:\s*[01](px)?\s*(;|$|!)`)
	remoteURL = regexp.MustCompile(`(?i)url\(\s*['"]?\s*(https?:)?//([^/'")\s:]+)`)
)

// LintForeign judges a whole message that compose did not write. A clinical word in its subject counts as merged: nobody says that it
// is a topic.
func LintForeign(subject, text, source string, class organisation.Class, hosts []string) []Finding {
	out := lintSubject(subject, class)
	if len(clinicalWords(subject)) > 0 {
		out = append(out, Finding{FindSubjectClinical, SeverityBlock, "subject", "the subject names a condition or a drug", "45 CFR 164.530(c)"})
	}
	if endToEnd.MatchString(text) && encryption.MatchString(text) {
		out = append(out, claimFinding)
	}
	if strings.TrimSpace(text) == "" {
		out = append(out, Finding{FindTextMissing, SeverityWarn, "text", "there is no plain text", ""})
	}
	return append(out, LintHTML(source, hosts)...)
}

// LintHTML judges HTML that compose did not write: a message handed in at the gateway or by the API. It looks at what is fetched and
// what is linked; it does not mend anything.
func LintHTML(source string, hosts []string) []Finding {
	l := &htmlLint{hosts: hosts}
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return append(l.found, lintLinks(l.links, hosts, func(string) bool { return false })...)
		case html.StartTagToken, html.SelfClosingTagToken:
			l.element(z.Token())
		case html.TextToken, html.EndTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

type htmlLint struct {
	hosts []string
	links []string
	found []Finding
}

func (l *htmlLint) add(f Finding) {
	if !slices.ContainsFunc(l.found, func(have Finding) bool { return have.Code == f.Code }) {
		l.found = append(l.found, f)
	}
}

func (l *htmlLint) element(t html.Token) {
	attrs := map[string]string{}
	for _, a := range t.Attr {
		attrs[a.Key] = a.Val
	}
	switch t.Data {
	case "a", "area":
		if attrs["href"] != "" {
			l.links = append(l.links, attrs["href"])
		}
	case "img":
		if _, ok := attrs["alt"]; !ok {
			l.add(Finding{FindAltMissing, SeverityWarn, "img", "an image has no alternative text", "WCAG 2.2, 1.1.1"})
		}
		small := attrs["width"] == "1" || attrs["width"] == "0" || attrs["height"] == "1" || attrs["height"] == "0" || tiny.MatchString(attrs["style"])
		l.fetched(attrs["src"], small)
	case "link", "script", "iframe", "object", "embed", "video", "audio", "source":
		if l.foreign(attrs["href"]) || l.foreign(attrs["src"]) || l.foreign(attrs["data"]) {
			l.tracker(t.Data)
		}
	}
	l.fetched(attrs["background"], false)
	for _, m := range remoteURL.FindAllStringSubmatch(attrs["style"], -1) {
		l.fetched("https://"+m[2]+"/", false)
	}
}

func (l *htmlLint) foreign(link string) bool {
	if strings.HasPrefix(link, "//") {
		link = "https:" + link
	}
	if strings.HasPrefix(strings.ToLower(link), "http://") {
		link = "https" + link[len("http"):]
	}
	h := host(link)
	return h != "" && !belongs(h, l.hosts)
}

// fetched judges something that the reader's client would load.
func (l *htmlLint) fetched(link string, small bool) {
	if !l.foreign(link) {
		return
	}
	h := host(strings.Replace(strings.ToLower(link), "http://", "https://", 1))
	if small || belongs(h, trackers) {
		l.tracker("img")
		return
	}
	l.add(Finding{FindImageForeign, SeverityBlock, "img", "an image is fetched from a host that is not ours, which learns who reads", "45 CFR 164.502(a)"})
}

func (l *htmlLint) tracker(where string) {
	l.add(Finding{FindTracker, SeverityBlock, where, "something is fetched from elsewhere to watch the reader", "45 CFR 164.502(a)"})
}
