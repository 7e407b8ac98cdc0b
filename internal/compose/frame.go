package compose

import (
	"strings"
)

// whole writes the document around the blocks.
func (w *page) whole(subject, preheader string, blocks []Block) string {
	dir := "ltr"
	if w.rtl {
		dir = "rtl"
	}
	const usual = 12 << 10
	w.b.Grow(usual)
	tag := w.l.tag.String() // a parsed tag: letters, digits and hyphens
	w.raw(`<!DOCTYPE html>`, "\n", `<html lang="`, tag, `" dir="`, dir, `">`, "\n", `<head>`, "\n",
		`<meta charset="utf-8">`, "\n",
		`<meta name="viewport" content="width=device-width, initial-scale=1">`, "\n",
		`<meta name="color-scheme" content="light dark">`, "\n",
		`<meta name="supported-color-schemes" content="light dark">`, "\n",
		`<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">`, "\n",
		`<title>`)
	w.text(subject)
	w.raw(`</title>`, "\n", w.style(), `<!--[if mso]><style>table{border-collapse:collapse}td,th,p,a,li,h1,h2,h3{font-family:Arial,sans-serif!important}</style><![endif]-->`, "\n",
		`</head>`, "\n", `<body class="f" style="margin:0;padding:0;background-color:`, w.c.Frame, `">`, "\n")
	if preheader != "" {
		w.raw(`<div aria-hidden="true" style="display:none;max-height:0;overflow:hidden;mso-hide:all">`)
		w.text(preheader)
		w.raw(strings.Repeat("&#847;&zwnj;&nbsp;", 20), `</div>`, "\n") // keeps the body's first words out of the list
	}
	w.raw(`<div role="article" aria-roledescription="email" lang="`, tag, `" dir="`, dir, `"`)
	w.attr("aria-label", subject)
	w.raw(`>`, "\n", `<table role="presentation" class="f" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="`, w.c.Frame, `" style="background-color:`, w.c.Frame, `">`, "\n",
		`<tr><td align="center" style="padding:24px 0">`, "\n",
		`<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`, "\n",
		`<table role="presentation" class="s" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="`, w.c.Surface,
		`" style="max-width:600px;background-color:`, w.c.Surface, `;border-radius:8px">`, "\n",
		`<tr><td class="p" align="`, w.start(), `" style="padding:24px 32px 16px;font-family:`, fonts, `"><p class="i" style="margin:0;font-size:17px;line-height:24px;font-weight:700;color:`, w.c.Ink, `">`)
	w.text(w.brand.Name)
	w.raw(`</p></td></tr>`, "\n")
	for _, b := range blocks {
		b.html(w)
	}
	w.raw(`<tr><td height="16" style="height:16px;font-size:1px;line-height:16px">&nbsp;</td></tr>`, "\n",
		`</table>`, "\n", `<!--[if mso]></td></tr></table><![endif]-->`, "\n", `</td></tr>`, "\n", `</table>`, "\n", `</div>`, "\n", `</body>`, "\n", `</html>`, "\n")
	return w.b.String()
}

// style holds what cannot stand in an element: the dark side and narrow screens. [data-ogsc] and [data-ogsb] are how the Outlook apps
// mark their own dark mode.
func (w *page) style() string {
	rules := [...][2]string{
		{".f", "background-color:" + w.dark.Frame + "!important"},
		{".s", "background-color:" + w.dark.Surface + "!important"},
		{".t", "background-color:" + w.dark.Tint + "!important"},
		{".i", "color:" + w.dark.Ink + "!important"},
		{".q", "color:" + w.dark.Soft + "!important"},
		{".a", "color:" + w.dark.Accent + "!important"},
		{".l", "border-color:" + w.dark.Line + "!important"},
		{".b", "background-color:" + w.dark.Accent + "!important;color:" + w.dark.OnAccent + "!important"},
	}
	var b strings.Builder
	b.Grow(2 << 10)
	b.WriteString("<style>\n:root{color-scheme:light dark;supported-color-schemes:light dark}\n@media (prefers-color-scheme:dark){")
	for _, r := range rules {
		for _, part := range [...]string{r[0], "{", r[1], "}"} {
			b.WriteString(part)
		}
	}
	b.WriteString("}\n@media (max-width:480px){.p{padding-left:20px!important;padding-right:20px!important}}\n</style>\n<style>\n") // a client that drops the second keeps the first
	for _, r := range rules {
		for _, part := range [...]string{"[data-ogsc] ", r[0], ",[data-ogsb] ", r[0], "{", r[1], "}"} {
			b.WriteString(part)
		}
	}
	b.WriteString("\n</style>\n")
	return b.String()
}
