package compose

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// locale writes dates, times and numbers in one language, and the few words that blocks bring themselves.
type locale struct {
	tag  language.Tag
	base string
}

func localeOf(tag language.Tag) locale {
	base, _ := tag.Base()
	return locale{tag, base.String()}
}

// RightToLeft tells whether the language is written from right to left.
func RightToLeft(tag language.Tag) bool {
	script, _ := tag.Script()
	switch script.String() {
	case "Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg":
		return true
	}
	return false
}

type calendar struct {
	months, days []string
	long         string // %d day, %m month name, %n month number, %y year, %w weekday
	full         string
	half         bool // the clock has 12 hours
	am, pm       string
}

var calendars = map[string]calendar{
	"en": {
		fields("January February March April May June July August September October November December"),
		fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday"), "%m %d, %y", "%w, %m %d, %y", true, "AM", "PM",
	},
	"es": {
		fields("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
		fields("domingo lunes martes miércoles jueves viernes sábado"), "%d de %m de %y", "%w, %d de %m de %y", true, "a. m.", "p. m.",
	},
	"fr": {
		fields("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
		fields("dimanche lundi mardi mercredi jeudi vendredi samedi"), "%d %m %y", "%w %d %m %y", false, "", "",
	},
	"pt": {
		fields("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
		fields("domingo segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado"), "%d de %m de %y", "%w, %d de %m de %y", false, "", "",
	},
	"de": {
		fields("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
		fields("Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag"), "%d. %m %y", "%w, %d. %m %y", false, "", "",
	},
	"zh": {nil, fields("星期日 星期一 星期二 星期三 星期四 星期五 星期六"), "%y年%n月%d日", "%y年%n月%d日%w", false, "", ""},
}

func fields(s string) []string { return strings.Fields(s) }

// parseMoment reads 2026-11-24 or RFC 3339; the offset in the value is the one that is shown.
func parseMoment(v any) (t time.Time, clock bool, err error) {
	s, ok := v.(string)
	if !ok {
		return t, false, errBadValue
	}
	if t, err = time.Parse(time.DateOnly, s); err == nil {
		return t, false, nil
	}
	if t, err = time.Parse(time.RFC3339, s); err == nil {
		return t, true, nil
	}
	return t, false, errBadValue
}

// date writes a date in the styles long, full (with the weekday), short (2026-11-24) and weekday.
func (l locale) date(v any, style string) (any, error) {
	t, _, err := parseMoment(v)
	if err != nil {
		return nil, err
	}
	c, known := calendars[l.base]
	pattern := c.long
	switch style {
	case "long":
	case "full":
		pattern = c.full
	case "weekday":
		pattern = "%w"
	case "short":
		known = false
	default:
		return nil, errBadValue
	}
	if !known {
		return t.Format(time.DateOnly), nil // ISO 8601 is read alike in every language
	}
	month := ""
	if c.months != nil {
		month = c.months[t.Month()-1]
	}
	return strings.NewReplacer("%d", strconv.Itoa(t.Day()), "%m", month, "%n", strconv.Itoa(int(t.Month())), "%y", strconv.Itoa(t.Year()),
		"%w", c.days[t.Weekday()]).Replace(pattern), nil
}

// clock writes the time of day of an RFC 3339 value.
func (l locale) clock(v any) (any, error) {
	t, clock, err := parseMoment(v)
	if err != nil || !clock {
		return nil, errBadValue
	}
	c := calendars[l.base]
	if !c.half {
		return t.Format("15:04"), nil
	}
	half := c.am
	if t.Hour() >= 12 {
		half = c.pm
	}
	return t.Format("3:04") + "\u00a0" + strings.ReplaceAll(half, " ", "\u00a0"), nil
}

// number writes a number with the language's separators; the argument says how many decimals.
func (l locale) number(v any, args []any) (any, error) {
	x, ok := number(v)
	if !ok {
		return nil, errBadValue
	}
	digits := 0.0
	if len(args) == 1 {
		if digits, ok = number(args[0]); !ok || digits < 0 || digits > 6 {
			return nil, errBadValue
		}
	}
	return message.NewPrinter(l.tag).Sprintf("%.*f", int(digits), x), nil
}

// words that blocks bring themselves, in the languages we can vouch for; English stands in for the others, marked as such.
var words = map[string]map[string]string{
	"en": {
		"advertisement": "This is an advertisement.", "unsubscribe": "Unsubscribe", "optout": "You can stop these emails at any time:",
		"languages": "Read this message in:", "info": "Note", "warning": "Important", "success": "Done", "phone": "Phone",
	},
	"es": {
		"advertisement": "Este es un anuncio publicitario.", "unsubscribe": "Cancelar suscripción", "optout": "Puede dejar de recibir estos correos en cualquier momento:", //nolint:misspell // not English
		"languages": "Lea este mensaje en:", "info": "Nota", "warning": "Importante", "success": "Listo", "phone": "Teléfono",
	},
	"fr": {
		"advertisement": "Ceci est une publicité.", "unsubscribe": "Se désabonner", "optout": "Vous pouvez arrêter ces courriels à tout moment :",
		"languages": "Lire ce message en :", "info": "Note", "warning": "Important", "success": "Terminé", "phone": "Téléphone",
	},
	"pt": {
		"advertisement": "Este é um anúncio publicitário.", "unsubscribe": "Cancelar inscrição", "optout": "Você pode parar de receber estes e-mails a qualquer momento:", //nolint:misspell // not English
		"languages": "Leia esta mensagem em:", "info": "Nota", "warning": "Importante", "success": "Pronto", "phone": "Telefone",
	},
}

func (l locale) word(key string) string {
	if w, ok := words[l.base]; ok {
		return w[key]
	}
	return words["en"][key]
}
