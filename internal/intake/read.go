package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// A chunk of a file is committed at once: so many messages, or bytes.
const (
	chunkMessages = 512
	chunkBytes    = 4 << 20
	blockChunks   = 4 // so many times the messages in a chunk of records, which are short
	tellEvery     = 250 * time.Millisecond
)

// read commits the files sealed, chunk by chunk: reading and splitting the next one while the last is written.
func (w *worker) read(ctx context.Context) error {
	for w.job.file < len(w.job.record.Files) {
		f := &w.job.record.Files[w.job.file]
		if err := f.unchanged(); err != nil {
			return err
		}
		if err := w.readFile(ctx, f); err != nil {
			return err
		}
	}
	if r := w.job.record.Result; r.Lines == 0 {
		return fault.New(fault.Invalid, "the files hold no message").Hint("check that they are the export, and not empty")
	}
	return w.commit(ctx, func(_ context.Context, _ *store.Tx, next *job) error {
		next.state = StateApplying
		return nil
	})
}

// blockKind is the kind of a row of raw that holds a block.
const blockKind = "block"

// chunk is a part of a file that was read and split.
type chunk struct {
	messages []staged
	lines    int64
	blank    int64
	bytes    int
	offset   int64 // behind its last line
	line     int64
	last     bool // of the file
	err      error
}

// staged is a message on its way into raw, or a line that is refused.
type staged struct {
	Message
	line   int64
	reason string // why it is refused; empty when it is not
	lost   bool   // refused and not kept
}

func (w *worker) readFile(ctx context.Context, f *File) error {
	src, err := f.open(w.mapper, w.job.line, w.job.offset)
	if err != nil {
		return err
	}
	defer src.close() //nolint:errcheck // read only
	ctx, stop := context.WithCancel(ctx)
	chunks := make(chan *chunk, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(chunks)
		for {
			c := w.nextChunk(src)
			select {
			case chunks <- c:
			case <-ctx.Done():
				return
			}
			if c.last || c.err != nil {
				return
			}
		}
	}()
	defer func() { stop(); <-ended }()
	for c := range chunks {
		if len(c.messages) > 0 || c.lines > 0 || c.last {
			if err := w.commitChunk(ctx, c); err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	return context.Cause(ctx)
}

func (w *worker) nextChunk(src *source) *chunk {
	c := &chunk{}
	most := w.Chunk
	if _, cuts := w.mapper.(Cutting); cuts {
		most *= blockChunks
	}
	for len(c.messages) < most && c.bytes < chunkBytes {
		l, err := src.next()
		if errors.Is(err, io.EOF) {
			c.last = true
			break
		}
		if err != nil {
			c.err = err
			if fault.CodeOf(err) == fault.Internal {
				c.err = fmt.Errorf("read file %d: %w", w.job.file+1, err)
			}
			break
		}
		c.add(w.mapper, &l)
	}
	return c
}

// add splits a line into messages.
func (c *chunk) add(mapper Mapper, l *line) {
	c.offset, c.line = l.end, l.lines
	if l.reason != "" {
		c.lines++
		body := slices.Clone(l.body)
		c.bytes += len(body)
		c.messages = append(c.messages, staged{Message: Message{Kind: unknownKind, Body: body}, line: l.number, reason: l.reason, lost: l.lost})
		return
	}
	if l.tooLong() {
		c.lines++
		c.messages = append(c.messages, staged{Message: Message{Kind: unknownKind}, line: l.number, reason: ReasonTooLong, lost: true})
		return
	}
	if blank(l.body) {
		c.blank++
		return
	}
	c.lines++
	c.bytes += len(l.body)
	body := slices.Clone(l.body)
	messages, err := mapper.Split(body)
	switch {
	case err != nil:
		kind := unknownKind
		if len(messages) == 1 && messages[0].Kind != "" {
			kind = messages[0].Kind
		}
		c.messages = append(c.messages, staged{Message: Message{Kind: kind, Body: body}, line: l.number, reason: fault.Text(err)})
		return
	case len(messages) != 1 || len(messages[0].Body) == 0 || messages[0].Turn == TurnDelete:
		// The line as it came, beside what it holds.
		c.messages = append(c.messages, staged{Message: Message{Kind: "Bundle", Body: body}, line: l.number})
	}
	for i := range messages {
		if len(messages[i].Body) > 0 {
			c.messages = append(c.messages, staged{Message: messages[i], line: l.number})
		}
	}
}

func blank(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != ' ' && c != '\t' && c != '\r' })
}

