package compose

import (
	"html"
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/id"
)

// pageWidth is the width that every client shows whole.
const pageWidth = 600

const fonts = "-apple-system,'Segoe UI',Roboto,'Noto Sans','Helvetica Neue',Arial,sans-serif"

// page writes HTML that mail clients keep: tables for the frame, styles in the elements (Gmail and Outlook drop or rewrite the rest),
// classes only for dark mode and narrow screens. Every text goes through text or attr, which escape.
type page struct {
	b      strings.Builder
	c      Palette
	dark   Palette
	l      locale
	brand  Brand
	links  Links
	others []otherLanguage
	rtl    bool
	files  []id.File
	hrefs  []string // every link written, for the lint
}

type otherLanguage struct{ tag, name, link string }

// raw writes our own markup: constant strings and numbers, never a value.
func (w *page) raw(parts ...string) {
	for _, p := range parts {
		w.b.WriteString(p)
	}
}

func (w *page) text(s string) { w.b.WriteString(html.EscapeString(s)) }

func (w *page) attr(name, value string) {
	w.raw(" ", name, `="`)
	w.text(value)
	w.raw(`"`)
}

// href writes a link's address and keeps it for the lint.
func (w *page) href(link string) {
	w.attr("href", link)
	w.hrefs = append(w.hrefs, link)
}

func (w *page) start() string {
	if w.rtl {
		return "right"
	}
	return "left"
}

// row opens a table row that holds one block.
func (w *page) row(below int) {
	w.raw(`<tr><td class="p" align="`, w.start(), `" style="padding:0 32px `, strconv.Itoa(below), `px;font-family:`, fonts, `">`)
}

func (w *page) close() { w.raw("</td></tr>\n") }

func (w *page) spans(spans []span) {
	for _, s := range spans {
		if s.link != "" {
			w.raw(`<a class="a" style="color:`, w.c.Accent, `;text-decoration:underline"`)
			w.href(s.link)
			w.raw(">")
		}
		if s.bold {
			w.raw(`<strong>`)
		}
		if s.italic {
			w.raw(`<em>`)
		}
		w.text(s.text)
		if s.italic {
			w.raw(`</em>`)
		}
		if s.bold {
			w.raw(`</strong>`)
		}
		if s.link != "" {
			w.raw(`</a>`)
		}
	}
}

func (w *page) lines(lines [][]span) {
	for i, l := range lines {
		if i > 0 {
			w.raw("<br>")
		}
		w.spans(l)
	}
}

func (w *page) rich(rich string) {
	all := paragraphs(rich)
	for i, p := range all {
		below := "16px"
		if i == len(all)-1 {
			below = "0"
		}
		w.raw(`<p class="i" style="margin:0 0 `, below, `;font-size:16px;line-height:24px;color:`, w.c.Ink, `">`)
		w.lines(p)
		w.raw(`</p>`)
	}
}

func (w *page) cell(rich string) {
	for i, p := range paragraphs(rich) {
		if i > 0 {
			w.raw("<br><br>")
		}
		w.lines(p)
	}
}

func (w *page) soft(class string) string {
	return `<p class="q" style="margin:0;font-size:14px;line-height:20px;color:` + w.c.Soft + class + `">`
}

func (b Heading) html(w *page) {
	n := strconv.Itoa(b.Level)
	look := [...]string{"24px;line-height:30px", "20px;line-height:26px", "17px;line-height:24px"}[b.Level-1]
	w.row(12)
	w.raw(`<h`, n, ` class="i" style="margin:0;font-size:`, look, `;font-weight:700;color:`, w.c.Ink, `">`)
	w.text(b.Text)
	w.raw(`</h`, n, `>`)
	w.close()
}

func (b Text) html(w *page) {
	w.row(16)
	w.rich(b.Text)
	w.close()
}

func (b Callout) html(w *page) {
	w.row(16)
	w.raw(`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td class="t" style="padding:16px;background-color:`,
		w.c.Tint, `;border-`, w.start(), `:6px solid `, w.c.Accent, `"><p class="i" style="margin:0 0 4px;font-size:16px;line-height:24px;font-weight:700;color:`, w.c.Ink, `">`)
	w.text(b.title(w.l))
	w.raw(`</p>`)
	w.rich(b.Text)
	w.raw(`</td></tr></table>`)
	w.close()
}

func (b Callout) title(l locale) string {
	if b.Title != "" {
		return b.Title
	}
	return l.word(b.Tone)
}

func (b Button) html(w *page) {
	w.row(20)
	// Padding on the cell and on the link: Outlook keeps the first, the others make the whole area the target (44 px and more).
	w.raw(`<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td class="b" bgcolor="`, w.c.Accent, `" style="border-radius:6px;background-color:`, w.c.Accent,
		`"><a class="b" style="display:inline-block;padding:14px 24px;font-family:`, fonts, `;font-size:16px;line-height:20px;font-weight:700;color:`, w.c.OnAccent,
		`;text-decoration:none;border-radius:6px"`)
	w.href(b.URL)
	w.raw(`>`)
	w.text(b.Label)
	w.raw(`</a></td></tr></table>`)
	w.close()
}

