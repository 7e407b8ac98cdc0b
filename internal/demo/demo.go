package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/world"
)

// Options say how the story is told.
type Options struct {
	Out, Err io.Writer
	Once     bool   // leave nothing behind, unless Dir is named
	JSON     bool   // no story: the result as one JSON object, and what did not hold on Err
	Dir      string // the demo's folder; empty is a temporary one
	Self     string // path of this binary
	People   int    // 0: 400
	Seed     uint64 // 0: 1

	// meddle spoils something between the messages and the proofs; tests see by it that a break is noticed.
	meddle func(s *story) error
}

const (
	usualPeople = 400
	mostPeople  = 5000
)

// ErrBroken ends a demo in which a part did not hold. What did not hold has been said.
var ErrBroken = errors.New("demo: a part did not hold")

// story is one run.
type story struct {
	o      Options
	screen *screen
	now    time.Time
	place  place
	world  *world.World
	child  *child
	api    *client

	people    []world.Person
	byID      map[string]*world.Person
	canaries  *canaries
	control   control
	campaigns []*campaign

	txt    sync.Map // DKIM keys found, by name
	signed int
	report ledger.Report
	scans  []scanned
	took   map[string]time.Duration

	broken []string // what did not hold
	result Result
}

// Run tells the story once. Its error is ErrBroken when a part did not hold, and any other one when the story could not be told to its end.
func Run(ctx context.Context, o Options) (err error) {
	if o.People == 0 {
		o.People = usualPeople
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.People < 1 || o.People > mostPeople {
		return fault.New(fault.Invalid, "the demo makes up 1 to %d people", mostPeople).At("--people")
	}
	began := time.Now()
	s, err := begin(ctx, o, began)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.people = world.People(o.People, o.Seed, s.now)
	if err := s.tell(ctx); err != nil {
		return s.explain(err)
	}
	s.result.Seconds = float64(time.Since(began).Round(10*time.Millisecond)) / float64(time.Second)
	return s.close()
}

// begin makes the folder and starts the outside.
func begin(ctx context.Context, o Options, now time.Time) (*story, error) {
	s := &story{o: o, screen: newScreen(o.Out), now: now.UTC(), control: newControl(), took: map[string]time.Duration{}}
	if o.JSON {
		s.screen = newScreen(io.Discard)
	}
	var err error
	if s.place, err = newPlace(o.Dir); err != nil {
		return nil, err
	}
	if s.world, err = startWorld(ctx); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// end stops what runs, and leaves nothing behind when nothing is to be kept.
func (s *story) end() (err error) {
	if s.api != nil {
		s.api.close()
	}
	if s.child != nil {
		err = s.child.stop()
	}
	if s.world != nil {
		err = errors.Join(err, s.world.Close())
	}
	if s.o.Dir == "" && (s.o.Once || s.o.JSON) {
		err = errors.Join(err, os.RemoveAll(s.place.dir))
	}
	return err
}

// start makes the installation and starts the product in a process of its own.
func (s *story) start(ctx context.Context) (err error) {
	c := s.place.config(s.control.word)
	if err := app.Init(c, s.now); err != nil {
		return err
	}
	if s.child, err = startChild(ctx, s.o.Self, s.place, handover{c, s.world.Map()}); err != nil {
		return err
	}
	s.api = newClient(c.SocketPath())
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.found(ctx)
}

// tell is the story, chapter by chapter.
func (s *story) tell(ctx context.Context) error {
	s.title()
	if err := s.timed("start", func() error { return s.start(ctx) }); err != nil {
		return err
	}
	known, err := s.checkpoint(ctx)
	if err != nil {
		return err
	}
	for _, chapter := range []func(context.Context) error{s.importing, s.choosing, s.sending} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	if s.o.meddle != nil {
		if err := s.o.meddle(s); err != nil {
			return err
		}
	}
	return s.timed("proof", func() error { return s.proving(ctx, known) })
}

func (s *story) timed(what string, do func() error) error {
	began := time.Now()
	err := do()
	s.took[what] += time.Since(began)
	return err
}

// hold notes what must be so.
func (s *story) hold(ok bool, format string, args ...any) {
	if !ok {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

func (s *story) importing(ctx context.Context) error {
	s.chapter("1  An EHR's export is imported")
	s.canaries = newCanaries(append(world.Canaries(s.people), "mellitus tipo 2 con hiperglucemia"))
	resources, err := world.Export(s.place.feed, s.people, s.now)
	if err != nil {
		return err
	}
	var got imported
	if err := s.timed("import", func() (err error) { got, err = s.load(ctx, s.place.feed, resources); return err }); err != nil {
		return err
	}
	s.hold(got.Result.Lines == int64(resources), "every line of the export is read (%d of %d)", got.Result.Lines, resources)
	s.hold(got.Result.Quarantined == 0, "no line is set aside (%d are: %v)", got.Result.Quarantined, got.Result.Reasons)
	s.hold(got.Result.People.Created == int64(len(s.people)), "each of %d people is there (%d are)", len(s.people), got.Result.People.Created)
	s.result.People, s.result.Facts = int(got.Result.People.Created), got.Result.Facts
	records := papers(s.people, s.now)
	if err := s.timed("papers", func() error { return errors.Join(s.record(ctx, records), s.know(ctx, world.MRNSystem)) }); err != nil {
		return err
	}
	s.sayImport(got, resources, len(records))
	return nil
}

func (s *story) choosing(ctx context.Context) error {
	s.chapter("2  Two audiences are described")
	care, offer := theCare(), theOffer()
	s.campaigns = []*campaign{care, offer}
	for _, c := range s.campaigns {
		if err := s.timed("segments", func() error { return s.choose(ctx, c) }); err != nil {
			return err
		}
		s.result.Audience += int(c.matched)
	}
	var sick, grown int64
	for i := range s.people {
		if s.people[i].Uncontrolled() {
			sick++
		}
		if s.people[i].Diabetic && s.people[i].Age(s.now) >= majority {
			grown++
		}
	}
	s.hold(care.matched == sick, "the segment care is the %d people whom the made-up records say (it is %d)", sick, care.matched)
	s.hold(offer.matched == grown, "the segment offer is the %d people whom the made-up records say (it is %d)", grown, offer.matched)
	return s.saySegments(ctx)
}

func (s *story) sending(ctx context.Context) error {
	s.chapter("3  One message goes to each")
	care, offer := s.campaigns[0], s.campaigns[1]
	for _, c := range s.campaigns {
		if err := s.timed("send "+c.name, func() error { return s.send(ctx, c) }); err != nil {
			return err
		}
	}
	returned := map[string]bool{}
	for i := range care.messages {
		returned[care.messages[i].Person] = care.messages[i].State == "bounced"
	}
	s.judge(care, nil, func(m *message) string { return expectCare(m.made, s.now) })
	s.judge(offer, returned, func(m *message) string { return expectOffer(m.made, returned[m.Person]) })
	return s.tally(ctx)
}

func (s *story) proving(ctx context.Context, known head) error {
	arrived, err := s.arrivals(ctx)
	if err != nil {
		return err
	}
	s.sayDecisions()
	s.sayReasons()
	s.sayArrivals(arrived)
	if err := s.audit(ctx, known); err != nil {
		return err
	}
	if err := s.scanRunning(ctx); err != nil {
		return err
	}
	s.hold(s.child.stop() == nil, "the server stops in order")
	if err := s.scanResting(); err != nil {
		return err
	}
	s.sayProofs()
	return nil
}

// close says what did not hold and gives the result.
func (s *story) close() error {
	s.sayEnd()
	if s.o.JSON {
		if err := json.NewEncoder(s.o.Out).Encode(s.result); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	for _, b := range s.broken {
		fmt.Fprintln(s.o.Err, "did not hold:", b) //nolint:errcheck // nowhere else to say it
	}
	if len(s.broken) > 0 {
		return ErrBroken
	}
	return nil
}

// explain says what did not hold before an error ended the story, and shows the last lines of the child's log.
func (s *story) explain(err error) error {
	s.screen.clear()
	if fault.CodeOf(err) == fault.Internal {
		err = fault.Wrap(fault.Unavailable, err, "the story broke off: %v", err)
	}
	for _, b := range s.broken {
		fmt.Fprintln(s.o.Err, "did not hold:", b) //nolint:errcheck // nowhere else to say it
	}
	raw, readErr := os.ReadFile(s.place.logFile())
	if readErr != nil {
		return err
	}
	const tail = 2000
	raw = raw[max(0, len(raw)-tail):]
	fmt.Fprintf(s.o.Err, "the end of the server's log:\n%s\n", raw) //nolint:errcheck // as above
	return err
}
