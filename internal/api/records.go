package api

import (
	"context"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// RecordIn is one thing that a person allowed, refused or asked for. Which fields count depends on kind.
type RecordIn struct {
	Person     string      `json:"person,omitempty" doc:"per_..., or identifier"`
	Identifier *Identifier `json:"identifier,omitempty"`
	Kind       string      `json:"kind" enum:"consent,authorization,restriction,confidential,plain-request,suppression,part2"`
	How        string      `json:"how,omitempty" maxLength:"50" doc:"form, phone, in person, reply: how we know"`

	Channel  string   `json:"channel,omitempty" enum:"email,phone,post"`
	Topic    string   `json:"topic,omitempty" maxLength:"100"`
	Refused  bool     `json:"refused,omitempty" doc:"consent: the answer was no"`
	Purpose  string   `json:"purpose,omitempty" maxLength:"500" doc:"restriction: the use it ends; authorization: the purpose in the form's words"`
	Purposes []string `json:"purposes,omitempty" maxItems:"10" doc:"authorization, plain-request: the purposes it covers"`
	Expires  string   `json:"expires,omitempty" doc:"Last day, 2027-01-31"`

	Information        string   `json:"information,omitempty" maxLength:"1000" doc:"authorization: what may be used, 45 CFR 164.508(c)(1)(i)"`
	Discloser          string   `json:"discloser,omitempty" maxLength:"200" doc:"(c)(1)(ii)"`
	Receiver           string   `json:"receiver,omitempty" maxLength:"200" doc:"(c)(1)(iii)"`
	Event              string   `json:"event,omitempty" maxLength:"200" doc:"(c)(1)(v): the event that ends it"`
	SignedOn           string   `json:"signed_on,omitempty" doc:"(c)(1)(vi)"`
	Signer             string   `json:"signer,omitempty" maxLength:"200" doc:"(c)(1)(vi)"`
	StatesRevocation   bool     `json:"states_revocation,omitempty" doc:"(c)(2)(i)"`
	StatesConditions   bool     `json:"states_conditions,omitempty" doc:"(c)(2)(ii)"`
	StatesRedisclosure bool     `json:"states_redisclosure,omitempty" doc:"(c)(2)(iii)"`
	PlainLanguage      bool     `json:"plain_language,omitempty" doc:"(c)(3)"`
	CopyGiven          bool     `json:"copy_given,omitempty" doc:"(c)(4)"`
	Payers             []string `json:"payers,omitempty" maxItems:"20" doc:"Third parties who pay"`
	StatesRemuneration bool     `json:"states_remuneration,omitempty" doc:"164.508(a)(3)(ii)"`

	PostOnly bool   `json:"post_only,omitempty" doc:"confidential: by post only"`
	Contact  string `json:"contact,omitempty" maxLength:"254" doc:"confidential: this email address of the person only"`
	Warning  string `json:"warning,omitempty" maxLength:"5000" doc:"plain-request: the warning that was shown"`
	Answer   string `json:"answer,omitempty" maxLength:"1000" doc:"plain-request: what the person said to it"`
	Covers   string `json:"covers,omitempty" enum:"address,all,commercial,fundraising,topic,texts" doc:"suppression"`
	Reason   string `json:"reason,omitempty" maxLength:"100" doc:"suppression: asked, complained, returned"`
	Holder   string `json:"holder,omitempty" enum:"outside,proxy,representative" doc:"part2: who may be told"`
	Document string `json:"document,omitempty" maxLength:"64" doc:"part2: SHA-256 of the signed document, in hex: 42 CFR 2.31"`
}

type createRecordsInput struct {
	Place
	Body struct {
		Records []RecordIn `json:"records" minItems:"1" maxItems:"1000"`
	}
}

type createRecordsOutput struct {
	Body struct {
		Recorded int `json:"recorded"`
	}
}

// createRecords records all of them, or none: one transaction.
func (f *Face) createRecords(ctx context.Context, in *createRecordsInput) (*createRecordsOutput, error) {
	out := &createRecordsOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		out.Body.Recorded = 0
		for i, r := range in.Body.Records {
			if err := f.record(ctx, tx, r); err != nil {
				return placed(err, "records["+strconv.Itoa(i)+"]")
			}
			out.Body.Recorded++
		}
		return nil
	})
}