func (b List) html(w *page) {
	if len(b.Items) == 0 {
		return
	}
	tag := "ul"
	if b.Ordered {
		tag = "ol"
	}
	w.row(16)
	w.raw(`<`, tag, ` class="i" style="margin:0;padding-`, w.start(), `:24px;font-size:16px;line-height:24px;color:`, w.c.Ink, `">`)
	for _, item := range b.Items {
		w.raw(`<li style="margin:0 0 6px">`)
		w.cell(item)
		w.raw(`</li>`)
	}
	w.raw(`</`, tag, `>`)
	w.close()
}

func (b Table) html(w *page) {
	if len(b.Rows) == 0 {
		return
	}
	cell := `style="padding:8px 10px;border-bottom:1px solid ` + w.c.Line + `;font-size:15px;line-height:22px;color:` + w.c.Ink + `"`
	w.row(16)
	w.raw(`<table width="100%" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse">`)
	if b.Caption != "" {
		w.raw(`<caption class="q" style="text-align:`, w.start(), `;padding:0 0 6px;font-size:14px;line-height:20px;color:`, w.c.Soft, `">`)
		w.text(b.Caption)
		w.raw(`</caption>`)
	}
	w.raw(`<thead><tr>`)
	for _, h := range b.Header {
		w.raw(`<th scope="col" class="i t l" align="`, w.start(), `" bgcolor="`, w.c.Tint, `" `, cell, `>`)
		w.text(h)
		w.raw(`</th>`)
	}
	w.raw(`</tr></thead><tbody>`)
	for _, row := range b.Rows {
		w.raw(`<tr>`)
		for _, c := range row {
			w.raw(`<td class="i l" align="`, w.start(), `" valign="top" `, cell, `>`)
			w.cell(c)
			w.raw(`</td>`)
		}
		w.raw(`</tr>`)
	}
	w.raw(`</tbody></table>`)
	w.close()
}

// ContentID is the Content-ID under which a message refers to a stored file.
func ContentID(f id.File) string { return f.String() + "@inline" }

func (b Image) html(w *page) {
	width := b.Width
	if width == 0 {
		width = pageWidth - 64
	}
	n := strconv.Itoa(min(width, pageWidth-64))
	w.row(16)
	if b.URL != "" {
		w.raw(`<a`)
		w.href(b.URL)
		w.raw(`>`)
	}
	w.raw(`<img width="`, n, `" border="0" style="display:block;width:100%;max-width:`, n, `px;height:auto;border:0"`)
	w.attr("src", "cid:"+ContentID(b.File))
	w.attr("alt", b.Alt) // empty for a decorative one: screen readers pass it by
	w.raw(`>`)
	if b.URL != "" {
		w.raw(`</a>`)
	}
	w.close()
	w.files = append(w.files, b.File)
}

func (b Divider) html(w *page) {
	w.row(16)
	w.raw(`<hr class="l" style="margin:0;border:0;border-top:1px solid `, w.c.Line, `">`)
	w.close()
}

func (b Spacer) html(w *page) {
	n := strconv.Itoa(b.Size)
	w.raw(`<tr><td aria-hidden="true" height="`, n, `" style="height:`, n, `px;font-size:1px;line-height:`, n, `px">&nbsp;</td></tr>`, "\n")
}

func (b Address) html(w *page) {
	w.row(12)
	w.raw(w.soft(""))
	for i, line := range w.brand.lines(w.l) {
		if i > 0 {
			w.raw("<br>")
		}
		w.text(line)
	}
	w.raw(`</p>`)
	w.close()
}

func (b Unsubscribe) html(w *page) {
	if w.links.Unsubscribe == "" {
		return
	}
	w.row(12)
	w.raw(w.soft(""))
	w.text(b.notice(w.l))
	w.raw(` `)
	w.spans([]span{{text: w.l.word("unsubscribe"), link: w.links.Unsubscribe}})
	w.raw(`</p>`)
	w.close()
}

func (b Unsubscribe) notice(l locale) string {
	if b.Text != "" {
		return b.Text
	}
	return l.word("optout")
}

func (b Advertisement) html(w *page) {
	w.row(12)
	w.raw(w.soft(""))
	w.text(w.l.word("advertisement"))
	w.raw(`</p>`)
	w.close()
}

func (b Languages) html(w *page) {
	if len(w.others) == 0 {
		return
	}
	w.row(12)
	w.raw(w.soft(""))
	w.text(w.l.word("languages"))
	for _, o := range w.others {
		w.raw(` <span lang="`, o.tag, `">`)
		w.spans([]span{{text: o.name, link: o.link}})
		w.raw(`</span>`)
	}
	w.raw(`</p>`)
	w.close()
}
