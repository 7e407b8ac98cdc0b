package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

// maxHeld is how many bytes of unpacked files a dry run holds in memory; plain files are read again where they lie.
const maxHeld = 256 << 20

// place is where a message lies, 40 bytes each: what a dry run remembers of it.
type place struct {
	group  uint64 // of the subject
	offset int64
	line   int64
	size   int32 // of the line
	part   int32 // of the line's messages
	file   uint16
	turn   Turn
}

// preview is a dry run at work.
type preview struct {
	*worker
	seed     maphash.Seed
	places   []place
	referred map[string]place
	held     map[int][]byte // unpacked files
	heldSize int64
	open     map[int]*os.File
	seen     *people.Seen
}

// dryRun gives what an import would do, with the same counts and reasons, and writes nothing. It reads the files twice: to find the
// messages of each person, and to map them together.
func (in *Intake) dryRun(ctx context.Context, scope id.Scope, mapper Mapper, o Options) (*Result, error) {
	j := &job{record: jobRecord{
		Source: o.Source, Format: o.Format, Files: o.Files, Country: o.Country, Systems: o.Systems, Complete: o.Complete, Settings: o.Settings,
		Result: newResult(id.Import{}, o.Source),
	}}
	r := j.record.Result
	r.DryRun, r.Files = true, len(o.Files)
	w := &worker{Intake: in, scope: scope, mapper: mapper, job: j, progress: o.Progress}
	if w.progress == nil {
		w.progress = func(Progress) {}
	}
	p := &preview{
		worker: w, seed: maphash.MakeSeed(), referred: map[string]place{}, held: map[int][]byte{}, open: map[int]*os.File{}, seen: people.NewSeen(),
	}
	defer p.close()
	for i := range o.Files {
		if err := p.scan(ctx, i); err != nil {
			return nil, err
		}
	}
	if r.Lines == 0 {
		return nil, fault.New(fault.Invalid, "the files hold no message").Hint("check that they are the export, and not empty")
	}
	slices.SortFunc(p.places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.group, b.group), cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.part, b.part))
	})
	if err := p.applyAll(ctx); err != nil {
		return nil, err
	}
	known, made := p.seen.Written()
	r.people(p.named(), known, made)
	r.Complete = complete(mapper, &j.record)
	r.sort()
	return r, nil
}

// named gives how many people the messages name by the source's own key. The places are sorted.
func (p *preview) named() (n int64) {
	for i := range p.places {
		if p.places[i].turn == TurnPerson && (i == 0 || p.places[i].group != p.places[i-1].group || p.places[i-1].turn != TurnPerson) {
			n++
		}
	}
	return n
}

func (p *preview) close() {
	for _, f := range p.open {
		_ = f.Close() // read only
	}
}

// scan reads a file, counts, and remembers where the messages lie.
func (p *preview) scan(ctx context.Context, i int) error {
	f := &p.job.record.Files[i]
	if err := p.hold(i, f); err != nil {
		return err
	}
	src, err := f.open(p.mapper, 0, 0)
	if err != nil {
		return err
	}
	defer src.close() //nolint:errcheck // read only
	r := p.job.record.Result
	for ctx.Err() == nil {
		l, err := src.next()
		if errors.Is(err, io.EOF) {
			f.ended()
			return nil
		}
		if err != nil {
			return err
		}
		c := &chunk{}
		c.add(p.mapper, &l)
		r.Lines, r.Blank = r.Lines+c.lines, r.Blank+c.blank
		p.count(f, i, c, place{offset: l.start, line: l.number, size: int32(len(l.body)), file: uint16(i)})
		p.tell(Progress{Phase: "read", File: i + 1, Files: len(p.job.record.Files), Lines: r.Lines}, false)
	}
	return context.Cause(ctx)
}

func (p *preview) count(f *File, file int, c *chunk, at place) {
	r := p.job.record.Result
	for k := range c.messages {
		m := &c.messages[k]
		n := r.kind(m.Kind)
		n.Read++
		f.count(m)
		at.part, at.turn, at.group = int32(k), m.Turn, maphash.String(p.seed, m.Subject)
		switch {
		case m.reason != "":
			r.refuse(Refusal{File: file + 1, Line: m.line, Kind: m.Kind, Reason: m.reason})
		case m.Turn == TurnNone:
			n.Skipped++
		case m.Turn == TurnReferred:
			n.Applied++
			p.referred[m.Key] = at
		default:
			p.places = append(p.places, at)
		}
	}
}

