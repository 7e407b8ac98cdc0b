package compose_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"

	gomail "github.com/emersion/go-message/mail"
	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/compose"
	"github.com/carepost/carepost/internal/fault"
)

func message(t testing.TB) compose.Message {
	t.Helper()
	return compose.Message{
		From: mailbox(t, "Riverside Family Clinic", "care@riverside.example"), ReplyTo: mailbox(t, "", "r@reply.riverside.example"),
		To:      []compose.Mailbox{mailbox(t, "Ana Núñez", "ana@patient.example")},
		Subject: "Your visit on November 24, 2026", Date: sent, ID: "msg_1@riverside.example", Language: "en",
		Text: "Hello\n.\nFrom here\n", HTML: "<p>Hello</p>\n",
	}
}

func bytesOf(t testing.TB, m compose.Message) []byte {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMessageGolden(t *testing.T) {
	full := message(t)
	full.Subject = "Su cita del 24 de noviembre: traiga la tarjeta de su seguro médico, la lista de lo que toma y sus preguntas"
	full.Unsubscribe = "https://care.riverside.example/u/" + strings.Repeat("a", 120)
	full.FeedbackID = "snd_1:org_1:news:carepost"
	full.Automatic = true
	full.InReplyTo = "x@y.example"
	full.References = []string{"a@y.example", "x@y.example"}
	full.Inline = []compose.Part{{Type: "image/png", ContentID: compose.ContentID(picture), Content: []byte("not a picture")}}
	full.Attachments = []compose.Part{
		{Name: "Résumé de la visite.pdf", Type: "application/pdf", Content: bytes.Repeat([]byte{0, 1, 2, 255}, 50)},
		{Name: "../../etc/pass\r\nwd", Type: "text/plain", Content: []byte("x")},
	}
	for name, m := range map[string]compose.Message{"plain": message(t), "full": full} {
		data := bytesOf(t, m)
		golden(t, name+".eml", string(data))
		if again := bytesOf(t, m); !bytes.Equal(again, data) {
			t.Error("a retry renders other bytes")
		}
	}
}

// wire holds the bytes against what every server on the way takes: RFC 5322 2.1.1, RFC 5321 4.5.2.
func wire(t interface{ Errorf(string, ...any) }, data []byte, utf8 bool) {
	for n, line := range bytes.Split(data, []byte("\r\n")) {
		if len(line) > 998 {
			t.Errorf("line %d has %d bytes", n+1, len(line))
		}
		if bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d holds a bare CR, LF or NUL", n+1)
		}
		if line = bytes.ToValidUTF8(line, nil); !utf8 && bytes.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Errorf("line %d is not ASCII: %q", n+1, line)
		}
	}
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		t.Errorf("the message does not end in CRLF")
	}
}

type parsed struct {
	header     gomail.Header
	text, html string
	files      map[string][]byte
}

func parse(t interface {
	Fatalf(string, ...any)
}, data []byte,
) parsed {
	r, err := gomail.CreateReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("parse: %v\n%s", err, data)
	}
	p := parsed{header: r.Header, files: map[string][]byte{}}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("next part: %v\n%s", err, data)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatalf("body: %v", err)
		}
		switch h := part.Header.(type) {
		case *gomail.InlineHeader:
			switch kind, _, _ := h.ContentType(); kind {
			case "text/plain":
				p.text = string(body)
			case "text/html":
				p.html = string(body)
			default:
				p.files[h.Get("Content-Id")] = body
			}
		case *gomail.AttachmentHeader:
			name, err := h.Filename()
			if err != nil {
				t.Fatalf("file name: %v", err)
			}
			p.files[name] = body
		}
	}
}

