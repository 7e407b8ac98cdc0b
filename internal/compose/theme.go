package compose

import (
	"math"
	"regexp"
	"strconv"

	"github.com/carepost/carepost/internal/fault"
)

// Brand is what a message wears and who it says it is from: plain values, taken from the organisation by the caller.
type Brand struct {
	Name   string   // the organisation's public display name
	Phone  string   // for questions; may be empty
	Postal []string // lines of the postal address: 16 CFR 316.2(p)
	Hosts  []string // our own hosts: links elsewhere are findings
	Theme  Theme    // zero is the product's own look
}

// Theme is the small set of colours a brand may set, light and dark. Colours are #rrggbb.
type Theme struct {
	Light, Dark Palette
}

// Palette is one side of a theme.
type Palette struct {
	Frame    string `json:"frame"`     // around the message
	Surface  string `json:"surface"`   // behind the text
	Ink      string `json:"ink"`       // text
	Soft     string `json:"soft"`      // footer and captions
	Line     string `json:"line"`      // hairlines
	Accent   string `json:"accent"`    // links and the button
	OnAccent string `json:"on_accent"` // the button's label
	Tint     string `json:"tint"`      // behind callouts and table heads
}

// DefaultTheme is the product's own look.
func DefaultTheme() Theme {
	return Theme{
		Light: Palette{"#f3f5f4", "#ffffff", "#16201d", "#46504c", "#ccd2cf", "#0b5966", "#ffffff", "#f3f5f4"},
		Dark:  Palette{"#0d1211", "#131918", "#e7ecea", "#b7c0bc", "#3a4542", "#79c6d1", "#06252b", "#1c2423"},
	}
}

func (b Brand) theme() Theme {
	if b.Theme == (Theme{}) {
		return DefaultTheme()
	}
	return b.Theme
}

var colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// Check tells whether the theme's colours can be read: WCAG 2.2, 1.4.3, at least 4.5 to 1 for every text.
func (t Theme) Check() error {
	for side, p := range map[string]Palette{"light": t.Light, "dark": t.Dark} {
		for name, c := range map[string]string{
			"frame": p.Frame, "surface": p.Surface, "ink": p.Ink, "soft": p.Soft, "line": p.Line, "accent": p.Accent, "on_accent": p.OnAccent, "tint": p.Tint,
		} {
			if !colour.MatchString(c) {
				return fault.New(fault.Invalid, "not a colour").At("theme.%s.%s", side, name).Hint("write # and six hexadecimal digits")
			}
		}
		for _, pair := range p.pairs() {
			if Contrast(pair.fore, pair.back) < 4.5 {
				return fault.New(fault.Invalid, "%s cannot be read", pair.name).At("theme.%s", side).Hint("its contrast must be 4.5 to 1 or better")
			}
		}
	}
	return nil
}

type pair struct{ name, fore, back string }

func (p Palette) pairs() []pair {
	return []pair{
		{"ink on surface", p.Ink, p.Surface},
		{"ink on tint", p.Ink, p.Tint},
		{"soft on surface", p.Soft, p.Surface},
		{"soft on frame", p.Soft, p.Frame},
		{"accent on surface", p.Accent, p.Surface},
		{"accent on frame", p.Accent, p.Frame},
		{"accent on tint", p.Accent, p.Tint},
		{"on_accent on accent", p.OnAccent, p.Accent},
	}
}

// Contrast is the ratio of WCAG 2.2 between two colours #rrggbb, from 1 to 21; 0 when one is not a colour.
func Contrast(a, b string) float64 {
	if !colour.MatchString(a) || !colour.MatchString(b) {
		return 0
	}
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(c string) float64 {
	channel := func(hex string) float64 {
		n, _ := strconv.ParseUint(hex, 16, 8) // checked by the pattern
		v := float64(n) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(c[1:3]) + 0.7152*channel(c[3:5]) + 0.0722*channel(c[5:7])
}