func (w *worker) commitChunk(ctx context.Context, c *chunk) error {
	err := w.commit(ctx, func(ctx context.Context, tx *store.Tx, next *job) error {
		return w.keep(ctx, tx, next, c)
	})
	if err != nil {
		return err
	}
	j := w.job
	w.tell(Progress{Phase: "read", File: min(j.file+1, len(j.record.Files)), Files: len(j.record.Files), Lines: j.record.Result.Lines}, c.last)
	return nil
}

func (w *worker) tell(p Progress, always bool) {
	now := time.Now() // the clock of a display, no decision
	if always || now.Sub(w.told) >= tellEvery {
		w.told = now
		w.progress(p)
	}
}

// keep writes a chunk into raw, sets aside what was refused, and moves the cursor.
func (w *worker) keep(ctx context.Context, tx *store.Tx, next *job, c *chunk) error {
	key, err := w.Keys.Month(ctx, tx, purpose)
	if err != nil {
		return err
	}
	f := &next.record.Files[next.file]
	rows := rawRows{file: next.file}
	block, begins := []byte(nil), int64(0)
	r := next.record.Result
	r.Lines, r.Blank = r.Lines+c.lines, r.Blank+c.blank
	for i := range c.messages {
		m := &c.messages[i]
		n := r.kind(m.Kind)
		n.Read++
		f.count(m)
		seq := int64(0)
		if m.Turn == TurnOrder && m.reason == "" {
			if len(block) == 0 {
				begins = m.line
			}
			block = packBlock(block, m)
			continue
		}
		if !m.lost {
			next.seq++
			seq = next.seq
			sealed, err := key.Seal(rawCell(next.id, seq), packRaw(&m.Message))
			if err != nil {
				return err
			}
			subject := []byte{}
			if m.Turn != TurnNone {
				if subject, err = w.blind(ctx, tx, next.record.Source, m.Subject); err != nil {
					return err
				}
			}
			rows.add(seq, m.Turn, subject, m.line, sealed)
		}
		switch {
		case m.reason != "":
			x := Refusal{File: next.file + 1, Line: m.line, Kind: m.Kind, Reason: m.reason}
			r.refuse(x)
			if err := w.setAside(ctx, tx, next, x, seq, quarantineRefused); err != nil {
				return err
			}
		case m.Turn == TurnNone:
			n.Skipped++
		case m.Turn == TurnReferred:
			n.Applied++
		}
	}
	if len(block) > 0 {
		next.seq++
		sealed, err := key.Seal(rawCell(next.id, next.seq), packRaw(&Message{Kind: blockKind, Body: block}))
		if err != nil {
			return err
		}
		rows.add(next.seq, TurnOrder, make([]byte, seal.BlindSize), begins, sealed)
	}
	if err := rows.insert(ctx, tx, next.id); err != nil {
		return err
	}
	if next.offset, next.line = max(c.offset, next.offset), max(c.line, next.line); c.last {
		f.ended()
		next.file, next.offset, next.line = next.file+1, 0, 0
	}
	return nil
}

func (r *rawRows) add(seq int64, turn Turn, subject []byte, line int64, sealed []byte) {
	r.seqs, r.turns, r.lines = append(r.seqs, seq), append(r.turns, int64(turn)), append(r.lines, line)
	r.subjects, r.records = append(r.subjects, subject), append(r.records, sealed)
}

// count notes what a file holds.
func (f *File) count(m *staged) {
	f.Read++
	if m.Kind == unknownKind {
		f.Broken = true
	} else if !slices.Contains(f.Kinds, m.Kind) {
		f.Kinds = append(f.Kinds, m.Kind)
	}
}

// ended notes a file that ended before what its manifest promised.
func (f *File) ended() {
	if f.Kind != "" && !slices.Contains(f.Kinds, f.Kind) {
		f.Kinds = append(f.Kinds, f.Kind)
	}
	f.Broken = f.Broken || f.Read < f.Count
}
