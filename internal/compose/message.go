package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Message is a mail before its signature. Date and ID are the caller's, so that a retry renders the same bytes.
type Message struct {
	From    Mailbox
	ReplyTo Mailbox // may be zero
	To      []Mailbox
	Subject string
	Date    time.Time
	ID      string // of the Message-ID, without <>: MessageID makes it

	Language    string // BCP 47
	Text        string
	HTML        string // empty: plain text alone
	Inline      []Part // shown by the HTML, by Content-ID
	Attachments []Part

	Unsubscribe string // https; RFC 8058 one-click. Required for commercial mail
	FeedbackID  string // campaign:tenant:stream:sender, ids and codes only: Google reads it
	Automatic   bool   // no person wrote it to one person: RFC 3834
	InReplyTo   string // Message-ID without <>
	References  []string
}

// Part is a file that travels with a message.
type Part struct {
	Name      string // for the reader; empty for an inline image
	Type      string // media type, as in application/pdf
	ContentID string // without <>, for inline parts
	Content   []byte
}

// Limits of a message.
const (
	maxRecipients = 50
	maxParts      = 100
)

// MessageID makes the Message-ID of a message: its id at the sender's domain.
func MessageID(m id.Message, domain string) string { return m.String() + "@" + domain }

// Check tells what keeps the message from being written.
func (m Message) Check() error {
	switch {
	case m.From.IsZero():
		return fault.New(fault.Invalid, "a message has a sender").At("from")
	case len(m.To) == 0 || len(m.To) > maxRecipients:
		return fault.New(fault.Invalid, "a message has 1 to %d recipients", maxRecipients).At("to")
	case m.Date.IsZero():
		return fault.New(fault.Invalid, "a message has a date").At("date")
	case !messageID(m.ID):
		return fault.New(fault.Invalid, "not a Message-ID").At("id").Hint("write it as unique@example.org")
	case m.InReplyTo != "" && !messageID(m.InReplyTo):
		return fault.New(fault.Invalid, "not a Message-ID").At("in_reply_to")
	case m.Text == "" && m.HTML == "":
		return fault.New(fault.Invalid, "a message says something").At("text")
	case m.Text == "":
		return fault.New(fault.Invalid, "a message has plain text").At("text").Hint("not everyone reads HTML")
	case len(m.Inline)+len(m.Attachments) > maxParts:
		return fault.New(fault.TooLarge, "a message has at most %d parts", maxParts).At("attachments")
	case len(m.Inline) > 0 && m.HTML == "":
		return fault.New(fault.Invalid, "inline parts belong to HTML").At("inline")
	}
	for _, t := range m.To {
		if t.IsZero() {
			return fault.New(fault.Invalid, "an empty recipient").At("to")
		}
	}
	for _, r := range m.References {
		if !messageID(r) {
			return fault.New(fault.Invalid, "not a Message-ID").At("references")
		}
	}
	if m.Unsubscribe != "" {
		if err := checkLink(m.Unsubscribe); err != nil || host(m.Unsubscribe) == "" || len(m.Unsubscribe) > 900 {
			return fault.New(fault.Invalid, "one-click unsubscribe needs an https address").At("unsubscribe")
		}
	}
	if m.FeedbackID != "" && (strings.Count(m.FeedbackID, ":") != 3 || strings.Trim(m.FeedbackID, feedbackBytes) != "" || len(m.FeedbackID) > 200) {
		return fault.New(fault.Invalid, "not a Feedback-ID").At("feedback_id").Hint("four ids or codes joined by colons")
	}
	for _, p := range append(append([]Part{}, m.Inline...), m.Attachments...) {
		if err := p.check(); err != nil {
			return err
		}
	}
	return nil
}

const feedbackBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:"

func (p Part) check() error {
	kind, params, err := mime.ParseMediaType(p.Type)
	if err != nil || len(params) > 0 || !strings.Contains(kind, "/") || strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") {
		// RFC 2046 5.2.1: message/* must not be base64, and we write nothing else.
		return fault.New(fault.Invalid, "not a media type of an attachment").At("type").Hint("write it as application/pdf, without parameters")
	}
	if p.ContentID != "" && !messageID(p.ContentID) {
		return fault.New(fault.Invalid, "not a Content-ID").At("content_id")
	}
	return nil
}

// messageID wants RFC 5322's msg-id without the brackets: two dot-atoms.
func messageID(s string) bool {
	left, right, ok := strings.Cut(s, "@")
	return ok && len(s) <= 250 && ascii(s) && dotAtom(left) && dotAtom(right)
}

// NeedsUTF8 tells whether the message can go by SMTPUTF8 only: an address in its headers is beyond ASCII.
func (m Message) NeedsUTF8() bool {
	for _, b := range append([]Mailbox{m.From, m.ReplyTo}, m.To...) {
		if b.NeedsUTF8() {
			return true
		}
	}
	return false
}

// Bytes writes the message: CRLF only, no line longer than 78 but what cannot be folded, none near 998, no NUL, ASCII but for the
// addresses that NeedsUTF8 speaks of. The same message gives the same bytes.
func (m Message) Bytes() ([]byte, error) {
	entity, err := m.Entity()
	if err != nil {
		return nil, err
	}
	return m.Around(entity)
}