// hold keeps a file in memory that cannot be read at a place: a packed one, or a document over many lines.
func (p *preview) hold(i int, f *File) error {
	if !f.gzipped() && !f.document() {
		file, err := os.Open(f.Path)
		p.open[i] = file
		if err != nil {
			delete(p.open, i)
			return fmt.Errorf("open file %d: %w", i+1, err)
		}
		return nil
	}
	src, err := f.open(p.mapper, 0, 0)
	if err != nil {
		return err
	}
	defer src.close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(src.bytes, maxHeld-p.heldSize+1))
	if err != nil {
		return err
	}
	if p.heldSize += int64(len(body)); p.heldSize > maxHeld {
		return fault.New(fault.TooLarge, "a dry run holds at most %d MiB of packed files", maxHeld>>20).Hint("unpack the files first")
	}
	p.held[i] = body
	return nil
}

// read gives the message at a place.
func (p *preview) read(at place) (Message, error) {
	var body []byte
	if held, ok := p.held[int(at.file)]; ok {
		body = held[at.offset : at.offset+int64(at.size)]
	} else {
		body = make([]byte, at.size)
		if _, err := p.open[int(at.file)].ReadAt(body, at.offset); err != nil {
			return Message{}, fmt.Errorf("read file %d again: %w", at.file+1, err)
		}
	}
	c := &chunk{}
	one := line{number: at.line, end: at.offset + int64(at.size), body: body, size: int64(at.size)}
	c.add(p.mapper, &one)
	if int(at.part) >= len(c.messages) {
		return Message{}, fault.New(fault.Conflict, "file %d changed during the dry run", at.file+1)
	}
	return c.messages[at.part].Message, nil
}

// applyAll previews the messages, those of one person together.
func (p *preview) applyAll(ctx context.Context) error {
	all := p.places
	for len(all) > 0 {
		n := groupsEnd(all, p.batchMessages())
		if err := p.applySome(ctx, all[:n]); err != nil {
			return err
		}
		all = all[n:]
		done := int64(len(p.places) - len(all))
		p.tell(Progress{Phase: "apply", File: len(p.job.record.Files), Files: len(p.job.record.Files), Lines: p.job.record.Result.Lines, Applied: done, ToApply: int64(len(p.places))}, len(all) == 0)
	}
	return nil
}

// groupsEnd gives the length of the next batch, as rawsAfter cuts it.
func groupsEnd(all []place, most int) int {
	size := int64(0)
	n := 0
	for ; n < len(all) && n < most && size <= batchBytes; n++ {
		size += int64(all[n].size)
	}
	if n == len(all) {
		return n
	}
	last := &all[n-1]
	if at := slices.IndexFunc(all[:n], func(x place) bool { return x.turn == last.turn && x.group == last.group }); at > 0 {
		return at
	}
	return n
}

func (p *preview) applySome(ctx context.Context, some []place) error {
	return p.Store.Read(ctx, p.scope, func(ctx context.Context, tx *store.Tx) error {
		stored := p.looker(ctx, tx, p.job.record.Source)
		c := &Context{
			Source: p.job.record.Source, Received: tx.Now, Country: p.job.record.Country, Whitelist: people.Whitelist{Systems: p.job.record.Systems},
			Look: func(key string) ([]byte, bool) {
				if at, ok := p.referred[key]; ok {
					m, err := p.read(at)
					return m.Body, err == nil
				}
				return stored.find(key)
			},
		}
		units := make([]unit, 0, len(some))
		for _, at := range some {
			m, err := p.read(at)
			if err != nil {
				return err
			}
			units = append(units, mapOne(p.mapper, c, &rawRow{file: int(at.file), line: at.line, message: m}))
		}
		if some[0].turn == TurnOrder {
			lastOfKey(units)
		}
		if stored.err != nil {
			return stored.err
		}
		changes, of := changesOf(units)
		a, err := p.People.Preview(ctx, tx, changes, id.Import{}, p.seen)
		if err != nil {
			return err
		}
		countUnits(p.job.record.Result, units, of, &a)
		return nil
	})
}
