package demo

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/world"
)

func (s *story) chapter(title string) { s.screen.chapter(title) }

func (s *story) title() {
	s.screen.say("Carepost demo: %d made-up people, seed %d, in %s", len(s.people), s.o.Seed, s.place.dir)
	s.screen.say("The product runs as a process of its own; %d mail servers, their DNS and their CA run here.", len(receivers))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (s *story) sayImport(got imported, resources, records int) {
	s.screen.say("  %s FHIR resources: %s people, %s facts, %s events, in %s", thousands(resources), thousands(got.Result.People.Created),
		thousands(got.Result.Facts), thousands(got.Result.Events), seconds(s.took["import"]))
	n := map[string]int{}
	for _, p := range s.people {
		w := p.Paperwork
		for kind, has := range map[string]bool{
			"valid": w.Authorization == "valid", "expired": w.Authorization == "expired", "restriction": w.Restriction, "fed": fed(p), "out": w.OptOut && !fed(p),
			"plain": w.PlainRequest, "second": w.Confidential == "second", "post": w.Confidential == "post",
		} {
			if has {
				n[kind]++
			}
		}
	}
	s.screen.say("  %d papers recorded: %d authorizations and %d expired ones, %d restrictions, %d opt-outs (%d more were in", records, n["valid"], n["expired"],
		n["restriction"], n["out"], n["fed"])
	s.screen.say("  the export), %d requests for plain mail, %d for another address, %d for post only", n["plain"], n["second"], n["post"])
}

// leftOut says whom one condition of a rule alone keeps out.
type leftOut struct {
	Reasons []struct {
		Leaf    string `json:"leaf"`
		Failed  int    `json:"failed"`
		Unknown int    `json:"unknown"`
	} `json:"reasons"`
}

// explanation is a part of a rule as asked of one person.
type explanation struct {
	Text    string        `json:"text"`
	Result  string        `json:"result"`
	Because string        `json:"because"`
	Parts   []explanation `json:"parts"`
}

// saySegments shows the rules with their counts, whom a condition alone keeps out, and why one person is not in the first of them.
func (s *story) saySegments(ctx context.Context) error {
	for _, c := range s.campaigns {
		unknown := ""
		if c.unknown > 0 {
			unknown = fmt.Sprintf(", not known of %d", c.unknown)
		}
		s.screen.say("  %-5s  %s", c.name, c.rule)
		s.screen.say("         %d of %d people%s", c.matched, c.people, unknown)
		var out leftOut
		if err := s.api.get(ctx, "/segments/"+url.PathEscape(c.name)+"/left-out", nil, &out); err != nil {
			return err
		}
		for _, r := range out.Reasons {
			if r.Failed+r.Unknown > 0 {
				s.screen.say("         %d kept out by this alone: %s", r.Failed+r.Unknown, r.Leaf)
			}
		}
	}
	for _, ask := range []struct {
		result string
		whom   func(p *world.Person) bool
	}{
		{"false", func(p *world.Person) bool { return p.Diabetic && p.A1c < 8 && p.A1cDays < 180 }},
		{"unknown", func(p *world.Person) bool { return p.Diabetic && p.A1cDays > 190 }},
	} {
		if err := s.sayWhy(ctx, ask.result, ask.whom); err != nil {
			return err
		}
	}
	return nil
}

// sayWhy shows why one person is not in the segment care: because something is not so, or because it is not known.
func (s *story) sayWhy(ctx context.Context, result string, whom func(p *world.Person) bool) error {
	for person, p := range s.sorted() {
		if !whom(p) {
			continue
		}
		var out explanation
		if err := s.api.get(ctx, "/segments/care/people/"+url.PathEscape(person), nil, &out); err != nil {
			return err
		}
		s.hold(out.Result == result, "what one person is told of the segment is %s (it is %s)", result, out.Result)
		s.screen.say("  Is %s in care? %s.", person, map[string]string{"true": "Yes", "false": "No", "unknown": "That is not known, so no"}[out.Result])
		for _, part := range out.Parts {
			s.screen.say("      %-7s %s", part.Result, part.Text)
			s.screen.say("              %s", part.Because)
		}
		return nil
	}
	return nil
}

// sorted gives the people by their ids, in one order.
func (s *story) sorted() func(yield func(string, *world.Person) bool) {
	ids := make([]string, 0, len(s.byID))
	for id := range s.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return func(yield func(string, *world.Person) bool) {
		for _, id := range ids {
			if !yield(id, s.byID[id]) {
				return
			}
		}
	}
}

// tally sums both sends up.
func (s *story) tally(ctx context.Context) error {
	total := 0
	for _, c := range s.campaigns {
		var at struct {
			Means    map[string]int `json:"means"`
			States   map[string]int `json:"states"`
			Deferred int            `json:"deferred_then_accepted"`
		}
		if err := s.api.get(ctx, "/sends/"+url.PathEscape(c.id), nil, &at); err != nil {
			return err
		}
		s.result.Deferred += at.Deferred
		s.result.Bounced += at.States["bounced"]
		shown := Decided{}
		for i := range c.messages {
			way := c.messages[i].way()
			if n := s.result.Decided.of(way); n != nil {
				*n++
				*shown.of(way)++
				continue
			}
			s.hold(false, "each message is decided (one is %q, %q)", c.messages[i].State, c.messages[i].Means)
		}
		for way, n := range at.Means {
			if got := shown.of(way); got == nil || *got != n {
				s.hold(false, "%s: the send counts its decisions as its messages say (%s: %d)", c.name, way, n)
			}
		}
		for state := range at.States {
			s.hold(slices.Contains([]string{"accepted", "bounced", "held", "refused"}, state), "no message of %s ends %s", c.name, state)
		}
		total += len(c.messages)
	}
	s.hold(total == s.result.Audience && s.result.Decided.sum() == total, "there is one decision for each of %d (%d messages, %d decisions)",
		s.result.Audience, total, s.result.Decided.sum())
	return nil
}

func (s *story) sayDecisions() {
	s.screen.say("  care:  %d people, instructions with name, drug and diagnosis; treatment, nobody pays", len(s.campaigns[0].messages))
	s.screen.say("  offer: %d people, a paid offer with name and diagnosis; marketing, %s pays more than it costs", len(s.campaigns[1].messages), payer)
	s.screen.say("")
	var rows [][]string
	for _, w := range []struct{ way, text string }{
		{wayTLS, "sent over TLS, with proof of the receiver"},
		{wayPickup, "kept here, a notice without any of it sent"},
		{wayPlainRequested, "sent as the person asked, after a warning"},
		{wayHeld, "held for a person to decide"},
		{wayRefused, "refused"},
	} {
		row := []string{w.text}
		sum := 0
		for _, c := range s.campaigns {
			n := 0
			for i := range c.messages {
				if c.messages[i].way() == w.way {
					n++
				}
			}
			row, sum = append(row, count(n)), sum+n
		}
		rows = append(rows, append(row, count(sum)))
	}
	s.screen.table([]string{"How it was decided", ">care", ">offer", ">both"}, rows)
	s.screen.say("")
	s.screen.say("  Of those that left, %d were put off by a busy server and then taken; %d came back, for nobody is there.",
		s.result.Deferred, s.result.Bounced)
}

func (s *story) sayReasons() {
	type line struct {
		way  string
		why  reason
		n    [2]int
		both int
	}
	var lines []*line
	for k, c := range s.campaigns {
		for i := range c.messages {
			m := &c.messages[i]
			if m.reason.Code == "" {
				continue
			}
			at := slices.IndexFunc(lines, func(l *line) bool { return l.way == m.way() && l.why.Code == m.reason.Code })
			if at < 0 {
				at, lines = len(lines), append(lines, &line{way: m.way(), why: m.reason})
			}
			lines[at].n[k]++
			lines[at].both++
		}
	}
	for _, part := range []struct{ way, title string }{{wayRefused, "Refused, because"}, {wayHeld, "Held for a person, because"}} {
		var rows [][]string
		slices.SortFunc(lines, func(a, b *line) int { return b.both - a.both })
		for _, l := range lines {
			if l.way != part.way {
				continue
			}
			first, more := fold(l.why.Text, textWidth)
			rows = append(rows, []string{first, count(l.n[0]), count(l.n[1]), l.why.Rule})
			for _, m := range more {
				rows = append(rows, []string{"  " + m, "", "", ""})
			}
		}
		s.screen.say("")
		s.screen.table([]string{part.title, ">care", ">offer", "rule"}, rows)
	}
}

// textWidth is the width of the column of reasons: the table fits into 100 columns with it.
const textWidth = 52

// fold cuts a text into lines of words.
func fold(text string, width int) (first string, more []string) {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + w)
	}
	lines = append(lines, line)
	return lines[0], lines[1:]
}