// Entity writes the content alone, with its Content-* fields: what pgp and smime sign or encrypt.
func (m Message) Entity() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m.content().write(m.ID), nil
}

// Around writes the headers of the message around an entity that begins with its Content-* fields.
func (m Message) Around(entity []byte) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	h := m.headers()
	out := make([]byte, 0, h.b.Len()+len(entity))
	return append(append(out, h.b.String()...), entity...), nil
}

func (m Message) headers() *header {
	h := &header{}
	h.add("Date", structured(m.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")))
	h.add("From", mailboxes([]Mailbox{m.From}))
	if !m.ReplyTo.IsZero() {
		h.add("Reply-To", mailboxes([]Mailbox{m.ReplyTo}))
	}
	h.add("To", mailboxes(m.To))
	h.add("Subject", unstructured(m.Subject))
	h.add("Message-ID", structured("<"+m.ID+">"))
	if m.InReplyTo != "" {
		h.add("In-Reply-To", structured("<"+m.InReplyTo+">"))
	}
	if len(m.References) > 0 {
		h.add("References", structured("<"+strings.Join(m.References, "> <")+">"))
	}
	if m.Unsubscribe != "" {
		// RFC 8058 3.1: both fields, and both signed.
		h.add("List-Unsubscribe", structured("<"+m.Unsubscribe+">"))
		h.add("List-Unsubscribe-Post", structured("List-Unsubscribe=One-Click"))
	}
	if m.FeedbackID != "" {
		h.add("Feedback-ID", structured(m.FeedbackID))
	}
	if m.Automatic {
		h.add("Auto-Submitted", structured("auto-generated")) // RFC 3834 5
		h.add("X-Auto-Response-Suppress", structured("OOF, AutoReply"))
	}
	if m.Language != "" {
		h.add("Content-Language", structured(m.Language)) // RFC 3282
	}
	h.add("MIME-Version", structured("1.0"))
	return h
}

// node is one entity of the tree: a leaf with its encoded body, or a multipart.
type node struct {
	header   []field
	body     []byte
	kind     string // of a multipart: mixed, related, alternative
	children []node
}

type field struct {
	name string
	v    value
}

// content builds the smallest tree that holds everything: mixed( alternative( text, related( html, images ) ), files ).
func (m Message) content() node {
	n := textNode("text/plain", m.Text)
	if m.HTML != "" {
		rich := textNode("text/html", m.HTML)
		if len(m.Inline) > 0 {
			rich = node{kind: "related", children: []node{rich}}
			for _, p := range m.Inline {
				rich.children = append(rich.children, p.node("inline"))
			}
		}
		n = node{kind: "alternative", children: []node{n, rich}}
	}
	if len(m.Attachments) == 0 {
		return n
	}
	n = node{kind: "mixed", children: []node{n}}
	for _, p := range m.Attachments {
		n.children = append(n.children, p.node("attachment"))
	}
	return n
}

func textNode(kind, text string) node {
	encoding, write := "quoted-printable", quotedPrintable
	if wastes(text) {
		encoding, write = "base64", func(s string) []byte { return base64Lines([]byte(canonical(s))) }
	}
	return node{header: []field{
		{"Content-Type", structured(kind+";", "charset=utf-8")},
		{"Content-Transfer-Encoding", structured(encoding)},
	}, body: write(text)}
}

func (p Part) node(disposition string) node {
	h := []field{
		{"Content-Type", structured(strings.ToLower(p.Type))},
		{"Content-Transfer-Encoding", structured("base64")},
	}
	v := value{[]string{disposition}}
	if p.Name != "" {
		v.words[0] += ";"
		v.words = append(v.words, parameter("filename", fileName(p.Name))...)
	}
	h = append(h, field{"Content-Disposition", v})
	if p.ContentID != "" {
		h = append(h, field{"Content-ID", structured("<" + p.ContentID + ">")})
	}
	return node{header: h, body: base64Lines(p.Content)}
}

// fileName keeps a name from being a path or a device.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, line(name))
	const longest = 200
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[len(runes)-longest:]) // keeps the ending
	}
	if name = strings.TrimLeft(name, ". "); name == "" {
		return "file"
	}
	return name
}

func (n node) write(seed string) []byte {
	h := &header{}
	if n.kind == "" {
		for _, f := range n.header {
			h.add(f.name, f.v)
		}
		return append(append([]byte(h.b.String()), "\r\n"...), append(n.body, "\r\n"...)...)
	}
	edge := boundary(seed + "/" + n.kind)
	h.add("Content-Type", structured("multipart/"+n.kind+";", `boundary="`+edge+`"`))
	out := append([]byte(h.b.String()), "\r\n"...)
	for _, c := range n.children {
		out = append(out, "--"+edge+"\r\n"...)
		out = append(out, c.write(seed)...)
	}
	return append(out, "--"+edge+"--\r\n"...)
}

// boundary follows from the Message-ID. It holds "=_", which neither quoted-printable nor base64 can (RFC 2045 6.7), so no part contains it.
func boundary(seed string) string {
	sum := sha256.Sum256([]byte("carepost boundary " + seed))
	return "=_" + hex.EncodeToString(sum[:15])
}