func placed(err error, where string) error {
	if fault.CodeOf(err) == fault.Internal {
		return err
	}
	return fault.Wrap(fault.CodeOf(err), err, "%s", fault.Text(err)).At("%s", where)
}

func (f *Face) record(ctx context.Context, tx *store.Tx, r RecordIn) error {
	person, err := f.who(ctx, tx, r)
	if err != nil {
		return err
	}
	how := consent.Evidence{How: r.How}
	if how.How == "" {
		how.How = "form"
	}
	channel := channelOf(r.Channel)
	switch r.Kind {
	case "consent":
		expires, err := dateOf(r.Expires)
		if err != nil {
			return err
		}
		_, err = f.Consents.Answer(ctx, tx, person, consent.Consent{Channel: channel, Topic: r.Topic, Refused: r.Refused, Expires: expires, Evidence: how})
		return err
	case "authorization":
		return f.authorize(ctx, tx, person, r, how)
	case "part2":
		return f.part2(ctx, tx, person, r, how)
	case "restriction":
		return f.restrict(ctx, tx, person, r, how)
	case "confidential":
		return f.confide(ctx, tx, person, r, how)
	case "plain-request":
		purposes, err := purposesOf(r.Purposes)
		if err != nil {
			return err
		}
		_, err = f.Consents.AskPlain(ctx, tx, person, consent.PlainRequest{
			Warning: r.Warning, Shown: tx.Now, Answer: r.Answer, Channel: people.ChannelEmail, Purposes: purposes, Evidence: how,
		})
		return err
	}
	covers := map[string]consent.Covers{
		"": consent.CoversCommercial, "address": consent.CoversAddress, "all": consent.CoversAll, "commercial": consent.CoversCommercial,
		"fundraising": consent.CoversFundraising, "topic": consent.CoversTopic, "texts": consent.CoversTexts,
	}[r.Covers]
	reason := r.Reason
	if reason == "" {
		reason = "asked"
	}
	_, err = f.Consents.Suppress(ctx, tx, consent.Suppression{
		Row: consent.Row{Person: person}, Scope: consent.ScopePerson, Channel: people.ChannelEmail, Covers: covers, Topic: r.Topic, Reason: reason,
		Rule: "15 USC 7704(a)(4)", Evidence: how,
	})
	return err
}

func (f *Face) who(ctx context.Context, tx *store.Tx, r RecordIn) (id.Person, error) {
	if r.Person != "" {
		return id.Parse[id.Person](r.Person)
	}
	if r.Identifier == nil {
		return id.Person{}, fault.New(fault.Invalid, "nobody is named").Hint("give person or identifier")
	}
	found, err := f.People.ByIdentifier(ctx, tx, people.Identifier{System: r.Identifier.System, Value: r.Identifier.Value, Type: r.Identifier.Type})
	switch {
	case err != nil:
		return id.Person{}, err
	case len(found) != 1:
		return id.Person{}, fault.New(fault.NotFound, "%d people have this identifier", len(found)).At("identifier")
	}
	return found[0], nil
}

func (f *Face) authorize(ctx context.Context, tx *store.Tx, person id.Person, r RecordIn, how consent.Evidence) error {
	purposes, err := purposesOf(r.Purposes)
	if err != nil {
		return err
	}
	expires, err := dateOf(r.Expires)
	if err != nil {
		return err
	}
	signed, err := dateOf(r.SignedOn)
	if err != nil {
		return err
	}
	_, err = f.Consents.Authorize(ctx, tx, person, consent.Authorization{
		Information: r.Information, Discloser: r.Discloser, Receiver: r.Receiver, Purpose: r.Purpose, Purposes: purposes, Expires: expires, Event: r.Event,
		SignedOn: signed, Signer: r.Signer, StatesRevocation: r.StatesRevocation, StatesConditions: r.StatesConditions,
		StatesRedisclosure: r.StatesRedisclosure, PlainLanguage: r.PlainLanguage, CopyGiven: r.CopyGiven, Payers: r.Payers,
		StatesRemuneration: r.StatesRemuneration, Evidence: how,
	})
	return err
}