// Whatever text comes in, another reader gets it back, and no byte of it becomes structure.
func TestMessageRoundTrip(t *testing.T) {
	anyText := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("ab =?.\r\n\t_\"\\<>,;:@()é漢🙂\u202e\x00")), 0, 300, -1))
	base := message(t)
	rapid.Check(t, func(t *rapid.T) {
		m := base
		name, subject := anyText.Draw(t, "name"), anyText.Draw(t, "subject")
		body, rich := anyText.Draw(t, "text"), anyText.Draw(t, "html")
		file, content := anyText.Draw(t, "file"), rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		var err error
		if m.From, err = compose.NewMailbox(name, "care@riverside.example"); err != nil {
			t.Fatal(err)
		}
		m.Subject, m.Text, m.HTML = subject, "x"+body, "y"+rich
		m.Attachments = []compose.Part{{Name: file, Type: "application/octet-stream", Content: content}}
		data, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		wire(t, data, false)
		p := parse(t, data)
		if got, _ := p.header.Subject(); squeeze(got) != squeeze(compose.Clean(subject)) {
			t.Fatalf("subject %q comes back as %q\n%s", subject, got, data)
		}
		from, err := p.header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "care@riverside.example" || squeeze(from[0].Name) != squeeze(compose.Clean(name)) {
			t.Fatalf("name %q comes back as %v, %v\n%s", name, from, err, data)
		}
		if got, want := lines(p.text), lines("x"+body); got != want {
			t.Fatalf("text %q comes back as %q", want, got)
		}
		if got, want := lines(p.html), lines("y"+rich); got != want {
			t.Fatalf("html %q comes back as %q", want, got)
		}
		if len(p.files) != 1 {
			t.Fatalf("files %v", p.files)
		}
		for name, got := range p.files {
			if !bytes.Equal(got, content) {
				t.Fatal("the file changes on the way")
			}
			if strings.ContainsAny(name, "/\\\r\n\x00") {
				t.Fatalf("file name %q", name)
			}
		}
		if _, err := mail.ReadMessage(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	})
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// lines is the canonical form of a text body.
func lines(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.TrimRight(s, "\n")
}

func TestMailboxes(t *testing.T) {
	for _, c := range []struct {
		name, address string
		want          string // empty: refused
		utf8          bool
	}{
		{"", "ana@patient.example", "ana@patient.example", false},
		{"Ana", "Ana.B+c@Patient.Example", "Ana.B+c@patient.example", false},
		{"Ana", `"ana b"@patient.example`, `"ana b"@patient.example`, false},
		{"", "ana@bücher.example", "ana@xn--bcher-kva.example", false},
		{"", "añá@patient.example", "añá@patient.example", true},
		{"", "ana@patient.example\r\nBcc: x@evil.example", "", false},
		{"", "ana@patient.example>\r\nRCPT TO:<x@evil.example", "", false},
		{"", "ana@patient.example\x00", "", false},
		{"", "Ana <ana@patient.example>", "", false},
		{"", "ana@patient.example, bob@patient.example", "", false},
		{"", "ana", "", false},
		{"", "@patient.example", "", false},
		{"", "ana@localhost", "", false},
		{"", "ana@[127.0.0.1]", "", false},
		{"", "ana@patient..example", "", false},
		{"", strings.Repeat("a", 65) + "@patient.example", "", false},
		{"", "ana@" + strings.Repeat("a", 64) + ".example", "", false},
		{"", "\u202eana@patient.example", "", false},
	} {
		m, err := compose.NewMailbox(c.name, c.address)
		switch {
		case c.want == "" && !fault.Is(err, fault.Invalid):
			t.Errorf("%q was taken", c.address)
		case c.want != "" && (err != nil || m.Address() != c.want || m.NeedsUTF8() != c.utf8):
			t.Errorf("%q is %q, %v", c.address, m.Address(), err)
		}
	}
}

func TestHeadersTakeNoStructure(t *testing.T) {
	attack := "a\r\nBcc: x@evil.example\r\n\r\n<script>"
	m := message(t)
	m.Subject = attack
	m.From = mailbox(t, attack, "care@riverside.example")
	m.Language = attack
	m.Attachments = []compose.Part{{Name: attack, Type: "application/pdf", Content: []byte("x")}}
	data := bytesOf(t, m)
	wire(t, data, false)
	p := parse(t, data)
	if p.header.Get("Bcc") != "" || strings.Contains(string(data), "\r\nBcc") {
		t.Errorf("a header was brought in:\n%s", data)
	}
}

func TestMessageIsRefused(t *testing.T) {
	for name, change := range map[string]func(*compose.Message){
		"no sender":    func(m *compose.Message) { m.From = compose.Mailbox{} },
		"no recipient": func(m *compose.Message) { m.To = nil },
		"no date": func(m *compose.Message) {
			m.Date = m.Date.AddDate(-3000, 0, 0)
			*m = compose.Message{From: m.From, To: m.To}
		},
		"no id":                func(m *compose.Message) { m.ID = "" },
		"id with brackets":     func(m *compose.Message) { m.ID = "<a@b.example>" },
		"id with a line":       func(m *compose.Message) { m.ID = "a@b.example\r\nBcc:x" },
		"reference":            func(m *compose.Message) { m.References = []string{"a b@c"} },
		"no text":              func(m *compose.Message) { m.Text = "" },
		"unsubscribe by http":  func(m *compose.Message) { m.Unsubscribe = "http://care.riverside.example/u" },
		"unsubscribe by mail":  func(m *compose.Message) { m.Unsubscribe = "mailto:u@riverside.example" },
		"unsubscribe brackets": func(m *compose.Message) { m.Unsubscribe = "https://care.riverside.example/>,<https://evil.example/" },
		"feedback with PHI":    func(m *compose.Message) { m.FeedbackID = "Ana Núñez:1:2:3" },
		"feedback parts":       func(m *compose.Message) { m.FeedbackID = "a:b" },
		"multipart attachment": func(m *compose.Message) {
			m.Attachments = []compose.Part{{Type: "multipart/mixed", Content: []byte("x")}}
		},
		"message attachment": func(m *compose.Message) { m.Attachments = []compose.Part{{Type: "message/rfc822"}} },
		"type with a line":   func(m *compose.Message) { m.Attachments = []compose.Part{{Type: "a/b\r\nX: y"}} },
		"content id":         func(m *compose.Message) { m.Inline = []compose.Part{{Type: "image/png", ContentID: "a>\r\nX: y"}} },
	} {
		m := message(t)
		change(&m)
		if _, err := m.Bytes(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneClickUnsubscribe(t *testing.T) {
	m := message(t)
	m.Unsubscribe = "https://care.riverside.example/u/token"
	h := parse(t, bytesOf(t, m)).header
	if h.Get("List-Unsubscribe") != "<https://care.riverside.example/u/token>" || h.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("%q, %q", h.Get("List-Unsubscribe"), h.Get("List-Unsubscribe-Post"))
	}
	if m.Unsubscribe = ""; strings.Contains(string(bytesOf(t, m)), "List-Unsubscribe") {
		t.Error("a message without opt-out says it has one")
	}
}

func TestUTF8AddressStaysReadable(t *testing.T) {
	m := message(t)
	m.To = []compose.Mailbox{mailbox(t, "", "añá@patient.example")}
	data := bytesOf(t, m)
	wire(t, data, true)
	if !m.NeedsUTF8() || !strings.Contains(string(data), "To: añá@patient.example\r\n") {
		t.Errorf("%s", data)
	}
}

func TestEntityAndHeadersFitTogether(t *testing.T) {
	m := message(t)
	entity, err := m.Entity()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := m.Around(entity)
	if err != nil || !bytes.Equal(whole, bytesOf(t, m)) {
		t.Errorf("entity and headers do not make the message: %v", err)
	}
	if strings.Contains(string(entity), "Subject:") || !strings.HasPrefix(string(entity), "Content-Type:") {
		t.Errorf("entity begins %.60q", entity)
	}
}

// FuzzHeader: an encoded subject is what the standard library decodes, and a folded header unfolds to it.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"Hello", "Núñez", "=?utf-8?q?x?=", "a\r\nb", strings.Repeat("漢", 200), strings.Repeat("x", 1000), "  two  spaces "} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, subject, name string) {
		m := message(t)
		m.Subject, m.From = subject, mailbox(t, name, "care@riverside.example")
		data, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		wire(t, data, false)
		got, err := mail.ReadMessage(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || squeeze(decoded) != squeeze(compose.Clean(subject)) {
			t.Errorf("%q comes back as %q, %v", subject, decoded, err)
		}
		if len(got.Header) != 9 {
			t.Errorf("%d header fields: %v", len(got.Header), got.Header)
		}
	})
}
