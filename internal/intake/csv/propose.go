package csv

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
)

// Asked is what somebody said of a file; the rest is detected.
type Asked struct {
	Encoding string
	Dates    string   // of columns whose dates may be read in two ways
	Mapping  *Mapping // what stands in it is not detected
}

const (
	sampleRecords = 60
	sampleBytes   = 4 << 20
	datesRecords  = 200_000 // records that are read to decide on dates; more only while two ways fit
)

// Propose looks at a file and gives its mapping. What may be read in two ways stands in it as such, and must be decided.
func Propose(path string, asked Asked) (*Mapping, error) {
	p := &proposal{asked: asked}
	p.open = func() (io.ReadCloser, error) {
		f := intake.File{Path: path}
		r, err := f.Bytes()
		if code := fault.CodeOf(err); err != nil && code != fault.Internal {
			return nil, fault.Wrap(code, err, "the file cannot be read").At("path") // the name of a file may be one of a person
		}
		return r, err
	}
	if asked.Mapping != nil {
		given := *asked.Mapping
		given.Columns = slices.Clone(given.Columns)
		p.m = &given
	} else {
		p.m = &Mapping{}
	}
	p.m.Version = cmp.Or(p.m.Version, version)
	for _, step := range []func() error{p.encoding, p.header, p.columns, p.dates} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if p.m.Name == "" {
		p.m.Name = cmp.Or(p.m.Known, "csv")
	}
	return p.m, nil
}

// Settings gives the mapping as intake keeps it. A mapping that leaves something open is refused.
func (m *Mapping) Settings() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// Is tells whether a file is one of this format by its name.
func Is(path string) bool {
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(strings.ToLower(path), ".gz"))) {
	case ".csv", ".tsv", ".txt", ".tab", ".psv":
		return true
	}
	return false
}

type proposal struct {
	open  func() (io.ReadCloser, error)
	asked Asked
	m     *Mapping
	names []string // the header
}

func (p *proposal) read(fn func(r io.Reader) error) error {
	r, err := p.open()
	if err != nil {
		return err
	}
	return errors.Join(fn(r), r.Close())
}