func (f *Face) restrict(ctx context.Context, tx *store.Tx, person id.Person, r RecordIn, how consent.Evidence) error {
	purpose := ledger.PurposeNone
	if r.Purpose != "" {
		var err error
		if purpose, err = ledger.ParsePurpose(r.Purpose); err != nil {
			return err
		}
	}
	_, err := f.Consents.Restrict(ctx, tx, person, consent.Restriction{Purpose: purpose, Topic: r.Topic, Evidence: how})
	return err
}

func (f *Face) confide(ctx context.Context, tx *store.Tx, person id.Person, r RecordIn, how consent.Evidence) error {
	c := consent.Confidential{PostOnly: r.PostOnly, Channel: channelOf(r.Channel), Evidence: how}
	if r.Contact != "" {
		normal, err := people.NormalEmail(r.Contact)
		if err != nil {
			return err
		}
		p, err := f.People.Get(ctx, tx, person)
		if err != nil {
			return err
		}
		for _, k := range p.Core.Contacts {
			if k.Channel == people.ChannelEmail && k.Normal == normal {
				c.Contact, c.Channel = k.ID, people.ChannelEmail
			}
		}
		if c.Contact.IsZero() {
			return fault.New(fault.NotFound, "the person has no such address").At("contact")
		}
	}
	_, err := f.Consents.Confide(ctx, tx, person, c)
	return err
}

func channelOf(text string) people.Channel {
	for c, word := range channels {
		if word == text {
			return c
		}
	}
	return 0
}

func dateOf(text string) (law.Date, error) { return law.ParseDate(text) }

func purposesOf(texts []string) (out []ledger.Purpose, err error) {
	for _, t := range texts {
		p, err := ledger.ParsePurpose(t)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// RecordLine is one record of a person in short.
type RecordLine struct {
	Kind    string    `json:"kind"`
	ID      string    `json:"id"`
	InForce bool      `json:"in_force"`
	Waits   bool      `json:"waits,omitempty" doc:"A source says so; a person must agree"`
	MadeAt  time.Time `json:"made_at"`
	Missing []string  `json:"missing,omitempty" doc:"authorization: what 45 CFR 164.508(c) asks for and the form lacks"`
}

type recordsOutput struct {
	Body struct {
		Records []RecordLine `json:"records"`
	}
}

func (f *Face) listRecords(ctx context.Context, in *personInput) (*recordsOutput, error) {
	person, err := id.Parse[id.Person](in.ID)
	if err != nil {
		return nil, err
	}
	out := &recordsOutput{}
	out.Body.Records = []RecordLine{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		r, err := f.Consents.Of(ctx, tx, person)
		if err != nil {
			return err
		}
		out.Body.Records = linesOf(r)
		return f.viewed(ctx, tx, person, person.UUID(), "consents")
	})
}

func linesOf(r consent.Record) []RecordLine {
	lines := []RecordLine{}
	add := func(kind, text string, row consent.Row, missing ...string) {
		lines = append(lines, RecordLine{kind, text, row.Status == consent.InForce, row.Status == consent.Proposed, row.Made, missing})
	}
	for _, x := range r.Consents {
		add("consent", x.ID.String(), x.Row)
	}
	for _, x := range r.Authorizations {
		var missing []string
		for _, e := range x.Missing() {
			missing = append(missing, e.Cite+" "+e.What)
		}
		add("authorization", x.ID.String(), x.Row, missing...)
	}
	for _, x := range r.Restrictions {
		add("restriction", x.ID.String(), x.Row)
	}
	for _, x := range r.Confidential {
		add("confidential", x.ID.String(), x.Row)
	}
	for _, x := range r.PlainRequests {
		add("plain-request", x.ID.String(), x.Row)
	}
	for _, x := range r.Suppressions {
		add("suppression", x.ID.String(), x.Row)
	}
	for _, x := range r.Part2 {
		add("part2", x.ID.String(), x.Row)
	}
	for _, x := range r.Proposals {
		add("proposal", x.ID.String(), x.Row)
	}
	return lines
}
