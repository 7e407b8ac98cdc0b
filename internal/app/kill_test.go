package app_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/app/apptest"
	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/world"
)

func TestMain(m *testing.M) {
	apptest.Child()
	os.Exit(m.Run())
}

// What the messages say that nobody on the way may read.
const (
	secretCare  = "hemoglobinword"
	secretOffer = "glucometerword"
)

// TestKillUnderLoad kills the program with -9 while messages are handed in and go out, starts it again, and in the end asks of every
// message what became of it.
func TestKillUnderLoad(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killUnderLoad(t, "") })
	t.Run("postgres", func(t *testing.T) { killUnderLoad(t, caretest.DSN(t)) })
}

func killUnderLoad(t *testing.T, dsn string) {
	rounds := caretest.Rounds(t, 5)
	log := &logged{}
	s := &storm{rounds: rounds, place: apptest.New(t, dsn, map[string]world.Temper{
		"trusted.example": {Policy: "enforce"}, "plain.example": {NoTLS: true}, "expired.example": {Expired: true}, "busy.example": {BusyOnce: true},
	})}
	defer func() {
		if t.Failed() {
			t.Logf("the end of the log:\n%s", log.tail())
		}
	}()
	program := s.place.Spawn(t, log)
	s.prepare(t, program.API)
	var checkpoints []string
	for range rounds {
		before := s.count()
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for range 3 {
			load.Go(func() { s.handIn(ctx, program.API) })
		}
		s.blow(t, before)
		time.Sleep(rand.N(800 * time.Millisecond)) // at any moment
		program.Kill()
		stop()
		load.Wait()
		program = s.place.Spawn(t, log)
		checkpoints = append(checkpoints, checkpoint(t, program.API))
	}
	s.settle(t, program.API)
	s.accountFor(t, program.API)
	s.verifyLedger(t, program.API, checkpoints)
	program.Stop(t)
	s.noNamesIn(t, log)
}

// storm is what is handed in while the program is killed.
type storm struct {
	rounds int
	place  *apptest.Place
	people []world.Person
	ids    []string
	signed []string      // have signed an authorization for the offer
	pause  time.Duration // between two sends of one who hands in; 0: 10 ms

	mu           sync.Mutex
	acknowledged map[string]int // by send
}

type object = map[string]any

// count gives how many sends were acknowledged.
func (s *storm) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acknowledged)
}

// blow waits until something of this round was acknowledged: on a busy machine that takes its time, and without it nothing is proven.
func (s *storm) blow(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); s.count() == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was acknowledged within a minute")
		}
	}
}

// prepare imports people, has half of them sign an authorization, and stores the two templates.
func (s *storm) prepare(t *testing.T, api *apptest.API) {
	const n = 60
	api.Found(t)
	now := time.Now()
	s.people, s.acknowledged = world.People(n, 7, now), map[string]int{}
	domains := []string{"trusted.example", "plain.example", "expired.example", "busy.example"}
	for i := range s.people {
		p := &s.people[i]
		p.Paperwork, p.Deceased, p.Birth = world.Paperwork{}, false, now.AddDate(-40, 0, -i)
		p.Emails = []string{fmt.Sprintf("box%d@%s", i, domains[i%len(domains)])}
	}
	dir := t.TempDir()
	if _, err := world.Export(dir, s.people, now); err != nil {
		t.Fatal(err)
	}
	api.Import(t, "ehr", dir)
	var records []object
	for i, p := range s.people {
		var found struct{ People []string }
		api.Post(t, "/people/find", object{"identifier": world.MRNSystem + "|" + p.MRN}, &found)
		if len(found.People) != 1 {
			t.Fatalf("person %d is found %d times", i, len(found.People))
		}
		s.ids = append(s.ids, found.People[0])
		if i%8 < 4 {
			s.signed = append(s.signed, found.People[0])
			records = append(records, authorization(found.People[0], now))
		}
	}
	api.Post(t, "/records", object{"records": records}, nil)
	api.Post(t, "/templates", template("care", "treatment", "transactional", secretCare, object{"type": "address"}), nil)
	api.Post(t, "/templates", template("offer", "marketing", "commercial", secretOffer, object{"type": "advertisement"},
		object{"type": "unsubscribe", "text": "You signed an authorization for it."}, object{"type": "address"}), nil)
}

// authorization is a whole one for unpaid marketing: 45 CFR 164.508(c).
func authorization(person string, now time.Time) object {
	return object{
		"person": person, "kind": "authorization", "how": "form", "purposes": []string{"marketing"}, "purpose": "offers",
		"information": "name and address", "discloser": "Lakeside Health", "receiver": "Lakeside Health", "signer": "the person",
		"signed_on": now.AddDate(0, -1, 0).Format(time.DateOnly), "expires": now.AddDate(1, 0, 0).Format(time.DateOnly),
		"states_revocation": true, "states_conditions": true, "states_redisclosure": true, "plain_language": true, "copy_given": true,
	}
}

