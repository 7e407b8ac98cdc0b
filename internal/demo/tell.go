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
	s.screen.say("The product runs as a process of its own; seven mail servers, their DNS and their CA run here.")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (s *story) sayImport(got imported, resources, records int) {
	s.screen.say("  %s FHIR resources: %s people, %s facts, %s events, in %s", thousands(resources), thousands(got.Result.People.Created),
		thousands(got.Result.Facts), thousands(got.Result.Events), seconds(s.took["import"]))
	kinds := map[string]int{}
	for _, p := range s.people {
		w := p.Paperwork
		for kind, has := range map[string]bool{
			"authorizations": w.Authorization == "valid", "expired ones": w.Authorization == "expired", "restrictions": w.Restriction, "opt-outs": w.OptOut,
			"requests for plain mail": w.PlainRequest, "for another address": w.Confidential == "second", "for post only": w.Confidential == "post",
		} {
			if has {
				kinds[kind]++
			}
		}
	}
	s.screen.say("  %d papers recorded: %d authorizations, %d expired ones, %d restrictions, %d opt-outs, %d requests", records, kinds["authorizations"],
		kinds["expired ones"], kinds["restrictions"], kinds["opt-outs"], kinds["requests for plain mail"]+kinds["for another address"]+kinds["for post only"])
	s.screen.say("  (%d for plain mail, %d for another address, %d for post only)", kinds["requests for plain mail"], kinds["for another address"], kinds["for post only"])
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
		s.screen.say("  %-6s %d of %d people   %s", c.name, c.matched, c.people, c.rule)
		var out leftOut
		if err := s.api.get(ctx, "/segments/"+url.PathEscape(c.name)+"/left-out", nil, &out); err != nil {
			return err
		}
		for _, r := range out.Reasons {
			if r.Failed+r.Unknown > 0 {
				s.screen.say("           %4d kept out by this alone: %s", r.Failed+r.Unknown, r.Leaf)
			}
		}
	}
	for person, p := range s.sorted() {
		if !p.Diabetic || p.Uncontrolled() {
			continue
		}
		var out explanation
		if err := s.api.get(ctx, "/segments/care/people/"+url.PathEscape(person), nil, &out); err != nil {
			return err
		}
		s.hold(out.Result == "false", "a person who is not in the segment is told not to be (%s)", out.Result)
		s.screen.say("  Is %s in care? %s:", person, map[string]string{"true": "Yes", "false": "No"}[out.Result])
		for _, part := range out.Parts {
			s.screen.say("    %-5s %s  (%s)", part.Result, part.Text, part.Because)
		}
		break
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
		{wayTLS, "sent over TLS, with proof of the receiver"}, {wayPickup, "kept here, a notice without any of it sent"},
		{wayPlainRequested, "sent as the person asked, after a warning"}, {wayHeld, "held for a person to decide"}, {wayRefused, "refused"},
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
	s.screen.say("  %d were put off once by a busy server and then taken, %d came back for good.", s.result.Deferred, s.result.Bounced)
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
	slices.SortFunc(lines, func(a, b *line) int {
		if a.way != b.way {
			return -strings.Compare(a.way, b.way)
		}
		return b.both - a.both
	})
	var rows [][]string
	for _, l := range lines {
		rows = append(rows, []string{l.way, l.why.Text, count(l.n[0]), count(l.n[1]), l.why.Rule})
	}
	s.screen.say("")
	s.screen.table([]string{"", "Why", ">care", ">offer", "rule"}, rows)
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
	s.screen.say("  %s ledger   %s entries verified offline with the public key alone: nothing changed, dropped or put in", ok(s.result.Ledger.Verified), thousands(s.report.Entries))
	s.screen.say("                since the checkpoint at entry %s that an auditor had kept; one changed byte was noticed", thousands(s.report.KnownSize))
	s.screen.say("  %s DKIM     %s mails, each with an RSA and an Ed25519 signature that go-msgauth verified against the zone", ok(s.signed == s.result.Delivered), thousands(s.signed))
	s.screen.say("  %s canary   %d hits of names, record numbers, birth dates, phones, drugs and diagnoses in six encodings", ok(s.result.Canary.Hits == 0), s.result.Canary.Hits)
	s.screen.say("                in %d places; a control planted in each was found in %d:", len(s.scans), s.result.Canary.Control)
	line := "               "
	for i, x := range s.scans {
		name := x.name
		if i < len(s.scans)-1 {
			name += ","
		}
		if len(line)+len(name) > 105 {
			s.screen.say("%s", line)
			line = "               "
		}
		line += " " + name
	}
	s.screen.say("%s", line)
}

func (s *story) sayEnd() {
	s.screen.say("")
	if len(s.broken) > 0 {
		s.screen.say("%d parts did NOT hold:", len(s.broken))
		for _, b := range s.broken {
			s.screen.say("  - %s", b)
		}
	} else {
		s.screen.say("Every part held, in %.1f s.", s.result.Seconds)
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
	me += " --config " + s.place.settings()
	s.screen.say("")
	s.screen.say("Look further; the installation is kept in %s:", s.place.dir)
	for _, c := range s.commands() {
		s.screen.say("  %s %s", me, c)
	}
	s.screen.say("Remove it when you are done: rm -r %s", s.place.dir)
}

func (s *story) commands() []string {
	all := []string{"segment count care"}
	for i := range s.campaigns[0].messages {
		if m := &s.campaigns[0].messages[i]; m.way() == wayHeld {
			all = append(all, "message show "+m.ID)
			break
		}
	}
	return append(all, "ledger show", "ledger verify "+s.place.ledgerTar()+" --key "+s.place.auditorKey(), "doctor")
}