func (s *story) sayArrivals(arrived map[string]arrival) {
	s.chapter("4  What arrived where")
	var rows [][]string
	for _, r := range receivers {
		a := arrived[r.domain]
		rows = append(rows, []string{r.domain, r.about, count(a.messages), count(a.notices), count(a.secure)})
	}
	s.screen.table([]string{"server", "what it is like", ">messages", ">notices", ">over TLS"}, rows)
	plain, strict, gone := arrived["plain.example"], arrived["strict.example"], arrived["gone.example"]
	s.hold(plain.messages == 0, "plain.example gets notices only")
	s.hold(strict == arrival{}, "strict.example gets neither message nor notice")
	s.hold(len(s.world.Receivers()["strict.example"].Wire()) == 0, "strict.example is not even spoken to")
	s.hold(gone == arrival{}, "gone.example gets nothing")
}

func (s *story) sayProofs() {
	s.chapter("5  What is proven")
	ok := func(held bool) string {
		if held {
			return "ok  "
		}
		return "NOT "
	}
	s.screen.say("  %s ledger  %s entries verified offline, with nothing but the public key: none was changed, dropped", ok(s.result.Ledger.Verified),
		thousands(s.report.Entries))
	s.screen.say("               or put in since the checkpoint at entry %s that an auditor had kept; then one byte was", thousands(s.report.KnownSize))
	s.screen.say("               changed, and that was noticed")
	s.screen.say("  %s DKIM    %s mails, each with an RSA and an Ed25519 signature that another library verified", ok(s.signed == s.result.Delivered), thousands(s.signed))
	s.screen.say("  %s canary  %d hits of names, record numbers, birth dates, phones, drugs and diagnoses, in six", ok(s.result.Canary.Hits == 0),
		s.result.Canary.Hits)
	s.screen.say("               encodings, in the database (running, with its write-ahead log, and at rest), its backup,")
	s.screen.say("               the log, the temporary files, and every byte to and from %d servers; the control that was", len(s.scans)-notWires)
	s.screen.say("               planted in each of these %d places was found in %d", len(s.scans), s.result.Canary.Control)
}