func template(name, purpose, class, secret string, more ...object) object {
	blocks := append([]object{{"type": "text", "text": "Dear {{ person.name }},\n\nthis is about " + secret + "."}}, more...)
	return object{"name": name, "purpose": purpose, "class": class, "content": object{
		"version": 1, "variables": []object{{"name": "person.name", "kind": "text", "sample": "Alex Example"}},
		"variants": []object{{"language": "en", "subject": "From your care team", "blocks": blocks}},
	}}
}

// handIn hands in sends until the program is gone, and keeps what was acknowledged.
func (s *storm) handIn(ctx context.Context, api *apptest.API) {
	for n := 0; ctx.Err() == nil; n++ {
		body := object{"name": "storm", "template": "care", "purpose": "treatment", "class": "transactional", "payer": object{"who": "self"}}
		from := s.ids
		if n%3 == 2 {
			body["template"], body["purpose"], body["class"], from = "offer", "marketing", "commercial", s.signed
		}
		to := make([]string, 0, len(from))
		for _, i := range rand.Perm(len(from))[:1+rand.N(15)] {
			to = append(to, from[i])
		}
		body["people"] = to
		var sent struct {
			ID       string
			Messages int
		}
		if err := api.Try(ctx, "POST", "/sends", body, &sent); err != nil {
			if ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond) // the program was killed; the round is about to end
			}
			continue
		}
		s.mu.Lock()
		s.acknowledged[sent.ID] = sent.Messages
		s.mu.Unlock()
		time.Sleep(cmp.Or(s.pause, 10*time.Millisecond)) // a storm, not a flood: a slow machine must be able to work it off
	}
}

type line struct{ ID, Person, State, Means string }

func messages(t *testing.T, api *apptest.API, query string) (all []line) {
	t.Helper()
	for before := ""; ; {
		var page struct {
			Messages []line
			Next     string
		}
		api.Get(t, "/messages?limit=1000&before="+before+"&"+query, &page)
		all = append(all, page.Messages...)
		if before = page.Next; before == "" {
			return all
		}
	}
}

// settle waits until no message waits: also those of sends that nobody acknowledged get a clear end.
func (s *storm) settle(t *testing.T, api *apptest.API) {
	t.Helper()
	api.Until(t, 5*time.Minute, "no message waits", func() bool { return len(messages(t, api, "state=waiting")) == 0 })
}

// accountFor compares what the program says of each message with what the receivers took.
func (s *storm) accountFor(t *testing.T, api *apptest.API) {
	t.Helper()
	took, at := s.arrivals(t)
	states := map[string]int{}
	doubled := 0
	c := caretest.Tally{Rounds: s.rounds}
	known := map[string]bool{}
	for _, m := range messages(t, api, "") {
		known[m.ID] = true
		states[m.State+" "+m.Means]++
		n := len(took[m.ID])
		switch m.State {
		case "accepted":
			if n == 0 {
				c.Lost++
				t.Errorf("%s is said to be accepted, and no receiver has it", m.ID)
			}
		case "in_doubt":
			c.InDoubt++
			if n > 1 {
				t.Errorf("%s is in doubt and arrived %d times", m.ID, n)
			}
		default:
			var why json.RawMessage
			api.Get(t, "/messages/"+m.ID, &why)
			t.Errorf("%s ended as %s %s, which nothing here gives reason for: %s", m.ID, m.State, m.Means, why)
		}
		for _, r := range took[m.ID] {
			_, text := opened(t, r.Data)
			if told(text) && (!r.TLS || m.Means != "tls") {
				c.Weaker++
			}
			if told(text) != (m.Means == "tls") || told(text) && !r.TLS {
				t.Errorf("%s was decided to go by %s; it came over TLS: %t; it holds what it says: %t", m.ID, m.Means, r.TLS, told(text))
			}
		}
		if n > 1 {
			doubled++
			s.mayDouble(t, api, m.ID)
		}
	}
	for id := range took {
		if !known[id] {
			t.Errorf("a receiver has %s, of which the program knows nothing", id)
		}
	}
	sum := 0
	for send, n := range s.acknowledged {
		sum += n
		if have := len(messages(t, api, "send="+send)); have != n {
			c.Lost += max(0, n-have)
			t.Errorf("%s was acknowledged with %d messages and has %d", send, n, have)
		}
	}
	if sum == 0 || at == 0 {
		t.Errorf("nothing was acknowledged (%d) or nothing arrived (%d): the storm was no storm", sum, at)
	}
	c.InDoubt += doubled
	c.Count(t)
	t.Logf("%d messages acknowledged, %d arrived, %d of them twice or more; %v", sum, at, doubled, states)
}