func (p *proposal) encoding() error {
	if p.asked.Encoding != "" {
		p.m.Encoding = strings.ToLower(p.asked.Encoding)
		switch p.m.Encoding {
		case "utf8":
			p.m.Encoding = UTF8
		case "cp1252", "ansi":
			p.m.Encoding = Windows
		case "latin1":
			p.m.Encoding = Latin1
		case "macroman":
			p.m.Encoding = Macintosh
		}
	}
	if p.m.Encoding != "" && !slices.Contains(encodings, p.m.Encoding) {
		return errEncoding
	}
	var g guess
	err := p.read(func(r io.Reader) (err error) {
		g, err = detect(r)
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case p.m.Encoding == "":
		p.m.Encoding, p.m.Guessed = g.encoding, !g.sure
	case g.mark > 0 && p.m.Encoding != g.encoding:
		return fault.New(fault.Conflict, "the file begins with the mark of %s", g.encoding).At("encoding").Hint("leave the encoding out")
	}
	return nil
}

// sample gives the first records with a delimiter.
func (p *proposal) sample(delim string, most int) (records [][]string, lines []int64, err error) {
	m := *p.m
	m.Delimiter, m.Header = delim, 0
	err = p.read(func(r io.Reader) error {
		c := newCutter(io.LimitReader(r, sampleBytes), &m, 0, 0)
		for len(records) < most {
			x, err := c.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			text, reason := decode(m.Encoding, x.Body)
			if x.Reason != "" || reason != "" {
				continue
			}
			var quote byte
			if m.Quote != "" {
				quote = m.Quote[0]
			}
			records, lines = append(records, slices.Clone(cells(text, delim[0], quote, nil))), append(lines, x.Line)
		}
		return nil
	})
	return records, lines, err
}

// newline tells files of old Macs, whose lines end with CR alone.
func (p *proposal) newline() error {
	if p.m.Newline != "" {
		return nil
	}
	return p.read(func(r io.Reader) error {
		buf := make([]byte, 64<<10)
		n, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if text := string(buf[:n]); strings.Contains(text, "\r") && !strings.Contains(text, "\n") {
			p.m.Newline = "cr"
		}
		return nil
	})
}

// header finds delimiter and header: the first record that has two known names, or a known one alone, with the delimiter that makes
// the most of them.
func (p *proposal) header() error {
	if err := p.newline(); err != nil {
		return err
	}
	if p.m.Quote == "" {
		p.m.Quote = `"`
	}
	delims := []string{",", ";", "\t", "|"}
	if p.m.Delimiter != "" {
		delims = []string{p.m.Delimiter}
	}
	best, header, delim := 0, int64(0), ""
	for _, d := range delims {
		records, lines, err := p.sample(d, sampleRecords)
		if err != nil {
			return err
		}
		for i, cells := range records {
			score := p.score(cells)
			if p.m.Header > 0 && p.asked.Mapping != nil && lines[i] != p.m.Header {
				continue
			}
			if score <= best {
				continue
			}
			best, header = score, lines[i]
			p.names, delim = cells, d
			break
		}
	}
	if best == 0 {
		return fault.New(fault.Invalid, "no line with the names of columns was found").
			Hint("write a mapping with the line of the header, or with header 0 and the place of each column")
	}
	p.m.Header, p.m.Delimiter = header, delim
	for len(p.names) > 1 && strings.TrimSpace(p.names[len(p.names)-1]) == "" {
		p.names = p.names[:len(p.names)-1]
	}
	p.m.Width = len(p.names)
	if p.m.Width > maxColumns {
		return fault.New(fault.TooLarge, "a file of %d columns: at most %d are read", p.m.Width, maxColumns)
	}
	return nil
}

// score says how much a record looks like a header.
func (p *proposal) score(cells []string) int {
	n, wanted := 0, map[string]bool{}
	for i := range p.m.Columns {
		wanted[plainHeader(p.m.Columns[i].Header)] = true
	}
	for _, c := range cells {
		h := plainHeader(c)
		if _, is := headers[h]; is || wanted[h] || forbidden[h] {
			n++
			continue
		}
		for i := range exports {
			if slices.Contains(exports[i].needs, h) {
				n++
				break
			}
		}
	}
	if n >= 2 || n == 1 && len(cells) <= 2 {
		return n*1000 + min(len(cells), 999)
	}
	return 0
}

// columns proposes what each column is, by the known export that the file is, else by its name.
func (p *proposal) columns() error {
	if len(p.m.Columns) > 0 {
		return p.m.bind(p.names)
	}
	have := map[string]bool{}
	for _, n := range p.names {
		have[plainHeader(n)] = true
	}
	var k *known
	for i := range exports {
		if exports[i].fits(have) {
			k = &exports[i]
			p.m.Known = k.name
			break
		}
	}
	taken := map[string]bool{}
	for i, name := range p.names {
		p.column(i+1, name, k, taken)
	}
	if k != nil && k.set != nil {
		k.set(p.m)
	}
	p.m.key()
	if len(p.m.Columns) == 0 {
		return fault.New(fault.Invalid, "no column of the file is known").Hint("write a mapping")
	}
	return nil
}

func (p *proposal) column(at int, name string, k *known, taken map[string]bool) {
	plain := plainHeader(name)
	if forbiddenHeader(name) {
		p.m.Refused = append(p.m.Refused, name)
		return
	}
	c, is := headers[plain]
	if k != nil {
		if own, mine := k.of[plain]; mine {
			c, is = own, own.Field != ""
		}
	}
	if !is {
		for _, x := range reports {
			if x.header == plain && !taken[x.column.In+"\x00"+x.column.Field] {
				c, is = x.column, true
				if !slices.ContainsFunc(p.m.Facts, func(f Fact) bool { return f.Name == x.fact.Name }) {
					p.m.Facts = append(p.m.Facts, x.fact)
				}
				break
			}
		}
	}
	once := c.In + "\x00" + c.Field
	many := slices.Contains([]string{fieldEmail, fieldPhone, fieldLine, fieldCustom, fieldIdentifier, fieldEvidence, fieldConsentAt, fieldOptOutAt, fieldConsent, fieldStop}, c.Field)
	if !is || taken[once] && !many {
		p.m.Ignored = append(p.m.Ignored, name)
		return
	}
	taken[once] = true
	c.Header, c.At = name, at
	p.m.Columns = append(p.m.Columns, c)
}

// key: facts whose other columns are missing go; a status alone says nothing.
func (m *Mapping) key() {
	m.Facts = slices.DeleteFunc(m.Facts, func(f Fact) bool {
		says := slices.ContainsFunc(m.Columns, func(c Column) bool {
			return c.In == f.Name && (c.Field == fieldStart || c.Field == fieldCode || c.Field == fieldPayor)
		})
		if !says {
			m.Columns = slices.DeleteFunc(m.Columns, func(c Column) bool {
				if c.In == f.Name {
					m.Ignored = append(m.Ignored, c.Header)
				}
				return c.In == f.Name
			})
		}
		return !says
	})
}

// dates decides how each column writes its dates, over all its cells.
func (p *proposal) dates() error {
	var open []*dateColumn
	for i := range p.m.Columns {
		c := &p.m.Columns[i]
		if slices.Contains(dated, c.Field) && c.Dates == "" {
			open = append(open, &dateColumn{c: c, fits: make([]int, len(candidates))})
		}
	}
	if len(open) == 0 {
		return nil
	}
	now := time.Now() // only two-digit years ask it, and only for the century
	err := p.read(func(r io.Reader) error {
		cut := newCutter(r, p.m, 0, 0)
		for n := 0; ; n++ {
			x, err := cut.Next()
			if errors.Is(err, io.EOF) || err == nil && n > datesRecords && !slices.ContainsFunc(open, (*dateColumn).twofold) {
				return nil
			}
			if err != nil {
				return err
			}
			row := &row{m: p.m}
			if x.Reason != "" || row.read(x.Body) != nil {
				continue
			}
			for _, d := range open {
				d.see(row, now)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("look at the dates: %w", err)
	}
	asked := p.asked.Dates
	for _, d := range open { // what one column settles, it settles for the file
		if f := candidates[d.best()]; asked == "" && !d.twofold() && strings.ContainsAny(f, "/-") && d.fits[d.best()] > 0 && f != "y/m/d" {
			asked = f
		}
	}
	for _, d := range open {
		d.c.Dates = d.decide(asked)
	}
	return nil
}

// candidates are the ways that are tried, the likelier first.
var candidates = []string{"iso", "m/d/y", "d/m/y", "d.m.y", "m-d-y", "d-m-y", "y/m/d", "yyyymmdd", "excel", "unix"}

type dateColumn struct {
	c    *Column
	fits []int
}

func (d *dateColumn) see(r *row, now time.Time) {
	if d.c.At > len(r.cells) {
		return
	}
	text, reason := tidy(r.cells[d.c.At-1])
	if text == "" || reason != "" {
		return
	}
	year := func(yy int) int { return now.Year()/100*100 + yy }
	for i, f := range candidates {
		if _, ok := formats[f](text, year); ok {
			d.fits[i]++
		}
	}
}

func (d *dateColumn) best() int {
	best := 0
	for i, n := range d.fits {
		if n > d.fits[best] {
			best = i
		}
	}
	return best
}

// twofold tells whether day and month may change places in every date.
func (d *dateColumn) twofold() bool {
	b := d.best()
	return (candidates[b] == "m/d/y" || candidates[b] == "m-d-y") && d.fits[b] == d.fits[other(b)] && d.fits[b] > 0
}

func other(i int) int {
	if candidates[i] == "m-d-y" {
		return i + 1
	}
	return slices.Index(candidates, "d/m/y")
}

func (d *dateColumn) decide(asked string) string {
	b := d.best()
	if !d.twofold() {
		return candidates[b]
	}
	switch asked {
	case candidates[b], candidates[other(b)]:
		return asked
	case "m/d/y", "m-d-y": // the order is the same, whatever stands between
		return candidates[b]
	case "d/m/y", "d-m-y":
		return candidates[other(b)]
	}
	return candidates[b] + "|" + candidates[other(b)]
}

// Undecided gives the places of columns whose dates may be read in two ways.
func (m *Mapping) Undecided() (places []int) {
	for i := range m.Columns {
		if strings.Contains(m.Columns[i].Dates, "|") {
			places = append(places, m.Columns[i].At)
		}
	}
	return places
}
