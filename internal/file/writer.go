package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Writer takes a file's content. Each full chunk is committed as it comes; the file is there after Close. One goroutine uses it.
type Writer struct {
	ctx    context.Context //nolint:containedctx // io.Writer has no place for it; the Writer lives within one call of its user
	files  *Files
	scope  id.Scope
	about  About
	id     id.File
	buf    []byte // up to a chunk
	number int64
	sum    hash.Hash
	err    error // the first; nothing is taken after it
	closed bool
}

var errWriterClosed = errors.New("file: the writer is closed")

// Create begins a file. Close makes it whole; Abort, or a crash, leaves nothing that can be found.
func (f *Files) Create(ctx context.Context, scope id.Scope, name, media string) (*Writer, error) {
	if len(name) > maxName || len(media) > maxName {
		return nil, fault.New(fault.TooLarge, "the name or the type of a file has more than %d bytes", maxName)
	}
	w := &Writer{
		ctx: ctx, files: f, scope: scope, about: About{Name: name, Media: media}, id: id.New[id.File](), sum: sha256.New(),
	}
	err := f.st.Write(ctx, scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlAdd, tx.Organisation(), w.id, store.Millis(tx.Now))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin a file: %w", err)
	}
	return w, nil
}

// ID is the file's, from the beginning.
func (w *Writer) ID() id.File { return w.id }

// Write takes content.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.closed && w.err == nil {
		w.err = errWriterClosed
	}
	for w.err == nil && len(p) > 0 {
		if w.buf == nil {
			w.buf = make([]byte, 0, ChunkSize)
		}
		some := p[:min(len(p), ChunkSize-len(w.buf))]
		w.buf = append(w.buf, some...)
		p, n = p[len(some):], n+len(some)
		if len(w.buf) == ChunkSize {
			w.flush()
		}
	}
	return n, w.err
}

// flush seals and commits what is in the buffer as the next chunk.
func (w *Writer) flush() {
	if w.about.Size+int64(len(w.buf)) > MaxSize {
		w.err = fault.New(fault.TooLarge, "a file has more than 64 GiB")
		return
	}
	err := w.files.st.Write(w.ctx, w.scope, w.addChunk)
	if err != nil {
		w.err = fmt.Errorf("write chunk %d of file %s: %w", w.number, w.id, err)
		return
	}
	w.sum.Write(w.buf)
	w.about.Size += int64(len(w.buf))
	w.number++
	w.buf = w.buf[:0]
}

func (w *Writer) addChunk(ctx context.Context, tx *store.Tx) error {
	sealed, err := w.files.keys.Seal(ctx, tx, seal.PurposeFile, chunkCell(w.id, w.number), w.buf)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, sqlChunk, tx.Organisation(), w.id, w.number, sealed, tx.Organisation(), w.id)
	if err == nil && n != 1 {
		err = fault.New(fault.Conflict, "the file was deleted or finished meanwhile")
	}
	return err
}

// Close commits the rest and makes the file whole.
func (w *Writer) Close() error { return w.CloseWith(nil) }

// CloseWith is Close with an act in the same transaction: a row that names the file exists exactly if the file does.
func (w *Writer) CloseWith(act func(ctx context.Context, tx *store.Tx) error) error {
	if w.closed || w.err != nil {
		return errors.Join(w.err, w.Abort())
	}
	if len(w.buf) > 0 {
		if w.flush(); w.err != nil {
			return errors.Join(w.err, w.Abort())
		}
	}
	w.closed, w.buf = true, nil
	w.sum.Sum(w.about.Digest[:0])
	w.err = w.files.st.Write(w.ctx, w.scope, func(ctx context.Context, tx *store.Tx) error {
		sealed, err := w.files.keys.Seal(ctx, tx, seal.PurposeFile, aboutCell(w.id), w.about.encode())
		if err != nil {
			return fmt.Errorf("seal the description of file %s: %w", w.id, err)
		}
		n, err := tx.Exec(ctx, sqlWhole, sealed, store.Millis(tx.Now), tx.Organisation(), w.id)
		if err != nil {
			return fmt.Errorf("finish file %s: %w", w.id, err)
		}
		if n != 1 {
			return fault.New(fault.Conflict, "the file was deleted or finished meanwhile")
		}
		if act == nil {
			return nil
		}
		return act(ctx, tx)
	})
	return w.err
}

// Abort removes what was written, unless the file is whole.
func (w *Writer) Abort() error {
	whole := w.closed && w.err == nil
	w.closed, w.buf = true, nil
	if whole {
		return nil
	}
	// Also when the context has ended: that is why one aborts.
	err := w.files.st.Write(context.WithoutCancel(w.ctx), w.scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, sqlAbandon, tx.Organisation(), w.id)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove the unfinished file %s: %w", w.id, err)
	}
	return nil
}