// mayDouble: only care of which nobody knew whether it arrived goes out again.
func (s *storm) mayDouble(t *testing.T, api *apptest.API, message string) {
	t.Helper()
	var m struct {
		Purpose  string
		Delivery struct{ Doubts, Attempts int }
	}
	api.Get(t, "/messages/"+message, &m)
	if m.Purpose != "treatment" || m.Delivery.Attempts < 2 {
		t.Errorf("%s, purpose %s, arrived more than once after %d attempts", message, m.Purpose, m.Delivery.Attempts)
	}
}

// arrivals gives what the receivers took by message, and looks into each for what may go under TLS only.
func (s *storm) arrivals(t *testing.T) (by map[string][]world.Received, n int) {
	t.Helper()
	by = map[string][]world.Received{}
	for domain, r := range s.place.World.Receivers() {
		for _, m := range r.Messages() {
			n++
			id, text := opened(t, m.Data)
			by[id] = append(by[id], m)
			if proven := domain == "trusted.example" || domain == "busy.example"; proven && m.TLS {
				continue
			}
			if told(text) {
				t.Errorf("%s took %s without proven TLS, and it holds what the message says", domain, id)
			}
			for _, p := range s.people {
				if strings.Contains(text, p.Family) {
					t.Errorf("%s took %s without proven TLS, and it holds a name", domain, id)
				}
			}
		}
		wire := r.Wire()
		for _, secret := range []string{secretCare, secretOffer} {
			if bytes.Contains(wire, []byte(secret)) {
				t.Errorf("%q was on the wire of %s", secret, domain)
			}
		}
	}
	return by, n
}

func told(text string) bool {
	return strings.Contains(text, secretCare) || strings.Contains(text, secretOffer)
}

// opened gives the message's id and all its text, decoded.
func opened(t *testing.T, raw []byte) (id, text string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ = strings.Cut(strings.Trim(m.Header.Get("Message-ID"), "<>"), "@")
	return id, decoded(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
}

func decoded(t *testing.T, kind, encoding string, body io.Reader) string {
	t.Helper()
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(media, "multipart/") {
		if strings.EqualFold(encoding, "quoted-printable") {
			body = quotedprintable.NewReader(body)
		} else if strings.EqualFold(encoding, "base64") {
			t.Fatal("a part is in base64: decode it before looking into it")
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	text := ""
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return text
		}
		if err != nil {
			t.Fatal(err)
		}
		text += decoded(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
	}
}

func checkpoint(t *testing.T, api *apptest.API) string {
	t.Helper()
	var head struct{ Checkpoint string }
	api.Get(t, "/ledger", &head)
	return head.Checkpoint
}

// verifyLedger: the ledger is whole, and grew from every checkpoint that was seen between two kills.
func (s *storm) verifyLedger(t *testing.T, api *apptest.API, checkpoints []string) {
	t.Helper()
	var head struct {
		PublicKey string `json:"public_key"`
	}
	api.Get(t, "/ledger", &head)
	var export []byte
	api.Get(t, "/ledger/export", &export)
	for _, known := range checkpoints {
		report, err := ledger.Verify(bytes.NewReader(export), head.PublicKey, []byte(known))
		if err != nil {
			t.Fatalf("the ledger does not verify after the kills: %v", err)
		}
		if report.KnownSize == 0 || len(report.Restores) > 0 {
			t.Errorf("known size %d, restores %v", report.KnownSize, report.Restores)
		}
	}
}

// noNamesIn looks into the log of every life of the program, written with every level, for what a record says.
func (s *storm) noNamesIn(t *testing.T, log *logged) {
	t.Helper()
	text := log.all()
	if !strings.Contains(text, "carepost is ready") {
		t.Error("the log is not what the program wrote: its first words are missing")
	}
	for _, p := range s.people {
		for _, planted := range []string{p.Family, p.MRN, p.Emails[0], p.Phone, p.Birth.Format(time.DateOnly)} {
			if planted != "" && strings.Contains(text, planted) {
				t.Errorf("the log says %q", planted)
			}
		}
	}
	for _, planted := range []string{secretCare, secretOffer, "Lakeside Health"} {
		if strings.Contains(text, planted) {
			t.Errorf("the log says %q", planted)
		}
	}
}

// logged keeps what processes log, one after the other.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) tail() string {
	const most = 8000
	text := l.all()
	return text[max(0, len(text)-most):]
}
