package pickup

import (
	"sync"
	"time"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
)

// Notice is what a notice is made of. It says that something waits, and no more: the address line and the organisation's public name are
// all that anybody on the way learns.
type Notice struct {
	From      compose.Mailbox
	To        compose.Mailbox // without a display name: Message drops it
	Brand     compose.Brand
	Languages []string // the recipient's, the preferred first
	Link      string   // Pickups.Link
	Reminder  bool
	ID        string // of the Message-ID
	Date      time.Time
	Feedback  string // Feedback-ID
}

// Message renders the notice, of purpose service and of the transactional class.
func (n Notice) Message() (compose.Message, error) {
	version, err := fixed()
	if err != nil {
		return compose.Message{}, err
	}
	out, err := compose.Render(version, compose.Values{
		Languages: n.Languages, Vars: map[string]any{"link": n.Link, "reminder": n.Reminder},
	}, n.Brand)
	if err != nil {
		return compose.Message{}, err
	}
	to, err := compose.NewMailbox("", n.To.Address()) // the recipient's name is not for the way
	if err != nil {
		return compose.Message{}, err
	}
	m := compose.Message{
		From: n.From, To: []compose.Mailbox{to}, Subject: out.Subject, Date: n.Date, ID: n.ID,
		Language: out.Language, Text: out.Text, HTML: out.HTML, FeedbackID: n.Feedback, Automatic: true,
	}
	return m, m.Check()
}

// fixed is the one template of notices, in the languages that a person reviewed.
var fixed = sync.OnceValues(func() (compose.TemplateVersion, error) {
	variables := []compose.Variable{{Name: "link", Kind: compose.KindLink}, {Name: "reminder", Kind: compose.KindFlag}}
	return compose.NewVersion(compose.Content{
		Version: compose.ContentVersion, Variables: variables,
		Variants: []compose.Variant{
			notice("en", notices["en"]),
			notice("es", notices["es"]),
		},
	}, ledger.PurposeService, organisation.ClassTransactional)
})

type noticeText struct {
	subject, reminderSubject, heading, body, reminderBody, button, help, privacy string
}

var notices = map[string]noticeText{
	"en": {
		subject:         "You have a new private message",
		reminderSubject: "A private message is still waiting for you",
		heading:         "You have a private message",
		body:            "{{ organisation.name }} has sent you a private message. To protect your privacy, it is kept on a secure page.",
		reminderBody:    "{{ organisation.name }} sent you a private message that you have not read yet. To protect your privacy, it is kept on a secure page.",
		button:          "Read the message",
		help:            "If the button does not work, copy this address into your browser:",
		privacy:         "This link is for you alone. Please do not forward this email. You need no account and no password.",
	},
	"es": {
		subject:         "Tiene un nuevo mensaje privado",
		reminderSubject: "Un mensaje privado sigue esperándole",
		heading:         "Tiene un mensaje privado",
		body:            "{{ organisation.name }} le ha enviado un mensaje privado. Para proteger su privacidad, se guarda en una página segura.",
		reminderBody:    "{{ organisation.name }} le envió un mensaje privado que aún no ha leído. Para proteger su privacidad, se guarda en una página segura.",
		button:          "Leer el mensaje",
		help:            "Si el botón no funciona, copie esta dirección en su navegador:",
		privacy:         "Este enlace es solo para usted. Por favor, no reenvíe este correo. No necesita cuenta ni contraseña.",
	},
}

func notice(language string, t noticeText) compose.Variant {
	return compose.Variant{
		Language: language,
		Subject:  "{% if reminder %}" + t.reminderSubject + "{% else %}" + t.subject + "{% endif %}",
		Blocks: compose.Blocks{
			compose.Heading{Level: 1, Text: t.heading},
			compose.Text{Show: compose.Show{When: "reminder == false"}, Text: t.body},
			compose.Text{Show: compose.Show{When: "reminder"}, Text: t.reminderBody},
			compose.Button{Label: t.button, URL: "{{ link }}"},
			compose.Text{Text: t.help + "\n[{{ link }}]({{ link }})"},
			compose.Text{Text: t.privacy},
			compose.Divider{},
			compose.Address{},
		},
	}
}