func (s *story) sayEnd() {
	s.screen.say("")
	if len(s.broken) > 0 {
		s.screen.say("%d parts did NOT hold.", len(s.broken))
	} else {
		s.screen.say("Every part held, in %.1f s: start %s, import %s, papers %s, messages %s, proofs %s.", s.result.Seconds, seconds(s.took["start"]),
			seconds(s.took["import"]), seconds(s.took["papers"]), seconds(s.took["send care"]+s.took["send offer"]), seconds(s.took["proof"]))
	}
	if s.o.Once && s.o.Dir == "" {
		return
	}
	if err := s.place.keep(); err != nil {
		s.hold(false, "the settings of the kept folder are written (%v)", err)
		return
	}
	me := s.o.Self
	if strings.Contains(filepath.ToSlash(me), "/go-build") {
		me = "go run ./cmd/carepost" // `go run` removes its binary when it ends
	}
	s.screen.say("")
	s.screen.say("Look further; the installation is kept in %s:", s.place.dir)
	s.screen.say("  export CAREPOST_CONFIG=%s", s.place.settings())
	for _, c := range s.commands() {
		s.screen.say("  %s %s", me, c)
	}
	s.screen.say("Remove it when you are done: rm -r %s", s.place.dir)
}

// commands are worth trying on what is kept.
func (s *story) commands() []string {
	care := s.campaigns[0]
	all := []string{"segment left-out care", "message sends"}
	for i := range care.messages {
		if m := &care.messages[i]; m.way() == wayHeld {
			all = append(all, "message show "+m.ID)
			break
		}
	}
	in := func(path string) string {
		return "$(dirname $CAREPOST_CONFIG)/" + filepath.Base(path)
	}
	return append(all, "ledger show",
		"ledger verify "+in(s.place.ledgerTar())+" --key "+in(s.place.auditorKey())+" --known "+in(s.place.checkpoint()))
}
